//! Advertising tokens, versions 3 and 4: two nested AES-GCM envelopes (uid2-protocol §4.4).
//!
//! ```text
//! type(1) ‖ version(1) ‖ master key id(4) ‖ GCM(master key, expires … site key id ‖ GCM(site key, site … raw UID))
//! ```
//!
//! Nothing here makes random bytes: the two IVs are handed in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::encoding;
use super::keys::{Key, KeyRing};
use super::raw_uid::{RawUid, kind_bit};
use super::reader::Reader;
use super::token_v2;
use crate::time::UnixMillis;
use crate::uid2::envelope::{open_bare, seal_bare};
use crate::uid2::{DiiKind, Scope};

/// Bit 0 of the privacy bits: always set by an operator.
pub const PRIVACY_LEGACY: u32 = 1;
/// Bit 1: made on the client's side; DSPs then check the site's domain.
pub const PRIVACY_CLIENT_SIDE: u32 = 2;

/// Bits 0 and 1 of the type byte.
const TYPE_MARK: u8 = 0b11;
const V2: u8 = 2;
/// Identifies the operator: site 0, type 1 (service), version 0, key 0.
const OPERATOR: [u8; 13] = [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The version byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// Legacy, only read.
    V2,
    /// As version 4, in standard base64.
    V3,
    /// What operators make: base64url without padding.
    V4,
}

/// What a token says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// UID2 or EUID.
    pub scope: Scope,
    /// E-mail or phone.
    pub kind: DiiKind,
    /// The publisher's site.
    pub site: i32,
    /// [`PRIVACY_LEGACY`], [`PRIVACY_CLIENT_SIDE`].
    pub privacy_bits: u32,
    /// When the first token of this chain was made.
    pub established: UnixMillis,
    /// When this token was made.
    pub created: UnixMillis,
    /// When it dies.
    pub expires: UnixMillis,
    /// Who it stands for.
    pub raw_uid: RawUid,
}

/// The random part of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ivs {
    /// Of the inner envelope.
    pub site: [u8; 12],
    /// Of the outer.
    pub master: [u8; 12],
}

/// An opened token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// How it was written.
    pub version: Version,
    /// The key of the inner envelope: whose token it is.
    pub site_key: u32,
    /// What it says. A version 2 token has no creation time of its own; `established` stands in for it.
    pub claims: Claims,
}

/// Why a text is not a token we can open. Never holds the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenFault {
    /// Not base64, or of no known version.
    #[error("not an advertising token")]
    Version,
    /// Sealed under a key we do not hold.
    #[error("sealed under an unknown key")]
    UnknownKey,
    /// Does not open, or its parts have wrong sizes.
    #[error("does not open")]
    Sealed,
}

/// The keys and version to seal a token with.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// The outer key.
    pub master: &'a Key,
    /// The inner key.
    pub site: &'a Key,
    /// V3 or V4; V2 is written as V4.
    pub version: Version,
}

/// Writes a token.
pub fn seal(claims: &Claims, seal: &Seal<'_>, ivs: Ivs) -> String {
    let inner = seal_bare(&seal.site.sealing, ivs.site, &site_payload(claims));
    let mut payload = Vec::with_capacity(33 + inner.len());
    payload.extend(claims.expires.0.to_be_bytes());
    payload.extend(claims.created.0.to_be_bytes());
    payload.extend(OPERATOR);
    payload.extend(seal.site.id.to_be_bytes());
    payload.extend(inner);
    let mut token = vec![type_byte(claims.scope, claims.kind), seal.version.byte()];
    token.extend(seal.master.id.to_be_bytes());
    token.extend(seal_bare(&seal.master.sealing, ivs.master, &payload));
    match seal.version {
        Version::V3 => STANDARD.encode(token),
        Version::V2 | Version::V4 => encoding::URL.encode(token),
    }
}

fn site_payload(claims: &Claims) -> Vec<u8> {
    let raw = claims.raw_uid.as_bytes();
    let mut payload = Vec::with_capacity(36 + raw.len());
    payload.extend(claims.site.to_be_bytes());
    // Publisher id (8) and client key id (4): always zero.
    payload.extend([0; 12]);
    payload.extend(claims.privacy_bits.to_be_bytes());
    payload.extend(claims.established.0.to_be_bytes());
    payload.extend(claims.created.0.to_be_bytes());
    payload.extend(raw);
    payload
}

/// Opens a token of version 2, 3 or 4. Times are not judged.
pub fn open(text: &str, keys: &KeyRing) -> Result<Token, TokenFault> {
    let bytes = encoding::from_any_base64(text).ok_or(TokenFault::Version)?;
    match *bytes.as_slice() {
        [V2, ref rest @ ..] => token_v2::open(rest, keys),
        [kind, version, ref rest @ ..] => {
            let version = Version::of_byte(version).ok_or(TokenFault::Version)?;
            open_outer(kind, version, rest, keys)
        }
        _ => Err(TokenFault::Version),
    }
}

fn open_outer(kind: u8, version: Version, rest: &[u8], keys: &KeyRing) -> Result<Token, TokenFault> {
    let (scope, kind) = of_type_byte(kind);
    let mut outer = Reader::new(rest);
    let master = outer.u32().ok_or(TokenFault::Sealed)?;
    let payload = open_under(master, outer.rest(), keys)?;
    let mut payload = Reader::new(&payload);
    let mut head = || Some((payload.millis()?, payload.millis()?, payload.array::<13>()?, payload.u32()?));
    let (expires, created, _operator, site_key) = head().ok_or(TokenFault::Sealed)?;
    let inner = open_under(site_key, payload.rest(), keys)?;
    let times = (created, expires);
    let claims = site_claims(&inner, scope, kind, times).ok_or(TokenFault::Sealed)?;
    Ok(Token { version, site_key, claims })
}

