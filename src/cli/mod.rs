//! Flags and exit codes; one file per subcommand, nothing but flags and calls.

mod check;
mod demo;
mod explain;
mod hash;
mod keygen;
mod policy_test;
mod replay;
mod sandbox;
mod serve;
mod store;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use crate::config::Faults;

/// Puts UID2 identity into real-time bidding.
#[derive(Debug, Parser)]
#[command(name = "uid2-gateway", version = VERSION, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("UID2GW_COMMIT"), ")");

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(serve::Args),
    /// Everything in one process: sandbox operator, three sandbox SSPs, the gateway, users and ad requests.
    Demo(demo::Args),
    /// Partners to run against.
    #[command(subcommand)]
    Sandbox(sandbox::Command),
    /// Send a corpus of bid requests at a pace of your choice and measure what comes of it.
    Replay(Box<replay::Args>),
    /// Read a configuration and report every fault with file, line, column and key.
    Check(check::Args),
    /// What the gateway makes of one bid request, and why.
    Explain(explain::Args),
    /// Hold the gateway to the privacy table, as real ad requests.
    PolicyTest(policy_test::Args),
    /// Normalised form and base64 SHA-256 of an e-mail address or phone number.
    Hash(hash::Args),
    /// Make a random key and the line to put in the configuration.
    Keygen(keygen::Args),
    /// Look after the identity store: sizes, integrity, offboarding, opt-outs, moving to another store.
    #[command(subcommand)]
    Store(store::Command),
}

/// Exit code for a configuration, or something else to work with, that cannot be used; as for flags.
const BAD_INPUT: u8 = 2;

/// Runs the command line.
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Sandbox(command) => sandbox::run(command),
        Command::Replay(args) => replay::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(args),
        Command::PolicyTest(args) => policy_test::run(&args),
        Command::Hash(args) => hash::run(&args),
        Command::Keygen(args) => keygen::run(&args),
        Command::Store(command) => store::run(command),
    };
    outcome.unwrap_or_else(|fault| {
        complain(&format!("{fault:#}"));
        ExitCode::FAILURE
    })
}

/// The environment, read once; everything below gets it as a map.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// A line for a person on stderr; a closed stderr is nobody's concern.
fn complain(text: &str) {
    writeln!(io::stderr(), "uid2-gateway: {text}").unwrap_or_default();
}

/// A result on stdout. A reader who has seen enough and went (`| head`) is no fault: the exit code tells the result as
/// ever.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Says why there is no result: on stderr, and where one JSON document is wanted on stdout, too.
fn without_result(json: bool, fault: &str, exit: ExitCode) -> anyhow::Result<ExitCode> {
    complain(fault);
    if json {
        print(&format!("{:#}\n", json!({"ok": false, "error": fault})))?;
    }
    Ok(exit)
}

/// The same for a configuration that cannot be used; the document is that of `check --json`.
fn bad_config(json: bool, faults: Faults) -> anyhow::Result<ExitCode> {
    complain(&format!("the configuration cannot be used\n{faults}"));
    if json {
        print(&format!("{:#}\n", check::document(&faults.into_vec(), &[])))?;
    }
    Ok(ExitCode::from(BAD_INPUT))
}
