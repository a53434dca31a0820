//! Families of the listener.

use prometheus::IntGauge;

use crate::telemetry::{Registry, RegistryError};

/// Connection counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Open connections of callers.
    pub connections: IntGauge,
}

impl Metrics {
    /// Registers the families.
    pub fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self { connections: registry.gauge("connections", "Open connections of callers.")? })
    }
}
