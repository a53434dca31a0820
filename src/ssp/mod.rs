//! Demand partners: an endpoint's settings and the client that asks it for bids.

mod client;
mod endpoint;
mod metrics;
mod reply;
mod seed;

pub use client::Client;
pub use endpoint::{EnvironmentRule, PermissionMode, Scopes, Settings, TmaxMode};
pub use metrics::{Metrics, SspMetrics};
pub use reply::{SspOutcome, SspReply};
pub use seed::Seed;

#[cfg(test)]
mod tests;
