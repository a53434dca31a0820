//! HdrHistogram interval logs (format V2): one histogram of latencies a second, in microseconds, readable by every
//! HdrHistogram tool; logs of several machines add up. Comments, which those tools skip, hold what a histogram of answers
//! cannot: how many requests there were and how many failed (`hlog_counts`).

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriterBuilder, LogEntry,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use super::hlog_counts::{self, Note};
use super::recorder::Report;
use super::second::Second;
use crate::time::UnixMillis;

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file itself.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not an interval log, or one of something else.
    #[error("{path}: {reason}")]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The latencies of a report as an interval log.
pub fn write(report: &Report) -> io::Result<Vec<u8>> {
    let mut log = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let started = Duration::from_millis(u64::try_from(report.started.0).unwrap_or(0));
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment(
            "[Latencies in microseconds, from when each request was due; Interval_Max in milliseconds]",
        )
        .with_start_time(UNIX_EPOCH + started)
        .with_max_value_divisor(1_000.0)
        .begin_log_with(&mut log, &mut serializer)?;
    let second = Duration::from_secs(1);
    writer.write_comment(&hlog_counts::totals(report))?;
    for (start, interval) in (0..).map(|n| started + second * n).zip(&report.seconds) {
        writer.write_comment(&hlog_counts::interval(interval))?;
        let written = writer.write_histogram(&interval.histogram(), start, second, None);
        written.map_err(|fault| io::Error::other(fault.to_string()))?;
    }
    Ok(log)
}

/// The sum of interval logs, second by second where they ran at the same time.
pub fn read(paths: &[PathBuf]) -> Result<Report, LogError> {
    let mut sum = Report::default();
    let (mut intervals, mut windows) = (Vec::new(), Vec::new());
    for path in paths {
        let bytes = fs::read(path).map_err(|source| LogError::Read { path: path.clone(), source })?;
        let (found, totals) =
            intervals_of(&bytes).map_err(|reason| LogError::Format { path: path.clone(), reason })?;
        if let Some((start, ..)) = found.first().filter(|_| !totals.window.is_zero()) {
            windows.push(*start + totals.window);
        }
        intervals.extend(found);
        sum.merge(&totals);
    }
    let first = intervals.iter().map(|(start, ..)| *start).min().unwrap_or_default();
    for (start, length, second) in intervals {
        let from = start.saturating_sub(first);
        sum.elapsed = sum.elapsed.max(from + length);
        sum.latency.add(second.histogram()).expect("checked when it was read");
        let place = usize::try_from(from.as_secs()).unwrap_or(usize::MAX);
        // An hour of nothing between two logs is no hour of a load.
        if place <= sum.seconds.len() + 3_600 {
            let length = sum.seconds.len().max(place + 1);
            sum.seconds.resize_with(length, Second::default);
            sum.seconds[place].merge(&second);
        }
    }
    // From the beginning of the first to the end of the last.
    sum.window = windows.iter().max().map_or(Duration::ZERO, |end| end.saturating_sub(first));
    sum.started = UnixMillis(i64::try_from(first.as_millis()).unwrap_or(0));
    Ok(sum)
}

/// Writes the log of a report to a file.
pub fn save(report: &Report, path: &Path) -> io::Result<()> {
    fs::write(path, write(report)?)
}

type Interval = (Duration, Duration, Second);

/// The intervals of a log, and its totals without their latencies.
fn intervals_of(log: &[u8]) -> Result<(Vec<Interval>, Report), String> {
    let (mut intervals, mut totals, mut counts) = (Vec::new(), None, None);
    let mut base = Duration::ZERO;
    for (number, line) in (1..).zip(log.split_inclusive(|byte| *byte == b'\n')) {
        let told = |what: &str| format!("line {number}: {what}");
        match hlog_counts::note(line) {
            Ok(None) => {}
            Ok(Some(Note::Totals(found))) => totals = Some(*found),
            Ok(Some(Note::Interval(found))) => counts = Some(found),
            Err(reason) => return Err(told(reason)),
        }
        for entry in IntervalLogIterator::new(line) {
            match entry.map_err(|_| told("is not of an interval log"))? {
                LogEntry::BaseTime(time) => base = time,
                LogEntry::StartTime(_) => {}
                LogEntry::Interval(interval) => {
                    let latencies = histogram_of(&interval).map_err(told)?;
                    let answered = latencies.len();
                    let mut second = Second { due: answered, sent: answered, ..Second::default() };
                    second = Second { answered, ..counts.take().unwrap_or(second) };
                    second.set_latency(&latencies);
                    intervals.push((base + interval.start_timestamp(), interval.duration(), second));
                }
            }
        }
    }
    if intervals.is_empty() {
        return Err("no interval in it".to_owned());
    }
    let answered = intervals.iter().map(|(.., second)| second.answered).sum();
    let totals = totals.unwrap_or_else(|| hlog_counts::unknown(answered));
    if !totals.uncounted && totals.by_status.values().sum::<u64>() != answered {
        return Err("its intervals do not add up to its totals; is it whole?".to_owned());
    }
    Ok((intervals, totals))
}

