//! The few things that must happen in one step, as scripts that Redis runs. Each touches the keys of one slot.

use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, cmd};

use super::wire::Wire;

/// Replaces a record if what stands there is what was expected.
///
/// `KEYS[1]` record; `ARGV[1]` expected: nothing, the 8 bytes of its generation, or its whole header; `ARGV[2]` the new
/// one; `ARGV[3]` its life in milliseconds, 0 removes. Answers 1, or the header that stands there (none: empty). A try that is
/// made again after its first answer was lost finds its own work done.
const REPLACE: &str = r"
local stands = redis.call('GETRANGE', KEYS[1], 0, 18)
local expected = ARGV[1]
local fits = stands == expected or (#expected == 8 and string.sub(stands, 4, 11) == expected)
if not fits then
  if redis.call('GET', KEYS[1]) == ARGV[2] then return 1 end
  return stands
end
local life = tonumber(ARGV[3])
if life > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', life) else redis.call('DEL', KEYS[1]) end
return 1
";

/// Takes the lease on a record if it is still the one that is meant.
///
/// `KEYS` record, lease; `ARGV` the 8 bytes of its generation, the holder, milliseconds. Answers 1 taken, 0 somebody else has
/// it, 2 the record is another one by now.
const LEASE: &str = r"
if redis.call('GETRANGE', KEYS[1], 3, 10) ~= ARGV[1] then return 2 end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return 1 end
return 0
";

/// Gives a lease back, if it is still the holder's.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
";

/// Notes an opt-out, or that one was taken back; see `opt_outs` for the value.
///
/// `KEYS[1]` bucket; `ARGV` record key, what, at, until. Whatever is said of the operator's only lengthens; of the publisher's own
/// the last word counts: a live one is the last by definition, one that is said again counts by its stamp. Answers the stamp.
const NOTE: &str = r"
local kept = redis.call('HGET', KEYS[1], ARGV[1])
local known, till, stamp, on = 0, 0, 0, 0
if kept then
  local a, b, c, d = string.match(kept, '^(%-?%d+) (%-?%d+) (%-?%d+) (%d)$')
  if a then known, till, stamp, on = tonumber(a), tonumber(b), tonumber(c), tonumber(d) end
end
local what, at = ARGV[2], tonumber(ARGV[3])
if what == 'o' then
  if tonumber(ARGV[4]) > till then known, till = at, tonumber(ARGV[4]) end
elseif what == 'r' then
  known, till = at, 0
elseif what == 's' or what == 'i' then
  stamp = math.max(at, stamp + 1)
  on = what == 's' and 1 or 0
elseif at > stamp then
  stamp = at
  on = what == 'S' and 1 or 0
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f %.0f %.0f %.0f', known, till, stamp, on))
return string.format('%.0f', stamp)
";

/// Removes a field of a hash if it holds what is expected.
const REMOVE_FIELD: &str = r"
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
";

/// A script and the digest Redis knows it by.
pub(super) struct Script {
    text: &'static str,
    digest: String,
}

/// All of them.
pub(super) struct Scripts {
    pub(super) replace: Script,
    pub(super) lease: Script,
    pub(super) release: Script,
    pub(super) note: Script,
    pub(super) remove_field: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            replace: Script::of(REPLACE),
            lease: Script::of(LEASE),
            release: Script::of(RELEASE),
            note: Script::of(NOTE),
            remove_field: Script::of(REMOVE_FIELD),
        }
    }
}

impl Script {
    fn of(text: &'static str) -> Self {
        let digest = redis::Script::new(text).get_hash().to_owned();
        Self { text, digest }
    }

    /// The command that runs it, for a server which may not know it yet.
    pub(super) fn whole(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        call("EVAL", self.text, keys, arguments)
    }

    /// Runs it.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        mut wire: Wire,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> RedisResult<T> {
        match wire.ask(&call("EVALSHA", &self.digest, keys, arguments)).await {
            Err(fault) if fault.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                wire.ask(&self.whole(keys, arguments)).await
            }
            answer => answer,
        }
    }
}

fn call(how: &str, script: &str, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
    let mut command = cmd(how);
    command.arg(script).arg(keys.len());
    command.arg(keys).arg(arguments);
    command
}
