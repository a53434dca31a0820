//! The sandbox operator: the real salt, hash and encryption process, so that its tokens are genuine and the official DSP
//! SDKs decrypt them. With it a publisher can build and test everything while waiting for credentials.
//!
//! ```text
//! http::serve     sockets, body limit, delays, hangs and resets   → Call, Trouble
//!   Operator::answer    route → handlers::*                        → Reply     pure but for the operator's own state
//!     sealed            envelope → JSON, or the operator's complaint
//!     identifier → raw_uid::FirstLevelHash → opt_outs → mint       → six-field identity
//! ```
//!
//! It starts with the public test data of the real operator's mock storage (clients, keys, five salt buckets). Time
//! comes from a [`Clock`], random parts from a seed: same seed, same clock, same requests, same tokens. Nothing is kept
//! on disk. It guards nothing: never give it real people's identifiers.

pub mod clients;
pub mod dsp;
pub mod endpoint;
pub mod faults;
pub mod identifier;
pub mod keys;
pub mod raw_uid;
pub mod refresh_token;
pub mod reply;
pub mod salts;
pub mod settings;
pub mod sites;
pub mod token;

mod encoding;
mod handlers;
mod hashids;
mod http;
mod mint;
mod opt_outs;
mod random;
mod reader;
mod sealed;
mod stats;
mod token_v2;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::http::{HeaderMap, Method};

pub use self::dsp::{Decrypted, DspKeys, Refusal, decrypt_as_dsp};
pub use self::http::serve;
pub use self::reply::Reply;
pub use self::settings::{Lifetimes, Settings};

use self::clients::{Client, Clients};
use self::endpoint::{Endpoint, Route};
use self::faults::{Curve, Trouble};
use self::identifier::Identifier;
use self::keys::KeyRing;
use self::opt_outs::{OptOuts, Subject, TestIdentities};
use self::random::Source;
use self::raw_uid::{FirstLevelHash, Realm};
use self::salts::Salts;
use self::sites::{KeyPair, Site};
use self::stats::Stats;
use crate::time::Clock;
use crate::uid2::DiiHash;

/// Seconds by which `max_bidstream_lifetime_seconds` exceeds the identity's life.
const LIFETIME_TOLERANCE_SECONDS: i64 = 10;
/// The operator's default.
const ALLOW_CLOCK_SKEW_SECONDS: i64 = 1_800;

/// A UID2 or EUID operator.
#[derive(Debug)]
pub struct Operator {
    realm: Realm,
    salts: Salts,
    sites: Vec<Site>,
    key_pairs: Vec<KeyPair>,
    test_identities: TestIdentities,
    clock: Clock,
    random: Source,
    // Plain locks: nothing awaits while holding one, and none is taken while another is held.
    keys: Mutex<Arc<KeyRing>>,
    clients: Mutex<Clients>,
    opt_outs: Mutex<OptOuts>,
    lifetimes: Mutex<Lifetimes>,
    faults: Mutex<Curve>,
    stats: Mutex<Stats>,
}

/// A request, as far as the operator looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// GET, POST or DELETE.
    pub method: &'a Method,
    /// Without query.
    pub path: &'a str,
    /// Authorization, content type and origin are read.
    pub headers: &'a HeaderMap,
    /// At most 1 MiB; `http` sees to it.
    pub body: &'a [u8],
}

impl Operator {
    /// Starts with everything in `settings`. A client whose secret is not base64 of 32 bytes stays unknown.
    pub fn new(settings: Settings, clock: Clock) -> Arc<Self> {
        let mut clients = Clients::default();
        let unusable = settings.clients.iter().filter(|client| !clients.add(client)).count();
        if unusable > 0 {
            tracing::warn!(unusable, "sandbox clients without a usable secret are not known");
        }
        Arc::new(Self {
            realm: settings.realm,
            test_identities: TestIdentities::new(&settings.salts),
            salts: settings.salts,
            sites: settings.sites,
            key_pairs: settings.key_pairs,
            clock,
            random: Source::new(settings.seed),
            keys: Mutex::new(Arc::new(settings.keys)),
            clients: Mutex::new(clients),
            opt_outs: Mutex::default(),
            lifetimes: Mutex::new(settings.lifetimes),
            faults: Mutex::new(settings.faults),
            stats: Mutex::default(),
        })
    }

    /// Answers one request that suffers `trouble`, of which only the fault is seen here.
    pub fn answer(&self, call: &Call<'_>, trouble: Trouble) -> Reply {
        handlers::answer(self, call, trouble.fault)
    }

    /// The raw UID of a hash, computed without any token: what decrypting one must give.
    pub fn raw_uid_of(&self, hash: &DiiHash) -> String {
        let first = FirstLevelHash::of(&Identifier::from(hash), &self.salts);
        first.raw_uid(hash.kind(), self.realm, &self.salts).to_base64()
    }

    /// What a DSP needs to decrypt this operator's tokens: every key but the refresh keys.
    pub fn keys(&self) -> DspKeys {
        let ring = self.key_ring();
        let shared = |key: &&keys::Key| key.keyset != keys::REFRESH_KEYSET;
        DspKeys {
            scope: self.realm.scope,
            max_lifetime_seconds: self.max_lifetime_seconds(),
            allow_clock_skew_seconds: ALLOW_CLOCK_SKEW_SECONDS,
            keys: KeyRing::new(ring.all().iter().filter(shared).cloned().collect(), Vec::new()),
            site_domains: self.sites.iter().map(|site| (site.id, site.names())).collect(),
        }
    }

    /// Opts an identity out of UID2 from now on.
    pub fn opt_out(&self, hash: &DiiHash) {
        let first = FirstLevelHash::of(&Identifier::from(hash), &self.salts);
        held(&self.opt_outs).add(Subject::Identity(first), self.clock.now());
    }

    /// Takes an opt-out back.
    pub fn opt_in(&self, hash: &DiiHash) {
        let first = FirstLevelHash::of(&Identifier::from(hash), &self.salts);
        held(&self.opt_outs).remove(&Subject::Identity(first));
    }

    /// Adds a client; its site gets a keyset of its own unless it has one. `false`: its secret is unusable.
    pub fn add_client(&self, client: &Client) -> bool {
        Arc::make_mut(&mut held(&self.keys)).add_site(client.site);
        held(&self.clients).add(client)
    }

    /// Replaces all latencies and faults.
    pub fn set_faults(&self, curve: Curve) {
        *held(&self.faults) = curve;
    }

    /// Changes how long what is made from now on lives.
    pub fn set_lifetimes(&self, lifetimes: Lifetimes) {
        *held(&self.lifetimes) = lifetimes;
    }

    /// How often a refresh token came in, since the start or the last clearing of the statistics.
    pub fn refreshes_of(&self, refresh_token: &str) -> u64 {
        held(&self.stats).refreshes_of(refresh_token.as_bytes())
    }

    /// What happens to the next request of this route.
    fn strike(&self, route: Route) -> Trouble {
        let Route::Api(endpoint) = route else { return Trouble::default() };
        let mut random = self.random.stream();
        held(&self.faults).strike(endpoint, || random.fraction())
    }

    fn count(&self, endpoint: Endpoint, outcome: &'static str) {
        held(&self.stats).count(endpoint, outcome);
    }

    fn key_ring(&self) -> Arc<KeyRing> {
        Arc::clone(&held(&self.keys))
    }

    fn max_lifetime_seconds(&self) -> i64 {
        i64::from(held(&self.lifetimes).identity_seconds) + LIFETIME_TOLERANCE_SECONDS
    }
}

/// A lock whose holder cannot have left half a change behind: a poisoned one is as good.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
