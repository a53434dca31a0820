//! The flags of `replay`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;

use super::checks::Flags;
use crate::replay::{Slo, slo};

/// Send a corpus of bid requests to a target, at a pace that does not wait for its answers, and tell what came of it.
/// Latency counts from the moment a request was due, so that a target that stalls cannot hide it. Exit code 1 when a
/// goal of --slo is missed, --verify finds something or there is no result; 2 when corpus or flags cannot be used.
///
/// A corpus is a folder or file: .json (a bid request), .ndjson (one a line, or an envelope
/// {"uid2gw_replay":1,"at_us":…,"weight":…,"user":…,"expect":…,"headers":{…},"body":{…}}). Bodies are sent byte for
/// byte; only the markers {{id}} (unlike any other request's), {{user}} and {{now_ms}} are replaced, wherever they
/// stand. Every request has its own traceparent unless the corpus or --header gives one. --users names a user in each
/// request whose entry does not name one.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(after_help = help())]
pub(in crate::cli) struct Args {
    /// Where the requests go, for example http://127.0.0.1:8080/openrtb2/auction. Reports leave its query out.
    #[arg(long, value_name = "URL", required_unless_present = "from_hdr")]
    pub(super) target: Option<String>,
    /// Folder or file with bid requests.
    #[arg(long, value_name = "PATH", required_unless_present = "from_hdr")]
    pub(super) corpus: Option<PathBuf>,
    /// Requests per second [default: 1000]; with --find-max the first rate that is tried [default: 500].
    #[arg(long, value_name = "R", group = "pace", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// A rate that rises, or falls, evenly from A to B.
    #[arg(long, value_name = "A:B", group = "pace", value_parser = ramp)]
    pub(super) ramp: Option<Ramp>,
    /// Several rates, each for an equal part of the duration, for example 100,200,400.
    #[arg(long, value_name = "R,R…", group = "pace", value_delimiter = ',', value_parser = rate)]
    pub(super) steps: Vec<f64>,
    /// As the corpus was recorded (at_us of its envelopes), once.
    #[arg(long, group = "pace")]
    pub(super) recorded: bool,
    /// Requests come independently of each other instead of evenly, from this seed.
    #[arg(long, value_name = "SEED", num_args = 0..=1, default_missing_value = "1", conflicts_with = "recorded")]
    pub(super) poisson: Option<u64>,
    /// Seconds that are measured [default: 10, with --find-max 5 for each probe, with --recorded as recorded].
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub(super) duration: Option<Duration>,
    /// Seconds before them that are not, at the first rate.
    #[arg(long, value_name = "S", default_value = "0", value_parser = seconds_or_none, conflicts_with = "recorded")]
    pub(super) warmup: Duration,
    /// Connections that share the requests. When all are busy, requests wait, and their latency says so.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub(super) connections: u32,
    /// Threads that share the connections.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(super) threads: u32,
    /// HTTP/2 instead of HTTP/1.1; without TLS by prior knowledge, which the gateway's own plain listener does not speak.
    #[arg(long)]
    pub(super) http2: bool,
    /// PEM certificates to trust besides the public ones, for https targets.
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// A request without a whole answer after this time has failed.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub(super) timeout_ms: u64,
    /// A request header, for example "Authorization=Bearer KEY", or "NAME=@FILE" to have the value read from a file;
    /// repeatable. No message shows a value.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    pub(super) headers: Vec<String>,
    /// Log in users replay-user-1 … replay-user-N first, through the target's POST /v1/identity with the Authorization
    /// of --header, and those that the corpus names and does not expect to have no token; name one in each request.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    pub(super) users: u32,
    /// Of 100 requests, so many name a user whom nobody logged in.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = percent)]
    pub(super) unknown_users: f64,
    /// Goals, as text or in a file, for example p99<5ms,errors<0.1%.
    #[arg(long, value_name = "FILE|EXPR", value_parser = slo_of)]
    pub(super) slo: Option<Slo>,
    /// Search the highest rate that meets --slo.
    #[arg(long, requires = "slo", conflicts_with_all = ["ramp", "steps", "recorded", "from_hdr"])]
    pub(super) find_max: bool,
    /// Write latencies second by second as a HdrHistogram interval log.
    #[arg(long, value_name = "OUT.hlog")]
    pub(super) hdr: Option<PathBuf>,
    /// Write a report as one HTML page, with charts, that needs nothing else.
    #[arg(long, value_name = "OUT.html")]
    pub(super) report: Option<PathBuf>,
    #[command(flatten)]
    pub(super) checks: Flags,
    /// Instead of a load, add up interval logs of earlier ones; repeatable.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "target", "corpus", "pace", "poisson", "duration", "warmup", "connections", "threads", "http2", "ca", "timeout_ms",
        "headers", "users", "unknown_users"
    ])]
    pub(super) from_hdr: Vec<PathBuf>,
    /// One JSON document.
    #[arg(long)]
    pub(super) json: bool,
}

fn help() -> String {
    format!(
        "--slo takes {}\n\nWith --find-max a goal errors<0.1% is added unless --slo has one about errors.\n\n\
         Example:\n  uid2-gateway replay --target http://127.0.0.1:8080/openrtb2/auction --corpus fixtures/openrtb \
         --rate 2000 --duration 30 --users 1000 --header \"Authorization=Bearer $KEY\" --slo 'p99<5ms,errors<0.1%'",
        slo::GRAMMAR
    )
}

/// Rates at the start and at the end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Ramp {
    pub(super) from: f64,
    pub(super) to: f64,
}

fn number(text: &str) -> anyhow::Result<f64> {
    let number = f64::from_str(text).ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| anyhow!("must be a number that is not negative"))
}

fn rate(text: &str) -> anyhow::Result<f64> {
    /// Three times what one machine has ever offered: beyond it there is a typing error.
    const HIGHEST: f64 = 10e6;
    let rate = number(text)?;
    if rate > HIGHEST { Err(anyhow!("must be at most {HIGHEST} requests per second")) } else { Ok(rate) }
}

fn ramp(text: &str) -> anyhow::Result<Ramp> {
    let (from, to) = text.split_once(':').ok_or_else(|| anyhow!("must be A:B, two rates"))?;
    Ok(Ramp { from: rate(from)?, to: rate(to)? })
}

fn seconds_or_none(text: &str) -> anyhow::Result<Duration> {
    /// A month.
    const LONGEST: f64 = 31.0 * 86_400.0;
    let seconds = number(text.strip_suffix('s').unwrap_or(text))?;
    if seconds > LONGEST {
        Err(anyhow!("must be at most {LONGEST} seconds"))
    } else {
        Ok(Duration::from_secs_f64(seconds))
    }
}

fn seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds = seconds_or_none(text)?;
    if seconds.is_zero() { Err(anyhow!("must be more than 0 seconds")) } else { Ok(seconds) }
}

fn percent(text: &str) -> anyhow::Result<f64> {
    let percent = number(text.strip_suffix('%').unwrap_or(text))?;
    if percent > 100.0 { Err(anyhow!("must be 0 to 100")) } else { Ok(percent) }
}

fn slo_of(text: &str) -> anyhow::Result<Slo> {
    Slo::load(text)
}
