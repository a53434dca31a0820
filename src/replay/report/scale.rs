//! From values to positions on an axis, and the round values that are written beside it.

/// How values lie on an axis.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Scale {
    /// From 0 to this.
    Linear(f64),
    /// Between two powers of ten; what lies below the first is on it.
    Log(f64, f64),
    /// Percentiles, 0 to 100, so that each nine takes the same room: up to that many nines, in part too.
    Nines(f64),
    /// Seconds from 0 to this.
    Seconds(f64),
}

/// A round value and its place on the axis, 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) at: f64,
}

impl Scale {
    /// For values from 0 or `least` to `most`: logarithmic where the largest is so much larger that the others would lie
    /// on the axis.
    pub(super) fn of_values(typical: f64, most: f64) -> Self {
        const SPREAD: f64 = 25.0;
        if !(most.is_finite() && most > 0.0) {
            return Self::Linear(1.0);
        }
        if typical > 0.0 && most / typical > SPREAD {
            let (from, to) = (typical.log10().floor(), most.log10().ceil());
            return Self::Log(10_f64.powf(from), 10_f64.powf(to));
        }
        let step = round_step(most, 4);
        Self::Linear((most / step).ceil() * step)
    }

    /// For percentiles of so many values: the last nine is that of the slowest one.
    pub(super) fn of_percentiles(count: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "only the magnitude counts")]
        let nines = (count.max(10) as f64).log10();
        Self::Nines(nines.clamp(2.0, 6.0))
    }

    /// Where a value lies, 0 to 1.
    pub(super) fn at(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(most) | Self::Seconds(most) => value / most,
            Self::Log(from, to) => (value.max(from) / from).log10() / (to / from).log10(),
            Self::Nines(nines) => {
                let left = (1.0 - value / 100.0).max(10_f64.powf(-nines));
                -left.log10() / nines
            }
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Round values, about `most` of them.
    pub(super) fn ticks(self, most: u32) -> Vec<Tick> {
        let values: Vec<f64> = match self {
            Self::Linear(top) => steps(top, round_step(top, most)),
            Self::Seconds(top) => steps(top, time_step(top, most)),
            Self::Log(from, to) => powers(from, to),
            Self::Nines(nines) => {
                let usual = [0.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999];
                usual.into_iter().filter(|value| -(1.0 - value / 100.0_f64).log10() <= nines + 0.01).collect()
            }
        };
        values.into_iter().map(|value| Tick { value, at: self.at(value) }).collect()
    }
}

fn steps(top: f64, step: f64) -> Vec<f64> {
    let count = (top / step * (1.0 + 1e-9)).floor();
    (0..=1_000_u32).map(f64::from).take_while(|n| *n <= count).map(|n| n * step).collect()
}

fn powers(from: f64, to: f64) -> Vec<f64> {
    let (first, last) = (from.log10().round(), to.log10().round());
    (0..=30_u32).map(|n| first + f64::from(n)).take_while(|n| *n <= last).map(|n| 10_f64.powf(n)).collect()
}

/// 1, 2 or 5 times a power of ten, so that at most `most` of them lie below `top`.
fn round_step(top: f64, most: u32) -> f64 {
    let rough = top / f64::from(most.max(1));
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// The same for seconds, minutes and hours.
fn time_step(top: f64, most: u32) -> f64 {
    const STEPS: [f64; 17] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0,
        14_400.0, 43_200.0, 86_400.0,
    ];
    let rough = top / f64::from(most.max(1));
    STEPS.into_iter().find(|step| *step >= rough).unwrap_or_else(|| round_step(top, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(scale: Scale, most: u32) -> Vec<f64> {
        scale.ticks(most).iter().map(|tick| tick.value).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::of_values(0.0, 7.3), Scale::Linear(8.0));
        assert_eq!(values(Scale::Linear(8.0), 4), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(values(Scale::Linear(1.5), 3), [0.0, 0.5, 1.0, 1.5]);
        assert_eq!(values(Scale::Seconds(60.0), 6), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        assert_eq!(values(Scale::Seconds(90.0), 4), [0.0, 30.0, 60.0, 90.0]);
        assert_eq!(values(Scale::Seconds(1.0), 6), [0.0, 1.0]);
        assert!(values(Scale::Seconds(1e9), 6).len() <= 7);
    }

    #[test]
    fn a_wide_spread_is_logarithmic() {
        let scale = Scale::of_values(0.4, 1_300.0);
        assert_eq!(scale, Scale::Log(0.1, 10_000.0));
        let ticks = scale.ticks(5);
        assert_eq!((ticks.len(), ticks[0].at, ticks[5].at), (6, 0.0, 1.0));
        assert!((scale.at(10.0) - 0.4).abs() < 1e-9 && scale.at(0.0).abs() < 1e-9);
        assert_eq!(Scale::of_values(10.0, 200.0), Scale::Linear(200.0));
    }

    #[test]
    fn every_nine_takes_the_same_room() {
        let scale = Scale::of_percentiles(10_000);
        assert_eq!(scale, Scale::Nines(4.0));
        assert_eq!(values(scale, 9), [0.0, 90.0, 99.0, 99.9, 99.99]);
        for (value, at) in [(0.0, 0.0), (90.0, 0.25), (99.0, 0.5), (99.9, 0.75), (99.99, 1.0), (100.0, 1.0)] {
            assert!((scale.at(value) - at).abs() < 1e-9, "{value}");
        }
        assert_eq!(Scale::of_percentiles(0), Scale::Nines(2.0));
        assert_eq!(Scale::of_percentiles(u64::MAX), Scale::Nines(6.0));
    }

    #[test]
    fn nothing_and_nonsense_lie_somewhere() {
        for most in [0.0, f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(Scale::of_values(0.0, most), Scale::Linear(1.0));
        }
        assert!(Scale::Linear(1.0).at(f64::NAN).abs() < 1e-9);
        assert!((Scale::Linear(1.0).at(7.0) - 1.0).abs() < 1e-9);
    }
}
