//! The store on disk: directory, threads, and the order in which both are opened.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;
use tokio::sync::{mpsc, oneshot};

use crate::secret::Secret;
use crate::time::{Clock, UnixMillis};

use super::damage::set_aside;
use super::error::StoreError;
use super::files::{exists, lock_dir, make_dir, sync_dir};
use super::index_key;
use super::key::RecordKey;
use super::lane::{Lane, Shape};
use super::opening::Opening;
use super::optout_log::OptOutLog;
use super::optouts::OptOuts;
use super::record::{Draft, Expect, Record, Written};
use super::seal::KeyRing;
use super::table::Table;
use super::writer::{Change, Command, Writer};

const INDEX_KEY: &str = "index.key";
pub(super) const OPTOUT_LOG: &str = "optouts.log";
const DATABASE: &str = "db";

const READERS: usize = 2;

/// Fewer records than these leave nothing behind that is worth a compaction.
const WORTH_COMPACTING: u64 = 10_000;
/// And it has to be this share of all, as a divisor: a compaction writes everything once.
const SHARE_COMPACTING: u64 = 5;

/// Writes made durable by one flush, at most.
const BATCH: usize = 512;

/// A job for a reader thread.
type Job = Box<dyn FnOnce(&Table) + Send>;

/// What an operation will answer.
pub(super) type Pending<T> = oneshot::Receiver<Result<T, StoreError>>;

/// The store on disk. Fields are dropped in this order: threads first, the lock last.
pub(super) struct Disk {
    readers: Lane<Job>,
    writer: Lane<Command>,
    compactor: Lane<()>,
    table: Arc<Table>,
    clock: Clock,
    /// Keys that were found when the store was opened, until they are asked for or something is written.
    found: Mutex<Option<Vec<RecordKey>>>,
    /// Records swept away since the last compaction.
    swept: AtomicU64,
    path: PathBuf,
    _lock: File,
}

/// What [`Disk::open`] is given besides the directory.
pub(super) struct Parts {
    pub(super) ring: KeyRing,
    pub(super) queue: usize,
    pub(super) clock: Clock,
    pub(super) up: IntGauge,
    /// What for.
    pub(super) opening: Opening,
}

impl Disk {
    /// Opens the directory, filling `optouts` from its log.
    pub(super) fn open(
        path: &Path,
        parts: Parts,
        optouts: &OptOuts,
    ) -> Result<(Self, Secret<[u8; 32]>), StoreError> {
        let Parts { ring, queue, clock, up, opening } = parts;
        if opening.is_of_what_is_there() && !exists(&path.join(INDEX_KEY))? {
            return Err(StoreError::NoStore(path.to_owned()));
        }
        make_dir(path)?;
        let lock = lock_dir(path)?;
        let found = Found::in_dir(path)?;
        let mends = !opening.is_of_what_is_there();
        let index_key = found.index_key(path, &ring, opening.index_key().as_ref())?;
        let log = Mutex::new(found.optout_log(path, optouts, clock.now())?);
        let (table, keys) = open_table(&path.join(DATABASE), &Arc::new(ring), mends, clock.now())?;
        let table = Arc::new(table);
        sync_dir(path)?;
        let floor = AtomicU64::new(0);
        let writer = Writer { table: Arc::clone(&table), log, clock: clock.clone(), up, floor };
        let io = |e| StoreError::io(path, &e);
        let disk = Self {
            readers: start_readers(Arc::clone(&table), queue).map_err(io)?,
            writer: start_writer(writer, queue).map_err(io)?,
            compactor: start_compactor(Arc::clone(&table)).map_err(io)?,
            table,
            clock,
            found: Mutex::new(Some(keys)),
            swept: AtomicU64::new(0),
            path: path.to_owned(),
            _lock: lock,
        };
        Ok((disk, index_key))
    }

    /// Asks for the live record under `key`.
    pub(super) fn read(&self, key: RecordKey) -> Result<Pending<Option<Record>>, StoreError> {
        let (answer, pending) = oneshot::channel();
        let clock = self.clock.clone();
        self.readers.offer(Box::new(move |table| drop(answer.send(table.read(&key, clock.now())))))?;
        Ok(pending)
    }

    /// Asks for a write.
    pub(super) fn write(
        &self,
        key: RecordKey,
        expect: Expect,
        draft: Draft,
    ) -> Result<Pending<Written>, StoreError> {
        self.news().take();
        let (answer, pending) = oneshot::channel();
        self.writer.offer(Command::Change(Change::Write { key, expect, draft: Box::new(draft), answer }))?;
        Ok(pending)
    }

    /// The writer's queue, for opt-outs: they wait for room rather than fail.
    pub(super) fn writer_queue(&self) -> Result<mpsc::Sender<Command>, StoreError> {
        self.writer.sender()
    }

    /// Asks for the keys of ended records, among up to `max` from where the last call stopped.
    pub(super) fn ended(&self, now: UnixMillis, max: usize) -> Result<Pending<Vec<RecordKey>>, StoreError> {
        let (answer, pending) = oneshot::channel();
        self.readers.offer(Box::new(move |table| drop(answer.send(table.ended(max, now)))))?;
        Ok(pending)
    }

