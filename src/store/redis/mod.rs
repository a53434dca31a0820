//! The store that a fleet of gateways shares: records, opt-outs and the news of both in Redis or Valkey, standalone, behind
//! Sentinel, or as a cluster.
//!
//! ```text
//! read, write, lease ──► main link ────┐
//! who left, with WAIT ──► assured link ─┼─► Redis     names: `names`; scripts: `scripts`
//! news of the others ◄── news link ────┘
//! watch: once a second: is it there, would it evict, is it still the same? If not: opt-outs are said again
//! ```
//!
//! Everything runs on a runtime of its own and has a limit of its own; a full house is [`StoreError::Busy`] at once, and a
//! Redis that is gone an error at once. WAIT stops the connection it comes on, and so does a read that blocks: each has its own.

mod address;
mod changes;
mod index;
mod info;
mod learned;
mod leases;
mod link;
mod names;
mod opt_outs;
mod records;
mod scan;
mod scripts;
mod watch;
mod wire;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use prometheus::IntGauge;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::disk::Pending;
use super::error::StoreError;
use super::key::RecordKey;
use super::offline::OptOut;
use super::opening::Opening;
use super::optout_log::Entry;
use super::optouts::OptOuts;
use super::record::{Draft, Expect, Record, Written};
use super::seal::KeyRing;
use crate::secret::Secret;
use crate::time::Clock;

pub use address::UrlError;
pub use changes::News;
pub use leases::{Holding, Lease};

use learned::Learned;
use link::Link;
use scan::Found;
use scripts::Scripts;
use wire::Dialer;

/// News that wait to be taken in, at most; then the stream waits.
const NEWS: usize = 4_096;

/// Calls to note opt-outs that may be under way.
const OPT_OUTS: u32 = 100_000;

/// Sweeps between two that look at opt-outs: one hash at a time, all of them in about an hour.
const SWEEPS: usize = 60;

/// `[store]` with `kind = "redis"`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Servers, sentinels or nodes of a cluster, credentials included.
    pub urls: Vec<Secret<String>>,
    /// The URLs are those of a cluster.
    pub cluster: bool,
    /// Certificates to trust, PEM; without them those of the machine.
    pub ca: Option<Vec<u8>>,
    /// For one answer.
    pub timeout: Duration,
    /// For one connection.
    pub connect_timeout: Duration,
    /// What is remembered of a record is compared with the store at least so often.
    pub max_stale: Duration,
    /// Replicas that an opt-out must have reached; `None`: one, where there is any.
    pub wait_replicas: Option<u32>,
}

impl Settings {
    /// Whether the URLs can be used together, before anything is opened.
    pub fn check(&self) -> Result<(), UrlError> {
        address::read(self).map(|_| ())
    }
}

/// What [`Redis::open`] is given besides the settings.
pub(super) struct Parts {
    pub(super) ring: KeyRing,
    pub(super) queue: usize,
    pub(super) clock: Clock,
    pub(super) up: IntGauge,
    pub(super) opening: Opening,
    pub(super) optouts: Arc<OptOuts>,
}

/// The store in Redis.
pub(super) struct Redis {
    /// `None` only while being dropped.
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    /// All of it.
    places: usize,
    opt_out_room: Arc<Semaphore>,
    max_stale: Duration,
    /// Until somebody takes it.
    news: Mutex<Option<mpsc::Receiver<News>>>,
    sweeps: AtomicUsize,
    found: Mutex<Found>,
}

/// What all tasks work with.
struct Shared {
    main: Link,
    assured: Link,
    news: Link,
    scripts: Scripts,
    ring: KeyRing,
    clock: Clock,
    optouts: Arc<OptOuts>,
    learned: Learned,
    timeout: Duration,
    wait_replicas: Option<u32>,
    untold: mpsc::Sender<changes::Change>,
    listener: mpsc::Sender<News>,
    /// Somebody takes the news.
    listening: AtomicBool,
    /// Something may have been missed: memory and Redis are to be compared.
    owed: AtomicBool,
    /// More was written than could be told.
    overflowed: AtomicBool,
    /// INFO is not shown to us.
    blind: AtomicBool,
    /// Why Redis cannot be relied on.
    unfit: ArcSwapOption<String>,
    up: IntGauge,
}

