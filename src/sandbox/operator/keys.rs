//! The keys tokens are sealed under, who owns them, and who may read them (uid2-protocol §4.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::secret::Secret;
use crate::time::UnixMillis;
use crate::uid2::EnvelopeKey;

/// The keyset of the master key.
pub const MASTER_KEYSET: i32 = -1;
/// The keyset of the refresh key; its keys never leave the operator.
pub const REFRESH_KEYSET: i32 = -2;
/// The keyset used for sites without one of their own.
pub const FALLBACK_KEYSET: i32 = 2;

/// 2023-06-24 and 2099-07-25, UTC, in seconds: as in the mock storage.
const ACTIVATES: i64 = 1_687_635_529;
const EXPIRES: i64 = 4_088_629_662;
/// Sites of this sandbox get keysets and keys from here on.
const FIRST_OWN_KEYSET: i32 = 502;
const FIRST_OWN_KEY: u32 = 105;

/// One key. Times are Unix **seconds**.
#[derive(Clone, Debug)]
pub struct Key {
    /// Stands in tokens.
    pub id: u32,
    /// The keyset it belongs to.
    pub keyset: i32,
    /// When it was made.
    pub created: i64,
    /// From when on it may seal.
    pub activates: i64,
    /// From when on it may not.
    pub expires: i64,
    /// AES-256.
    pub secret: Secret<[u8; 32]>,
    /// The same, ready for use.
    pub sealing: EnvelopeKey,
}

/// Who owns a set of keys, and who else may read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keyset {
    /// -1 master, -2 refresh, 2 fallback; others belong to sites.
    pub id: i32,
    /// The owner.
    pub site: i32,
    /// Sites that may read it; `None`: every DSP.
    pub allowed_sites: Option<Vec<i32>>,
}

/// All keys and keysets.
#[derive(Clone, Debug)]
pub struct KeyRing {
    keys: Vec<Key>,
    keysets: Vec<Keyset>,
}

impl Key {
    /// A key that is good from 2023 to 2099.
    pub fn lasting(id: u32, keyset: i32, secret: [u8; 32]) -> Self {
        Self {
            id,
            keyset,
            created: ACTIVATES,
            activates: ACTIVATES,
            expires: EXPIRES,
            sealing: EnvelopeKey::from_bytes(&secret),
            secret: Secret::new(secret),
        }
    }

    /// Whether it may seal now.
    pub fn is_active(&self, now: UnixMillis) -> bool {
        let seconds = now.0.div_euclid(1_000);
        self.activates <= seconds && seconds < self.expires
    }

    /// The secret in base64, as the key endpoints send it.
    pub fn secret_base64(&self) -> String {
        STANDARD.encode(self.secret.expose())
    }
}

impl KeyRing {
    /// Takes keys and keysets as they are.
    pub fn new(keys: Vec<Key>, keysets: Vec<Keyset>) -> Self {
        Self { keys, keysets }
    }

    /// The key with this id.
    pub fn find(&self, id: u32) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The keyset of a key.
    pub fn keyset(&self, id: i32) -> Option<&Keyset> {
        self.keysets.iter().find(|keyset| keyset.id == id)
    }

    /// The keyset a site owns.
    pub fn keyset_of_site(&self, site: i32) -> Option<&Keyset> {
        self.keysets.iter().find(|keyset| keyset.site == site)
    }

    /// Every key, in the order of its making.
    pub fn all(&self) -> &[Key] {
        &self.keys
    }

    /// The active key of the master keyset.
    pub fn master(&self, now: UnixMillis) -> Option<&Key> {
        self.active(MASTER_KEYSET, now)
    }

    /// The active key of the refresh keyset.
    pub fn refresh(&self, now: UnixMillis) -> Option<&Key> {
        self.active(REFRESH_KEYSET, now)
    }

    /// The active key of the site's own keyset, else of the fallback keyset.
    pub fn for_site(&self, site: i32, now: UnixMillis) -> Option<&Key> {
        let own = self.keyset_of_site(site).and_then(|keyset| self.active(keyset.id, now));
        own.or_else(|| self.active(FALLBACK_KEYSET, now))
    }

    /// The latest activated of those not expired.
    fn active(&self, keyset: i32, now: UnixMillis) -> Option<&Key> {
        let usable = self.keys.iter().filter(|key| key.keyset == keyset && key.is_active(now));
        usable.max_by_key(|key| key.activates)
    }

