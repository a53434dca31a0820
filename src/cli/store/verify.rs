//! `store verify`: whether all that is in the store can be read.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::json;

use super::{Opened, Place};
use crate::store::Census;
use crate::time::Clock;

/// Open every record and read every opt-out; nothing is changed.
///
/// Exit code 1 when a record does not open, or the database or the
/// opt-out log is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway store verify --config deploy/gateway.toml")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.place.with(|opened| {
        let Opened { store, config } = opened;
        let census = Census::take(store, Clock::System.now(), config.identity.expiry_margin_ms)?;
        let opt_outs = store.opt_outs()?.len();
        let sound = census.unreadable() == 0;
        let exit = if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        if args.place.json {
            let document = json!({
                "ok": sound,
                "records": census.records(),
                "unreadable": census.unreadable,
                "opt_outs": opt_outs,
            });
            return Ok((format!("{document:#}\n"), exit));
        }
        let mut text = String::new();
        for (reason, count) in &census.unreadable {
            writeln!(text, "{count} records: {reason}")?;
        }
        let verdict =
            if sound { "ok" } else { "not all records open; a new login of their users replaces them" };
        writeln!(text, "{} records open, {opt_outs} opt-outs in force: {verdict}", census.records())?;
        Ok((text, exit))
    })
}
