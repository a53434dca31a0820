//! A store that other gateways use, too: what they do is taken in as it is told, what could have been missed is looked up
//! again, and one of them at a time refreshes a record. Never on the way of an ad request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::Inner;
use super::cache::What;
use crate::store::{Holding, Lease, News, Record, RecordKey, StoreError};

/// How long somebody who may not refresh waits for whoever does.
const LEASE_WAIT: Duration = Duration::from_secs(2);

/// Records that are read again at once because others wrote them.
const READS: usize = 64;

/// Entries whose generations are asked for at once, and the pause between.
const STRIDE: usize = 512;
const PAUSE: Duration = Duration::from_millis(20);

/// Pause after a comparison that the store did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// What a gateway keeps for working with others.
pub(super) struct Fleet {
    /// Half of it between two comparisons of the cache with the store.
    max_stale: Duration,
    arrivals: Mutex<HashMap<RecordKey, Vec<oneshot::Sender<()>>>>,
    missed: Notify,
}

impl Fleet {
    pub(super) fn new(max_stale: Duration) -> Self {
        Self { max_stale, arrivals: Mutex::default(), missed: Notify::new() }
    }

    /// Ends when the next change of the record under `key` is told.
    fn arrival(&self, key: RecordKey) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = arrivals.entry(key).or_default();
        waiting.retain(|other| !other.is_closed());
        waiting.push(sender);
        receiver
    }

    fn arrived(&self, key: &RecordKey) {
        let waiting = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        for waiter in waiting.into_iter().flatten() {
            // Who no longer waits is nobody's concern.
            waiter.send(()).unwrap_or_default();
        }
    }

    /// Nobody waits for this key any more, unless others do.
    fn left(&self, key: &RecordKey) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = arrivals.get_mut(key) {
            waiting.retain(|other| !other.is_closed());
            if waiting.is_empty() {
                arrivals.remove(key);
            }
        }
    }
}

/// Starts taking in what the others do; it ends when the floor is gone.
pub(super) fn start(inner: &Arc<Inner>, news: mpsc::Receiver<News>) {
    inner.control.spawn(listen(Arc::downgrade(inner), news));
    inner.control.spawn(compare(Arc::downgrade(inner)));
}

async fn listen(weak: Weak<Inner>, mut news: mpsc::Receiver<News>) {
    let reads = Arc::new(Semaphore::new(READS));
    while let Some(told) = news.recv().await {
        let Some(inner) = weak.upgrade() else { return };
        match told {
            News::Written { key, generation } => inner.written_elsewhere(key, generation, &reads).await,
            News::OptOut(key) => {
                // In force already: the store holds it in memory. A stranger would not be asked about.
                inner.known.insert(&key);
                inner.measure_last_use(inner.cache.find(&key).as_deref(), inner.clock.now());
            }
            News::Missed => {
                if let Some(fleet) = &inner.fleet {
                    fleet.missed.notify_one();
                }
            }
        }
    }
}

/// Compares what is hot with the store, regularly and when something may have been missed.
async fn compare(weak: Weak<Inner>) {
    loop {
        let Some(inner) = weak.upgrade() else { return };
        let Some(fleet) = &inner.fleet else { return };
        let every = fleet.max_stale / 2;
        // Not held while waiting: the floor may go.
        let fleet = Arc::clone(fleet);
        drop(inner);
        drop(tokio::time::timeout(every, fleet.missed.notified()).await);
        while compare_all(&weak).await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn compare_all(weak: &Weak<Inner>) -> Result<(), StoreError> {
    let Some(inner) = weak.upgrade() else { return Ok(()) };
    let (sender, mut parts) = mpsc::channel(2);
    // Looking at a million entries takes a while: not on a thread that refreshes and logins run on.
    inner.control.clone().spawn_blocking(move || {
        let mut part = Vec::with_capacity(STRIDE);
        let sent = |part: Vec<_>| sender.blocking_send(part).is_ok();
        inner.cache.for_each_stored(&mut |key, generation| {
            part.push((key, generation));
            part.len() < STRIDE || sent(std::mem::replace(&mut part, Vec::with_capacity(STRIDE)))
        });
        sent(part)
    });
    while let Some(part) = parts.recv().await {
        let Some(inner) = weak.upgrade() else { return Ok(()) };
        inner.compare_part(part).await?;
        drop(inner);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

impl Inner {
    /// Another gateway wrote a record, or this one did.
    async fn written_elsewhere(self: &Arc<Self>, key: RecordKey, generation: u64, reads: &Arc<Semaphore>) {
        self.known.insert(&key);
        // It may lead elsewhere now.
        self.pointers.forget(&key);
        if let Some(fleet) = &self.fleet {
            fleet.arrived(&key);
        }
        if self.cache.find(&key).is_none_or(|entry| entry.generation >= generation) {
            return;
        }
        let Ok(permit) = Arc::clone(reads).acquire_owned().await else { return };
        let inner = Arc::clone(self);
        self.control.spawn(async move {
            inner.replace_cached(key).await;
            drop(permit);
        });
    }

    /// Puts what the store has in the place of what the cache has.
    async fn replace_cached(&self, key: RecordKey) {
        match self.store.read(key).await {
            Ok(Some(record)) => drop(self.take_in(key, &record)),
            Ok(None) => self.cache.forget(&key),
            Err(fault) => {
                // What is old is not kept: it may be of somebody who left. The next request reads it, or finds that it cannot.
                self.cache.forget(&key);
                tracing::debug!(error = %fault, "a record that another gateway wrote could not be read");
            }
        }
    }

    async fn compare_part(&self, part: Vec<(RecordKey, u64)>) -> Result<(), StoreError> {
        let keys = part.iter().map(|(key, _)| *key).collect();
        let stored = self.store.generations(keys).await?;
        for ((key, cached), stored) in part.into_iter().zip(stored) {
            if stored > cached {
                self.known.insert(&key);
                self.replace_cached(key).await;
            } else if stored == 0 && self.cache.find(&key).is_some_and(|entry| entry.generation == cached) {
                self.cache.forget(&key);
            }
        }
        Ok(())
    }

    /// Whether this gateway is the one to refresh a record; then it is until the answer is dropped. Otherwise returns when
    /// another gateway has refreshed it, or took too long. A store that does not answer stops no refresh.
    pub(super) async fn may_refresh(&self, key: RecordKey, record: &Record) -> Option<Holding> {
        let Some(fleet) = &self.fleet else { return Some(Holding::default()) };
        // Before the question: the news may be as fast as its answer.
        let arrival = fleet.arrival(key);
        let may = match self.store.lease(key, record.generation).await {
            Ok(Lease::Taken(held)) => Some(held),
            Ok(Lease::Outdated) => None,
            Ok(Lease::Elsewhere) => {
                drop(tokio::time::timeout(LEASE_WAIT, arrival).await);
                fleet.left(&key);
                return None;
            }
            Err(_) => Some(Holding::default()),
        };
        drop(arrival);
        fleet.left(&key);
        may
    }
}

impl What {
    /// Whether it was read from a record, which the store should still have.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self, Self::Token(_) | Self::Denied { .. })
    }
}
