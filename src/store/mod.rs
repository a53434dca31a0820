//! Identity records at rest: memory, disk or Redis, sealed, durable before a login is answered. The picture is that of the disk;
//! for Redis see [`redis`].
//!
//! ```text
//! read, sweep ──► reader threads ─┐                      path/lock         one process at a time
//!                                 ├─► database (fjall)   path/index.key    the key of all record keys, wrapped
//! write ────────► writer thread ──┤                      path/db/          sealed records
//! opt_out ──────► (group commit)  └─► opt-out log        path/optouts.log  who opted out, never rewritten
//! opted_out ────► memory
//! ```
//!
//! All queues are bounded; a full one answers [`StoreError::Busy`] at once. A write is answered when its batch is on
//! the disk. No operation needs a particular runtime, and none blocks the thread that awaits it.

mod census;
mod codec;
mod codec_said;
mod copy;
mod damage;
mod disk;
mod error;
#[cfg(test)]
mod faults;
mod files;
mod fleet;
mod index_key;
mod key;
mod lane;
mod memory;
mod metrics;
mod offline;
mod opening;
mod optout_log;
mod optouts;
mod record;
mod redis;
#[cfg(test)]
mod samples;
mod seal;
mod sealed;
mod sealing;
mod table;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot};

use crate::secret::Secret;
use crate::time::{Clock, UnixMillis};

pub use census::{Census, Phases, TenantCensus};
pub use codec::CodecError;
pub use copy::{Copied, copy};
pub use error::StoreError;
#[cfg(test)]
pub(crate) use faults::Fails;
pub use key::{Keys, RecordKey, Tenant};
pub use metrics::Metrics;
pub use offline::OptOut;
pub use optouts::By;
pub use record::{Draft, Expect, Origin, Record, State, Written};
pub use redis::{Holding, Lease, News, Settings as RedisSettings, UrlError};
pub use seal::OpenError;
pub use sealing::{Purpose, Sealed};
#[cfg(test)]
pub(crate) use tests::redis::Server as RedisServer;

use self::redis::{Parts as RedisParts, Redis};
use disk::{Disk, Parts, Pending};
use lane::answer;
use memory::Memory;
use metrics::Op;
use opening::Opening;
use optout_log::Entry;
use optouts::OptOuts;
use seal::KeyRing;
use writer::Command;

/// `[store]` of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where records are kept.
    pub kind: Kind,
    /// The key everything at rest hangs on, and what browsers and apps keep for us, 32 bytes.
    pub encryption_key: Secret<[u8; 32]>,
    /// Keys used before it; they still open what they sealed.
    pub previous_keys: Vec<Secret<[u8; 32]>>,
    /// Operations that may wait, for the readers and for the writer each; at least 1.
    pub queue: usize,
}

/// Where records are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// In this process, for as long as it lives.
    Memory,
    /// In a directory of the local disk.
    Disk {
        /// The directory; made when it is not there.
        path: PathBuf,
    },
    /// In Redis or Valkey, shared with other gateways.
    Redis(RedisSettings),
}

/// The identity store. Cloning gives another handle on the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    keys: Keys,
    /// What the keys are made with.
    index_key: Secret<[u8; 32]>,
    /// Seals what others keep for us.
    ring: KeyRing,
    clock: Clock,
    metrics: Metrics,
    optouts: Arc<OptOuts>,
    /// `None` once closed. Nobody keeps the `Arc` while waiting, so closing gives the directory free.
    backend: RwLock<Option<Arc<Backend>>>,
    #[cfg(test)]
    faults: faults::Faults,
}

enum Backend {
    Memory(Memory),
    Disk(Disk),
    Redis(Redis),
}

/// Where opt-outs are on their way to.
enum Logged {
    /// They wait for room in this queue.
    Queue(mpsc::Sender<Command>),
    Pending(Pending<()>),
}

/// An answer of any backend.
enum Asked<T> {
    Answered(T),
    Pending(Pending<T>),
}

impl<T> Asked<T> {
    async fn answer(self) -> Result<T, StoreError> {
        match self {
            Self::Answered(answer) => Ok(answer),
            Self::Pending(pending) => answer(pending).await,
        }
    }
}

impl Store {
    /// Opens the store, making it when there is none. Blocks on the disk.
    pub fn open(settings: Settings, clock: Clock, metrics: Metrics) -> Result<Self, StoreError> {
        Self::open_as(settings, clock, metrics, Opening::Serving)
    }

