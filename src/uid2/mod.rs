//! The UID2 protocol as pure functions: normalise, hash, seal, open, read tokens' times. No socket, no clock.
//!
//! With [`crate::operator`] it is a UID2 client that needs no gateway; there is an example.
//!
//! Source of every format: the UID2 documentation and operator behaviour, cited per item.

pub mod cookie;
pub mod dii;
pub mod envelope;
pub mod hash;
pub mod scope;
pub mod token;
pub mod wire;

pub use dii::{DiiError, Email, Phone};
pub use envelope::{EnvelopeError, EnvelopeKey, Freshness, Opened};
pub use hash::DiiHash;
pub use scope::{DiiKind, Environment, Scope};
pub use token::{AdvertisingToken, Identity, Phase, Times, TokenError};
pub use wire::{Answer, OperatorFault, WireError};
