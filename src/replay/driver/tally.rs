//! What one thread counts in one second, and the same of all threads put together.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::super::recorder::{Fault, Report, histogram};
use super::super::second::Second;

/// One second of one thread.
#[derive(Debug)]
pub(super) struct Tally {
    /// Which second, counted from the end of the warm-up.
    pub(super) index: u64,
    pub(super) second: Second,
    pub(super) by_status: BTreeMap<u16, u64>,
    pub(super) errors: BTreeMap<Fault, u64>,
    pub(super) bytes: u64,
    pub(super) latency: Histogram<u64>,
    service: Histogram<u64>,
    wait: Histogram<u64>,
    lateness: Histogram<u64>,
    /// CPU time of the thread.
    pub(super) cpu: Duration,
}

/// Times of one request, since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) due: Duration,
    pub(super) sent: Duration,
}

impl Tally {
    pub(super) fn new(index: u64) -> Self {
        Self {
            index,
            second: Second::default(),
            by_status: BTreeMap::new(),
            errors: BTreeMap::new(),
            bytes: 0,
            latency: histogram(),
            service: histogram(),
            wait: histogram(),
            lateness: histogram(),
            cpu: Duration::ZERO,
        }
    }

    /// A request went out; `prompt` when nothing but the driver itself could have delayed it.
    pub(super) fn sent(&mut self, times: Times, prompt: bool) {
        let wait = micros(times.sent.saturating_sub(times.due));
        self.second.sent += 1;
        self.wait.saturating_record(wait);
        if prompt {
            self.lateness.saturating_record(wait);
        }
    }

    /// Its answer has come whole.
    pub(super) fn answered(&mut self, times: Times, now: Duration, (status, bytes): (u16, u64)) {
        self.second.answered += 1;
        self.second.failed += u64::from(status >= super::super::recorder::BAD);
        *self.by_status.entry(status).or_default() += 1;
        self.bytes += bytes;
        self.latency.saturating_record(micros(now.saturating_sub(times.due)));
        self.service.saturating_record(micros(now.saturating_sub(times.sent)));
    }

    /// So many requests have no answer.
    pub(super) fn failed(&mut self, fault: Fault, number: u64) {
        self.second.failed += number;
        if number > 0 {
            *self.errors.entry(fault).or_default() += number;
        }
    }

    /// Adds this to the totals; the second is left to the caller.
    pub(super) fn add_to(&self, report: &mut Report) {
        report.due += self.second.due;
        report.sent += self.second.sent;
        report.bytes += self.bytes;
        report.cpu += self.cpu;
        self.by_status.iter().for_each(|(status, n)| *report.by_status.entry(*status).or_default() += n);
        self.errors.iter().for_each(|(fault, n)| *report.errors.entry(*fault).or_default() += n);
        for (all, mine) in [
            (&mut report.latency, &self.latency),
            (&mut report.service, &self.service),
            (&mut report.wait, &self.wait),
            (&mut report.lateness, &self.lateness),
        ] {
            all.add(mine).expect("all histograms of a load have the same bounds");
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::super::recorder::at;
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn answers_and_faults_are_kept_apart() {
        let mut tally = Tally::new(0);
        let times = Times { due: ms(0), sent: ms(20) };
        tally.sent(times, false);
        tally.answered(times, ms(30), (200, 10));
        tally.sent(Times { due: ms(5), sent: ms(6) }, true);
        tally.failed(Fault::Timeout, 1);
        tally.failed(Fault::Broken, 0);
        tally.answered(times, ms(30), (503, 1));
        let mut report = Report::default();
        tally.add_to(&mut report);
        tally.add_to(&mut report);
        assert_eq!((report.sent, report.answers(200), report.unanswered(), report.failed()), (4, 2, 2, 4));
        assert_eq!((report.bytes, report.errors.len()), (22, 1));
        assert_eq!((tally.second.answered, tally.second.failed), (2, 2));
        let close = |value: Duration, expected| value.abs_diff(expected) <= Duration::from_micros(30);
        assert!(close(at(&report.latency, 100.0), ms(30)) && close(at(&report.service, 100.0), ms(10)));
        assert!(close(at(&report.wait, 100.0), ms(20)) && close(at(&report.lateness, 100.0), ms(1)));
    }

    #[test]
    fn what_lasts_longer_than_an_hour_counts_as_one() {
        let mut tally = Tally::new(0);
        let times = Times { due: ms(0), sent: ms(0) };
        tally.answered(times, Duration::from_hours(10), (200, 0));
        let longest = at(&tally.latency, 100.0);
        assert!((3_590..4_300).contains(&longest.as_secs()), "{longest:?}");
    }
}
