//! Refresh-ahead: identities that were used lately are refreshed when they are due, before the next request asks for them.
//!
//! Off unless `identity.active_window_s` is set: a due token is good until it expires, and its next use refreshes it anyway. Each use
//! is worth one refresh ahead at most: the refreshed token counts as unused until somebody takes it.
//!
//! The round looks at the hot cache alone, keeps a bounded queue, and has few refreshes under way: a burst of due identities becomes
//! a line, and the operator's own limits (`max_concurrency`, `rate_per_s`) hold behind it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::MissedTickBehavior;

use super::cache::{Token, What};
use super::flight::Boarding;
use super::{Identities, Inner, Publisher};
use crate::privacy::Consent;
use crate::store::{Record, RecordKey};
use crate::time::UnixMillis;
use crate::uid2::{Scope, Times};

/// Between two looks at the cache: walking through a million entries takes a good part of a second.
const EVERY: Duration = Duration::from_secs(10);

/// Identities that wait for their refresh, at most; those beyond are found by the next look.
const QUEUE: usize = 10_000;

/// Refreshes of this kind under way at one time: those that requests ask for have the rest of the operator's slots.
const AT_ONCE: usize = 8;

/// The share of a token's life after `refresh_from` over which refreshes are spread, as a divisor (uid2-protocol §3.6).
const JITTER_SHARE: i64 = 10;

/// The publishers whose identities may be refreshed without a request of theirs.
#[derive(Default)]
pub(super) struct Served(RwLock<HashMap<(Arc<str>, Scope), Publisher>>);

impl Identities {
    /// Names the publishers that are served: whose identities are refreshed ahead, and with which credentials.
    pub fn serve(&self, publishers: impl IntoIterator<Item = Publisher>) {
        let named = publishers.into_iter().map(|it| ((Arc::clone(&it.id), it.scope()), it));
        *self.0.served.0.write().unwrap_or_else(PoisonError::into_inner) = named.collect();
    }
}

/// The moment from which a refresh is due: `refresh_from`, and a jitter of up to a tenth of the time from there to the token's end
/// and `longest` milliseconds, so that identities made together are not refreshed together. It follows from key and
/// times, so every look at a record, before or after a restart, comes to the same moment.
pub(super) fn due_at(key: &RecordKey, times: &Times, longest: i64) -> UnixMillis {
    let spread = (times.identity_expires.since(times.refresh_from) / JITTER_SHARE).clamp(0, longest.max(0));
    // The upper half of a product with an odd constant: the times of one user's tokens differ, and so do their jitters.
    let mixed = (key.prefix() ^ times.refresh_from.0.unsigned_abs()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let part = u128::from(mixed) * u128::from(spread.unsigned_abs() + 1);
    times.refresh_from.plus(i64::try_from(part >> u64::BITS).unwrap_or(0))
}

/// Starts the rounds, if they are wanted; they end when the floor is gone.
pub(super) fn start(inner: &Arc<Inner>) {
    if inner.settings.active_window_ms == 0 {
        return;
    }
    let weak = Arc::downgrade(inner);
    inner.control.spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if round(&weak).await.is_none() {
                return;
            }
        }
    });
}

async fn round(weak: &Weak<Inner>) -> Option<()> {
    let inner = weak.upgrade()?;
    let control = inner.control.clone();
    // Not on a thread that refreshes and logins run on.
    let due = control.spawn_blocking(move || inner.active_and_due()).await.unwrap_or_default();
    let queue = weak.upgrade()?.metrics.refresh_queue.clone();
    queue.add(i64::try_from(due.len()).unwrap_or(0));
    let refresh = |key| {
        queue.dec();
        let inner = weak.upgrade();
        async move {
            if let Some(inner) = inner {
                inner.refresh_ahead(key).await;
            }
        }
    };
    stream::iter(due).map(refresh).buffer_unordered(AT_ONCE).for_each(async |()| {}).await;
    Some(())
}

