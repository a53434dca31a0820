//! Sealing: AES-256-GCM under a key derived from the store's encryption key and a random salt, for each text anew.
//!
//! ```text
//! key id 8 | salt 16 | nonce 12 | ciphertext n | tag 16
//! ```

use aes_gcm::aead::{AeadInOut, KeyInit, Nonce, Tag};
use aes_gcm::{Aes256Gcm, Key};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::secret::Secret;

use super::key::keyed;

const KEY_ID: usize = 8;
const SALT: usize = 16;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Bytes a sealed text has more than the text.
pub(super) const OVERHEAD: usize = KEY_ID + SALT + NONCE + TAG;

/// Why a sealed text does not open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Shorter than an empty text would be.
    #[error("too short to be a sealed text")]
    Short,
    /// Sealed under a key that is neither the current nor a previous one.
    #[error("sealed under a key this gateway does not have (store.encryption_key, store.previous_keys)")]
    UnknownKey,
    /// The tag does not match: damaged, or moved from where it was written.
    #[error("damaged, or not written for this place")]
    Refused,
}

/// The current encryption key and those before it.
pub(super) struct KeyRing {
    current: SealKey,
    previous: Vec<SealKey>,
}

struct SealKey {
    id: [u8; KEY_ID],
    mac: Hmac<Sha256>,
}

impl SealKey {
    fn new(key: &Secret<[u8; 32]>) -> Self {
        let mac = keyed(key);
        let mut named = mac.clone();
        named.update(b"key id");
        let full: [u8; 32] = named.finalize().into_bytes().into();
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&full[..KEY_ID]);
        Self { id, mac }
    }

    fn cipher(&self, salt: &[u8]) -> Aes256Gcm {
        let mut mac = self.mac.clone();
        mac.update(b"seal\x01");
        mac.update(salt);
        let derived: Zeroizing<[u8; 32]> = Zeroizing::new(mac.finalize().into_bytes().into());
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(*derived))
    }
}

impl KeyRing {
    /// `current` seals; `current` and `previous` open.
    pub(super) fn new(current: &Secret<[u8; 32]>, previous: &[Secret<[u8; 32]>]) -> Self {
        Self { current: SealKey::new(current), previous: previous.iter().map(SealKey::new).collect() }
    }

    /// Appends `plain`, sealed and bound to `aad`, to `out`.
    pub(super) fn seal(&self, aad: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), getrandom::Error> {
        let mut fresh = [0; SALT + NONCE];
        getrandom::fill(&mut fresh)?;
        let (salt, nonce) = fresh.split_at(SALT);
        out.reserve(plain.len() + OVERHEAD);
        out.extend_from_slice(&self.current.id);
        out.extend_from_slice(&fresh);
        let start = out.len();
        out.extend_from_slice(plain);
        let tag = self
            .current
            .cipher(salt)
            .encrypt_inout_detached(&nonce_of(nonce), aad, (&mut out[start..]).into())
            .expect("a record is far below the 64 GiB one nonce may cover");
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens what [`KeyRing::seal`] made with the same `aad`.
    pub(super) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (id, rest) = sealed.split_at_checked(KEY_ID).ok_or(OpenError::Short)?;
        let (salt, rest) = rest.split_at_checked(SALT).ok_or(OpenError::Short)?;
        let (nonce, rest) = rest.split_at_checked(NONCE).ok_or(OpenError::Short)?;
        let text = rest.len().checked_sub(TAG).ok_or(OpenError::Short)?;
        let (text, tag) = rest.split_at(text);
        let tag = Tag::<Aes256Gcm>::try_from(tag).map_err(|_| OpenError::Short)?;
        let key = self.find(id).ok_or(OpenError::UnknownKey)?;
        let mut plain = Zeroizing::new(text.to_vec());
        key.cipher(salt)
            .decrypt_inout_detached(&nonce_of(nonce), aad, plain.as_mut_slice().into(), &tag)
            .map_err(|_| OpenError::Refused)?;
        Ok(plain)
    }

    /// Whether `sealed` names the current key.
    pub(super) fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.starts_with(&self.current.id)
    }

    fn find(&self, id: &[u8]) -> Option<&SealKey> {
        std::iter::once(&self.current).chain(&self.previous).find(|key| key.id == id)
    }
}

fn nonce_of(bytes: &[u8]) -> Nonce<Aes256Gcm> {
    Nonce::<Aes256Gcm>::try_from(bytes).expect("split at the nonce's length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(current: u8, previous: &[u8]) -> KeyRing {
        let previous: Vec<_> = previous.iter().map(|byte| Secret::new([*byte; 32])).collect();
        KeyRing::new(&Secret::new([current; 32]), &previous)
    }

    fn sealed(ring: &KeyRing, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        ring.seal(b"place", plain, &mut out).unwrap();
        out
    }

    #[test]
    fn what_is_sealed_opens_only_in_its_place() {
        let ring = ring(1, &[]);
        let bytes = sealed(&ring, b"secret");
        assert_eq!(bytes.len(), 6 + OVERHEAD);
        assert_eq!(*ring.open(b"place", &bytes).unwrap(), b"secret");
        assert_eq!(ring.open(b"elsewhere", &bytes), Err(OpenError::Refused));
    }

    #[test]
    fn the_same_text_never_looks_the_same() {
        let ring = ring(1, &[]);
        assert_ne!(sealed(&ring, b"secret"), sealed(&ring, b"secret"));
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let ring = ring(1, &[]);
        let bytes = sealed(&ring, b"secret");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(ring.open(b"place", &changed).is_err(), "byte {at}");
        }
        for length in 0..OVERHEAD {
            assert_eq!(ring.open(b"place", &bytes[..length]), Err(OpenError::Short));
        }
    }

    #[test]
    fn previous_keys_open_but_do_not_seal() {
        let old = sealed(&ring(1, &[]), b"secret");
        let rotated = ring(2, &[1]);
        assert_eq!(*rotated.open(b"place", &old).unwrap(), b"secret");
        assert!(!rotated.is_current(&old));
        assert!(rotated.is_current(&sealed(&rotated, b"secret")));
        assert_eq!(ring(2, &[]).open(b"place", &old), Err(OpenError::UnknownKey));
    }
}
