//! Sends the requests of a load to its target and reports what came of them.
//!
//! ```text
//!  drive      threads and their reports
//!  crew       starts the threads together
//!  worker     one thread: runtime, timer, connections
//!  lane       which request goes out when, over which connection
//!  http1      bytes that are ready, one write per request     http2   messages, by hyper
//!  collector  tallies of all threads → Report, second by second
//! ```

mod answer;
mod collector;
mod crew;
mod dial;
mod greeting;
mod http1;
mod http2;
mod lane;
mod link;
mod session;
mod tally;
mod timer;
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::Uri;

use self::collector::Collector;
use self::crew::Crew;
use super::numbers::Answered;
use super::pace::{Arrivals, Pace};
use super::recorder::{Description, Report};
use super::requests::Requests;
use super::schedule::Schedule;
use super::second::Second;
use crate::net::tls::TlsError;
use crate::time::Clock;

/// A load: how the requests go out.
#[derive(Clone, Debug)]
pub struct Load {
    /// How fast requests become due.
    pub pace: Pace,
    /// How they are spread within the pace.
    pub arrivals: Arrivals,
    /// Runs first, at the pace's first rate, and is not counted.
    pub warmup: Duration,
    /// Ends after so much time …
    pub duration: Option<Duration>,
    /// … or after so many requests, whichever is first. With neither, only [`Load::stop`] ends it.
    pub requests: Option<u64>,
    /// How many connections share the work. With too few of them requests wait, and their latency says so.
    pub connections: usize,
    /// Threads that share the connections; no more than there are connections.
    pub threads: usize,
    /// HTTP/2 instead of HTTP/1.1.
    pub http2: bool,
    /// PEM certificates to trust besides the public ones.
    pub ca: Option<Vec<u8>>,
    /// A request without a whole answer so long after it was sent has failed.
    pub timeout: Duration,
    /// How long after the end requests that wait for a connection still go out; then they have failed.
    pub grace: Duration,
    /// Ends the load early, with a report of what was.
    pub stop: Arc<AtomicBool>,
    /// Takes which requests were answered, second by second, when somebody wants to know.
    pub answered: Option<Answered>,
}

impl Load {
    /// One connection at this pace, without end.
    pub fn new(pace: Pace) -> Self {
        const PATIENCE: Duration = Duration::from_secs(5);
        Self {
            pace,
            arrivals: Arrivals::Even,
            warmup: Duration::ZERO,
            duration: None,
            requests: None,
            connections: 1,
            threads: 1,
            http2: false,
            ca: None,
            timeout: PATIENCE,
            grace: PATIENCE,
            stop: Arc::default(),
            answered: None,
        }
    }
}

/// How a load goes on.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    /// All that was counted so far.
    pub report: &'a Report,
    /// The last whole second.
    pub second: &'a Second,
    /// Since the end of the warm-up.
    pub elapsed: Duration,
}

/// Why a load cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// Neither `http://host[:port]/path` nor the same with https. Not shown: it may hold credentials.
    #[error("the target must be http://host:port/path or https://host:port/path, {0}")]
    Target(&'static str),
    /// A rate that is none, no connection, or a pace without its duration.
    #[error("{0}")]
    Settings(&'static str),
    /// Not one connection could be opened.
    #[error("the target cannot be reached: {0}")]
    Unreachable(String),
    /// The CA cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A thread could not be started or has failed.
    #[error("a thread of the load: {0}")]
    Thread(#[from] io::Error),
}

/// Runs a load on threads of its own, and tells `watch` about each second. All connections are opened before the first
/// request is due.
pub fn drive(
    load: &Load,
    requests: &Arc<Requests>,
    watch: &mut dyn FnMut(&Live<'_>),
) -> Result<Report, DriveError> {
    let schedule = schedule(load)?;
    let mut crew = Crew::gather(load, requests, &schedule)?;
    let missing = crew.missing.take();
    let threads = crew.size();
    let mut collector = Collector::new(threads);
    let (started, start) = (Clock::System.now(), Clock::monotonic());
    let rest = crew.begin(start, |tally| {
        if collector.take(tally) {
            watch(&collector.live());
        }
    });
    let elapsed = Clock::monotonic().saturating_duration_since(start + load.warmup);
    let ending = rest?;
    let mut report = collector.finish();
    (report.elapsed, report.load) = (elapsed, describe(load, requests, threads));
    // What has no end of its own ends by being stopped.
    let bounded =
        load.duration.is_some() || load.requests.is_some() || matches!(load.pace, Pace::Recorded(_));
    let since = |time: Duration| time.saturating_sub(load.warmup);
    report.stopped_after = ending.stopped.filter(|_| bounded).map(since);
    let meant = report.stopped_after.or(load.duration).unwrap_or_default();
    report.window = meant.max(since(ending.last_sent)).min(elapsed.max(meant));
    report.missing = missing;
    report.started = started.plus(i64::try_from(load.warmup.as_millis()).unwrap_or(i64::MAX));
    Ok(report)
}

/// An error unless it is an address that a load can go to, as far as can be told without a connection.
pub fn check_target(target: &Uri) -> Result<(), DriveError> {
    let authority = target.authority().map_or("", |authority| authority.as_str());
    match target.scheme_str() {
        Some("http" | "https") if authority.contains('@') => {
            Err(DriveError::Target("without a user and password: those go into a header"))
        }
        Some("http" | "https") if target.host().is_some_and(|host| !host.is_empty()) => Ok(()),
        Some("http" | "https") => Err(DriveError::Target("with a host")),
        Some(_) => Err(DriveError::Target("not of another scheme")),
        None => Err(DriveError::Target("with its scheme")),
    }
}

/// Without the query, which may hold a key.
fn shown(target: &Uri) -> String {
    let authority = target.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}{}", target.scheme_str().unwrap_or_default(), target.path())
}

fn schedule(load: &Load) -> Result<Schedule, DriveError> {
    if load.connections == 0 {
        return Err(DriveError::Settings("a load needs at least one connection"));
    }
    if !load.pace.is_sound() {
        return Err(DriveError::Settings(
            "a rate must be a number of requests per second, not all of them zero",
        ));
    }
    if load.pace.needs_duration() && load.duration.is_none() {
        return Err(DriveError::Settings("a ramp or steps need a duration"));
    }
    let Load { pace, arrivals, warmup, duration, requests, .. } = load.clone();
    Ok(Schedule { pace, arrivals, warmup, duration, requests })
}

fn describe(load: &Load, requests: &Requests, threads: usize) -> Description {
    let target = requests.target();
    let secure = if target.scheme_str() == Some("https") { " over TLS" } else { "" };
    let arrivals = match load.arrivals {
        Arrivals::Poisson(_) if !matches!(load.pace, Pace::Recorded(_)) => ", Poisson arrivals",
        _ => "",
    };
    Description {
        target: shown(target),
        corpus: String::new(),
        entries: requests.corpus().entries().len(),
        pace: format!("{}{arrivals}", load.pace.describe()),
        protocol: format!("{}{secure}", if load.http2 { "HTTP/2" } else { "HTTP/1.1" }),
        connections: load.connections,
        threads,
        users: requests.users(),
        duration: load.duration.unwrap_or_default(),
        warmup: load.warmup,
        timeout: load.timeout,
    }
}

#[cfg(test)]
mod tests;
