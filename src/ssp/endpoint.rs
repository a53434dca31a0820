//! One SSP as configured.

use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, Uri};

use crate::net::breaker::BreakerSettings;
use crate::net::{Origin, OriginError};
use crate::openrtb::{Dialect, RtiPlace};
use crate::uid2::Scope;

/// One `[[ssp]]` of the configuration.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Its name in routes, logs and metric labels.
    pub id: String,
    /// Where bid requests are posted: absolute, `http` or `https`; see [`Settings::origin`].
    pub url: Uri,
    /// Where it reads `eids`.
    pub dialect: Dialect,
    /// Longest wait for its answer.
    pub timeout: Duration,
    /// Kept back from the caller's `tmax`, for the way home.
    pub margin: Duration,
    /// With less than this left it is not asked.
    pub min: Duration,
    /// How long a late answer is still read, so that its connection can be used again; zero closes it at once, as does a
    /// request that finds no other connection free.
    pub late: Duration,
    /// Sent with each request; they win over headers of the same name. Values may be marked sensitive.
    pub headers: HeaderMap,
    /// Headers of the caller that are passed on besides the usual ones.
    pub forward_headers: Vec<HeaderName>,
    /// Most open connections of one [`Client`](super::Client), and so most requests open at the SSP, late ones included.
    pub max_connections: usize,
    /// Most requests of one [`Client`](super::Client) whose answer is awaited, those that wait for a connection included;
    /// the next one is not sent.
    pub max_inflight: usize,
    /// Longest response body, in bytes, as it came and inflated.
    pub max_response_bytes: usize,
    /// Most seatbids and bids of a response, together, that is merged with others; one with more is dropped whole.
    pub max_bids: usize,
    /// Its id in the IAB's Global Vendor List, 1 to 65535; without one it gets no EUID.
    pub gvl_id: Option<u16>,
    /// Bid requests are sent to it as gzip, and gzip answers are asked for.
    pub gzip: bool,
    /// `user.id` is taken out for this SSP.
    pub strip_user_id: bool,
    /// What happens to `tmax`.
    pub tmax: TmaxMode,
    /// Which operator environments' tokens it may get.
    pub environment: EnvironmentRule,
    /// Whose tokens and entries it may get.
    pub scopes: Scopes,
    /// Whether a request's own EID permissions count for it.
    pub eid_permissions: PermissionMode,
    /// Where it looks for `rtiPartner`; `None`: nowhere.
    pub rti_partner: Option<RtiPlace>,
    /// PEM certificates trusted besides the public ones.
    pub ca: Option<Vec<u8>>,
    /// When it is not asked for a while because it fails; `None`: it is always asked.
    pub breaker: Option<BreakerRule>,
}

/// What counts as a failure of an SSP, and what follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakerRule {
    /// When the breaker opens, and for how long.
    pub settings: BreakerSettings,
    /// An answer that did not come counts only when the SSP had at least so long: otherwise one publisher's short
    /// `tmax` would take the SSP away from the others.
    pub slow: Duration,
    /// Statuses 400 to 499 count, too. They are answers to one request, and most often that request's fault.
    pub count_4xx: bool,
}

/// What happens to an existing `tmax`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TmaxMode {
    /// It is set to the milliseconds this SSP has.
    #[default]
    Rewrite,
    /// It stays.
    Keep,
}

/// Scopes an SSP may get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scopes {
    /// UID2.
    pub uid2: bool,
    /// EUID.
    pub euid: bool,
}

impl Scopes {
    /// Whether this one is among them.
    pub const fn contains(self, scope: Scope) -> bool {
        match scope {
            Scope::Uid2 => self.uid2,
            Scope::Euid => self.euid,
        }
    }
}

/// What `ext.prebid.data.eidpermissions` means for an SSP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PermissionMode {
    /// It names the SSP by its id, or the source is not for it.
    #[default]
    Apply,
    /// The SSP is a Prebid Server, and applies it to its own bidders.
    Ignore,
}

/// Which operator environments' tokens an SSP may get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EnvironmentRule {
    /// Any, test tokens too.
    Any,
    /// Production only.
    Prod,
}

impl Settings {
    /// The endpoint of `url`, or why there is none.
    pub fn origin(&self) -> Result<Origin, OriginError> {
        Origin::of(&self.url)
    }

    /// These settings for one of `workers` clients, so that all of them together keep the configured bounds
    /// (but each has at least one connection and one request in flight).
    #[must_use]
    pub fn share(&self, workers: usize) -> Self {
        let part = |whole: usize| (whole / workers.max(1)).max(1);
        Self {
            max_connections: part(self.max_connections),
            max_inflight: part(self.max_inflight),
            ..self.clone()
        }
    }
}
