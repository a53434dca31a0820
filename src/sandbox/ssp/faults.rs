//! What goes wrong, and when: a list of rules, each a fault with a probability or for the next few requests,
//! optionally inside a window of time.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::sandbox::random::Random;

/// One way in which a demand endpoint fails.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Never answers.
    Hang,
    /// Resets the connection instead of answering.
    Reset,
    /// Sends head and half of the body, then resets the connection.
    ResetBody,
    /// Answers 500.
    #[serde(rename = "500")]
    ServerError,
    /// Answers 400.
    #[serde(rename = "400")]
    BadRequest,
    /// Answers 302 with a `Location`.
    #[serde(rename = "302")]
    Redirect,
    /// A bid followed by many megabytes of white space.
    HugeBody,
    /// A bid, one byte at a time.
    Slow,
    /// A body that ends in the middle of the document.
    InvalidJson,
    /// A bid response with another request's id.
    WrongId,
    /// A bid in a currency that was not asked for.
    WrongCurrency,
}

/// When a fault strikes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// Chance per request, 0 to 1. Without `probability` and `next`: every request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Strikes this many further requests, then never again. With `probability`: that many hits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Sleeps this many seconds after the rules were set.
    #[serde(default)]
    pub after_s: f64,
    /// Ends this many seconds after it began; without it, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<f64>,
}

impl Rule {
    /// `fault` on every request.
    pub const fn always(fault: Fault) -> Self {
        Self { fault, probability: None, next: None, after_s: 0.0, for_s: None }
    }

    /// `fault` on the next `count` requests.
    pub const fn next(fault: Fault, count: u64) -> Self {
        Self { next: Some(count), ..Self::always(fault) }
    }

    /// `fault` with probability `p` (0 to 1) on each request.
    pub const fn with_probability(fault: Fault, p: f64) -> Self {
        Self { probability: Some(p), ..Self::always(fault) }
    }

    fn strikes(&self, since_set: Duration, random: &mut Random) -> bool {
        let at = since_set.as_secs_f64();
        let over = self.for_s.is_some_and(|length| at >= self.after_s + length);
        at >= self.after_s && !over && self.next != Some(0) && random.chance(self.probability.unwrap_or(1.0))
    }

    fn check(&self) -> Result<(), FaultsError> {
        let bad = |what| Err(FaultsError::Range { fault: self.fault, what });
        if self.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return bad("probability must lie between 0 and 1");
        }
        if !(self.after_s >= 0.0 && self.for_s.is_none_or(|s| s >= 0.0)) {
            return bad("times must not be negative");
        }
        Ok(())
    }
}

