//! A load in sentences, for somebody who reads nothing else.

use super::super::recorder::{Report, at};
use super::super::table::{count, duration};
use super::super::verify::Content;

/// How it went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mood {
    /// Nothing to complain of.
    Good,
    /// A goal was missed, or something wrong arrived.
    Bad,
    /// Nobody said what would be good, and something failed; or nothing was sent at all.
    Mixed,
}

/// What stands at the top.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) mood: Mood,
    /// A word or two.
    pub(super) word: &'static str,
    /// `2,000 requests a second for 60 s: 99 % were answered within 3.1 ms, no request failed.`
    pub(super) sentence: String,
    /// What makes the figures doubtful, if anything does.
    pub(super) doubts: Vec<String>,
}

impl Verdict {
    pub(super) fn of(report: &Report) -> Self {
        let (mood, word) = word(report);
        Self { mood, word, sentence: sentence(report), doubts: doubts(report) }
    }
}

fn word(report: &Report) -> (Mood, &'static str) {
    let content = report.content.as_ref().filter(|content| !content.passed());
    if content.is_some_and(Content::is_open) && report.slo.iter().all(|outcome| outcome.met) {
        return (Mood::Bad, "content not checked");
    }
    let content = content.is_some();
    let goals = report.slo.iter().any(|outcome| !outcome.met);
    match (goals, content) {
        (true, true) => (Mood::Bad, "SLO missed, wrong content"),
        (true, false) => (Mood::Bad, "SLO missed"),
        (false, true) => (Mood::Bad, "wrong content"),
        (false, false) if report.latency.is_empty() => (Mood::Mixed, "no answer"),
        (false, false) if report.stopped_after.is_some() => (Mood::Mixed, "stopped early"),
        (false, false) if report.uncounted => (Mood::Mixed, "failures not known"),
        (false, false) if !report.slo.is_empty() => (Mood::Good, "SLO met"),
        (false, false) if report.failed() > 0 => (Mood::Mixed, "with failures"),
        (false, false) => (Mood::Good, "no failures"),
    }
}

fn sentence(report: &Report) -> String {
    if report.due == 0 && report.sent == 0 {
        return "No request was sent.".to_owned();
    }
    let answered = match (report.latency.is_empty(), report.failed()) {
        (false, 0) if report.uncounted => format!("99 % of the answers came within {}", p99(report)),
        (true, _) => "not one was answered".to_owned(),
        (false, 0) => format!("99 % were answered within {}", p99(report)),
        (false, _) => format!("99 % of the answers came within {}", p99(report)),
    };
    let load = format!("{} for {}: {answered}", offered(report), lasted(report));
    let rest = [Some(failures(report)), goals(report), content(report)];
    let parts: Vec<String> = [Some(load)].into_iter().chain(rest).flatten().collect();
    parts.join("; ") + "."
}

fn failures(report: &Report) -> String {
    let failed = report.failed();
    if report.uncounted {
        return "how many requests failed is not known".to_owned();
    }
    if failed == 0 {
        return "no request failed".to_owned();
    }
    let share = report.error_share().map_or_else(String::new, |share| format!(" ({})", percent(share)));
    format!("{} of {} requests{share} failed", count(failed), count(report.due.max(report.sent)))
}

fn goals(report: &Report) -> Option<String> {
    let missed = report.slo.iter().filter(|outcome| !outcome.met).count();
    match (report.slo.len(), missed) {
        (0, _) => None,
        (_, 0) => Some("SLO met".to_owned()),
        (1, _) => Some("SLO missed".to_owned()),
        (all, missed) => Some(format!("SLO missed in {missed} of {all} goals")),
    }
}

fn content(report: &Report) -> Option<String> {
    report.content.as_ref().map(|content| format!("content: {}", content.verdict()))
}

fn p99(report: &Report) -> String {
    duration(at(&report.latency, 99.0))
}

/// Requests a second as they became due: a rate, or from what to what it went.
fn offered(report: &Report) -> String {
    // The last second is seldom whole.
    let whole = report.seconds.split_last().map_or(&[][..], |(_, whole)| whole);
    let due = whole.iter().map(|second| second.due);
    if let (Some(least), Some(most)) = (due.clone().min(), due.max()) {
        // More than chance and a fifth: it was meant to change.
        if most.saturating_sub(least) > most / 5 + 8 * most.isqrt() {
            return format!("{} to {} requests a second", count(least), count(most));
        }
    }
    let time = time(report);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let due = report.due.max(report.sent) as f64;
    let rate = if time.is_zero() { 0.0 } else { due / time.as_secs_f64() };
    format!("{} requests a second", rounded(rate))
}

/// In which requests became due.
fn time(report: &Report) -> std::time::Duration {
    let meant = Some(report.load.duration).filter(|meant| !meant.is_zero());
    report.stopped_after.or(meant).unwrap_or_else(|| report.span())
}

fn lasted(report: &Report) -> String {
    let time = time(report);
    let seconds = time.as_secs_f64();
    if seconds >= 10.0 || (seconds.fract().abs() < 0.005 && seconds >= 1.0) {
        format!("{seconds:.0} s")
    } else {
        duration(time)
    }
}

/// What a reader should know before believing the figures.
fn doubts(report: &Report) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(warning) = report.warning() {
        doubts.push(capital(&warning) + ".");
    }
    if let Some(after) = report.stopped_after {
        doubts.push(format!("The load was stopped after {}, before its end.", duration(after)));
    }
    if let Some(missing) = &report.missing {
        doubts.push(capital(missing) + ".");
    }
    if let Some(share) = report.answered_share().filter(|share| *share < 1.0 && *share > 0.0) {
        doubts.push(format!(
            "Latencies in charts and in the columns by answers are of the {} of the requests that were answered.",
            percent(share)
        ));
    }
    let unsent = report.due.saturating_sub(report.sent);
    if unsent > 0 {
        doubts.push(format!(
            "{} requests were due and never sent, because every connection was busy or none could be made.",
            count(unsent)
        ));
    }
    if let Some(content) = report.content.as_ref().filter(|content| content.one_in > 1) {
        doubts.push(format!("Content was checked for one request in {}.", count(content.one_in)));
    }
    doubts
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A rate without digits nobody needs.
pub(super) fn rounded(rate: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is neither huge nor negative"
    )]
    let whole = rate.round().max(0.0) as u64;
    if rate >= 10.0 || (rate - rate.round()).abs() < 0.05 { count(whole) } else { format!("{rate:.1}") }
}

/// A share for people: `0.02 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 {
        format!("{percent:.0} %")
    } else if percent >= 0.1 || percent <= 0.0 {
        format!("{percent:.1} %")
    } else if percent >= 0.001 {
        format!("{percent:.3} %")
    } else {
        "under 0.001 %".to_owned()
    }
}
