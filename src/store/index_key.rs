//! The file that keeps the index key: made once, sealed under the encryption key, sealed anew when that is rotated.
//!
//! Record keys are HMACs under it, so it outlives every encryption key: rotation never loses a record or an opt-out.

use std::path::Path;

use crate::secret::Secret;

use super::error::StoreError;
use super::files::write_whole;
use super::seal::{KeyRing, OVERHEAD, OpenError};

/// Name and version of the format; bound to the sealed key.
const MAGIC: &[u8; 8] = b"U2GWIX\0\x01";
const LENGTH: usize = MAGIC.len() + OVERHEAD + 32;

/// A key that was unwrapped.
pub(super) struct Opened {
    pub(super) key: Secret<[u8; 32]>,
    /// The same wrapped anew, when it was wrapped under a previous encryption key.
    pub(super) resealed: Option<Vec<u8>>,
}

/// Makes an index key and keeps it in `path`.
pub(super) fn create(path: &Path, ring: &KeyRing) -> Result<Secret<[u8; 32]>, StoreError> {
    let key = random()?;
    keep(path, ring, &key)?;
    Ok(key)
}

/// Opens the file with the current or a previous encryption key; in the second case seals it under the current.
pub(super) fn open(path: &Path, ring: &KeyRing) -> Result<Secret<[u8; 32]>, StoreError> {
    let file = std::fs::read(path).map_err(|e| StoreError::io(path, &e))?;
    let Opened { key, resealed } = unwrap(&file, ring, path)?;
    if let Some(resealed) = resealed {
        write_whole(path, &resealed)?;
        tracing::info!(path = %path.display(), "index key sealed under the new encryption key");
    }
    Ok(key)
}

/// Keeps `key` in `path`, sealed under the current encryption key.
pub(super) fn keep(path: &Path, ring: &KeyRing, key: &Secret<[u8; 32]>) -> Result<(), StoreError> {
    write_whole(path, &wrap(ring, key)?)
}

/// A new key.
pub(super) fn random() -> Result<Secret<[u8; 32]>, StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(bytes))
}

/// A key as it is kept.
pub(super) fn wrap(ring: &KeyRing, key: &Secret<[u8; 32]>) -> Result<Vec<u8>, StoreError> {
    let mut kept = MAGIC.to_vec();
    ring.seal(MAGIC, key.expose(), &mut kept)?;
    Ok(kept)
}

/// The key of what is kept in `place`, which errors name.
pub(super) fn unwrap(kept: &[u8], ring: &KeyRing, place: &Path) -> Result<Opened, StoreError> {
    let damaged = |reason| StoreError::IndexKeyDamaged { path: place.to_owned(), reason };
    if kept.len() != LENGTH {
        return Err(damaged("not of its proper length"));
    }
    let sealed = kept.strip_prefix(MAGIC).ok_or_else(|| damaged("not an index key file of version 1"))?;
    let plain = ring.open(MAGIC, sealed).map_err(|fault| match fault {
        OpenError::UnknownKey => StoreError::WrongKey(place.to_owned()),
        OpenError::Short | OpenError::Refused => damaged("does not pass its check"),
    })?;
    let bytes = plain.as_slice().try_into().map_err(|_| damaged("not of its proper length"))?;
    let key = Secret::new(bytes);
    let resealed = if ring.is_current(sealed) { None } else { Some(wrap(ring, &key)?) };
    Ok(Opened { key, resealed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(current: u8, previous: &[u8]) -> KeyRing {
        let previous: Vec<_> = previous.iter().map(|byte| Secret::new([*byte; 32])).collect();
        KeyRing::new(&Secret::new([current; 32]), &previous)
    }

    #[test]
    fn rotation_keeps_the_key_and_seals_it_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.key");
        let made = create(&path, &ring(1, &[])).unwrap();
        assert_eq!(open(&path, &ring(1, &[])).unwrap(), made);
        assert_eq!(open(&path, &ring(2, &[])), Err(StoreError::WrongKey(path.clone())));
        assert_eq!(open(&path, &ring(2, &[3, 1])).unwrap(), made);
        assert_eq!(open(&path, &ring(2, &[])).unwrap(), made);
        assert_eq!(open(&path, &ring(1, &[])), Err(StoreError::WrongKey(path)));
    }

    #[test]
    fn damage_is_not_mistaken_for_a_wrong_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index.key");
        create(&path, &ring(1, &[])).unwrap();
        let good = std::fs::read(&path).unwrap();
        let check = |bytes: &[u8], expected: &'static str| {
            std::fs::write(&path, bytes).unwrap();
            let reason = expected;
            let damaged = StoreError::IndexKeyDamaged { path: path.clone(), reason };
            assert_eq!(open(&path, &ring(1, &[])), Err(damaged));
        };
        check(&good[..good.len() - 1], "not of its proper length");
        check(&[&good[..], b"x"].concat(), "not of its proper length");
        let mut changed = good.clone();
        changed[7] = 2;
        check(&changed, "not an index key file of version 1");
        changed.clone_from(&good);
        *changed.last_mut().unwrap() ^= 1;
        check(&changed, "does not pass its check");
    }
}
