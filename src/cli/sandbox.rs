//! `sandbox operator` and `sandbox ssp`: partners to run against.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;

use super::print;
use super::serve::signalled;
use crate::sandbox::operator::{self, Operator};
use crate::sandbox::ssp::{self, Ssp};
use crate::telemetry::log;
use crate::time::Clock;
use crate::uid2::Scope;

/// Partners to run against.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// A UID2 operator that makes genuine tokens from public test credentials.
    ///
    /// The real salt, hash and encryption process, so that the official SDKs decrypt its tokens.
    ///
    /// Endpoints: POST /v2/token/{generate,refresh,validate,client-generate}, /v2/key/{bidstream,sharing},
    /// /v2/identity/map, /v3/identity/map; GET /ops/healthcheck.
    ///
    /// Controls (plain JSON, no key): POST /sandbox/clients {"site_id":N}, POST and DELETE /sandbox/optout
    /// {"email":"…"}, POST and DELETE /sandbox/faults, POST /sandbox/lifetimes, GET and DELETE /sandbox/stats.
    ///
    /// Faults, as JSON {"latency":{"any":"20ms"},"faults":[{"fault":"hang","endpoint":"refresh","probability":0.1}]} or
    /// the same in TOML: hang, reset, unauthorized, too_many_requests, internal_error, bad_request (with a reason),
    /// wrong_nonce, wrong_key, truncated, garbage, clock_offset, expired, lifetimes, opt_out.
    Operator(OperatorArgs),
    /// A demand endpoint that checks what it receives, and bids.
    ///
    /// Every POST is a bid request. It is checked, answered with a bid or without, and kept for inspection.
    ///
    /// Controls (plain JSON): GET /sandbox/last?n=1, GET /sandbox/received?since=0&n=100 (bodies in base64, exact;
    /// one_in=N or traceparent=V for some of them), GET /sandbox/stats, POST /sandbox/faults, POST /sandbox/latency,
    /// POST /sandbox/reset.
    ///
    /// Faults, as JSON {"faults":[{"fault":"slow","probability":0.1}]}: hang, reset, reset_body, 500, 400, 302,
    /// huge_body, slow, invalid_json, wrong_id, wrong_currency; each with probability, next, after_s, for_s.
    Ssp(SspArgs),
}

/// Flags of `sandbox operator`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  uid2-gateway sandbox operator --listen 127.0.0.1:8081 --seed 7")]
pub(super) struct OperatorArgs {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Keys, IVs and nonces from this seed: two runs with one clock make the same tokens.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// uid2 or euid. An EUID operator knows the test clients under keys that start with EUID instead of UID2 too, with the
    /// same secrets: EUID-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc= is the publisher's.
    #[arg(long, value_enum, default_value = "uid2")]
    scope: ScopeArg,
    /// Faults and latency to start with (TOML, or JSON as for POST /sandbox/faults).
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ScopeArg {
    Uid2,
    Euid,
}

/// Flags of `sandbox ssp`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  uid2-gateway sandbox ssp --listen 127.0.0.1:9001 --bid-rate 0.8 --latency uniform:5ms-30ms"
)]
pub(super) struct SspArgs {
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// Share of requests answered with a bid, 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.7)]
    bid_rate: f64,
    /// Time until the answer: 20ms, uniform:5ms-30ms or normal:20ms,5ms.
    #[arg(long, value_name = "DIST", default_value = "0ms")]
    latency: ssp::Latency,
    /// Seed of bids, prices and latency.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Faults to start with (JSON, as for POST /sandbox/faults).
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// How many requests are kept whole for inspection.
    #[arg(long, value_name = "N", default_value_t = ssp::Settings::default().keep_requests)]
    keep_requests: usize,
    /// Upper bound for the bodies of the kept requests together, bytes.
    #[arg(long, value_name = "N", default_value_t = ssp::Settings::default().keep_bytes)]
    keep_bytes: usize,
}

pub(super) fn run(command: Command) -> anyhow::Result<ExitCode> {
    log::install(&log::Settings::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Operator(args) => run_operator(args).await,
            Command::Ssp(args) => run_ssp(args).await,
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn run_operator(args: OperatorArgs) -> anyhow::Result<()> {
    let scope = match args.scope {
        ScopeArg::Uid2 => Scope::Uid2,
        ScopeArg::Euid => Scope::Euid,
    };
    let mut settings = operator::Settings { seed: args.seed, ..operator::Settings::mock(scope) };
    if let Some(file) = &args.faults {
        let named = || format!("--faults {}", file.display());
        let text = std::fs::read_to_string(file).with_context(named)?;
        settings.faults = operator::faults::Curve::from_file_text(&text).with_context(named)?;
    }
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("--listen {}", args.listen))?;
    print(&format!("listening operator=http://{} scope={}\n", listener.local_addr()?, scope.as_str()))?;
    operator::serve(Operator::new(settings, Clock::System), listener, signalled()).await;
    Ok(())
}

async fn run_ssp(args: SspArgs) -> anyhow::Result<()> {
    let mut settings = ssp::Settings {
        bid_rate: args.bid_rate,
        latency: args.latency,
        seed: args.seed,
        keep_requests: args.keep_requests,
        keep_bytes: args.keep_bytes,
        ..ssp::Settings::default()
    };
    if let Some(file) = &args.faults {
        let named = || format!("--faults {}", file.display());
        let text = std::fs::read(file).with_context(named)?;
        settings.faults = ssp::faults::parse(&text).with_context(named)?;
    }
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("--listen {}", args.listen))?;
    print(&format!("listening ssp=http://{}/openrtb2/bid\n", listener.local_addr()?))?;
    ssp::serve(Ssp::new(settings), listener, signalled()).await;
    Ok(())
}
