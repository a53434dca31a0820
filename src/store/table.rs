//! The database as a table of sealed records. All calls block on the disk.
//!
//! One keyspace, keys `r` + record key: an idle second keyspace would pin the journals of the first for ever.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::time::UnixMillis;

use super::error::StoreError;
use super::files::{exists, make_dir};
use super::key::RecordKey;
use super::record::{Record, Standing};
use super::seal::KeyRing;
use super::sealed;

const PREFIX: u8 = b'r';
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Bounds what a restart has to read again.
const JOURNAL_BYTES: u64 = 256 * 1024 * 1024;
const WORKERS: usize = 2;

/// What shall stand under a key: bytes, or nothing.
pub(super) type Put = (RecordKey, Option<Vec<u8>>);

/// The database.
pub(super) struct Table {
    path: PathBuf,
    database: Database,
    records: Keyspace,
    pub(super) ring: KeyRing,
    /// Where the sweep goes on; `None`: at the beginning.
    cursor: Mutex<Option<RecordKey>>,
}

impl Table {
    /// Opens the database in `path`, making it when there is none.
    pub(super) fn open(path: &Path, ring: KeyRing) -> Result<Self, StoreError> {
        make_dir(path)?;
        refuse_headless(path)?;
        // A damaged file can make the database panic; that is an answer too.
        let opened = catch_unwind(AssertUnwindSafe(|| open_database(path)));
        let panicked = || StoreError::Database {
            path: path.to_owned(),
            reason: String::from(
                "damaged: it cannot be opened; move the directory aside to start without it",
            ),
        };
        let (database, records) =
            opened.map_err(|_| panicked())?.map_err(|e| StoreError::database(path, &e))?;
        Ok(Self { path: path.to_owned(), database, records, ring, cursor: Mutex::new(None) })
    }

    /// The record under `key`, if it is live at `now`.
    pub(super) fn read(&self, key: &RecordKey, now: UnixMillis) -> Result<Option<Record>, StoreError> {
        let Some(bytes) = self.bytes(key)? else { return Ok(None) };
        if sealed::peek(&bytes)?.keep_until <= now {
            return Ok(None);
        }
        sealed::open(&self.ring, key, &bytes).map(Some)
    }

    /// What stands under `key`, live or not.
    pub(super) fn standing(&self, key: &RecordKey) -> Result<Option<Standing>, StoreError> {
        let Some(bytes) = self.bytes(key)? else { return Ok(None) };
        Ok(Some(sealed::peek(&bytes)?))
    }

    /// Makes all changes or none, at most one for each key; returns when they are on the disk.
    pub(super) fn commit(&self, changes: impl ExactSizeIterator<Item = Put>) -> Result<(), StoreError> {
        let batch = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), changes.len());
        let mut batch = batch.durability(Some(PersistMode::SyncData));
        for (key, bytes) in changes {
            match bytes {
                Some(bytes) => batch.insert(&self.records, name(&key), bytes),
                None => batch.remove(&self.records, name(&key)),
            }
        }
        batch.commit().map_err(|e| self.fault(&e))
    }

    /// Looks at up to `max` records from where the last call stopped: the keys of those that ended by `now`.
    pub(super) fn ended(&self, max: usize, now: UnixMillis) -> Result<Vec<RecordKey>, StoreError> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let from = cursor.map_or(Bound::Included(vec![PREFIX]), |key| Bound::Excluded(name(&key).to_vec()));
        let mut ended = Vec::new();
        let mut seen = 0;
        for entry in self.records.range((from, Bound::Excluded(vec![PREFIX + 1]))).take(max) {
            let (name, bytes) = entry.into_inner().map_err(|e| self.fault(&e))?;
            let key = record_key(&name);
            let over = sealed::peek(&bytes).is_ok_and(|it| it.keep_until <= now);
            ended.extend(key.filter(|_| over));
            *cursor = key.or(*cursor);
            seen += 1;
        }
        if seen < max {
            *cursor = None;
        }
        Ok(ended)
    }

    /// Visits the keys of all records live at `now`; the number of visits.
    pub(super) fn for_each_key(
        &self,
        now: UnixMillis,
        visit: &mut dyn FnMut(RecordKey),
    ) -> Result<u64, StoreError> {
        let mut visits = 0;
        for entry in self.records.prefix([PREFIX]) {
            let (name, bytes) = entry.into_inner().map_err(|e| self.fault(&e))?;
            let live = sealed::peek(&bytes).is_ok_and(|it| it.keep_until > now);
            if let Some(key) = record_key(&name).filter(|_| live) {
                visit(key);
                visits += 1;
            }
        }
        Ok(visits)
    }

    /// Waits until everything is on the disk.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncAll).map_err(|e| self.fault(&e))
    }

    fn bytes(&self, key: &RecordKey) -> Result<Option<fjall::UserValue>, StoreError> {
        self.records.get(name(key)).map_err(|e| self.fault(&e))
    }

    fn fault(&self, error: &fjall::Error) -> StoreError {
        StoreError::database(&self.path, error)
    }

    /// Puts bytes under a key past all rules, as damage would.
    #[cfg(test)]
    pub(super) fn plant(&self, key: &RecordKey, bytes: Vec<u8>) {
        self.commit([(*key, Some(bytes))].into_iter()).unwrap();
    }

    /// The bytes under a key as they lie on the disk.
    #[cfg(test)]
    pub(super) fn stored(&self, key: &RecordKey) -> Vec<u8> {
        self.bytes(key).unwrap().unwrap().to_vec()
    }
}

fn open_database(path: &Path) -> fjall::Result<(Database, Keyspace)> {
    let database = Database::builder(path)
        .cache_size(CACHE_BYTES)
        .max_journaling_size(JOURNAL_BYTES)
        .worker_threads(WORKERS)
        .open()?;
    let records = database.keyspace("records", KeyspaceCreateOptions::default)?;
    Ok((database, records))
}

/// The database makes itself anew where its version file is missing; over old files that would hide the loss.
fn refuse_headless(path: &Path) -> Result<(), StoreError> {
    let io = |e| StoreError::io(path, &e);
    let empty = std::fs::read_dir(path).map_err(io)?.next().is_none();
    if empty || exists(&path.join("version"))? {
        return Ok(());
    }
    let reason =
        String::from("damaged: its version file is missing; move the directory aside to start without it");
    Err(StoreError::Database { path: path.to_owned(), reason })
}

fn name(key: &RecordKey) -> [u8; 33] {
    let mut out = [PREFIX; 33];
    out[1..].copy_from_slice(key.as_bytes());
    out
}

fn record_key(name: &[u8]) -> Option<RecordKey> {
    name.strip_prefix(&[PREFIX])?.try_into().ok().map(RecordKey::from_bytes)
}
