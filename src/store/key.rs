//! Under which key a record is kept: an HMAC under the store's index key, so that the disk never shows who is in it.

use std::fmt;
use std::hash::{Hash, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;
use crate::uid2::{DiiKind, Environment, Scope};

/// Changes when the bytes that are hashed change; part of every message.
const DOMAIN: u8 = 1;
const KIND_USER: u8 = b'u';
const KIND_EMAIL: u8 = b'e';
const KIND_PHONE: u8 = b'p';
const KIND_SUBJECT: u8 = b's';
const KIND_ID_TOKEN: u8 = b't';
const KIND_COOKIE: u8 = b'c';

/// The name of one record: 32 bytes that look random to anybody without the index key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordKey([u8; 32]);

impl RecordKey {
    /// A key from its bytes, as [`RecordKey::as_bytes`] shows them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight bytes as a number: uniformly distributed, so it is a finished hash.
    pub fn prefix(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(first)
    }
}

/// Hashes by one `write_u64` of [`RecordKey::prefix`]: outsiders cannot choose the bytes of an HMAC.
impl Hash for RecordKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.prefix());
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[record key]")
    }
}

/// Whose users a key is about: the same user id under two tenants is two users.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tenant<'a> {
    /// The publisher's id in the configuration.
    pub publisher: &'a str,
    /// UID2 or EUID.
    pub scope: Scope,
    /// The operator environment of the publisher's API key.
    pub environment: Environment,
}

/// Makes record keys. Cloning is cheap, and so is making a key: the HMAC is keyed already.
#[derive(Clone)]
pub struct Keys(Hmac<Sha256>);

impl Keys {
    pub(super) fn new(index_key: &Secret<[u8; 32]>) -> Self {
        Self(keyed(index_key))
    }

    /// The key of a publisher's own user id.
    pub fn user(&self, tenant: &Tenant<'_>, user_id: &[u8]) -> RecordKey {
        self.derive(tenant, KIND_USER, user_id)
    }

    /// The key of a hashed e-mail address or phone number.
    pub fn dii(&self, tenant: &Tenant<'_>, digest: &[u8; 32], kind: DiiKind) -> RecordKey {
        let kind = match kind {
            DiiKind::Email => KIND_EMAIL,
            DiiKind::Phone => KIND_PHONE,
        };
        self.derive(tenant, kind, digest)
    }

    /// The key of a user who is known by an identity provider's word alone.
    pub fn subject(&self, tenant: &Tenant<'_>, issuer: &str, subject: &str) -> RecordKey {
        let mut value = Vec::with_capacity(8 + issuer.len() + subject.len());
        value.extend_from_slice(&(issuer.len() as u64).to_le_bytes());
        value.extend_from_slice(issuer.as_bytes());
        value.extend_from_slice(subject.as_bytes());
        self.derive(tenant, KIND_SUBJECT, &value)
    }

    /// A key that stands for an ID token; nothing is kept under it.
    pub fn id_token(&self, tenant: &Tenant<'_>, token: &[u8]) -> RecordKey {
        self.derive(tenant, KIND_ID_TOKEN, token)
    }

    /// A key that stands for a token in a browser's cookie; nothing is kept under it but that its user opted out.
    pub fn cookie(&self, tenant: &Tenant<'_>, token: &[u8]) -> RecordKey {
        self.derive(tenant, KIND_COOKIE, token)
    }

    /// A key for work about the markers of another key.
    pub fn marker(&self, of: &RecordKey) -> RecordKey {
        let mut bytes = of.0;
        for byte in &mut bytes {
            *byte = !*byte;
        }
        RecordKey(bytes)
    }

    /// Four fixed bytes, then the two fields of free length, each behind its length: no two inputs look the same.
    fn derive(&self, tenant: &Tenant<'_>, kind: u8, value: &[u8]) -> RecordKey {
        let mut mac = self.0.clone();
        mac.update(&[DOMAIN, tenant.scope.bit(), environment_byte(tenant.environment), kind]);
        mac.update(&(tenant.publisher.len() as u64).to_le_bytes());
        mac.update(tenant.publisher.as_bytes());
        mac.update(&(value.len() as u64).to_le_bytes());
        mac.update(value);
        RecordKey(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[keys]")
    }
}

/// An HMAC with its key already in.
pub(super) fn keyed(key: &Secret<[u8; 32]>) -> Hmac<Sha256> {
    Hmac::new_from_slice(key.expose()).expect("HMAC takes keys of any length")
}

/// The letter as one byte.
pub(super) const fn environment_byte(environment: Environment) -> u8 {
    match environment {
        Environment::Local => b'L',
        Environment::Test => b'T',
        Environment::Integration => b'I',
        Environment::Production => b'P',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: Tenant<'_> =
        Tenant { publisher: "acme", scope: Scope::Uid2, environment: Environment::Local };

    fn keys(byte: u8) -> Keys {
        Keys::new(&Secret::new([byte; 32]))
    }

    #[test]
    fn every_part_of_the_name_counts() {
        let keys_7 = keys(7);
        let base = keys_7.user(&ACME, b"u1");
        assert_eq!(base, keys(7).user(&ACME, b"u1"));
        let others = [
            keys(8).user(&ACME, b"u1"),
            keys_7.user(&ACME, b"u2"),
            keys_7.user(&Tenant { publisher: "acm", ..ACME }, b"u1"),
            keys_7.user(&Tenant { scope: Scope::Euid, ..ACME }, b"u1"),
            keys_7.user(&Tenant { environment: Environment::Production, ..ACME }, b"u1"),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn kinds_of_identifier_never_meet() {
        let keys = keys(7);
        let digest = [9; 32];
        let email = keys.dii(&ACME, &digest, DiiKind::Email);
        let phone = keys.dii(&ACME, &digest, DiiKind::Phone);
        assert_ne!(email, phone);
        assert_ne!(email, keys.user(&ACME, &digest));
        assert_ne!(phone, keys.user(&ACME, &digest));
    }

    #[test]
    fn an_issuer_does_not_run_into_its_subject() {
        let keys = keys(7);
        assert_ne!(keys.subject(&ACME, "https://a", "b1"), keys.subject(&ACME, "https://ab", "1"));
        assert_ne!(keys.subject(&ACME, "", "u1"), keys.user(&ACME, b"u1"));
        assert_ne!(keys.id_token(&ACME, b"u1"), keys.user(&ACME, b"u1"));
        assert_ne!(keys.cookie(&ACME, b"u1"), keys.user(&ACME, b"u1"));
        assert_ne!(keys.cookie(&ACME, b"u1"), keys.id_token(&ACME, b"u1"));
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let keys = keys(7);
        let ab = keys.user(&Tenant { publisher: "a", ..ACME }, b"bc");
        let abc = keys.user(&Tenant { publisher: "ab", ..ACME }, b"c");
        assert_ne!(ab, abc);
    }

    #[test]
    fn debug_texts_show_nothing() {
        assert_eq!(format!("{:?} {:?}", keys(1), keys(1).user(&ACME, b"u1")), "[keys] [record key]");
    }
}
