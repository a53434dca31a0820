//! Goals that a load must meet: `p99<5ms,errors<0.1%,rate>=1000`.

use std::cmp::Ordering;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::recorder::Report;
use super::table::{count, duration};

/// The grammar, for `--help` and error messages.
pub const GRAMMAR: &str = "GOAL[,GOAL]…; a GOAL is WHAT OP VALUE:
  WHAT   p50, p99, p99.9 …  latency of so many of 100 requests; one without an answer is later than any time
         mean               latency of the answers
         max                latency of all requests: missed when one has no answer
         errors             requests without an answer, or with one of status 400 and above
         rate               answers below status 400 per second
  OP     < <= > >=
  VALUE  latency: 250us, 5ms, 1.5s; errors: 0.1% of the requests, or a number of them; rate: 1000 or 1000/s
A file holds the same, one goal or more a line, # starts a comment.";

/// Goals; at least one.
#[derive(Clone, PartialEq, Debug)]
pub struct Slo(Vec<Goal>);

/// Why a text is no goal. Names the part.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{part:?}: {reason}")]
pub struct SloError {
    part: String,
    reason: &'static str,
}

/// A goal and what was measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// As it was given: `p99<5ms`.
    pub goal: String,
    /// What was measured, for people: `3.20 ms`.
    pub measured: String,
    /// Whether that meets the goal.
    pub met: bool,
}

#[derive(Clone, PartialEq, Debug)]
struct Goal {
    text: String,
    what: What,
    op: Op,
    limit: f64,
}

/// What is compared, and the unit of its limit.
#[derive(Clone, Copy, PartialEq, Debug)]
enum What {
    /// Of 100 requests; seconds.
    Percentile(f64),
    /// Seconds.
    Mean,
    /// Seconds.
    Max,
    /// Of the requests that were due, 0 to 1.
    ErrorShare,
    /// Requests.
    Errors,
    /// Per second.
    Rate,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Longer ones first, so that `<=` is not read as `<`.
const OPS: [(&str, Op); 4] = [("<=", Op::AtMost), (">=", Op::AtLeast), ("<", Op::Less), (">", Op::Greater)];

impl Slo {
    /// Goals as they stand, or those in the file that `text` names.
    pub fn load(text: &str) -> anyhow::Result<Self> {
        if !text.contains(['<', '>']) && Path::new(text).exists() {
            return Ok(std::fs::read_to_string(text)?.parse()?);
        }
        Ok(text.parse()?)
    }

    /// Each goal against a report.
    pub fn judge(&self, report: &Report) -> Vec<Outcome> {
        self.0.iter().map(|goal| goal.judge(report)).collect()
    }

    /// The same goals and, when none of them is about errors, one more.
    #[must_use]
    pub fn with_errors(mut self, share: &str) -> Self {
        if !self.0.iter().any(|goal| matches!(goal.what, What::ErrorShare | What::Errors)) {
            self.0.extend(goal(&format!("errors<{share}")));
        }
        self
    }
}

impl FromStr for Slo {
    type Err = SloError;

