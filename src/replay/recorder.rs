//! What came of the requests: statuses, faults and latencies, in a form that can be merged.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::second::Second;
use super::slo::Outcome;
use super::verify::Content;
use crate::time::UnixMillis;

/// Why a request has no answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// No connection could be made when it was due.
    Connect,
    /// Not answered in time.
    Timeout,
    /// The connection ended in the middle.
    Broken,
    /// What came back is not HTTP.
    Invalid,
    /// Every connection was busy until the load was over.
    Unsent,
}

impl Fault {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::Timeout => "timeout",
            Self::Broken => "broken off",
            Self::Invalid => "not HTTP",
            Self::Unsent => "never sent",
        }
    }

    /// For programs.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Invalid => "invalid",
            Self::Unsent => "unsent",
        }
    }
}

/// What was asked for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Description {
    /// The address of the target.
    pub target: String,
    /// Where the requests came from, and how many different ones there are.
    pub corpus: String,
    /// Different requests.
    pub entries: usize,
    /// How fast, in words: `2,000 a second`.
    pub pace: String,
    /// `HTTP/1.1` or `HTTP/2`, with ` over TLS`.
    pub protocol: String,
    /// Connections of all threads together.
    pub connections: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Users that were logged in.
    pub users: usize,
    /// Length of the measured part.
    pub duration: Duration,
    /// What ran before it and is not counted.
    pub warmup: Duration,
    /// A request without a whole answer after this time has failed.
    pub timeout: Duration,
}

/// What came of a load, without its warm-up. Histograms hold microseconds, with three significant digits, up to an hour.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was asked for.
    pub load: Description,
    /// When the measured part began; 0 when it never did.
    pub started: UnixMillis,
    /// Requests that became due: each is sent or has failed as unsent or unconnected.
    pub due: u64,
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
    /// Due → sent: the wait for a free connection, the driver's own lateness included.
    pub wait: Histogram<u64>,
    /// Due → sent, of requests for which a connection was free: how late the driver itself was.
    pub lateness: Histogram<u64>,
    /// Bytes of all answers' bodies.
    pub bytes: u64,
    /// From the first moment to the last answer.
    pub elapsed: Duration,
    /// The time in which requests were due or went out, without the wait for the last answers: rates are by it. Zero
    /// when it is not known, then they are by `elapsed`.
    pub window: Duration,
    /// The load was stopped after so long, before its end.
    pub stopped_after: Option<Duration>,
    /// Only answers and their latencies are known, as from a log of another tool: not how many requests there were, nor
    /// how many failed.
    pub uncounted: bool,
    /// Not all connections could be opened at the start: how many, and why.
    pub missing: Option<String>,
    /// CPU time of the driver's own threads.
    pub cpu: Duration,
    /// The same, second by second.
    pub seconds: Vec<Second>,
    /// Goals and whether they were met; empty without goals.
    pub slo: Vec<Outcome>,
    /// What the content checks found; `None` when there were none.
    pub content: Option<Content>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            load: Description::default(),
            started: UnixMillis(0),
            due: 0,
            sent: 0,
            by_status: BTreeMap::new(),
            errors: BTreeMap::new(),
            latency: histogram(),
            service: histogram(),
            wait: histogram(),
            lateness: histogram(),
            bytes: 0,
            elapsed: Duration::ZERO,
            window: Duration::ZERO,
            stopped_after: None,
            uncounted: false,
            missing: None,
            cpu: Duration::ZERO,
            seconds: Vec::new(),
            slo: Vec::new(),
            content: None,
        }
    }
}

