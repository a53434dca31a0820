//! What can go wrong in the store, said so that an operator knows what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::codec::CodecError;
use super::damage::is_damage;
use super::redis::UrlError;
use super::seal::OpenError;

/// A fault of the store. Faults while opening stop the start; faults of one operation cost that operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The queue to the store's threads is full; try again later.
    #[error("the store's queue is full")]
    Busy,
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// The work was given up because the thread doing it failed.
    #[error("the store gave up an operation: {0}")]
    Broken(&'static str),
    /// Neither the key nor a previous key opens this store.
    #[error(
        "{}: store.encryption_key does not open this store, nor does any of store.previous_keys; \
         use the key it was made with (the store is untouched)",
        .0.display()
    )]
    WrongKey(PathBuf),
    /// There is a store, but the key file all its record keys depend on is gone.
    #[error("{}: missing, but the store beside it holds data; restore this file from a backup", .0.display())]
    IndexKeyMissing(PathBuf),
    /// The key file cannot be what we wrote.
    #[error("{}: damaged ({reason}); restore this file from a backup", path.display())]
    IndexKeyDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Another process has the directory.
    #[error("{}: in use by another process", .0.display())]
    Locked(PathBuf),
    /// The operating system refused something.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The embedded database refused something.
    #[error("{}: database: {reason}", path.display())]
    Database {
        /// The directory of the database.
        path: PathBuf,
        /// The database's words.
        reason: String,
    },
    /// The database's files are not what the database wrote. At a start it is set aside; found later, that happens at the next.
    #[error("{}: damaged: {reason}", path.display())]
    Damaged {
        /// The directory of the database.
        path: PathBuf,
        /// The database's words.
        reason: String,
    },
    /// Nothing to look after.
    #[error("{}: there is no identity store here", .0.display())]
    NoStore(PathBuf),
    /// A copy into a store that has keys of its own: nobody would be found in it.
    #[error(
        "{}: the record keys of this store are its own (another index key); copy into an empty directory, or into a copy          that was made from the same store",
        .0.display()
    )]
    OtherIndexKey(PathBuf),
    /// The opt-out log is gone although the store beside it holds data.
    #[error(
        "{}: missing, but the store beside it holds data; restore this file from a backup, \
         for opt-outs cannot be asked for again",
        .0.display()
    )]
    OptOutLogMissing(PathBuf),
    /// The opt-out log is damaged elsewhere than in a half-written last entry.
    #[error(
        "{}: damaged at byte {offset}: {reason}; restore this file from a backup, \
         for opt-outs cannot be asked for again",
        path.display()
    )]
    OptOutLogDamaged {
        /// The log.
        path: PathBuf,
        /// Where the damaged entry starts.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// One record does not open; the others are not concerned.
    #[error("a record does not open: {0}")]
    Sealed(#[from] OpenError),
    /// One record opens but does not read; the others are not concerned.
    #[error("a record does not read: {0}")]
    Record(#[from] CodecError),
    /// Another index key than the one all record keys of this process are made with.
    #[error("{}: not the index key of this store; nobody would be found under it", .0.display())]
    IndexKeyChanged(PathBuf),
    /// Redis did not answer, or not as it should; what was asked for may have been done or not.
    #[error("redis: {0}")]
    Redis(String),
    /// A URL of Redis cannot be used. Never holds the URL.
    #[error("store.urls: {0}")]
    RedisUrl(#[from] UrlError),
    /// The system's random source failed.
    #[error("no random bytes: {0}")]
    Random(String),
}

impl StoreError {
    /// A store elsewhere does not answer. The store says so itself, once, and not for each question.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), reason: error.to_string() }
    }

    pub(super) fn database(path: &Path, error: &fjall::Error) -> Self {
        match error {
            fjall::Error::Locked => Self::Locked(path.to_owned()),
            damage if is_damage(damage) => {
                Self::Damaged { path: path.to_owned(), reason: damage.to_string() }
            }
            other => Self::Database { path: path.to_owned(), reason: other.to_string() },
        }
    }
}

impl From<getrandom::Error> for StoreError {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error.to_string())
    }
}
