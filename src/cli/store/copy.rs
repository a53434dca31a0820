//! `store copy`: one store's contents into another.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use super::{Opened, Place, metrics, progress, runtime};
use crate::cli::environment;
use crate::config;
use crate::store::{Copied, Kind, Store, copy};
use crate::time::Clock;

/// Copy everything into the store of another configuration.
///
/// Opt-outs come first, then the records, sealed anew under the target's encryption key. The keys under which records are found stay the same, so the target must be empty, and takes over the index key,
/// or be a copy of the same store. What it holds and was written later stays; a copy that was cut short goes on where it was. Exit
/// code 1 when records were left behind because they do not open.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway store copy --config old.toml --to new.toml")]
pub(in crate::cli) struct Args {
    /// The configuration of the target; its [store] is the one.
    #[arg(long, value_name = "CONFIG")]
    to: PathBuf,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let target = match config::load(&args.to, &environment()) {
        Ok((target, _)) => target.store,
        Err(faults) => return crate::cli::bad_config(args.place.json, faults),
    };
    args.place.with(|Opened { store, config }| {
        if target.kind == Kind::Memory {
            bail!("{}: store.kind = \"memory\" keeps nothing", args.to.display());
        }
        if target.kind == config.store.kind {
            bail!("source and target are the same store");
        }
        let to = Store::open_like(store, target, Clock::System, metrics()?).context("target")?;
        let runtime = runtime()?;
        let copied = runtime.block_on(copy(store, &to, &mut progress("copied")))?;
        runtime.block_on(to.close()).context("target")?;
        let Copied { records, newer, unreadable, opt_outs } = copied;
        let text = if args.place.json {
            let document =
                json!({"records": records, "newer": newer, "unreadable": unreadable, "opt_outs": opt_outs});
            format!("{document:#}\n")
        } else {
            format!(
                "{records} records and {opt_outs} opt-outs copied, {newer} records of which the target has a later one, \
                 {unreadable} that do not open left behind\n"
            )
        };
        Ok((text, if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
    })
}
