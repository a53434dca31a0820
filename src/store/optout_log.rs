//! The opt-out log: entries of fixed size, each with its checksum, only ever added to.
//!
//! ```text
//! header  magic 8 | entry size 4 | crc32 of the 12 bytes before 4
//! entry   mark 0xA7 | kind (operator 1 add, 2 remove; site 3 add, 4 remove) | 0 0 | record key 32 | at 8 | until 8 | crc32 of the 52 bytes before 4
//! ```
//!
//! A power cut can leave part of the entry that was being added, or zeros where entries should stand (the file was
//! extended, its contents never came), and nobody was told those were kept: they are cut off with a warning. Anything
//! else that does not check is damage, and starting without those opt-outs would be worse than
//! not starting.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::time::UnixMillis;

use super::error::StoreError;
use super::files::{ours, write_whole};
use super::key::RecordKey;
use super::optouts::{By, OptOuts};

const MAGIC: &[u8; 8] = b"U2GWOPT\x01";
const HEADER: usize = 16;
const ENTRY: usize = 56;
const ENTRY_SIZE: u32 = 56;
const MARK: u8 = 0xA7;

/// What an entry says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Add = 1,
    Remove = 2,
    SiteAdd = 3,
    SiteRemove = 4,
}

/// One line of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) key: RecordKey,
    /// When the opt-out became known.
    pub(super) at: UnixMillis,
    /// Until when it holds.
    pub(super) until: UnixMillis,
}

impl Entry {
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[MARK, self.kind as u8, 0, 0]);
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(&self.at.0.to_le_bytes());
        out.extend_from_slice(&self.until.0.to_le_bytes());
        let sum = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&sum.to_le_bytes());
    }

    fn read(bytes: &[u8; ENTRY]) -> Result<Self, &'static str> {
        let (body, sum) = bytes.split_at(ENTRY - 4);
        if crc32fast::hash(body).to_le_bytes() != sum {
            return Err("the entry's checksum does not match");
        }
        let kind = match bytes {
            [MARK, 1, 0, 0, ..] => Kind::Add,
            [MARK, 2, 0, 0, ..] => Kind::Remove,
            [MARK, 3, 0, 0, ..] => Kind::SiteAdd,
            [MARK, 4, 0, 0, ..] => Kind::SiteRemove,
            _ => return Err("not an entry this version knows"),
        };
        let (key, times) = body[4..].split_first_chunk().ok_or("too short")?;
        let (at, until) = times.split_first_chunk().ok_or("too short")?;
        let until = until.first_chunk().ok_or("too short")?;
        let time = |bytes: &[u8; 8]| UnixMillis(i64::from_le_bytes(*bytes));
        Ok(Self { kind, key: RecordKey::from_bytes(*key), at: time(at), until: time(until) })
    }
}

/// A log that was read.
pub(super) struct Read {
    file: File,
    /// Bytes that are whole.
    length: u64,
    /// Bytes of an end that is not.
    torn: u64,
}

/// The log, open for adding.
pub(super) struct OptOutLog {
    path: PathBuf,
    file: File,
    /// Length of what is known to be whole.
    length: u64,
    /// After a failed flush, or half a write that stayed, only reading the file again tells what it holds.
    broken: bool,
}

