//! Makes an identity: advertising token, refresh token, response key, times (uid2-protocol §1.6, §3.1, §3.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::keys::KeyRing;
use super::random::Random;
use super::raw_uid::{FirstLevelHash, Realm};
use super::refresh_token::{self, Outer};
use super::reply::Refusal;
use super::salts::Salts;
use super::settings::Lifetimes;
use super::token::{self, Ivs, Seal, Version};
use crate::time::UnixMillis;
use crate::uid2::DiiKind;

/// What stays the same along a chain of refreshes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) kind: DiiKind,
    pub(super) site: i32,
    pub(super) privacy_bits: u32,
    pub(super) established: UnixMillis,
    pub(super) first_level_hash: FirstLevelHash,
}

/// What tokens are made of at this moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mint<'a> {
    pub(super) realm: Realm,
    pub(super) salts: &'a Salts,
    pub(super) keys: &'a KeyRing,
    pub(super) lifetimes: Lifetimes,
    pub(super) now: UnixMillis,
}

impl Mint<'_> {
    /// The six-field body clients get.
    pub(super) fn identity(&self, chain: &Chain, random: &mut Random) -> Result<Value, Refusal> {
        let outer = Outer { response_key: random.bytes(), inner: self.inner(chain, random)? };
        let key = self.keys.refresh(self.now).ok_or_else(Refusal::no_key)?;
        let refresh_token = refresh_token::seal_outer(self.realm.scope, key, random.bytes(), &outer);
        let mut body = self.body(chain, &refresh_token, random)?;
        body["refresh_response_key"] = Value::String(STANDARD.encode(outer.response_key));
        Ok(body)
    }

    /// The body for a legacy client, whose refresh token is the inner one and whose answers are clear.
    pub(super) fn legacy_identity(&self, chain: &Chain, random: &mut Random) -> Result<Value, Refusal> {
        let inner = self.inner(chain, random)?;
        self.body(chain, &inner, random)
    }

    fn body(&self, chain: &Chain, refresh_token: &str, random: &mut Random) -> Result<Value, Refusal> {
        let times = self.lifetimes.from(self.now);
        Ok(json!({
            "advertising_token": self.advertising_token(chain, random)?,
            "refresh_token": refresh_token,
            "identity_expires": times.identity_expires.0,
            "refresh_from": times.refresh_from.0,
            "refresh_expires": times.refresh_expires.0,
        }))
    }

    fn advertising_token(&self, chain: &Chain, random: &mut Random) -> Result<String, Refusal> {
        let master = self.keys.master(self.now).ok_or_else(Refusal::no_key)?;
        let site = self.keys.for_site(chain.site, self.now).ok_or_else(Refusal::no_key)?;
        let claims = token::Claims {
            scope: self.realm.scope,
            kind: chain.kind,
            site: chain.site,
            privacy_bits: chain.privacy_bits,
            established: chain.established,
            created: self.now,
            expires: self.lifetimes.from(self.now).identity_expires,
            raw_uid: chain.first_level_hash.raw_uid(chain.kind, self.realm, self.salts),
        };
        let ivs = Ivs { site: random.bytes(), master: random.bytes() };
        Ok(token::seal(&claims, &Seal { master, site, version: Version::V4 }, ivs))
    }

    fn inner(&self, chain: &Chain, random: &mut Random) -> Result<String, Refusal> {
        let key = self.keys.refresh(self.now).ok_or_else(Refusal::no_key)?;
        let claims = refresh_token::Claims {
            scope: self.realm.scope,
            kind: chain.kind,
            site: chain.site,
            privacy_bits: chain.privacy_bits,
            established: chain.established,
            created: self.now,
            expires: self.lifetimes.from(self.now).refresh_expires,
            first_level_hash: chain.first_level_hash,
        };
        Ok(refresh_token::seal_inner(&claims, key, random.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::Source;
    use super::*;
    use crate::uid2::{Environment, Scope};

    const NOW: UnixMillis = UnixMillis(1_768_478_400_000);

    fn minted(scope: Scope, keys: &KeyRing, now: UnixMillis) -> Result<Value, Refusal> {
        let salts = Salts::default();
        let realm = Realm { scope, environment: Environment::Local, raw_v3: false };
        let mint = Mint { realm, salts: &salts, keys, lifetimes: Lifetimes::default(), now };
        let chain = Chain {
            kind: DiiKind::Email,
            site: 124,
            privacy_bits: 1,
            established: NOW,
            first_level_hash: FirstLevelHash([3; 32]),
        };
        mint.identity(&chain, &mut Source::new(Some(1)).stream())
    }

    #[test]
    fn an_identity_has_six_members_that_the_gateways_reader_takes() {
        for (scope, prefix) in [(Scope::Uid2, "A4"), (Scope::Euid, "E4")] {
            let body = minted(scope, &KeyRing::default(), NOW).unwrap();
            assert_eq!(body.as_object().unwrap().len(), 6);
            assert!(body["advertising_token"].as_str().unwrap().starts_with(prefix));
            assert_eq!(body["refresh_token"].as_str().unwrap().len(), refresh_token::OUTER_CHARS);
            let answer = json!({"status": "success", "body": body}).to_string();
            assert!(crate::uid2::wire::parse_answer(answer.as_bytes()).is_ok());
        }
    }

    #[test]
    fn without_an_active_key_nothing_is_made() {
        let none = KeyRing::new(vec![], vec![]);
        assert_eq!(minted(Scope::Uid2, &none, NOW), Err(Refusal::no_key()));
        assert_eq!(minted(Scope::Uid2, &KeyRing::default(), UnixMillis(0)), Err(Refusal::no_key()));
    }
}
