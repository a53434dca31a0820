//! HTTP in and out: one acceptor, one data-plane thread per core, the identity API, the admin listener, the drain.

mod access;
mod admin;
mod auction;
mod capture;
mod connection;
mod cors;
mod drain;
mod growing;
mod h2;
mod http;
mod identity_api;
mod io;
mod listener;
mod live;
mod metrics;
mod reload;
mod reply;
mod tls;
mod trusted;
mod watch;
mod worker;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::secret::Secret;
use crate::telemetry::Registry;

pub use admin::{Admin, AdminState};
pub use auction::body_of;
pub use capture::{CaptureSettings, Captures};
pub use drain::{Drain, Stage};
pub use listener::{BindError, bind};
pub use live::{Generation, Live};
pub use metrics::Metrics;
pub use reload::{Configured, ReloadFault};
pub use tls::{Clients, Tls, TlsFault};
pub use trusted::{Network, NetworkError};
pub use worker::DataPlane;

/// `[server]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the data listener.
    pub listen: SocketAddr,
    /// Data-plane threads; at least 1.
    pub workers: usize,
    /// Largest request body as it comes in, bytes.
    pub max_body_bytes: usize,
    /// Largest request body after inflation, bytes.
    pub max_inflated_bytes: usize,
    /// Connections at once; one more is closed at once.
    pub max_connections: usize,
    /// Ad requests at once, over all threads; one more is answered 503.
    pub max_inflight: usize,
    /// An idle connection is closed after this.
    pub keep_alive: Duration,
    /// First byte to last byte of the head.
    pub header_timeout: Duration,
    /// Head to last byte of the body.
    pub body_timeout: Duration,
    /// How long requests are still served after the first signal.
    pub drain: Duration,
    /// How often the files of the configuration are looked at; zero: never.
    pub reload_poll: Duration,
    /// Identity calls over plain HTTP are accepted from anywhere.
    pub insecure_identity: bool,
    /// Most logins in one batch.
    pub max_batch_lines: usize,
    /// Peers that count as authenticated and as a secure transport.
    pub trusted_proxies: Vec<Network>,
    /// `[server.tls]`; without it the data listener speaks plain HTTP.
    pub tls: Option<Tls>,
}

/// `[admin]`.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Address of the admin listener.
    pub listen: SocketAddr,
    /// Needed for everything but `/livez` and `/readyz` when the listener is not on loopback.
    pub token: Option<Secret<String>>,
}

/// What every data-plane thread is built from.
#[derive(Clone)]
pub struct Plane {
    /// What is in force.
    pub live: Live,
    /// Families of this module.
    pub metrics: Metrics,
    /// Where the drain stands.
    pub drain: Drain,
    /// The control plane, for identity calls.
    pub control: Handle,
}

/// Registers what belongs to the process itself.
pub fn register_build(registry: &Registry) -> Result<(), crate::telemetry::RegistryError> {
    let build = registry.gauges("build_info", "Always 1; the labels say what runs.", &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.process()
}
