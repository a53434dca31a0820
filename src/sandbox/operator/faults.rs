//! Fault curves: what goes wrong, where, and how often. Written in JSON or TOML:
//!
//! ```toml
//! [latency]
//! any = "uniform:5ms-40ms"
//! refresh = "normal:80ms,20ms"
//!
//! [[faults]]
//! endpoint = "generate"      # none: every endpoint
//! fault = "internal_error"
//! probability = 0.1          # none: always
//! next = 20                  # at most so often; none: for ever
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::endpoint::Endpoint;
use super::settings::Lifetimes;
use crate::sandbox::latency::Latency;
use crate::sandbox::random::Random;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// No answer, the connection stays open.
    Hang,
    /// The connection is reset.
    Reset,
    /// 401.
    Unauthorized,
    /// 429 without a body, as an edge does it.
    TooManyRequests,
    /// 500 with a text.
    InternalError,
    /// 400.
    BadRequest(Reason),
    /// The answer repeats another nonce.
    WrongNonce,
    /// The answer is sealed under another key.
    WrongKey,
    /// The end of the answer is missing.
    Truncated,
    /// 200 with a text that is no answer.
    Garbage,
    /// The operator's clock is off by this many milliseconds.
    ClockOffset(i64),
    /// Everything in the answer has expired already.
    Expired,
    /// The answer lives shorter.
    Lifetimes(Lifetimes),
    /// After a token was made its identity opts out.
    OptOut,
}

/// The kinds of 400.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// `Invalid body: Body is missing.`
    MissingBody,
    /// `Invalid body: Body is not valid base64.`
    NotBase64,
    /// `Invalid body: Body too short. …`
    TooShort,
    /// `Invalid body: The request body is unencrypted JSON.`
    UnencryptedJson,
    /// `Invalid body: Invalid request envelope format version …`
    Version,
    /// `Invalid body: Check encryption key (ClientSecret).`
    ClientSecret,
    /// `Invalid timestamp: …`
    Timestamp,
    /// `Invalid payload in body: …`
    Payload,
    /// `Required Parameter Missing: …`
    MissingParameter,
    /// `Invalid Identifier`
    InvalidIdentifier,
    /// `User consent is invalid`
    InvalidConsent,
    /// `Invalid key: Generator of this token …` (refresh)
    UnknownKey,
    /// Status `invalid_token` (refresh).
    InvalidToken,
    /// Status `expired_token` (refresh).
    ExpiredToken,
    /// Status `error` (refresh without authorization).
    RefreshError,
}

/// All latencies and faults in force.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(try_from = "RawCurve")]
pub struct Curve {
    any: Option<Latency>,
    latencies: BTreeMap<Endpoint, Latency>,
    rules: Vec<Rule>,
}

/// What happens to one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Trouble {
    /// Waited before the answer.
    pub delay: Duration,
    /// Then this.
    pub fault: Option<Fault>,
}

/// Why a text is not a fault curve.
#[derive(Debug, thiserror::Error)]
pub enum CurveError {
    /// Neither grammar nor shape fit.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The same of TOML.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
}