impl Report {
    /// Adds what another connection or machine saw.
    pub fn merge(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.bytes += other.bytes;
        self.cpu += other.cpu;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.window = self.window.max(other.window);
        self.uncounted |= other.uncounted;
        self.stopped_after = self.stopped_after.max(other.stopped_after);
        self.missing = self.missing.take().or_else(|| other.missing.clone());
        other.by_status.iter().for_each(|(status, n)| *self.by_status.entry(*status).or_default() += n);
        other.errors.iter().for_each(|(fault, n)| *self.errors.entry(*fault).or_default() += n);
        for (mine, theirs) in [
            (&mut self.latency, &other.latency),
            (&mut self.service, &other.service),
            (&mut self.wait, &other.wait),
            (&mut self.lateness, &other.lateness),
        ] {
            mine.add(theirs).expect("all histograms of a report have the same bounds");
        }
        if self.seconds.len() < other.seconds.len() {
            self.seconds.resize_with(other.seconds.len(), Second::default);
        }
        self.seconds.iter_mut().zip(&other.seconds).for_each(|(mine, theirs)| mine.merge(theirs));
    }

    /// Answers with this status.
    pub fn answers(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// Requests without an answer, sent or not.
    pub fn unanswered(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Requests without an answer, or with one of status 400 and above.
    pub fn failed(&self) -> u64 {
        self.unanswered() + self.by_status.range(BAD..).map(|(_, number)| number).sum::<u64>()
    }

    /// The share of all requests that were answered; `None` without requests, and when those are not counted.
    pub fn answered_share(&self) -> Option<f64> {
        let all = self.latency.len() + self.unanswered();
        (all > 0 && !self.uncounted).then(|| ratio(self.latency.len(), all))
    }

    /// The share of all requests that failed; `None` without requests, and when those are not counted.
    pub fn error_share(&self) -> Option<f64> {
        let all = self.latency.len() + self.unanswered();
        (all > 0 && !self.uncounted).then(|| ratio(self.failed(), all))
    }

    /// The latency of `percentile` of 100 requests, each without an answer being later than any time (`None`).
    pub fn latency_of_all(&self, percentile: f64) -> Option<Duration> {
        let answered = self.answered_share()?;
        let within = percentile / 100.0 / answered;
        // A hair of room: 100 % of answered requests must not become 100.00000000000001 %.
        (within <= 1.0 + 1e-12).then(|| at(&self.latency, 100.0 * within.min(1.0)))
    }

    /// CPU time of the driver for each request it sent.
    pub fn cpu_per_request(&self) -> Option<Duration> {
        (self.sent > 0).then(|| self.cpu.div_f64(ratio(self.sent, 1)))
    }

    /// How busy the driver's threads were, 0 to 1.
    pub fn busy(&self) -> f64 {
        let threads = u32::try_from(self.load.threads.max(1)).unwrap_or(u32::MAX);
        let wall = self.elapsed.as_secs_f64() * f64::from(threads);
        if wall > 0.0 { self.cpu.as_secs_f64() / wall } else { 0.0 }
    }

    /// Why these figures say more about the driver than about the target, if they do.
    pub fn warning(&self) -> Option<String> {
        /// A thread that is busier has no time to be punctual.
        const BUSY: f64 = 0.9;
        /// Lateness below it is in the noise of any machine.
        const LATE: Duration = Duration::from_millis(1);
        if self.busy() > BUSY {
            return Some(format!(
                "the generator itself was busy {:.0} % of the time: use more --threads, or another machine",
                100.0 * self.busy()
            ));
        }
        let late = at(&self.lateness, 99.0);
        (late > LATE && late > at(&self.latency, 99.0) / 10).then(|| {
            format!(
                "the generator itself was late by {late:.2?} (p99): its machine is too busy for these latencies to be the target's alone"
            )
        })
    }

    /// The load ran to its end, all goals were met, and the content checks, if there were any, found nothing.
    pub fn passed(&self) -> bool {
        if self.stopped_after.is_some() {
            return false;
        }
        let right = self.content.as_ref().is_none_or(Content::passed);
        right && self.slo.iter().all(|goal| goal.met)
    }

    /// Requests sent per second.
    pub fn rate(&self) -> f64 {
        per_second(self.sent, self.span())
    }

    /// Answers below status 400 per second.
    pub fn goodput(&self) -> f64 {
        per_second(self.by_status.range(..BAD).map(|(_, number)| number).sum(), self.span())
    }

    /// The time that rates are by.
    pub fn span(&self) -> Duration {
        if self.window.is_zero() { self.elapsed } else { self.window }
    }
}

/// The first status that is an error.
pub(super) const BAD: u16 = 400;

#[expect(clippy::cast_precision_loss, reason = "shares for people; 2^52 requests are out of reach")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people; 2^52 requests are out of reach")]
fn per_second(number: u64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() { 0.0 } else { number as f64 / elapsed.as_secs_f64() }
}

/// The latency at `percentile` (0 to 100) of a histogram of a report.
pub fn at(histogram: &Histogram<u64>, percentile: f64) -> Duration {
    Duration::from_micros(histogram.value_at_percentile(percentile))
}

pub(super) fn histogram() -> Histogram<u64> {
    const HOUR: u64 = 3_600_000_000;
    Histogram::new_with_bounds(1, HOUR, 3).expect("1 < an hour / 2, and three digits are within 0 to 5")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(answers: u64, latency_ms: u64, faults: u64) -> Report {
        let mut report = Report { sent: answers + faults, ..Report::default() };
        report.latency.record_n(latency_ms * 1_000, answers).unwrap();
        report.by_status.insert(204, answers);
        report.errors.insert(Fault::Connect, faults);
        report.seconds.push(Second { answered: answers, ..Second::default() });
        report
    }

    #[test]
    fn reports_merge_to_the_sum() {
        let mut one = report(1, 1, 0);
        let mut other = Report { elapsed: Duration::from_secs(2), ..report(1, 9, 1) };
        other.seconds.push(Second { failed: 1, ..Second::default() });
        one.merge(&other);
        assert_eq!(
            (one.sent, one.answers(204), one.errors[&Fault::Connect], one.latency.len()),
            (3, 2, 1, 2)
        );
        assert_eq!((one.seconds[0].answered, one.seconds[1].failed), (2, 1));
        assert!((one.rate() - 1.5).abs() < 1e-9 && (one.goodput() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_wait_for_the_last_answers_lowers_no_rate() {
        let (window, elapsed) = (Duration::from_secs(2), Duration::from_secs(7));
        let late = Report { elapsed, window, ..report(10, 5, 0) };
        assert!((late.rate() - 5.0).abs() < 1e-9 && (late.goodput() - 5.0).abs() < 1e-9);
        assert!(late.passed());
        assert!(
            !Report { stopped_after: Some(window), ..late }.passed(),
            "only a part of what was asked for"
        );
    }

    #[test]
    fn a_driver_that_was_the_bottleneck_says_so() {
        let mut report = Report { elapsed: Duration::from_secs(10), ..report(100, 5, 0) };
        report.load.threads = 2;
        report.cpu = Duration::from_secs(17);
        assert_eq!((report.warning(), report.cpu_per_request()), (None, Some(Duration::from_millis(170))));
        report.cpu = Duration::from_secs(19);
        assert!(report.warning().unwrap().contains("busy 95 %"));
        report.cpu = Duration::ZERO;
        report.lateness.record_n(900, 100).unwrap();
        assert_eq!(report.warning(), None);
        report.lateness.record_n(1_100, 100).unwrap();
        assert!(report.warning().unwrap().contains("late by 1.1"), "{:?}", report.warning());
        report.latency.record_n(1_000_000, 100).unwrap();
        assert_eq!(report.warning(), None, "no matter beside latencies of a second");
    }

    #[test]
    fn percentiles_of_all_reach_as_far_as_there_are_answers() {
        let some = report(99, 5, 1);
        assert!(some.latency_of_all(99.0).is_some() && some.latency_of_all(99.1).is_none());
        assert!(report(100, 5, 0).latency_of_all(100.0).is_some());
        assert!(Report::default().latency_of_all(50.0).is_none());
        assert!((some.error_share().unwrap() - 0.01).abs() < 1e-9);
    }
}
