//! The report of a load as one HTML page: no script, nothing from outside, readable on a phone, on a wide screen and on
//! paper.
//!
//! ```text
//!  verdict  Report   → sentences      what a manager reads
//!  charts   Report   → Chart          which lines there are
//!    plot   Chart    → SVG            axes, lines, names; twice: for a narrow and for a wide page
//!    scale  values   → positions      linear, logarithmic, by percentile; round ticks
//!  tables   Report   → HTML           the same figures in words
//!  page     all      → the document   escape: everything that comes from outside
//! ```

mod charts;
mod escape;
mod page;
mod plot;
mod scale;
mod tables;
mod verdict;

pub use self::page::html;

#[cfg(test)]
mod tests;
