//! The hot cache: what an auction needs, and nothing that could renew it. Bounded by weight, LRU, without moka's own
//! expiry, which stalls callers when many entries fall due at once; deadlines stand in the entry and are checked on
//! read, and a paced sweep removes the dead.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::{Absence, Denial, Settings};
use crate::net::backoff::full_jitter;
use crate::privacy::Said;
use crate::store::RecordKey;
use crate::time::UnixMillis;
use crate::uid2::{AdvertisingToken, Environment, Phase, Times};

/// moka's own share of an entry, bytes (measured: about 370).
const OVERHEAD: u32 = 400;

/// Weight of a typical token entry, for the bound by number.
const TYPICAL: u64 = 700;

/// How long a taken refresh stays taken when nobody reports back, milliseconds: a flight may end without one (it only
/// read, the store failed, it panicked), and the token must not stay unrefreshed for that.
const LEASE_MS: i64 = 60_000;

/// First pause after a failed refresh; it doubles.
const BACKOFF_BASE: Duration = Duration::from_secs(1);
const BACKOFF_CAP: Duration = Duration::from_mins(1);

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
    /// Nobody may represent the user until then.
    Denied {
        why: Denial,
        until: UnixMillis,
    },
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
    /// The identifier behind it: its opt-out counts for everybody who has it.
    pub(super) dii: Option<RecordKey>,
    /// What was said at login, when anything was: most users said nothing, and cost nothing.
    pub(super) said: Option<Arc<Said>>,
    /// The publisher asserted notice at login.
    pub(super) noticed: bool,
    /// When the user logged in.
    pub(super) login: UnixMillis,
    /// When it was last given to a request, milliseconds; to none yet: the least number.
    last_used: AtomicI64,
    /// No refresh before this moment, milliseconds: it is not due, one is on its way, or the last one failed.
    next_try: AtomicI64,
    /// Refreshes that failed in a row.
    failures: AtomicU32,
}

impl Token {
    pub(super) fn new(
        token: AdvertisingToken,
        times: Times,
        environment: Environment,
        dii: Option<RecordKey>,
    ) -> Self {
        let (next_try, failures) = (AtomicI64::new(i64::MIN), AtomicU32::new(0));
        let (said, noticed) = (None, false);
        let (text, last_used, login) = (Arc::new(token), AtomicI64::new(i64::MIN), UnixMillis(0));
        Self { text, times, environment, dii, said, noticed, login, last_used, next_try, failures }
    }

    /// The same, of a user of whom this was said at login.
    pub(super) fn of_whom(self, said: &Said) -> Self {
        let noticed = said.notice == Some(true);
        let said = (!said.is_silent()).then(|| Arc::new(said.clone()));
        Self { said, noticed, ..self }
    }

    /// The same, of a user who logged in then.
    pub(super) fn since(self, login: UnixMillis) -> Self {
        Self { login, ..self }
    }

    /// Bytes that it holds elsewhere.
    fn payload(&self) -> usize {
        let of = |said: &Said| {
            let texts = [&said.consent, &said.us_privacy, &said.gpp].into_iter().flatten().map(String::len);
            size_of::<Said>() + texts.sum::<usize>() + said.gpp_sid.as_ref().map_or(0, |ids| 4 * ids.len())
        };
        self.text.as_str().len() + size_of::<AdvertisingToken>() + self.said.as_deref().map_or(0, of)
    }

    /// A request takes the token. Not ordered with anything: it is measured, not obeyed.
    pub(super) fn used(&self, now: UnixMillis) {
        self.last_used.store(now.0, Ordering::Relaxed);
    }

    /// Milliseconds from `then` to its last use, 0 when it was used before that or never.
    pub(super) fn used_after(&self, then: UnixMillis) -> u64 {
        let last = self.last_used.load(Ordering::Relaxed);
        u64::try_from(last.saturating_sub(then.0)).unwrap_or_default()
    }

    /// Whether a request took it at `then` or later.
    pub(super) fn was_used_since(&self, then: UnixMillis) -> bool {
        self.last_used.load(Ordering::Relaxed) >= then.0
    }

