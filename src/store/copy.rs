//! One store's contents into another: opt-outs first, so that nobody who opted out is ever there without their opt-out.
//!
//! Records are sealed anew under the target's encryption key. Their keys stay, so the target must have the source's index
//! key ([`Store::open_like`]). What the target holds and was written later stays: a copy that was cut short goes on where
//! it was, and one into a store that is in use takes nothing back.

use futures_util::future::try_join_all;

use super::Store;
use super::error::StoreError;
use super::key::RecordKey;
use super::offline::OptOut;
use super::optouts::By;
use super::record::{Expect, Written};

/// Under way at one time; far below the queue of a store.
const AT_ONCE: usize = 256;

/// What was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copied {
    /// Records written.
    pub records: u64,
    /// Records of which the target has a later one.
    pub newer: u64,
    /// Records that do not open, and were left behind.
    pub unreadable: u64,
    /// Opt-outs written.
    pub opt_outs: u64,
}

/// What became of one record.
enum Fate {
    Written,
    Newer,
    Unreadable,
    /// It ended or was removed meanwhile.
    Gone,
}

/// Copies everything; `progress` hears how many of how many records are done.
pub async fn copy(
    from: &Store,
    to: &Store,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Copied, StoreError> {
    let mut copied = Copied::default();
    for some in from.opt_outs()?.chunks(AT_ONCE) {
        try_join_all(some.iter().map(|opt_out| opt_out_like(to, *opt_out))).await?;
        copied.opt_outs += some.len() as u64;
    }
    let mut keys = Vec::new();
    // Not `for_each_key`: that one names opt-outs, too.
    let all = from.for_each_record(&mut |key, _| keys.push(key))?;
    for (nth, some) in keys.chunks(AT_ONCE).enumerate() {
        for fate in try_join_all(some.iter().map(|key| copy_one(from, to, *key))).await? {
            match fate {
                Fate::Written => copied.records += 1,
                Fate::Newer => copied.newer += 1,
                Fate::Unreadable => copied.unreadable += 1,
                Fate::Gone => {}
            }
        }
        progress((nth * AT_ONCE + some.len()) as u64, all);
    }
    Ok(copied)
}

async fn opt_out_like(to: &Store, OptOut { key, by, at, until }: OptOut) -> Result<(), StoreError> {
    match by {
        By::Operator => to.opt_out(vec![key], at, until).await,
        By::Site => to.site_opt_out(key, at).await,
    }
}

async fn copy_one(from: &Store, to: &Store, key: RecordKey) -> Result<Fate, StoreError> {
    let record = match from.read(key).await {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(Fate::Gone),
        Err(StoreError::Sealed(_) | StoreError::Record(_)) => return Ok(Fate::Unreadable),
        Err(fault) => return Err(fault),
    };
    let before = match to.read(key).await {
        Ok(Some(theirs)) if theirs.written >= record.written => return Ok(Fate::Newer),
        Ok(Some(theirs)) => Expect::Generation(theirs.generation),
        Ok(None) => Expect::Generation(0),
        Err(StoreError::Sealed(_) | StoreError::Record(_)) => Expect::Any,
        Err(fault) => return Err(fault),
    };
    match to.write(key, before, record.into()).await? {
        Written::Stored { .. } => Ok(Fate::Written),
        Written::Lost { .. } => Ok(Fate::Newer),
    }
}
