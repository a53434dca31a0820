//! `ssp_*` metrics, with the children of one SSP bound once.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::SspOutcome;
use crate::telemetry::{Registry, RegistryError, buckets};

/// The families.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    dropped: IntCounterVec,
    inflight: IntGaugeVec,
    connections: IntGaugeVec,
    breaker: IntGaugeVec,
}

impl Metrics {
    /// Registers the families. Once per registry.
    pub fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let requests = "Bid requests to SSPs by how they ended.";
        let duration = "Seconds from asking an SSP to the last byte of its answer, or to giving up.";
        Ok(Self {
            requests: registry.counters("ssp_requests_total", requests, &["ssp", "outcome"])?,
            duration: registry.histograms("ssp_duration_seconds", duration, &["ssp"], buckets::PARTNER)?,
            dropped: registry.counters(
                "ssp_bids_dropped_total",
                "Bids left out of a merged answer: unknown imp, no id or price, a member twice, a duplicate, a group not whole. A seatbid that is none counts as one.",
                &["ssp"],
            )?,
            inflight: registry.gauges(
                "ssp_inflight",
                "Bid requests to SSPs whose answer is still awaited; late ones are not.",
                &["ssp"],
            )?,
            connections: registry.gauges("ssp_connections", "Open connections to SSPs.", &["ssp"])?,
            breaker: registry.gauges(
                "ssp_breaker_state",
                "Circuit breakers of SSPs: 0 closed, 1 being tried out, 2 open until the next request after its time.",
                &["ssp"],
            )?,
        })
    }

    /// The metrics of the SSP `id`, one of the configured ones. Not for the hot path.
    pub fn bind(&self, id: &str) -> SspMetrics {
        SspMetrics(Arc::new(Bound {
            requests: SspOutcome::ALL.map(|outcome| self.requests.with_label_values(&[id, outcome.as_str()])),
            duration: self.duration.with_label_values(&[id]),
            dropped: self.dropped.with_label_values(&[id]),
            inflight: self.inflight.with_label_values(&[id]),
            connections: self.connections.with_label_values(&[id]),
            breaker: self.breaker.with_label_values(&[id]),
        }))
    }
}

/// The metrics of one SSP. Clones are shared by the workers.
#[derive(Clone, Debug)]
pub struct SspMetrics(Arc<Bound>);

#[derive(Debug)]
struct Bound {
    requests: [IntCounter; SspOutcome::ALL.len()],
    duration: Histogram,
    dropped: IntCounter,
    inflight: IntGauge,
    connections: IntGauge,
    breaker: IntGauge,
}

impl SspMetrics {
    /// Counts one request with its final outcome. The time counts only where the SSP was asked.
    pub fn count(&self, outcome: SspOutcome, elapsed: Duration) {
        self.0.requests[outcome as usize].inc();
        if outcome.was_asked() {
            self.0.duration.observe(elapsed.as_secs_f64());
        }
    }

    /// Counts bids that were left out of a merged answer.
    pub fn bids_dropped(&self, bids: usize) {
        self.0.dropped.inc_by(u64::try_from(bids).unwrap_or(u64::MAX));
    }

    pub(super) fn inflight(&self) -> IntGauge {
        self.0.inflight.clone()
    }

    pub(super) fn connections(&self) -> IntGauge {
        self.0.connections.clone()
    }

    pub(super) fn breaker(&self) -> IntGauge {
        self.0.breaker.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_counts_in_its_own_child() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap().bind("alpha");
        for outcome in SspOutcome::ALL {
            metrics.count(outcome, Duration::from_millis(3));
        }
        metrics.clone().count(SspOutcome::TooLarge, Duration::ZERO);
        let text = String::from_utf8(registry.text().unwrap()).unwrap();
        for outcome in SspOutcome::ALL {
            let times = if outcome == SspOutcome::TooLarge { 2 } else { 1 };
            let label = outcome.as_str();
            let line = format!("uid2gw_ssp_requests_total{{outcome=\"{label}\",ssp=\"alpha\"}} {times}\n");
            assert!(text.contains(&line), "{line} not in {text}");
        }
        // 11 counted, two of them (open, limit) without having asked.
        assert!(text.contains("uid2gw_ssp_duration_seconds_count{ssp=\"alpha\"} 9\n"), "{text}");
    }
}
