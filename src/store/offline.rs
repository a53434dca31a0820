//! Looking after a store: everything in it, what it takes on the disk, and a store that is to hold the same. For tools; all of it
//! blocks the calling thread, unless it is `async`.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::time::{Clock, UnixMillis};

use super::disk::OPTOUT_LOG;
use super::error::StoreError;
use super::key::RecordKey;
use super::lane::answer;
use super::metrics::Metrics;
use super::opening::Opening;
use super::optout_log::{Entry, Kind, OptOutLog};
use super::optouts::By;
use super::record::Record;
use super::{Backend, Settings, Store};

/// One opt-out as it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptOut {
    /// Whose: an HMAC under the store's index key.
    pub key: RecordKey,
    /// On whose word.
    pub by: By,
    /// When it became known.
    pub at: UnixMillis,
    /// Until when it holds.
    pub until: UnixMillis,
}

impl Store {
    /// Opens a store that is there, to look after it: nothing is made, and a damaged database is an error that leaves it as it
    /// is.
    pub fn open_existing(settings: Settings, clock: Clock, metrics: Metrics) -> Result<Self, StoreError> {
        Self::open_as(settings, clock, metrics, Opening::Tending)
    }

    /// Opens a store whose record keys are those of `other`, for its records to be copied into: an empty one takes over its
    /// index key, one with another is refused.
    pub fn open_like(
        other: &Self,
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, StoreError> {
        Self::open_as(settings, clock, metrics, Opening::Like(other.0.index_key.clone()))
    }

    /// Visits all live records, each as it opens or why it does not; the number of visits.
    pub fn for_each_record(
        &self,
        visit: &mut dyn FnMut(RecordKey, Result<Record, StoreError>),
    ) -> Result<u64, StoreError> {
        let now = self.0.clock.now();
        match &*self.backend()? {
            Backend::Memory(memory) => {
                let records = memory.records(now);
                let visits = records.len() as u64;
                for (key, record) in records {
                    visit(key, Ok(record));
                }
                Ok(visits)
            }
            Backend::Disk(disk) => disk.table().for_each_record(now, visit),
            Backend::Redis(redis) => redis.for_each_record(visit),
        }
    }

    /// Every opt-out in force, in no order. Those of a store in memory are not listed: they end with the process.
    pub fn opt_outs(&self) -> Result<Vec<OptOut>, StoreError> {
        let now = self.0.clock.now();
        let mut kept: HashMap<(RecordKey, By), OptOut> = HashMap::new();
        let backend = self.backend()?;
        if let Backend::Redis(redis) = &*backend {
            return redis.opt_outs_in_force();
        }
        if let Backend::Disk(disk) = &*backend {
            OptOutLog::read(&disk.path().join(OPTOUT_LOG), &mut |&Entry { kind, key, at, until }| {
                let by = match kind {
                    Kind::Add | Kind::Remove => By::Operator,
                    Kind::SiteAdd | Kind::SiteRemove => By::Site,
                };
                if matches!(kind, Kind::Remove | Kind::SiteRemove) {
                    kept.remove(&(key, by));
                } else {
                    // Never shortened.
                    let old = kept.entry((key, by)).or_insert(OptOut { key, by, at, until });
                    old.until = old.until.max(until);
                }
            })?;
        }
        Ok(kept.into_values().filter(|it| it.until > now).collect())
    }

    /// Removes records, live or not, durably; the number removed. Opt-outs stay.
    pub async fn forget(&self, keys: Vec<RecordKey>) -> Result<u64, StoreError> {
        let asked = match &*self.backend()? {
            Backend::Memory(memory) => return Ok(memory.forget(&keys)),
            Backend::Disk(disk) => disk.forget(keys)?,
            Backend::Redis(redis) => redis.forget(keys)?,
        };
        answer(asked).await
    }

    /// Gives the disk back what removed and replaced records took.
    pub fn compact(&self) -> Result<(), StoreError> {
        match &*self.backend()? {
            Backend::Memory(_) | Backend::Redis(_) => Ok(()),
            Backend::Disk(disk) => disk.table().compact(),
        }
    }

    /// Bytes that all files of the store take; 0 where it has none of its own.
    pub fn bytes_on_disk(&self) -> Result<u64, StoreError> {
        match &*self.backend()? {
            Backend::Memory(_) | Backend::Redis(_) => Ok(0),
            Backend::Disk(disk) => bytes_under(disk.path()).map_err(|e| StoreError::io(disk.path(), &e)),
        }
    }
}

/// The unit in which Unix counts what a file takes.
const BLOCK: u64 = 512;

/// Files come and go while a store is open: one that is gone takes no room.
fn bytes_under(path: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(it) if it.is_dir() => bytes_under(&entry.path())?,
            // What the file takes, not what it may grow to: journals are made at their full length.
            Ok(it) => it.blocks() * BLOCK,
            Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => 0,
            Err(fault) => return Err(fault),
        };
    }
    Ok(bytes)
}
