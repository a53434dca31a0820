//! What an operator was asked and what it said: for tests and people, at `GET /sandbox/stats`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::encoding;
use super::endpoint::Endpoint;

/// Refresh tokens told apart; further ones are only summed up.
const MAX_TOKENS: usize = 100_000;
/// Bytes of a refresh token's digest.
const DIGEST_BYTES: usize = 8;

/// Counts since the start or the last clearing.
#[derive(Debug, Default)]
pub(super) struct Stats {
    outcomes: BTreeMap<(Endpoint, &'static str), u64>,
    refreshes: BTreeMap<[u8; DIGEST_BYTES], u64>,
    refreshes_beyond: u64,
}

impl Stats {
    pub(super) fn count(&mut self, endpoint: Endpoint, outcome: &'static str) {
        *self.outcomes.entry((endpoint, outcome)).or_default() += 1;
    }

    /// Counts a refresh of this token, whatever comes of it.
    pub(super) fn count_refresh(&mut self, token: &[u8]) {
        let [digest, ..] = *Sha256::digest(token).as_chunks::<DIGEST_BYTES>().0 else { return };
        if let Some(count) = self.refreshes.get_mut(&digest) {
            *count += 1;
        } else if self.refreshes.len() < MAX_TOKENS {
            self.refreshes.insert(digest, 1);
        } else {
            self.refreshes_beyond += 1;
        }
    }

    /// How often this refresh token came.
    pub(super) fn refreshes_of(&self, token: &[u8]) -> u64 {
        let [digest, ..] = *Sha256::digest(token).as_chunks::<DIGEST_BYTES>().0 else { return 0 };
        self.refreshes.get(&digest).copied().unwrap_or(0)
    }

    /// `endpoints` by outcome; `refreshes` by the first 16 hex digits of the SHA-256 of the refresh token's text.
    pub(super) fn to_json(&self) -> Value {
        let mut endpoints = BTreeMap::<&str, BTreeMap<&str, u64>>::new();
        for ((endpoint, outcome), count) in &self.outcomes {
            endpoints.entry(endpoint.as_str()).or_default().insert(outcome, *count);
        }
        let refreshes: BTreeMap<String, u64> =
            self.refreshes.iter().map(|(digest, count)| (encoding::to_hex(digest), *count)).collect();
        json!({
            "endpoints": endpoints,
            "refreshes": refreshes,
            "refreshes_max": self.refreshes.values().max().copied().unwrap_or(0),
            "refreshes_beyond": self.refreshes_beyond,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_by_endpoint_outcome_and_token() {
        let mut stats = Stats::default();
        stats.count(Endpoint::Generate, "success");
        stats.count(Endpoint::Generate, "success");
        stats.count(Endpoint::Refresh, "optout");
        stats.count_refresh(b"a");
        stats.count_refresh(b"a");
        stats.count_refresh(b"b");
        let json = stats.to_json();
        assert_eq!(json["endpoints"]["generate"]["success"], 2);
        assert_eq!(json["endpoints"]["refresh"]["optout"], 1);
        assert_eq!(json["refreshes"]["ca978112ca1bbdca"], 2);
        assert_eq!((stats.refreshes_of(b"a"), stats.refreshes_of(b"c")), (2, 0));
        assert_eq!(json["refreshes_max"], 2);
    }
}
