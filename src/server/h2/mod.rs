//! One caller's HTTP/2 connection, over TLS: many requests at once on a data-plane thread, ended with a GOAWAY when it is
//! idle, when its caller does not read its answers or takes too many requests back, or when the gateway drains.
//!
//! A request's time begins where its handler does: frames of many requests share the connection, so that the first byte
//! of a request cannot be told. A head that never ends is bounded by `keep_alive_s`, for it is no request yet.

mod sending;
mod streams;

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use ::http::header::HOST;
use ::http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;

use self::streams::{Asked, Streams};
use super::connection::{Hall, MAX_HEAD_BYTES};
use super::drain::Stage;
use super::http;
use crate::gateway::{Certified, Peer};
use crate::time::Clock;

/// Requests at once on one connection, those included whose answers have not gone out whole.
const MAX_STREAMS: u32 = 100;
/// Bytes of one answer that lie ready to be written, when the caller has room for more than the network.
const MAX_READY_BYTES: usize = 64 * 1024;
/// Once told to go, a connection on which nothing moves for so long is closed. A caller may be slow to say that it has
/// heard, or never say it.
const GRACE: Duration = Duration::from_secs(2);

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
pub(super) async fn serve<I>(hall: &Hall, io: I, (peer, certified): (Peer, Option<Certified>))
where
    I: Read + Write + Unpin + 'static,
{
    let streams = Rc::new(Streams::new());
    let answering = (hall.clone(), Rc::clone(&streams));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let started = Clock::monotonic();
        if let Some(certified) = &certified {
            request.extensions_mut().insert(certified.clone());
        }
        let (room, asked) = (answering.0.room(), Asked::new(&answering.1));
        async move {
            let reply = http::answer(&room, with_host(request), peer, started).await;
            Ok::<_, Infallible>(asked.answered(reply))
        }
    });
    let mut builder = http2::Builder::new(OnThisThread);
    builder.max_concurrent_streams(MAX_STREAMS).max_header_list_size(HEAD_LIST_BYTES);
    builder.max_send_buf_size(MAX_READY_BYTES);
    let mut patience = hall.room().settings().keep_alive;
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut closing = pin!(hall.seat().plane.drain.reached(Stage::Closing));
    let mut told = false;
    let mut watchdog = pin!(tokio::time::sleep(patience));
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = &mut closing, if !told => {}
            () = streams.taken_back() => if told { return },
            () = &mut watchdog => match streams.left(patience) {
                Some(more) => {
                    watchdog.as_mut().reset((Clock::monotonic() + more).into());
                    continue;
                }
                None if told => return, // and had time to go
                None => {}
            },
        }
        (told, patience) = (true, GRACE);
        connection.as_mut().graceful_shutdown();
        watchdog.as_mut().reset((Clock::monotonic() + GRACE).into());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "32 KiB")]
const HEAD_LIST_BYTES: u32 = MAX_HEAD_BYTES as u32;

/// HTTP/2 says in `:authority` what HTTP/1.1 says in `Host`, and everything behind reads `Host`.
fn with_host(mut request: Request<Incoming>) -> Request<Incoming> {
    let authority = request.uri().authority().and_then(|name| HeaderValue::from_str(name.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().insert(HOST, authority);
    }
    request
}
