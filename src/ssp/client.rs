//! Asks one SSP for bids.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::uri::PathAndQuery;

use super::{Asked, Settings, SspMetrics, SspReply, Vitals};
use crate::net::OriginError;
use crate::net::body::Segments;
use crate::net::h1::Template;
use crate::net::permit::Permits;
use crate::net::pool::{Call, Pool, PoolError, PoolSettings};
use crate::time::{Clock, Deadline};

/// One SSP as one data-plane worker sees it. Clones are handles to the same connections; they stay on their thread.
#[derive(Clone, Debug)]
pub struct Client(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Arc<Settings>,
    vitals: Vitals,
    pool: Pool,
    permits: Permits,
}

/// For an attempt to connect. It may outlast the deadline of the request that began it: the next one uses it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Just under the 60 s after which servers and load balancers commonly close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// Of an answer; for the rest nobody asks.
static KEPT_HEADERS: [HeaderName; 3] =
    [CONTENT_TYPE, CONTENT_ENCODING, HeaderName::from_static("x-openrtb-version")];

impl Client {
    /// A client without connections yet. The bounds of `settings` hold for it alone: see [`Settings::share`].
    /// Fails on a URL without an origin, which a checked configuration does not hold.
    pub fn new(
        settings: Arc<Settings>,
        tls: &rustls::ClientConfig,
        vitals: Vitals,
    ) -> Result<Self, OriginError> {
        let origin = settings.origin()?;
        let target = settings.url.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        // A configured `Host` wins over the URL's: some SSPs route by it behind an address of their own.
        let template = Template::new(&target, origin.host_header(), settings.headers.clone());
        let pool = PoolSettings {
            origin,
            template,
            keep: &KEPT_HEADERS,
            max_connections: settings.max_connections,
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            max_response_bytes: settings.max_response_bytes,
            late: settings.late,
        };
        Ok(Self(Rc::new(Inner {
            pool: Pool::new(pool, tls, vitals.metrics().connections()),
            permits: Permits::with_gauge(settings.max_inflight, vitals.metrics().inflight()),
            settings,
            vitals,
        })))
    }

    /// What it was made with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Its metrics. What was not asked is counted by the caller; what was, by [`Asked`].
    pub fn metrics(&self) -> &SspMetrics {
        self.0.vitals.metrics()
    }

    pub(super) fn vitals(&self) -> &Vitals {
        &self.0.vitals
    }

    /// Begins a request at `now`, unless its circuit breaker is open.
    pub fn ask(&self, now: Instant) -> Option<Asked> {
        self.0.vitals.admit(now).map(|admitted| Asked::new(self, now, admitted))
    }

    /// Posts `body`, which is taken, with `headers` and the configured ones, nothing else, and reads the whole answer by `deadline`; asked at
    /// `now`. Never fails and never outlasts the deadline; dropping the future gives the answer up. A late answer, or
    /// one that was given up, is nobody's any more: it is not counted among the requests in flight, only its connection
    /// is.
    pub async fn bid(
        &self,
        headers: &HeaderMap,
        body: &mut Segments,
        (now, deadline): (Instant, Deadline),
    ) -> SspReply {
        let exchanged = match self.0.permits.try_take() {
            Some(_permit) => self.0.pool.exchange(Call { headers, body, now, deadline }).await,
            None => Err(PoolError::Limit),
        };
        SspReply::of(exchanged, Clock::monotonic() - now, self.0.settings.max_response_bytes)
    }

    /// The headers of a request as they leave, but for its length. Not for the hot path.
    pub fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        self.0.pool.template().headers(headers)
    }
}
