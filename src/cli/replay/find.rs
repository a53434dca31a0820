//! `--find-max`: one probe after the other, each a load of its own.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::Args;
use super::prepare::Prepared;
use super::{measure, written};
use crate::cli::{print, without_result};
use crate::replay::table::{count, duration};
use crate::replay::{Load, Pace, Report, Search, Slo};

/// Between two probes, so that the target has done with the last one.
const COOL_DOWN: Duration = Duration::from_secs(1);
/// A probe that is missed should not take long to end.
const GRACE: Duration = Duration::from_secs(1);
/// Added when no goal is about errors: a target that sheds load is fast.
const ERRORS: &str = "0.1%";

struct Probe {
    rate: f64,
    met: bool,
    report: Report,
}

pub(super) fn run(args: &Args, prepared: &Prepared) -> anyhow::Result<ExitCode> {
    let Some(slo) = args.slo.clone().map(|slo| slo.with_errors(ERRORS)) else {
        return without_result(args.json, "--find-max needs --slo", ExitCode::FAILURE);
    };
    let search = Search { first: args.rate.unwrap_or(Search::default().first), ..Search::default() };
    let mut probes: Vec<Probe> = Vec::new();
    let found = search.run(|rate| {
        if !probes.is_empty() {
            std::thread::sleep(COOL_DOWN);
        }
        if stopped(prepared) {
            anyhow::bail!("stopped");
        }
        let probe = probe(prepared, &slo, rate)?;
        // Cut off, it tells nothing about its rate.
        if stopped(prepared) {
            anyhow::bail!("stopped");
        }
        if !args.json {
            print(&probe.line())?;
        }
        let met = probe.met;
        probes.push(probe);
        anyhow::Ok(met)
    });
    match found {
        Ok(found) => conclude(args, &slo, &probes, (found, None)),
        Err(fault) if probes.is_empty() => {
            without_result(args.json, &format!("{fault:#}"), ExitCode::FAILURE)
        }
        Err(fault) => {
            let met = probes.iter().filter(|probe| probe.met).map(|probe| probe.rate);
            let found = met.max_by(f64::total_cmp);
            conclude(args, &slo, &probes, (found, Some(format!("{fault:#}"))))
        }
    }
}

fn stopped(prepared: &Prepared) -> bool {
    prepared.load.stop.load(Ordering::Relaxed)
}

fn probe(prepared: &Prepared, slo: &Slo, rate: f64) -> anyhow::Result<Probe> {
    let load =
        Load { pace: Pace::Constant(rate), grace: GRACE.min(prepared.load.timeout), ..prepared.load.clone() };
    let mut report = measure(&prepared.probe(load)?)?;
    report.slo = slo.judge(&report);
    let met = report.slo.iter().all(|goal| goal.met);
    Ok(Probe { rate, met, report })
}

impl Probe {
    fn line(&self) -> String {
        let p99 = self.report.latency_of_all(99.0).map_or_else(|| "no answer".to_owned(), duration);
        let verdict =
            if self.met { "met".to_owned() } else { format!("MISSED ({})", self.missed().join(", ")) };
        let mut line =
            format!("{} a second: p99 {p99}, failed {}: {verdict}\n", self.rate, count(self.report.failed()));
        for warning in self.report.warning().into_iter().chain(self.report.missing.clone()) {
            line.push_str("  warning: ");
            line.push_str(&warning);
            line.push('\n');
        }
        line
    }

    fn missed(&self) -> Vec<String> {
        let missed = self.report.slo.iter().filter(|goal| !goal.met);
        missed.map(|goal| format!("{}: {}", goal.goal, goal.measured)).collect()
    }

    fn json(&self) -> Value {
        json!({"rate": self.rate, "met": self.met, "report": self.report.json()})
    }
}

/// Tells what was found, and why the search did not come to its end, if so.
fn conclude(
    args: &Args,
    slo: &Slo,
    probes: &[Probe],
    (found, broken_off): (Option<f64>, Option<String>),
) -> anyhow::Result<ExitCode> {
    let best = probes.iter().rfind(|probe| probe.met && Some(probe.rate) == found);
    let whole = found.is_some() && broken_off.is_none();
    if args.json {
        let probes: Vec<Value> = probes.iter().map(Probe::json).collect();
        let document = json!({
            "ok": whole,
            "slo": slo.to_string(),
            "max_rate_per_s": found,
            "broken_off": broken_off,
            "probes": probes,
        });
        print(&format!("{document:#}\n"))?;
    } else {
        if let Some(best) = best {
            print(&format!("\n{}", best.report))?;
        }
        print(&format!("\n{}\n", outcome(slo, found, broken_off.as_deref())))?;
    }
    let exit = if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    Ok(best.map_or(exit, |best| written(args, &best.report, exit)))
}

fn outcome(slo: &Slo, found: Option<f64>, broken_off: Option<&str>) -> String {
    match (found, broken_off) {
        (Some(found), None) => format!("highest rate that meets {slo}: {found} a second"),
        (None, None) => format!("no rate meets {slo}"),
        (Some(found), Some(why)) => {
            format!("search broken off ({why}): highest rate so far that meets {slo}: {found} a second")
        }
        (None, Some(why)) => format!("search broken off ({why}): no rate so far meets {slo}"),
    }
}
