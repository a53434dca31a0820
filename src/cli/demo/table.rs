//! What the demo did, as a table for a person or as JSON for a program.

use std::fmt::Write;

use serde_json::{Value, json};

use super::check::Checked;
use super::stack::Stack;
use super::users::Users;
use crate::replay::Report;
use crate::replay::recorder::at;
use crate::replay::table::{Table, count, duration};

/// Tokens that must decrypt to the right user for the demo to pass.
const ENOUGH: u64 = 1_000;

/// The demo in figures.
pub(super) struct Summary {
    users: u32,
    report: Report,
    checked: Checked,
    /// (result, reason, requests), most frequent first.
    reasons: Vec<(String, String, u64)>,
    /// The gateway's own time per request, seconds: p50 and p99.
    own: (f64, f64),
    ssps: Vec<SspLine>,
    data: String,
    admin: String,
}

struct SspLine {
    id: &'static str,
    requests: u64,
    with_token: u64,
    bids: u64,
    no_bids: u64,
    problems: u64,
}

impl Summary {
    pub(super) fn new(
        stack: &Stack,
        users: &Users,
        report: Report,
        checked: Checked,
    ) -> anyhow::Result<Self> {
        let metrics = stack.metrics()?;
        let ssps = stack.ssps.iter().map(|(id, ssp)| {
            let stats = ssp.stats();
            SspLine {
                id,
                requests: stats.requests,
                with_token: stats.with_token,
                bids: stats.bids,
                no_bids: stats.no_bids,
                problems: stats.problems,
            }
        });
        Ok(Self {
            users: users.count(),
            report,
            checked,
            reasons: reasons(&metrics),
            own: (
                quantile(&metrics, "uid2gw_self_duration_seconds", 0.50),
                quantile(&metrics, "uid2gw_self_duration_seconds", 0.99),
            ),
            ssps: ssps.collect(),
            data: format!("http://{}", stack.data()),
            admin: format!("http://{}", stack.admin()),
        })
    }

    /// Tokens arrived and decrypted, none went where it may not, and no request failed.
    pub(super) fn passed(&self) -> bool {
        let enough = self.checked.right >= ENOUGH.min(self.report.sent / 2);
        enough && self.checked.wrong == 0 && self.checked.leaked == 0 && self.report.failed() == 0
    }

    fn injected(&self) -> u64 {
        self.reasons.iter().filter(|(result, ..)| result == "injected").map(|(.., n)| n).sum()
    }

    fn share(&self) -> f64 {
        percent(self.injected(), self.report.sent)
    }

    pub(super) fn json(&self) -> Value {
        let reasons: Vec<Value> = self
            .reasons
            .iter()
            .map(|(result, reason, n)| json!({"result": result, "reason": reason, "requests": n}))
            .collect();
        let ssps: Vec<Value> = self
            .ssps
            .iter()
            .map(|s| {
                json!({"ssp": s.id, "requests": s.requests, "with_token": s.with_token, "bids": s.bids,
                       "no_bids": s.no_bids, "problems": s.problems})
            })
            .collect();
        json!({
            "passed": self.passed(),
            "users": self.users,
            "requests": self.report.sent,
            "answered": self.report.by_status,
            "failed": self.report.failed(),
            "rate_per_s": self.report.rate(),
            "injected": self.injected(),
            "match_rate_percent": self.share(),
            "reasons": reasons,
            "ssps": ssps,
            "latency_ms": {"p50": millis(&self.report, 50.0), "p99": millis(&self.report, 99.0)},
            "added_latency_ms": {"p50": self.own.0 * 1e3, "p99": self.own.1 * 1e3},
            "tokens": {"found": self.checked.found, "decrypted_to_the_right_user": self.checked.right,
                       "wrong": self.checked.wrong, "leaked": self.checked.leaked, "kept_of_the_publisher": self.checked.theirs},
        })
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).unwrap_or_default(); // writing to a String cannot fail
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let bids = self.report.answers(200);
        writeln!(
            out,
            "\nuid2-gateway demo: {} users, {} ad requests to three SSPs\n",
            self.users,
            count(self.report.sent)
        )?;
        let mut totals = Table::new(["", "figure"]);
        totals.row(["requests", &count(self.report.sent)]);
        totals.row([
            "answered with a bid",
            &format!("{} ({:.1} %)", count(bids), percent(bids, self.report.sent)),
        ]);
        totals.row(["injected (match rate)", &format!("{} ({:.1} %)", count(self.injected()), self.share())]);
        totals.row(["failed or unanswered", &count(self.report.failed())]);
        let latency = |p| duration(at(&self.report.latency, p));
        totals.row(["latency for the caller, p50 / p99", &format!("{} / {}", latency(50.0), latency(99.0))]);
        totals.row([
            "latency added by the gateway, p50 / p99",
            &format!("{} / {}", seconds(self.own.0), seconds(self.own.1)),
        ]);
        writeln!(out, "{totals}")?;
        let mut why = Table::new(["identity", "why", "requests"]);
        for (result, reason, n) in &self.reasons {
            why.row([result.as_str(), reason, &count(*n)]);
        }
        writeln!(out, "{why}")?;
        let mut ssps = Table::new(["ssp", "requests", "with token", "bids", "no bids", "problems"]);
        for s in &self.ssps {
            let figures = [s.requests, s.with_token, s.bids, s.no_bids, s.problems].map(count);
            ssps.row(std::iter::once(s.id.to_owned()).chain(figures));
        }
        writeln!(out, "{ssps}")?;
        writeln!(
            out,
            "problems: requests with values that a typed reader finds odd (a count written 1e3, a lone surrogate);"
        )?;
        writeln!(out, "the corpus holds some on purpose, and they travel as they came\n")?;
        self.write_tokens(out)?;
        writeln!(out, "added latency: the gateway's own time per request, from {}/metrics", self.admin)?;
        writeln!(out, "ad requests and logins at {}", self.data)
    }

    fn write_tokens(&self, out: &mut String) -> std::fmt::Result {
        let c = &self.checked;
        writeln!(
            out,
            "our tokens received by the SSPs: {}; decrypted as a buyer does, to the right user: {}; wrong: {}; sent for nobody: {}",
            count(c.found),
            count(c.right),
            c.wrong,
            c.leaked
        )?;
        if let Some(sample) = &c.sample {
            let head: String = sample.token.chars().take(40).collect();
            writeln!(out, "for example {head}… is {}", sample.raw_uid)?;
        }
        Ok(())
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    let exact = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if whole == 0 { 0.0 } else { exact(part) * 100.0 / exact(whole) }
}

