//! The time of one auction: first byte + min(`tmax`, the largest routed timeout), shared by identity and SSPs.

use std::time::{Duration, Instant};

use super::Leg;
use crate::ssp::Settings;
use crate::time::Deadline;

/// What an auction may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    whole: Deadline,
    /// What the neediest routed SSP must still have when it is asked.
    reserve: Duration,
}

impl Budget {
    pub(super) fn new<'a>(
        started: Instant,
        tmax: Option<u64>,
        routed: impl Iterator<Item = &'a Leg>,
    ) -> Self {
        let (mut longest, mut reserve) = (Duration::ZERO, Duration::ZERO);
        for leg in routed {
            longest = longest.max(leg.settings.timeout);
            reserve = reserve.max(leg.settings.margin + leg.settings.min);
        }
        let told = tmax.map_or(longest, Duration::from_millis);
        Self { whole: Deadline::after(started, told.min(longest)), reserve }
    }

    /// How long identity may be waited for without costing an SSP its chance.
    pub(super) fn patience(&self) -> Duration {
        self.whole.remaining().saturating_sub(self.reserve)
    }

    /// The deadline of a leg that begins `now` and the time it has; `None` under its `min`.
    pub(super) fn leg(&self, settings: &Settings, now: Instant) -> Option<(Deadline, Duration)> {
        let whole = self.whole.instant().saturating_duration_since(now);
        let left = whole.saturating_sub(settings.margin).min(settings.timeout);
        (left >= settings.min).then(|| (Deadline::after(now, left), left))
    }
}
