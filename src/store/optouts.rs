//! Who opted out, in memory: read on every auction, so each look-up takes one shared lock out of many.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::time::UnixMillis;

use super::key::RecordKey;

/// Enough that writers (a few a second) never meet readers.
pub(super) const SHARDS: usize = 64;

/// Whose opt-out it is: each is taken back by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum By {
    /// The UID2 operator's, for a while: it is told to every publisher.
    Operator,
    /// The publisher's own, until it takes it back.
    Site,
}

/// A key that is opted out, and by whom until when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Held {
    pub(super) key: RecordKey,
    pub(super) operator: UnixMillis,
    pub(super) site: UnixMillis,
}

/// Until when a key is opted out.
#[derive(Clone, Copy)]
struct Until {
    operator: UnixMillis,
    site: UnixMillis,
}

impl Until {
    const NEVER: Self = Self { operator: UnixMillis(i64::MIN), site: UnixMillis(i64::MIN) };

    fn holds(self, now: UnixMillis) -> bool {
        self.operator > now || self.site > now
    }

    fn of(&mut self, by: By) -> &mut UnixMillis {
        match by {
            By::Operator => &mut self.operator,
            By::Site => &mut self.site,
        }
    }
}

/// Keys that are opted out, each until a moment.
pub(super) struct OptOuts {
    shards: [RwLock<HashMap<RecordKey, Until>>; SHARDS],
    /// Shard the next sweep looks at.
    next: AtomicUsize,
}

impl OptOuts {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()), next: AtomicUsize::new(0) }
    }

    /// Opts a key out until `until`; an opt-out is never shortened.
    pub(super) fn add(&self, key: RecordKey, by: By, until: UnixMillis) {
        let mut shard = self.shard(&key).write().unwrap_or_else(PoisonError::into_inner);
        let kept = shard.entry(key).or_insert(Until::NEVER).of(by);
        *kept = until.max(*kept);
    }

    /// Takes an opt-out back; the other's stays.
    pub(super) fn remove(&self, key: &RecordKey, by: By) {
        let mut shard = self.shard(key).write().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = shard.get_mut(key) {
            *kept.of(by) = UnixMillis(i64::MIN);
            if kept.operator == kept.site {
                shard.remove(key);
            }
        }
    }

    /// Whether the key is opted out at `now`.
    pub(super) fn contains(&self, key: &RecordKey, now: UnixMillis) -> bool {
        let shard = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(key).is_some_and(|until| until.holds(now))
    }

    /// Whether the publisher itself opted the key out.
    pub(super) fn at_site(&self, key: &RecordKey, now: UnixMillis) -> bool {
        let shard = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(key).is_some_and(|until| until.site > now)
    }

    /// Visits every key opted out at `now`; the number of visits.
    pub(super) fn for_each(&self, now: UnixMillis, visit: &mut dyn FnMut(RecordKey)) -> u64 {
        let mut visits = 0;
        for shard in &self.shards {
            // Copied, so that the visitor never runs under the lock.
            let live: Vec<RecordKey> = shard
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .filter(|(_, until)| until.holds(now))
                .map(|(key, _)| *key)
                .collect();
            visits += live.len() as u64;
            live.into_iter().for_each(&mut *visit);
        }
        visits
    }

    /// Everybody in the shard of this number who is opted out at `now`.
    pub(super) fn in_shard(&self, number: usize, now: UnixMillis) -> Vec<Held> {
        let Some(shard) = self.shards.get(number) else { return Vec::new() };
        let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
        let held = |(key, until): (&RecordKey, &Until)| Held {
            key: *key,
            operator: until.operator,
            site: until.site,
        };
        shard.iter().filter(|(_, until)| until.holds(now)).map(held).collect()
    }

    /// Forgets what ended in the next shard; `SHARDS` calls go round once.
    pub(super) fn sweep(&self, now: UnixMillis) {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        self.shards[at].write().unwrap_or_else(PoisonError::into_inner).retain(|_, until| until.holds(now));
    }

    fn shard(&self, key: &RecordKey) -> &RwLock<HashMap<RecordKey, Until>> {
        // The last byte: the hash map inside uses the first eight.
        &self.shards[usize::from(key.as_bytes()[31]) % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::key;
    use super::*;

    #[test]
    fn an_opt_out_ends_at_its_moment_and_is_never_shortened() {
        let outs = OptOuts::new();
        outs.add(key(1), By::Operator, UnixMillis(100));
        outs.add(key(1), By::Operator, UnixMillis(50));
        assert!(outs.contains(&key(1), UnixMillis(99)));
        assert!(!outs.contains(&key(1), UnixMillis(100)));
        assert!(!outs.contains(&key(2), UnixMillis(0)));
        outs.add(key(1), By::Operator, UnixMillis(200));
        assert!(outs.contains(&key(1), UnixMillis(199)));
        outs.remove(&key(1), By::Operator);
        assert!(!outs.contains(&key(1), UnixMillis(0)));
    }

    #[test]
    fn operator_and_site_are_taken_back_apart() {
        let outs = OptOuts::new();
        let now = UnixMillis(10);
        for (first, then) in [(By::Operator, By::Site), (By::Site, By::Operator)] {
            outs.add(key(1), By::Operator, UnixMillis(100));
            outs.add(key(1), By::Site, UnixMillis(i64::MAX));
            assert!(outs.at_site(&key(1), now));
            outs.remove(&key(1), first);
            assert!(outs.contains(&key(1), now), "{then:?}'s stays");
            assert_eq!(outs.at_site(&key(1), now), then == By::Site);
            outs.remove(&key(1), then);
            assert!(!outs.contains(&key(1), now));
        }
        outs.remove(&key(2), By::Site);
        assert_eq!(outs.for_each(now, &mut |_| {}), 0);
    }

    #[test]
    fn sweeps_forget_only_what_ended() {
        let outs = OptOuts::new();
        for byte in 0..=255 {
            outs.add(key(byte), By::Operator, UnixMillis(i64::from(byte)));
        }
        assert_eq!(outs.for_each(UnixMillis(99), &mut |_| {}), 156);
        (0..SHARDS).for_each(|_| outs.sweep(UnixMillis(99)));
        assert_eq!(outs.for_each(UnixMillis(-1), &mut |_| {}), 156);
    }
}
