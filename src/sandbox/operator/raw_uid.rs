//! From a hash to a raw UID: first-level hash, then versions 2, 3 and 4 (uid2-protocol §4.1).

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::identifier::Identifier;
use super::salts::{Material, Salts};
use crate::uid2::{DiiKind, Environment, Scope};

/// Bit 5 of the first byte: version 4.
const V4_MARK: u8 = 1 << 5;

/// What a sandbox says of all its raw UIDs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Realm {
    /// UID2 or EUID.
    pub scope: Scope,
    /// Stands in version 4.
    pub environment: Environment,
    /// Make version 3 instead of 2 where the bucket has a salt. Off in the operator's shipped configurations.
    pub raw_v3: bool,
}

/// The salted identity: what a refresh token carries and what the bucket is chosen by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FirstLevelHash(pub [u8; 32]);

/// A raw UID: 32 bytes (version 2) or 33 (3 and 4). Never for the bid stream; its `Debug` text does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawUid(Vec<u8>);

impl FirstLevelHash {
    /// SHA-256 over the base64 text of the hash and the text of the salt.
    pub fn of(identifier: &Identifier, salts: &Salts) -> Self {
        Self(sha256(&[identifier.hash().as_bytes(), salts.first_level.as_bytes()]))
    }

    /// The raw UID under the bucket's current material.
    pub fn raw_uid(&self, kind: DiiKind, realm: Realm, salts: &Salts) -> RawUid {
        self.raw_uid_with(kind, realm, &salts.bucket_of(&self.0).current)
    }

    /// The raw UID under the given material.
    pub fn raw_uid_with(&self, kind: DiiKind, realm: Realm, material: &Material) -> RawUid {
        match material {
            Material::Salt(salt) if realm.raw_v3 => RawUid::v3(self, kind, realm.scope, salt),
            Material::Salt(salt) => RawUid::v2(self, salt),
            Material::Key { id, key, salt } => RawUid::v4(self, v4_metadata(kind, realm), *id, key, salt),
        }
    }
}

impl std::fmt::Debug for FirstLevelHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[first-level hash]")
    }
}

impl RawUid {
    /// Takes 32 or 33 bytes as they stand.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        matches!(bytes.len(), 32 | 33).then(|| Self(bytes.to_vec()))
    }

    fn v2(first: &FirstLevelHash, salt: &str) -> Self {
        Self(sha256(&[STANDARD.encode(first.0).as_bytes(), salt.as_bytes()]).to_vec())
    }

    fn v3(first: &FirstLevelHash, kind: DiiKind, scope: Scope, salt: &str) -> Self {
        let mut bytes = vec![scope.bit() << 4 | kind_bit(kind) << 2];
        bytes.extend(Self::v2(first, salt).0);
        Self(bytes)
    }

    fn v4(first: &FirstLevelHash, metadata: u8, key_id: u32, key: &[u8; 32], salt: &str) -> Self {
        let [_, id @ ..] = key_id.to_be_bytes();
        let half = &first.0[16..];
        let digest = sha256(&[salt.as_bytes(), half, &[metadata], &id]);
        let iv = &digest[..12];
        let mut bytes = vec![metadata];
        bytes.extend(id);
        bytes.extend(iv);
        bytes.extend(ctr_block(key, iv).iter().zip(half).map(|(pad, byte)| pad ^ byte));
        bytes.push(bytes.iter().fold(0, |sum, byte| sum ^ byte));
        Self(bytes)
    }

    /// The bytes, as an advertising token holds them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text a DSP sees: 44 characters.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

impl std::fmt::Debug for RawUid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[raw uid]")
    }
}

/// E-mail 0, phone 1.
pub(super) const fn kind_bit(kind: DiiKind) -> u8 {
    match kind {
        DiiKind::Email => 0,
        DiiKind::Phone => 1,
    }
}

fn v4_metadata(kind: DiiKind, realm: Realm) -> u8 {
    let environment = match realm.environment {
        Environment::Local | Environment::Test => 0,
        Environment::Integration => 1,
        Environment::Production => 2,
    };
    environment << 6 | V4_MARK | realm.scope.bit() << 4 | kind_bit(kind) << 2
}

/// The key stream of AES-256-CTR: the text is exactly one block long.
fn ctr_block(key: &[u8; 32], iv: &[u8]) -> [u8; 16] {
    let mut counter = [0; 16];
    counter[..12].copy_from_slice(iv);
    let mut block = counter.into();
    Aes256::new(key.into()).encrypt_block(&mut block);
    block.into()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn identifier(row: &Value) -> Identifier {
        let input = row["input"].as_str().unwrap();
        Identifier::of_email(input).or_else(|| Identifier::of_phone(input)).unwrap()
    }

    fn realm(row: &Value) -> Realm {
        let scope = if row["scope"] == "euid" { Scope::Euid } else { Scope::Uid2 };
        let environment = match row["environment"].as_str() {
            Some("integration") => Environment::Integration,
            Some("production") => Environment::Production,
            _ => Environment::Test,
        };
        Realm { scope, environment, raw_v3: row["raw_v3"] == true }
    }

    #[test]
    fn every_vector_has_its_hash_line_and_raw_uid() {
        let fixture: Value =
            serde_json::from_str(include_str!("../../../fixtures/uid2/raw_uid.json")).unwrap();
        let salts = Salts::default();
        for row in fixture["rows"].as_array().unwrap() {
            let identifier = identifier(row);
            let first = FirstLevelHash::of(&identifier, &salts);
            assert_eq!(STANDARD.encode(first.0), row["first_level_hash"], "{row}");
            let bucket = salts.bucket_of(&first.0);
            assert_eq!(bucket.id - 1_000_000, row["line"], "{row}");
            let material =
                row["with_line"].as_u64().map(|line| &salts.buckets[usize::try_from(line).unwrap()]);
            let material = &material.unwrap_or(bucket).current;
            let raw = first.raw_uid_with(identifier.kind(), realm(row), material);
            if let Some(expected) = row["raw_uid"].as_str() {
                assert_eq!(raw.to_base64(), expected, "{row}");
            }
        }
    }

    #[test]
    fn the_first_character_tells_version_scope_environment_and_kind() {
        let salts = Salts::default();
        let first = FirstLevelHash([2; 32]);
        let letters_of = |line: usize, environment: Environment| -> String {
            let each = |(scope, kind)| {
                let realm = Realm { scope, environment, raw_v3: true };
                let raw = first.raw_uid_with(kind, realm, &salts.buckets[line].current);
                raw.to_base64().chars().next().unwrap()
            };
            let (email, phone) = (DiiKind::Email, DiiKind::Phone);
            let all =
                [(Scope::Uid2, email), (Scope::Uid2, phone), (Scope::Euid, email), (Scope::Euid, phone)];
            all.into_iter().map(each).collect()
        };
        assert_eq!(letters_of(0, Environment::Production), "ABEF");
        assert_eq!(letters_of(2, Environment::Local), "IJMN");
        assert_eq!(letters_of(2, Environment::Test), "IJMN");
        assert_eq!(letters_of(2, Environment::Integration), "YZcd");
        assert_eq!(letters_of(2, Environment::Production), "opst");
    }

    #[test]
    fn only_32_or_33_bytes_are_a_raw_uid() {
        for (length, legal) in [(31, false), (32, true), (33, true), (34, false)] {
            assert_eq!(RawUid::from_bytes(&vec![0; length]).is_some(), legal, "{length}");
        }
    }
}
