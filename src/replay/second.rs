//! What came of one second of a load.

use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use super::recorder::{at, histogram};

/// One second of a load, counted from the end of the warm-up. A request is *due* in one second, may be sent in another
/// and be answered in a third: each is counted where it happened, the latency where the answer came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Second {
    /// Requests that became due.
    pub due: u64,
    /// Requests sent.
    pub sent: u64,
    /// Answers of any status.
    pub answered: u64,
    /// Requests that failed: no answer, or one of status 400 and above.
    pub failed: u64,
    /// Latencies of the answers, from when each was due.
    pub latency: Percentiles,
    /// The same as a histogram: HdrHistogram V2, uncompressed (one or two KB; a histogram in memory takes a hundred).
    pub(super) encoded: Vec<u8>,
}

/// A histogram in five figures; all zero without a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Percentiles {
    /// Median.
    pub p50: Duration,
    /// 90 of 100 were as fast or faster.
    pub p90: Duration,
    /// 99 of 100.
    pub p99: Duration,
    /// 999 of 1,000.
    pub p999: Duration,
    /// The slowest.
    pub max: Duration,
}

impl Percentiles {
    /// Of a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |percentile| at(histogram, percentile);
        Self { p50: at(50.0), p90: at(90.0), p99: at(99.0), p999: at(99.9), max: at(100.0) }
    }
}

impl Second {
    /// Sets the latencies.
    pub(super) fn set_latency(&mut self, histogram: &Histogram<u64>) {
        self.latency = Percentiles::of(histogram);
        self.encoded.clear();
        V2Serializer::new()
            .serialize(histogram, &mut self.encoded)
            .expect("a Vec takes all bytes, and counts of a second are far below the format's bounds");
    }

    /// The latencies of the answers of this second, in microseconds.
    pub fn histogram(&self) -> Histogram<u64> {
        Deserializer::new().deserialize(&mut self.encoded.as_slice()).unwrap_or_else(|_| histogram())
    }

    /// Adds what another thread or machine saw in the same second.
    pub fn merge(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.answered += other.answered;
        self.failed += other.failed;
        if self.encoded.is_empty() {
            self.latency = other.latency;
            self.encoded.clone_from(&other.encoded);
        } else if !other.encoded.is_empty() {
            let mut both = self.histogram();
            both.add(other.histogram()).expect("all histograms of a load have the same bounds");
            self.set_latency(&both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(latency_ms: u64, number: u64) -> Second {
        let mut histogram = histogram();
        histogram.record_n(latency_ms * 1_000, number).unwrap();
        let mut second = Second { due: number, sent: number, answered: number, ..Second::default() };
        second.set_latency(&histogram);
        second
    }

    #[test]
    fn a_second_keeps_its_histogram() {
        let one = second(3, 100);
        assert_eq!((one.histogram().len(), one.encoded.len() < 200), (100, true));
        assert_eq!(at(&one.histogram(), 99.0), one.latency.p99);
        assert!(one.latency.p50.abs_diff(Duration::from_millis(3)) < Duration::from_micros(10));
        assert_eq!(Second::default().histogram().len(), 0);
    }

    #[test]
    fn seconds_merge_to_the_sum() {
        let mut merged = Second::default();
        for other in [second(1, 98), second(50, 2), Second { failed: 3, ..Second::default() }] {
            merged.merge(&other);
        }
        assert_eq!((merged.due, merged.answered, merged.failed), (100, 100, 3));
        assert!(
            merged.latency.p90 < Duration::from_millis(2) && merged.latency.p99 > Duration::from_millis(49)
        );
    }
}
