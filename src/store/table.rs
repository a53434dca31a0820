//! The database as a table of sealed records. All calls block on the disk.
//!
//! One keyspace, keys `r` + record key: an idle second keyspace would pin the journals of the first for ever.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::time::UnixMillis;

use super::error::StoreError;
use super::files::{exists, make_dir};
use super::key::RecordKey;
use super::record::{Record, Standing};
use super::seal::KeyRing;
use super::sealed;

const PREFIX: u8 = b'r';
/// Names no record, and nothing stands under it.
const TICK: [u8; 1] = [b't'];
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Bounds what a restart has to read again.
const JOURNAL_BYTES: u64 = 256 * 1024 * 1024;
const WORKERS: usize = 2;
/// Threads that read the records at a start, at most.
const MOST_CHECKERS: usize = 8;

/// How often a compaction is tried while the database is busy with its own.
const COMPACTION_TRIES: u32 = 100;
const COMPACTION_PAUSE: Duration = Duration::from_millis(100);

/// What the database's version file holds: its name and the version of its format.
const FORMAT_NAME: &[u8] = b"FJL";
const FORMAT: u8 = 3;

/// What shall stand under a key: bytes, or nothing.
pub(super) type Put = (RecordKey, Option<Vec<u8>>);

/// The database.
pub(super) struct Table {
    path: PathBuf,
    database: Database,
    records: Keyspace,
    pub(super) ring: Arc<KeyRing>,
    /// Where the sweep goes on; `None`: at the beginning.
    cursor: Mutex<Option<RecordKey>>,
}

impl Table {
    /// Opens the database in `path`, making it when there is none.
    pub(super) fn open(path: &Path, ring: Arc<KeyRing>) -> Result<Self, StoreError> {
        make_dir(path)?;
        refuse_headless(path)?;
        let (database, records) =
            unpanicked(path, || open_database(path).map_err(|e| StoreError::database(path, &e)))?;
        Ok(Self { path: path.to_owned(), database, records, ring, cursor: Mutex::new(None) })
    }

    /// Reads everything, and with it finds what damage does not show before: the keys of all records live at `now`.
    ///
    /// A start waits for it, so each core takes its share: keys are HMACs, spread evenly over their first byte.
    pub(super) fn check(&self, now: UnixMillis) -> Result<Vec<RecordKey>, StoreError> {
        let threads = std::thread::available_parallelism().map_or(1, |it| it.get().min(MOST_CHECKERS));
        let edge = |nth: usize| u8::try_from(nth * 256 / threads).ok();
        let found = std::thread::scope(|scope| {
            let share = |nth| {
                let range = (edge(nth), edge(nth + 1));
                scope.spawn(move || {
                    let mut keys = Vec::new();
                    unpanicked(&self.path, || self.visit_keys(range, now, &mut |key| keys.push(key)))?;
                    Ok(keys)
                })
            };
            let running: Vec<_> = (0..threads).map(share).collect();
            let done = running
                .into_iter()
                .map(|it| it.join().unwrap_or(Err(StoreError::Broken("its thread failed"))));
            done.collect::<Result<Vec<Vec<RecordKey>>, StoreError>>()
        })?;
        Ok(found.concat())
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
        self.visit_keys((None, None), now, visit)
    }

    /// The same for keys whose first byte is in a range, its end excluded.
    fn visit_keys(
        &self,
        (from, to): (Option<u8>, Option<u8>),
        now: UnixMillis,
        visit: &mut dyn FnMut(RecordKey),
    ) -> Result<u64, StoreError> {
        let from = std::iter::once(PREFIX).chain(from).collect::<Vec<u8>>();
        let to = to.map_or(vec![PREFIX + 1], |to| vec![PREFIX, to]);
        let mut visits = 0;
        for entry in self.records.range(from..to) {
            let (name, bytes) = entry.into_inner().map_err(|e| self.fault(&e))?;
            let live = sealed::peek(&bytes).is_ok_and(|it| it.keep_until > now);
            if let Some(key) = record_key(&name).filter(|_| live) {
                visit(key);
                visits += 1;
            }
        }
        Ok(visits)
    }

