//! `store purge`: forgets the users of a publisher that is leaving.

use std::process::ExitCode;

use serde_json::json;

use super::{Opened, Place, progress, runtime};
use crate::store::Store;

/// Removed in one go.
const AT_ONCE: usize = 1_000;

/// Delete all records of a publisher.
///
/// Of either scope and every environment; the disk gets their room back. Opt-outs stay: they
/// are the users', not the publisher's. It need not stand in the configuration any more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway store purge --publisher acme --config deploy/gateway.toml")]
pub(in crate::cli) struct Args {
    /// The publisher's id.
    #[arg(long, value_name = "ID")]
    publisher: String,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.place.with(|Opened { store, .. }| {
        let (mut keys, mut unreadable) = (Vec::new(), 0_u64);
        store.for_each_record(&mut |key, record| match record {
            Ok(record) if record.publisher == args.publisher => keys.push(key),
            Ok(_) => {}
            Err(_) => unreadable += 1,
        })?;
        let removed = remove(store, &keys)?;
        let text = if args.place.json {
            let document =
                json!({"publisher": args.publisher, "removed": removed, "unreadable": unreadable});
            format!("{document:#}\n")
        } else if unreadable == 0 {
            format!("{removed} records of {} removed\n", args.publisher)
        } else {
            format!(
                "{removed} records of {} removed; {unreadable} records do not open, so nobody can tell whose they are\n",
                args.publisher
            )
        };
        Ok((text, ExitCode::SUCCESS))
    })
}

fn remove(store: &Store, keys: &[crate::store::RecordKey]) -> anyhow::Result<u64> {
    let (runtime, mut told) = (runtime()?, progress("removed"));
    let mut removed = 0;
    for some in keys.chunks(AT_ONCE) {
        removed += runtime.block_on(store.forget(some.to_vec()))?;
        told(removed, keys.len() as u64);
    }
    if removed > 0 {
        store.compact()?;
    }
    Ok(removed)
}
