//! `policy-test`: the privacy table against the running gateway.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::{BAD_INPUT, bad_config, complain, environment, print, without_result};
use crate::config;
use crate::policy_test::{BUILT_IN, Options, Report, Source, Table, run as run_table};
use crate::telemetry::log;

/// Hold the gateway to the privacy table: every signal, place and value with every dialect, as real ad requests against
/// a gateway, operator and SSPs in this process (loopback only). Prints one line a row and then
/// `rows N, differences D, leaks L`; on a terminal, groups and the rows that failed. Exit code 1 when an identifier
/// reached an SSP that may not, or when anything else is not as the table says, whoever still reads the output; 2 when there is
/// nothing to test with: a configuration or table that cannot be used, or a text that no signal's name holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway policy-test --config deploy/gateway.toml | grep -v '^ok'")]
pub(super) struct Args {
    /// Test the [privacy] and publisher choices of this configuration; nothing else of it is used. The vendors are those
    /// built in even where it names a list (privacy.gvl): the table says what must come out for them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON document.
    #[arg(long)]
    json: bool,
    /// Every row, on a terminal too.
    #[arg(long)]
    all: bool,
    /// Another table to hold the gateway to, in the shape of fixtures/privacy/table.json.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Only signals whose name holds this text.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    log::install(&log::Settings { level: "error".into(), ..log::Settings::default() })?;
    let table = match &args.table {
        Some(file) => match read(file) {
            Ok(table) => table,
            Err(fault) => return without_result(args.json, &format!("{fault:#}"), BAD_INPUT.into()),
        },
        None => Table::parse(BUILT_IN)?,
    };
    if !table.knows(&args.only) {
        let fault = format!("no signal's name holds \"{}\"", args.only);
        return without_result(args.json, &fault, BAD_INPUT.into());
    }
    let choices = match &args.config {
        Some(file) => match config::load(file, &environment()) {
            Ok((config, _)) => {
                if !config.vendors.are_built_in() {
                    complain("privacy.gvl is not used: the table is about the vendors built in");
                }
                Source::of(&config)
            }
            Err(faults) => return bad_config(args.json, faults),
        },
        None => Source::Table,
    };
    let options =
        Options { choices, only: args.only.clone(), progress: Box::new(progress), ..Options::default() };
    let report = match run_table(&table, &options) {
        Ok(report) => report,
        Err(fault) => return without_result(args.json, &format!("{fault:#}"), ExitCode::FAILURE),
    };
    print(&shown(&report, args))?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(table: &Path) -> anyhow::Result<Table> {
    let named = || format!("--table {}", table.display());
    let text = std::fs::read_to_string(table).with_context(named)?;
    Table::parse(&text).with_context(named)
}

fn shown(report: &Report, args: &Args) -> String {
    if args.json {
        format!("{:#}\n", report.json())
    } else if args.all || !io::stdout().is_terminal() {
        report.lines()
    } else {
        report.grouped()
    }
}

/// A counter on a terminal.
fn progress(sent: usize, all: usize) {
    let mut err = io::stderr();
    if err.is_terminal() && (sent.is_multiple_of(50) || sent == all) {
        let end = if sent == all { "\n" } else { "" };
        write!(err, "\r{sent} of {all} requests{end}").unwrap_or_default();
    }
}