impl OptOutLog {
    /// Makes an empty log.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        write_whole(path, &header())?;
        let file = ours().read(true).write(true).open(path).map_err(|e| StoreError::io(path, &e))?;
        Ok(Self { path: path.to_owned(), file, length: HEADER as u64, broken: false })
    }

    /// Reads a log into `optouts`, leaving out what ended by `now`.
    pub(super) fn load(path: &Path, optouts: &OptOuts, now: UnixMillis) -> Result<Self, StoreError> {
        let Read { file, length, torn } = Self::read(path, &mut |entry| apply(entry, optouts, now))?;
        if torn > 0 {
            cut(&file, length, torn, path).map_err(|e| StoreError::io(path, &e))?;
        }
        Ok(Self { path: path.to_owned(), file, length, broken: false })
    }

    /// Reads a log, entry by entry, from the first to the last, and changes nothing.
    pub(super) fn read(path: &Path, visit: &mut dyn FnMut(&Entry)) -> Result<Read, StoreError> {
        let io = |e| StoreError::io(path, &e);
        let damaged = |offset, reason| StoreError::OptOutLogDamaged { path: path.to_owned(), offset, reason };
        let file = ours().read(true).write(true).open(path).map_err(io)?;
        let mut reader = BufReader::with_capacity(64 * 1024, &file);
        let mut head = [0; HEADER];
        if fill(&mut reader, &mut head).map_err(io)? < HEADER || head != header() {
            return Err(damaged(0, "not an opt-out log of version 1"));
        }
        let mut length = HEADER as u64;
        let mut bytes = [0; ENTRY];
        loop {
            match fill(&mut reader, &mut bytes).map_err(io)? {
                0 => break,
                ENTRY => match Entry::read(&bytes) {
                    Ok(entry) => visit(&entry),
                    Err(why) => {
                        let zeros = zeros_to_the_end(&bytes, &mut reader).map_err(io)?;
                        let torn = zeros.ok_or_else(|| damaged(length, why))?;
                        drop(reader);
                        return Ok(Read { file, length, torn });
                    }
                },
                torn => {
                    drop(reader);
                    return Ok(Read { file, length, torn: torn as u64 });
                }
            }
            length += ENTRY as u64;
        }
        drop(reader);
        Ok(Read { file, length, torn: 0 })
    }

    /// Whether it takes no more entries until it is loaded again.
    pub(super) fn broken(&self) -> bool {
        self.broken
    }

    /// Adds entries and returns when they are on the disk.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        if self.broken {
            let reason = String::from("an earlier write failed; restart to have the file checked");
            return Err(StoreError::Io { path: self.path.clone(), reason });
        }
        let mut bytes = Vec::with_capacity(entries.len() * ENTRY);
        for entry in entries {
            entry.write(&mut bytes);
        }
        if let Err(error) = self.file.write_all_at(&bytes, self.length) {
            // Cut off again, so that the next entry does not follow half of this one.
            self.broken = self.file.set_len(self.length).is_err();
            return Err(StoreError::io(&self.path, &error));
        }
        if let Err(error) = self.file.sync_data() {
            self.broken = true;
            return Err(StoreError::io(&self.path, &error));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn header() -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&ENTRY_SIZE.to_le_bytes());
    let sum = crc32fast::hash(&out[..12]);
    out[12..].copy_from_slice(&sum.to_le_bytes());
    out
}

fn apply(entry: &Entry, optouts: &OptOuts, now: UnixMillis) {
    match entry.kind {
        Kind::Add if entry.until > now => optouts.add(entry.key, By::Operator, entry.until),
        Kind::SiteAdd if entry.until > now => optouts.add(entry.key, By::Site, entry.until),
        Kind::Add | Kind::SiteAdd => {}
        Kind::Remove => optouts.remove(&entry.key, By::Operator),
        Kind::SiteRemove => optouts.remove(&entry.key, By::Site),
    }
}

