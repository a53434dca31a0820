//! The three sealed forms of the protocol: request, response and refresh answer (uid2-protocol §1.4, §1.5, §1.7).
//!
//! ```text
//! request    01 ‖ iv(12) ‖ GCM( time(8) ‖ nonce(8) ‖ JSON ) ‖ tag(16)
//! response        iv(12) ‖ GCM( time(8) ‖ nonce(8) ‖ JSON ) ‖ tag(16)
//! bare            iv(12) ‖ GCM( JSON )                      ‖ tag(16)
//! ```
//!
//! AES-256-GCM without associated data; time is Unix milliseconds, big-endian. Nothing here makes random bytes: the
//! caller hands them in and must never use an `iv` twice under one key.

use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::time::UnixMillis;

/// The only request version there is.
const VERSION: u8 = 1;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Time and nonce.
const PREFIX_BYTES: usize = 16;

/// A client secret or refresh response key, ready for use. Cloning is cheap; `Debug` shows nothing.
#[derive(Clone)]
pub struct EnvelopeKey(Arc<Aes256Gcm>);

/// What makes an envelope unlike all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freshness {
    /// The time of sealing. Operators refuse requests that are a minute or two off.
    pub at: UnixMillis,
    /// Random, never used twice under one key.
    pub iv: [u8; 12],
    /// Random in a request; a response repeats that of its request.
    pub nonce: [u8; 8],
}

/// What an envelope held.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// When the other side sealed it.
    pub at: UnixMillis,
    /// The request's nonce.
    pub nonce: [u8; 8],
    /// The payload; empty for the key endpoints' requests.
    pub json: Vec<u8>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("at", &self.at)
            .field("bytes", &self.json.len())
            .finish_non_exhaustive()
    }
}

/// Why a key or envelope is not usable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The key's text is not canonical base64 of 32 bytes.
    #[error("key is not base64 of 32 bytes")]
    Key,
    /// Shorter than an envelope without payload.
    #[error("envelope is too short")]
    TooShort,
    /// A request of a version other than 1.
    #[error("envelope has version {0}, not 1")]
    Version(u8),
    /// Wrong key, or the bytes were changed.
    #[error("envelope does not open under this key")]
    Sealed,
    /// A response to another request.
    #[error("envelope repeats the nonce of another request")]
    NonceMismatch,
}

impl EnvelopeKey {
    /// Reads 44 characters of standard base64.
    pub fn from_base64(text: &str) -> Result<Self, EnvelopeError> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| EnvelopeError::Key)?);
        let key: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| EnvelopeError::Key)?;
        Ok(Self::from_bytes(key))
    }

    /// Takes the key's bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Arc::new(Aes256Gcm::new(bytes.into())))
    }

    /// Appends `ciphertext ‖ tag` of `plain` to `out`.
    fn seal(&self, iv: [u8; IV_BYTES], plain: &[u8], out: &mut Vec<u8>) {
        let sealed = self.0.encrypt(&iv.into(), plain).expect("a payload under 64 GiB always seals");
        out.extend_from_slice(&sealed);
    }
}

impl fmt::Debug for EnvelopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// A request: version byte, IV, sealed time, nonce and payload.
pub fn seal_request(key: &EnvelopeKey, fresh: &Freshness, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + IV_BYTES + PREFIX_BYTES + json.len() + TAG_BYTES);
    out.push(VERSION);
    seal_prefixed(key, fresh, json, &mut out);
    out
}

/// Opens a request; the operator's side.
pub fn open_request(key: &EnvelopeKey, wire: &[u8]) -> Result<Opened, EnvelopeError> {
    match wire.split_first() {
        Some((&VERSION, rest)) => open_prefixed(key, rest),
        Some((&version, _)) => Err(EnvelopeError::Version(version)),
        None => Err(EnvelopeError::TooShort),
    }
}

/// A response: as a request, without the version byte; the operator's side.
pub fn seal_response(key: &EnvelopeKey, fresh: &Freshness, json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(IV_BYTES + PREFIX_BYTES + json.len() + TAG_BYTES);
    seal_prefixed(key, fresh, json, &mut out);
    out
}

/// Opens a response and holds it against the nonce of our request.
pub fn open_response(key: &EnvelopeKey, wire: &[u8], nonce: [u8; 8]) -> Result<Opened, EnvelopeError> {
    let opened = open_prefixed(key, wire)?;
    if opened.nonce != nonce {
        return Err(EnvelopeError::NonceMismatch);
    }
    Ok(opened)
}

/// A refresh answer: IV and sealed payload, no time, no nonce; the operator's side.
pub fn seal_bare(key: &EnvelopeKey, iv: [u8; 12], plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(IV_BYTES + plain.len() + TAG_BYTES);
    out.extend_from_slice(&iv);
    key.seal(iv, plain, &mut out);
    out
}

/// Opens a refresh answer.
pub fn open_bare(key: &EnvelopeKey, wire: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let (iv, sealed) = wire.split_first_chunk::<IV_BYTES>().ok_or(EnvelopeError::TooShort)?;
    if sealed.len() < TAG_BYTES {
        return Err(EnvelopeError::TooShort);
    }
    key.0.decrypt(iv.into(), sealed).map_err(|_| EnvelopeError::Sealed)
}

