//! May an identity be added to this request? Signals and policy in, a verdict out; nothing else.
//!
//! The table in `judge` is the whole policy. Only this module can make a [`Consent`], and resolving an identity demands
//! one. Every string comes from a stranger: readers work in constant memory, refuse what does not add up, and where a
//! signal is unclear nothing is added.
//!
//! Not here: reading the signals out of a request (`openrtb`), and writing any of them. A consent string is passed on as it came.

mod bits;
mod country;
mod facts;
#[cfg(test)]
mod fixture;
pub mod gpp;
mod gvl;
mod judge;
mod policy;
mod signals;
pub mod tcf;
#[cfg(test)]
mod tests;
pub mod us_privacy;
pub mod us_section;

pub use bits::MAX_TEXT;
pub use country::{Alpha3, alpha3};
pub use gvl::{Declared, Gvl, GvlError, Purposes, TRADE_DESK};
pub use judge::{judge, judge_by_row, judge_leg, judge_login, judge_stored};
pub use policy::{Consent, OnDoubt, OnSignal, Policy, Reason, Rules, StripScope, StripWhat, Verdict};
pub use signals::{Places, Regime, Signals};
