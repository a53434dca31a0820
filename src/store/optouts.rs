//! Who opted out, in memory: read on every auction, so each look-up takes one shared lock out of many.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::time::UnixMillis;

use super::key::RecordKey;

/// Enough that writers (a few a second) never meet readers.
const SHARDS: usize = 64;

/// Keys that are opted out, each until a moment.
pub(super) struct OptOuts {
    shards: [RwLock<HashMap<RecordKey, UnixMillis>>; SHARDS],
    /// Shard the next sweep looks at.
    next: AtomicUsize,
}

impl OptOuts {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()), next: AtomicUsize::new(0) }
    }

    /// Opts a key out until `until`; an opt-out is never shortened.
    pub(super) fn add(&self, key: RecordKey, until: UnixMillis) {
        let mut shard = self.shard(&key).write().unwrap_or_else(PoisonError::into_inner);
        let kept = shard.entry(key).or_insert(until);
        *kept = until.max(*kept);
    }

    /// Takes an opt-out back.
    pub(super) fn remove(&self, key: &RecordKey) {
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Whether the key is opted out at `now`.
    pub(super) fn contains(&self, key: &RecordKey, now: UnixMillis) -> bool {
        let shard = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(key).is_some_and(|until| *until > now)
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
                .filter(|(_, until)| **until > now)
                .map(|(key, _)| *key)
                .collect();
            visits += live.len() as u64;
            live.into_iter().for_each(&mut *visit);
        }
        visits
    }

    /// Forgets what ended in the next shard; `SHARDS` calls go round once.
    pub(super) fn sweep(&self, now: UnixMillis) {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        self.shards[at].write().unwrap_or_else(PoisonError::into_inner).retain(|_, until| *until > now);
    }

    fn shard(&self, key: &RecordKey) -> &RwLock<HashMap<RecordKey, UnixMillis>> {
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
        outs.add(key(1), UnixMillis(100));
        outs.add(key(1), UnixMillis(50));
        assert!(outs.contains(&key(1), UnixMillis(99)));
        assert!(!outs.contains(&key(1), UnixMillis(100)));
        assert!(!outs.contains(&key(2), UnixMillis(0)));
        outs.add(key(1), UnixMillis(200));
        assert!(outs.contains(&key(1), UnixMillis(199)));
        outs.remove(&key(1));
        assert!(!outs.contains(&key(1), UnixMillis(0)));
    }

    #[test]
    fn sweeps_forget_only_what_ended() {
        let outs = OptOuts::new();
        for byte in 0..=255 {
            outs.add(key(byte), UnixMillis(i64::from(byte)));
        }
        assert_eq!(outs.for_each(UnixMillis(99), &mut |_| {}), 156);
        (0..SHARDS).for_each(|_| outs.sweep(UnixMillis(99)));
        assert_eq!(outs.for_each(UnixMillis(-1), &mut |_| {}), 156);
    }
}
