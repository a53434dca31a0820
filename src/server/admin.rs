//! The admin listener: health, readiness, version, metrics, the configuration, captures. On the control plane; never on the path of an ad.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Method, Request, Response};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::access;
use super::capture::{Captures, Lines};
use super::drain::{Drain, Stage};
use super::reload::Configured;
use super::reply::{self, Reply};
use crate::secret::Secret;
use crate::store::Store;
use crate::telemetry::Registry;

/// Pause after a failed `accept`.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

const METRICS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What the admin listener shows.
pub struct AdminState {
    /// All metrics.
    pub registry: Registry,
    /// Ready, draining or closing.
    pub drain: Drain,
    /// Needed for everything but health, unless the listener is on loopback.
    pub token: Option<Secret<String>>,
    /// Where identities are: one that cannot be relied on is not ready.
    pub store: Store,
    /// Records ad requests.
    pub captures: Captures,
    /// Keeps the configuration.
    pub configured: Arc<dyn Configured>,
}

/// An answer that is there, or one that goes on while a capture does.
type Answer = Response<Either<Full<Bytes>, Lines>>;

/// The admin listener.
pub struct Admin {
    state: Arc<AdminState>,
    open: bool,
}

impl Admin {
    /// `address` is where it listens: on loopback no token is needed.
    pub fn new(state: AdminState, address: SocketAddr) -> Self {
        Self { state: Arc::new(state), open: address.ip().is_loopback() }
    }

    /// Serves until the process ends; health must be answered to the last moment.
    pub async fn serve(self, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of file handles, most likely: not the moment to spin.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (state, open) = (Arc::clone(&self.state), self.open);
            tokio::spawn(one(state, open, stream));
        }
    }
}

async fn one(state: Arc<AdminState>, open: bool, stream: TcpStream) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(&state, open, &request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    if let Err(fault) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error = %fault, "admin connection");
    }
}

async fn answer(state: &Arc<AdminState>, open: bool, request: &Request<Incoming>) -> Answer {
    match request.uri().path() {
        "/debug/capture" => capture(state, open, request),
        "/reload" => reload(state, open, request).await.map(Either::Left),
        path => plain(state, open, (request, path)).map(Either::Left),
    }
}

/// Whether the caller may start something, not simply look.
fn may_act(state: &AdminState, open: bool, request: &Request<Incoming>) -> bool {
    let (method, headers) = (request.method(), request.headers());
    (open && access::is_from_here(method, headers)) || access::has_token(state.token.as_ref(), headers)
}

async fn reload(state: &Arc<AdminState>, open: bool, request: &Request<Incoming>) -> Reply {
    if *request.method() != Method::POST {
        return reply::method_not_allowed("POST");
    }
    if !may_act(state, open, request) {
        return reply::token_required();
    }
    let configured = Arc::clone(&state.configured);
    match tokio::task::spawn_blocking(move || configured.reload()).await {
        Ok(result) => reply::reloaded(&result),
        Err(fault) => {
            tracing::error!(error = %fault, "reload panicked");
            reply::internal_error()
        }
    }
}

/// What a capture starts costs the path of the ads a little.
fn capture(state: &AdminState, open: bool, request: &Request<Incoming>) -> Answer {
    let may = may_act(state, open, request);
    let refused = match *request.method() {
        Method::GET | Method::POST if may => match state.captures.begin(request.uri().query()) {
            Ok(lines) => return reply::capture(lines).map(Either::Right),
            Err(fault) => reply::no_capture(&fault),
        },
        Method::GET | Method::POST => reply::token_required(),
        _ => reply::method_not_allowed("GET, POST"),
    };
    refused.map(Either::Left)
}

fn plain(state: &AdminState, open: bool, (request, path): (&Request<Incoming>, &str)) -> Reply {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply::method_not_allowed("GET, HEAD");
    }
    match path {
        "/livez" => return reply::text("ok\n"),
        "/readyz" => return ready(state),
        _ => {}
    }
    if !open && !access::has_token(state.token.as_ref(), request.headers()) {
        return reply::token_required();
    }
    match path {
        "/metrics" => metrics(state),
        "/version" => reply::json_reply(&version()),
        "/config" => reply::json_reply(&state.configured.shown()),
        _ => reply::no_such_path(),
    }
}

fn ready(state: &AdminState) -> Reply {
    match state.drain.stage() {
        Stage::Running => match state.store.unfit() {
            None => reply::text("ready\n"),
            Some(reason) => reply::not_ready(format!("{reason}\n")),
        },
        Stage::Draining | Stage::Closing => reply::not_ready("draining\n"),
    }
}

fn metrics(state: &AdminState) -> Reply {
    match state.registry.text() {
        Ok(text) => reply::content(METRICS_TEXT, text),
        Err(fault) => {
            tracing::error!(error = %fault, "metrics could not be written");
            reply::internal_error()
        }
    }
}

fn version() -> serde_json::Value {
    json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "commit": env!("UID2GW_COMMIT"),
    })
}