fn site_claims(inner: &[u8], scope: Scope, kind: DiiKind, times: (UnixMillis, UnixMillis)) -> Option<Claims> {
    let mut inner = Reader::new(inner);
    let site = inner.i32()?;
    let _publisher_and_client_key: [u8; 12] = inner.array()?;
    let privacy_bits = inner.u32()?;
    let established = inner.millis()?;
    let _refreshed = inner.millis()?;
    let raw_uid = RawUid::from_bytes(inner.rest())?;
    Some(Claims { scope, kind, site, privacy_bits, established, created: times.0, expires: times.1, raw_uid })
}

fn open_under(key: u32, sealed: &[u8], keys: &KeyRing) -> Result<Vec<u8>, TokenFault> {
    let key = keys.find(key).ok_or(TokenFault::UnknownKey)?;
    open_bare(&key.sealing, sealed).map_err(|_| TokenFault::Sealed)
}

impl Version {
    /// The version byte; also the "advertising token version" DSP SDKs report.
    pub const fn byte(self) -> u8 {
        match self {
            Self::V2 => V2,
            Self::V3 => 112,
            Self::V4 => 128,
        }
    }

    const fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            112 => Some(Self::V3),
            128 => Some(Self::V4),
            _ => None,
        }
    }
}

/// The first byte of tokens and refresh tokens: scope, kind, and two set bits.
pub(super) fn type_byte(scope: Scope, kind: DiiKind) -> u8 {
    scope.bit() << 4 | kind_bit(kind) << 2 | TYPE_MARK
}

/// Reads it.
pub(super) fn of_type_byte(byte: u8) -> (Scope, DiiKind) {
    let scope = if byte & 0x10 == 0 { Scope::Uid2 } else { Scope::Euid };
    let kind = if byte & 0x04 == 0 { DiiKind::Email } else { DiiKind::Phone };
    (scope, kind)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn fixture() -> Value {
        serde_json::from_str(include_str!("../../../fixtures/uid2/token.json")).unwrap()
    }

    fn iv(row: &Value) -> Option<[u8; 12]> {
        encoding::from_hex(row.as_str()?)?.try_into().ok()
    }

    fn claims(row: &Value) -> Claims {
        let time = |name: &str| UnixMillis(row[name].as_i64().unwrap());
        Claims {
            scope: if row["scope"] == "euid" { Scope::Euid } else { Scope::Uid2 },
            kind: if row["kind"] == "phone" { DiiKind::Phone } else { DiiKind::Email },
            site: 123,
            privacy_bits: row["privacy_bits"].as_u64().unwrap().try_into().unwrap(),
            established: time("established"),
            created: time("created"),
            expires: time("expires"),
            raw_uid: RawUid::from_bytes(&STANDARD.decode(row["raw_uid"].as_str().unwrap()).unwrap()).unwrap(),
        }
    }

    fn version(row: &Value) -> Version {
        match row["version"].as_u64() {
            Some(2) => Version::V2,
            Some(3) => Version::V3,
            _ => Version::V4,
        }
    }

    #[test]
    fn every_vector_opens_to_its_claims() {
        let keys = KeyRing::default();
        for row in fixture()["rows"].as_array().unwrap() {
            let token = open(row["token"].as_str().unwrap(), &keys).unwrap();
            let expected = Token { version: version(row), site_key: 104, claims: claims(row) };
            assert_eq!(token, expected, "{}", row["id"]);
        }
    }

    #[test]
    fn every_vector_with_known_ivs_seals_byte_for_byte() {
        let keys = KeyRing::default();
        let (master, site) = (keys.find(101).unwrap(), keys.find(104).unwrap());
        let mut sealed = 0;
        for row in fixture()["rows"].as_array().unwrap() {
            let (Some(site_iv), Some(master_iv)) = (iv(&row["site_iv"]), iv(&row["master_iv"])) else {
                continue;
            };
            let ivs = Ivs { site: site_iv, master: master_iv };
            let text = seal(&claims(row), &Seal { master, site, version: version(row) }, ivs);
            assert_eq!(text, row["token"].as_str().unwrap(), "{}", row["id"]);
            sealed += 1;
        }
        assert_eq!(sealed, 8);
    }

    #[test]
    fn what_is_not_a_token_is_told_apart() {
        let keys = KeyRing::default();
        let good = fixture()["rows"][0]["token"].as_str().unwrap().to_owned();
        assert_eq!(open("", &keys), Err(TokenFault::Version));
        assert_eq!(open("not a token", &keys), Err(TokenFault::Version));
        assert_eq!(open("A5AAAABl", &keys), Err(TokenFault::Version));
        assert_eq!(open(&good, &KeyRing::new(vec![], vec![])), Err(TokenFault::UnknownKey));
        assert_eq!(open(good.split_at(200).0, &keys), Err(TokenFault::Sealed));
        for length in 0..good.len() {
            assert!(open(good.split_at(length).0, &keys).is_err(), "{length}");
        }
    }
}
