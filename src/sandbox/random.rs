//! A small seeded generator (SplitMix64): the same seed gives the same partner behaviour on every machine.
//!
//! For prices, delays and coin tosses only. Nothing secret may come from here.

/// Weyl increment of SplitMix64: 2^64 divided by the golden ratio, odd.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A sequence of numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The `index`-th independent sequence of `seed`: one per request, so that the order in which concurrent
    /// requests draw does not matter.
    pub const fn stream(seed: u64, index: u64) -> Self {
        Self(mix(seed ^ mix(index.wrapping_add(STEP))))
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number in `[0, 1)` with 52 random bits.
    pub fn unit(&mut self) -> f64 {
        const EXPONENT_OF_ONE: u64 = 0x3FF0_0000_0000_0000;
        f64::from_bits((self.bits() >> 12) | EXPONENT_OF_ONE) - 1.0
    }

    /// True with probability `p`: never for 0 and below, always for 1 and above.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A draw from the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence_of_seed_1234567() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.bits(), 6_457_827_717_110_365_317);
        assert_eq!(random.bits(), 3_203_168_211_198_807_973);
        assert_eq!(random.bits(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let first = |seed, index| Random::stream(seed, index).bits();
        assert_eq!(first(7, 0), first(7, 0));
        assert_ne!(first(7, 0), first(7, 1));
        assert_ne!(first(7, 0), first(8, 0));
    }

    #[test]
    fn chance_is_certain_at_both_ends_and_fair_between() {
        let mut random = Random::new(1);
        assert!((0..1_000).all(|_| random.chance(1.0)));
        assert!((0..1_000).all(|_| !random.chance(0.0)));
        let hits = (0..10_000).filter(|_| random.chance(0.3)).count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
    }

    #[test]
    fn normal_draws_have_mean_zero_and_deviation_one() {
        let mut random = Random::new(2);
        let draws: Vec<f64> = (0..10_000).map(|_| random.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05, "{mean}");
        assert!((variance - 1.0).abs() < 0.06, "{variance}");
    }
}
