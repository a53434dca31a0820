//! The key of all record keys: made once by whoever comes first, wrapped by the encryption key, read by everybody.

use std::path::PathBuf;

use redis::cmd;

use super::super::error::StoreError;
use super::super::index_key::{self, Opened};
use super::super::opening::Opening;
use super::opt_outs::BUCKETS;
use super::{Shared, names};
use crate::secret::Secret;

/// The index key of a Redis: the one that is there, or a new one.
///
/// Where it is missing although there are opt-outs or changes, somebody lost it, and a new one would find nobody.
pub(super) async fn obtain(shared: &Shared, opening: &Opening) -> Result<Secret<[u8; 32]>, StoreError> {
    let wanted = opening.index_key();
    if let Some(key) = there(shared).await? {
        let fits = wanted.is_none_or(|wanted| wanted == key);
        return if fits { Ok(key) } else { Err(StoreError::OtherIndexKey(place())) };
    }
    if opening.is_of_what_is_there() {
        return Err(StoreError::NoStore(place()));
    }
    if holds_data(shared).await? {
        return Err(StoreError::IndexKeyMissing(place()));
    }
    let key = wanted.map_or_else(index_key::random, Ok)?;
    put_if_missing(shared, &key).await?;
    // Of two gateways that start at once, the first to write counts.
    there(shared).await?.ok_or_else(|| StoreError::Redis(String::from("the index key did not stay")))
}

/// After a fail-over or a loss: the key is there again, and is still the same.
pub(super) async fn assure(shared: &Shared, ours: &Secret<[u8; 32]>) -> Result<(), StoreError> {
    put_if_missing(shared, ours).await?;
    match there(shared).await? {
        Some(key) if key == *ours => Ok(()),
        _ => Err(StoreError::IndexKeyChanged(place())),
    }
}

async fn there(shared: &Shared) -> Result<Option<Secret<[u8; 32]>>, StoreError> {
    let kept: Option<Vec<u8>> = shared.main.ask(cmd("GET").arg(names::INDEX)).await?;
    let Some(kept) = kept else { return Ok(None) };
    let Opened { key, resealed } = index_key::unwrap(&kept, &shared.ring, &place())?;
    if let Some(resealed) = resealed {
        // Everybody who rotates writes the same key, so it counts nothing who is last.
        shared.main.ask::<()>(cmd("SET").arg(names::INDEX).arg(resealed)).await?;
        tracing::info!("index key in Redis sealed under the new encryption key");
    }
    Ok(Some(key))
}

async fn put_if_missing(shared: &Shared, key: &Secret<[u8; 32]>) -> Result<(), StoreError> {
    let sealed = index_key::wrap(&shared.ring, key)?;
    shared.main.ask::<redis::Value>(cmd("SET").arg(names::INDEX).arg(sealed).arg("NX")).await.map(|_| ())
}

async fn holds_data(shared: &Shared) -> Result<bool, StoreError> {
    let hashes = (0..BUCKETS).map(names::bucket);
    for name in hashes.chain([names::CHANGES.to_owned()]) {
        if shared.main.ask::<u64>(cmd("EXISTS").arg(name)).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How errors name the place.
fn place() -> PathBuf {
    PathBuf::from("redis uid2gw:index")
}
