//! `replay`: open-loop load from a corpus of bid requests.

mod args;
mod checks;
mod find;
mod headers;
mod prepare;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

pub(super) use self::args::Args;
use self::prepare::{Prepared, Unprepared};
use self::screen::Screen;
use super::serve::signalled;
use super::{BAD_INPUT, VERSION, complain, print, without_result};
use crate::replay::table::{count, duration};
use crate::replay::{self, Report, hlog};
use crate::telemetry::log;

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    log::install(&log::Settings { level: "warn".into(), ..log::Settings::default() })?;
    if !args.from_hdr.is_empty() {
        return merge(args);
    }
    let prepared = match prepare::prepare(args) {
        Ok(prepared) => prepared,
        Err(Unprepared::Input(fault)) => {
            return without_result(args.json, &format!("{fault:#}"), ExitCode::from(BAD_INPUT));
        }
        Err(Unprepared::Target(fault)) => {
            return without_result(args.json, &format!("{fault:#}"), ExitCode::FAILURE);
        }
    };
    stop_on_signal(Arc::clone(&prepared.load.stop))?;
    if args.find_max {
        return find::run(args, &prepared);
    }
    match checked(args, &prepared) {
        Ok(mut report) => {
            report.slo = args.slo.as_ref().map(|slo| slo.judge(&report)).unwrap_or_default();
            conclude(args, &report)
        }
        Err(fault) => without_result(args.json, &format!("{fault:#}"), ExitCode::FAILURE),
    }
}

/// Runs the load once, with the content checks that were asked for.
fn checked(args: &Args, prepared: &Prepared) -> anyhow::Result<Report> {
    let checks = args.checks.start(&prepared.requests, &prepared.load, prepared.people.iter().cloned())?;
    let mut report = measure(prepared)?;
    report.content = checks.finish(report.sent);
    Ok(report)
}

/// Runs the load once.
fn measure(prepared: &Prepared) -> Result<Report, replay::DriveError> {
    let mut screen = Screen::new();
    let whole = prepared.load.duration;
    let watched = replay::drive(&prepared.load, &prepared.requests, &mut |live| {
        screen.show(&replay::progress::line(live, whole));
    });
    screen.clear();
    let mut report = watched?;
    report.load.corpus.clone_from(&prepared.corpus);
    Ok(report)
}

/// Prints and writes what was measured; the exit code says whether the goals were met and the content was right.
fn conclude(args: &Args, report: &Report) -> anyhow::Result<ExitCode> {
    let text = if args.json { format!("{:#}\n", report.json()) } else { report.to_string() };
    print(&text)?;
    Ok(written(args, report, verdict(report)))
}

/// Writes the files, after the result was printed: a disk that is full costs the file and the exit code, no more.
fn written(args: &Args, report: &Report, exit: ExitCode) -> ExitCode {
    match write_files(args, report) {
        Ok(()) => exit,
        Err(fault) => {
            complain(&fault);
            ExitCode::FAILURE
        }
    }
}

fn verdict(report: &Report) -> ExitCode {
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn write_files(args: &Args, report: &Report) -> Result<(), String> {
    if let Some(path) = &args.hdr {
        hlog::save(report, path).map_err(|fault| format!("{}: {fault}", path.display()))?;
    }
    if let Some(path) = &args.report {
        let page = replay::report::html(report, VERSION);
        std::fs::write(path, page).map_err(|fault| format!("{}: {fault}", path.display()))?;
    }
    Ok(())
}

/// Logs of earlier loads instead of a load.
fn merge(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(fault) =
        [&args.hdr, &args.report].into_iter().flatten().find_map(|path| prepare::writable(path).err())
    {
        return without_result(args.json, &format!("{fault:#}"), ExitCode::from(BAD_INPUT));
    }
    let mut report = match hlog::read(&args.from_hdr) {
        Ok(report) => report,
        Err(fault) => return without_result(args.json, &fault.to_string(), ExitCode::from(BAD_INPUT)),
    };
    let names: Vec<String> =
        args.from_hdr.iter().map(PathBuf::as_path).map(|p| p.display().to_string()).collect();
    report.load.corpus = names.join(", ");
    report.slo = args.slo.as_ref().map(|slo| slo.judge(&report)).unwrap_or_default();
    if args.json {
        return conclude(args, &report);
    }
    let answers = count(report.latency.len());
    let span = duration(report.elapsed);
    print(&format!(
        "{answers} answers in {span}\n{}\n{}{}",
        report.remarks(),
        report.times_table(),
        report.goals()
    ))?;
    Ok(written(args, &report, verdict(&report)))
}

/// The first signal ends the load, with a report of what was; the second one the program.
fn stop_on_signal(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    /// As shells count the death by an interrupt.
    const INTERRUPTED: i32 = 130;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let wait = move || {
        runtime.block_on(signalled());
        stop.store(true, Ordering::Relaxed);
        complain("stopping: waiting for the answers to what was sent; once more to end at once");
        runtime.block_on(signalled());
        std::process::exit(INTERRUPTED);
    };
    thread::Builder::new().name("replay-signals".to_owned()).spawn(wait)?;
    Ok(())
}