fn millis(report: &Report, percentile: f64) -> f64 {
    at(&report.latency, percentile).as_secs_f64() * 1e3
}

fn seconds(seconds: f64) -> String {
    if seconds < 1e-3 { format!("{:.0} µs", seconds * 1e6) } else { format!("{:.2} ms", seconds * 1e3) }
}

/// The series of `identity_reason_total` that are not zero.
fn reasons(metrics: &str) -> Vec<(String, String, u64)> {
    let label = |line: &str, name: &str| -> Option<String> {
        let (_, rest) = line.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let mut found: Vec<(String, String, u64)> = metrics
        .lines()
        .filter(|line| line.starts_with("uid2gw_identity_reason_total{"))
        .filter_map(|line| {
            let n: u64 = line.rsplit(' ').next()?.parse().ok()?;
            (n > 0).then_some((label(line, "result")?, label(line, "reason")?, n))
        })
        .collect();
    found.sort_by_key(|(.., n)| std::cmp::Reverse(*n));
    found
}

/// A quantile of a histogram in the text format, by linear interpolation inside its bucket (as Prometheus does).
fn quantile(metrics: &str, family: &str, q: f64) -> f64 {
    let prefix = format!("{family}_bucket{{le=\"");
    let buckets: Vec<(f64, f64)> = metrics
        .lines()
        .filter_map(|line| {
            let (bound, rest) = line.strip_prefix(&prefix)?.split_once('"')?;
            Some((bound.parse().unwrap_or(f64::INFINITY), rest.rsplit(' ').next()?.parse().ok()?))
        })
        .collect();
    let rank = q * buckets.last().map_or(0.0, |(_, total)| *total);
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, cumulative) in buckets {
        if cumulative >= rank && cumulative > below {
            let width = if bound.is_finite() { bound - low } else { 0.0 };
            return low + width * (rank - below) / (cumulative - below);
        }
        (low, below) = (bound, cumulative);
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_read_from_the_text_format() {
        let text = "x_bucket{le=\"1\"} 50\nx_bucket{le=\"2\"} 100\nx_bucket{le=\"+Inf\"} 100\nx_sum 3\n";
        assert!((quantile(text, "x", 0.25) - 0.5).abs() < 1e-9);
        assert!((quantile(text, "x", 0.75) - 1.5).abs() < 1e-9);
        assert!(quantile("", "x", 0.5).abs() < 1e-9);
    }

    #[test]
    fn reasons_are_sorted_by_weight() {
        let text = "uid2gw_identity_reason_total{reason=\"fresh\",result=\"injected\",scope=\"uid2\"} 3\n\
                    uid2gw_identity_reason_total{reason=\"wait\",result=\"absent\",scope=\"uid2\"} 0\n\
                    uid2gw_identity_reason_total{reason=\"coppa\",result=\"denied\",scope=\"uid2\"} 7\n";
        let found = reasons(text);
        assert_eq!(found, [("denied".into(), "coppa".into(), 7), ("injected".into(), "fresh".into(), 3)]);
    }
}