    fn open_as(
        settings: Settings,
        clock: Clock,
        metrics: Metrics,
        opening: Opening,
    ) -> Result<Self, StoreError> {
        let Settings { kind, encryption_key, previous_keys, queue } = settings;
        let optouts = Arc::new(OptOuts::new());
        let sealing = KeyRing::new(&encryption_key, &previous_keys);
        let (backend, index_key) = match kind {
            Kind::Memory => {
                (Backend::Memory(Memory::default()), opening.index_key().map_or_else(index_key::random, Ok)?)
            }
            Kind::Disk { path } => {
                let ring = KeyRing::new(&encryption_key, &previous_keys);
                let parts = Parts { ring, queue, clock: clock.clone(), up: metrics.up.clone(), opening };
                let (disk, index_key) = Disk::open(&path, parts, &optouts)?;
                (Backend::Disk(disk), index_key)
            }
            Kind::Redis(settings) => {
                let ring = KeyRing::new(&encryption_key, &previous_keys);
                let (clock, up, optouts) = (clock.clone(), metrics.up.clone(), Arc::clone(&optouts));
                let parts = RedisParts { ring, queue, clock, up, opening, optouts };
                let (redis, index_key) = Redis::open(&settings, parts)?;
                (Backend::Redis(redis), index_key)
            }
        };
        metrics.up.set(1);
        let backend = RwLock::new(Some(Arc::new(backend)));
        Ok(Self(Arc::new(Inner {
            keys: Keys::new(&index_key),
            index_key,
            ring: sealing,
            clock,
            metrics,
            optouts,
            backend,
            #[cfg(test)]
            faults: faults::Faults::default(),
        })))
    }

    /// What makes this store's record keys.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// The live record under `key`.
    pub async fn read(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        self.timed(Op::Read, async {
            let asked = match &*self.backend()? {
                Backend::Memory(memory) => Asked::Answered(memory.read(&key, self.0.clock.now())),
                Backend::Disk(disk) => Asked::Pending(disk.read(key)?),
                Backend::Redis(redis) => Asked::Pending(redis.read(key)?),
            };
            asked.answer().await
        })
        .await
    }

    /// Replaces the record under `key` when `expect` holds; answers when it is durable.
    ///
    /// Dropping the future does not take the write back.
    pub async fn write(&self, key: RecordKey, expect: Expect, draft: Draft) -> Result<Written, StoreError> {
        self.timed(Op::Write, async {
            let asked = match &*self.backend()? {
                Backend::Memory(memory) => {
                    Asked::Answered(memory.write(key, expect, draft, self.0.clock.now()))
                }
                Backend::Disk(disk) => Asked::Pending(disk.write(key, expect, draft)?),
                Backend::Redis(redis) => Asked::Pending(redis.write(key, expect, draft)?),
            };
            asked.answer().await
        })
        .await
    }

    /// Opts keys out: known since `at`, in force from now until `until`, answered when durable. Waits for room in a
    /// full queue rather than fail.
    ///
    /// After an error the opt-outs are in force in this process, but may be forgotten by the next: try again.
    pub async fn opt_out(
        &self,
        keys: Vec<RecordKey>,
        at: UnixMillis,
        until: UnixMillis,
    ) -> Result<(), StoreError> {
        for key in &keys {
            self.0.optouts.add(*key, By::Operator, until);
        }
        let entry = |key| Entry { kind: optout_log::Kind::Add, key, at, until };
        self.log_opt_outs(keys.into_iter().map(entry).collect()).await
    }

    /// Opts a key out on the publisher's own word, in force from now until it is [taken back](Self::site_opt_in), and
    /// answered when durable. After an error it is in force in this process alone: try again.
    pub async fn site_opt_out(&self, key: RecordKey, at: UnixMillis) -> Result<(), StoreError> {
        let until = UnixMillis(i64::MAX);
        self.0.optouts.add(key, By::Site, until);
        self.log_opt_outs(vec![Entry { kind: optout_log::Kind::SiteAdd, key, at, until }]).await
    }

    /// Takes the publisher's own opt-out back, when that is durable; an operator's stays.
    pub async fn site_opt_in(&self, key: RecordKey, at: UnixMillis) -> Result<(), StoreError> {
        let kind = optout_log::Kind::SiteRemove;
        self.log_opt_outs(vec![Entry { kind, key, at, until: at }]).await?;
        self.0.optouts.remove(&key, By::Site);
        Ok(())
    }

