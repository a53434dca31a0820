//! What all threads know together of one SSP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::health::health;
use super::{BreakerRule, Settings, SspMetrics, SspOutcome};
use crate::net::breaker::{Breaker, Change, Health, Pass};
use crate::time::Clock;

/// Its metrics and its circuit breaker. Clones are shared by the threads.
#[derive(Clone, Debug)]
pub struct Vitals {
    metrics: SspMetrics,
    breaker: Option<Arc<Guarded>>,
}

#[derive(Debug)]
struct Guarded {
    id: String,
    rule: BreakerRule,
    breaker: Arc<Breaker>,
}

impl Vitals {
    /// Of an SSP that nothing is known of yet.
    pub fn new(settings: &Settings, metrics: SspMetrics) -> Self {
        let guarded = |rule: &BreakerRule| {
            let breaker = Breaker::new(rule.settings.clone(), Clock::monotonic(), metrics.breaker());
            Arc::new(Guarded { id: settings.id.clone(), rule: rule.clone(), breaker })
        };
        Self { breaker: settings.breaker.as_ref().map(guarded), metrics }
    }

    /// Its metrics.
    pub fn metrics(&self) -> &SspMetrics {
        &self.metrics
    }

    /// Whether it may be asked at `now`; without a breaker it always may.
    pub(super) fn admit(&self, now: Instant) -> Option<Admitted> {
        match &self.breaker {
            None => Some(Admitted(None)),
            Some(guarded) => guarded.breaker.admit(now).map(|pass| Admitted(Some(pass))),
        }
    }

    /// Counts how it ended. `understood`: whatever the outcome, the SSP has done what an SSP should.
    pub(super) fn settle(&self, admitted: Admitted, end: &End) {
        let &End { outcome, since, elapsed, understood } = end;
        self.metrics.count(outcome, elapsed);
        let (Some(guarded), Some(pass)) = (&self.breaker, admitted.0) else { return };
        let health = if understood { Health::Good } else { health(&guarded.rule, outcome, elapsed) };
        match guarded.breaker.settle(pass, health, since + elapsed) {
            None => {}
            Some(Change::Opened(time)) => {
                let ms = time.as_millis();
                tracing::warn!(
                    ssp = guarded.id,
                    ms,
                    last = outcome.as_str(),
                    "an SSP fails and is not asked"
                );
            }
            Some(Change::Closed) => tracing::info!(ssp = guarded.id, "an SSP is asked again as usual"),
        }
    }
}

/// The right to ask.
#[derive(Debug)]
pub(super) struct Admitted(Option<Pass>);

/// How a request ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) outcome: SspOutcome,
    pub(super) since: Instant,
    pub(super) elapsed: Duration,
    pub(super) understood: bool,
}