    /// Whether [`Token::take_refresh`] would be granted now: it is due, and neither is a refresh on its way nor a pause on.
    pub(super) fn may_refresh(&self, now: UnixMillis) -> bool {
        now >= self.times.refresh_from && now.0 >= self.next_try.load(Ordering::Acquire)
    }

    /// Takes the right to refresh, for a while: one caller gets it.
    pub(super) fn take_refresh(&self, now: UnixMillis) -> bool {
        let free_from = self.next_try.load(Ordering::Acquire);
        let lease = now.plus(LEASE_MS).0;
        let take = || self.next_try.compare_exchange(free_from, lease, Ordering::AcqRel, Ordering::Relaxed);
        now.0 >= free_from && take().is_ok()
    }

    /// No refresh before `then`.
    pub(super) fn put_off(&self, then: UnixMillis) {
        self.next_try.store(then.0, Ordering::Release);
    }

    /// A refresh failed: the next one after a pause that grows.
    pub(super) fn back_off(&self, now: UnixMillis, random: u64) {
        let failures = self.failures.fetch_add(1, Ordering::AcqRel);
        let pause = full_jitter(failures, BACKOFF_BASE, BACKOFF_CAP, random).as_millis();
        self.put_off(now.plus(i64::try_from(pause).unwrap_or(i64::MAX)));
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
pub(super) struct HotCache {
    entries: Cache<RecordKey, Arc<Entry>, BuildHasherDefault<KeyHasher>>,
    margin_ms: i64,
}

impl HotCache {
    pub(super) fn new(settings: &Settings) -> Self {
        let weight = settings.cache_bytes.min(settings.cache_entries.saturating_mul(TYPICAL));
        let cache = Cache::builder()
            .max_capacity(weight)
            .weigher(|_, entry: &Arc<Entry>| entry.weight())
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(BuildHasherDefault::default());
        Self { entries: cache, margin_ms: settings.expiry_margin_ms }
    }

    pub(super) fn find(&self, key: &RecordKey) -> Option<Arc<Entry>> {
        self.entries.get(key)
    }

    /// Puts an entry in unless what is there is of a newer generation: a late answer loses against a login, logout
    /// or opt-out that was faster. Returns what is there afterwards.
    pub(super) fn insert(&self, key: RecordKey, entry: Entry, now: UnixMillis) -> Arc<Entry> {
        let mut entry = Arc::new(entry);
        let done = self.entries.entry(key).and_compute_with(|present| match present {
            Some(present) if present.value().beats(&entry, now, self.margin_ms) => Op::Nop,
            Some(present) => {
                // What says that there is nothing takes over the generation: an old answer may still be on its way.
                if let Some(entry) = Arc::get_mut(&mut entry) {
                    entry.generation = entry.generation.max(present.value().generation);
                }
                Op::Put(Arc::clone(&entry))
            }
            None => Op::Put(Arc::clone(&entry)),
        });
        done.into_entry().map_or(entry, moka::Entry::into_value)
    }

    /// Forgets an entry that no longer says anything.
    pub(super) fn forget(&self, key: &RecordKey) {
        self.entries.invalidate(key);
    }

    /// Forgets a token of this generation; a marker, or whatever came meanwhile, stays.
    pub(super) fn forget_token(&self, key: &RecordKey, generation: u64) {
        let is_meant = |entry: &Entry| entry.generation == generation && matches!(entry.what, What::Token(_));
        self.entries.entry(*key).and_compute_with(|present| match present {
            Some(present) if is_meant(present.value()) => Op::Remove,
            _ => Op::Nop,
        });
    }

    /// What a restart does.
    #[cfg(test)]
    pub(super) fn forget_all(&self) {
        self.entries.invalidate_all();
    }

    /// Whether an entry says nothing any more at `now`.
    pub(super) fn is_over(&self, entry: &Entry, now: UnixMillis) -> bool {
        entry.is_over(now, self.margin_ms)
    }

    /// Keys of the entries that say nothing any more. Walks through everything: not for a runtime thread.
    pub(super) fn over(&self, now: UnixMillis) -> Vec<RecordKey> {
        self.entries.iter().filter(|(_, entry)| self.is_over(entry, now)).map(|(key, _)| *key).collect()
    }

    /// Keys of up to `max` tokens of which `wanted` holds. Walks through everything: not for a runtime thread.
    pub(super) fn tokens(&self, max: usize, wanted: impl Fn(&Token) -> bool) -> Vec<RecordKey> {
        let holds = |entry: &Entry| matches!(&entry.what, What::Token(token) if wanted(token));
        self.entries.iter().filter(|(_, entry)| holds(entry)).map(|(key, _)| *key).take(max).collect()
    }

    /// Visits keys and generations of tokens and markers, 0 where the store did not take them, until `visit` says no. Walks through everything: not for a
    /// runtime thread.
    pub(super) fn for_each_stored(&self, visit: &mut dyn FnMut(RecordKey, u64) -> bool) {
        let stored = self.entries.iter().filter(|(_, entry)| entry.what.is_stored());
        for (key, entry) in stored {
            if !visit(*key, entry.generation) {
                return;
            }
        }
    }

    /// Entries and their weight, after moka has tidied up.
    pub(super) fn size(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}

impl Entry {
    /// Says at `now` that nobody may represent the user.
    pub(super) fn is_denied(&self, now: UnixMillis) -> bool {
        matches!(self.what, What::Denied { until, .. } if until > now)
    }

    fn weight(&self) -> u32 {
        let payload = match &self.what {
            What::Token(token) => token.payload(),
            What::Denied { .. } | What::Nothing { .. } => 0,
        };
        let bytes = size_of::<RecordKey>() + size_of::<Self>() + payload;
        OVERHEAD.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// What stands here stays when `other` comes later: it is newer, a marker of the same generation, the same token
    /// with its back-off, or of the two the one that still says something.
    fn beats(&self, other: &Self, now: UnixMillis, margin_ms: i64) -> bool {
        if matches!(other.what, What::Nothing { .. }) && self.is_over(now, margin_ms) {
            return false;
        }
        let at_least_as_good = match (&self.what, &other.what) {
            (What::Token(ours), What::Token(theirs)) => {
                ours.times.identity_expires >= theirs.times.identity_expires
            }
            // A token that is over has given way to nothing above.
            (What::Denied { .. }, What::Token(_))
            | (What::Denied { .. } | What::Token(_), What::Nothing { .. }) => true,
            (What::Nothing { .. }, What::Token(_)) => {
                other.is_over(now, margin_ms) && !self.is_over(now, margin_ms)
            }
            _ => false,
        };
        self.generation > other.generation || (self.generation == other.generation && at_least_as_good)
    }

    /// Says nothing any more at `now`: a lapsed token is looked up in the store, with what may renew it.
    fn is_over(&self, now: UnixMillis, margin_ms: i64) -> bool {
        match &self.what {
            What::Token(token) => matches!(token.times.phase(now, margin_ms), Phase::Lapsed | Phase::Dead),
            What::Nothing { until, .. } | What::Denied { until, .. } => *until <= now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(5);

    fn cache(settings: &Settings) -> HotCache {
        HotCache::new(settings)
    }

    fn key(n: u8) -> RecordKey {
        RecordKey::from_bytes([n; 32])
    }

    fn nothing(until: i64) -> What {
        What::Nothing { why: Absence::Operator, until: UnixMillis(until) }
    }

    fn logged_out(until: i64) -> What {
        What::Denied { why: Denial::LoggedOut, until: UnixMillis(until) }
    }

    fn token(text: &str, identity_expires: i64) -> What {
        let times = Times {
            refresh_from: UnixMillis(0),
            identity_expires: UnixMillis(identity_expires),
            refresh_expires: UnixMillis(identity_expires),
        };
        What::Token(Token::new(AdvertisingToken::parse(text).unwrap(), times, Environment::Local, None))
    }

    /// Puts all of them in, one after the other, and shows what is there in the end.
    fn after<const N: usize>(entries: [(u64, What); N]) -> (u64, String) {
        let cache = cache(&Settings { expiry_margin_ms: 0, ..Settings::default() });
        for (generation, what) in entries {
            cache.insert(key(1), Entry { generation, what }, NOW);
        }
        let entry = cache.find(&key(1)).unwrap();
        let shown = match &entry.what {
            What::Token(token) => token.text.as_str().to_owned(),
            What::Denied { .. } => "denied".into(),
            What::Nothing { .. } => "nothing".into(),
        };
        (entry.generation, shown)
    }

    fn is(generation: u64, shown: &str) -> (u64, String) {
        (generation, shown.to_owned())
    }

    #[test]
    fn an_older_generation_loses_whenever_it_comes() {
        assert_eq!(after([(5, logged_out(9)), (4, token("A4", 9))]), is(5, "denied"));
        assert_eq!(after([(5, token("A5", 9)), (4, token("A4", 99))]), is(5, "A5"));
        assert_eq!(after([(5, token("A5", 9)), (0, nothing(9))]), is(5, "A5"));
        assert_eq!(after([(5, logged_out(9)), (6, token("A6", 9))]), is(6, "A6"));
    }

    #[test]
    fn within_a_generation_a_marker_wins_and_then_the_longer_life() {
        assert_eq!(after([(5, token("A5", 9)), (5, logged_out(9))]), is(5, "denied"));
        assert_eq!(after([(5, logged_out(9)), (5, token("A5", 9))]), is(5, "denied"));
        assert_eq!(after([(5, token("A5a", 9)), (5, token("A5b", 10))]), is(5, "A5b"));
        assert_eq!(after([(5, token("A5a", 9)), (5, token("A5b", 9))]), is(5, "A5a"));
    }

    #[test]
    fn within_a_generation_what_says_something_wins() {
        assert_eq!(after([(5, token("A5", 9)), (5, nothing(9))]), is(5, "A5"));
        assert_eq!(after([(5, nothing(9)), (5, token("A5", 9))]), is(5, "A5"));
        assert_eq!(after([(5, nothing(9)), (5, token("A5", 5))]), is(5, "nothing"), "no pause is cut short");
        assert_eq!(after([(5, nothing(5)), (5, token("A5", 5))]), is(5, "A5"));
    }

    #[test]
    fn what_is_over_gives_way_to_nothing_and_leaves_its_generation() {
        assert_eq!(after([(5, token("A5", 5)), (0, nothing(9))]), is(5, "nothing"));
        assert_eq!(
            after([(5, token("A5", 6)), (0, nothing(9))]),
            is(5, "A5"),
            "one millisecond before its end"
        );
        assert_eq!(after([(5, logged_out(5)), (0, nothing(9))]), is(5, "nothing"));
        assert_eq!(after([(5, token("A5", 5)), (0, nothing(9)), (4, token("A4", 9))]), is(5, "nothing"));
    }

    #[test]
    fn it_is_bounded_and_a_fresh_entry_is_never_turned_away() {
        let cache = cache(&Settings { cache_entries: 10, ..Settings::default() });
        for n in 0..100 {
            cache.insert(key(n), Entry { generation: 1, what: nothing(9) }, NOW);
        }
        let (entries, bytes) = cache.size();
        assert!(bytes <= 10 * TYPICAL && entries > 0, "{entries} entries, {bytes} bytes");
        assert!(cache.find(&key(99)).is_some(), "the last login is there");
        assert!(cache.find(&key(0)).is_none(), "the first is not");
    }

    #[test]
    fn one_refresh_at_a_time_and_none_before_its_time() {
        let What::Token(token) = token("A4AAAA", 10) else { unreachable!() };
        assert!(token.take_refresh(UnixMillis(5)));
        assert!(!token.take_refresh(UnixMillis(5)));
        assert!(!token.take_refresh(UnixMillis(5 + LEASE_MS - 1)));
        assert!(token.take_refresh(UnixMillis(5 + LEASE_MS)), "nobody reported back");
        token.put_off(UnixMillis(8));
        assert!(!token.take_refresh(UnixMillis(7)));
        assert!(token.take_refresh(UnixMillis(8)));
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let What::Token(token) = token("A4AAAA", 10) else { unreachable!() };
        let pauses: Vec<i64> = (0..9)
            .map(|_| {
                token.back_off(UnixMillis(0), u64::MAX);
                token.next_try.load(Ordering::Acquire)
            })
            .collect();
        assert!(pauses.is_sorted() && pauses.first() < pauses.last(), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= 60_000), "{pauses:?}");
    }
}
