//! The sockets: accepts, reads bodies with a limit, waits, hangs, resets, and adds the headers browsers need.

use std::convert::Infallible;
use std::future::{self, Future};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE,
    HeaderMap, HeaderName,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, Socket};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::endpoint::{Endpoint, Route};
use super::faults::{Fault, Trouble};
use super::reply::Reply;
use super::{Call, Operator};

/// Largest body taken; one byte more is answered 413.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Wait after a failed accept, so that a lack of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const ALLOWED_HEADERS: &str = "X-UID2-Client-Version, Access-Control-Request-Method, \
                               Access-Control-Allow-Credentials, Access-Control-Allow-Origin, \
                               Access-Control-Allow-Headers, Content-Type";
const VALIDATE_HEADERS: &str = "X-UID2-Client-Version, Access-Control-Request-Method, \
                                Access-Control-Allow-Credentials, Access-Control-Allow-Origin, \
                                Access-Control-Allow-Headers, Content-Type, Authorization";

/// Serves until `shutdown` is ready; then every connection is closed at once. The caller owns the listener.
pub async fn serve(operator: Arc<Operator>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(Arc::clone(&operator), stream))),
                Err(error) => {
                    tracing::warn!(%error, "sandbox operator cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// The connection is to be reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("reset by a fault")]
struct Reset;

async fn connection(operator: Arc<Operator>, stream: TcpStream) {
    // A second handle on the socket: hyper owns the first, and only closing with lingering off sends a reset.
    let socket = SockRef::from(&stream).try_clone().ok();
    // Without it small answers wait for the peer's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "sandbox operator cannot set TCP_NODELAY");
    }
    let service = service_fn(|request| exchange(&operator, request));
    let mut http = http1::Builder::new();
    let served = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        finish(&error, socket.as_ref());
    }
}

fn finish(error: &hyper::Error, socket: Option<&Socket>) {
    let reset = std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<Reset>);
    match socket.filter(|_| reset).map(|socket| socket.set_linger(Some(Duration::ZERO))) {
        Some(Err(error)) => tracing::debug!(%error, "sandbox operator cannot reset a connection"),
        Some(Ok(())) => {}
        None => tracing::debug!(%error, "sandbox operator lost a connection"),
    }
}

async fn exchange(operator: &Operator, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Reset> {
    let (head, body) = request.into_parts();
    let route = Route::of(&head.method, head.uri.path());
    if head.method == Method::OPTIONS {
        return Ok(preflight(head.uri.path()));
    }
    let trouble = operator.strike(route);
    let body = match read(body).await {
        Ok(body) => body,
        Err(reply) => return Ok(response(reply, &head.headers)),
    };
    suffer(operator, route, trouble).await?;
    let call = Call { method: &head.method, path: head.uri.path(), headers: &head.headers, body: &body };
    Ok(response(operator.answer(&call, trouble), &head.headers))
}

/// Waits, and takes the faults that are no answer at all.
async fn suffer(operator: &Operator, route: Route, trouble: Trouble) -> Result<(), Reset> {
    if trouble.delay > Duration::ZERO {
        tokio::time::sleep(trouble.delay).await;
    }
    let Route::Api(endpoint) = route else { return Ok(()) };
    match trouble.fault {
        Some(Fault::Hang) => {
            operator.count(endpoint, "hang");
            match future::pending::<Infallible>().await {}
        }
        Some(Fault::Reset) => {
            operator.count(endpoint, "reset");
            Err(Reset)
        }
        _ => Ok(()),
    }
}

async fn read(body: Incoming) -> Result<Bytes, Reply> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Reply::too_large()),
        Err(_) => Err(Reply::empty(StatusCode::BAD_REQUEST, "broken_body")),
    }
}

fn response(reply: Reply, request: &HeaderMap) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Some(content_type) = reply.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let Some(trace) = request.get(TRACE_ID) {
        headers.insert(TRACE_ID, trace.clone());
    }
    response
}

/// Any origin may ask; `Authorization` may come from a page for validate alone.
fn preflight(path: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let allowed = if path == Endpoint::Validate.path() { VALIDATE_HEADERS } else { ALLOWED_HEADERS };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    response
}