#[derive(Clone, PartialEq, Debug)]
struct Rule {
    endpoint: Option<Endpoint>,
    fault: Fault,
    probability: f64,
    left: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCurve {
    #[serde(default)]
    latency: BTreeMap<RawTarget, Latency>,
    #[serde(default)]
    faults: Vec<RawRule>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(untagged)]
enum RawTarget {
    Endpoint(Endpoint),
    Any(Any),
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Any {
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    endpoint: Option<Endpoint>,
    fault: RawFault,
    probability: Option<f64>,
    next: Option<u32>,
    reason: Option<Reason>,
    offset_ms: Option<i64>,
    lifetimes: Option<Lifetimes>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawFault {
    Hang,
    Reset,
    Unauthorized,
    TooManyRequests,
    InternalError,
    BadRequest,
    WrongNonce,
    WrongKey,
    Truncated,
    Garbage,
    ClockOffset,
    Expired,
    Lifetimes,
    OptOut,
}

impl Curve {
    /// Reads JSON.
    pub fn from_json(text: &[u8]) -> Result<Self, CurveError> {
        Ok(serde_json::from_slice(text)?)
    }

    /// Reads TOML, or JSON when the text begins with a brace.
    pub fn from_file_text(text: &str) -> Result<Self, CurveError> {
        if text.trim_start().starts_with('{') {
            return Self::from_json(text.as_bytes());
        }
        Ok(toml::from_str(text)?)
    }

    /// Decides over one request: the first rule that fires counts. `fraction` gives numbers uniform in 0..1.
    pub fn strike(&mut self, endpoint: Endpoint, mut fraction: impl FnMut() -> f64) -> Trouble {
        let latency = self.latencies.get(&endpoint).or(self.any.as_ref());
        let delay =
            latency.map_or(Duration::ZERO, |latency| latency.draw(&mut Random::new(fraction().to_bits())));
        let fired = |rule: &mut Rule| rule.fires(endpoint, &mut fraction).then_some(rule.fault);
        Trouble { delay, fault: self.rules.iter_mut().find_map(fired) }
    }
}

impl Rule {
    fn fires(&mut self, endpoint: Endpoint, fraction: &mut impl FnMut() -> f64) -> bool {
        let aimed = self.endpoint.is_none_or(|target| target == endpoint) && self.left != Some(0);
        let fires = aimed && (self.probability >= 1.0 || fraction() < self.probability);
        if let Some(left) = self.left.as_mut().filter(|_| fires) {
            *left -= 1;
        }
        fires
    }
}

impl TryFrom<RawCurve> for Curve {
    type Error = &'static str;

    fn try_from(raw: RawCurve) -> Result<Self, Self::Error> {
        let mut curve = Self::default();
        for (target, latency) in raw.latency {
            match target {
                RawTarget::Any(Any::Any) => curve.any = Some(latency),
                RawTarget::Endpoint(endpoint) => drop(curve.latencies.insert(endpoint, latency)),
            }
        }
        curve.rules = raw.faults.into_iter().map(Rule::try_from).collect::<Result<_, _>>()?;
        Ok(curve)
    }
}

impl TryFrom<RawRule> for Rule {
    type Error = &'static str;

    fn try_from(raw: RawRule) -> Result<Self, Self::Error> {
        let probability = raw.probability.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&probability) {
            return Err("probability is a number from 0 to 1");
        }
        Ok(Self { endpoint: raw.endpoint, fault: raw.fault()?, probability, left: raw.next })
    }
}

impl RawRule {
    fn fault(&self) -> Result<Fault, &'static str> {
        let stray = [
            (RawFault::BadRequest, self.reason.is_some()),
            (RawFault::ClockOffset, self.offset_ms.is_some()),
            (RawFault::Lifetimes, self.lifetimes.is_some()),
        ];
        if stray.iter().any(|(owner, given)| *given && *owner != self.fault) {
            return Err("reason, offset_ms and lifetimes belong to bad_request, clock_offset and lifetimes");
        }
        Ok(match self.fault {
            RawFault::Hang => Fault::Hang,
            RawFault::Reset => Fault::Reset,
            RawFault::Unauthorized => Fault::Unauthorized,
            RawFault::TooManyRequests => Fault::TooManyRequests,
            RawFault::InternalError => Fault::InternalError,
            RawFault::BadRequest => Fault::BadRequest(self.reason.ok_or("bad_request needs a reason")?),
            RawFault::WrongNonce => Fault::WrongNonce,
            RawFault::WrongKey => Fault::WrongKey,
            RawFault::Truncated => Fault::Truncated,
            RawFault::Garbage => Fault::Garbage,
            RawFault::ClockOffset => {
                Fault::ClockOffset(self.offset_ms.ok_or("clock_offset needs offset_ms")?)
            }
            RawFault::Expired => Fault::Expired,
            RawFault::Lifetimes => Fault::Lifetimes(self.ordered_lifetimes()?),
            RawFault::OptOut => Fault::OptOut,
        })
    }

