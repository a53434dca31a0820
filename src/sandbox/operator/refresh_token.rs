//! Refresh tokens: an inner token with the salted identity, in an outer one with the response key (uid2-protocol §4.5).
//!
//! ```text
//! inner  type(1) ‖ 112 ‖ refresh key id(4) ‖ GCM(refresh key, 90 bytes)                          124 bytes, 168 characters
//! outer  scope(1) ‖ refresh key id(4) ‖ GCM(refresh key, {"refresh_response_key","refresh_token"})   291 bytes, 388 characters
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::encoding;
use super::keys::{Key, KeyRing};
use super::raw_uid::FirstLevelHash;
use super::reader::Reader;
use super::token::{of_type_byte, type_byte};
use crate::time::UnixMillis;
use crate::uid2::envelope::{open_bare, seal_bare};
use crate::uid2::{DiiKind, Scope};

/// Characters of an outer token; a text of any other length is taken as an inner one.
pub const OUTER_CHARS: usize = 388;

/// The only inner version made.
const V3: u8 = 112;

/// What a refresh token says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// UID2 or EUID.
    pub scope: Scope,
    /// E-mail or phone.
    pub kind: DiiKind,
    /// The publisher's site.
    pub site: i32,
    /// Carried over from the first token.
    pub privacy_bits: u32,
    /// When the first token of this chain was made.
    pub established: UnixMillis,
    /// When this one was made.
    pub created: UnixMillis,
    /// When it dies.
    pub expires: UnixMillis,
    /// Who it stands for.
    pub first_level_hash: FirstLevelHash,
}

/// An opened outer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Outer {
    /// The answer goes out under this key.
    pub response_key: [u8; 32],
    /// The inner token's text.
    pub inner: String,
}

/// Why an outer token does not open; the operator tells these apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OuterFault {
    /// Not base64, or too short for a key id.
    #[error("not base64")]
    Base64,
    /// Sealed under a key this operator does not hold.
    #[error("sealed under key {0}, which does not exist")]
    UnknownKey(u32),
    /// Does not open.
    #[error("does not open")]
    Sealed,
    /// Opens to something else.
    #[error("does not hold a response key and an inner token")]
    Format,
}

#[derive(Serialize, Deserialize)]
struct OuterJson {
    refresh_response_key: String,
    refresh_token: String,
}

/// Writes the inner token.
pub fn seal_inner(claims: &Claims, key: &Key, iv: [u8; 12]) -> String {
    let mut token = vec![type_byte(claims.scope, claims.kind), V3];
    token.extend(key.id.to_be_bytes());
    token.extend(seal_bare(&key.sealing, iv, &payload(claims)));
    STANDARD.encode(token)
}

