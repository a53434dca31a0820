//! Which keys are known at all: a Bloom filter of atomic words, behind a lock that is only ever read on a request's
//! way. Most users of a request stream are strangers, and a stranger must cost next to nothing.
//!
//! With 16 bits a key and 6 probes about 1 key in 1,000 is a false positive; it costs one look-up in the store and a
//! short negative entry. Keys are HMAC output, so their own bytes are the hash functions. Nothing is ever removed: a
//! forgotten user stays "known" until the filter is rebuilt.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::store::{RecordKey, Store, StoreError};

const BITS_PER_KEY: u64 = 16;
const PROBES: u64 = 6;

/// Room for this many keys at least, 2 MiB.
const MIN_KEYS: u64 = 1 << 20;

/// The filter; it grows by being rebuilt. The lock is read to probe and insert, and written only at the two moments
/// of a rebuild.
pub(super) struct KnownKeys {
    filters: RwLock<Filters>,
    /// Keys of whom there may be no record yet, and how often each is held: a rebuild finds them nowhere else. A plain
    /// mutex: logins come here, requests do not.
    held: Mutex<HashMap<RecordKey, usize>>,
}

/// Keeps a key known through every rebuild, until it drops.
pub(super) struct Held<'a> {
    known: &'a KnownKeys,
    key: RecordKey,
}

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
        // Once, and kept meanwhile: reading a full store takes longer than anything else at a start.
        let mut keys = Vec::new();
        let count = store.for_each_key(&mut |key| keys.push(key))?;
        let bits = Bits::empty(count.saturating_mul(2));
        for key in &keys {
            bits.insert(key);
        }
        Ok(Self::of(bits))
    }

    fn of(bits: Bits) -> Self {
        let filters = RwLock::new(Filters { current: Arc::new(bits), next: None });
        Self { filters, held: Mutex::default() }
    }

    /// `false` is certain.
    pub(super) fn contains(&self, key: &RecordKey) -> bool {
        let filters = self.filters.read().unwrap_or_else(PoisonError::into_inner);
        filters.current.probes(key).all(|(word, bit)| word.load(Ordering::Acquire) & bit != 0)
    }

    /// From now on the key is known.
    pub(super) fn insert(&self, key: &RecordKey) {
        let filters = self.filters.read().unwrap_or_else(PoisonError::into_inner);
        filters.current.insert(key);
        if let Some(next) = &filters.next {
            next.insert(key);
        }
    }

    /// Known from now on, and for as long as the answer lives whatever a rebuild finds in the store.
    pub(super) fn hold(&self, key: RecordKey) -> Held<'_> {
        // Held before it is inserted: a rebuild that comes between the two has it from here, a later one from both.
        *self.holding().entry(key).or_default() += 1;
        self.insert(&key);
        Held { known: self, key }
    }

    fn holding(&self) -> MutexGuard<'_, HashMap<RecordKey, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them.
    pub(super) fn extend(&self, keys: &[RecordKey]) {
        for key in keys {
            self.insert(key);
        }
    }

    /// Takes in all keys of a store that others write to. Blocks on the store.
    pub(super) fn learn(&self, store: &Store) -> Result<(), StoreError> {
        store.for_each_key(&mut |key| self.insert(&key)).map(|_| ())
    }

    /// More keys than it was made for: false positives grow from here on.
    pub(super) fn is_full(&self) -> bool {
        let filters = self.filters.read().unwrap_or_else(PoisonError::into_inner);
        filters.current.keys.load(Ordering::Relaxed) > filters.current.room
    }

    /// Fills a larger one beside the current one, then takes its place. Blocks on the disk.
    ///
    /// Whoever writes a record inserts its key after the write too: a key that came before `next` was set and a record
    /// that came after it was passed by would leave the user unknown.
    pub(super) fn rebuild(&self, store: &Store) -> Result<(), StoreError> {
        // Made before the lock is taken, and the old one dropped after it: readers never wait for memory.
        let larger = Arc::new(Bits::empty(self.room().saturating_mul(2)));
        self.change(|filters| filters.next = Some(Arc::clone(&larger)));
        for key in self.holding().keys() {
            larger.insert(key);
        }
        let filled = larger.fill(store);
        let next = filled.is_ok().then_some(larger);
        let _old = self.change(|filters| {
            let larger = next.map(|next| std::mem::replace(&mut filters.current, next));
            (larger, filters.next.take())
        });
        filled
    }

    fn room(&self) -> u64 {
        self.filters.read().unwrap_or_else(PoisonError::into_inner).current.room
    }

    fn change<T>(&self, change: impl FnOnce(&mut Filters) -> T) -> T {
        change(&mut self.filters.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut held) = self.known.holding().entry(self.key) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
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
    use crate::secret::Secret;
    use crate::store;
    use crate::telemetry::Registry;
    use crate::time::{Clock, UnixMillis};

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

    #[tokio::test]
    async fn a_rebuilt_filter_is_larger_and_knows_the_same() {
        let settings = store::Settings {
            kind: store::Kind::Memory,
            encryption_key: Secret::new([1; 32]),
            previous_keys: Vec::new(),
            queue: 64,
        };
        let clock = Clock::manual(UnixMillis(0));
        let metrics = store::Metrics::register(&Registry::new()).unwrap();
        let store = Store::open(settings, clock, metrics).unwrap();
        let known = KnownKeys::of(Bits { room: 10, ..Bits::empty(0) });
        let keys: Vec<RecordKey> = (0..100).map(key).collect();
        known.extend(&keys);
        store.opt_out(keys.clone(), UnixMillis(0), UnixMillis(9)).await.unwrap();
        known.insert(&key(1_000)); // in no record any more
        assert!(known.is_full());
        known.rebuild(&store).unwrap();
        assert!(keys.iter().all(|key| known.contains(key)));
        assert!(!known.contains(&key(1_000)) && !known.is_full());
        store.close().await.unwrap();
        assert!(known.rebuild(&store).is_err());
        assert!(keys.iter().all(|key| known.contains(key)), "a rebuild that fails changes nothing");
    }

    #[tokio::test]
    async fn a_held_key_outlives_rebuilds_until_nobody_holds_it() {
        let settings = store::Settings {
            kind: store::Kind::Memory,
            encryption_key: Secret::new([1; 32]),
            previous_keys: Vec::new(),
            queue: 64,
        };
        let metrics = store::Metrics::register(&Registry::new()).unwrap();
        let store = Store::open(settings, Clock::manual(UnixMillis(0)), metrics).unwrap();
        let known = KnownKeys::of(Bits::empty(0));
        let (first, second) = (known.hold(key(1)), known.hold(key(1)));
        drop(first);
        known.rebuild(&store).unwrap();
        assert!(known.contains(&key(1)));
        drop(second);
        assert!(known.contains(&key(1)), "until the next rebuild");
        known.rebuild(&store).unwrap();
        assert!(!known.contains(&key(1)) && known.holding().is_empty());
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
