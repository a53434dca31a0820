//! The SHA-256 of a normalised identifier: the only form in which one leaves this process.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::dii::{DiiError, Email, Phone};
use super::scope::DiiKind;

/// Characters of the base64 form of 32 bytes.
const BASE64_CHARS: usize = 44;
/// Characters of the hex form of 32 bytes.
const HEX_CHARS: usize = 64;

/// The hash of an e-mail address or phone number. Still personal data: its `Debug` text shows only the kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DiiHash {
    kind: DiiKind,
    digest: [u8; 32],
}

impl DiiHash {
    /// Of a normalised e-mail address.
    pub fn of_email(email: &Email) -> Self {
        Self { kind: DiiKind::Email, digest: Sha256::digest(email.as_str()).into() }
    }

    /// Of a phone number.
    pub fn of_phone(phone: &Phone) -> Self {
        Self { kind: DiiKind::Phone, digest: Sha256::digest(phone.as_str()).into() }
    }

    /// Reads 44 characters of canonical standard base64, or 64 hex digits of either case, for exactly 32 bytes.
    ///
    /// Stricter than the operator, which takes 31 or 33 bytes too and makes a token that matches nobody
    /// (uid2-protocol §2.3).
    pub fn parse(kind: DiiKind, text: &str) -> Result<Self, DiiError> {
        let digest = match text.len() {
            BASE64_CHARS => STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()),
            HEX_CHARS => digest_of_hex(text.as_bytes()),
            _ => None,
        };
        Ok(Self { kind, digest: digest.ok_or(DiiError::Hash)? })
    }

    /// What was hashed.
    pub const fn kind(&self) -> DiiKind {
        self.kind
    }

    /// The 32 bytes.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The form that operators take: 44 characters of standard base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.digest)
    }
}

impl fmt::Debug for DiiHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiiHash({:?}, [hidden])", self.kind)
    }
}

fn digest_of_hex(text: &[u8]) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, &[high, low]) in digest.iter_mut().zip(pairs) {
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn hashes_match(fixture: &str, hash_of: impl Fn(&str) -> Result<DiiHash, DiiError>) -> usize {
        let whole: Value = serde_json::from_str(fixture).unwrap();
        let usable = |row: &&Value| row["invalid"] != true && row["gateway"] != "reject";
        let rows: Vec<&Value> = whole["rows"].as_array().unwrap().iter().filter(usable).collect();
        for row in &rows {
            let hash = hash_of(row["input"].as_str().unwrap()).unwrap();
            assert_eq!(hash.to_base64(), row["hash"], "{row}");
            assert_ne!(hash.to_base64(), row["wrong_hash"], "{row}");
            assert_eq!(DiiHash::parse(hash.kind(), &hash.to_base64()), Ok(hash));
            for hex in row["hex"].as_array().into_iter().flatten() {
                assert_eq!(DiiHash::parse(hash.kind(), hex.as_str().unwrap()), Ok(hash), "{row}");
            }
        }
        rows.len()
    }

    #[test]
    fn every_vector_has_its_hash() {
        let emails = include_str!("../../fixtures/uid2/email.json");
        assert!(hashes_match(emails, |text| Email::parse(text).map(|email| DiiHash::of_email(&email))) > 30);
        let phones = include_str!("../../fixtures/uid2/phone.json");
        assert!(hashes_match(phones, |text| Phone::parse(text).map(|phone| DiiHash::of_phone(&phone))) > 8);
    }

    #[test]
    fn only_exactly_32_canonical_bytes_are_a_hash() {
        let parse = |text: &str| DiiHash::parse(DiiKind::Email, text);
        for bytes in [31, 33] {
            let text = STANDARD.encode(vec![7; bytes]);
            assert_eq!(text.len(), 44);
            assert_eq!(parse(&text), Err(DiiError::Hash), "{bytes} bytes");
        }
        let good = STANDARD.encode([0; 32]);
        assert!(parse(&good).is_ok());
        assert_eq!(parse(good.trim_end_matches('=')), Err(DiiError::Hash));
        // The two spare bits of the last character must be zero.
        assert_eq!(parse(&good.replace("A=", "B=")), Err(DiiError::Hash));
        assert_eq!(parse(&good.replace("AAAA", "A-_A")), Err(DiiError::Hash));
        assert_eq!(parse(&"0".repeat(63)), Err(DiiError::Hash));
        assert!(parse(&"0f".repeat(32)).is_ok());
        assert_eq!(parse(&"0g".repeat(32)), Err(DiiError::Hash));
        assert_eq!(parse(&"é".repeat(32)), Err(DiiError::Hash));
        assert_eq!(parse(""), Err(DiiError::Hash));
    }

    #[test]
    fn debug_text_never_shows_the_hash() {
        let hash = DiiHash::of_email(&Email::parse("test@example.com").unwrap());
        assert_eq!(format!("{hash:?}"), "DiiHash(Email, [hidden])");
    }
}
