//! The figures as tables: what the charts show, and what no chart can.

use std::fmt::Display;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::super::recorder::{Report, at};
use super::super::table::{count, duration};
use super::super::verify::Content;
use super::charts::{points, span};
use super::escape::Text;
use super::plot::write_to;
use super::verdict::{percent, rounded};

/// Most rows of the table over time.
const MOST_ROWS: usize = 60;

/// Tables that stand alone under a heading.
const TITLED: [&str; 3] = ["Latency by percentile", "Service level objectives", "Answers"];

/// A table that can be scrolled where it does not fit. Cells are HTML already; `figures`: from which column on they
/// stand to the right.
fn table<C: Display>(caption: &str, head: &[&str], rows: &[Vec<C>], figures: usize) -> String {
    let mut out = format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{0}\"><table><caption{1}>{0}</caption><thead><tr>",
        Text(caption),
        // Where the heading says the same, for people who do not see.
        if TITLED.contains(&caption) { " class=\"unseen\"" } else { "" }
    );
    let class = |column: usize| if column >= figures { " class=\"n\"" } else { "" };
    for (column, name) in head.iter().enumerate() {
        write_to(&mut out, format_args!("<th scope=\"col\"{}>{}</th>", class(column), Text(name)));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let (open, close) = if column == 0 { ("th scope=\"row\"", "th") } else { ("td", "td") };
            write_to(&mut out, format_args!("<{open}{}>{cell}</{close}>", class(column)));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

/// The latencies by percentile.
pub(super) fn percentiles(report: &Report) -> String {
    let row = |(name, percentile): (&str, f64)| {
        let figure = |histogram: &Histogram<u64>| {
            if histogram.is_empty() { "–".to_owned() } else { duration(at(histogram, percentile)) }
        };
        let figures = [&report.latency, &report.service, &report.lateness].map(figure);
        let of_all = report.latency_of_all(percentile).map_or_else(|| "–".to_owned(), duration);
        [name.to_owned(), of_all].into_iter().chain(figures).collect()
    };
    let percentiles =
        [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99), ("slowest", 100.0)];
    let rows: Vec<Vec<String>> = percentiles.into_iter().map(row).collect();
    let head = [
        "",
        "all requests, from when due",
        "answers, from when due",
        "answers, from when sent",
        "generator late by",
    ];
    table("Latency by percentile", &head, &rows, 1)
}

/// The goals; nothing without any.
pub(super) fn goals(report: &Report) -> String {
    if report.slo.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = report
        .slo
        .iter()
        .map(|outcome| {
            let mark = if outcome.met {
                "<span class=\"good\">✓ met</span>"
            } else {
                "<span class=\"bad\">✗ missed</span>"
            };
            let text = |text: &str| Text(text).to_string();
            vec![format!("<code>{}</code>", text(&outcome.goal)), text(&outcome.measured), mark.to_owned()]
        })
        .collect();
    table("Service level objectives", &["goal", "measured", "result"], &rows, 3)
}

