//! A thin wrapper over `prometheus::Registry`: one call per family, the `uid2gw_` prefix in one place.

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, TextEncoder,
};

const PREFIX: &str = "uid2gw_";

/// All metrics of one process. Tests make their own; nothing is global.
#[derive(Clone, Debug, Default)]
pub struct Registry(prometheus::Registry);

/// A family could not be registered or written: a name given twice, or a label set that does not fit.
#[derive(Debug, thiserror::Error)]
#[error("metrics registry: {0}")]
pub struct RegistryError(#[from] prometheus::Error);

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter without labels.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, RegistryError> {
        self.add(IntCounter::with_opts(opts(name, help))?)
    }

    /// A counter family.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, RegistryError> {
        self.add(IntCounterVec::new(opts(name, help), labels)?)
    }

    /// A gauge of whole numbers.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, RegistryError> {
        self.add(IntGauge::with_opts(opts(name, help))?)
    }

    /// A gauge of fractions.
    pub fn gauge_f64(&self, name: &str, help: &str) -> Result<Gauge, RegistryError> {
        self.add(Gauge::with_opts(opts(name, help))?)
    }

    /// A gauge family.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, RegistryError> {
        self.add(IntGaugeVec::new(opts(name, help), labels)?)
    }

    /// A histogram without labels, in seconds.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, RegistryError> {
        self.add(Histogram::with_opts(histogram_opts(name, help, buckets))?)
    }

    /// A histogram family, in seconds.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, RegistryError> {
        self.add(HistogramVec::new(histogram_opts(name, help, buckets), labels)?)
    }

    /// Adds `process_*` of this process.
    pub fn process(&self) -> Result<(), RegistryError> {
        let collector = prometheus::process_collector::ProcessCollector::for_self();
        self.0.register(Box::new(collector)).map_err(RegistryError)
    }

    /// The text exposition format, version 0.0.4.
    pub fn text(&self) -> Result<Vec<u8>, RegistryError> {
        let mut out = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.0.gather(), &mut out)?;
        Ok(out)
    }

    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, RegistryError> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("{PREFIX}{name}"), help)
}

fn histogram_opts(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(format!("{PREFIX}{name}"), help).buckets(buckets.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_prefixed_and_unique() {
        let registry = Registry::new();
        registry.counter("things_total", "Things.").unwrap().inc();
        assert!(registry.counter("things_total", "Again.").is_err());
        let text = String::from_utf8(registry.text().unwrap()).unwrap();
        assert!(text.contains("uid2gw_things_total 1"), "{text}");
    }
}
