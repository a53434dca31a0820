//! `explain`: what the gateway makes of one bid request, and why.

use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{bad_config, environment, print, without_result};
use crate::config;
use crate::explain::{Question, Style, explain};

/// Show what the gateway makes of one bid request: publisher, hints, privacy signals and verdict, and for each SSP the
/// time, the headers and the body with the edit marked: [-removed-]{+added+}, or in colours on a terminal. Uses no
/// network and no store: a token that is named as such stands for the user's own. The body for an SSP that gets gzip is shown
/// unpacked. Exit code 1 when the request would be refused, with the member, the offset and the reason; 2 when the
/// configuration cannot be used.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  uid2-gateway explain --config deploy/gateway.toml --publisher acme --header X-Publisher-User-Id=u1 request.json"
)]
pub(super) struct Args {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Send it in the name of this publisher, as if with its key; else it is found by key, match rule or default.
    #[arg(long, value_name = "ID")]
    publisher: Option<String>,
    /// A request header, for example Sec-GPC=1 or X-Publisher-User-Id=u1; repeatable.
    #[arg(long = "header", value_name = "K=V", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The user is nobody whom somebody logged in.
    #[arg(long)]
    no_user: bool,
    /// One JSON document.
    #[arg(long)]
    json: bool,
    /// The bid request, as gzip if --header Content-Encoding=gzip says so; - or nothing for stdin.
    #[arg(value_name = "FILE", default_value = "-")]
    request: PathBuf,
}

fn header(text: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once('=').ok_or_else(|| anyhow!("must be NAME=VALUE"))?;
    Ok((name.trim().parse()?, HeaderValue::from_str(value.trim())?))
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config, &environment()) {
        Ok((config, _)) => config,
        Err(faults) => return bad_config(args.json, faults),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in args.headers {
        headers.append(name, value);
    }
    let body = match read(&args.request) {
        Ok(body) => body.into(),
        Err(fault) => return without_result(args.json, &format!("{fault:#}"), ExitCode::FAILURE),
    };
    let question = Question { publisher: args.publisher, headers, body, user_known: !args.no_user };
    let style = if io::stdout().is_terminal() { Style::Colours } else { Style::Words };
    let answer = match explain(config, question) {
        Ok(answer) => answer,
        Err(fault) => return without_result(args.json, &format!("{fault:#}"), ExitCode::FAILURE),
    };
    let (text, exit) = match answer {
        Ok(explained) if args.json => (format!("{:#}\n", explained.json()), ExitCode::SUCCESS),
        Ok(explained) => (explained.text(style), ExitCode::SUCCESS),
        Err(problem) if args.json => (format!("{:#}\n", problem.json()), ExitCode::FAILURE),
        Err(problem) => (problem.text(), ExitCode::FAILURE),
    };
    print(&text)?;
    Ok(exit)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).context("stdin")?;
        return Ok(bytes);
    }
    std::fs::read(path).with_context(|| path.display().to_string())
}
