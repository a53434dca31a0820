//! Which charts a report has, and their lines.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::super::recorder::Report;
use super::super::second::Second;
use super::super::table::{count, duration};
use super::plot::{Axis, Chart, Line};
use super::scale::Scale;
use super::verdict::rounded;

/// Most points of a line over time; a longer load has several seconds in a point.
const MOST_POINTS: usize = 240;

/// Some seconds of a load as one point.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// Where it begins, seconds.
    pub(super) second: usize,
    /// Per second.
    pub(super) due: f64,
    pub(super) sent: f64,
    pub(super) answered: f64,
    pub(super) failed: f64,
    /// Milliseconds, of the worst second in it.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

/// The seconds of a load, and how many are in each point.
pub(super) fn points(report: &Report, most: usize) -> (Vec<Point>, usize) {
    let width = report.seconds.len().div_ceil(most.max(1)).max(1);
    let chunks = report.seconds.chunks(width).enumerate();
    (chunks.map(|(index, seconds)| point(index * width, seconds)).collect(), width)
}

#[expect(clippy::cast_precision_loss, reason = "points of a line; 2^52 requests are out of reach")]
fn point(second: usize, seconds: &[Second]) -> Point {
    let mean = |of: fn(&Second) -> u64| seconds.iter().map(of).sum::<u64>() as f64 / seconds.len() as f64;
    let worst = |of: fn(&Second) -> Duration| millis(seconds.iter().map(of).max().unwrap_or_default());
    Point {
        second,
        due: mean(|s| s.due),
        sent: mean(|s| s.sent),
        answered: mean(|s| s.answered),
        failed: mean(|s| s.failed),
        p50: worst(|s| s.latency.p50),
        p99: worst(|s| s.latency.p99),
        max: worst(|s| s.latency.max),
    }
}

/// All charts, in the order in which they are read.
pub(super) fn all(report: &Report) -> Vec<Chart> {
    vec![over_time(report), percentiles(report), throughput(report), lateness(report)]
}

/// Latency by percentile, as HDR histograms are plotted.
fn percentiles(report: &Report) -> Chart {
    let lines = [
        ("from when it was due", "line-a", &report.latency),
        ("from when it was sent", "line-b", &report.service),
    ];
    by_percentile("percentiles", "Latency by percentile", "latency", &lines)
}

/// How late requests left.
fn lateness(report: &Report) -> Chart {
    let lines = [
        ("generator's own lateness", "line-a", &report.lateness),
        ("with the wait for a free connection", "line-b", &report.wait),
    ];
    by_percentile("lateness", "Lateness of the load generator", "late by", &lines)
}

type Curve<'a> = (&'static str, &'static str, &'a Histogram<u64>);

fn by_percentile(id: &'static str, title: &'static str, name: &'static str, curves: &[Curve<'_>]) -> Chart {
    let largest = curves.iter().map(|(.., h)| h.len()).max().unwrap_or(0);
    let x = Scale::of_percentiles(largest);
    let value = |percentile| move |(.., h): &Curve<'_>| to_millis(h.value_at_percentile(percentile));
    let most = curves.iter().filter(|(.., h)| !h.is_empty()).map(value(100.0)).fold(0.0, f64::max);
    let typical = curves.first().map_or(0.0, value(50.0));
    let lines =
        curves.iter().map(|&(name, class, histogram)| Line { name, class, points: curve(histogram, x) });
    let says = curves.iter().map(|(name, _, h)| {
        let at = |percentile| duration(Duration::from_micros(h.value_at_percentile(percentile)));
        format!("{name}: median {}, 99 % {}, slowest {}. ", at(50.0), at(99.0), at(100.0))
    });
    Chart {
        id,
        title,
        says: says.collect::<String>() + "The figures are in the table of percentiles.",
        x: Axis { name: "percentile", scale: x, label: percentile_label },
        y: Axis { name, scale: Scale::of_values(typical, most), label: time_label },
        lines: lines.collect(),
    }
}