    /// Visits all live records, each as it opens or does not. The number of visits.
    pub(super) fn for_each_record(
        &self,
        now: UnixMillis,
        visit: &mut dyn FnMut(RecordKey, Result<Record, StoreError>),
    ) -> Result<u64, StoreError> {
        let mut visits = 0;
        for entry in self.records.prefix([PREFIX]) {
            let (name, bytes) = entry.into_inner().map_err(|e| self.fault(&e))?;
            let ended = sealed::peek(&bytes).is_ok_and(|it| it.keep_until <= now);
            if let Some(key) = record_key(&name).filter(|_| !ended) {
                visit(key, sealed::open(&self.ring, &key, &bytes));
                visits += 1;
            }
        }
        Ok(visits)
    }

    /// Gives the disk back what deleted and replaced records took. Writes go on meanwhile.
    ///
    /// The database leaves it, and says nothing, while it compacts a part by itself (it does so after a flush): it is
    /// done when nothing of the kind went on beside it.
    pub(super) fn compact(&self) -> Result<(), StoreError> {
        self.records.rotate_memtable_and_wait().map_err(|e| self.fault(&e))?;
        self.merge()?;
        self.let_go()
    }

    fn merge(&self) -> Result<(), StoreError> {
        let of_its_own = || (self.database.active_compactions(), self.database.compactions_completed());
        for _ in 0..COMPACTION_TRIES {
            let before = of_its_own();
            self.records.major_compact().map_err(|e| self.fault(&e))?;
            if before.0 == 0 && of_its_own() == before {
                return Ok(());
            }
            std::thread::sleep(COMPACTION_PAUSE);
        }
        Ok(())
    }

    /// The files that a compaction has replaced are deleted by the flush that finds the compaction to be of the past, so time
    /// has to pass, and time is writes.
    fn let_go(&self) -> Result<(), StoreError> {
        for _ in 0..2 {
            self.records.insert(TICK, []).map_err(|e| self.fault(&e))?;
            self.records.remove(TICK).map_err(|e| self.fault(&e))?;
        }
        self.records.rotate_memtable_and_wait().map_err(|e| self.fault(&e))
    }

    /// Records, replaced and deleted ones included where the disk still has them.
    pub(super) fn roughly(&self) -> u64 {
        self.records.approximate_len() as u64
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
    let version = path.join("version");
    if empty {
        return Ok(());
    }
    if exists(&version)? {
        refuse_newer(&version, path)?;
        return refuse_rootless(path);
    }
    Err(StoreError::Damaged { path: path.to_owned(), reason: String::from("its version file is missing") })
}

/// What another version of the database made is not damaged: it is for another version of this program.
fn refuse_newer(version: &Path, path: &Path) -> Result<(), StoreError> {
    let marker = std::fs::read(version).map_err(|e| StoreError::io(version, &e))?;
    match marker.strip_prefix(FORMAT_NAME) {
        Some([FORMAT, ..] | []) | None => Ok(()),
        Some([other, ..]) => {
            let reason = format!("of format {other}, and this version of the gateway knows format {FORMAT}");
            Err(StoreError::Database { path: path.to_owned(), reason })
        }
    }
}

/// The same for its tables, where the file that names what counts among them is missing.
fn refuse_rootless(path: &Path) -> Result<(), StoreError> {
    let tables = path.join("keyspaces");
    if !exists(&tables)? {
        return Ok(());
    }
    for folder in std::fs::read_dir(&tables).map_err(|e| StoreError::io(&tables, &e))? {
        let folder = folder.map_err(|e| StoreError::io(&tables, &e))?.path();
        if folder.is_dir() && !exists(&folder.join("current"))? {
            let reason = format!("{} is missing", folder.join("current").display());
            return Err(StoreError::Damaged { path: path.to_owned(), reason });
        }
    }
    Ok(())
}

/// A damaged file can make the database panic; that is an answer too.
fn unpanicked<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(StoreError::Damaged { path: path.to_owned(), reason: String::from("it cannot be read") })
    })
}

fn name(key: &RecordKey) -> [u8; 33] {
    let mut out = [PREFIX; 33];
    out[1..].copy_from_slice(key.as_bytes());
    out
}

fn record_key(name: &[u8]) -> Option<RecordKey> {
    name.strip_prefix(&[PREFIX])?.try_into().ok().map(RecordKey::from_bytes)
}