fn histogram_of(interval: &IntervalLogHistogram<'_>) -> Result<Histogram<u64>, &'static str> {
    let bytes = STANDARD.decode(interval.encoded_histogram()).map_err(|_| "not base64")?;
    let found = Deserializer::new().deserialize(&mut bytes.as_slice());
    let found: Histogram<u64> = found.map_err(|_| "not a V2 histogram")?;
    // Other bounds than ours, as other tools choose them.
    let mut ours = super::recorder::histogram();
    ours.add(&found).map_err(|_| "holds latencies beyond an hour")?;
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use super::super::recorder::{Fault, at, histogram};
    use super::*;

    fn report(started_ms: i64, latencies_ms: &[u64]) -> Report {
        let mut report = Report { started: UnixMillis(started_ms), ..Report::default() };
        let answers = u64::try_from(latencies_ms.len()).unwrap() * 10;
        (report.due, report.sent) = (answers, answers);
        report.by_status.insert(204, answers);
        for latency in latencies_ms {
            let mut one = histogram();
            one.record_n(latency * 1_000, 10).unwrap();
            report.latency.add(&one).unwrap();
            let mut second = Second { answered: 10, ..Second::default() };
            second.set_latency(&one);
            report.seconds.push(second);
        }
        report
    }

    fn saved(folder: &Path, name: &str, report: &Report) -> PathBuf {
        let path = folder.join(name);
        save(report, &path).unwrap();
        path
    }

    #[test]
    fn a_log_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let whole = report(1_700_000_000_250, &[1, 20, 300]);
        let read = read(&[saved(folder.path(), "a.hlog", &whole)]).unwrap();
        assert_eq!((read.latency.clone(), read.started), (whole.latency, whole.started));
        assert_eq!((read.seconds.len(), read.elapsed), (3, Duration::from_secs(3)));
        assert_eq!(read.seconds[2].latency, whole.seconds[2].latency);
        let text = String::from_utf8(write(&report(1_700_000_000_250, &[1])).unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "#[Histogram log format version 1.3]");
        assert!(lines.iter().any(|line| line.starts_with("#[StartTime: 1700000000.250")), "{text}");
        assert!(
            lines.last().unwrap().starts_with("1700000000.25,1,1,HISTF")
                || lines.last().unwrap().starts_with("1700000000.250,1.000,1"),
            "{text}"
        );
    }

    #[test]
    fn a_run_that_failed_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut failed = report(1_700_000_000_000, &[1, 20]);
        failed.by_status = [(204, 15), (503, 5)].into();
        failed.errors = [(Fault::Timeout, 3), (Fault::Unsent, 2)].into();
        (failed.due, failed.sent) = (25, 23);
        (failed.seconds[1].due, failed.seconds[1].failed) = (15, 10);
        failed.window = Duration::from_millis(1_500);
        failed.stopped_after = Some(Duration::from_millis(1_400));
        let path = saved(folder.path(), "a.hlog", &failed);
        let read = read(std::slice::from_ref(&path)).unwrap();
        assert_eq!((&read.by_status, &read.errors), (&failed.by_status, &failed.errors));
        assert_eq!(
            (read.due, read.sent, read.window, read.stopped_after),
            (25, 23, failed.window, failed.stopped_after)
        );
        assert_eq!((read.seconds[1].due, read.seconds[1].failed, read.seconds[1].answered), (15, 10, 10));
        assert!(!read.uncounted);
        let slo: super::super::Slo = "errors<1%,p99<1s,rate>100".parse().unwrap();
        assert_eq!(slo.judge(&read), slo.judge(&failed));
        // What was cut off is no smaller load.
        let text = fs::read_to_string(&path).unwrap();
        let cut = text.trim_end().rsplit_once('\n').unwrap().0;
        fs::write(&path, format!("{cut}\n")).unwrap();
        assert!(super::read(&[path]).unwrap_err().to_string().contains("do not add up"));
    }

    #[test]
    fn a_log_without_counts_meets_no_goal_about_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(folder.path(), "a.hlog", &report(1_700_000_000_000, &[1, 20]));
        let text = fs::read_to_string(&path).unwrap();
        let other: Vec<&str> = text.lines().filter(|line| !line.starts_with("#[uid2gw")).collect();
        fs::write(&path, other.join("\n") + "\n").unwrap();
        let read = read(&[path]).unwrap();
        assert_eq!((read.uncounted, read.latency.len(), read.due), (true, 20, 20));
        let slo: super::super::Slo = "errors<=0,p50<10s,rate>=0".parse().unwrap();
        assert!(slo.judge(&read).iter().all(|goal| !goal.met));
    }

    #[test]
    fn logs_of_two_machines_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let one = saved(folder.path(), "a.hlog", &report(1_700_000_000_000, &[1, 1]));
        let other = saved(folder.path(), "b.hlog", &report(1_700_000_001_000, &[100, 1]));
        let both = read(&[one, other]).unwrap();
        let answered: Vec<u64> = both.seconds.iter().map(|second| second.answered).collect();
        assert_eq!((answered, both.latency.len()), (vec![10, 20, 10], 40));
        assert!(at(&both.latency, 75.0) < Duration::from_millis(2));
        assert!(at(&both.latency, 76.0) > Duration::from_millis(99));
    }

    #[test]
    fn what_is_no_log_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (text, reason) in [
            ("", "no interval"),
            ("p50 3 ms\n", "line 1"),
            ("#a\n\"StartTimestamp\"\n1.0,1.0,1.0,!!!\n", "line 3: not base64"),
            ("#[uid2gw total due=x]\n", "line 1: counts"),
            ("1.0,1.0,1.0,AAAA\n", "not a V2 histogram"),
        ] {
            let path = folder.path().join("x.hlog");
            fs::write(&path, text).unwrap();
            let error = read(&[path]).unwrap_err().to_string();
            assert!(error.contains("x.hlog") && error.contains(reason), "{text:?}: {error}");
        }
        assert!(matches!(read(&[folder.path().join("none")]), Err(LogError::Read { .. })));
    }
}