impl Redis {
    /// Connects, reads the opt-outs into memory, and starts to follow what the others do. Blocks the calling thread.
    pub(super) fn open(settings: &Settings, parts: Parts) -> Result<(Self, Secret<[u8; 32]>), StoreError> {
        // The one that everything here uses; whoever was first may have installed it already.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let address = address::read(settings)?;
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("store-redis").enable_all();
        let runtime = runtime.build().map_err(|_| StoreError::Broken("no runtime for Redis"))?;
        let (sender, opened) = std::sync::mpsc::sync_channel(1);
        let (places, max_stale, settings) = (parts.queue.max(1), settings.max_stale, settings.clone());
        runtime.spawn(async move { drop(sender.send(start(address, settings, parts).await)) });
        let opened = opened.recv().map_err(|_| StoreError::Broken("opening Redis panicked"))?;
        let (runtime, sweeps) = (Some(runtime), AtomicUsize::new(0));
        match opened {
            Ok(Started { shared, index_key, news }) => {
                let (room, news) = (Arc::new(Semaphore::new(places)), Mutex::new(Some(news)));
                let found = Mutex::new(Found::Not);
                let opt_out_room = Arc::new(Semaphore::new(OPT_OUTS as usize));
                let redis =
                    Self { runtime, shared, room, places, opt_out_room, max_stale, news, sweeps, found };
                Ok((redis, index_key))
            }
            Err(fault) => {
                runtime.into_iter().for_each(Runtime::shutdown_background);
                Err(fault)
            }
        }
    }

    pub(super) fn read(&self, key: RecordKey) -> Result<Pending<Option<Record>>, StoreError> {
        self.work(|shared| async move { shared.read(key).await })
    }

    pub(super) fn write(
        &self,
        key: RecordKey,
        expect: Expect,
        draft: Draft,
    ) -> Result<Pending<Written>, StoreError> {
        self.work(move |shared| async move { shared.write(key, expect, draft).await })
    }

    /// Opt-outs do not compete for room with anything else.
    pub(super) fn opt_outs(&self, entries: Vec<Entry>) -> Result<Pending<()>, StoreError> {
        self.spawn(&self.opt_out_room, move |shared| async move { shared.opt_outs(entries).await })
    }

    pub(super) fn lease(&self, key: RecordKey, generation: u64) -> Result<Pending<Lease>, StoreError> {
        self.work(move |shared| shared.lease(key, generation))
    }

    /// The generations of the live records under these keys, in their order; 0 where there is none.
    pub(super) fn generations(&self, keys: Vec<RecordKey>) -> Result<Pending<Vec<u64>>, StoreError> {
        self.work(move |shared| async move {
            let each = keys.into_iter().map(|key| shared.generation(key));
            futures_util::future::try_join_all(each).await
        })
    }

    /// Records end by themselves; opt-outs that ended are removed, now and then.
    pub(super) fn sweep(&self) -> Result<Pending<u64>, StoreError> {
        let turn = self.sweeps.fetch_add(1, Ordering::Relaxed);
        self.work(move |shared| async move {
            if turn % SWEEPS != SWEEPS - 1 {
                return Ok(0);
            }
            shared.sweep_bucket(turn / SWEEPS % opt_outs::BUCKETS).await
        })
    }

    /// Every opt-out in force. Blocks the calling thread.
    pub(super) fn opt_outs_in_force(&self) -> Result<Vec<OptOut>, StoreError> {
        self.wait_for(|shared| async move { shared.opt_outs_in_force().await })
    }

    /// Removes records, live or not, and tells everybody; the number removed.
    pub(super) fn forget(&self, keys: Vec<RecordKey>) -> Result<Pending<u64>, StoreError> {
        self.work(move |shared| async move { shared.forget(keys).await })
    }

    /// What the other gateways do; for the first who asks.
    pub(super) fn take_news(&self) -> Option<mpsc::Receiver<News>> {
        let news = self.news.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.shared.listening.store(news.is_some() || self.listens(), Ordering::Release);
        news
    }