    /// Asks for the removal of records that have ended.
    pub(super) fn remove(&self, keys: Vec<RecordKey>, now: UnixMillis) -> Result<Pending<u64>, StoreError> {
        let (answer, pending) = oneshot::channel();
        self.writer.offer(Command::Change(Change::Remove { keys, now, answer }))?;
        Ok(pending)
    }

    /// Asks for the removal of records, live or not.
    pub(super) fn forget(&self, keys: Vec<RecordKey>) -> Result<Pending<u64>, StoreError> {
        self.remove(keys, UnixMillis(i64::MAX))
    }

    /// So many records were swept away: when they are worth it, the disk gets their room back, on a thread of its own.
    pub(super) fn swept(&self, removed: u64) {
        let swept = self.swept.fetch_add(removed, Ordering::Relaxed).saturating_add(removed);
        if removed == 0 || swept < WORTH_COMPACTING.max(self.table.roughly() / SHARE_COMPACTING) {
            return;
        }
        // One that is under way may have begun before the last of these were removed: the next sweep asks again.
        if self.compactor.offer(()).is_ok() {
            self.swept.store(0, Ordering::Relaxed);
        }
    }

    /// Visits the keys of all live records. Blocks the calling thread.
    ///
    /// The first to ask gets what was found when the store was opened, if nothing was written since.
    pub(super) fn for_each_key(&self, visit: &mut dyn FnMut(RecordKey)) -> Result<u64, StoreError> {
        let found = self.news().take();
        let Some(keys) = found else { return self.table.for_each_key(self.clock.now(), visit) };
        let visits = keys.len() as u64;
        keys.into_iter().for_each(visit);
        Ok(visits)
    }

    /// The database, for work that blocks the calling thread.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn news(&self) -> MutexGuard<'_, Option<Vec<RecordKey>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is queued, ends the threads and flushes. Blocks the calling thread.
    pub(super) fn stop(&self) -> Result<(), StoreError> {
        self.readers.stop();
        self.writer.stop();
        self.compactor.stop();
        self.table.flush()
    }
}

/// Opens the database and reads it through; where `mends`, one that is damaged is set aside, and an empty one takes its
/// place.
fn open_table(
    path: &Path,
    ring: &Arc<KeyRing>,
    mends: bool,
    now: UnixMillis,
) -> Result<(Table, Vec<RecordKey>), StoreError> {
    let open = || {
        let table = Table::open(path, Arc::clone(ring))?;
        let keys = table.check(now)?;
        Ok((table, keys))
    };
    match open() {
        Err(why @ StoreError::Damaged { .. }) if mends => {
            set_aside(path, &why, now)?;
            open()
        }
        opened => opened,
    }
}

/// What a directory already holds. The order of making is index key, log, database, so a later one without an
/// earlier one means a loss, not a first start that was cut short.
struct Found {
    index_key: bool,
    optout_log: bool,
    database: bool,
}

impl Found {
    fn in_dir(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            index_key: exists(&path.join(INDEX_KEY))?,
            optout_log: exists(&path.join(OPTOUT_LOG))?,
            database: exists(&path.join(DATABASE))?,
        })
    }

    /// The index key; when it has to be `wanted`, a store without one gets that, and another is refused.
    fn index_key(
        &self,
        path: &Path,
        ring: &KeyRing,
        wanted: Option<&Secret<[u8; 32]>>,
    ) -> Result<Secret<[u8; 32]>, StoreError> {
        let file = path.join(INDEX_KEY);
        match (self.index_key, wanted) {
            (true, wanted) => {
                let key = index_key::open(&file, ring)?;
                let fits = wanted.is_none_or(|wanted| *wanted == key);
                if fits { Ok(key) } else { Err(StoreError::OtherIndexKey(path.to_owned())) }
            }
            (false, _) if self.optout_log || self.database => Err(StoreError::IndexKeyMissing(file)),
            (false, Some(wanted)) => index_key::keep(&file, ring, wanted).map(|()| wanted.clone()),
            (false, None) => index_key::create(&file, ring),
        }
    }

    fn optout_log(&self, path: &Path, optouts: &OptOuts, now: UnixMillis) -> Result<OptOutLog, StoreError> {
        let file = path.join(OPTOUT_LOG);
        if self.optout_log {
            if !self.database {
                tracing::warn!(path = %path.display(), "the store has no database; an empty one is made");
            }
            OptOutLog::load(&file, optouts, now)
        } else if self.database {
            Err(StoreError::OptOutLogMissing(file))
        } else {
            OptOutLog::create(&file)
        }
    }
}

fn start_readers(table: Arc<Table>, queue: usize) -> io::Result<Lane<Job>> {
    let shape = Shape { threads: READERS, queue, batch: 1 };
    Lane::start("store-read", shape, move |jobs: Vec<Job>| jobs.into_iter().for_each(|job| job(&table)))
}

fn start_compactor(table: Arc<Table>) -> io::Result<Lane<()>> {
    let shape = Shape { threads: 1, queue: 1, batch: 1 };
    Lane::start("store-compact", shape, move |_| match table.compact() {
        Ok(()) => tracing::debug!("the store gave the room of expired records back"),
        Err(error) => tracing::warn!(%error, "the room of expired records could not be given back"),
    })
}

fn start_writer(writer: Writer, queue: usize) -> io::Result<Lane<Command>> {
    let shape = Shape { threads: 1, queue, batch: BATCH };
    Lane::start("store-write", shape, move |commands| writer.work(commands))
}