    fn from_str(text: &str) -> Result<Self, SloError> {
        let uncommented = text.lines().map(|line| line.split_once('#').map_or(line, |(before, _)| before));
        let parts =
            uncommented.flat_map(|line| line.split(',')).map(str::trim).filter(|part| !part.is_empty());
        let goals = parts.map(goal).collect::<Result<Vec<_>, _>>()?;
        if goals.is_empty() {
            return Err(SloError { part: text.trim().to_owned(), reason: "no goal, such as p99<5ms" });
        }
        Ok(Self(goals))
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goals: Vec<&str> = self.0.iter().map(|goal| goal.text.as_str()).collect();
        f.write_str(&goals.join(","))
    }
}

fn goal(text: &str) -> Result<Goal, SloError> {
    let wrong = |part: &str, reason| SloError { part: part.to_owned(), reason };
    let found =
        OPS.iter().find_map(|(sign, op)| text.split_once(sign).map(|(what, value)| (what, *op, value)));
    let (name, op, value) =
        found.ok_or_else(|| wrong(text, "neither a goal, such as p99<5ms, nor a file"))?;
    let (name, value) = (name.trim(), value.trim());
    let (what, limit) = match name {
        "mean" => (What::Mean, seconds(value)),
        "max" => (What::Max, seconds(value)),
        "rate" => {
            (What::Rate, number(value.strip_suffix("/s").unwrap_or(value), "must be a number per second"))
        }
        "errors" => match value.strip_suffix('%') {
            Some(share) => {
                (What::ErrorShare, number(share, "must be a percentage or a number").map(|n| n / 100.0))
            }
            None => (What::Errors, number(value, "must be a percentage or a number")),
        },
        _ => (percentile(name).map_err(|reason| wrong(name, reason))?, seconds(value)),
    };
    Ok(Goal { text: text.to_owned(), what, op, limit: limit.map_err(|reason| wrong(value, reason))? })
}

fn percentile(name: &str) -> Result<What, &'static str> {
    let of = name.strip_prefix('p').ok_or("not p50 … p99.99, mean, max, errors or rate")?;
    let of = number(of, "a percentile is p and a number, such as p99.9")?;
    if of > 0.0 && of <= 100.0 {
        Ok(What::Percentile(of))
    } else {
        Err("a percentile lies above 0 and up to 100")
    }
}

fn number(text: &str, reason: &'static str) -> Result<f64, &'static str> {
    let digits = text.trim();
    let plain = digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.contains(['e', 'E']);
    digits.parse().ok().filter(|_| plain).ok_or(reason)
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    const REASON: &str = "must be a time with its unit: us, ms or s";
    let units = [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (figure, unit) = units
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|figure| (figure, unit)))
        .ok_or(REASON)?;
    Ok(number(figure, REASON)? * unit)
}

impl Goal {
    fn judge(&self, report: &Report) -> Outcome {
        let (value, measured) = self.measure(report);
        let met = value.is_some_and(|value| {
            let order = value.total_cmp(&self.limit);
            match self.op {
                Op::Less => order == Ordering::Less,
                Op::AtMost => order != Ordering::Greater,
                Op::Greater => order == Ordering::Greater,
                Op::AtLeast => order != Ordering::Less,
            }
        });
        Outcome { goal: self.text.clone(), measured, met }
    }

