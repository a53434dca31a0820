//! What a data-plane thread makes its client of one SSP from.

use std::sync::Arc;

use rustls::ClientConfig;

use super::{Client, Metrics, Settings, Vitals};
use crate::net::OriginError;

/// Checked settings, TLS and metrics of one SSP. `Send`, unlike the client: each thread grows its own.
#[derive(Clone, Debug)]
pub struct Seed {
    /// As configured.
    settings: Arc<Settings>,
    /// The part that one of the threads may use.
    share: Arc<Settings>,
    tls: Arc<ClientConfig>,
    vitals: Vitals,
}

impl Seed {
    /// Fails on a URL without an origin. The bounds of `settings` are divided among `workers` threads.
    pub fn new(
        settings: Settings,
        workers: usize,
        tls: Arc<ClientConfig>,
        metrics: &Metrics,
    ) -> Result<Self, OriginError> {
        settings.origin()?;
        let vitals = Vitals::new(&settings, metrics.bind(&settings.id));
        let share = Arc::new(settings.share(workers));
        Ok(Self { settings: Arc::new(settings), share, tls, vitals })
    }

    /// As configured.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// A client without connections yet.
    pub fn client(&self) -> Result<Client, OriginError> {
        Client::new(Arc::clone(&self.share), &self.tls, self.vitals.clone())
    }
}
