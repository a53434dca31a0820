//! Records in Redis: sealed as on disk, each with the time it has left, replaced by compare-and-swap on the clear header.
//!
//! Generations start at the clock and not at 1: a record that Redis lost (a fail-over, its own end) is followed by a
//! greater one, so no gateway that still remembers the lost one holds on to it.

use redis::{Pipeline, Value, cmd};

use super::super::error::StoreError;
use super::super::key::RecordKey;
use super::super::record::{Draft, Expect, Record, Standing, Written, decide};
use super::super::sealed;
use super::changes::Change;
use super::{Shared, names};
use crate::time::UnixMillis;

/// A record stays so long after its end, milliseconds: a refresh that is under way at its end still finds it, as it does on
/// disk.
const GRACE_MS: i64 = 60_000;

/// So often one write tries to be the next one, while others are faster.
const TRIES: u32 = 64;

/// What a write takes to be there.
struct Expected {
    /// As the script compares it: nothing, a generation, or a whole header.
    bytes: Vec<u8>,
    standing: Option<Standing>,
}

impl Expected {
    /// What the writer's own expectation says; the script finds out whether it is so.
    fn guess(expect: Expect) -> Self {
        match expect {
            Expect::Generation(generation) if generation > 0 => Self {
                bytes: generation.to_le_bytes().to_vec(),
                standing: Some(Standing { generation, keep_until: UnixMillis(i64::MAX) }),
            },
            Expect::Any | Expect::Generation(_) => Self { bytes: Vec::new(), standing: None },
        }
    }

    /// What the script found.
    fn found(header: Vec<u8>, expect: Expect) -> Result<Self, StoreError> {
        let standing = match sealed::peek(&header) {
            _ if header.is_empty() => None,
            // Nobody can read what is there; whoever replaces it whatever it is, may.
            Err(_) if expect == Expect::Any => None,
            standing => Some(standing?),
        };
        Ok(Self { bytes: header, standing })
    }
}

impl Shared {
    pub(super) async fn read(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        let found: Option<Vec<u8>> = self.main.ask(cmd("GET").arg(names::record(&key))).await?;
        let Some(bytes) = found else { return Ok(None) };
        if sealed::peek(&bytes)?.keep_until <= self.clock.now() {
            return Ok(None);
        }
        sealed::open(&self.ring, &key, &bytes).map(Some)
    }

    /// The live records under these keys, each as it opens or why it does not.
    pub(super) async fn read_each(
        &self,
        keys: Vec<RecordKey>,
    ) -> Vec<(RecordKey, Result<Record, StoreError>)> {
        let read = |key| async move { Some((key, self.read(key).await.transpose()?)) };
        futures_util::future::join_all(keys.into_iter().map(read)).await.into_iter().flatten().collect()
    }

    /// Removes records and tells everybody; the number removed.
    pub(super) async fn forget(&self, keys: Vec<RecordKey>) -> Result<u64, StoreError> {
        let mut removed = 0;
        for key in keys {
            removed += self.main.ask::<u64>(cmd("DEL").arg(names::record(&key))).await?;
            // Later than any generation that was ever given: whoever remembers the record looks, and finds that it is gone.
            let generation = u64::try_from(self.clock.now().0).unwrap_or_default();
            // Who does not hear it now finds out within store.max_stale_s.
            drop(self.tell(Change::Written { key, generation }).await);
        }
        Ok(removed)
    }

    /// The generation of the live record under a key, 0 when there is none, and the greatest of what nobody can read: it is not the
    /// one that anybody knows, and the others are compared all the same.
    pub(super) async fn generation(&self, key: RecordKey) -> Result<u64, StoreError> {
        let mut question = cmd("GETRANGE");
        question.arg(names::record(&key)).arg(0).arg(sealed::HEADER - 1);
        let header: Vec<u8> = self.main.ask(&question).await?;
        if header.is_empty() {
            return Ok(0);
        }
        let Ok(standing) = sealed::peek(&header) else { return Ok(u64::MAX) };
        Ok(if standing.keep_until <= self.clock.now() { 0 } else { standing.generation })
    }

    pub(super) async fn write(
        &self,
        key: RecordKey,
        expect: Expect,
        draft: Draft,
    ) -> Result<Written, StoreError> {
        let mut expected = Expected::guess(expect);
        for _ in 0..TRIES {
            let now = self.clock.now();
            let floor = u64::try_from(now.0).unwrap_or_default().saturating_sub(1);
            let generation = match decide(expect, expected.standing, floor, now) {
                Ok(generation) => generation,
                Err(lost) => return Ok(lost),
            };
            let record = draft.clone().into_record(generation, now);
            match self.replace(&key, &expected, &record).await? {
                None => {
                    let told = self.tell(Change::Written { key, generation }).await;
                    if record.state.is_left() {
                        // Whoever says that a user left relies on all gateways to know: else it has to be said again.
                        told?;
                    }
                    return Ok(Written::Stored { generation });
                }
                Some(header) => expected = Expected::found(header, expect)?,
            }
        }
        Err(StoreError::Busy)
    }

    /// Puts a record in the place of what is expected there; what stands there if that is something else.
    async fn replace(
        &self,
        key: &RecordKey,
        expected: &Expected,
        record: &Record,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed = sealed::seal(&self.ring, key, record)?;
        let left = record.keep_until.since(record.written);
        let life = if left > 0 { left.saturating_add(GRACE_MS).to_string() } else { String::from("0") };
        let name = names::record(key);
        let (keys, arguments) = ([name.as_str()], [expected.bytes.as_slice(), &sealed, life.as_bytes()]);
        let answer = if record.state.is_left() {
            // Whoever left does not come back because a primary died.
            let mut together = Pipeline::new();
            together.add_command(self.scripts.replace.whole(&keys, &arguments));
            self.assuredly(&name, together).await?.into_iter().next().unwrap_or_default()
        } else {
            let run = |wire| self.scripts.replace.run::<Value>(wire, &keys, &arguments);
            self.main.call(self.timeout, run).await?
        };
        match answer {
            Value::Int(1) => Ok(None),
            Value::BulkString(header) => Ok(Some(header)),
            _ => Err(StoreError::Redis(String::from("an answer that no script gives"))),
        }
    }
}
