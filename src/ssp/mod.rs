//! Demand partners: an endpoint's settings and the client that asks it for bids.

mod asked;
mod client;
mod endpoint;
mod health;
mod metrics;
mod reply;
mod seed;
mod vitals;

pub use asked::Asked;
pub use client::Client;
pub use endpoint::{BreakerRule, EnvironmentRule, PermissionMode, Scopes, Settings, TmaxMode};
pub use metrics::{Metrics, SspMetrics};
pub use reply::{SspOutcome, SspReply};
pub use seed::Seed;
pub use vitals::Vitals;

#[cfg(test)]
mod tests;