/// Why a fault document is refused.
#[derive(Debug, thiserror::Error)]
pub enum FaultsError {
    /// Not JSON, or not of the expected shape.
    #[error("faults: {0}")]
    Json(#[from] serde_json::Error),
    /// Not TOML, or not of the expected shape.
    #[error("faults: {0}")]
    Toml(#[from] toml::de::Error),
    /// A number outside its range.
    #[error("faults: {fault:?}: {what}")]
    Range {
        /// The rule's fault.
        fault: Fault,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A fault document: the rules, or an object that holds them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of rules, each a fault with probability, next, after_s, for_s")]
enum Document {
    Rules(Vec<Rule>),
    Faults { faults: Vec<Rule> },
}

/// Reads a fault document, as in a `--faults` file and in `POST /sandbox/faults`. JSON, a list or `{"faults": […]}`:
///
/// ```json
/// [{"fault": "hang", "probability": 0.01}, {"fault": "500", "next": 5}, {"fault": "reset", "after_s": 10, "for_s": 5}]
/// ```
///
/// or TOML, with each rule under `[[faults]]`. The first rule that strikes decides; an empty list heals everything.
pub fn parse(text: &[u8]) -> Result<Vec<Rule>, FaultsError> {
    let text = text.trim_ascii();
    // `[[faults]]` begins a TOML document; a JSON list of lists would be none of ours.
    let json = text.starts_with(b"{") || text.starts_with(b"[") && !text.starts_with(b"[[");
    let document = if json { serde_json::from_slice(text)? } else { toml::from_slice(text)? };
    let (Document::Rules(rules) | Document::Faults { faults: rules }) = document;
    rules.iter().try_for_each(Rule::check)?;
    Ok(rules)
}

/// The rules in force.
#[derive(Debug)]
pub(super) struct Faults {
    rules: Vec<Rule>,
    set_at: Instant,
}

impl Faults {
    pub(super) fn new(rules: Vec<Rule>, now: Instant) -> Self {
        Self { rules, set_at: now }
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The fault of one request: that of the first rule that strikes.
    pub(super) fn draw(&mut self, now: Instant, random: &mut Random) -> Option<Fault> {
        let since_set = now.saturating_duration_since(self.set_at);
        let rule = self.rules.iter_mut().find(|rule| rule.strikes(since_set, random))?;
        rule.next = rule.next.map(|left| left - 1);
        Some(rule.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Clock;

    fn drawn(rules: Vec<Rule>, at: &[f64]) -> Vec<Option<Fault>> {
        let start = Clock::monotonic();
        let (mut faults, mut random) = (Faults::new(rules, start), Random::new(4));
        at.iter().map(|s| faults.draw(start + Duration::from_secs_f64(*s), &mut random)).collect()
    }

    #[test]
    fn next_n_strikes_exactly_n_times() {
        let struck = drawn(vec![Rule::next(Fault::Hang, 2), Rule::next(Fault::Slow, 1)], &[0.0; 4]);
        assert_eq!(struck, [Some(Fault::Hang), Some(Fault::Hang), Some(Fault::Slow), None]);
    }

    #[test]
    fn a_window_begins_and_ends_on_time() {
        let rule = Rule { after_s: 10.0, for_s: Some(5.0), ..Rule::always(Fault::Reset) };
        let struck = drawn(vec![rule], &[9.999, 10.0, 14.999, 15.0]);
        assert_eq!(struck, [None, Some(Fault::Reset), Some(Fault::Reset), None]);
    }

    #[test]
    fn a_probability_strikes_its_share() {
        let struck = drawn(vec![Rule::with_probability(Fault::Redirect, 0.25)], &vec![0.0; 4_000]);
        let share = struck.iter().flatten().count();
        assert!((900..1_100).contains(&share), "{share}");
    }

    #[test]
    fn a_document_is_read_strictly() {
        let text =
            br#"[{"fault":"500","next":3},{"fault":"wrong_id","probability":0.5,"after_s":1,"for_s":2}]"#;
        let rules = parse(text).unwrap();
        assert_eq!(rules[0], Rule::next(Fault::ServerError, 3));
        assert_eq!(rules[1].for_s, Some(2.0));
        assert_eq!(parse(&serde_json::to_vec(&rules).unwrap()).unwrap(), rules);
        let toml =
            b"# slow start\n[[faults]]\nfault = \"slow\"\nfor_s = 5\n[[faults]]\nfault = \"500\"\nnext = 3\n";
        assert_eq!(parse(toml).unwrap()[1], rules[0]);
        assert_eq!(parse(&toml[13..]).unwrap().len(), 2);
        assert_eq!(parse(br#"{"faults":[]}"#).unwrap(), []);
        for bad in [
            "fault = 1",
            "[[faults]]\nfault = \"fire\"",
            r#"{"fault":"hang"}"#,
            r#"[{"fault":"fire"}]"#,
            r#"[{"fault":"hang","often":1}]"#,
            r#"[{"fault":"hang","probability":1.01}]"#,
            r#"[{"fault":"hang","after_s":-1}]"#,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(br#"[{"fault":"hang","probability":1.0}]"#).is_ok());
    }
}
