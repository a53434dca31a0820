//! May an identity be added to this request? Signals and policy in, a verdict out; nothing else.
//!
//! The table in `judge` is the whole policy. Only this module can make a [`Consent`], and resolving an identity demands
//! one. Every string comes from a stranger: readers work in constant memory, refuse what does not add up, and where a
//! signal is unclear nothing is added.
//!
//! No answer is remembered by its string. Measured with `benches/parts` on one core: to judge by a typical TC string of
//! 440 characters takes 0.3 µs (bit field) to 1.1 µs (34 ranges a list), by a GPP string of 34 to 507 characters 0.2 to
//! 0.45 µs; a hit in a map keyed by the whole string takes 0.1 µs, a miss both and a copy of a stranger's string. What a
//! memo could save at best is about a microsecond, and only where strings repeat. The worst a stranger can do is bounded by
//! the length of a string: each GPP header is decoded a fixed number of times, however long the lists of section ids are.
//!
//! Not here: reading the signals out of a request (`openrtb`), and writing any of them. A consent string is passed on as it came.

mod applicable;
mod bits;
mod country;
mod facts;
#[cfg(test)]
mod fixture;
pub mod gpp;
mod gvl;
mod judge;
mod policy;
mod said;
mod signals;
pub mod tcf;
#[cfg(test)]
mod tests;
pub mod us_privacy;
pub mod us_section;

pub use bits::MAX_TEXT;
pub use country::{Alpha3, alpha3};
pub use gvl::{Declared, Gvl, GvlError, Purposes, TRADE_DESK};
pub use judge::{judge, judge_by_row, judge_leg, judge_login, judge_stored, regime_for};
pub use policy::{Consent, OnDoubt, OnSignal, Policy, Reason, Rules, StripScope, StripWhat, Verdict};
pub use said::Said;
pub use signals::{Places, Regime, Signals};
