//! How often: a token bucket, as one number that says when it will be full again (the generic cell rate algorithm, ITU-T
//! I.371).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NANOS_PER_S: u64 = 1_000_000_000;

/// A bucket that all threads take from. Taking is one compare-and-swap.
#[derive(Debug)]
pub struct Rate {
    settings: RateSettings,
    began: Instant,
    /// When the bucket is full again, nanoseconds after `began`.
    full: AtomicU64,
}

/// So many a second, and so many at once after a pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateSettings {
    /// A second; at least 1.
    pub per_s: u32,
    /// At once; at least 1.
    pub burst: u32,
}

impl Rate {
    /// A full bucket.
    pub fn new(settings: RateSettings, now: Instant) -> Self {
        Self { settings, began: now, full: AtomicU64::new(0) }
    }

    /// What it was made with.
    pub fn settings(&self) -> RateSettings {
        self.settings
    }

    /// Takes one, or says how long it takes until there is one again.
    pub fn try_take(&self, now: Instant) -> Result<(), Duration> {
        let now = u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        let each = NANOS_PER_S / u64::from(self.settings.per_s.max(1));
        let room = each.saturating_mul(u64::from(self.settings.burst.max(1)));
        let mut full = self.full.load(Ordering::Relaxed);
        loop {
            let next = full.max(now).saturating_add(each);
            let over = next.saturating_sub(now).saturating_sub(room);
            if over > 0 {
                return Err(Duration::from_nanos(over));
            }
            match self.full.compare_exchange_weak(full, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => full = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Clock;

    fn taken(rate: &Rate, now: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| rate.try_take(now).is_ok()).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = Clock::monotonic();
        let rate = Rate::new(RateSettings { per_s: 10, burst: 5 }, start);
        assert_eq!(taken(&rate, start, 20), 5, "the burst, and not one more");
        assert_eq!(rate.try_take(start), Err(Duration::from_millis(100)));
        assert_eq!(taken(&rate, start + Duration::from_millis(99), 3), 0);
        assert_eq!(taken(&rate, start + Duration::from_millis(100), 3), 1);
        assert_eq!(taken(&rate, start + Duration::from_millis(350), 9), 2);
        assert_eq!(taken(&rate, start + Duration::from_mins(1), 20), 5, "a pause fills it, no more");
    }

    #[test]
    fn time_that_seems_to_go_back_gives_nothing() {
        let start = Clock::monotonic();
        let rate = Rate::new(RateSettings { per_s: 1, burst: 1 }, start + Duration::from_secs(5));
        assert_eq!(taken(&rate, start, 3), 1);
    }

    #[test]
    fn threads_together_get_no_more_than_one_would() {
        let start = Clock::monotonic();
        let rate = Rate::new(RateSettings { per_s: 1, burst: 1_000 }, start);
        let all: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| taken(&rate, start, 1_000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(all, 1_000);
    }
}
