//! The other end of the chain: what a DSP does with a token it finds in a bid request (uid2-protocol §4.4).

use super::keys::KeyRing;
use super::raw_uid::RawUid;
use super::token::{self, PRIVACY_CLIENT_SIDE, TokenFault, Version};
use crate::time::UnixMillis;
use crate::uid2::{DiiKind, Scope};

/// What `/v2/key/bidstream` gives a DSP.
#[derive(Clone, Debug)]
pub struct DspKeys {
    /// Tokens of the other scope are refused.
    pub scope: Scope,
    /// Tokens that were made to live longer are refused.
    pub max_lifetime_seconds: i64,
    /// Tokens made further in the future are refused.
    pub allow_clock_skew_seconds: i64,
    /// The master key and the sites' keys.
    pub keys: KeyRing,
    /// Where tokens made on the client's side may be used: site, domains and app names.
    pub site_domains: Vec<(i32, Vec<String>)>,
}

/// A token a DSP may bid on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decrypted {
    /// Who it stands for.
    pub raw_uid: RawUid,
    /// E-mail or phone; a version 2 token does not say and counts as e-mail.
    pub kind: DiiKind,
    /// The site in the token.
    pub site_id: i32,
    /// When the chain began.
    pub established: UnixMillis,
    /// When this token was made.
    pub created: UnixMillis,
    /// When it dies.
    pub expires: UnixMillis,
    /// Whether it was made on the client's side: then see [`DspKeys::may_be_used_at`].
    pub client_side: bool,
    /// How it was written.
    pub version: Version,
}

/// Why a DSP does not bid on a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Every key has expired: the DSP must fetch new ones.
    #[error("all keys have expired")]
    KeysExpired,
    /// Not a token, sealed under an unknown key, or damaged.
    #[error("token {0}")]
    Token(#[from] TokenFault),
    /// UID2 where EUID is expected, or the reverse.
    #[error("token has the other scope")]
    Scope,
    /// Past its expiry.
    #[error("token has expired")]
    Expired,
    /// It was made to live longer than allowed.
    #[error("token lives too long")]
    Lifetime,
    /// It was made in the future.
    #[error("token comes from the future")]
    Future,
}

impl DspKeys {
    /// Whether a token of this site, made on the client's side, may be used for this domain or app.
    pub fn may_be_used_at(&self, site: i32, domain_or_app: &str) -> bool {
        let names = self.site_domains.iter().filter(|(id, _)| *id == site).flat_map(|(_, names)| names);
        names.into_iter().any(|name| name.eq_ignore_ascii_case(domain_or_app))
    }
}

/// Opens a token and judges it as the DSP SDKs do.
pub fn decrypt_as_dsp(text: &str, keys: &DspKeys, now: UnixMillis) -> Result<Decrypted, Refusal> {
    if !keys.keys.all().iter().any(|key| now.0.div_euclid(1_000) < key.expires) {
        return Err(Refusal::KeysExpired);
    }
    let token = token::open(text, &keys.keys)?;
    let claims = token.claims;
    if token.version != Version::V2 && claims.scope != keys.scope {
        return Err(Refusal::Scope);
    }
    if claims.expires < now {
        return Err(Refusal::Expired);
    }
    // A version 2 token does not say when it was made, so neither its life nor its start can be judged.
    if token.version != Version::V2 {
        judge_life(claims.created, claims.expires, keys, now)?;
    }
    Ok(Decrypted {
        raw_uid: claims.raw_uid,
        kind: claims.kind,
        site_id: claims.site,
        established: claims.established,
        created: claims.created,
        expires: claims.expires,
        client_side: claims.privacy_bits & PRIVACY_CLIENT_SIDE != 0,
        version: token.version,
    })
}

fn judge_life(
    created: UnixMillis,
    expires: UnixMillis,
    keys: &DspKeys,
    now: UnixMillis,
) -> Result<(), Refusal> {
    if expires.since(created) > keys.max_lifetime_seconds.saturating_mul(1_000) {
        return Err(Refusal::Lifetime);
    }
    if created.since(now) > keys.allow_clock_skew_seconds.saturating_mul(1_000) {
        return Err(Refusal::Future);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const T: UnixMillis = UnixMillis(1_768_478_400_000);

    fn vector(id: &str) -> String {
        let fixture: Value = serde_json::from_str(include_str!("../../../fixtures/uid2/token.json")).unwrap();
        let rows = fixture["rows"].as_array().unwrap();
        rows.iter().find(|row| row["id"] == id).unwrap()["token"].as_str().unwrap().to_owned()
    }

    fn keys(max_lifetime_seconds: i64) -> DspKeys {
        DspKeys {
            scope: Scope::Uid2,
            max_lifetime_seconds,
            allow_clock_skew_seconds: 1_800,
            keys: KeyRing::default(),
            site_domains: vec![(123, vec!["example.com".to_owned()])],
        }
    }

    #[test]
    fn a_fresh_operator_token_is_good_within_its_bounds() {
        let of = |now, max| decrypt_as_dsp(&vector("G"), &keys(max), now).map(|token| token.site_id);
        assert_eq!(of(T, 3_600), Ok(123));
        assert_eq!(of(T, 3_599), Err(Refusal::Lifetime));
        assert_eq!(of(T.plus(3_600_000), 3_610), Ok(123));
        assert_eq!(of(T.plus(3_600_001), 3_610), Err(Refusal::Expired));
        assert_eq!(of(T.plus(-1_800_000), 3_610), Ok(123));
        assert_eq!(of(T.plus(-1_800_001), 3_610), Err(Refusal::Future));
    }

    #[test]
    fn scope_and_keys_are_judged() {
        let euid = DspKeys { scope: Scope::Euid, ..keys(3_000_000_000) };
        assert!(decrypt_as_dsp(&vector("E"), &euid, T).is_ok());
        assert_eq!(decrypt_as_dsp(&vector("E"), &keys(3_000_000_000), T), Err(Refusal::Scope));
        assert!(decrypt_as_dsp(&vector("F"), &keys(0), T).is_ok());
        let late = UnixMillis(4_088_629_662_000);
        assert_eq!(decrypt_as_dsp(&vector("A"), &keys(1), late), Err(Refusal::KeysExpired));
        let none = DspKeys { keys: KeyRing::new(vec![], vec![]), ..keys(1) };
        assert_eq!(decrypt_as_dsp(&vector("A"), &none, T), Err(Refusal::KeysExpired));
        assert_eq!(decrypt_as_dsp("x", &keys(1), T), Err(Refusal::Token(TokenFault::Version)));
    }

    #[test]
    fn client_side_tokens_are_bound_to_the_sites_names() {
        let opened = decrypt_as_dsp(&vector("H"), &keys(3_600), T).unwrap();
        assert!(opened.client_side && opened.kind == DiiKind::Phone);
        assert!(!decrypt_as_dsp(&vector("G"), &keys(3_600), T).unwrap().client_side);
        let keys = keys(1);
        assert!(keys.may_be_used_at(123, "Example.com"));
        assert!(!keys.may_be_used_at(123, "www.example.com") && !keys.may_be_used_at(124, "example.com"));
    }
}