impl Inner {
    /// Keys of tokens that are due and were used within the window.
    fn active_and_due(&self) -> Vec<RecordKey> {
        let now = self.clock.now();
        self.cache.tokens(QUEUE, |token| self.is_active(token, now) && token.may_refresh(now))
    }

    fn is_active(&self, token: &Token, now: UnixMillis) -> bool {
        token.was_used_since(now.plus(-self.settings.active_window_ms))
    }

    async fn refresh_ahead(&self, key: RecordKey) {
        let now = self.clock.now();
        let entry = self.cache.find(&key);
        let Some(What::Token(token)) = entry.as_deref().map(|entry| &entry.what) else { return };
        let wanted = self.is_active(token, now) && !self.opted_out(&key, token.dii.as_ref(), now);
        if !wanted || !token.take_refresh(now) {
            return;
        }
        // Nobody's request: who they are and what they said stands in the record.
        let Ok(Some(record)) = self.store.read(key).await else { return };
        let Some((publisher, consent)) = self.on_whose_word(&record) else { return };
        match self.flights.board(key) {
            Boarding::First(pilot, _) => {
                let resolution = self.look_up(&pilot, &publisher, key, consent).await;
                pilot.land(&resolution);
                self.nobodys_use(&key);
            }
            Boarding::Joined(_) => {}
            Boarding::Full => token.put_off(now),
        }
    }

    /// What came of a refresh ahead was taken by no request yet.
    fn nobodys_use(&self, key: &RecordKey) {
        if let Some(What::Token(token)) = self.cache.find(key).as_deref().map(|entry| &entry.what) {
            token.used(UnixMillis(i64::MIN));
        }
    }

    /// The publisher that a record is served for, and the consent that what was said at login gives.
    fn on_whose_word(&self, record: &Record) -> Option<(Publisher, Consent)> {
        let served = self.served.0.read().unwrap_or_else(PoisonError::into_inner);
        let publisher = served.get(&(Arc::from(record.publisher.as_str()), record.scope))?.clone();
        let consent = self.allowed(&publisher, record).ok()?;
        Some((publisher, consent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn times(identity_expires: i64) -> Times {
        let (identity_expires, refresh_from) = (UnixMillis(identity_expires), UnixMillis(1_000));
        Times { refresh_from, identity_expires, refresh_expires: identity_expires }
    }

    fn jitters(times: &Times, longest: i64) -> Vec<i64> {
        (0..1_000_u64)
            .map(|n| {
                use sha2::{Digest, Sha256};
                let key = RecordKey::from_bytes(Sha256::digest(n.to_le_bytes()).into());
                assert_eq!(due_at(&key, times, longest), due_at(&key, times, longest));
                due_at(&key, times, longest).since(times.refresh_from)
            })
            .collect()
    }

    #[test]
    fn refreshes_are_spread_over_a_tenth_of_the_rest_of_the_life_but_no_longer_than_that() {
        let hour = jitters(&times(1_000 + 60 * MINUTE), 10 * MINUTE);
        let (least, most) = (hour.iter().min().unwrap(), hour.iter().max().unwrap());
        assert!(
            *least >= 0 && *least < MINUTE / 2 && *most <= 6 * MINUTE && *most > 5 * MINUTE,
            "{least} {most}"
        );
        let early = hour.iter().filter(|it| **it < 3 * MINUTE).count();
        assert!((400..600).contains(&early), "evenly: {early} of 1,000 in the first half");
        let days = jitters(&times(1_000 + 4_320 * MINUTE), 10 * MINUTE);
        assert!(days.iter().all(|it| *it <= 10 * MINUTE) && days.iter().any(|it| *it > 9 * MINUTE));
    }

    #[test]
    fn without_room_or_when_turned_off_there_is_no_jitter() {
        assert!(jitters(&times(1_000 + 60 * MINUTE), 0).iter().all(|it| *it == 0));
        assert!(jitters(&times(0), 10 * MINUTE).iter().all(|it| *it == 0), "expires before it is due");
    }
}
