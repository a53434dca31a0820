//! The UID2 operator as a partner: generate and refresh, with failover, retries and limits.
//!
//! ```text
//! OperatorClient::generate / refresh
//!   ├─ refused at once, while its key is known bad     circuit.rs
//!   └─ up to 3 tries under one total timeout           client.rs
//!        ├─ wait for a permit and for the rate         limits.rs
//!        ├─ pick the base URL                          failover.rs
//!        ├─ seal a new envelope, send it, open the answer   call.rs
//!        └─ name the fault, if any: may a retry help?  fault.rs
//! ```
//!
//! Control plane only: nothing here runs on the path of an auction. No fault ever carries an identifier, a hash of
//! one, or a token.

mod call;
mod circuit;
mod client;
mod failover;
mod fault;
mod limits;
mod metrics;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::Uri;

pub use client::OperatorClient;
pub use fault::{Fault, OperatorError};
pub use metrics::Metrics;

use crate::secret::Secret;
use crate::uid2::{EnvelopeKey, Environment, Identity, Scope};

/// Largest operator answer read, in bytes; real ones are under 2 KB (uid2-protocol §10, trap 6).
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// How to reach operators, and how hard. `connect_timeout`, `ca` and `max_response_bytes` are obeyed by the transport.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base URLs in order of preference; `/v2/token/…` is appended.
    pub urls: Vec<Uri>,
    /// For one connection, TLS included.
    pub connect_timeout: Duration,
    /// For one generate or refresh: all tries, waits and back-off together.
    pub timeout: Duration,
    /// Requests on the way at one time; at least 1.
    pub max_concurrency: usize,
    /// Requests per second, retries included; 0 means no limit.
    pub rate_per_s: u32,
    /// Further root certificates, PEM.
    pub ca: Option<Vec<u8>>,
    /// A longer answer is a fault.
    pub max_response_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(3),
            max_concurrency: 32,
            rate_per_s: 0,
            ca: None,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

/// Who we are to the operator: one publisher's key pair for one scope and environment.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// UID2 or EUID; the TCF string is sent for EUID alone.
    pub scope: Scope,
    /// The environment the key belongs to.
    pub environment: Environment,
    /// `UID2-C-…`, sent as bearer token.
    pub api_key: Secret<String>,
    /// Seals requests and opens answers.
    pub client_secret: EnvelopeKey,
    /// This publisher's operator; empty means those of [`Settings`].
    pub urls: Vec<Uri>,
}

/// The operators of the two scopes. They are different services with keys of their own.
#[derive(Debug)]
pub struct Operators {
    /// `[operator]`.
    pub uid2: OperatorClient,
    /// `[operator.euid]`.
    pub euid: OperatorClient,
}

impl Operators {
    /// The one that serves a publisher with these credentials.
    pub fn of(&self, credentials: &Credentials) -> &OperatorClient {
        match credentials.scope {
            Scope::Uid2 => &self.uid2,
            Scope::Euid => &self.euid,
        }
    }
}

/// What the operator decided about a user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Minted {
    /// All six values are new; they replace the old ones together.
    Identity(Identity),
    /// The user opted out of UID2: forget the identity, remember the opt-out, do not ask again.
    OptedOut,
    /// EUID: no token with this TCF string (a purpose is lacking, or it does not parse); do not ask again with it.
    InsufficientConsent,
}
