//! What a sandbox operator is started with.

use serde::{Deserialize, Serialize};

use super::clients::{Client, mock_clients};
use super::faults::Curve;
use super::keys::KeyRing;
use super::raw_uid::Realm;
use super::salts::Salts;
use super::sites::{KeyPair, Site};
use crate::time::UnixMillis;
use crate::uid2::{Environment, Scope, Times};

/// Everything an operator is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Scope, environment, and the raw UID's version.
    pub realm: Realm,
    /// Makes all random parts repeatable; `None`: from the machine.
    pub seed: Option<u64>,
    /// How long what it makes lives.
    pub lifetimes: Lifetimes,
    /// Where raw UIDs come from.
    pub salts: Salts,
    /// What tokens are sealed under.
    pub keys: KeyRing,
    /// Who may call.
    pub clients: Vec<Client>,
    /// Names of the sites, for client-side generation.
    pub sites: Vec<Site>,
    /// Key pairs for client-side generation.
    pub key_pairs: Vec<KeyPair>,
    /// Latency and faults from the start.
    pub faults: Curve,
}

/// Lives in whole seconds, all counted from the moment of issue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetimes {
    /// `refresh_from`.
    pub refresh_from_seconds: u32,
    /// `identity_expires`.
    pub identity_seconds: u32,
    /// `refresh_expires`.
    pub refresh_seconds: u32,
}

impl Lifetimes {
    /// The operator's rule: refresh from ≤ identity ≤ refresh.
    pub const fn is_ordered(&self) -> bool {
        self.refresh_from_seconds <= self.identity_seconds && self.identity_seconds <= self.refresh_seconds
    }

    /// The three times of something issued now.
    pub fn from(&self, now: UnixMillis) -> Times {
        let after = |seconds: u32| now.plus(i64::from(seconds) * 1_000);
        Times {
            refresh_from: after(self.refresh_from_seconds),
            identity_expires: after(self.identity_seconds),
            refresh_expires: after(self.refresh_seconds),
        }
    }
}

/// 15 minutes, one hour, one day: the operator's local and integration configuration.
impl Default for Lifetimes {
    fn default() -> Self {
        Self { refresh_from_seconds: 900, identity_seconds: 3_600, refresh_seconds: 86_400 }
    }
}

impl Settings {
    /// The operator's public mock storage, in this scope.
    pub fn mock(scope: Scope) -> Self {
        Self {
            realm: Realm { scope, environment: Environment::Local, raw_v3: false },
            seed: None,
            lifetimes: Lifetimes::default(),
            salts: Salts::default(),
            keys: KeyRing::default(),
            clients: mock_clients(scope),
            sites: Site::mock(),
            key_pairs: vec![KeyPair::mock()],
            faults: Curve::default(),
        }
    }
}

/// The mock storage in UID2 scope.
impl Default for Settings {
    fn default() -> Self {
        Self::mock(Scope::Uid2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_count_from_the_issue() {
        let times = Lifetimes::default().from(UnixMillis(1_000));
        assert_eq!(times.refresh_from, UnixMillis(901_000));
        assert_eq!(times.identity_expires, UnixMillis(3_601_000));
        assert_eq!(times.refresh_expires, UnixMillis(86_401_000));
    }

    #[test]
    fn lifetimes_may_be_equal_but_not_reversed() {
        let of = |a, b, c| {
            Lifetimes { refresh_from_seconds: a, identity_seconds: b, refresh_seconds: c }.is_ordered()
        };
        assert!(of(1, 1, 1) && of(0, 0, 0) && of(1, 2, 3));
        assert!(!of(2, 1, 3) && !of(1, 3, 2));
    }
}
