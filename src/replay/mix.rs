//! Which entry of a corpus the n-th request is: each in turn, or by weight.

use super::corpus::Corpus;
use super::random::spread_otherwise;

/// Entries by number of the request.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    /// For each entry, the weights up to and with it; empty when all weigh the same.
    sums: Vec<usize>,
    count: usize,
}

impl Mix {
    /// By the weights of the entries.
    pub(super) fn weighted(corpus: &Corpus) -> Self {
        let entries = corpus.entries();
        let mixed = entries.windows(2).any(|two| two[0].weight != two[1].weight);
        let weights = entries.iter().map(|entry| usize::try_from(entry.weight).unwrap_or(usize::MAX));
        let sums = weights.scan(0_usize, |sum, weight| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        });
        Self { sums: if mixed { sums.collect() } else { Vec::new() }, count: entries.len() }
    }

    /// Each in turn, whatever it weighs: for recordings.
    pub(super) fn in_turn(corpus: &Corpus) -> Self {
        Self { sums: Vec::new(), count: corpus.entries().len() }
    }

    /// The place of the `number`-th request's entry.
    pub(super) fn pick(&self, number: u64) -> usize {
        let Some(total) = self.sums.last() else {
            let count = u64::try_from(self.count).unwrap_or(u64::MAX);
            return usize::try_from(number % count).expect("the remainder lies below a usize");
        };
        let weight = spread_otherwise(number, *total);
        self.sums.partition_point(|sum| *sum <= weight)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::corpus::Entry;
    use super::*;

    fn corpus(weights: &[u32]) -> Corpus {
        let entry = |weight: &u32| Entry { weight: *weight, ..Entry::plain(String::new(), Bytes::new()) };
        Corpus::of(weights.iter().map(entry).collect()).unwrap()
    }

    #[test]
    fn equal_weights_go_round() {
        let mix = Mix::weighted(&corpus(&[5, 5, 5]));
        assert_eq!((0..7).map(|n| mix.pick(n)).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0]);
        let turn = Mix::in_turn(&corpus(&[1, 9]));
        assert_eq!((0..4).map(|n| turn.pick(n)).collect::<Vec<_>>(), [0, 1, 0, 1]);
    }

    #[test]
    fn weights_are_shares_at_any_time() {
        let mix = Mix::weighted(&corpus(&[1, 6, 3]));
        for start in [0, 12_345] {
            let mut counts = [0_u32; 3];
            (start..start + 1_000).for_each(|number| counts[mix.pick(number)] += 1);
            let close =
                counts.iter().zip([100_u32, 600, 300]).all(|(count, share)| count.abs_diff(share) <= 5);
            assert!(close, "{counts:?}");
        }
        let heavy = Mix::weighted(&corpus(&[u32::MAX, 1]));
        assert_eq!((0..1_000).filter(|n| heavy.pick(*n) == 0).count(), 1_000);
    }
}
