//! The admin listener: health, readiness, version, metrics. On the control plane; never on the path of an ad.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::AUTHORIZATION;
use ::http::{HeaderValue, Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::drain::{Drain, Stage};
use super::reply::{self, Reply};
use crate::secret::Secret;
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
}

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
        let reply = answer(&state, open, &request);
        async move { Ok::<_, Infallible>(reply) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    if let Err(fault) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error = %fault, "admin connection");
    }
}

fn answer(state: &AdminState, open: bool, request: &Request<Incoming>) -> Reply {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply::method_not_allowed("GET, HEAD");
    }
    match path {
        "/livez" => return reply::text("ok\n"),
        "/readyz" => return ready(state),
        _ => {}
    }
    if !open && !has_token(state, request) {
        return reply::token_required();
    }
    match path {
        "/metrics" => metrics(state),
        "/version" => reply::json_reply(&version()),
        _ => reply::no_such_path(),
    }
}

fn ready(state: &AdminState) -> Reply {
    match state.drain.stage() {
        Stage::Running => reply::text("ready\n"),
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

fn has_token(state: &AdminState, request: &Request<Incoming>) -> bool {
    let Some(expected) = &state.token else { return false };
    let presented = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = presented.and_then(|text| text.strip_prefix("Bearer ")).map(str::trim);
    token.is_some_and(|token| Secret::new(token.to_owned()) == *expected)
}