/// Twelve points for each nine.
fn curve(histogram: &Histogram<u64>, scale: Scale) -> Vec<(f64, f64)> {
    const STEPS: u32 = 12;
    let Scale::Nines(nines) = scale else { return Vec::new() };
    if histogram.is_empty() {
        return Vec::new();
    }
    let last = (f64::from(STEPS) * nines).round();
    let places = (0..=500_u32).map(f64::from).take_while(|step| *step <= last);
    let percentiles = places.map(|step| 100.0 * (1.0 - 10_f64.powf(-step / f64::from(STEPS))));
    percentiles.map(|p| (p, to_millis(histogram.value_at_percentile(p)))).collect()
}

fn over_time(report: &Report) -> Chart {
    let (points, width) = points(report, MOST_POINTS);
    let answered: Vec<&Point> = points.iter().filter(|point| point.answered > 0.0).collect();
    let most = answered.iter().map(|point| point.max).fold(0.0, f64::max);
    let mut typical: Vec<f64> = answered.iter().map(|point| point.p50).collect();
    typical.sort_by(f64::total_cmp);
    let line = |name, class, of: fn(&Point) -> f64| Line {
        name,
        class,
        points: answered.iter().map(|point| (middle(point, width), of(point))).collect(),
    };
    Chart {
        id: "latency",
        title: "Latency over time",
        says: format!(
            "Median, 99th percentile and slowest answer of each {}. The slowest of all: {}.",
            span(width),
            time_label(most)
        ),
        x: time_axis(report),
        y: Axis {
            name: "latency",
            scale: Scale::of_values(typical.get(typical.len() / 2).copied().unwrap_or(0.0), most),
            label: time_label,
        },
        lines: vec![
            line("slowest", "line-c", |point| point.max),
            line("p99", "line-b", |point| point.p99),
            line("p50", "line-a", |point| point.p50),
        ],
    }
}

fn throughput(report: &Report) -> Chart {
    let (mut points, width) = points(report, MOST_POINTS);
    // Behind the end only stragglers come: not a rate that fell.
    let whole = report.load.duration.as_secs();
    points.retain(|point| whole == 0 || u64::try_from(point.second).is_ok_and(|second| second < whole));
    let most = points.iter().map(|point| point.due.max(point.sent).max(point.answered)).fold(0.0, f64::max);
    let line = |name, class, of: fn(&Point) -> f64| Line {
        name,
        class,
        points: points.iter().map(|point| (middle(point, width), of(point))).collect(),
    };
    Chart {
        id: "throughput",
        title: "Requests per second",
        says: format!(
            "Due, sent, answered and failed in each {}; at most {} a second. In all {} were due, {} failed.",
            span(width),
            rounded(most),
            count(report.due),
            count(report.failed())
        ),
        x: time_axis(report),
        // Never logarithmic: nothing failed is a line at zero.
        y: Axis { name: "requests a second", scale: Scale::of_values(0.0, most * 1.02), label: rounded },
        lines: vec![
            line("due", "line-a", |point| point.due),
            line("sent", "line-b", |point| point.sent),
            line("answered", "line-d", |point| point.answered),
            line("failed", "line-c", |point| point.failed),
        ],
    }
}

fn time_axis(report: &Report) -> Axis {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a load")]
    let seconds = report.seconds.len().max(1) as f64;
    Axis { name: "time", scale: Scale::Seconds(seconds), label: clock_label }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a load")]
fn middle(point: &Point, width: usize) -> f64 {
    point.second as f64 + width as f64 / 2.0
}

/// What one point stands for.
pub(super) fn span(width: usize) -> String {
    if width == 1 {
        "second".to_owned()
    } else {
        format!("{width} seconds (latency: of the worst second in them)")
    }
}

fn to_millis(micros: u64) -> f64 {
    millis(Duration::from_micros(micros))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Milliseconds for people, short.
fn time_label(millis: f64) -> String {
    if millis <= 0.0 {
        "0".to_owned()
    } else if millis < 0.9995 {
        format!("{} µs", shortened(millis * 1e3))
    } else if millis < 999.5 {
        format!("{} ms", shortened(millis))
    } else {
        format!("{} s", shortened(millis / 1e3))
    }
}

/// Seconds since the beginning: `45 s`, `2:30`, `1:00:00`.
fn clock_label(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a load")]
    let whole = seconds.max(0.0).floor() as u64;
    match (whole / 3_600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Three digits that count, without zeros behind them.
fn shortened(value: f64) -> String {
    let decimals = match value {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A percentile as it is called: `99.99`.
fn percentile_label(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
