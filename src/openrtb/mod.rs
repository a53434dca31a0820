//! OpenRTB 2.x as bytes and spans: one strict scan, edits as splices, answers merged from raw slices.
//!
//! A bid request is never turned into a tree. [`BidRequest::parse`] checks the whole grammar once and remembers where
//! the few members stand that we read; [`plan`] says which bytes an SSP is to get instead; everything else leaves as
//! it came, number text, escapes, key order and unknown members included.
//!
//! This floor is pure: no I/O, no clock, no policy. Whether something is added or stripped is decided above it.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

mod changes;
mod cursor;
mod eid;
mod error;
pub mod guard;
mod lookup;
pub mod mask;
mod permissions;
mod read;
mod request;
pub mod response;
mod scan;
mod signals;
mod source;
mod splice;
mod text;

pub use eid::{Eid, Eids, Place};
pub use error::{ScanError, ScanReason};
pub use permissions::{EidPermissions, Forbidden, Ours};
pub use request::BidRequest;
pub use scan::Limits;
pub use signals::RawSignals;
pub use source::SourceName;
pub use splice::{Dialect, Edit, NewEid, Plan, RtiPartner, RtiPlace, Strip, plan};
pub use text::{Span, Text};

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod properties;