    async fn log_opt_outs(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        self.timed(Op::OptOut, async {
            let asked = match &*self.backend()? {
                Backend::Memory(_) => return Ok(()),
                Backend::Disk(disk) => Logged::Queue(disk.writer_queue()?),
                Backend::Redis(redis) => Logged::Pending(redis.opt_outs(entries.clone())?),
            };
            let queue = match asked {
                Logged::Queue(queue) => queue,
                Logged::Pending(pending) => return answer(pending).await,
            };
            let (sender, pending) = oneshot::channel();
            let command = Command::OptOut { entries, answer: sender };
            queue.send(command).await.map_err(|_| StoreError::Closed)?;
            answer(pending).await
        })
        .await
    }

    /// Whether the key is opted out at `now`. In memory and cheap; works after [`Store::close`] too.
    pub fn opted_out(&self, key: &RecordKey, now: UnixMillis) -> bool {
        self.0.optouts.contains(key, now)
    }

    /// Whether the publisher itself opted the key out.
    pub fn opted_out_at_site(&self, key: &RecordKey, now: UnixMillis) -> bool {
        self.0.optouts.at_site(key, now)
    }

    /// Visits the keys of all live records, then of all opt-outs; the number of visits. A key that has both is
    /// visited twice, and a record that ended since the store was opened may be among them. Blocks the calling thread,
    /// on the disk too.
    pub fn for_each_key(&self, visit: &mut dyn FnMut(RecordKey)) -> Result<u64, StoreError> {
        let now = self.0.clock.now();
        let records = match &*self.backend()? {
            Backend::Memory(memory) => memory.for_each_key(now, visit),
            Backend::Disk(disk) => disk.for_each_key(visit)?,
            Backend::Redis(redis) => redis.for_each_key(visit)?,
        };
        Ok(records + self.0.optouts.for_each(now, visit))
    }

    /// Looks at up to `max` records, from where the last sweep stopped, and removes those that ended by `now`;
    /// the number removed.
    pub async fn sweep(&self, now: UnixMillis, max: usize) -> Result<u64, StoreError> {
        self.0.optouts.sweep(now);
        self.timed(Op::Sweep, async {
            let ended = match &*self.backend()? {
                Backend::Memory(memory) => return Ok(memory.sweep(now, max)),
                Backend::Disk(disk) => Ok(disk.ended(now, max)?),
                Backend::Redis(redis) => Err(redis.sweep()?),
            };
            let ended = match ended {
                Ok(ended) => ended,
                Err(swept) => return answer(swept).await,
            };
            let keys = answer(ended).await?;
            if keys.is_empty() {
                return Ok(0);
            }
            let removed = match &*self.backend()? {
                Backend::Memory(_) | Backend::Redis(_) => return Ok(0),
                Backend::Disk(disk) => disk.remove(keys, now)?,
            };
            let removed = answer(removed).await?;
            if let Backend::Disk(disk) = &*self.backend()? {
                disk.swept(removed);
            }
            Ok(removed)
        })
        .await
    }

    /// Does what was asked before, flushes, and gives the directory free; later calls are [`StoreError::Closed`].
    ///
    /// Dropping the last handle does the same, but blocks the thread that drops it.
    pub async fn close(&self) -> Result<(), StoreError> {
        let taken = self.0.backend.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(backend) = taken else { return Ok(()) };
        let (sender, pending) = oneshot::channel();
        let up = self.0.metrics.up.clone();
        // A thread of its own: no particular runtime is needed, and waiting for the disk blocks none.
        let stopping = std::thread::Builder::new().name(String::from("store-close")).spawn(move || {
            let outcome = match &*backend {
                Backend::Memory(_) => Ok(()),
                Backend::Disk(disk) => disk.stop(),
                Backend::Redis(redis) => {
                    redis.stop();
                    Ok(())
                }
            };
            up.set(0);
            drop(backend);
            drop(sender.send(outcome));
        });
        stopping.map_err(|_| StoreError::Broken("no thread to close with"))?;
        answer(pending).await
    }

    async fn timed<T: metrics::Answer>(
        &self,
        op: Op,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        self.0.faults.strike(op)?;
        let start = Clock::monotonic();
        let answer = work.await;
        self.0.metrics.count(op, start, &answer);
        answer
    }

    fn backend(&self) -> Result<Arc<Backend>, StoreError> {
        let backend = self.0.backend.read().unwrap_or_else(PoisonError::into_inner);
        backend.clone().ok_or(StoreError::Closed)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[store]")
    }
}
