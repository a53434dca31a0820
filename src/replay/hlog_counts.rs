//! Counts in the comments of an interval log: how many requests there were, and what became of those without an answer.
//!
//! ```text
//! #[uid2gw total due=100 sent=99 window_us=10000000 204=90 503=5 timeout=4 unsent=1]
//! #[uid2gw interval due=50 sent=50 failed=3]            before the interval it is about
//! ```

use std::fmt::Write;
use std::time::Duration;

use super::recorder::{Fault, Report};
use super::second::Second;

/// What a comment says.
#[derive(Debug)]
pub(super) enum Note {
    /// Of the whole log.
    Totals(Box<Report>),
    /// Of the next interval.
    Interval(Second),
}

const TOTAL: &str = "[uid2gw total";
const INTERVAL: &str = "[uid2gw interval";

/// The comment about a whole log.
pub(super) fn totals(report: &Report) -> String {
    if report.uncounted {
        return "[Only answers are known]".to_owned();
    }
    let mut text = format!("{TOTAL} due={} sent={}", report.due, report.sent);
    let mut add = |name: &str, number: u128| {
        write!(text, " {name}={number}").expect("a String takes all text");
    };
    add("window_us", report.window.as_micros());
    if let Some(after) = report.stopped_after {
        add("stopped_us", after.as_micros());
    }
    report.by_status.iter().for_each(|(status, number)| add(&status.to_string(), u128::from(*number)));
    report.errors.iter().for_each(|(fault, number)| add(fault.key(), u128::from(*number)));
    text + "]"
}

/// The comment about one interval.
pub(super) fn interval(second: &Second) -> String {
    format!("{INTERVAL} due={} sent={} failed={}]", second.due, second.sent, second.failed)
}

/// A report without counts.
pub(super) fn unknown(answered: u64) -> Report {
    Report { due: answered, sent: answered, uncounted: true, ..Report::default() }
}

/// What a line says, if it is such a comment.
pub(super) fn note(line: &[u8]) -> Result<Option<Note>, &'static str> {
    const FAULT: &str = "counts that cannot be read";
    let Some(line) = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix('#')) else {
        return Ok(None);
    };
    let line = line.trim_end();
    if let Some(pairs) = line.strip_prefix(TOTAL) {
        let mut report = Report::default();
        for (name, number) in pairs_of(pairs).ok_or(FAULT)? {
            total(&mut report, name, number).ok_or(FAULT)?;
        }
        return Ok(Some(Note::Totals(Box::new(report))));
    }
    let Some(pairs) = line.strip_prefix(INTERVAL) else { return Ok(None) };
    let mut second = Second::default();
    for (name, number) in pairs_of(pairs).ok_or(FAULT)? {
        match name {
            "due" => second.due = number,
            "sent" => second.sent = number,
            "failed" => second.failed = number,
            _ => return Err(FAULT),
        }
    }
    Ok(Some(Note::Interval(second)))
}

fn total(report: &mut Report, name: &str, number: u64) -> Option<()> {
    match name {
        "due" => report.due = number,
        "sent" => report.sent = number,
        "window_us" => report.window = Duration::from_micros(number),
        "stopped_us" => report.stopped_after = Some(Duration::from_micros(number)),
        _ => match name.parse::<u16>() {
            Ok(status) => drop(report.by_status.insert(status, number)),
            Err(_) => drop(report.errors.insert(fault(name)?, number)),
        },
    }
    Some(())
}

fn fault(key: &str) -> Option<Fault> {
    let all = [Fault::Connect, Fault::Timeout, Fault::Broken, Fault::Invalid, Fault::Unsent];
    all.into_iter().find(|fault| fault.key() == key)
}

/// ` a=1 b=2]`
fn pairs_of(text: &str) -> Option<Vec<(&str, u64)>> {
    let pairs = text.strip_suffix(']')?.split_whitespace().map(|pair| pair.split_once('='));
    pairs.map(|pair| pair.and_then(|(name, number)| Some((name, number.parse().ok()?)))).collect()
}
