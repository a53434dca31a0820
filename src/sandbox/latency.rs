//! How long a partner thinks before it answers: a distribution with a text form, the same for operator and SSPs.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::sandbox::random::Random;

/// No answer waits longer than this, whatever the distribution draws.
const LONGEST: Duration = Duration::from_mins(1);

/// The 99th percentile of the standard normal distribution.
const P99: f64 = 2.326_347_874;

/// A distribution of delays.
///
/// Text forms: `20ms` · `uniform:5ms-30ms` · `normal:20ms,5ms` (mean, standard deviation; clipped at zero) ·
/// `lognormal:20ms,80ms` (median, 99th percentile). Units are `us`, `ms` and `s`, with or without a fraction.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum Latency {
    /// Always the same.
    Fixed(Duration),
    /// Evenly between the two.
    Uniform(Duration, Duration),
    /// Normal with mean and standard deviation; what would be negative is zero.
    Normal(Duration, Duration),
    /// Log-normal with median and 99th percentile: the long tail real endpoints have.
    LogNormal(Duration, Duration),
}

impl Default for Latency {
    fn default() -> Self {
        Self::Fixed(Duration::ZERO)
    }
}

impl Latency {
    /// One delay, at most a minute.
    pub fn draw(&self, random: &mut Random) -> Duration {
        let seconds = match *self {
            Self::Fixed(delay) => return delay.min(LONGEST),
            Self::Uniform(from, to) => {
                from.as_secs_f64() + to.saturating_sub(from).as_secs_f64() * random.unit()
            }
            Self::Normal(mean, deviation) => mean.as_secs_f64() + deviation.as_secs_f64() * random.normal(),
            Self::LogNormal(median, p99) => {
                let spread = (p99.as_secs_f64() / median.as_secs_f64()).ln() / P99;
                median.as_secs_f64() * (spread * random.normal()).exp()
            }
        };
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST).min(LONGEST)
    }
}

/// Why a text is no delay distribution.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LatencyError {
    /// Not one of the forms.
    #[error("{0:?} is no latency: use 20ms, uniform:5ms-30ms, normal:20ms,5ms or lognormal:20ms,80ms")]
    Form(String),
    /// A number without a unit, or none at all.
    #[error("{0:?} is no duration: use a number with us, ms or s")]
    Duration(String),
    /// The second value lies below the first, or the first is zero where it must not be.
    #[error("{0:?}: the first value must not be above the second, and a median not zero")]
    Order(String),
}

impl TryFrom<String> for Latency {
    type Error = LatencyError;

    fn try_from(text: String) -> Result<Self, LatencyError> {
        text.parse()
    }
}

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Self, LatencyError> {
        let text = text.trim();
        let Some((name, values)) = text.split_once(':') else { return Ok(Self::Fixed(duration(text)?)) };
        let form = || LatencyError::Form(text.to_owned());
        let separator = if name == "uniform" { '-' } else { ',' };
        let (first, second) = values.split_once(separator).ok_or_else(form)?;
        let (first, second) = (duration(first)?, duration(second)?);
        let in_order = || if first <= second { Ok(()) } else { Err(LatencyError::Order(text.to_owned())) };
        match name {
            "uniform" => in_order().map(|()| Self::Uniform(first, second)),
            "normal" => Ok(Self::Normal(first, second)),
            "lognormal" if first.is_zero() => Err(LatencyError::Order(text.to_owned())),
            "lognormal" => in_order().map(|()| Self::LogNormal(first, second)),
            _ => Err(form()),
        }
    }
}

fn duration(text: &str) -> Result<Duration, LatencyError> {
    let refused = || LatencyError::Duration(text.to_owned());
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim_start() {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return Err(refused()),
    };
    let number: f64 = number.parse().map_err(|_| refused())?;
    Duration::try_from_secs_f64(number * scale).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn every_text_form_is_read() {
        for (text, expected) in [
            ("20ms", Latency::Fixed(ms(20))),
            ("1.5s", Latency::Fixed(ms(1_500))),
            (" 500us ", Latency::Fixed(Duration::from_micros(500))),
            ("uniform:5ms-30ms", Latency::Uniform(ms(5), ms(30))),
            ("uniform:5ms-5ms", Latency::Uniform(ms(5), ms(5))),
            ("normal:20ms,5ms", Latency::Normal(ms(20), ms(5))),
            ("normal:5ms, 20ms", Latency::Normal(ms(5), ms(20))),
            ("lognormal:20ms,80ms", Latency::LogNormal(ms(20), ms(80))),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_latency_says_why() {
        for text in
            ["", "20", "ms", "-5ms", "1..5ms", "20min", "uniform:5ms", "uniform:5ms,6ms", "pareto:1ms,2ms"]
        {
            assert!(text.parse::<Latency>().is_err(), "{text}");
        }
        for text in ["uniform:30ms-5ms", "lognormal:0ms,5ms", "lognormal:9ms,8ms"] {
            assert_eq!(text.parse::<Latency>(), Err(LatencyError::Order(text.to_owned())));
        }
    }

    #[test]
    fn draws_stay_where_the_distribution_says() {
        let mut random = Random::new(3);
        let mut draw =
            |latency: Latency| -> Vec<Duration> { (0..2_000).map(|_| latency.draw(&mut random)).collect() };
        assert!(draw(Latency::Uniform(ms(5), ms(30))).iter().all(|d| (ms(5)..ms(30)).contains(d)));
        let clipped = draw(Latency::Normal(ms(1), ms(100)));
        assert!(clipped.iter().any(Duration::is_zero) && clipped.iter().any(|d| *d > ms(100)));
        let mut tail = draw(Latency::LogNormal(ms(20), ms(80)));
        tail.sort_unstable();
        assert!((ms(18)..ms(22)).contains(&tail[1_000]), "median {:?}", tail[1_000]);
        assert!((ms(60)..ms(110)).contains(&tail[1_980]), "p99 {:?}", tail[1_980]);
        assert_eq!(Latency::Fixed(Duration::from_hours(1)).draw(&mut random), LONGEST);
    }
}
