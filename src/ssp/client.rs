//! Asks one SSP for bids.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri};

use super::{Settings, SspMetrics, SspReply};
use crate::net::OriginError;
use crate::net::body::Segments;
use crate::net::permit::Permits;
use crate::net::pool::{Pool, PoolError, PoolSettings};
use crate::time::{Clock, Deadline};

/// One SSP as one data-plane worker sees it. Clones are handles to the same connections; they stay on their thread.
#[derive(Clone, Debug)]
pub struct Client(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Arc<Settings>,
    metrics: SspMetrics,
    pool: Pool,
    permits: Permits,
    target: Uri,
    /// `Host` and the configured headers.
    headers: HeaderMap,
}

/// For an attempt to connect. It may outlast the deadline of the request that began it: the next one uses it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Just under the 60 s after which servers and load balancers commonly close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// What frames the message or the connection is ours to say.
const FRAMING: [HeaderName; 5] = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, TE, UPGRADE];

impl Client {
    /// A client without connections yet. The bounds of `settings` hold for it alone: see [`Settings::share`].
    /// Fails on a URL without an origin, which a checked configuration does not hold.
    pub fn new(
        settings: Arc<Settings>,
        tls: &rustls::ClientConfig,
        metrics: SspMetrics,
    ) -> Result<Self, OriginError> {
        let origin = settings.origin()?;
        let headers = fixed_headers(&settings, origin.host_header());
        let pool = PoolSettings {
            origin,
            max_connections: settings.max_connections,
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            max_response_bytes: settings.max_response_bytes,
            late: settings.late,
        };
        let target = settings.url.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        Ok(Self(Rc::new(Inner {
            pool: Pool::new(pool, tls, metrics.connections()),
            permits: Permits::with_gauge(settings.max_inflight, metrics.inflight()),
            target: target.into(),
            headers,
            settings,
            metrics,
        })))
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Its metrics. The caller counts each reply, once it has looked into the body.
    pub fn metrics(&self) -> &SspMetrics {
        &self.0.metrics
    }

    /// Posts `body` with `headers` and the configured ones, nothing else, and reads the whole answer by `deadline`.
    /// Never fails and never outlasts the deadline; dropping the future cancels the request and closes its connection.
    /// A late answer is nobody's any more: it is not counted among the requests in flight, only its connection is.
    pub async fn bid(&self, headers: HeaderMap, body: Segments, deadline: Deadline) -> SspReply {
        let started = Clock::monotonic();
        let exchanged = match self.0.permits.try_take() {
            Some(_permit) => self.0.pool.exchange(self.request(headers, body), deadline).await,
            None => Err(PoolError::Limit),
        };
        SspReply::of(exchanged, Clock::monotonic() - started, self.0.settings.max_response_bytes)
    }

    /// The request as it leaves.
    pub fn request(&self, mut headers: HeaderMap, body: Segments) -> Request<Segments> {
        for name in FRAMING.iter().chain(self.0.headers.keys()) {
            headers.remove(name);
        }
        for (name, value) in &self.0.headers {
            headers.append(name, value.clone());
        }
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.0.target.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// A configured `Host` wins over the URL's: some SSPs route by it behind an address of their own.
fn fixed_headers(settings: &Settings, host: &http::HeaderValue) -> HeaderMap {
    let mut headers = settings.headers.clone();
    for name in FRAMING {
        headers.remove(name);
    }
    headers.entry(HOST).or_insert_with(|| host.clone());
    headers
}