    fn ordered_lifetimes(&self) -> Result<Lifetimes, &'static str> {
        let lifetimes = self.lifetimes.ok_or("lifetimes needs lifetimes")?;
        lifetimes.is_ordered().then_some(lifetimes).ok_or("lifetimes are refresh_from <= identity <= refresh")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(json: &str) -> Curve {
        Curve::from_json(json.as_bytes()).unwrap()
    }

    fn faults(curve: &mut Curve, endpoint: Endpoint, fraction: f64) -> Vec<Option<Fault>> {
        (0..3).map(|_| curve.strike(endpoint, || fraction).fault).collect()
    }

    #[test]
    fn a_rule_fires_always_or_so_often_or_by_chance() {
        let always = &mut curve(r#"{"faults":[{"fault":"hang"}]}"#);
        assert_eq!(faults(always, Endpoint::Refresh, 0.99), [Some(Fault::Hang); 3]);
        let twice = &mut curve(r#"{"faults":[{"fault":"reset","next":2,"endpoint":"generate"}]}"#);
        assert_eq!(faults(twice, Endpoint::Refresh, 0.0), [None; 3]);
        assert_eq!(faults(twice, Endpoint::Generate, 0.0), [Some(Fault::Reset), Some(Fault::Reset), None]);
        let chance = &mut curve(r#"{"faults":[{"fault":"garbage","probability":0.5}]}"#);
        assert_eq!(faults(chance, Endpoint::Generate, 0.5), [None; 3]);
        assert_eq!(faults(chance, Endpoint::Generate, 0.49), [Some(Fault::Garbage); 3]);
    }

    #[test]
    fn the_first_rule_that_fires_counts() {
        let both = &mut curve(r#"{"faults":[{"fault":"reset","next":1},{"fault":"too_many_requests"}]}"#);
        let limited = Some(Fault::TooManyRequests);
        assert_eq!(faults(both, Endpoint::Generate, 0.0), [Some(Fault::Reset), limited, limited]);
    }

    #[test]
    fn latencies_of_an_endpoint_win_over_those_of_any() {
        let toml = "[latency]\nany = \"5ms\"\nrefresh = \"9ms\"\n\n[[faults]]\nfault = \"clock_offset\"\noffset_ms = -7\n";
        let mut curve = Curve::from_file_text(toml).unwrap();
        assert_eq!(curve.strike(Endpoint::Refresh, || 0.0).delay, Duration::from_millis(9));
        let trouble = curve.strike(Endpoint::Generate, || 0.0);
        assert_eq!(trouble, Trouble { delay: Duration::from_millis(5), fault: Some(Fault::ClockOffset(-7)) });
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for json in [
            r#"{"fault":[]}"#,
            r#"{"faults":[{"fault":"explode"}]}"#,
            r#"{"faults":[{"fault":"hang","often":1}]}"#,
            r#"{"faults":[{"fault":"hang","probability":1.1}]}"#,
            r#"{"faults":[{"fault":"hang","reason":"timestamp"}]}"#,
            r#"{"faults":[{"fault":"bad_request"}]}"#,
            r#"{"faults":[{"fault":"clock_offset"}]}"#,
            r#"{"faults":[{"fault":"lifetimes","lifetimes":{"refresh_from_seconds":3,"identity_seconds":2,"refresh_seconds":9}}]}"#,
            r#"{"latency":{"everything":"1ms"}}"#,
            r#"{"latency":{"any":"soon"}}"#,
        ] {
            assert!(Curve::from_json(json.as_bytes()).is_err(), "{json}");
        }
        assert_eq!(Curve::from_file_text(" {}").unwrap(), Curve::from_file_text("").unwrap());
    }
}
