//! Housekeeping, paced so that nobody notices: dead cache entries, expired records, a filter that grew too small.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Inner;

const TICK: Duration = Duration::from_secs(1);

/// Cache entries looked at per pause while sweeping.
const STRIDE: usize = 300;
const PAUSE: Duration = Duration::from_millis(5);

/// Store records removed per tick, at most.
const RECORDS: usize = 2_000;

/// Ticks between two sweeps of the cache.
const CACHE_EVERY: u64 = 30;

/// Starts the housekeeping; it ends when the floor is gone.
pub(super) fn start(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    inner.control.spawn(async move {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 1_u64.. {
            ticks.tick().await;
            if tick(&weak, round).await.is_none() {
                return;
            }
        }
    });
}

async fn tick(weak: &Weak<Inner>, round: u64) -> Option<()> {
    let inner = weak.upgrade()?;
    let (entries, bytes) = inner.cache.size();
    inner.metrics.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
    inner.metrics.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    if let Err(fault) = inner.store.sweep(inner.clock.now(), RECORDS).await {
        tracing::warn!(error = %fault, "expired records could not be removed");
    }
    if inner.known.is_full() {
        let building = Arc::clone(&inner);
        let built = inner.control.spawn_blocking(move || building.known.rebuild(&building.store)).await;
        if !matches!(built, Ok(Ok(()))) {
            tracing::warn!(
                "the filter of known users could not be rebuilt; strangers cost a look-up meanwhile"
            );
        }
    }
    drop(inner);
    if round.is_multiple_of(CACHE_EVERY) {
        sweep_cache(weak).await?;
    }
    Some(())
}

/// The dead go in small batches with pauses between: moka does its own work on whoever touches it.
async fn sweep_cache(weak: &Weak<Inner>) -> Option<()> {
    let inner = weak.upgrade()?;
    let now = inner.clock.now();
    // Looking at a million entries takes a while: not on a thread that refreshes and logins run on.
    let control = inner.control.clone();
    let dead = control.spawn_blocking(move || inner.cache.over(now)).await.unwrap_or_default();
    for batch in dead.chunks(STRIDE) {
        let inner = weak.upgrade()?;
        for key in batch {
            let over =
                inner.cache.find(key).is_some_and(|entry| inner.cache.is_over(&entry, inner.clock.now()));
            if over {
                inner.cache.forget(key);
            }
        }
        drop(inner);
        tokio::time::sleep(PAUSE).await;
    }
    Some(())
}
