//! Sets of request numbers, small where they are dense: a load has many millions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Numbers of requests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Numbers(BTreeMap<u64, u64>);

/// Which requests of a load were answered well. Filled while it runs; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Answered(Arc<Mutex<Sets>>);

#[derive(Debug, Default)]
struct Sets {
    bid: Numbers,
    other: Numbers,
}

/// The status of an answer with a bid.
const BID: u16 = 200;

impl Numbers {
    /// Puts a number in; whether it was not in yet.
    pub fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = (number / u64::from(u64::BITS), 1 << (number % u64::from(u64::BITS)));
        let word = self.0.entry(word).or_default();
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether a number is in.
    pub fn contains(&self, number: u64) -> bool {
        let bit = 1 << (number % u64::from(u64::BITS));
        self.0.get(&(number / u64::from(u64::BITS))).is_some_and(|word| word & bit != 0)
    }

    /// All of them, the smallest first.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let bits = u64::from(u64::BITS);
        self.0.iter().flat_map(move |(word, set)| {
            (0..bits).filter(move |bit| set >> bit & 1 == 1).map(move |bit| word * bits + bit)
        })
    }
}

impl Answered {
    /// Takes numbers with the status of their answers, and leaves none; what failed is of no account.
    pub fn take(&self, answers: &mut Vec<(u64, u16)>) {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, status) in answers.drain(..).filter(|(_, status)| *status < super::recorder::BAD) {
            if status == BID {
                sets.bid.insert(number)
            } else {
                sets.other.insert(number)
            };
        }
    }

    /// Those answered with a bid, and those answered well without one.
    pub fn numbers(&self) -> (Numbers, Numbers) {
        let sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (sets.bid.clone(), sets.other.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_in_once() {
        let mut numbers = Numbers::default();
        for number in [0, 63, 64, 1_000_000, u64::MAX] {
            assert!(!numbers.contains(number) && numbers.insert(number));
            assert!(numbers.contains(number) && !numbers.insert(number));
        }
        assert!(!numbers.contains(1) && !numbers.contains(65));
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [0, 63, 64, 1_000_000, u64::MAX]);
    }

    #[test]
    fn answers_are_told_apart_by_status() {
        let answered = Answered::default();
        let mut answers = vec![(0, 200), (1, 204), (2, 503), (3, 400)];
        answered.clone().take(&mut answers);
        assert!(answers.is_empty());
        let (bid, other) = answered.numbers();
        assert_eq!((bid.iter().collect::<Vec<_>>(), other.iter().collect::<Vec<_>>()), (vec![0], vec![1]));
    }
}
