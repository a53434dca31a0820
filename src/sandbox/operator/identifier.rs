//! What clients may send as an identifier, by the operator's own rules (uid2-protocol §2.1–2.3).
//!
//! The gateway's `uid2::dii` is stricter on purpose. A sandbox must copy the operator: it takes `a@b`, drops spaces in
//! a local part, and takes a hash of 31 or 33 bytes, so that a client's mistakes show here as they would in production.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::encoding;
use crate::uid2::{DiiHash, DiiKind};

/// The base64 text of a hash, which is what the salts are applied to. Its `Debug` text shows only the kind.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    kind: DiiKind,
    hash: String,
}

impl Identifier {
    /// Normalises and hashes an e-mail address; `None` when the operator would call it invalid.
    pub fn of_email(text: &str) -> Option<Self> {
        normalise_email(text).map(|email| Self::hashed(DiiKind::Email, &email))
    }

    /// Hashes a phone number that stands in E.164 form already.
    pub fn of_phone(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        let legal = (10..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        legal.then(|| Self::hashed(DiiKind::Phone, text))
    }

    /// Takes 44 characters of base64 or 64 hex digits; the decoded length is not checked, as at the operator.
    pub fn of_hash(kind: DiiKind, text: &str) -> Option<Self> {
        let bytes = match text.len() {
            44 => encoding::LENIENT.decode(text).ok()?,
            64 => encoding::from_hex(text)?,
            _ => return None,
        };
        Some(Self { kind, hash: STANDARD.encode(bytes) })
    }

    fn hashed(kind: DiiKind, normalised: &str) -> Self {
        Self { kind, hash: STANDARD.encode(Sha256::digest(normalised)) }
    }

    /// What was hashed.
    pub const fn kind(&self) -> DiiKind {
        self.kind
    }

    /// The hash in canonical base64.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

impl From<&DiiHash> for Identifier {
    fn from(hash: &DiiHash) -> Self {
        Self { kind: hash.kind(), hash: hash.to_base64() }
    }
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identifier({:?}, [hidden])", self.kind)
    }
}

fn normalise_email(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let (local, domain) = lower.split_once('@')?;
    // In the domain a space stands only when something follows it.
    let domain = domain.trim_end_matches(' ');
    if domain.is_empty() || domain.contains('@') {
        return None;
    }
    let kept = local.chars().filter(|c| *c != ' ');
    let local: String = match domain {
        "gmail.com" => kept.take_while(|c| *c != '+').filter(|c| *c != '.').collect(),
        _ => kept.collect(),
    };
    (!local.is_empty()).then(|| format!("{local}@{domain}"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_email_vector_has_the_operators_hash() {
        let fixture: Value = serde_json::from_str(include_str!("../../../fixtures/uid2/email.json")).unwrap();
        for row in fixture["rows"].as_array().unwrap() {
            let identifier = Identifier::of_email(row["input"].as_str().unwrap());
            match &row["hash"] {
                Value::String(hash) if row["invalid"] != true => {
                    assert_eq!(identifier.unwrap().hash(), hash, "{row}");
                }
                _ => assert_eq!(identifier, None, "{row}"),
            }
        }
    }

    #[test]
    fn every_phone_vector_is_hashed_or_invalid() {
        let fixture: Value = serde_json::from_str(include_str!("../../../fixtures/uid2/phone.json")).unwrap();
        for row in fixture["rows"].as_array().unwrap() {
            let identifier = Identifier::of_phone(row["input"].as_str().unwrap());
            assert_eq!(identifier.as_ref().map(Identifier::hash), row["hash"].as_str(), "{row}");
        }
    }

    #[test]
    fn hashes_of_31_and_33_bytes_pass_as_at_the_operator() {
        let of = |text: &str| Identifier::of_hash(DiiKind::Email, text);
        for bytes in [31, 32, 33] {
            assert!(of(&STANDARD.encode(vec![7; bytes])).is_some(), "{bytes}");
        }
        assert_eq!(of(&"0f".repeat(32)).unwrap().hash(), STANDARD.encode([15; 32]));
        assert_eq!(of(&"0F".repeat(32)), of(&"0f".repeat(32)));
        assert_eq!(of(&"A".repeat(43)), None);
        assert_eq!(of(&"A".repeat(45)), None);
        assert_eq!(of(&"g".repeat(64)), None);
        assert_eq!(of(&"-".repeat(44)), None);
        // Spare bits are dropped: the salts see the canonical text.
        assert_eq!(of(&format!("{}B=", "A".repeat(42))), of(&STANDARD.encode([0; 32])));
    }
}
