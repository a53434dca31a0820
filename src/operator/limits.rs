//! How much we may ask of an operator: so many requests at one time, so many per second; logins before refreshes.
//!
//! A login has somebody who waits for it; a refresh has a token that is good meanwhile. So refreshes never take the last
//! quarter of the slots, never stand in the queue for them in numbers, and never reserve a place of the rate ahead: they
//! take one that is free when its moment has come. However many refreshes are due, a login waits for at most those
//! that are on the way.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// Somebody waits for the answer.
    Login,
    /// Nobody does.
    Refresh,
}

/// The gate in front of the operator. Waiting callers of a class are served in order.
#[derive(Debug)]
pub(super) struct Gate {
    slots: Semaphore,
    /// What refreshes may have of the slots; taken before a slot.
    refreshes: Semaphore,
    rate: Option<Rate>,
}

/// A request on the way; its places are free again when it drops.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _slot: SemaphorePermit<'a>,
    _refresh: Option<SemaphorePermit<'a>>,
}

/// Why nobody gets in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooBusy;

impl Gate {
    /// `per_second` 0 means no rate limit; `concurrency` is at least 1.
    pub(super) fn new(concurrency: usize, per_second: u32) -> Self {
        let slots = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let kept = slots.div_ceil(4);
        Self {
            slots: Semaphore::new(slots),
            refreshes: Semaphore::new((slots - kept).max(1)),
            rate: (per_second > 0).then(|| Rate::new(per_second)),
        }
    }

    /// Waits for a slot and for the rate, but never beyond `until`.
    pub(super) async fn enter(&self, class: Class, until: Instant) -> Result<Place<'_>, TooBusy> {
        let refresh = match class {
            Class::Login => None,
            Class::Refresh => Some(acquire(&self.refreshes, until).await?),
        };
        let slot = acquire(&self.slots, until).await?;
        match (&self.rate, class) {
            (None, _) => {}
            (Some(rate), Class::Login) => sleep_until(rate.reserve(Instant::now(), until)?).await,
            (Some(rate), Class::Refresh) => {
                while let Err(free) = rate.take(Instant::now(), until)? {
                    sleep_until(free).await;
                }
            }
        }
        Ok(Place { _slot: slot, _refresh: refresh })
    }
}

async fn acquire(from: &Semaphore, until: Instant) -> Result<SemaphorePermit<'_>, TooBusy> {
    let permit = tokio::time::timeout_at(until, from.acquire()).await;
    permit.map_err(|_| TooBusy)?.map_err(|_| TooBusy)
}

/// A token bucket told as time: the moment from which the next request fits (GCRA). It holds a tenth of a second's
/// requests, so that a burst after a pause stays small.
#[derive(Debug)]
struct Rate {
    interval: Duration,
    burst: Duration,
    /// A plain lock: nothing awaits under it.
    next: Mutex<Option<Instant>>,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second;
        let burst = interval * (per_second / 10).saturating_sub(1);
        Self { interval, burst, next: Mutex::new(None) }
    }

    /// The moment at which this request may go. Nothing is taken when that would be after `until`.
    fn reserve(&self, now: Instant, until: Instant) -> Result<Instant, TooBusy> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (due, start) = self.place(*next, now);
        if start > until {
            return Err(TooBusy);
        }
        *next = Some(due + self.interval);
        Ok(start)
    }

    /// Takes the place of this moment, if it is free; else says when one may be.
    fn take(&self, now: Instant, until: Instant) -> Result<Result<(), Instant>, TooBusy> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (due, start) = self.place(*next, now);
        if start > until {
            return Err(TooBusy);
        }
        if start > now {
            return Ok(Err(start));
        }
        *next = Some(due + self.interval);
        Ok(Ok(()))
    }

    /// The next place, and from when it may be used.
    fn place(&self, next: Option<Instant>, now: Instant) -> (Instant, Instant) {
        let due = next.unwrap_or(now).max(now);
        (due, due.checked_sub(self.burst).map_or(now, |start| start.max(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn waits_ms(rate: &Rate, now: Instant, requests: usize) -> Vec<u128> {
        let wait = |_| rate.reserve(now, now + SECOND * 60).unwrap().duration_since(now).as_millis();
        (0..requests).map(wait).collect()
    }

    #[test]
    fn a_small_burst_goes_at_once_and_the_rest_at_the_rate() {
        let now = Instant::now();
        let rate = Rate::new(20);
        assert_eq!(waits_ms(&rate, now, 5), [0, 0, 50, 100, 150]);
        assert_eq!(waits_ms(&rate, now + SECOND, 3), [0, 0, 50], "refilled, and no fuller than before");
        assert_eq!(waits_ms(&Rate::new(2), now, 3), [0, 500, 1_000]);
    }

    #[test]
    fn a_request_that_would_start_too_late_takes_nothing() {
        let now = Instant::now();
        let rate = Rate::new(1);
        assert_eq!(rate.reserve(now, now), Ok(now));
        assert_eq!(rate.reserve(now, now + SECOND - Duration::from_millis(1)), Err(TooBusy));
        assert_eq!(rate.reserve(now, now + SECOND), Ok(now + SECOND));
    }

    #[tokio::test]
    async fn slots_come_back_when_places_drop() {
        for class in [Class::Login, Class::Refresh] {
            let gate = Gate::new(1, 0);
            let now = Instant::now();
            let place = gate.enter(class, now).await.unwrap();
            assert_eq!(gate.enter(class, now).await.err(), Some(TooBusy));
            drop(place);
            assert!(gate.enter(class, now).await.is_ok());
        }
    }

    #[tokio::test]
    async fn refreshes_leave_a_quarter_of_the_slots_to_logins() {
        for (slots, theirs) in [(1, 1), (2, 1), (3, 2), (4, 3), (32, 24)] {
            let gate = Gate::new(slots, 0);
            let now = Instant::now();
            let mut held = Vec::new();
            while let Ok(place) = gate.enter(Class::Refresh, now).await {
                held.push(place);
            }
            assert_eq!(held.len(), theirs, "of {slots}");
            while let Ok(place) = gate.enter(Class::Login, now).await {
                held.push(place);
            }
            assert_eq!(held.len(), slots);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_refreshes_do_not_hold_up_a_login() {
        let gate = std::sync::Arc::new(Gate::new(8, 10));
        let start = Instant::now();
        let until = start + SECOND * 600;
        let one = |gate: std::sync::Arc<Gate>| async move {
            gate.enter(Class::Refresh, until).await.map(drop).unwrap();
        };
        let refreshes: Vec<_> = (0..1_000).map(|_| tokio::spawn(one(std::sync::Arc::clone(&gate)))).collect();
        tokio::time::advance(SECOND).await;
        let asked = Instant::now();
        drop(gate.enter(Class::Login, until).await.unwrap());
        let waited = asked.elapsed();
        assert!(waited <= Duration::from_millis(101), "one place of the rate at most: {waited:?}");
        for refresh in refreshes {
            refresh.await.unwrap();
        }
        let took = start.elapsed();
        assert!((SECOND * 99..SECOND * 102).contains(&took), "all were served, at the rate: {took:?}");
    }
}
