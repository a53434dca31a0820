//! Puts the tallies of all threads together, second by second, while the load runs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::recorder::{Report, histogram};
use super::super::second::Second;
use super::Live;
use super::tally::Tally;

/// A report that grows.
pub(super) struct Collector {
    threads: usize,
    report: Report,
    /// Seconds that some threads have finished, not all.
    open: BTreeMap<u64, Vec<Tally>>,
}

impl Collector {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, report: Report::default(), open: BTreeMap::new() }
    }

    /// Takes a tally; `true` when that finishes a second.
    pub(super) fn take(&mut self, tally: Tally) -> bool {
        tally.add_to(&mut self.report);
        let before = self.report.seconds.len();
        self.open.entry(tally.index).or_default().push(tally);
        while let Some(first) = self.open.first_entry() {
            // A thread that was held up leaves seconds out; the rest come in order.
            if first.get().len() < self.threads {
                break;
            }
            let (index, tallies) = first.remove_entry();
            self.close(index, &tallies);
        }
        self.report.seconds.len() > before
    }

    /// How it stands; not before a second is finished.
    pub(super) fn live(&self) -> Live<'_> {
        let seconds = &self.report.seconds;
        let elapsed = Duration::from_secs(u64::try_from(seconds.len()).unwrap_or(u64::MAX));
        Live { report: &self.report, second: seconds.last().expect("a second is finished"), elapsed }
    }

    /// The report, when all threads are done.
    pub(super) fn finish(mut self) -> Report {
        for (index, tallies) in std::mem::take(&mut self.open) {
            self.close(index, &tallies);
        }
        self.report
    }

    fn close(&mut self, index: u64, tallies: &[Tally]) {
        let mut second = Second::default();
        let mut latency = histogram();
        for tally in tallies {
            second.merge(&tally.second);
            latency.add(&tally.latency).expect("all histograms of a load have the same bounds");
        }
        if !latency.is_empty() {
            second.set_latency(&latency);
        }
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        if self.report.seconds.len() <= place {
            self.report.seconds.resize_with(place.saturating_add(1), Second::default);
        }
        if let Some(here) = self.report.seconds.get_mut(place) {
            here.merge(&second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Times;
    use super::*;

    fn tally(index: u64, answers: u64, latency_ms: u64) -> Tally {
        let mut tally = Tally::new(index);
        let times = Times { due: Duration::ZERO, sent: Duration::ZERO };
        for _ in 0..answers {
            tally.sent(times, true);
            tally.answered(times, Duration::from_millis(latency_ms), (204, 0));
        }
        tally
    }

    #[test]
    fn a_second_is_finished_when_all_threads_have_told() {
        let mut collector = Collector::new(2);
        assert!(!collector.take(tally(0, 3, 1)));
        assert!(!collector.take(tally(1, 5, 1)), "the same thread, ahead");
        assert!(collector.take(tally(0, 1, 9)));
        let live = collector.live();
        assert_eq!((live.elapsed, live.report.sent), (Duration::from_secs(1), 9));
        let first = live.second;
        assert_eq!((first.answered, first.histogram().len()), (4, 4));
        assert!(first.latency.p50 < Duration::from_millis(2) && first.latency.max > Duration::from_millis(8));
        // One thread was held up and left a second out.
        collector.take(tally(2, 2, 1));
        collector.take(tally(2, 2, 1));
        let report = collector.finish();
        let answered: Vec<u64> = report.seconds.iter().map(|second| second.answered).collect();
        assert_eq!((answered, report.answers(204)), (vec![4, 5, 4], 13));
    }
}