    /// The keys a site may read; `reads_ids` says that it is a DSP (role ID_READER).
    pub fn readable_by(&self, site: i32, reads_ids: bool) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| match key.keyset {
            MASTER_KEYSET => true,
            REFRESH_KEYSET => false,
            id => self.keyset(id).is_some_and(|keyset| {
                keyset.site == site
                    || keyset.allowed_sites.as_ref().map_or(reads_ids, |sites| sites.contains(&site))
            }),
        })
    }

    /// Gives a site its own keyset with one key, readable by every DSP, unless it has one.
    ///
    /// The secret follows from the site id alone, so that tokens stay readable across restarts.
    pub fn add_site(&mut self, site: i32) {
        if self.keyset_of_site(site).is_some() {
            return;
        }
        let keyset = self.keysets.iter().map(|k| k.id).max().map_or(FIRST_OWN_KEYSET, |id| id.max(501) + 1);
        let id = self.keys.iter().map(|k| k.id).max().map_or(FIRST_OWN_KEY, |id| id.max(104) + 1);
        let secret = Sha256::digest(format!("sandbox operator: key of site {site}"));
        self.keysets.push(Keyset { id: keyset, site, allowed_sites: None });
        self.keys.push(Key::lasting(id, keyset, secret.into()));
    }
}

/// The public test keys of the operator's mock storage, with every publisher keyset readable by all DSPs, as it is in
/// production unless the publisher restricts it. The mock publishers (124, 999) get keysets of their own.
impl Default for KeyRing {
    fn default() -> Self {
        let key = |id, keyset, text: &str| {
            let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            Key::lasting(id, keyset, bytes.expect("a constant of 32 bytes"))
        };
        let open = |id, site| Keyset { id, site, allowed_sites: None };
        let mut ring = Self {
            keys: vec![
                key(101, MASTER_KEYSET, "vPdQIoN1nTwXIQoH4/GcHOAct7ymyrGUKXNQhgmq+E8="),
                key(102, REFRESH_KEYSET, "RgyxkP4yP1gYhCINq7O9PxM6jX+etPqSQluZxjB1aG8="),
                key(103, FALLBACK_KEYSET, "c2yMYeezHfDvZ6haknCFaj0t+eAEJp/C/uh+fUAm1fo="),
                key(104, 501, "bVZZOwCuO0fUf2P6CrwaY23erMErVQiMkGgpy2OMSxc="),
            ],
            keysets: vec![
                open(MASTER_KEYSET, -1),
                open(REFRESH_KEYSET, -2),
                open(FALLBACK_KEYSET, 2),
                open(501, 123),
            ],
        };
        ring.add_site(124);
        ring.add_site(999);
        ring
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_768_478_400_000);

    fn ids<'a>(keys: impl Iterator<Item = &'a Key>) -> Vec<u32> {
        keys.map(|key| key.id).collect()
    }

    #[test]
    fn a_site_seals_under_its_own_key_or_the_fallback() {
        let ring = KeyRing::default();
        let of = |site| ring.for_site(site, NOW).unwrap().id;
        assert_eq!((of(123), of(124), of(999), of(77)), (104, 105, 106, 103));
        assert_eq!(ring.master(NOW).unwrap().id, 101);
        assert_eq!(ring.refresh(NOW).unwrap().id, 102);
    }

    #[test]
    fn readers_get_the_master_key_and_what_is_shared_but_never_the_refresh_key() {
        let ring = KeyRing::default();
        assert_eq!(ids(ring.readable_by(123, true)), [101, 103, 104, 105, 106]);
        assert_eq!(ids(ring.readable_by(124, false)), [101, 105]);
        let narrow = Keyset { id: 600, site: 60, allowed_sites: Some(vec![7]) };
        let ring = KeyRing::new(vec![Key::lasting(9, 600, [0; 32])], vec![narrow]);
        assert_eq!(ids(ring.readable_by(7, false)), [9]);
        assert_eq!(ids(ring.readable_by(8, true)), [] as [u32; 0]);
    }

    #[test]
    fn a_key_is_active_from_its_activation_until_just_before_its_expiry() {
        let mut key = Key::lasting(1, MASTER_KEYSET, [0; 32]);
        (key.activates, key.expires) = (10, 20);
        let active = |ms| key.is_active(UnixMillis(ms));
        assert!(!active(9_999) && active(10_000) && active(19_999) && !active(20_000));
    }

    #[test]
    fn the_latest_activated_key_seals() {
        let mut newer = Key::lasting(2, MASTER_KEYSET, [2; 32]);
        newer.activates += 1;
        let ring = KeyRing::new(vec![newer, Key::lasting(1, MASTER_KEYSET, [1; 32])], vec![]);
        assert_eq!(ring.master(NOW).unwrap().id, 2);
        assert!(ring.refresh(NOW).is_none());
    }

    #[test]
    fn a_new_site_gets_one_keyset_that_does_not_depend_on_the_order() {
        let secret = |sites: &[i32]| {
            let mut ring = KeyRing::default();
            for site in sites {
                ring.add_site(*site);
            }
            ring.for_site(42, NOW).unwrap().secret_base64()
        };
        assert_eq!(secret(&[42, 42]), secret(&[7, 42]));
    }
}
