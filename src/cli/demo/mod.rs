//! `demo`: everything in one process, from a login to a token that a buyer decrypts.

mod check;
mod stack;
mod table;
mod users;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::serve::signalled;
use super::{complain, print};
use crate::replay::requests::{Requests, Settings};
use crate::replay::{self, Corpus, Load, Pace};
use crate::telemetry::log;
use stack::Stack;

/// Connections that share the ad requests.
const CONNECTIONS: usize = 64;

/// Everything in one process: sandbox operator (real salt, hash, encryption), three sandbox SSPs, the gateway with the
/// embedded store in a temporary folder. Logs in test users over HTTP, replays ad requests, prints a table, decrypts
/// the tokens that arrived. Exit code 0 only if tokens reached the SSPs and decrypted to the right users.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway demo --once")]
pub(super) struct Args {
    /// How long ad requests are sent before the table.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Ad requests per second.
    #[arg(long, value_name = "R", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Users to log in.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// End after the table instead of serving until Ctrl-C.
    #[arg(long)]
    once: bool,
    /// One JSON document instead of the table; only with --once.
    #[arg(long, requires = "once")]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    log::install(&log::Settings { level: "warn".into(), ..log::Settings::default() })?;
    // The partners and the load run on their own runtime, as they would on their own machines.
    let outside = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let stack = Stack::start(&outside)?;
    let summary = drive(&outside, &stack, args)?;
    if args.json {
        print(&format!("{:#}\n", summary.json()))?;
    } else {
        print(&summary.text())?;
    }
    let passed = summary.passed();
    if !args.once {
        print(&format!(
            "serving until Ctrl-C: data=http://{} admin=http://{}/metrics\n",
            stack.data(),
            stack.admin()
        ))?;
        outside.block_on(signalled());
    }
    stack.stop()?;
    outside.shutdown_timeout(Duration::from_secs(1));
    if passed {
        return Ok(ExitCode::SUCCESS);
    }
    complain("the demo failed: tokens did not reach the SSPs, or did not decrypt to the right users");
    Ok(ExitCode::FAILURE)
}

fn drive(outside: &Runtime, stack: &Stack, args: &Args) -> anyhow::Result<table::Summary> {
    progress(&format!("logging in {} users over HTTP", args.users));
    let users = outside.block_on(users::log_in(stack, args.users))?;
    let corpus = Corpus::embedded()?;
    progress(&format!("sending {} ad requests a second for {} s", args.rate, args.seconds));
    let settings = Settings {
        target: format!("http://{}/openrtb2/auction", stack.data()).parse()?,
        headers: users.headers(),
        users: users.names(),
        trace: users.trace(),
        in_turn: false,
    };
    let load = Load {
        connections: CONNECTIONS,
        duration: Some(Duration::from_secs(args.seconds)),
        ..Load::new(Pace::Constant(f64::from(args.rate)))
    };
    let report = replay::drive(&load, &Requests::new(corpus.clone(), &settings), &mut |_| {})?;
    progress("decrypting what the SSPs received, as a buyer would");
    let checked = check::tokens(stack, &users, &corpus);
    table::Summary::new(stack, &users, report, checked)
}

/// A line on a terminal; a log file does not need it.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        complain(text);
    }
}
