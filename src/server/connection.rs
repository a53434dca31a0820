//! One caller's connection: HTTP/1.1 on a data-plane thread, plain or over TLS, watched for slowness, ended gently in a
//! drain.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use ::http::{Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::drain::Stage;
use super::growing::Content;
use super::io::{Activity, Watched};
use super::live::{Door, Room};
use super::tls::{self, Tls};
use super::watch::{Watch, Word};
use super::worker::Seat;
use super::{h2, http};
use crate::gateway::{Certified, Peer};

/// Largest request head, bytes. At most 100 headers: that is hyper's own limit, which is left alone because any other makes
/// it fill two tables per request.
pub(super) const MAX_HEAD_BYTES: usize = 32 * 1024;

/// What all connections of a thread share.
#[derive(Clone)]
pub(super) struct Hall(Rc<Shared>);

struct Shared {
    seat: Rc<Seat>,
    door: Door,
    left: Notify,
}

impl Hall {
    pub(super) fn new(seat: Rc<Seat>, door: Door) -> Self {
        Self(Rc::new(Shared { seat, door, left: Notify::new() }))
    }

    /// The room of a request that begins now.
    pub(super) fn room(&self) -> Room {
        self.0.door.room()
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.0.seat
    }

    /// Returns when no connection is left.
    pub(super) async fn emptied(&self) {
        while self.0.seat.open.load(Ordering::Relaxed) > 0 {
            self.0.left.notified().await;
        }
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(self, stream: TcpStream, address: SocketAddr) {
        let _present = Present::enter(&self);
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
        if stream.set_nodelay(true).is_err() {
            return; // the caller is gone already
        }
        // Whether the peer is trusted is judged with each request, by the settings that hold then.
        let peer = |tls| Peer { ip: address.ip().to_canonical(), trusted: false, tls };
        let tls = self.room().settings().tls.clone();
        match tls {
            None => self.http1(stream, peer(false), None).await,
            // In a box, so that a plain connection does not carry the room for it.
            Some(tls) => Box::pin(self.over_tls(&tls, stream, peer(true))).await,
        }
    }

    /// Shakes hands within the time for a head, then serves what the caller chose.
    async fn over_tls(&self, tls: &Tls, stream: tokio::net::TcpStream, peer: Peer) {
        let patience = self.room().settings().header_timeout;
        let shaken = tokio::select! {
            biased;
            // Nothing has been asked yet, so nothing is lost.
            () = self.seat().plane.drain.reached(Stage::Closing) => return,
            shaken = tokio::time::timeout(patience, tls.accept(stream)) => shaken,
        };
        match shaken {
            Ok(Ok(stream)) => {
                let certified = tls::certified(&stream);
                if tls::is_h2(&stream) {
                    h2::serve(self, TokioIo::new(stream), (peer, certified)).await;
                } else {
                    self.http1(stream, peer, certified).await;
                }
            }
            Ok(Err(fault)) => tracing::debug!(error = %fault, "TLS handshake"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn http1<S>(&self, stream: S, peer: Peer, certified: Option<Certified>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let activity = Activity::new();
        let io = TokioIo::new(Watched::new(stream, activity.clone()));
        let answering = activity.clone();
        let service = service_fn(|mut request: Request<Incoming>| {
            if let Some(certified) = &certified {
                request.extensions_mut().insert(certified.clone());
            }
            let (room, activity) = (self.room(), answering.clone());
            async move {
                let started = activity.begin();
                let (head, content) = http::answer(&room, request, peer, started).await.into_parts();
                let busy = Busy(activity);
                let body = match content {
                    Content::Whole(body) => Either::Left(body),
                    Content::Growing(growing) => Either::Right(growing.start(busy)),
                };
                Ok::<_, Infallible>(Response::from_parts(head, body))
            }
        });
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(io, service);
        self.drive(connection, &activity).await;
    }

    async fn drive<C: Connection>(&self, connection: C, activity: &Activity) {
        let mut connection = pin!(connection);
        let watch = Watch::default();
        let _watching = watch.keep(self.clone(), activity.clone());
        poll_fn(|cx| {
            loop {
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                match watch.heed(cx) {
                    None => return Poll::Pending,
                    Some(Word::Finish) => connection.as_mut().finish(),
                    Some(Word::Leave) => return Poll::Ready(()),
                }
            }
        })
        .await;
    }
}

/// A request until its answer is made, all of it.
struct Busy(Activity);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The two things [`Hall::drive`] needs of a hyper connection; the type itself cannot be named (it holds a closure).
trait Connection: Future<Output = hyper::Result<()>> {
    fn finish(self: std::pin::Pin<&mut Self>);
}

impl<I, B, S> Connection for http1::Connection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn finish(self: std::pin::Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Counts a connection while it lives, however it ends.
struct Present<'a>(&'a Hall);

impl<'a> Present<'a> {
    fn enter(hall: &'a Hall) -> Self {
        hall.seat().plane.metrics.connections.inc();
        Self(hall)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.seat().plane.metrics.connections.dec();
        self.0.seat().open.fetch_sub(1, Ordering::Relaxed);
        self.0.0.left.notify_one();
    }
}
