//! Numbers that look random and are a function of a seed, so that a load can be repeated.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

/// 2^64 divided by the golden ratio.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Above 0 and at most 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds")]
    pub(super) fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(STEP);
        ((scramble(self.0) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Exponentially distributed with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -self.share().ln()
    }
}

/// Every input bit changes about half of the output bits.
pub(super) const fn scramble(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One of `count` things for the `number`-th request: evenly spread, always the same, and not in step with a corpus
/// that goes round. 0 when there are none.
pub(super) fn spread(number: u64, count: usize) -> usize {
    // Successive multiples of the golden ratio lie far apart (Fibonacci hashing).
    spread_by(STEP, number, count)
}

/// The same in another order, so that who and what are spread independently of each other: 2^64 times the fraction of
/// the square root of 2.
pub(super) fn spread_otherwise(number: u64, count: usize) -> usize {
    spread_by(0x6A09_E667_F3BC_C909, number, count)
}

fn spread_by(step: u64, number: u64, count: usize) -> usize {
    let count = u128::try_from(count).unwrap_or(u128::MAX);
    let index = (u128::from(number.wrapping_add(1).wrapping_mul(step)) * count) >> u64::BITS;
    usize::try_from(index).expect("the product's upper half lies below count, which is a usize")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn things_are_spread_evenly_and_repeatably() {
        let mut counts = [0; 10];
        for number in 0..1_000 {
            let picked = spread(number, 10);
            assert_eq!(spread(number, 10), picked);
            counts[picked] += 1;
        }
        assert!(counts.iter().all(|n| (90..110).contains(n)), "{counts:?}");
        let even: BTreeSet<usize> = (0..100).map(|n| spread(2 * n, 10)).collect();
        assert_eq!(even.len(), 10);
        assert_eq!((spread(7, 1), spread(7, 0)), (0, 0));
    }

    #[test]
    fn two_spreads_meet_in_all_pairs() {
        let pairs: BTreeSet<_> = (0..2_000).map(|n| (spread(n, 10), spread_otherwise(n, 10))).collect();
        assert_eq!(pairs.len(), 100);
    }

    #[test]
    fn shares_lie_between_zero_and_one() {
        let mut random = Random::new(1);
        let shares: Vec<f64> = (0..100_000).map(|_| random.share()).collect();
        assert!(shares.iter().all(|share| *share > 0.0 && *share <= 1.0));
        // The mean of so many has a standard deviation of 0.0009.
        let mean = shares.iter().sum::<f64>() / 100_000.0;
        assert!((0.496..0.504).contains(&mean), "{mean}");
    }
}
