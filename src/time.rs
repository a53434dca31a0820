//! Time as a value that is handed in: wall-clock milliseconds, a clock with a manual twin, and deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, UTC: the unit of every time a UID2 operator sends (uid2-protocol §3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// This time moved by `ms` milliseconds (negative: earlier), saturating.
    #[must_use]
    pub const fn plus(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where "now" comes from. `Manual` stands still until a test advances it.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's wall clock.
    System,
    /// A clock that moves only by [`Clock::advance`].
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A manual clock that shows `start`.
    pub fn manual(start: UnixMillis) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.0)))
    }

    /// The current wall-clock time.
    pub fn now(&self) -> UnixMillis {
        match self {
            Self::System => UnixMillis(system_millis()),
            Self::Manual(ms) => UnixMillis(ms.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock forward by `ms`; the system clock is not touched.
    pub fn advance(&self, ms: i64) {
        if let Self::Manual(now) = self {
            now.fetch_add(ms, Ordering::AcqRel);
        }
    }

    /// The monotonic clock, for durations and deadlines.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
    pub fn monotonic() -> Instant {
        Instant::now()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn system_millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The moment by which something must be done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// `budget` after `start`.
    pub fn after(start: Instant, budget: Duration) -> Self {
        Self(start + budget)
    }

    /// `budget` from now.
    pub fn within(budget: Duration) -> Self {
        Self(Clock::monotonic() + budget)
    }

    /// Time left, zero when past.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Clock::monotonic())
    }

    /// The earlier of two deadlines.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        self.min(other)
    }

    /// The moment itself.
    pub fn instant(self) -> Instant {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = Clock::manual(UnixMillis(1_000));
        assert_eq!(clock.now(), UnixMillis(1_000));
        clock.advance(500);
        assert_eq!(clock.now().since(UnixMillis(1_000)), 500);
    }

    #[test]
    fn a_past_deadline_has_nothing_left() {
        let start = Clock::monotonic();
        assert_eq!(Deadline::after(start, Duration::ZERO).remaining(), Duration::ZERO);
        assert!(Deadline::within(Duration::from_mins(1)).remaining() > Duration::from_secs(50));
    }
}
