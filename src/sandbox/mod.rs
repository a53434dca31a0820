//! Partners to run against: a UID2 operator that makes genuine tokens, and SSPs that bid.

pub mod latency;
pub mod operator;
pub mod random;
pub mod ssp;
