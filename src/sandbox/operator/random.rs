//! Random bytes that can be told again: SHA-256 over seed, stream and block number.
//!
//! Every request takes its own stream, so that what one handler draws does not move what the next one gets. With the
//! same seed, the same clock and the same order of requests, all tokens and keys come out the same. A sandbox guards
//! nothing; do not take this for a source of secrets elsewhere.

use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// Hands out streams.
#[derive(Debug)]
pub(super) struct Source {
    seed: [u8; 32],
    next: AtomicU64,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Random {
    seed: [u8; 32],
    stream: u64,
    block: u64,
}

impl Source {
    /// From a chosen seed, or from the machine's random source.
    pub(super) fn new(seed: Option<u64>) -> Self {
        let mut bytes = [0; 32];
        match seed {
            Some(seed) => bytes[..8].copy_from_slice(&seed.to_be_bytes()),
            None => getrandom::fill(&mut bytes).expect("an operating system with a random source"),
        }
        Self { seed: bytes, next: AtomicU64::new(0) }
    }

    /// The next stream.
    pub(super) fn stream(&self) -> Random {
        Random { seed: self.seed, stream: self.next.fetch_add(1, Ordering::Relaxed), block: 0 }
    }
}

impl Random {
    /// Up to 32 bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32, "one block has 32 bytes") };
        let mut hasher = Sha256::new();
        hasher.update(self.seed);
        hasher.update(self.stream.to_be_bytes());
        hasher.update(self.block.to_be_bytes());
        self.block += 1;
        let block: [u8; 32] = hasher.finalize().into();
        std::array::from_fn(|i| block[i])
    }

    /// Uniform in 0..1.
    pub(super) fn fraction(&mut self) -> f64 {
        f64::from(u32::from_be_bytes(self.bytes())) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_tells_the_same_again_and_streams_differ() {
        let (a, b) = (Source::new(Some(7)), Source::new(Some(7)));
        let (mut first, mut second) = (a.stream(), a.stream());
        let (x, y): ([u8; 32], [u8; 12]) = (first.bytes(), first.bytes());
        assert_ne!(x[..12], y);
        assert_ne!(x, second.bytes());
        let mut again = b.stream();
        assert_eq!((x, y), (again.bytes(), again.bytes()));
        assert_ne!(x, Source::new(Some(8)).stream().bytes());
    }

    #[test]
    fn without_a_seed_every_source_is_its_own() {
        assert_ne!(Source::new(None).stream().bytes::<32>(), Source::new(None).stream().bytes());
    }

    #[test]
    fn fractions_stay_below_one() {
        let mut random = Source::new(Some(1)).stream();
        let draws: Vec<f64> = (0..1_000).map(|_| random.fraction()).collect();
        assert!(draws.iter().all(|x| (0.0..1.0).contains(x)));
        let mean = draws.iter().sum::<f64>() / 1_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
