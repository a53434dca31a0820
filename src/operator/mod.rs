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
//! # Without the gateway
//!
//! [`crate::uid2`] and this module are a UID2 client by themselves; `uid2` does no I/O, and this module needs a Tokio runtime. In the
//! example a sandbox operator stands in for a real one: with your own key, secret and base URL the rest is the same.
//!
//! ```
//! use std::sync::Arc;
//!
//! use uid2_gateway::net::{HyperTransport, TransportSettings, tls};
//! use uid2_gateway::operator::{Credentials, MAX_RESPONSE_BYTES, Metrics, Minted, OperatorClient, Settings};
//! use uid2_gateway::sandbox::operator as sandbox;
//! use uid2_gateway::secret::Secret;
//! use uid2_gateway::telemetry::Registry;
//! use uid2_gateway::time::Clock;
//! use uid2_gateway::uid2::{DiiHash, Email, EnvelopeKey, Environment, Phase, Scope};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let base = format!("http://{}", listener.local_addr()?);
//! let operator = sandbox::Operator::new(sandbox::Settings::default(), Clock::System);
//! tokio::spawn(sandbox::serve(operator, listener, std::future::pending::<()>()));
//!
//! let settings = Settings { urls: vec![base.parse()?], ..Settings::default() };
//! let transport = HyperTransport::new(TransportSettings {
//!     connect_timeout: settings.connect_timeout,
//!     max_response_bytes: MAX_RESPONSE_BYTES,
//!     tls: tls::client_config(None)?,
//! });
//! let metrics = Metrics::register(&Registry::new())?;
//! let client = OperatorClient::new(settings, Arc::new(transport), Clock::System, metrics);
//! let credentials = Credentials {
//!     scope: Scope::Uid2,
//!     environment: Environment::Local,
//!     api_key: Secret::new("UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc=".into()),
//!     client_secret: EnvelopeKey::from_base64("NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=")?,
//!     urls: Vec::new(),
//! };
//!
//! // Parsing normalises: only the hash leaves the process.
//! let email = Email::parse(" Jane.Doe@Example.com ")?;
//! let Minted::Identity(identity) = client.generate(&credentials, &DiiHash::of_email(&email), None).await? else {
//!     return Err("opted out: remember that, and do not ask again".into());
//! };
//! let bid_stream_id = identity.advertising_token.as_str();
//! assert!(bid_stream_id.starts_with('A'));
//! assert_eq!(identity.times.phase(Clock::System.now(), 60_000), Phase::Fresh);
//!
//! // From `refresh_from` on: all six values of the identity are replaced together.
//! match client.refresh(&credentials, &identity).await {
//!     Ok(Minted::Identity(renewed)) => assert_ne!(renewed.advertising_token, identity.advertising_token),
//!     Ok(Minted::OptedOut) => println!("forget the identity at once"),
//!     Ok(Minted::InsufficientConsent) => println!("EUID: consent has to be asked for again"),
//!     Err(error) if error.fault.is_final() => println!("good until it expires, then a new login is needed"),
//!     Err(error) => println!("{error}; try again later"),
//! }
//! # Ok(())
//! # }
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
