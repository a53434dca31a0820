//! Files that are there whole or not at all, and that only we may read.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::StoreError;

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// Makes a directory and its parents, and makes them last. One that is there is left as it is.
pub(super) fn make_dir(path: &Path) -> Result<(), StoreError> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.exists()).collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIR_MODE).create(path).map_err(|e| StoreError::io(path, &e))?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync_dir)
}

/// Waits until the names in a directory are on the disk.
pub(super) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|e| StoreError::io(path, &e))
}

/// Writes a file under another name, then gives it its own: a reader sees the old content or the new.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".tmp");
    let draft = PathBuf::from(draft);
    put(&draft, bytes).map_err(|e| StoreError::io(&draft, &e))?;
    std::fs::rename(&draft, path).map_err(|e| StoreError::io(path, &e))?;
    path.parent().map_or(Ok(()), sync_dir)
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = ours().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Takes the directory for this process, until the file is dropped (or the process ends, however it ends).
pub(super) fn lock_dir(path: &Path) -> Result<File, StoreError> {
    let name = path.join("lock");
    let file = ours()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(|e| StoreError::io(&name, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.to_owned())),
        Err(TryLockError::Error(e)) => Err(StoreError::io(&name, &e)),
    }
}

/// Options for a file nobody else may read.
pub(super) fn ours() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// Whether there is something of this name; a name we may not look at is an error, not an absence.
pub(super) fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|e| StoreError::io(path, &e))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_we_may_look() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("a/b");
        make_dir(&dir).unwrap();
        make_dir(&dir).unwrap();
        write_whole(&dir.join("file"), b"one").unwrap();
        write_whole(&dir.join("file"), b"two").unwrap();
        assert_eq!((mode(&base.path().join("a")), mode(&dir)), (0o700, 0o700));
        assert_eq!(mode(&dir.join("file")), 0o600);
        assert_eq!(std::fs::read(dir.join("file")).unwrap(), b"two");
        assert!(!exists(&dir.join("file.tmp")).unwrap());
    }

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock_dir(dir.path()).unwrap();
        assert_eq!(lock_dir(dir.path()).unwrap_err(), StoreError::Locked(dir.path().to_owned()));
        drop(held);
        lock_dir(dir.path()).unwrap();
    }
}
