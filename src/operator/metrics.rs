//! What operators cost and how they are: requests by result, duration, reachability, clock skew.

use std::time::Duration;

use http::Uri;
use prometheus::{Gauge, HistogramVec, IntCounterVec, IntGaugeVec};

use super::Minted;
use super::fault::{Fault, OperatorError};
use super::limits::Class;
use crate::telemetry::{Registry, RegistryError, buckets};

/// The two calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op {
    Generate,
    Refresh,
}

impl Op {
    pub(super) const ALL: [Self; 2] = [Self::Generate, Self::Refresh];

    /// The metric label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Refresh => "refresh",
        }
    }

    /// Whether somebody waits.
    pub(super) const fn class(self) -> Class {
        match self {
            Self::Generate => Class::Login,
            Self::Refresh => Class::Refresh,
        }
    }

    /// Appended to the base URL.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Generate => "/v2/token/generate",
            Self::Refresh => "/v2/token/refresh",
        }
    }
}

/// The families of this module. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    up: IntGaugeVec,
    skew: Gauge,
}

impl Metrics {
    /// Registers the families; every closed label set stands there at zero from the start.
    pub fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let metrics = Self {
            requests: registry.counters(
                "operator_requests_total",
                "Requests to UID2 operators, each try by itself.",
                &["op", "result"],
            )?,
            seconds: registry.histograms(
                "operator_duration_seconds",
                "Time from sending a request to an operator to its whole answer or fault.",
                &["op"],
                buckets::PARTNER,
            )?,
            up: registry.gauges(
                "operator_up",
                "Whether the last request to this operator was answered, with anything but HTTP 5xx.",
                &["url"],
            )?,
            skew: registry.gauge_f64(
                "operator_clock_skew_seconds",
                "The operator's clock minus ours, by the last answer to generate.",
            )?,
        };
        for op in Op::ALL {
            metrics.seconds.with_label_values(&[op.as_str()]);
            let faults = Fault::ALL.map(Fault::as_str);
            for result in ["success", "optout", "no_consent"].into_iter().chain(faults) {
                metrics.requests.with_label_values(&[op.as_str(), result]);
            }
        }
        Ok(metrics)
    }

    pub(super) fn count(&self, op: Op, result: &Result<Minted, OperatorError>) {
        let label = match result {
            Ok(Minted::Identity(_)) => "success",
            Ok(Minted::OptedOut) => "optout",
            Ok(Minted::InsufficientConsent) => "no_consent",
            Err(error) => error.fault.as_str(),
        };
        self.requests.with_label_values(&[op.as_str(), label]).inc();
    }

    pub(super) fn took(&self, op: Op, elapsed: Duration) {
        self.seconds.with_label_values(&[op.as_str()]).observe(elapsed.as_secs_f64());
    }

    pub(super) fn reachable(&self, url: &Uri, up: bool) {
        self.up.with_label_values(&[label_of(url).as_str()]).set(i64::from(up));
    }

    /// `ms`: the operator's clock minus ours.
    #[expect(clippy::cast_precision_loss, reason = "a skew of 2^52 ms is not a skew")]
    pub(super) fn skewed(&self, ms: i64) {
        self.skew.set(ms as f64 / 1_000.0);
    }
}

/// Scheme, host and port: a base URL may hold a user name and password, a label may not.
fn label_of(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("http");
    let host = url.host().unwrap_or_default();
    url.port_u16().map_or_else(|| format!("{scheme}://{host}"), |port| format!("{scheme}://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_holds_scheme_host_and_port_only() {
        let of = |text: &'static str| label_of(&Uri::from_static(text));
        assert_eq!(of("https://user:pass@prod.uidapi.com/x?y"), "https://prod.uidapi.com");
        assert_eq!(of("http://127.0.0.1:8081"), "http://127.0.0.1:8081");
    }

    #[test]
    fn every_result_stands_at_zero_from_the_start() {
        let registry = Registry::new();
        Metrics::register(&registry).unwrap();
        let text = String::from_utf8(registry.text().unwrap()).unwrap();
        let series = text.lines().filter(|line| line.starts_with("uid2gw_operator_requests_total{"));
        assert_eq!(series.count(), 2 * (3 + Fault::ALL.len()));
    }
}
