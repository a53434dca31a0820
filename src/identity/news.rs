//! A store that other gateways use, too: what they do is taken in as it is told, and one of them at a time refreshes a
//! record. Never on the way of an ad request. What could have been missed is looked up in `compare`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use super::cache::Entry;
use super::{Inner, compare};
use crate::store::{Holding, Lease, News, Record, RecordKey};
use crate::time::Clock;

/// How long somebody who may not refresh waits for whoever does.
const LEASE_WAIT: Duration = Duration::from_secs(2);

/// Records that are read again at once because others wrote them.
const READS: usize = 64;

/// Generations that are remembered, and for how long: longer than any answer of the store is on its way.
const TOLD: u64 = 16_384;
const TOLD_FOR: Duration = Duration::from_secs(10);

/// What a gateway keeps for working with others.
pub(super) struct Fleet {
    /// Half of it between two comparisons of the cache with the store.
    pub(super) max_stale: Duration,
    arrivals: Mutex<HashMap<RecordKey, Vec<oneshot::Sender<()>>>>,
    /// Generations of which was told lately: what was read before that, and is late, does not count any more.
    told: Cache<RecordKey, (u64, Instant)>,
    /// Something may have been missed.
    pub(super) missed: Notify,
}

impl Fleet {
    pub(super) fn new(max_stale: Duration) -> Self {
        Self { max_stale, arrivals: Mutex::default(), told: Cache::new(TOLD), missed: Notify::new() }
    }

    /// A record has this generation now.
    fn tell(&self, key: RecordKey, generation: u64) {
        let newest = self.told(&key).map_or(generation, |known| known.max(generation));
        self.told.insert(key, (newest, Clock::monotonic()));
    }

    fn told(&self, key: &RecordKey) -> Option<u64> {
        let (generation, at) = self.told.get(key)?;
        (at.elapsed() < TOLD_FOR).then_some(generation)
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
    inner.control.spawn(compare::compare(Arc::downgrade(inner)));
}

async fn listen(weak: Weak<Inner>, mut news: mpsc::Receiver<News>) {
    let reads = Arc::new(Semaphore::new(READS));
    while let Some(told) = news.recv().await {
        let Some(inner) = weak.upgrade() else { return };
        match told {
            News::Written { key, generation } => inner.written_elsewhere(key, generation, &reads),
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

impl Inner {
    /// Another gateway wrote a record, or this one did. Never waits: opt-outs come the same way.
    pub(super) fn written_elsewhere(
        self: &Arc<Self>,
        key: RecordKey,
        generation: u64,
        reads: &Arc<Semaphore>,
    ) {
        self.known.insert(&key);
        // It may lead elsewhere now.
        self.pointers.forget(&key);
        if let Some(fleet) = &self.fleet {
            // First, and then a look at the cache: whoever puts an older record there looks the other way round.
            fleet.tell(key, generation);
            fleet.arrived(&key);
        }
        let Some(entry) = self.cache.find(&key).filter(|entry| entry.generation != generation) else {
            return;
        };
        let Ok(permit) = Arc::clone(reads).try_acquire_owned() else {
            // More is written than can be read at once: whoever asks for this one next reads it.
            self.cache.forget_token(&key, entry.generation);
            return;
        };
        let inner = Arc::clone(self);
        self.control.spawn(async move {
            inner.replace_cached(key, entry.generation).await;
            drop(permit);
        });
    }

    /// Whether an entry was read before another gateway wrote the record.
    pub(super) fn is_outdated(&self, key: &RecordKey, entry: &Entry) -> bool {
        let Some(fleet) = &self.fleet else { return false };
        entry.what.is_stored() && fleet.told(key).is_some_and(|told| told > entry.generation)
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
