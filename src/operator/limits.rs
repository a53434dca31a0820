//! How much we may ask of an operator: so many requests at one time, so many per second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

/// The gate in front of the operator. Waiting callers are served in order.
#[derive(Debug)]
pub(super) struct Gate {
    slots: Semaphore,
    rate: Option<Rate>,
}

/// Why nobody gets in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TooBusy;

impl Gate {
    /// `per_second` 0 means no rate limit; `concurrency` is at least 1.
    pub(super) fn new(concurrency: usize, per_second: u32) -> Self {
        let slots = Semaphore::new(concurrency.clamp(1, Semaphore::MAX_PERMITS));
        Self { slots, rate: (per_second > 0).then(|| Rate::new(per_second)) }
    }

    /// Waits for a slot and for the rate, but never beyond `until`. The slot is free again when the permit drops.
    pub(super) async fn enter(&self, until: Instant) -> Result<SemaphorePermit<'_>, TooBusy> {
        let slot = tokio::time::timeout_at(until, self.slots.acquire()).await;
        let permit = slot.map_err(|_| TooBusy)?.map_err(|_| TooBusy)?;
        if let Some(rate) = &self.rate {
            sleep_until(rate.reserve(Instant::now(), until)?).await;
        }
        Ok(permit)
    }
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
        let due = next.unwrap_or(now).max(now);
        let start = due.checked_sub(self.burst).map_or(now, |start| start.max(now));
        if start > until {
            return Err(TooBusy);
        }
        *next = Some(due + self.interval);
        Ok(start)
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
    async fn slots_come_back_when_permits_drop() {
        let gate = Gate::new(1, 0);
        let now = Instant::now();
        let permit = gate.enter(now).await.unwrap();
        assert_eq!(gate.enter(now).await.err(), Some(TooBusy));
        drop(permit);
        assert!(gate.enter(now).await.is_ok());
    }
}