    /// The figure, and how to say it; none when there is nothing to measure.
    fn measure(&self, report: &Report) -> (Option<f64>, String) {
        if report.uncounted && self.what != What::Mean {
            return (None, "not known: nobody counted what failed".to_owned());
        }
        let time = |time: Option<Duration>| match time {
            Some(time) => (Some(time.as_secs_f64()), duration(time)),
            None => (None, "no answer".to_owned()),
        };
        let answered = !report.latency.is_empty();
        match self.what {
            What::Percentile(of) => time(report.latency_of_all(of)),
            What::Mean => time(answered.then(|| Duration::from_secs_f64(report.latency.mean() / 1e6))),
            What::Max => {
                time(report.latency_of_all(100.0).and(Some(super::recorder::at(&report.latency, 100.0))))
            }
            What::ErrorShare => {
                let share = report.error_share();
                (
                    share,
                    share.map_or_else(|| "no request".to_owned(), |share| format!("{:.3} %", 100.0 * share)),
                )
            }
            #[expect(clippy::cast_precision_loss, reason = "2^52 requests are out of reach")]
            What::Errors => (Some(report.failed() as f64), count(report.failed())),
            What::Rate => (Some(report.goodput()), format!("{:.1}/s", report.goodput())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorder::Fault;
    use super::*;

    /// 98 answers of 1 ms, one of 10 ms, one of 20 ms, in two seconds; `failed` further ones have none.
    fn report(failed: u64) -> Report {
        let mut report = Report { due: 100 + failed, sent: 100 + failed, ..Report::default() };
        report.elapsed = Duration::from_secs(2);
        report.latency.record_n(1_000, 98).unwrap();
        report.latency.record(10_000).unwrap();
        report.latency.record(20_000).unwrap();
        report.by_status.insert(204, 100);
        if failed > 0 {
            report.errors.insert(Fault::Timeout, failed);
        }
        report
    }

    fn met(slo: &str, report: &Report) -> Vec<bool> {
        slo.parse::<Slo>().unwrap().judge(report).iter().map(|outcome| outcome.met).collect()
    }

    #[test]
    fn goals_are_held_against_figures() {
        let all = report(0);
        assert_eq!(
            met("p50<1ms, p98<=1.001ms , p99<20ms,p99.9<20ms,p100<=20.1ms", &all),
            [false, true, true, false, true]
        );
        assert_eq!(
            met("max<25ms,max<20ms,mean<2ms,mean>1.2ms,mean<1200us", &all),
            [true, false, true, true, false]
        );
        assert_eq!(met("rate>=50,rate>50/s,rate<50,rate<=50", &all), [true, false, false, true]);
        assert_eq!(met("errors<1,errors<=0,errors<0%,errors<=0%", &all), [true, true, false, true]);
    }

    #[test]
    fn a_request_without_an_answer_is_later_than_any_time() {
        let some = report(1);
        assert_eq!(met("p98<15ms,p99.9<1000s,max<1000s", &some), [true, false, false]);
        assert_eq!(met("errors<1%,errors<=1,errors<1,rate>=50", &some), [true, true, false, true]);
        let nothing = Report::default();
        assert_eq!(met("p50<1s,errors<1%,rate>=0,mean<1s", &nothing), [false, false, true, false]);
    }

    #[test]
    fn what_was_not_counted_meets_no_goal() {
        let report = Report { uncounted: true, ..report(0) };
        assert_eq!(
            met("p50<1h,max<1h,errors<1,errors<1%,rate>=0,mean<2ms".replace("1h", "3600s").as_str(), &report),
            [false, false, false, false, false, true]
        );
    }

    #[test]
    fn answers_of_status_400_and_above_are_errors() {
        let mut report = report(0);
        report.by_status = [(200, 97), (429, 2), (503, 1)].into();
        assert_eq!(
            met("errors<=3,errors<3,errors<=3%,rate>=48.5,rate>48.5", &report),
            [true, false, true, true, false]
        );
    }

    #[test]
    fn a_file_holds_goals_with_comments() {
        let slo: Slo = "# for the ad server\np99<5ms # tight\n\nerrors<0.1%, rate>=1000\n".parse().unwrap();
        assert_eq!(slo.to_string(), "p99<5ms,errors<0.1%,rate>=1000");
        assert_eq!(slo.clone().with_errors("1%"), slo);
        assert_eq!("p99<5ms".parse::<Slo>().unwrap().with_errors("1%").to_string(), "p99<5ms,errors<1%");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("slo.txt");
        std::fs::write(&file, "max<1s\n").unwrap();
        assert_eq!(Slo::load(&file.to_string_lossy()).unwrap().to_string(), "max<1s");
        assert!(Slo::load("/no/such/file").unwrap_err().to_string().contains("nor a file"));
    }

    #[test]
    fn what_is_no_goal_is_named() {
        for (text, part) in [
            ("p99", "p99"),
            ("", ""),
            ("p99<5ms,p99=5ms", "p99=5ms"),
            ("q99<5ms", "q99"),
            ("p0<5ms", "p0"),
            ("p100.1<5ms", "p100.1"),
            ("p-1<5ms", "p-1"),
            ("pNaN<5ms", "pNaN"),
            ("p99<5", "5"),
            ("p99<ms", "ms"),
            ("p99<-5ms", "-5ms"),
            ("p99<infs", "infs"),
            ("errors<x%", "x%"),
            ("rate>fast", "fast"),
            ("rate>5ms", "5ms"),
            ("p99<<5ms", "<5ms"),
        ] {
            let error = text.parse::<Slo>().expect_err(text);
            assert_eq!(error.part, part, "{error}");
        }
    }
}