fn seal_prefixed(key: &EnvelopeKey, fresh: &Freshness, json: &[u8], out: &mut Vec<u8>) {
    let mut plain = Zeroizing::new(Vec::with_capacity(PREFIX_BYTES + json.len()));
    plain.extend_from_slice(&fresh.at.0.to_be_bytes());
    plain.extend_from_slice(&fresh.nonce);
    plain.extend_from_slice(json);
    out.extend_from_slice(&fresh.iv);
    key.seal(fresh.iv, &plain, out);
}

fn open_prefixed(key: &EnvelopeKey, wire: &[u8]) -> Result<Opened, EnvelopeError> {
    if wire.len() < IV_BYTES + PREFIX_BYTES + TAG_BYTES {
        return Err(EnvelopeError::TooShort);
    }
    let plain = Zeroizing::new(open_bare(key, wire)?);
    let (at, rest) = plain.split_first_chunk::<8>().ok_or(EnvelopeError::TooShort)?;
    let (nonce, json) = rest.split_first_chunk::<8>().ok_or(EnvelopeError::TooShort)?;
    Ok(Opened { at: UnixMillis(i64::from_be_bytes(*at)), nonce: *nonce, json: json.to_vec() })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../fixtures/uid2/envelope.json")).unwrap()
    }

    fn hex<const N: usize>(value: &Value) -> [u8; N] {
        let text = value.as_str().unwrap();
        std::array::from_fn(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2).unwrap(), 16).unwrap())
    }

    fn freshness(row: &Value) -> Freshness {
        Freshness {
            at: UnixMillis(row["at"].as_i64().unwrap()),
            iv: hex(&row["iv"]),
            nonce: hex(&row["nonce"]),
        }
    }

    fn wire(row: &Value) -> Vec<u8> {
        STANDARD.decode(row["wire"].as_str().unwrap()).unwrap()
    }

    fn json(row: &Value) -> &[u8] {
        row["json"].as_str().unwrap().as_bytes()
    }

    fn secret() -> EnvelopeKey {
        EnvelopeKey::from_base64(vectors()["client_secret"].as_str().unwrap()).unwrap()
    }

    #[test]
    fn request_vectors_seal_and_open_byte_for_byte() {
        for row in vectors()["requests"].as_array().unwrap() {
            let fresh = freshness(row);
            assert_eq!(seal_request(&secret(), &fresh, json(row)), wire(row), "{}", row["about"]);
            let opened = open_request(&secret(), &wire(row)).unwrap();
            assert_eq!((opened.at, opened.nonce, opened.json.as_slice()), (fresh.at, fresh.nonce, json(row)));
        }
    }

    #[test]
    fn response_vectors_seal_and_open_byte_for_byte() {
        for row in vectors()["responses"].as_array().unwrap() {
            let fresh = freshness(row);
            assert_eq!(seal_response(&secret(), &fresh, json(row)), wire(row), "{}", row["about"]);
            let opened = open_response(&secret(), &wire(row), fresh.nonce).unwrap();
            assert_eq!((opened.at, opened.json.as_slice()), (fresh.at, json(row)));
        }
    }

    #[test]
    fn refresh_answer_vectors_have_no_prefix() {
        for row in vectors()["bare"].as_array().unwrap() {
            let key = EnvelopeKey::from_base64(row["key"].as_str().unwrap()).unwrap();
            assert_eq!(seal_bare(&key, hex(&row["iv"]), json(row)), wire(row), "{}", row["about"]);
            assert_eq!(open_bare(&key, &wire(row)).unwrap(), json(row));
            assert_eq!(open_bare(&secret(), &wire(row)), Err(EnvelopeError::Sealed));
        }
    }

    #[test]
    fn a_response_to_another_request_is_refused() {
        let row = &vectors()["responses"][0];
        let mut nonce = freshness(row).nonce;
        nonce[7] ^= 1;
        assert_eq!(open_response(&secret(), &wire(row), nonce), Err(EnvelopeError::NonceMismatch));
    }

    #[test]
    fn any_changed_byte_breaks_the_seal() {
        let row = &vectors()["requests"][0];
        for at in 1..wire(row).len() {
            let mut bytes = wire(row);
            bytes[at] ^= 0x80;
            assert_eq!(open_request(&secret(), &bytes), Err(EnvelopeError::Sealed), "byte {at}");
        }
        let mut bytes = wire(row);
        bytes[0] = 2;
        assert_eq!(open_request(&secret(), &bytes), Err(EnvelopeError::Version(2)));
    }

    #[test]
    fn the_shortest_request_has_45_bytes_and_the_shortest_refresh_answer_28() {
        let shortest = wire(&vectors()["requests"][1]);
        assert_eq!(shortest.len(), 45);
        assert_eq!(open_request(&secret(), &shortest[..44]), Err(EnvelopeError::TooShort));
        assert_eq!(open_request(&secret(), &[]), Err(EnvelopeError::TooShort));
        let bare = seal_bare(&secret(), [9; 12], b"");
        assert_eq!((bare.len(), open_bare(&secret(), &bare)), (28, Ok(Vec::new())));
        assert_eq!(open_bare(&secret(), &bare[..27]), Err(EnvelopeError::TooShort));
        assert_eq!(open_response(&secret(), &bare, [0; 8]), Err(EnvelopeError::TooShort));
    }

    #[test]
    fn keys_are_exactly_32_bytes() {
        for bytes in [0, 31, 33] {
            let text = STANDARD.encode(vec![1; bytes]);
            assert!(matches!(EnvelopeKey::from_base64(&text), Err(EnvelopeError::Key)), "{bytes}");
        }
        assert_eq!(format!("{:?}", secret()), "[key]");
    }
}