fn payload(claims: &Claims) -> Vec<u8> {
    let mut payload = Vec::with_capacity(90);
    payload.extend(claims.expires.0.to_be_bytes());
    payload.extend(claims.created.0.to_be_bytes());
    // Operator: site 0, type 1 (service), version 0, key 0.
    payload.extend([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    payload.extend(claims.site.to_be_bytes());
    // Publisher id (8) and client key id (4): always zero.
    payload.extend([0; 12]);
    payload.extend(claims.privacy_bits.to_be_bytes());
    payload.extend(claims.established.0.to_be_bytes());
    payload.push(type_byte(claims.scope, claims.kind));
    payload.extend(claims.first_level_hash.0);
    payload
}

/// Writes the outer token: what clients hold.
pub fn seal_outer(scope: Scope, key: &Key, iv: [u8; 12], outer: &Outer) -> String {
    let json = OuterJson {
        refresh_response_key: STANDARD.encode(outer.response_key),
        refresh_token: outer.inner.clone(),
    };
    let json = serde_json::to_vec(&json).expect("two strings always serialise");
    let mut token = vec![scope.bit() << 4];
    token.extend(key.id.to_be_bytes());
    token.extend(seal_bare(&key.sealing, iv, &json));
    STANDARD.encode(token)
}

/// Opens an outer token. Its scope byte is not checked, as at the operator.
pub fn open_outer(text: &str, keys: &KeyRing) -> Result<Outer, OuterFault> {
    let bytes = encoding::LENIENT.decode(text).map_err(|_| OuterFault::Base64)?;
    let mut outer = Reader::new(&bytes);
    let id = outer.u8().and_then(|_scope| outer.u32()).ok_or(OuterFault::Base64)?;
    let key = keys.find(id).ok_or(OuterFault::UnknownKey(id))?;
    let json = open_bare(&key.sealing, outer.rest()).map_err(|_| OuterFault::Sealed)?;
    let json: OuterJson = serde_json::from_slice(&json).map_err(|_| OuterFault::Format)?;
    let key = encoding::LENIENT.decode(json.refresh_response_key).map_err(|_| OuterFault::Format)?;
    let response_key = key.try_into().map_err(|_| OuterFault::Format)?;
    Ok(Outer { response_key, inner: json.refresh_token })
}

/// Opens an inner token; `None` when it cannot be decoded. Times and scope are not judged.
pub fn open_inner(text: &str, keys: &KeyRing) -> Option<Claims> {
    let bytes = encoding::LENIENT.decode(text).ok()?;
    let mut outer = Reader::new(&bytes);
    let (_type, version) = (outer.u8()?, outer.u8()?);
    let key = keys.find(outer.u32()?).filter(|_| version == V3)?;
    let payload = open_bare(&key.sealing, outer.rest()).ok()?;
    let mut payload = Reader::new(&payload);
    let (expires, created) = (payload.millis()?, payload.millis()?);
    let _operator: [u8; 13] = payload.array()?;
    let site = payload.i32()?;
    let _publisher_and_client_key: [u8; 12] = payload.array()?;
    let privacy_bits = payload.u32()?;
    let established = payload.millis()?;
    let (scope, kind) = of_type_byte(payload.u8()?);
    let first_level_hash = FirstLevelHash(payload.array()?);
    Some(Claims { scope, kind, site, privacy_bits, established, created, expires, first_level_hash })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn row() -> Value {
        let fixture: Value =
            serde_json::from_str(include_str!("../../../fixtures/uid2/refresh_token.json")).unwrap();
        fixture["rows"][0].clone()
    }

    fn text<'a>(row: &'a Value, name: &str) -> &'a str {
        row[name].as_str().unwrap()
    }

    fn iv(row: &Value, name: &str) -> [u8; 12] {
        encoding::from_hex(text(row, name)).unwrap().try_into().unwrap()
    }

    fn base64<const N: usize>(row: &Value, name: &str) -> [u8; N] {
        STANDARD.decode(text(row, name)).unwrap().try_into().unwrap()
    }

    fn claims(row: &Value) -> Claims {
        let time = |name: &str| UnixMillis(row[name].as_i64().unwrap());
        Claims {
            scope: Scope::Uid2,
            kind: DiiKind::Email,
            site: 123,
            privacy_bits: 1,
            established: time("established"),
            created: time("created"),
            expires: time("expires"),
            first_level_hash: FirstLevelHash(base64(row, "first_level_hash")),
        }
    }

    fn outer(row: &Value) -> Outer {
        Outer { response_key: base64(row, "response_key"), inner: text(row, "inner").to_owned() }
    }

    #[test]
    fn the_vector_seals_and_opens_byte_for_byte() {
        let (row, keys) = (row(), KeyRing::default());
        let key = keys.find(102).unwrap();
        assert_eq!(encoding::to_hex(&payload(&claims(&row))), text(&row, "inner_plaintext"));
        assert_eq!(seal_inner(&claims(&row), key, iv(&row, "inner_iv")), text(&row, "inner"));
        let sealed = seal_outer(Scope::Uid2, key, iv(&row, "outer_iv"), &outer(&row));
        assert_eq!(sealed, text(&row, "outer"));
        assert_eq!((sealed.len(), text(&row, "inner").len()), (OUTER_CHARS, 168));
        assert!(open_outer(&sealed, &keys).unwrap() == outer(&row));
        assert_eq!(open_inner(text(&row, "inner"), &keys), Some(claims(&row)));
    }

    #[test]
    fn euid_tokens_start_with_another_letter() {
        let (row, keys) = (row(), KeyRing::default());
        let sealed = seal_outer(Scope::Euid, keys.find(102).unwrap(), [0; 12], &outer(&row));
        assert!(sealed.starts_with("EAAAA") && text(&row, "outer").starts_with("AAAAA"));
        assert!(open_outer(&sealed, &keys).is_ok());
    }

    #[test]
    fn each_fault_of_the_outer_token_is_told_apart() {
        let (row, keys) = (row(), KeyRing::default());
        let key = keys.find(102).unwrap();
        let fault = |text: &str| open_outer(text, &keys).err();
        let good = text(&row, "outer");
        assert_eq!(fault("*"), Some(OuterFault::Base64));
        assert_eq!(fault("AAAA"), Some(OuterFault::Base64));
        assert_eq!(fault(&format!("AAAAAAAA{}", good.split_at(8).1)), Some(OuterFault::UnknownKey(0)));
        assert_eq!(fault(good.split_at(384).0), Some(OuterFault::Sealed));
        let mut other = vec![0];
        other.extend(102_u32.to_be_bytes());
        other.extend(seal_bare(&key.sealing, [1; 12], b"{}"));
        assert_eq!(fault(&STANDARD.encode(other)), Some(OuterFault::Format));
        assert_eq!(open_inner(good, &keys), None);
        assert_eq!(open_inner("", &keys), None);
    }
}
