//! One caller's HTTP/2 connection, over TLS: many requests at once on a data-plane thread, ended with a GOAWAY when it is
//! idle or the gateway drains.
//!
//! A request's time begins where its handler does: frames of many requests share the connection, so that the first byte
//! of a request cannot be told. A head that never ends is bounded by `keep_alive_s`, for it is no request yet.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::http::header::HOST;
use ::http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;

use super::connection::{MAX_HEAD_BYTES, Room};
use super::drain::Stage;
use super::http;
use crate::gateway::Peer;
use crate::time::Clock;

/// Requests at once on one connection.
const MAX_STREAMS: u32 = 250;

/// Each request is a task of the thread that has the connection.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F> Executor<F> for OnThisThread
where
    F: Future + 'static,
{
    fn execute(&self, task: F) {
        drop(tokio::task::spawn_local(async move { drop(task.await) }));
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<I>(room: &Room, io: I, peer: Peer)
where
    I: Read + Write + Unpin + 'static,
{
    let streams = Rc::new(Streams::new());
    let answering = (room.clone(), Rc::clone(&streams));
    let service = service_fn(move |request| {
        let started = Clock::monotonic();
        let (room, open) = (answering.0.clone(), Open::new(&answering.1));
        async move {
            let reply = http::answer(&room, with_host(request), peer, started).await;
            drop(open);
            Ok::<_, Infallible>(reply)
        }
    });
    let mut builder = http2::Builder::new(OnThisThread);
    builder.max_concurrent_streams(MAX_STREAMS).max_header_list_size(HEAD_LIST_BYTES);
    let plane = &room.seat().plane;
    let (patience, idle) = (plane.settings.header_timeout, plane.settings.keep_alive);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut closing = pin!(plane.drain.reached(Stage::Closing));
    let mut told = false;
    let mut watchdog = pin!(tokio::time::sleep(idle));
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = &mut closing, if !told => {}
            () = &mut watchdog => match streams.left(idle) {
                Some(more) => {
                    watchdog.as_mut().reset((Clock::monotonic() + more).into());
                    continue;
                }
                None if told => return, // it was told and had time to go
                None => watchdog.as_mut().reset((Clock::monotonic() + patience).into()),
            },
        }
        told = true;
        connection.as_mut().graceful_shutdown();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "32 KiB")]
const HEAD_LIST_BYTES: u32 = MAX_HEAD_BYTES as u32;

/// The requests that a connection has now.
struct Streams {
    open: Cell<usize>,
    /// When the last one ended.
    idle_since: Cell<Instant>,
}

impl Streams {
    fn new() -> Self {
        Self { open: Cell::new(0), idle_since: Cell::new(Clock::monotonic()) }
    }

    /// How much longer the connection may stay as it is; `None` when it was idle for too long.
    fn left(&self, idle: Duration) -> Option<Duration> {
        if self.open.get() > 0 {
            return Some(idle);
        }
        let quiet = Clock::monotonic().saturating_duration_since(self.idle_since.get());
        idle.checked_sub(quiet).filter(|left| !left.is_zero())
    }
}

/// Counts a request while its answer is being made, however that ends.
struct Open(Rc<Streams>);

impl Open {
    fn new(streams: &Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        Self(Rc::clone(streams))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        self.0.idle_since.set(Clock::monotonic());
    }
}

/// HTTP/2 says in `:authority` what HTTP/1.1 says in `Host`, and everything behind reads `Host`.
fn with_host(mut request: Request<Incoming>) -> Request<Incoming> {
    let authority = request.uri().authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().insert(HOST, authority);
    }
    request
}
