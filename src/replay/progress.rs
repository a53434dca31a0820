//! One line about a load that runs: how far it is, its rate, its p99, what has failed.

use std::time::Duration;

use super::driver::Live;
use super::table::{count, duration};

/// Characters of the bar.
const WIDTH: u32 = 24;

/// A line without a line end: `12 s of 30 s ▐████████▌ 2,000/s  p99 3.10 ms  failed 0`. `whole` is the length of the load, if
/// it has one.
pub fn line(live: &Live<'_>, whole: Option<Duration>) -> String {
    let elapsed = live.elapsed.as_secs();
    let far = match whole {
        Some(whole) => format!("{elapsed} s of {} s {}", whole.as_secs(), bar(live.elapsed, whole)),
        None => format!("{elapsed} s"),
    };
    format!(
        "{far} {}/s  p99 {}  failed {}",
        count(live.second.answered),
        duration(live.second.latency.p99),
        count(live.report.failed()),
    )
}

fn bar(elapsed: Duration, whole: Duration) -> String {
    let whole = whole.as_millis().max(1);
    let filled = (elapsed.as_millis().min(whole) * u128::from(WIDTH)) / whole;
    let filled = usize::try_from(filled).unwrap_or(0);
    let empty = usize::try_from(WIDTH).unwrap_or(0).saturating_sub(filled);
    format!("▐{}{}▌", "█".repeat(filled), "░".repeat(empty))
}

#[cfg(test)]
mod tests {
    use super::super::recorder::{Fault, Report};
    use super::super::second::{Percentiles, Second};
    use super::*;

    #[test]
    fn a_line_tells_how_far_and_how_fast() {
        let mut report = Report::default();
        report.errors.insert(Fault::Timeout, 1_200);
        let latency = Percentiles { p99: Duration::from_micros(3_100), ..Percentiles::default() };
        let second = Second { answered: 1_998, latency, ..Second::default() };
        let live = Live { report: &report, second: &second, elapsed: Duration::from_secs(5) };
        assert_eq!(
            line(&live, Some(Duration::from_secs(20))),
            "5 s of 20 s ▐██████░░░░░░░░░░░░░░░░░░▌ 1,998/s  p99 3.10 ms  failed 1,200"
        );
        assert_eq!(line(&live, None), "5 s 1,998/s  p99 3.10 ms  failed 1,200");
        // The last answers come after the end.
        assert!(line(&live, Some(Duration::from_secs(4))).contains(&format!("▐{}▌", "█".repeat(24))));
    }
}
