//! The store in memory: the same rules, nothing survives the process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::time::UnixMillis;

use super::key::RecordKey;
use super::record::{Draft, Expect, Record, Standing, Written, decide};

/// Records in one map. Plain mutex: nothing awaits or touches a disk under it.
#[derive(Default)]
pub(super) struct Memory(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    records: HashMap<RecordKey, Record>,
    /// Keys still to be looked at by the sweep under way.
    unswept: Vec<RecordKey>,
    /// The highest generation ever swept away.
    floor: u64,
}

impl Memory {
    pub(super) fn read(&self, key: &RecordKey, now: UnixMillis) -> Option<Record> {
        self.lock().records.get(key).filter(|record| record.live(now)).cloned()
    }

    pub(super) fn write(&self, key: RecordKey, expect: Expect, draft: Draft, now: UnixMillis) -> Written {
        let mut inner = self.lock();
        let standing = inner
            .records
            .get(&key)
            .map(|it| Standing { generation: it.generation, keep_until: it.keep_until });
        match decide(expect, standing, inner.floor, now) {
            Err(lost) => lost,
            Ok(generation) => {
                inner.records.insert(key, draft.into_record(generation, now));
                Written::Stored { generation }
            }
        }
    }

    pub(super) fn for_each_key(&self, now: UnixMillis, visit: &mut dyn FnMut(RecordKey)) -> u64 {
        // Copied, so that the visitor never runs under the lock.
        let live: Vec<RecordKey> =
            self.lock().records.iter().filter(|(_, it)| it.live(now)).map(|(key, _)| *key).collect();
        let visits = live.len() as u64;
        live.into_iter().for_each(visit);
        visits
    }

    /// Looks at up to `max` records and removes those that ended; the number removed.
    pub(super) fn sweep(&self, now: UnixMillis, max: usize) -> u64 {
        let mut inner = self.lock();
        let Inner { records, unswept, floor } = &mut *inner;
        if unswept.is_empty() {
            unswept.extend(records.keys());
        }
        let from = unswept.len().saturating_sub(max);
        let mut removed = 0;
        for key in unswept.drain(from..) {
            let Entry::Occupied(entry) = records.entry(key) else { continue };
            if !entry.get().live(now) {
                *floor = entry.remove().generation.max(*floor);
                removed += 1;
            }
        }
        removed
    }

    /// All live records, copied.
    pub(super) fn records(&self, now: UnixMillis) -> Vec<(RecordKey, Record)> {
        let inner = self.lock();
        inner.records.iter().filter(|(_, it)| it.live(now)).map(|(key, it)| (*key, it.clone())).collect()
    }

    /// Removes records, live or not; the number removed.
    pub(super) fn forget(&self, keys: &[RecordKey]) -> u64 {
        let mut inner = self.lock();
        let mut removed = 0;
        for record in keys.iter().filter_map(|key| inner.records.remove(key)).collect::<Vec<_>>() {
            inner.floor = record.generation.max(inner.floor);
            removed += 1;
        }
        removed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
