//! `store stats`: who is in the store, and what it takes on the disk.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Opened, Place, folder};
use crate::store::{Census, TenantCensus};
use crate::time::Clock;

/// Count the records by publisher, scope, environment and phase, the opt-outs in force, and the bytes on the disk.
///
/// Opens every record.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway store stats --config deploy/gateway.toml")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.place.with(|opened| {
        let Opened { store, config } = opened;
        let census = Census::take(store, Clock::System.now(), config.identity.expiry_margin_ms)?;
        let (opt_outs, bytes) = (store.opt_outs()?.len(), store.bytes_on_disk()?);
        let path = folder(config).display().to_string();
        if args.place.json {
            let document = json!({
                "path": path,
                "bytes": bytes,
                "records": census.records(),
                "unreadable": census.unreadable(),
                "opt_outs": opt_outs,
                "tenants": census.tenants.iter().map(tenant).collect::<Vec<_>>(),
            });
            return Ok((format!("{document:#}\n"), ExitCode::SUCCESS));
        }
        let mut text = format!("{path}: {bytes} bytes on the disk\n");
        for tenant in &census.tenants {
            let TenantCensus { publisher, scope, environment, phases } = tenant;
            let counts: Vec<String> = phases
                .rows()
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(phase, count)| format!("{phase} {count}"))
                .collect();
            writeln!(
                text,
                "{publisher} {} {}: {} records: {}",
                scope.as_str(),
                environment.as_str(),
                phases.sum(),
                counts.join(", ")
            )?;
        }
        writeln!(
            text,
            "{} records, {} that do not open, {opt_outs} opt-outs in force",
            census.records(),
            census.unreadable()
        )?;
        Ok((text, ExitCode::SUCCESS))
    })
}

fn tenant(tenant: &TenantCensus) -> Value {
    let mut value = json!({
        "publisher": tenant.publisher,
        "scope": tenant.scope.as_str(),
        "environment": tenant.environment.as_str(),
        "records": tenant.phases.sum(),
    });
    for (phase, count) in tenant.phases.rows() {
        value[phase] = count.into();
    }
    value
}
