//! The hot cache: what an auction needs, and nothing that could renew it. Bounded by weight, LRU, without moka's own
//! expiry, which stalls callers when many entries fall due at once; deadlines stand in the entry and are checked on
//! read, and a paced sweep removes the dead.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Absence, Denial, Settings};
use crate::store::RecordKey;
use crate::time::UnixMillis;
use crate::uid2::{AdvertisingToken, Environment, Times};

/// moka's own share of an entry, bytes (measured: about 370).
const OVERHEAD: u32 = 400;

/// Weight of a typical token entry, for the bound by number.
const TYPICAL: u64 = 700;

/// What is known of one key.
#[derive(Debug)]
pub(super) struct Entry {
    /// Of the record; 0 when there is none.
    pub(super) generation: u64,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Token(Token),
    Denied(Denial),
    /// Nothing to send until then; asked again afterwards.
    Nothing {
        why: Absence,
        until: UnixMillis,
    },
}

/// A token and the state of its renewal.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) text: Arc<AdvertisingToken>,
    pub(super) times: Times,
    pub(super) environment: Environment,
    /// A refresh is on its way.
    pub(super) refreshing: AtomicBool,
    /// No refresh before this moment (back-off), milliseconds.
    pub(super) not_before: AtomicI64,
    /// Refreshes that failed in a row.
    pub(super) failures: AtomicU32,
}

impl Token {
    pub(super) fn new(token: AdvertisingToken, times: Times, environment: Environment) -> Self {
        Self {
            text: Arc::new(token),
            times,
            environment,
            refreshing: AtomicBool::new(false),
            not_before: AtomicI64::new(i64::MIN),
            failures: AtomicU32::new(0),
        }
    }

    /// Takes the right to refresh; whoever gets it must give it back or replace the entry.
    pub(super) fn take_refresh(&self, now: UnixMillis) -> bool {
        now.0 >= self.not_before.load(Ordering::Acquire) && !self.refreshing.swap(true, Ordering::AcqRel)
    }

    /// Gives it back: no refresh before `then`.
    pub(super) fn put_off(&self, then: UnixMillis) {
        self.not_before.store(then.0, Ordering::Release);
        self.refreshing.store(false, Ordering::Release);
    }
}

/// Keys are HMAC output and hash themselves to one number, which is as good a hash as any.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, prefix: u64) {
        self.0 = prefix;
    }

    /// For anything else than a key, which does not come here.
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }
}

/// The cache.
pub(super) struct HotCache(Cache<RecordKey, Arc<Entry>, BuildHasherDefault<KeyHasher>>);

impl HotCache {
    pub(super) fn new(settings: &Settings) -> Self {
        let weight = settings.cache_bytes.min(settings.cache_entries.saturating_mul(TYPICAL));
        let cache = Cache::builder()
            .max_capacity(weight)
            .weigher(|_, entry: &Arc<Entry>| entry.weight())
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(BuildHasherDefault::default());
        Self(cache)
    }

    pub(super) fn find(&self, key: &RecordKey) -> Option<Arc<Entry>> {
        self.0.get(key)
    }

    /// Puts an entry in unless what is there is of a newer generation: a late answer loses against a login, logout
    /// or opt-out that was faster. Returns what is there afterwards.
    pub(super) fn insert(&self, key: RecordKey, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        let done = self.0.entry(key).and_compute_with(|present| match present {
            Some(present) if present.value().beats(&entry) => Op::Nop,
            _ => Op::Put(Arc::clone(&entry)),
        });
        done.into_entry().map_or(entry, moka::Entry::into_value)
    }

    /// Forgets an entry that no longer says anything.
    pub(super) fn forget(&self, key: &RecordKey) {
        self.0.invalidate(key);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Arc<RecordKey>, Arc<Entry>)> + '_ {
        self.0.iter()
    }

    /// Entries and their weight, after moka has tidied up.
    pub(super) fn size(&self) -> (u64, u64) {
        self.0.run_pending_tasks();
        (self.0.entry_count(), self.0.weighted_size())
    }
}

impl Entry {
    fn weight(&self) -> u32 {
        let payload = match &self.what {
            What::Token(token) => token.text.as_str().len() + size_of::<AdvertisingToken>(),
            What::Denied(_) | What::Nothing { .. } => 0,
        };
        let bytes = size_of::<RecordKey>() + size_of::<Self>() + payload;
        OVERHEAD.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// What stands here stays when `other` comes later: it is newer, or the same token with its back-off.
    fn beats(&self, other: &Self) -> bool {
        let same = matches!((&self.what, &other.what), (What::Token(_), What::Token(_)));
        self.generation > other.generation || (self.generation == other.generation && same)
    }

    /// Says nothing any more at `now`.
    pub(super) fn is_over(&self, now: UnixMillis) -> bool {
        match &self.what {
            What::Token(token) => token.times.refresh_expires <= now && token.times.identity_expires <= now,
            What::Nothing { until, .. } => *until <= now,
            // A marker must outlive every answer that may still be on its way; LRU takes it when there is no room.
            What::Denied(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(settings: &Settings) -> HotCache {
        HotCache::new(settings)
    }

    fn key(n: u8) -> RecordKey {
        RecordKey::from_bytes([n; 32])
    }

    fn entry(generation: u64, what: What) -> Entry {
        Entry { generation, what }
    }

    fn nothing(until: i64) -> What {
        What::Nothing { why: Absence::Operator, until: UnixMillis(until) }
    }

    #[test]
    fn an_older_generation_loses_whenever_it_comes() {
        let cache = cache(&Settings::default());
        cache.insert(key(1), entry(5, What::Denied(Denial::LoggedOut)));
        cache.insert(key(1), entry(4, nothing(9)));
        assert!(matches!(cache.find(&key(1)).unwrap().what, What::Denied(Denial::LoggedOut)));
        cache.insert(key(1), entry(6, nothing(9)));
        assert!(matches!(cache.find(&key(1)).unwrap().what, What::Nothing { .. }));
    }

    #[test]
    fn it_is_bounded_and_a_fresh_entry_is_never_turned_away() {
        let cache = cache(&Settings { cache_entries: 10, ..Settings::default() });
        for n in 0..100 {
            cache.insert(key(n), entry(1, nothing(9)));
        }
        let (entries, bytes) = cache.size();
        assert!(bytes <= 10 * TYPICAL && entries > 0, "{entries} entries, {bytes} bytes");
        assert!(cache.find(&key(99)).is_some(), "the last login is there");
        assert!(cache.find(&key(0)).is_none(), "the first is not");
    }

    #[test]
    fn one_refresh_at_a_time_and_none_before_its_time() {
        let times = Times {
            refresh_from: UnixMillis(0),
            identity_expires: UnixMillis(10),
            refresh_expires: UnixMillis(20),
        };
        let token = Token::new(AdvertisingToken::parse("A4AAAA").unwrap(), times, Environment::Local);
        assert!(token.take_refresh(UnixMillis(5)));
        assert!(!token.take_refresh(UnixMillis(5)));
        token.put_off(UnixMillis(8));
        assert!(!token.take_refresh(UnixMillis(7)));
        assert!(token.take_refresh(UnixMillis(8)));
    }
}
