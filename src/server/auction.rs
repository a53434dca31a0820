//! `POST /openrtb2/auction`: body in, gateway, answer out; every request counted in exactly one outcome.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use ::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use ::http::{HeaderMap, Request};
use bytes::Bytes;
use hyper::body::Incoming;

use super::Settings;
use super::live::Room;
use super::reply::{self, Reply};
use crate::gateway::{Caller, Inbound, Metrics, Outcome, OutcomeLabel, Peer, Reject, RejectKind};
use crate::net::body::{ReadError, read_capped};
use crate::net::gzip::{self, InflateError};
use crate::time::Clock;

/// One ad request.
pub(super) async fn auction(room: &Room, request: Request<Incoming>, peer: Peer, started: Instant) -> Reply {
    let metrics = &room.gateway().shared().metrics;
    let counted = Counted::begin(metrics, &room.seat().inflight);
    let result = attempt(room, request, (peer, started), &counted).await;
    counted.end(&result, Clock::monotonic().saturating_duration_since(started));
    reply::auction(result)
}

async fn attempt(
    room: &Room,
    request: Request<Incoming>,
    (peer, started): (Peer, Instant),
    counted: &Counted<'_>,
) -> Result<Outcome, Reject> {
    let settings = room.settings();
    if counted.inflight > settings.max_inflight {
        return Err(Reject::early(RejectKind::Overload));
    }
    let (head, body) = request.into_parts();
    let caller = Caller::of(room.gateway().shared(), &head.headers, head.extensions.get())?;
    counted.publisher.set(caller.publisher());
    caller.count_one(started)?;
    let body = read_body(&head.headers, body, settings).await;
    let body = body.map_err(|kind| Reject { publisher: caller.publisher(), kind })?;
    room.gateway().handle(Inbound { headers: head.headers, caller, body, started, peer }).await
}

/// The body, whole and inflated, or the reason why not.
async fn read_body(headers: &HeaderMap, body: Incoming, settings: &Settings) -> Result<Bytes, RejectKind> {
    let gzip = coding(headers)?;
    let too_large = too_large(gzip, settings);
    let limit = settings.max_body_bytes;
    if announced(headers).is_some_and(|length| length > limit as u64) {
        return Err(too_large);
    }
    let mut reading = pin!(read_capped(body, limit));
    // Most often all of it came with the head: for that no timer is made.
    let at_once = poll_fn(|context| {
        let polled = reading.as_mut().poll(context);
        Poll::Ready(if let Poll::Ready(read) = polled { Some(read) } else { None })
    });
    let read = match at_once.await {
        Some(read) => Ok(read),
        None => tokio::time::timeout(settings.body_timeout, reading).await,
    };
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(ReadError::TooLarge)) => return Err(too_large),
        Ok(Err(ReadError::Broken)) => return Err(RejectKind::BodyBroken),
        Err(_) => return Err(RejectKind::BodyTimeout(millis(settings.body_timeout))),
    };
    if gzip { unpacked(&bytes, settings) } else { Ok(bytes) }
}

/// What a body that is there already would be read as, or the reason why not.
pub fn body_of(headers: &HeaderMap, bytes: Bytes, settings: &Settings) -> Result<Bytes, RejectKind> {
    let gzip = coding(headers)?;
    if bytes.len() > settings.max_body_bytes {
        return Err(too_large(gzip, settings));
    }
    if gzip { unpacked(&bytes, settings) } else { Ok(bytes) }
}

fn too_large(gzip: bool, settings: &Settings) -> RejectKind {
    let what = if gzip { "compressed" } else { "received" };
    RejectKind::TooLarge { limit: settings.max_body_bytes, what }
}

fn unpacked(bytes: &[u8], settings: &Settings) -> Result<Bytes, RejectKind> {
    let limit = settings.max_inflated_bytes;
    gzip::inflate(bytes, limit).map_err(|fault| match fault {
        InflateError::Broken => RejectKind::BadGzip,
        InflateError::TooLarge => RejectKind::TooLarge { limit, what: "inflated" },
    })
}

/// JSON, or `text/plain` as browsers send it to avoid a preflight, or nothing at all.
fn media_type_is_ours(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let media = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    media.eq_ignore_ascii_case(b"application/json") || media.eq_ignore_ascii_case(b"text/plain")
}

/// Whether a body of ours comes as gzip.
fn coding(headers: &HeaderMap) -> Result<bool, RejectKind> {
    if media_type_is_ours(headers) { is_gzip(headers) } else { Err(RejectKind::MediaType) }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, RejectKind> {
    match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii()) {
        None => Ok(false),
        Some(coding) if coding.eq_ignore_ascii_case(b"identity") => Ok(false),
        Some(coding) if coding.eq_ignore_ascii_case(b"gzip") => Ok(true),
        Some(_) => Err(RejectKind::ContentCoding),
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A request with the wrong method is a request too.
pub(super) fn count_method(room: &Room) {
    room.gateway().shared().metrics.count(None, OutcomeLabel::Method);
}

/// A request being worked on. Dropped without an end (the caller went away), it counts as cancelled.
struct Counted<'a> {
    metrics: &'a Metrics,
    all: &'a AtomicUsize,
    /// Requests in flight over all threads, this one included.
    inflight: usize,
    /// Whose it is, as soon as that is known.
    publisher: Cell<Option<usize>>,
    ended: bool,
}

impl<'a> Counted<'a> {
    fn begin(metrics: &'a Metrics, all: &'a AtomicUsize) -> Self {
        metrics.inflight().inc();
        let inflight = all.fetch_add(1, Ordering::Relaxed) + 1;
        Self { metrics, all, inflight, publisher: Cell::new(None), ended: false }
    }

    fn end(mut self, result: &Result<Outcome, Reject>, total: Duration) {
        self.ended = true;
        self.metrics.finished(result, total);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.metrics.inflight().dec();
        self.all.fetch_sub(1, Ordering::Relaxed);
        if !self.ended {
            let label = if std::thread::panicking() { OutcomeLabel::Error } else { OutcomeLabel::Cancelled };
            self.metrics.count(self.publisher.get(), label);
        }
    }
}
