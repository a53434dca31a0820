//! What became of ID tokens.

use prometheus::IntCounterVec;

use super::Refusal;
use crate::telemetry::{Registry, RegistryError};

/// The family of this module. Clones share it.
#[derive(Clone, Debug)]
pub struct Metrics {
    tokens: IntCounterVec,
}

impl Metrics {
    /// Registers it. `provider` is an id of the configuration, or `unknown`.
    pub fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let tokens = registry.counters(
            "id_tokens_total",
            "ID tokens by provider and by what became of them: verified, or why not.",
            &["provider", "result"],
        )?;
        for result in Refusal::ALL {
            tokens.with_label_values(&["unknown", result.as_str()]);
        }
        Ok(Self { tokens })
    }

    pub(super) fn count(&self, provider: &str, refused: Option<Refusal>) {
        self.tokens.with_label_values(&[provider, refused.map_or("verified", Refusal::as_str)]).inc();
    }
}
