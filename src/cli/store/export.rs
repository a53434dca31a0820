//! `store export-optouts`: who opted out, for a store that is to know it too, or for an audit.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::json;

use super::{Opened, Place};
use crate::store::{By, OptOut};

/// List the opt-outs in force.
///
/// One JSON object a line, or CSV with a head line. `key` names who opted out, an HMAC under this store's
/// index key in hexadecimal digits: it tells nobody who it is, and means nothing to a store with another index key. `by` says on whose
/// word (`operator`, or `publisher` for its own opt-outs, which have no end), `at` is when the
/// opt-out became known and `until` when it ends, Unix milliseconds.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  uid2-gateway store export-optouts --config deploy/gateway.toml > optouts.ndjson"
)]
pub(in crate::cli) struct Args {
    /// CSV instead of JSON lines.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.place.with(|Opened { store, .. }| {
        let mut opt_outs = store.opt_outs()?;
        opt_outs.sort_by_key(|it| (it.at, it.key));
        let mut text = String::new();
        if args.csv {
            text.push_str("key,by,at,until\n");
        }
        for OptOut { key, by, at, until } in opt_outs {
            let by = match by {
                By::Operator => "operator",
                By::Site => "publisher",
            };
            let key = key.as_bytes().iter().fold(String::with_capacity(64), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap_or_default();
                hex
            });
            if args.csv {
                writeln!(text, "{key},{by},{},{}", at.0, until.0)?;
            } else {
                writeln!(text, "{}", json!({"key": key, "by": by, "at": at.0, "until": until.0}))?;
            }
        }
        Ok((text, ExitCode::SUCCESS))
    })
}
