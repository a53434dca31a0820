//! Gateways that share one store: real processes on real Redis servers, whatever happens to those.

mod alone;
mod cluster;
mod kept;
mod tools;
