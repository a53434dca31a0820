//! From a configuration to what is in force: once at the start, and again with each reload.

use std::sync::Arc;

use anyhow::Context;

use crate::config::Config;
use crate::gateway::{self, Directory, PublisherSettings, Shared, Tap, Vendors};
use crate::identity::Identities;
use crate::net::tls;
use crate::server::Generation;
use crate::ssp::{self, Seed};

/// What outlives every reload.
pub(super) struct Lasting {
    pub(super) identities: Identities,
    pub(super) vendors: Arc<Vendors>,
    pub(super) tap: Arc<Tap>,
    pub(super) families: gateway::Families,
    pub(super) ssp_metrics: ssp::Metrics,
    pub(super) workers: usize,
}

impl Lasting {
    /// Builds what `config` says. SSPs that are configured as in `before` are taken over with their connections.
    pub(super) fn generation(
        &self,
        config: Config,
        before: Option<&Generation>,
    ) -> anyhow::Result<Generation> {
        let ssps = self.seeds(config.ssps, before)?;
        let labels = gateway::Labels {
            publishers: config.publishers.iter().map(|p| p.id.clone()).collect(),
            ssps: ssps.iter().map(|seed| seed.settings().id.clone()).collect(),
            max_publishers: config.metrics_publishers,
        };
        let tenants: Vec<_> =
            config.publishers.iter().flat_map(PublisherSettings::tenants).cloned().collect();
        let directory = Directory::new(config.publishers)?.with_providers(config.providers)?;
        let directory = match before {
            Some(before) => directory.counting_on(&before.shared.directory),
            None => directory,
        };
        let shared = Shared {
            directory,
            identities: self.identities.clone(),
            metrics: self.families.bind(&labels),
            limits: config.limits,
            vendors: Arc::clone(&self.vendors),
            insecure_identity: config.server.insecure_identity,
            require_key: config.require_key,
            tap: Arc::clone(&self.tap),
            debug: config.debug,
            gzip_min_bytes: config.gzip_min_bytes,
            origins: config.origins,
        };
        self.identities.serve(tenants);
        Ok(Generation { settings: Arc::new(config.server), shared: Arc::new(shared), ssps })
    }

    fn seeds(
        &self,
        settings: Vec<ssp::Settings>,
        before: Option<&Generation>,
    ) -> anyhow::Result<Arc<[Seed]>> {
        let kept = |settings: &ssp::Settings| {
            before?.ssps.iter().find(|seed| **seed.settings() == *settings).cloned()
        };
        let seed = |settings: ssp::Settings| {
            if let Some(seed) = kept(&settings) {
                return Ok(seed);
            }
            let id = settings.id.clone();
            let tls =
                tls::client_config(settings.ca.as_deref()).with_context(|| format!("ssp.{id}.tls.ca"))?;
            Seed::new(settings, self.workers, tls, &self.ssp_metrics).with_context(|| format!("ssp.{id}.url"))
        };
        settings.into_iter().map(seed).collect()
    }
}
