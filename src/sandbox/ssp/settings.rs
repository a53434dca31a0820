//! What a demand endpoint is like: how often, how much and how fast it bids, and what it keeps.

use super::faults::Rule;
use crate::sandbox::latency::Latency;

/// Settings of one endpoint. The same settings and the same requests in the same order give the same answers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `seatbid.seat`, and the prefix of bid ids.
    pub seat: String,
    /// Seed of prices, delays, no-bids and faults.
    pub seed: u64,
    /// Chance that a request is bid on, 0 to 1.
    pub bid_rate: f64,
    /// How much more a user with a UID2 or EUID is worth: 0.25 = a quarter more bids (up to all) at a quarter more.
    pub uplift: f64,
    /// What is paid.
    pub price: Price,
    /// Delay before an answer.
    pub latency: Latency,
    /// What goes wrong, see [`super::faults::parse`].
    pub faults: Vec<Rule>,
    /// How many requests are kept whole for inspection.
    pub keep_requests: usize,
    /// Upper bound for the bodies of the kept requests together, bytes.
    pub keep_bytes: usize,
    /// How many different tokens are remembered.
    pub keep_tokens: usize,
    /// A larger request body, sent or inflated, is answered 413.
    pub max_body_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seat: "sandbox".to_owned(),
            seed: 0,
            bid_rate: 0.5,
            uplift: 0.0,
            price: Price::default(),
            latency: Latency::default(),
            faults: Vec::new(),
            keep_requests: 1_000,
            keep_bytes: 16 * 1024 * 1024,
            keep_tokens: 100_000,
            max_body_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Prices are log-normal, as observed prices are; never below the impression's floor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Price {
    /// Median, per thousand impressions, in the currency asked for.
    pub median: f64,
    /// Standard deviation of the price's logarithm; 0 = always the median.
    pub spread: f64,
}

impl Default for Price {
    fn default() -> Self {
        Self { median: 1.8, spread: 0.6 }
    }
}
