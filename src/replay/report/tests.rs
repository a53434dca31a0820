//! Whole documents: a good load, a bad one, none at all; and nothing of them from outside.

use std::time::Duration;

use super::super::recorder::{Description, Fault, Report};
use super::super::second::Second;
use super::super::slo::Outcome;
use super::super::verify::{Change, Content, Example, Finding, Found, Received};
use super::html;
use crate::time::UnixMillis;

fn load(rate: u64, seconds: u64) -> Description {
    Description {
        target: "http://127.0.0.1:8080/openrtb2/auction".into(),
        corpus: "fixtures/openrtb".into(),
        entries: 30,
        pace: format!("{rate} a second"),
        protocol: "HTTP/1.1".into(),
        connections: 64,
        threads: 2,
        users: 1_000,
        duration: Duration::from_secs(seconds),
        warmup: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
    }
}

/// A second of answers, the slowest after `slowest` milliseconds.
fn second(report: &mut Report, due: u64, failed: u64, slowest: u64) {
    let mut own = super::super::recorder::histogram();
    for n in 0..due - failed {
        // Most are fast and a few are slow, as in life.
        let share = (n * 1_000) / (due - failed).max(1);
        let tail = if share >= 990 { slowest * (share - 989) * 90 } else { share * share / 1_200 };
        let micros = 350 + tail;
        own.saturating_record(micros);
        report.service.saturating_record(micros * 9 / 10);
        report.lateness.saturating_record(20 + share / 20);
        report.wait.saturating_record(25 + share / 10);
    }
    report.latency.add(&own).unwrap();
    let mut second = Second { due, sent: due, answered: due - failed, failed, ..Second::default() };
    if !own.is_empty() {
        second.set_latency(&own);
    }
    report.due += due;
    report.sent += due;
    report.seconds.push(second);
    report.elapsed += Duration::from_secs(1);
    *report.by_status.entry(204).or_default() += (due - failed) * 3 / 10;
    *report.by_status.entry(200).or_default() += due - failed - (due - failed) * 3 / 10;
}

fn outcome(goal: &str, measured: &str, met: bool) -> Outcome {
    Outcome { goal: goal.into(), measured: measured.into(), met }
}

fn content(passed: bool) -> Content {
    let mut content = Content {
        one_in: 10,
        expected: "as the corpus says".into(),
        sent: 120_000,
        checked: 12_000,
        unchanged: 2_400,
        with_token: 9_000,
        received: vec![Received {
            ssp: "http://127.0.0.1:9001".into(),
            compared: 12_000,
            ..Received::default()
        }],
        ..Content::default()
    };
    content.changes.insert(Change::TokenAdded, 9_000);
    content.changes.insert(Change::TmaxLowered, 9_600);
    if !passed {
        let example = |entry: &str, member: &str| Example {
            entry: entry.into(),
            member: member.into(),
            ssp: "http://127.0.0.1:9001".into(),
        };
        let examples =
            vec![example("web-banner-2k.json", "user.eids[1]"), example("ctv-pod.json", "user.eids[0]")];
        content.findings.insert(Finding::EidLost, Found { count: 412, examples });
        let examples = vec![example("mixed.ndjson:17", "user.ext.consented_providers_settings.list")];
        content.findings.insert(Finding::Dii, Found { count: 1, examples });
    }
    content
}

fn good() -> Report {
    let mut report =
        Report { load: load(2_000, 60), started: UnixMillis(1_787_788_800_000), ..Report::default() };
    (0..60).for_each(|n| second(&mut report, 2_000, 0, 2 + n % 3));
    report.slo = vec![outcome("p99<5ms", "1.17 ms", true), outcome("errors<0.1%", "0 of 120,000", true)];
    report.content = Some(content(true));
    report.cpu = Duration::from_millis(8_400);
    report.bytes = 48_000_000;
    report
}

fn bad() -> Report {
    let mut report =
        Report { load: load(3_000, 400), started: UnixMillis(1_787_788_800_000), ..Report::default() };
    report.load.target =
        "http://ssp-gateway-canary.europe-west4.internal.example.net:18080/openrtb2/auction?x=<y>&z=\"1\""
            .into();
    for n in 0..400 {
        let stall = (120..130).contains(&n);
        second(&mut report, 300 + n * 4, if stall { 300 } else { n / 40 }, if stall { 120 } else { 3 });
    }
    report.due += 1_203;
    report.errors =
        [(Fault::Timeout, 2_800), (Fault::Connect, 97), (Fault::Broken, 3), (Fault::Unsent, 1_203)].into();
    report.by_status.insert(503, 1_877);
    report.by_status.insert(400, 1);
    (0..9_000).for_each(|n| report.lateness.saturating_record(n * 4));
    report.slo = vec![
        outcome("p99<5ms", "11.2 ms", false),
        outcome("p99.99<=250ms", "1.34 s", false),
        outcome("rate>=1000/s", "1,094/s", true),
    ];
    report.content = Some(content(false));
    report
}

#[test]
fn a_good_load_reads_well() {
    let page = html(&good(), "0.1.0 (commit abc)");
    for text in [
        "2,000 requests a second for 60\u{a0}s: 99\u{a0}% were answered within",
        "no request failed; SLO met; content: 12,000 bodies compared, nothing wrong.",
        "<span class=\"badge good\">SLO met</span>",
        "<code>p99&lt;5ms</code>",
        "Made by uid2-gateway 0.1.0 (commit abc)",
        "Content was checked for one request in 10.",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_bad_load_says_what_was_bad() {
    let page = html(&bad(), "0.1.0");
    for text in [
        "SLO missed, wrong content",
        "300 to 1,892 requests a second for 400\u{a0}s",
        "SLO missed in 2 of 3 goals",
        "503 Service Unavailable",
        "never sent",
        "The generator itself was late",
        "1,203 requests were due and never sent",
        "<code>user.eids[1]</code> in web-banner-2k.json",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_load_without_a_request_is_a_page_too() {
    let page = html(&Report::default(), "0.1.0");
    assert!(
        page.contains("No request was sent.")
            && page.contains("no answer")
            && page.contains("Nothing to draw")
    );
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn nothing_comes_from_outside_and_nothing_runs() {
    for report in [good(), bad(), Report::default()] {
        let page = html(&report, "<0.1.0>");
        let lower = page.to_lowercase();
        for text in [
            "<script",
            "javascript:",
            " src=",
            "@import",
            "url(",
            "<link",
            "<img",
            " style=",
            " onload",
            "http-equiv=\"refresh",
        ] {
            assert!(!lower.contains(text), "{text}");
        }
        assert!(page.contains("default-src 'none'; style-src 'sha256-") && !page.contains("<0.1.0>"));
        assert!(!page.contains("x=<y>"));
    }
}

#[test]
fn every_tag_is_closed() {
    for report in [good(), bad(), Report::default()] {
        let page = html(&report, "0.1.0");
        for tag in [
            "div", "section", "table", "tr", "td", "th", "svg", "figure", "dl", "p", "span", "details", "ul",
            "li", "text",
        ] {
            let opened =
                page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }
}

#[test]
fn content_that_nobody_saw_is_neither_right_nor_wrong() {
    let mut report = good();
    let mut seen = content(true);
    seen.received[0].gone = 12;
    report.content = Some(seen);
    let page = html(&report, "1");
    assert!(page.contains("content not checked") && page.contains("12 thrown away by the SSPs unseen"));
    assert!(!page.contains("wrong content"));
}
