//! What is hot is compared with a store that other gateways use, too: regularly, and when something may have been missed.

use std::sync::Weak;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Inner;
use super::cache::What;
use crate::store::{RecordKey, StoreError};

/// Entries whose generations are asked for at once, and the longest pause between.
const STRIDE: usize = 512;
const PAUSE: Duration = Duration::from_millis(20);

/// Pause after a comparison that the store did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// Compares for as long as the floor is there.
pub(super) async fn compare(weak: Weak<Inner>) {
    loop {
        let Some(fleet) = weak.upgrade().and_then(|inner| inner.fleet.clone()) else { return };
        // The floor is not held while waiting: it may go.
        let missed = tokio::time::timeout(fleet.max_stale / 2, fleet.missed.notified()).await.is_ok();
        while missed && learn_all(&weak).await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
        while compare_all(&weak).await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Takes in who came while nothing was heard: a user who is not known is not looked up, and an opt-out is not looked for.
async fn learn_all(weak: &Weak<Inner>) -> Result<(), StoreError> {
    let Some(inner) = weak.upgrade() else { return Ok(()) };
    inner.pointers.forget_all();
    let learned = inner.control.clone().spawn_blocking(move || inner.known.learn(&inner.store));
    learned.await.unwrap_or(Err(StoreError::Closed))
}

async fn compare_all(weak: &Weak<Inner>) -> Result<(), StoreError> {
    let Some(inner) = weak.upgrade() else { return Ok(()) };
    let (sender, mut parts) = mpsc::channel(2);
    let pause = pause(&inner);
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
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// All pauses together are a quarter of `store.max_stale_s` at most: half of it is over when a comparison begins.
fn pause(inner: &Inner) -> Duration {
    let parts = usize::try_from(inner.cache.size().0).unwrap_or(usize::MAX) / STRIDE + 1;
    let all = inner.fleet.as_ref().map_or(Duration::ZERO, |fleet| fleet.max_stale / 4);
    PAUSE.min(all / u32::try_from(parts).unwrap_or(u32::MAX))
}

impl Inner {
    pub(super) async fn compare_part(&self, part: Vec<(RecordKey, u64)>) -> Result<(), StoreError> {
        let keys = part.iter().map(|(key, _)| *key).collect();
        let stored = self.store.generations(keys).await?;
        for ((key, held), stored) in part.into_iter().zip(stored) {
            if stored == 0 && held > 0 {
                // It ended or was removed. A token that the store never took is not known there, and goes on.
                self.cache.forget_token(&key, held);
            } else if stored != held {
                self.replace_cached(key, held).await;
            }
        }
        Ok(())
    }

    /// Puts what the store has in the place of what the cache `held`. A marker gives way to something newer alone.
    pub(super) async fn replace_cached(&self, key: RecordKey, held: u64) {
        match self.store.read(key).await {
            Ok(Some(record)) => {
                if record.generation < held {
                    // The newer one was lost with a primary, and written over by a gateway whose clock is behind.
                    self.cache.forget_token(&key, held);
                }
                drop(self.take_in(key, &record));
            }
            Ok(None) => self.cache.forget_token(&key, held),
            Err(fault) => {
                // What is old is not kept: it may be of somebody who left. The next request reads it, or finds that it cannot.
                self.cache.forget_token(&key, held);
                tracing::debug!(error = %fault, "a record that another gateway wrote could not be read");
            }
        }
    }
}

impl What {
    /// Whether it was read from a record, which the store should still have.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self, Self::Token(_) | Self::Denied { .. })
    }
}
