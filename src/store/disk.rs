//! The store on disk: directory, threads, and the order in which both are opened.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use prometheus::IntGauge;
use tokio::sync::{mpsc, oneshot};

use crate::secret::Secret;
use crate::time::{Clock, UnixMillis};

use super::error::StoreError;
use super::files::{exists, lock_dir, make_dir, sync_dir};
use super::index_key;
use super::key::{Keys, RecordKey};
use super::lane::{Lane, Shape};
use super::optout_log::OptOutLog;
use super::optouts::OptOuts;
use super::record::{Draft, Expect, Record, Written};
use super::seal::KeyRing;
use super::table::Table;
use super::writer::{Change, Command, Writer};

const INDEX_KEY: &str = "index.key";
const OPTOUT_LOG: &str = "optouts.log";
const DATABASE: &str = "db";

const READERS: usize = 2;
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
    table: Arc<Table>,
    clock: Clock,
    _lock: File,
}

/// What [`Disk::open`] is given besides the directory.
pub(super) struct Parts {
    pub(super) ring: KeyRing,
    pub(super) queue: usize,
    pub(super) clock: Clock,
    pub(super) up: IntGauge,
}

impl Disk {
    /// Opens the directory, filling `optouts` from its log.
    pub(super) fn open(path: &Path, parts: Parts, optouts: &OptOuts) -> Result<(Self, Keys), StoreError> {
        let Parts { ring, queue, clock, up } = parts;
        make_dir(path)?;
        let lock = lock_dir(path)?;
        let found = Found::in_dir(path)?;
        let keys = Keys::new(&found.index_key(path, &ring)?);
        let log = Mutex::new(found.optout_log(path, optouts, clock.now())?);
        let table = Arc::new(Table::open(&path.join(DATABASE), ring)?);
        sync_dir(path)?;
        let floor = AtomicU64::new(0);
        let writer = Writer { table: Arc::clone(&table), log, clock: clock.clone(), up, floor };
        let io = |e| StoreError::io(path, &e);
        let disk = Self {
            readers: start_readers(Arc::clone(&table), queue).map_err(io)?,
            writer: start_writer(writer, queue).map_err(io)?,
            table,
            clock,
            _lock: lock,
        };
        Ok((disk, keys))
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

    /// Visits the keys of all live records. Blocks the calling thread.
    pub(super) fn for_each_key(&self, visit: &mut dyn FnMut(RecordKey)) -> Result<u64, StoreError> {
        self.table.for_each_key(self.clock.now(), visit)
    }

    /// Does what is queued, ends the threads and flushes. Blocks the calling thread.
    pub(super) fn stop(&self) -> Result<(), StoreError> {
        self.readers.stop();
        self.writer.stop();
        self.table.flush()
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
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

    fn index_key(&self, path: &Path, ring: &KeyRing) -> Result<Secret<[u8; 32]>, StoreError> {
        let file = path.join(INDEX_KEY);
        if self.index_key {
            index_key::open(&file, ring)
        } else if self.optout_log || self.database {
            Err(StoreError::IndexKeyMissing(file))
        } else {
            index_key::create(&file, ring)
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

fn start_writer(writer: Writer, queue: usize) -> io::Result<Lane<Command>> {
    let shape = Shape { threads: 1, queue, batch: BATCH };
    Lane::start("store-write", shape, move |commands| writer.work(commands))
}
