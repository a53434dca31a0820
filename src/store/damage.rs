//! A database that is damaged: told from one that cannot be read just now, and set aside, so that a damaged file costs
//! logins and never the start. Opt-outs stand elsewhere and stop the start instead (`optout_log`).

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::time::UnixMillis;

use super::error::StoreError;
use super::files::{exists, sync_dir};

/// Whether the files themselves are wrong. Not so: what may be right the next time (permissions, a full disk), or is right for
/// another version of this program.
pub(super) fn is_damage(error: &fjall::Error) -> bool {
    match error {
        fjall::Error::Io(error) => is_lost(error),
        fjall::Error::Storage(inner) => {
            let io = inner.source().and_then(|source| source.downcast_ref::<io::Error>());
            io.is_none_or(is_lost)
        }
        fjall::Error::JournalRecovery(_)
        | fjall::Error::InvalidVersion(None)
        | fjall::Error::Decompress(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::Unrecoverable => true,
        _ => false,
    }
}

/// A file is gone, ends too soon, or holds something else; or what should be made anew is there.
fn is_lost(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), NotFound | UnexpectedEof | InvalidData | AlreadyExists)
}

/// Gives the directory another name beside its own, and says so.
pub(super) fn set_aside(path: &Path, why: &StoreError, now: UnixMillis) -> Result<(), StoreError> {
    let aside = free_name(path, now)?;
    std::fs::rename(path, &aside).map_err(|e| StoreError::io(path, &e))?;
    path.parent().map_or(Ok(()), sync_dir)?;
    tracing::error!(
        error = %why,
        set_aside = %aside.display(),
        "the identity database is damaged: it was set aside and an empty one is made; users are unknown until they log in \
         again, opt-outs are kept. Restore a backup of the directory, or delete what was set aside"
    );
    Ok(())
}

fn free_name(path: &Path, now: UnixMillis) -> Result<PathBuf, StoreError> {
    for at in now.0.. {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{at}"));
        let name = PathBuf::from(name);
        if !exists(&name)? {
            return Ok(name);
        }
    }
    Err(StoreError::Broken("no name to set a damaged database aside under"))
}
