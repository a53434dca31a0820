//! `check`: reads a configuration and reports every fault.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{BAD_INPUT, environment, print};
use crate::config::{self, Fault};

/// Read a configuration and report every fault with file, line, column and key. Exit code 0 or 2.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway check --config deploy/gateway.toml")]
pub(super) struct Args {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// One JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (faults, warnings) = match config::load(&args.config, &environment()) {
        Ok((_, warnings)) => (Vec::new(), warnings),
        Err(faults) => (faults.into_vec(), Vec::new()),
    };
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    if args.json {
        print(&format!("{:#}\n", document(&faults, &warnings)))?;
    } else {
        for fault in &faults {
            print(&format!("{fault}\n"))?;
        }
        for warning in &warnings {
            print(&format!("warning: {warning}\n"))?;
        }
        let verdict =
            if faults.is_empty() { String::from("ok") } else { format!("{} fault(s)", faults.len()) };
        print(&format!("{}: {verdict}\n", args.config.display()))?;
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD_INPUT) })
}

/// What was found, as one document.
pub(super) fn document(faults: &[Fault], warnings: &[String]) -> Value {
    let faults: Vec<_> = faults
        .iter()
        .map(
            |f| json!({"file": f.file, "line": f.line, "column": f.column, "key": f.key, "reason": f.reason}),
        )
        .collect();
    json!({"ok": faults.is_empty(), "faults": faults, "warnings": warnings})
}
