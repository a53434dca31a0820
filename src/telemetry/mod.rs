//! Registry, buckets and log set-up. No metric of its own: each module registers its own `Metrics` here.

pub mod buckets;
pub mod log;
mod registry;

pub use registry::{Registry, RegistryError};
