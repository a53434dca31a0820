//! Families of the identity floor. What a request's identity came to is counted by the gateway, not here.

use prometheus::{Histogram, IntCounter, IntGauge};

use crate::telemetry::{Registry, RegistryError, buckets};

/// What a look-up in the hot cache found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    Hit,
    Due,
    Lapsed,
    Negative,
    Miss,
    Coalesced,
}

const FOUND: [&str; 6] = ["hit", "due", "lapsed", "negative", "miss", "coalesced"];

/// All families.
#[derive(Clone, Debug)]
pub struct Metrics {
    cache: [IntCounter; 6],
    pub(super) entries: IntGauge,
    pub(super) bytes: IntGauge,
    pub(super) token_age: Histogram,
    pub(super) token_ttl_left: Histogram,
    pub(super) refresh_lag: Histogram,
    pub(super) refresh_queue: IntGauge,
    pub(super) optout_last_use: Histogram,
}

impl Metrics {
    /// Registers the families.
    pub fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let cache = registry.counters("cache_total", "Look-ups in the hot cache.", &["result"])?;
        let life = buckets::TOKEN_LIFE;
        Ok(Self {
            cache: FOUND.map(|found| cache.with_label_values(&[found])),
            entries: registry.gauge("cache_entries", "Entries of the hot cache.")?,
            bytes: registry.gauge("cache_bytes", "Estimated bytes of the hot cache.")?,
            token_age: registry.histogram(
                "token_age_seconds",
                "Age of tokens when they are replaced.",
                life,
            )?,
            token_ttl_left: registry.histogram(
                "token_ttl_left_seconds",
                "Life that tokens had left when they were replaced.",
                life,
            )?,
            refresh_lag: registry.histogram(
                "refresh_lag_seconds",
                "From refresh_from to the refreshed record.",
                life,
            )?,
            optout_last_use: registry.histogram(
                "optout_last_use_seconds",
                "From an opt-out becoming known to the last use of its user's token.",
                buckets::REQUEST,
            )?,
            refresh_queue: registry.gauge(
                "refresh_queue",
                "Refreshes under way, and identities that wait to be refreshed ahead.",
            )?,
        })
    }

    pub(super) fn found(&self, found: Found) {
        self.cache[found as usize].inc();
    }
}