/// Reads until `bytes` is full or the file ends; the number of bytes read.
fn fill(reader: &mut impl io::Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match reader.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// The length of `first` and all that follows, if there is nothing but zeros.
fn zeros_to_the_end(first: &[u8], reader: &mut impl io::Read) -> io::Result<Option<u64>> {
    let mut length = first.len() as u64;
    if first.iter().any(|byte| *byte != 0) {
        return Ok(None);
    }
    let mut bytes = [0; 4096];
    loop {
        let count = fill(reader, &mut bytes)?;
        if bytes[..count].iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        if count == 0 {
            return Ok(Some(length));
        }
        length += count as u64;
    }
}

fn cut(file: &File, length: u64, torn: u64, path: &Path) -> io::Result<()> {
    tracing::warn!(path = %path.display(), offset = length, bytes = torn, "opt-out log: cut off a half-written end");
    file.set_len(length)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::samples::key;
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000);

    fn entry(kind: Kind, byte: u8, until: i64) -> Entry {
        Entry { kind, key: key(byte), at: UnixMillis(500), until: UnixMillis(until) }
    }

    fn add(byte: u8) -> Entry {
        entry(Kind::Add, byte, 2_000)
    }

    /// A log with three entries, and its bytes.
    fn log() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("optouts.log");
        let mut log = OptOutLog::create(&path).unwrap();
        log.append(&[add(1), add(2)]).unwrap();
        log.append(&[add(3)]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), HEADER + 3 * ENTRY);
        (dir, path, bytes)
    }

    fn load(path: &Path) -> Result<(OptOutLog, Vec<u8>), StoreError> {
        let optouts = OptOuts::new();
        let log = OptOutLog::load(path, &optouts, NOW)?;
        Ok((log, (0..=255).filter(|byte| optouts.contains(&key(*byte), NOW)).collect()))
    }

    #[test]
    fn what_was_added_is_there_again() {
        let (_dir, path, _) = log();
        let (mut log, there) = load(&path).unwrap();
        assert_eq!(there, [1, 2, 3]);
        log.append(&[entry(Kind::Remove, 2, 0), entry(Kind::Add, 4, 1_000), entry(Kind::Add, 5, 1_001)])
            .unwrap();
        drop(log);
        assert_eq!(load(&path).unwrap().1, [1, 3, 5], "2 was removed, 4 has ended");
    }

    #[test]
    fn a_torn_last_entry_is_cut_off_whatever_its_length() {
        let (_dir, path, bytes) = log();
        for torn in 1..ENTRY {
            std::fs::write(&path, &bytes[..HEADER + 2 * ENTRY + torn]).unwrap();
            let (mut log, there) = load(&path).unwrap();
            assert_eq!(there, [1, 2], "{torn} bytes of the third");
            log.append(&[add(9)]).unwrap();
            drop(log);
            assert_eq!(load(&path).unwrap().1, [1, 2, 9]);
        }
    }

    #[test]
    fn zeros_up_to_the_end_are_cut_off_and_zeros_before_something_are_damage() {
        let (_dir, path, bytes) = log();
        for zeros in [1, ENTRY - 1, ENTRY, ENTRY + 1, 5 * ENTRY, 8192] {
            let extended = [&bytes[..], &vec![0; zeros]].concat();
            std::fs::write(&path, &extended).unwrap();
            let (mut log, there) = load(&path).unwrap();
            assert_eq!(there, [1, 2, 3], "{zeros} zeros");
            log.append(&[add(9)]).unwrap();
            drop(log);
            assert_eq!(load(&path).unwrap().1, [1, 2, 3, 9]);
            let hole = [&extended[..], &[1]].concat();
            std::fs::write(&path, &hole).unwrap();
            if zeros >= ENTRY {
                let damaged = load(&path).map(|(_, there)| there);
                assert!(
                    matches!(damaged, Err(StoreError::OptOutLogDamaged { offset: 184, .. })),
                    "{damaged:?}"
                );
                assert_eq!(std::fs::read(&path).unwrap(), hole, "left alone");
            }
        }
    }

    #[test]
    fn damage_anywhere_stops_and_names_the_place() {
        let (_dir, path, bytes) = log();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            std::fs::write(&path, &changed).unwrap();
            let start = at.checked_sub(HEADER).map_or(0, |at| HEADER + at / ENTRY * ENTRY);
            match load(&path).map(|(_, there)| there) {
                Err(StoreError::OptOutLogDamaged { offset, .. }) => assert_eq!(offset, start as u64),
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }

    #[test]
    fn damage_before_a_torn_entry_stops_and_leaves_the_file_alone() {
        let (_dir, path, mut bytes) = log();
        bytes[HEADER + 10] ^= 1;
        bytes.truncate(HEADER + 2 * ENTRY + 7);
        std::fs::write(&path, &bytes).unwrap();
        let text = load(&path).map(|(_, there)| there).unwrap_err().to_string();
        assert!(text.contains("optouts.log: damaged at byte 16: "), "{text}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn a_short_header_is_damage() {
        let (_dir, path, bytes) = log();
        for length in [0, HEADER - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(matches!(load(&path), Err(StoreError::OptOutLogDamaged { offset: 0, .. })));
        }
        std::fs::write(&path, &bytes[..HEADER]).unwrap();
        assert!(load(&path).unwrap().1.is_empty());
    }

    #[test]
    fn a_log_that_cannot_be_put_right_takes_nothing_more() {
        let path = PathBuf::from("/dev/full");
        let file = ours().write(true).open(&path).unwrap();
        let mut log = OptOutLog { path, file, length: HEADER as u64, broken: false };
        let first = log.append(&[add(1)]).unwrap_err().to_string();
        assert!(first.starts_with("/dev/full: No space left"), "{first}");
        assert!(
            log.broken() && log.append(&[add(1)]).unwrap_err().to_string().contains("earlier write failed")
        );
    }

    #[test]
    fn an_unknown_kind_with_a_right_checksum_is_damage_too() {
        let (_dir, path, mut bytes) = log();
        let body = HEADER..HEADER + ENTRY - 4;
        bytes[HEADER + 1] = 5;
        let sum = crc32fast::hash(&bytes[body.clone()]).to_le_bytes();
        bytes[body.end..body.end + 4].copy_from_slice(&sum);
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(load(&path), Err(StoreError::OptOutLogDamaged { offset: 16, .. })));
    }
}
