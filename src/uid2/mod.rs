//! The UID2 protocol as pure functions: normalise, hash, seal, open, read tokens' times. No socket, no clock.
//!
//! Source of every format: the UID2 documentation and operator behaviour, cited per item.

pub mod scope;
pub mod token;

pub use scope::{DiiKind, Environment, Scope};
pub use token::{AdvertisingToken, Identity, Phase, Times, TokenError};
