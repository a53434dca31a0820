//! The document around charts and tables.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::super::recorder::{Report, at};
use super::super::table::duration;
use super::charts;
use super::escape::Text;
use super::plot::write_to;
use super::tables;
use super::verdict::{Mood, Verdict, percent, rounded};
use crate::time::UnixMillis;

const STYLE: &str = include_str!("style.css");

/// A report as one HTML document. `version`: of the program that made it.
pub fn html(report: &Report, version: &str) -> String {
    let verdict = Verdict::of(report);
    let mut out = head();
    out.push_str("<header>");
    write_to(
        &mut out,
        format_args!(
            "<p class=\"kind\">Load report{}{}</p><h1><span class=\"badge {}\">{}</span> {}</h1>",
            if report.load.target.is_empty() { "" } else { " · " },
            Text(&report.load.target),
            class(verdict.mood),
            Text(verdict.word),
            Text(&glued(&verdict.sentence))
        ),
    );
    for doubt in &verdict.doubts {
        write_to(&mut out, format_args!("<p class=\"doubt\"><strong>Note:</strong> {}</p>", Text(doubt)));
    }
    out.push_str(&tiles(report));
    out.push_str("</header><main>");
    let goals = tables::goals(report);
    if !goals.is_empty() {
        section(&mut out, "goals", "Goals", &goals);
    }
    let figures: String = charts::all(report).iter().map(super::plot::Chart::figure).collect();
    section(
        &mut out,
        "charts",
        "Charts",
        &format!("<div class=\"charts\">{figures}</div>{}", tables::over_time(report)),
    );
    section(&mut out, "percentiles", "Percentiles", &(tables::percentiles(report) + EXPLAINED));
    section(&mut out, "answers", "Answers", &tables::answers(report));
    if let Some(content) = &report.content {
        section(&mut out, "content", "Content", &tables::content(content));
    }
    section(&mut out, "load", "Load", &tables::load(report));
    write_to(
        &mut out,
        format_args!(
            "</main><footer><p>{}Made by uid2-gateway {}.</p></footer></body></html>\n",
            started(report.started),
            Text(version)
        ),
    );
    out
}

const EXPLAINED: &str = "<p class=\"hint\">Latency counts from the moment a request was due, whether or not it could be \
    sent then: a target that stalls cannot hide the requests that had to wait. What was only sent late by the target’s \
    fault shows in the first column and not in the second.</p>";

/// Nothing is loaded, nothing runs, and of styles only ours count.
fn head() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" \
         content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\"><title>Load report</title>\
         <style>{STYLE}</style></head><body>"
    )
}

/// A number and its unit stay on one line.
fn glued(text: &str) -> String {
    let units = ["%", "µs", "ms", "s"];
    units.into_iter().fold(text.to_owned(), |text, unit| {
        let (from, to) = (format!(" {unit}"), format!("\u{a0}{unit}"));
        let mut parts = text.split(from.as_str());
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            let number = text.ends_with(|c: char| c.is_ascii_digit());
            let ends = !part.starts_with(char::is_alphabetic);
            text + if number && ends { &to } else { &from } + part
        })
    })
}

fn section(out: &mut String, id: &str, title: &str, inside: &str) {
    write_to(
        out,
        format_args!("<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{title}</h2>{inside}</section>"),
    );
}

fn class(mood: Mood) -> &'static str {
    match mood {
        Mood::Good => "good",
        Mood::Bad => "bad",
        Mood::Mixed => "mixed",
    }
}

/// The few figures everybody asks for.
fn tiles(report: &Report) -> String {
    let time = |percentile| {
        if report.uncounted && !report.latency.is_empty() {
            return duration(at(&report.latency, percentile));
        }
        report.latency_of_all(percentile).map_or_else(|| "–".to_owned(), duration)
    };
    let failed = report.error_share().map_or_else(|| "–".to_owned(), percent);
    let figures = [
        ("answered a second", rounded(report.goodput())),
        ("p50", time(50.0)),
        ("p99", time(99.0)),
        ("p99.9", time(99.9)),
        ("slowest", time(100.0)),
        ("failed", failed),
    ];
    let shown = |(name, value): &(&str, String)| {
        format!("<div><dt>{}</dt><dd>{}</dd></div>", Text(name), Text(value))
    };
    format!("<dl class=\"tiles\">{}</dl>", figures.iter().map(shown).collect::<String>())
}

/// When it began, in UTC.
fn started(at: UnixMillis) -> String {
    if at.0 <= 0 {
        return String::new();
    }
    let seconds = at.0.div_euclid(1_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("Begun {year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC. ")
}

/// Year, month and day of a number of days since 1970-01-01 (Gregorian calendar; eras of 400 years from a March on, so
/// that the leap day is the last of its year).
fn date(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_stay_with_their_numbers() {
        assert_eq!(
            glued("for 60 s: 99 % sent in 3.1 ms; 7 such"),
            "for 60\u{a0}s: 99\u{a0}% sent in 3.1\u{a0}ms; 7 such"
        );
    }

    #[test]
    fn times_are_written_in_utc() {
        for (millis, text) in [
            (0, ""),
            (951_782_400_000, "Begun 2000-02-29 00:00:00 UTC. "),
            (1_735_689_599_999, "Begun 2024-12-31 23:59:59 UTC. "),
            (1_787_788_800_000, "Begun 2026-08-27 00:00:00 UTC. "),
        ] {
            assert_eq!(started(UnixMillis(millis)), text);
        }
    }
}
