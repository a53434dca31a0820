//! What the tests share: a stack of real servers on loopback, an HTTP client, bounded polls.

pub(crate) mod fleet;
pub(crate) mod http;
pub(crate) mod issuer;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod raw_peer;
pub(crate) mod redis;
pub(crate) mod scripted_ssp;
pub(crate) mod stack;

use std::path::{Path, PathBuf};

/// A file or folder of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The `.json` files of a folder of the repository, sorted.
pub(crate) fn json_files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    files
}

/// The gateway's own binary.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_uid2-gateway"))
}
