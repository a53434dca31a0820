//! The endpoint on the wire: HTTP/1.1 with keep-alive, and connections that can be reset on purpose.

use std::future::{Future, pending};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::body::{AnswerBody, dripped, half, padded, whole};
use super::{Received, Reply, Ssp, control};

/// How long open connections may finish after the shutdown.
const GRACE: Duration = Duration::from_secs(1);

/// A pause after a failed accept: file descriptors run out, and only time brings them back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const OPENRTB_VERSION: HeaderName = HeaderName::from_static("x-openrtb-version");

/// Serves `ssp` on `listener` until `shutdown`, then lets what is in flight finish for a moment.
///
/// `POST` on any path is a bid request; `/sandbox/*` is described by its answers.
pub async fn serve(ssp: Arc<Ssp>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(Arc::clone(&ssp), stream, stopped.clone()));
            }
            Err(fault) => {
                tracing::warn!(%fault, "sandbox ssp: accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::debug!("sandbox ssp: connections were cut off");
    }
}

async fn connection(ssp: Arc<Ssp>, stream: TcpStream, mut stopped: watch::Receiver<bool>) {
    if let Err(fault) = stream.set_nodelay(true) {
        tracing::debug!(%fault, "sandbox ssp: no TCP_NODELAY");
    }
    let reset = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&reset);
    let service = service_fn(move |request| {
        let (ssp, reset) = (Arc::clone(&ssp), Arc::clone(&flag));
        Box::pin(async move { answer(&ssp, request, &reset).await })
    });
    let mut builder = http1::Builder::new();
    let mut connection = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let stop = async { drop(stopped.wait_for(|stop| *stop).await) };
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = stop => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        Pin::new(&mut connection).graceful_shutdown();
        (&mut connection).await
    };
    if reset.load(Ordering::Relaxed) {
        // Without lingering, closing sends RST instead of FIN.
        let stream = connection.into_parts().io.into_inner();
        if let Err(fault) = stream.set_zero_linger() {
            tracing::debug!(%fault, "sandbox ssp: no reset");
        }
    } else if let Err(fault) = ended {
        tracing::debug!(%fault, "sandbox ssp: connection ended");
    }
}

/// Answers one request. An error ends the connection; `reset` says that it shall end with RST.
async fn answer(
    ssp: &Ssp,
    request: Request<Incoming>,
    reset: &AtomicBool,
) -> io::Result<Response<AnswerBody>> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, ssp.settings.max_body_bytes).collect().await {
        Ok(body) => Some(body.to_bytes()),
        Err(fault) if fault.is::<http_body_util::LengthLimitError>() => None,
        Err(fault) => return Err(io::Error::other(fault)),
    };
    if head.uri.path().starts_with("/sandbox/") {
        return Ok(control::answer(ssp, &head, &body.unwrap_or_default()));
    }
    if head.method != Method::POST {
        return Ok(bare(StatusCode::METHOD_NOT_ALLOWED));
    }
    let version = head.headers.get(OPENRTB_VERSION).cloned();
    let (delay, reply) = decide(ssp, head, body);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if matches!(reply, Reply::Reset | Reply::Half(_)) {
        reset.store(true, Ordering::Relaxed);
    }
    let mut response = carry_out(reply).await?;
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let version = version.unwrap_or_else(|| HeaderValue::from_static("2.5"));
        response.headers_mut().insert(OPENRTB_VERSION, version);
    }
    Ok(response)
}

fn decide(ssp: &Ssp, head: Parts, body: Option<Bytes>) -> (Duration, Reply) {
    let path = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let gzip = head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
    let plain = if gzip {
        body.as_deref().and_then(|b| inflate(b, ssp.settings.max_body_bytes))
    } else {
        body.clone()
    };
    let received = Received { path, headers: head.headers, body: body.unwrap_or_default() };
    ssp.decide(received, plain.as_deref())
}

/// The inflated body; what is no gzip is left as nothing to read, and what is larger than `max` is `None`.
fn inflate(body: &[u8], max: usize) -> Option<Bytes> {
    let mut plain = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    if io::copy(&mut io::Read::take(GzDecoder::new(body), limit), &mut plain).is_err() {
        plain.clear();
    }
    (plain.len() <= max).then(|| plain.into())
}

async fn carry_out(reply: Reply) -> io::Result<Response<AnswerBody>> {
    Ok(match reply {
        Reply::NoContent => bare(StatusCode::NO_CONTENT),
        Reply::Json(status, body) => with_status(status, whole(body)),
        Reply::Bare(status) => with_status(status, whole(Bytes::new())),
        Reply::Redirect => {
            let mut response = bare(StatusCode::FOUND);
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("http://elsewhere.invalid/"));
            response
        }
        Reply::Hang => pending().await,
        Reply::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
        Reply::Half(body) => {
            let mut response = Response::new(half(&body));
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
            response
        }
        Reply::Padded(body) => Response::new(padded(body)),
        Reply::Dripped(body) => Response::new(dripped(body)),
    })
}

fn with_status(status: u16, body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(status).expect("every status in this module is a valid code");
    response
}

pub(super) fn bare(status: StatusCode) -> Response<AnswerBody> {
    with_status(status.as_u16(), whole(Bytes::new()))
}
