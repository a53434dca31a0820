//! Sends a corpus to a target, over a fixed number of connections, and reports what came of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::corpus::Corpus;
use super::headers::Headers;
use super::recorder::{Fate, Fault, Report};
use super::schedule::{Pace, Schedule, Ticket};
use crate::time::Clock;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A connection that cannot be made is tried again after this time.
const RECONNECT: Duration = Duration::from_millis(20);

/// A load.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where every request goes: `http://host:port/path`.
    pub target: Uri,
    /// How many connections share the work. An open loop with too few of them is late, and says so.
    pub connections: usize,
    /// How fast requests become due.
    pub pace: Pace,
    /// Ends after so many requests …
    pub requests: Option<u64>,
    /// … or after so much time, whichever is first. With neither, only dropping the drive ends it.
    pub duration: Option<Duration>,
    /// The headers of each request; `Content-Type` is JSON unless given here.
    pub headers: Headers,
    /// A request without a whole answer after this time has failed.
    pub timeout: Duration,
}

impl Load {
    /// A closed loop of one connection without headers of its own and without end.
    pub fn new(target: Uri) -> Self {
        Self {
            target,
            connections: 1,
            pace: Pace::Closed,
            requests: None,
            duration: None,
            headers: Headers::same(HeaderMap::new()),
            timeout: Duration::from_secs(5),
        }
    }
}

/// Counts that can be read while a load runs.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    failed: AtomicU64,
}

impl Progress {
    /// Requests that have their answer or have failed.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Requests that have failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Why a load cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// Not `http://host[:port]/path`.
    #[error("{0}: the target must be http://host:port/path")]
    Target(Uri),
    /// A rate that is not a positive number, or no connection at all.
    #[error("rate and connections must be greater than zero")]
    Nothing,
    /// The pacing thread could not be started.
    #[error("no pacing thread: {0}")]
    Thread(#[from] io::Error),
}

/// Runs a load on the caller's runtime. All connections are opened before the first request is due.
pub async fn drive(load: &Load, corpus: &Corpus, progress: &Arc<Progress>) -> Result<Report, DriveError> {
    let sender = Arc::new(Sender::new(load, corpus.clone())?);
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        let mut connection = Connection::new(sender.authority.clone(), load.timeout);
        if connection.ready().await.is_err() {
            tracing::debug!("replay: the target cannot be reached yet");
        }
        connections.push(connection);
    }
    let start = Clock::monotonic();
    let schedule = Arc::new(Schedule::start(load.pace, load.requests, load.duration)?);
    let mut workers = JoinSet::new();
    for connection in connections {
        workers.spawn(work(Arc::clone(&sender), connection, Arc::clone(&schedule), Arc::clone(progress)));
    }
    let mut report = Report::default();
    while let Some(worker) = workers.join_next().await {
        report.merge(&worker.expect("a worker neither panics nor is it aborted"));
    }
    report.elapsed = Clock::monotonic().saturating_duration_since(start);
    Ok(report)
}

async fn work(
    sender: Arc<Sender>,
    mut connection: Connection,
    schedule: Arc<Schedule>,
    progress: Arc<Progress>,
) -> Report {
    let mut report = Report::default();
    while let Some(ticket) = schedule.ticket().await {
        let sent = Clock::monotonic();
        let result = connection.exchange(sender.request(ticket)).await;
        let end = Clock::monotonic();
        let since = |from| end.saturating_duration_since(from);
        report.record(Fate { result, latency: since(ticket.due), service: since(sent) });
        progress.done.fetch_add(1, Ordering::Relaxed);
        if result.is_err() {
            progress.failed.fetch_add(1, Ordering::Relaxed);
        }
        if result == Err(Fault::Connect) {
            tokio::time::sleep(RECONNECT).await;
        }
    }
    report
}

/// Makes the requests.
#[derive(Debug)]
struct Sender {
    corpus: Corpus,
    authority: String,
    uri: Uri,
    host: HeaderValue,
    headers: Headers,
}

impl Sender {
    fn new(load: &Load, corpus: Corpus) -> Result<Self, DriveError> {
        let refused = || DriveError::Target(load.target.clone());
        let rate_is_none = matches!(load.pace, Pace::PerSecond(rate) if !(rate.is_finite() && rate > 0.0));
        if load.connections == 0 || rate_is_none {
            return Err(DriveError::Nothing);
        }
        let host =
            load.target.host().filter(|_| load.target.scheme_str() == Some("http")).ok_or_else(refused)?;
        let authority = format!("{host}:{}", load.target.port_u16().unwrap_or(80));
        let path = load.target.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let host = HeaderValue::from_str(&authority).map_err(|_| refused())?;
        Ok(Self { corpus, authority, uri: Uri::from(path), host, headers: load.headers.clone() })
    }

    fn request(&self, ticket: Ticket) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.corpus.pick(ticket.number).body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        *headers = self.headers.of(ticket.number);
        headers.entry(CONTENT_TYPE).or_insert(JSON);
        headers.entry(HOST).or_insert_with(|| self.host.clone());
        request
    }
}

#[cfg(test)]
mod tests;
