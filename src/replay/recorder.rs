//! What came of the requests: statuses, faults and latencies, in a form that can be merged.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Why a request has no answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// No connection.
    Connect,
    /// Not answered in time.
    Timeout,
    /// The connection ended in the middle.
    Broken,
}

/// What came of a load. Histograms hold microseconds, with three significant digits, up to a minute.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests sent, answered or not.
    pub sent: u64,
    /// Answers per status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests without an answer, per fault.
    pub errors: BTreeMap<Fault, u64>,
    /// Due → last byte of the answer: what a caller who does not wait would see.
    pub latency: Histogram<u64>,
    /// Sent → last byte of the answer: what the target needed.
    pub service: Histogram<u64>,
    /// Due → sent: how late the driver itself was.
    pub lateness: Histogram<u64>,
    /// Bytes of all answers' bodies.
    pub bytes: u64,
    /// From the first moment to the last answer.
    pub elapsed: Duration,
}

/// One request's fate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate {
    pub(super) result: Result<(u16, u64), Fault>,
    pub(super) latency: Duration,
    pub(super) service: Duration,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            sent: 0,
            by_status: BTreeMap::new(),
            errors: BTreeMap::new(),
            latency: histogram(),
            service: histogram(),
            lateness: histogram(),
            bytes: 0,
            elapsed: Duration::ZERO,
        }
    }
}

impl Report {
    pub(super) fn record(&mut self, fate: Fate) {
        self.sent += 1;
        self.lateness.saturating_record(micros(fate.latency.saturating_sub(fate.service)));
        match fate.result {
            Ok((status, bytes)) => {
                *self.by_status.entry(status).or_default() += 1;
                self.bytes += bytes;
                self.latency.saturating_record(micros(fate.latency));
                self.service.saturating_record(micros(fate.service));
            }
            Err(fault) => *self.errors.entry(fault).or_default() += 1,
        }
    }

    /// Adds what another connection or machine saw.
    pub fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.bytes += other.bytes;
        self.elapsed = self.elapsed.max(other.elapsed);
        other.by_status.iter().for_each(|(status, n)| *self.by_status.entry(*status).or_default() += n);
        other.errors.iter().for_each(|(fault, n)| *self.errors.entry(*fault).or_default() += n);
        for (mine, theirs) in [
            (&mut self.latency, &other.latency),
            (&mut self.service, &other.service),
            (&mut self.lateness, &other.lateness),
        ] {
            mine.add(theirs).expect("all histograms of a report have the same bounds");
        }
    }

    /// Answers with this status.
    pub fn answers(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// Requests without an answer.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Requests sent per second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people; 2^52 requests are out of reach")]
    pub fn rate(&self) -> f64 {
        if self.elapsed.is_zero() { 0.0 } else { self.sent as f64 / self.elapsed.as_secs_f64() }
    }
}

/// The latency at `percentile` (0 to 100) of a histogram of a report.
pub fn at(histogram: &Histogram<u64>, percentile: f64) -> Duration {
    Duration::from_micros(histogram.value_at_percentile(percentile))
}

fn histogram() -> Histogram<u64> {
    const MINUTE: u64 = 60_000_000;
    Histogram::new_with_bounds(1, MINUTE, 3).expect("1 < a minute / 2, and three digits are within 0 to 5")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn fate(result: Result<(u16, u64), Fault>, latency_ms: u64, service_ms: u64) -> Fate {
        Fate {
            result,
            latency: Duration::from_millis(latency_ms),
            service: Duration::from_millis(service_ms),
        }
    }

    #[test]
    fn answers_and_faults_are_kept_apart() {
        let mut report = Report::default();
        report.record(fate(Ok((200, 10)), 30, 10));
        report.record(fate(Err(Fault::Timeout), 5_000, 5_000));
        assert_eq!((report.sent, report.answers(200), report.failed(), report.bytes), (2, 1, 1, 10));
        assert_eq!((report.latency.len(), report.lateness.len()), (1, 2));
        let close =
            |value: Duration, ms| value.abs_diff(Duration::from_millis(ms)) <= Duration::from_micros(30);
        assert!(close(at(&report.latency, 100.0), 30) && close(at(&report.service, 100.0), 10));
        assert!(close(at(&report.lateness, 100.0), 20));
    }

    #[test]
    fn reports_merge_to_the_sum() {
        let (mut one, mut other) =
            (Report::default(), Report { elapsed: Duration::from_secs(2), ..Report::default() });
        one.record(fate(Ok((204, 0)), 1, 1));
        other.record(fate(Ok((204, 0)), 9, 9));
        other.record(fate(Err(Fault::Connect), 1, 1));
        one.merge(&other);
        assert_eq!(
            (one.sent, one.answers(204), one.errors[&Fault::Connect], one.latency.len()),
            (3, 2, 1, 2)
        );
        assert!((one.rate() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn what_lasts_longer_than_a_minute_counts_as_one() {
        let mut report = Report::default();
        report.record(fate(Ok((200, 0)), 600_000, 600_000));
        assert!(at(&report.latency, 100.0) >= Duration::from_secs(59));
    }
}