    fn listens(&self) -> bool {
        self.shared.listening.load(Ordering::Acquire)
    }

    pub(super) fn max_stale(&self) -> Duration {
        self.max_stale
    }

    /// Why this Redis cannot be relied on.
    pub(super) fn unfit(&self) -> Option<String> {
        self.shared.unfit.load().as_deref().cloned()
    }

    /// Takes no more, and waits for what is under way, no longer than that may take. Blocks the calling thread.
    pub(super) fn stop(&self) {
        let Ok(runtime) = self.handle() else { return };
        let all = u32::try_from(self.places).unwrap_or(u32::MAX);
        let done = async {
            // Nobody closes them but this, and only afterwards.
            drop(self.room.acquire_many(all).await);
            drop(self.opt_out_room.acquire_many(OPT_OUTS).await);
        };
        if runtime.block_on(async { tokio::time::timeout(self.shared.timeout * 4, done).await }).is_err() {
            tracing::warn!("the store is closed while Redis still owes answers");
        }
    }

    fn work<T, F, W>(&self, work: W) -> Result<Pending<T>, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        W: FnOnce(Arc<Shared>) -> F,
    {
        self.spawn(&self.room, work)
    }

    fn spawn<T, F, W>(&self, room: &Arc<Semaphore>, work: W) -> Result<Pending<T>, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        W: FnOnce(Arc<Shared>) -> F,
    {
        let permit = Arc::clone(room).try_acquire_owned().map_err(|_| StoreError::Busy)?;
        let (answer, pending) = oneshot::channel();
        let work = work(Arc::clone(&self.shared));
        self.handle()?.spawn(async move {
            let done = work.await;
            // A caller that no longer waits is no fault.
            drop(answer.send(done));
            drop(permit);
        });
        Ok(pending)
    }

    fn handle(&self) -> Result<&tokio::runtime::Handle, StoreError> {
        self.runtime.as_ref().map(Runtime::handle).ok_or(StoreError::Closed)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not waited for: this may be a thread that must not block.
            runtime.shutdown_background();
        }
    }
}

/// What [`start`] has made.
struct Started {
    shared: Arc<Shared>,
    index_key: Secret<[u8; 32]>,
    news: mpsc::Receiver<News>,
}

async fn start(address: address::Address, settings: Settings, parts: Parts) -> Result<Started, StoreError> {
    let Parts { ring, clock, up, opening, optouts, .. } = parts;
    let Settings { timeout, connect_timeout, wait_replicas, .. } = settings;
    let dialer = |answer_timeout| Dialer { address: address.clone(), connect_timeout, answer_timeout };
    let blocking = changes::BLOCK + timeout;
    let (untold, waiting) = mpsc::channel(changes::UNTOLD);
    let (listener, news) = mpsc::channel(NEWS);
    let shared = Arc::new(Shared {
        main: Link::keep("records", dialer(timeout), timeout),
        assured: Link::keep("opt-outs", dialer(timeout * 2), timeout),
        news: Link::keep("news", dialer(blocking), blocking),
        scripts: Scripts::new(),
        ring,
        clock,
        optouts,
        learned: Learned::default(),
        timeout,
        wait_replicas,
        untold,
        listener,
        listening: AtomicBool::new(false),
        owed: AtomicBool::new(false),
        overflowed: AtomicBool::new(false),
        blind: AtomicBool::new(false),
        unfit: ArcSwapOption::empty(),
        up,
    });
    shared.main.first().await?;
    let look = shared.look().await?;
    shared.judge(&look, None);
    let index_key = index::obtain(&shared, &opening).await?;
    // Before anything is loaded: whatever changes meanwhile is read from there.
    let (seen, _) = shared.ends().await?;
    shared.reconcile().await?;
    tokio::spawn(changes::follow(Arc::clone(&shared), seen));
    tokio::spawn(changes::catch_up(Arc::clone(&shared), waiting));
    tokio::spawn(watch::watch(Arc::clone(&shared), look.identity, index_key.clone()));
    Ok(Started { shared, index_key, news })
}
