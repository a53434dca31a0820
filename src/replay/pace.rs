//! How fast requests become due: a rate that may change with time.
//!
//! A pace is known by its *marks*: the number of requests due up to a time, as a figure that grows without steps. The
//! n-th request of even arrivals is due where that figure is n; Poisson arrivals take marks at random distances whose
//! mean is one, which keeps the rate of every pace (time rescaling of a Poisson process).

use std::sync::Arc;
use std::time::Duration;

/// How fast requests become due. Rates are requests per second.
#[derive(Clone, PartialEq, Debug)]
pub enum Pace {
    /// Always the same rate.
    Constant(f64),
    /// A rate that changes evenly over the whole duration.
    Ramp {
        /// At the start.
        from: f64,
        /// At the end.
        to: f64,
    },
    /// Each rate for an equal part of the duration.
    Steps(Arc<[f64]>),
    /// At these times since the start, in order.
    Recorded(Arc<[Duration]>),
}

/// How requests are spread within a pace; a recording has its own times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Arrivals {
    /// At even distances.
    #[default]
    Even,
    /// Independent of each other, as from many users: exponential distances from this seed.
    Poisson(u64),
}

impl Pace {
    /// Whether it is a pace at all: finite rates that are not negative, and not all of them zero.
    pub fn is_sound(&self) -> bool {
        let rate = |rate: &f64| rate.is_finite() && *rate >= 0.0;
        match self {
            Self::Constant(only) => rate(only) && *only > 0.0,
            Self::Ramp { from, to } => rate(from) && rate(to) && from + to > 0.0,
            Self::Steps(rates) => rates.iter().all(rate) && rates.iter().sum::<f64>() > 0.0,
            Self::Recorded(times) => !times.is_empty() && times.is_sorted(),
        }
    }

    /// Whether only a duration gives it a shape.
    pub const fn needs_duration(&self) -> bool {
        matches!(self, Self::Ramp { .. } | Self::Steps(_))
    }

    /// The rate of the first moment, for a warm-up; at least one a second.
    pub(super) fn first_rate(&self) -> f64 {
        let first = match self {
            Self::Constant(rate) => *rate,
            Self::Ramp { from, .. } => *from,
            Self::Steps(rates) => rates.first().copied().unwrap_or_default(),
            Self::Recorded(times) => mean_rate(times),
        };
        first.max(1.0)
    }

    /// Seconds at which `mark` requests have been due; `None` when there are never so many within `duration` seconds.
    pub(super) fn at(&self, mark: f64, duration: f64) -> Option<f64> {
        let at = match self {
            Self::Constant(rate) => mark / rate,
            Self::Ramp { from, to } => ramp(*from, *to, mark, duration)?,
            Self::Steps(rates) => steps(rates, mark, duration)?,
            Self::Recorded(times) => nth(times, mark)?.as_secs_f64(),
        };
        (at < duration).then_some(at)
    }

    /// For people: `2,000 a second`.
    pub fn describe(&self) -> String {
        match self {
            Self::Constant(rate) => format!("{rate} a second"),
            Self::Ramp { from, to } => format!("{from} to {to} a second"),
            Self::Steps(rates) => {
                let rates: Vec<String> = rates.iter().map(f64::to_string).collect();
                format!("{} a second", rates.join(", "))
            }
            Self::Recorded(times) => format!("as recorded, {:.1} a second", mean_rate(times)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a corpus has far fewer than 2^52 entries")]
fn mean_rate(times: &[Duration]) -> f64 {
    let length = times.last().map_or(0.0, Duration::as_secs_f64);
    if length > 0.0 { times.len() as f64 / length } else { 1.0 }
}

/// Solves `from·t + (to − from)/(2·duration)·t² = mark`, in the form that does not cancel out for flat ramps.
fn ramp(from: f64, to: f64, mark: f64, duration: f64) -> Option<f64> {
    let slope = (to - from) / duration;
    let root = 2.0f64.mul_add(slope * mark, from * from);
    if root < 0.0 {
        return None;
    }
    let sum = from + root.sqrt();
    Some(if sum > 0.0 { 2.0 * mark / sum } else { 0.0 })
}

#[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
fn steps(rates: &[f64], mut mark: f64, duration: f64) -> Option<f64> {
    let length = duration / rates.len() as f64;
    for (index, rate) in rates.iter().enumerate() {
        let of_step = rate * length;
        if mark < of_step {
            return Some((index as f64).mul_add(length, mark / rate));
        }
        mark -= of_step;
    }
    None
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "marks of recordings are whole numbers"
)]
fn nth(times: &[Duration], mark: f64) -> Option<Duration> {
    times.get(mark as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_paces_have_a_rate() {
        for good in [
            Pace::Constant(0.1),
            Pace::Ramp { from: 0.0, to: 1.0 },
            Pace::Ramp { from: 1.0, to: 0.0 },
            Pace::Steps([0.0, 5.0].into()),
            Pace::Recorded([Duration::ZERO].into()),
        ] {
            assert!(good.is_sound(), "{good:?}");
        }
        let second = Duration::from_secs(1);
        for bad in [
            Pace::Constant(0.0),
            Pace::Constant(-1.0),
            Pace::Constant(f64::NAN),
            Pace::Constant(f64::INFINITY),
            Pace::Ramp { from: 0.0, to: 0.0 },
            Pace::Ramp { from: -1.0, to: 5.0 },
            Pace::Steps([].into()),
            Pace::Steps([0.0].into()),
            Pace::Recorded([].into()),
            Pace::Recorded([second, Duration::ZERO].into()),
        ] {
            assert!(!bad.is_sound(), "{bad:?}");
        }
    }

    #[test]
    fn a_warm_up_runs_at_the_first_rate() {
        assert!((Pace::Ramp { from: 0.0, to: 9.0 }.first_rate() - 1.0).abs() < 1e-9);
        assert!((Pace::Steps([7.0, 9.0].into()).first_rate() - 7.0).abs() < 1e-9);
        let times: Vec<Duration> = (0..=20).map(|n| Duration::from_millis(100) * n).collect();
        assert!((Pace::Recorded(times.into()).first_rate() - 10.5).abs() < 1e-9);
    }

    #[test]
    fn paces_read_well() {
        assert_eq!(Pace::Constant(2_000.0).describe(), "2000 a second");
        assert_eq!(Pace::Ramp { from: 0.5, to: 9.0 }.describe(), "0.5 to 9 a second");
        assert_eq!(Pace::Steps([1.0, 2.0].into()).describe(), "1, 2 a second");
    }
}
