//! How long a simulated partner takes: `fixed:20`, `uniform:5:40`, `normal:20:5`, in milliseconds.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// Longest latency accepted: one hour.
const MAX_MS: u32 = 3_600_000;

/// A distribution of delays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum Latency {
    /// Always the same.
    Fixed(u32),
    /// Every value from the first to the second is as likely.
    Uniform(u32, u32),
    /// A bell around the first with the second as its deviation, never below zero.
    Normal(u32, u32),
}

/// The text is not a distribution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a latency is fixed:MS, uniform:FROM:TO or normal:MEAN:DEVIATION, up to 3600000 ms")]
pub struct LatencyError;

impl Latency {
    /// One delay; `fraction` gives numbers uniform in 0..1.
    pub fn draw(&self, mut fraction: impl FnMut() -> f64) -> Duration {
        let ms = match *self {
            Self::Fixed(ms) => f64::from(ms),
            Self::Uniform(from, to) => f64::from(from) + fraction() * f64::from(to - from),
            Self::Normal(mean, deviation) => {
                // Twelve uniform numbers have variance one; their sum is a bell that ends at six deviations.
                let bell = (0..12).map(|_| fraction()).sum::<f64>() - 6.0;
                (f64::from(mean) + bell * f64::from(deviation)).max(0.0)
            }
        };
        Duration::from_secs_f64(ms / 1_000.0)
    }
}

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Self, LatencyError> {
        let mut parts = text.split(':');
        let shape = parts.next().unwrap_or_default();
        let numbers: Vec<u32> =
            parts.map(|part| part.trim().parse().map_err(|_| LatencyError)).collect::<Result<_, _>>()?;
        if numbers.iter().any(|ms| *ms > MAX_MS) {
            return Err(LatencyError);
        }
        match (shape.trim(), numbers.as_slice()) {
            ("fixed", [ms]) => Ok(Self::Fixed(*ms)),
            ("uniform", [from, to]) if from <= to => Ok(Self::Uniform(*from, *to)),
            ("normal", [mean, deviation]) => Ok(Self::Normal(*mean, *deviation)),
            _ => Err(LatencyError),
        }
    }
}

impl TryFrom<String> for Latency {
    type Error = LatencyError;

    fn try_from(text: String) -> Result<Self, LatencyError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_distributions_or_faults() {
        assert_eq!("fixed:20".parse(), Ok(Latency::Fixed(20)));
        assert_eq!("uniform:5:40".parse(), Ok(Latency::Uniform(5, 40)));
        assert_eq!("normal: 20 : 5".parse(), Ok(Latency::Normal(20, 5)));
        assert_eq!("fixed:3600000".parse(), Ok(Latency::Fixed(MAX_MS)));
        for text in
            ["", "fixed", "fixed:", "fixed:-1", "fixed:1:2", "uniform:2:1", "fixed:3600001", "gamma:1"]
        {
            assert_eq!(text.parse::<Latency>(), Err(LatencyError), "{text}");
        }
    }

    #[test]
    fn draws_stay_within_their_shape() {
        assert_eq!(Latency::Fixed(7).draw(|| 0.9), Duration::from_millis(7));
        assert_eq!(Latency::Uniform(10, 20).draw(|| 0.5), Duration::from_millis(15));
        assert_eq!(Latency::Normal(10, 2).draw(|| 0.5), Duration::from_millis(10));
        assert_eq!(Latency::Normal(10, 2).draw(|| 1.0), Duration::from_millis(22));
        assert_eq!(Latency::Normal(10, 5).draw(|| 0.0), Duration::ZERO);
    }
}
