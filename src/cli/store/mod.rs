//! `store`: looks after the identity store while no gateway has it open.

mod copy;
mod export;
mod purge;
mod stats;
mod verify;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{bad_config, environment, print, without_result};
use crate::config::{self, Config};
use crate::store::{Kind, Metrics, Settings, Store};
use crate::telemetry::Registry;
use crate::time::Clock;

/// Look after the identity store of a configuration. A store on disk has one owner at a time: stop the gateway first. Exit
/// code 0, 1 when something is wrong with the store or it cannot be opened, 2 for a bad configuration.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Stats(stats::Args),
    Verify(verify::Args),
    Purge(purge::Args),
    ExportOptouts(export::Args),
    Copy(copy::Args),
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Stats(args) => stats::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Purge(args) => purge::run(&args),
        Command::ExportOptouts(args) => export::run(&args),
        Command::Copy(args) => copy::run(&args),
    }
}

/// What all of them are told.
#[derive(Debug, clap::Args)]
struct Place {
    /// Configuration file (TOML); its [store] is the one.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

/// A store that is open, and the configuration it came with.
struct Opened {
    store: Store,
    config: Config,
}

impl Place {
    /// Opens the store and does `work` on it, or says why not.
    fn with(
        &self,
        work: impl FnOnce(&Opened) -> anyhow::Result<(String, ExitCode)>,
    ) -> anyhow::Result<ExitCode> {
        let config = match config::load(&self.config, &environment()) {
            Ok((config, _)) => config,
            Err(faults) => return bad_config(self.json, faults),
        };
        if config.store.kind == Kind::Memory {
            let why = "store.kind = \"memory\": what it holds ends with the gateway, so there is nothing to look after";
            return without_result(self.json, why, ExitCode::FAILURE);
        }
        let opened = metrics()
            .and_then(|metrics| Ok(Store::open_existing(settings(&config), Clock::System, metrics)?));
        let store = match opened {
            Ok(store) => store,
            Err(fault) => return without_result(self.json, &format!("{fault:#}"), ExitCode::FAILURE),
        };
        match work(&Opened { store, config }) {
            Ok((text, exit)) => print(&text).map(|()| exit).map_err(Into::into),
            Err(fault) => without_result(self.json, &format!("{fault:#}"), ExitCode::FAILURE),
        }
    }
}

fn settings(config: &Config) -> Settings {
    config.store.clone()
}

/// Nobody scrapes a tool.
fn metrics() -> anyhow::Result<Metrics> {
    Ok(Metrics::register(&Registry::new())?)
}

/// The folder of a store on disk; what others are called.
fn folder(config: &Config) -> &Path {
    match &config.store.kind {
        Kind::Disk { path } => path,
        Kind::Redis(_) => Path::new("redis"),
        Kind::Memory => Path::new(""),
    }
}

/// Shows how far it is on a terminal, at most so many times.
fn progress(what: &'static str) -> impl FnMut(u64, u64) + Send {
    let shown = io::stderr().is_terminal();
    move |done, all| {
        if shown {
            let end = if done == all { "\n" } else { "" };
            write!(io::stderr(), "\r{what} {done} of {all}{end}").unwrap_or_default();
        }
    }
}

/// A runtime for the calls that wait.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
