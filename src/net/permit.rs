//! How many at once: permits that give themselves back on drop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntGauge;

/// A bound on what is in flight. Clones share the same permits, across threads.
#[derive(Clone, Debug)]
pub struct Permits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    taken: AtomicUsize,
    gauge: Option<IntGauge>,
}

/// One of the permits; dropping it gives it back.
#[derive(Debug)]
#[must_use = "a dropped permit is given back at once"]
pub struct Permit(Arc<Shared>);

impl Permits {
    /// `limit` permits; with 0 none is ever given.
    pub fn new(limit: usize) -> Self {
        Self::build(limit, None)
    }

    /// Like [`Permits::new`]; `gauge` follows what is taken, and may be shared with other `Permits`.
    pub fn with_gauge(limit: usize, gauge: IntGauge) -> Self {
        Self::build(limit, Some(gauge))
    }

    /// A permit, or `None` when all are taken. Never waits.
    pub fn try_take(&self) -> Option<Permit> {
        let free = |taken| (taken < self.0.limit).then_some(taken + 1);
        self.0.taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, free).ok()?;
        if let Some(gauge) = &self.0.gauge {
            gauge.inc();
        }
        Some(Permit(Arc::clone(&self.0)))
    }

    /// How many permits are taken now.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }

    fn build(limit: usize, gauge: Option<IntGauge>) -> Self {
        Self(Arc::new(Shared { limit, taken: AtomicUsize::new(0), gauge }))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        if let Some(gauge) = &self.0.gauge {
            gauge.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_a_drop_gives_back() {
        let permits = Permits::new(2);
        let first = permits.try_take().unwrap();
        let second = permits.clone().try_take().unwrap();
        assert!(permits.try_take().is_none());
        assert_eq!(permits.taken(), 2);
        drop(first);
        let third = permits.try_take().unwrap();
        assert!(permits.try_take().is_none());
        drop((second, third));
        assert_eq!(permits.taken(), 0);
    }

    #[test]
    fn a_limit_of_zero_gives_none() {
        assert!(Permits::new(0).try_take().is_none());
    }

    #[test]
    fn the_gauge_follows_and_sums_over_sharers() {
        let gauge = IntGauge::new("inflight", "In flight.").unwrap();
        let (one, other) = (Permits::with_gauge(1, gauge.clone()), Permits::with_gauge(1, gauge.clone()));
        let held = (one.try_take().unwrap(), other.try_take().unwrap());
        assert!(one.try_take().is_none());
        assert_eq!(gauge.get(), 2);
        drop(held);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn threads_never_pass_the_limit_together() {
        let permits = Permits::new(3);
        let taken: usize = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..2).filter_map(|_| permits.try_take()).collect::<Vec<_>>()))
                .collect();
            // The permits are kept until all threads are done, so what they hold together is the limit.
            let held: Vec<_> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
            held.iter().map(Vec::len).sum()
        });
        assert_eq!(taken, 3);
        assert_eq!(permits.taken(), 0);
    }
}
