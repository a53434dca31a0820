//! Which keys are known at all: a Bloom filter that is read without a lock. Most users of a request stream are
//! strangers, and a stranger must cost nothing.
//!
//! With 16 bits a key and 6 probes about 1 key in 1,000 is a false positive; it costs one look-up in the store and a
//! short negative entry. Keys are HMAC output, so their own bytes are the hash functions. Nothing is ever removed: a
//! forgotten user stays "known" until the filter is rebuilt.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::store::{RecordKey, Store, StoreError};

const BITS_PER_KEY: u64 = 16;
const PROBES: u64 = 6;

/// Room for this many keys at least, 2 MiB.
const MIN_KEYS: u64 = 1 << 20;

/// The filter; it grows by being rebuilt. The lock is read to probe and insert, and written only at the two moments
/// of a rebuild.
pub(super) struct KnownKeys(RwLock<Filters>);

struct Filters {
    current: Arc<Bits>,
    /// A larger one that is being filled: inserts go to both.
    next: Option<Arc<Bits>>,
}

struct Bits {
    words: Vec<AtomicU64>,
    mask: u64,
    keys: AtomicU64,
    room: u64,
}

impl KnownKeys {
    /// All keys of the store, with room for as many again.
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        let mut count = 0_u64;
        store.for_each_key(&mut |_| count += 1)?;
        let bits = Bits::empty(count.saturating_mul(2));
        bits.fill(store)?;
        Ok(Self::of(bits))
    }

    fn of(bits: Bits) -> Self {
        Self(RwLock::new(Filters { current: Arc::new(bits), next: None }))
    }

    /// `false` is certain.
    pub(super) fn contains(&self, key: &RecordKey) -> bool {
        let filters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        filters.current.probes(key).all(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
    }

    /// From now on the key is known.
    pub(super) fn insert(&self, key: &RecordKey) {
        let filters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        filters.current.insert(key);
        if let Some(next) = &filters.next {
            next.insert(key);
        }
    }

    /// More keys than it was made for: false positives grow from here on.
    pub(super) fn is_full(&self) -> bool {
        let filters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        filters.current.keys.load(Ordering::Relaxed) > filters.current.room
    }

    /// Fills a larger one beside the current one, then takes its place. Blocks on the disk.
    pub(super) fn rebuild(&self, store: &Store) -> Result<(), StoreError> {
        let larger = {
            let mut filters = self.0.write().unwrap_or_else(PoisonError::into_inner);
            let larger = Arc::new(Bits::empty(filters.current.room.saturating_mul(2)));
            filters.next = Some(Arc::clone(&larger));
            larger
        };
        let filled = larger.fill(store);
        let mut filters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        filters.next = None;
        if filled.is_ok() {
            filters.current = larger;
        }
        filled
    }
}

impl Bits {
    fn empty(keys: u64) -> Self {
        let words = (keys.max(MIN_KEYS) * BITS_PER_KEY / 64).next_power_of_two();
        let made = usize::try_from(words).unwrap_or(usize::MAX);
        Self {
            words: std::iter::repeat_with(AtomicU64::default).take(made).collect(),
            mask: words - 1,
            keys: AtomicU64::new(0),
            room: words * 64 / BITS_PER_KEY,
        }
    }

    fn fill(&self, store: &Store) -> Result<(), StoreError> {
        store.for_each_key(&mut |key| self.insert(&key)).map(|_| ())
    }

    fn insert(&self, key: &RecordKey) {
        let mut new = false;
        for (word, bit) in self.probes(key) {
            new |= word.fetch_or(bit, Ordering::AcqRel) & bit == 0;
        }
        if new {
            self.keys.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each probe takes its word from one half of the key and its bit from the other (double hashing).
    fn probes(&self, key: &RecordKey) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let part = |at: usize| {
            let bytes = key.as_bytes().get(at..at + 8).and_then(|b| <[u8; 8]>::try_from(b).ok());
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let (first, step, bits) = (part(8), part(16) | 1, part(24));
        (0..PROBES).filter_map(move |n| {
            let index = first.wrapping_add(step.wrapping_mul(n)) & self.mask;
            let word = self.words.get(usize::try_from(index).ok()?)?;
            Some((word, 1_u64 << ((bits >> (6 * n)) & 63)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> RecordKey {
        use sha2::{Digest, Sha256};
        RecordKey::from_bytes(Sha256::digest(n.to_le_bytes()).into())
    }

    #[test]
    fn what_was_inserted_is_known_and_few_others_are() {
        let known = KnownKeys::of(Bits::empty(0));
        (0..100_000).for_each(|n| known.insert(&key(n)));
        assert!((0..100_000).all(|n| known.contains(&key(n))));
        let false_positives = (100_000..200_000).filter(|n| known.contains(&key(*n))).count();
        assert!(false_positives < 300, "{false_positives} of 100,000");
        assert!(!known.is_full());
    }

    #[test]
    fn it_knows_when_it_is_full() {
        let known = KnownKeys::of(Bits { room: 10, ..Bits::empty(0) });
        (0..10).for_each(|n| known.insert(&key(n)));
        assert!(!known.is_full());
        known.insert(&key(10));
        assert!(known.is_full());
    }
}