/// Answers by status and requests without one, with bars.
pub(super) fn answers(report: &Report) -> String {
    let statuses = report.by_status.iter().map(|(status, number)| {
        let class = if *status >= 400 { "bar-bad" } else { "bar-good" };
        (format!("{status} {}", reason(*status)), class, *number)
    });
    let faults = report.errors.iter().map(|(fault, number)| (fault.name().to_owned(), "bar-bad", *number));
    let all: Vec<(String, &str, u64)> = statuses.chain(faults).collect();
    let sum: u64 = all.iter().map(|(.., number)| number).sum();
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .map(|(name, class, number)| {
            let share = share(number, sum);
            // Something is always to be seen of what is there.
            let width = (share * 200.0).max(if number > 0 { 1.5 } else { 0.0 });
            let bar = format!(
                "<svg class=\"bar\" viewBox=\"0 0 200 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"track\" width=\"200\" height=\"12\"/><rect class=\"{class}\" width=\"{width:.1}\" height=\"12\"/></svg>"
            );
            vec![Text(&name).to_string(), bar, count(number), percent(share)]
        })
        .collect();
    if rows.is_empty() {
        return "<p class=\"none\">No answer came.</p>".to_owned();
    }
    table("Answers", &["answer", "", "requests", "share"], &rows, 2)
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

#[expect(clippy::cast_precision_loss, reason = "shares for people")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// What was asked for.
pub(super) fn load(report: &Report) -> String {
    let load = &report.load;
    // What is not known, as when logs are added up, is not shown.
    let seconds = |time: Duration| if time.is_zero() { String::new() } else { duration(time) };
    let several = |number: usize| if number == 0 { String::new() } else { count(whole(number)) };
    let rows = [
        ("Target", load.target.clone()),
        ("Corpus", load.corpus.clone()),
        ("Different requests", several(load.entries)),
        ("Pace", load.pace.clone()),
        ("Duration", seconds(load.duration)),
        ("Warm-up, not counted", seconds(load.warmup)),
        ("Protocol", load.protocol.clone()),
        ("Connections", several(load.connections)),
        ("Threads of the generator", several(load.threads)),
        ("Users logged in", several(load.users)),
        ("Time-out", seconds(load.timeout)),
        ("Requests due", count(report.due)),
        ("Requests sent", count(report.sent)),
        ("Requests failed", if report.uncounted { String::new() } else { count(report.failed()) }),
        ("Answered below 400, a second", rounded(report.goodput())),
        ("Bytes of answers", count(report.bytes)),
        ("CPU time of the generator", seconds(report.cpu)),
    ];
    let mut out = String::from("<dl>");
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        write_to(&mut out, format_args!("<div><dt>{}</dt><dd>{}</dd></div>", Text(name), Text(value)));
    }
    out.push_str("</dl>");
    out
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The charts over time, as figures.
pub(super) fn over_time(report: &Report) -> String {
    let (points, width) = points(report, MOST_ROWS);
    if points.is_empty() {
        return String::new();
    }
    let time = |millis: f64| duration(Duration::from_secs_f64(millis / 1e3));
    let row = |point: &super::charts::Point| {
        let counts = [point.due, point.sent, point.answered, point.failed].map(rounded);
        let times = [point.p50, point.p99, point.max].map(time);
        std::iter::once(format!("{} s", point.second)).chain(counts).chain(times).collect()
    };
    let rows: Vec<Vec<String>> = points.iter().map(row).collect();
    let head = ["from", "due/s", "sent/s", "answered/s", "failed/s", "p50", "p99", "slowest"];
    let name = format!("Each {}", span(width));
    format!(
        "<details><summary>Figures over time as a table</summary>{}</details>",
        table(&name, &head, &rows, 0)
    )
}

/// What the content checks found; nothing without any.
pub(super) fn content(content: &Content) -> String {
    let mark = if content.passed() { ("good", "✓") } else { ("bad", "✗") };
    let mut out = format!("<p><span class=\"{}\">{}</span> {}.", mark.0, mark.1, Text(&content.verdict()));
    write_to(
        &mut out,
        format_args!(
            " Expected token: {}. {} arrived byte for byte as sent, {} with a token.",
            Text(&content.expected),
            count(content.unchanged),
            count(content.with_token)
        ),
    );
    if content.one_in > 1 {
        write_to(&mut out, format_args!(" One request in {} was checked.", count(content.one_in)));
    }
    out.push_str("</p>");
    if !content.findings.is_empty() {
        out.push_str(&findings(content));
    }
    let changes: Vec<Vec<String>> = content
        .changes
        .iter()
        .map(|(change, number)| vec![change.says().to_owned(), count(*number)])
        .collect();
    if !changes.is_empty() {
        out.push_str(&table("What was meant to change", &["change", "requests"], &changes, 1));
    }
    let received: Vec<Vec<String>> = content
        .received
        .iter()
        .map(|ssp| {
            let fault = ssp.fault.as_ref().map_or_else(|| "–".to_owned(), |fault| Text(fault).to_string());
            vec![Text(&ssp.ssp).to_string(), count(ssp.compared), count(ssp.gone), fault]
        })
        .collect();
    out.push_str(&table("Received by", &["SSP", "compared", "gone unseen", "fault"], &received, 1));
    out
}

fn findings(content: &Content) -> String {
    let mut rows = Vec::new();
    for (finding, found) in &content.findings {
        let examples = found.examples.iter().map(|example| {
            let member = if example.member.is_empty() { "the whole" } else { &example.member };
            format!("<li><code>{}</code> in {}</li>", Text(member), Text(&example.entry))
        });
        let examples = format!("<ul>{}</ul>", examples.collect::<String>());
        rows.push(vec![
            format!("<span class=\"bad\">{}</span>", finding.says()),
            count(found.count),
            examples,
        ]);
    }
    table("Findings", &["finding", "requests", "for example"], &rows, 9)
}
