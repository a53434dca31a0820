//! Bid requests from disk, in a fixed order, byte for byte.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;

use super::envelope;

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Path within the corpus, with the line for NDJSON: `web.json`, `app/mixed.ndjson:3`.
    pub name: String,
    /// The body as it stands in the file.
    pub body: Bytes,
    /// Its share in the mix.
    pub weight: u32,
    /// When it came, since the start of a recording.
    pub at: Option<Duration>,
    /// The user it belongs to, sent as `X-Publisher-User-Id`.
    pub user: Option<String>,
    /// What an SSP must find in it.
    pub expect: Option<Expect>,
    /// Its own headers.
    pub headers: HeaderMap,
}

/// What an SSP must find in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// A token of ours.
    Token,
    /// None.
    NoToken,
}

impl Entry {
    /// A body and nothing else.
    pub fn plain(name: String, body: Bytes) -> Self {
        Self { name, body, weight: 1, at: None, user: None, expect: None, headers: HeaderMap::new() }
    }
}

/// Request bodies; at least one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Corpus(Arc<[Entry]>);

/// Why there is no corpus.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it claims to be.
    #[error("{name}: {reason}")]
    Line {
        /// File and line.
        name: String,
        /// The member and what is wrong with it.
        reason: String,
    },
    /// An entry of a recording does not say when it came.
    #[error("{0}: has no at_us, hence cannot be played as recorded")]
    Untimed(String),
    /// No `.json` and no `.ndjson` file with content.
    #[error("{0}: no .json or .ndjson file with a request in it")]
    Empty(PathBuf),
}

impl Corpus {
    /// The `.json` files (one request each) and `.ndjson` files (one request or envelope a line, blank lines skipped) of
    /// a folder and its subfolders in order of their names, or one such file.
    pub fn load(path: &Path) -> Result<Self, CorpusError> {
        let mut entries = Vec::new();
        collect(path, path, &mut entries)?;
        Self::of(entries).ok_or_else(|| CorpusError::Empty(path.to_owned()))
    }

    /// The requests of `fixtures/openrtb`, which are part of the program.
    pub fn embedded() -> Result<Self, CorpusError> {
        let mut entries = Vec::new();
        for (name, file) in EMBEDDED {
            entries.extend(parsed(name, &Bytes::from_static(file))?);
        }
        Self::of(entries).ok_or_else(|| CorpusError::Empty("fixtures/openrtb".into()))
    }

    /// A corpus of these entries; `None` when there are none.
    pub fn of(entries: Vec<Entry>) -> Option<Self> {
        (!entries.is_empty()).then(|| Self(entries.into()))
    }

    /// All entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The same in the order of a recording, and when each came since the first.
    pub fn recorded(&self) -> Result<(Self, Vec<Duration>), CorpusError> {
        let came = |entry: &Entry| entry.at.ok_or_else(|| CorpusError::Untimed(entry.name.clone()));
        let mut entries = self.0.to_vec();
        let all = entries.iter().map(came).collect::<Result<Vec<Duration>, _>>()?;
        let first = all.iter().min().copied().unwrap_or_default();
        entries.sort_by_key(|entry| entry.at);
        let times = entries.iter().filter_map(|entry| entry.at?.checked_sub(first)).collect();
        Ok((Self(entries.into()), times))
    }
}

fn collect(root: &Path, path: &Path, entries: &mut Vec<Entry>) -> Result<(), CorpusError> {
    let unread = |source| CorpusError::Read { path: path.to_owned(), source };
    if path.is_dir() {
        // A link to a folder above, which would never end.
        let folder = fs::canonicalize(path).map_err(unread)?;
        let above = path.parent().filter(|_| path != root).map(fs::canonicalize);
        if above.is_some_and(|above| above.is_ok_and(|above| above.starts_with(&folder))) {
            return Ok(());
        }
        let items: io::Result<Vec<fs::DirEntry>> = fs::read_dir(path).and_then(Iterator::collect);
        let mut paths: Vec<PathBuf> = items.map_err(unread)?.into_iter().map(|item| item.path()).collect();
        paths.sort_unstable();
        return paths.iter().try_for_each(|path| collect(root, path, entries));
    }
    let within = path.strip_prefix(root).ok().filter(|within| !within.as_os_str().is_empty());
    let name = within.unwrap_or(Path::new(path.file_name().unwrap_or_default())).to_string_lossy();
    if is(&name, "json") || is(&name, "ndjson") {
        entries.extend(parsed(&name, &fs::read(path).map_err(unread)?.into())?);
    }
    Ok(())
}

fn is(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// The requests of one file.
fn parsed(name: &str, file: &Bytes) -> Result<Vec<Entry>, CorpusError> {
    if !is(name, "ndjson") {
        let blank = file.trim_ascii().is_empty();
        return Ok(if blank { vec![] } else { vec![Entry::plain(name.to_owned(), file.clone())] });
    }
    let lines = (1..).zip(file.split(|byte| *byte == b'\n'));
    let filled = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let entry = |(line, body): (usize, &[u8])| {
        let name = format!("{name}:{line}");
        envelope::entry(name.clone(), &file.slice_ref(body))
            .map_err(|reason| CorpusError::Line { name, reason })
    };
    filled.map(entry).collect()
}

// `EMBEDDED`: every request file of fixtures/openrtb, name and content, in order; written by build.rs.
include!(concat!(env!("OUT_DIR"), "/corpus.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    fn names(corpus: &Corpus) -> Vec<&str> {
        corpus.entries().iter().map(|e| e.name.as_str()).collect()
    }

    #[test]
    fn a_folder_is_read_in_order_and_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        write("c.json", "{ \"id\" : 1 }\n");
        write("a.ndjson", "{\"id\":2}\n\n  \n{\"id\":3}");
        write("b/x.json", "{}");
        write("notes.txt", "{}");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/loop")).unwrap();
        write("empty.json", " \n");
        let corpus = Corpus::load(folder.path()).unwrap();
        assert_eq!(names(&corpus), ["a.ndjson:1", "a.ndjson:4", "b/x.json", "c.json"]);
        assert_eq!(corpus.entries()[0].body, "{\"id\":2}");
        assert_eq!(corpus.entries()[3].body, "{ \"id\" : 1 }\n");
        assert_eq!(names(&Corpus::load(&folder.path().join("b/x.json")).unwrap()), ["x.json"]);
    }

    #[test]
    fn the_embedded_requests_are_those_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/openrtb");
        let bodies = |corpus: Result<Corpus, CorpusError>| -> Vec<Bytes> {
            corpus.map(|corpus| corpus.entries().iter().map(|e| e.body.clone()).collect()).unwrap_or_default()
        };
        assert_eq!(bodies(Corpus::embedded()), bodies(Corpus::load(&folder)));
    }

    #[test]
    fn a_recording_is_played_in_its_order_from_its_first_request() {
        let entry = |at_ms| Entry {
            at: Some(Duration::from_millis(at_ms)),
            ..Entry::plain(format!("{at_ms}"), Bytes::from_static(b"{}"))
        };
        let corpus = Corpus::of(vec![entry(900), entry(500), entry(500), entry(700)]).unwrap();
        let (ordered, times) = corpus.recorded().unwrap();
        assert_eq!(names(&ordered), ["500", "500", "700", "900"]);
        assert_eq!(times, [0, 0, 200, 400].map(Duration::from_millis));
        let untimed = Corpus::of(vec![entry(1), Entry::plain("x".to_owned(), Bytes::new())]).unwrap();
        assert_eq!(
            untimed.recorded().unwrap_err().to_string(),
            "x: has no at_us, hence cannot be played as recorded"
        );
    }

    #[test]
    fn a_faulty_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.ndjson");
        fs::write(&file, "{}\n\n{\"uid2gw_replay\":9,\"body\":{}}\n").unwrap();
        let error = Corpus::load(&file).unwrap_err().to_string();
        assert_eq!(error, "a.ndjson:3: uid2gw_replay: version 9 is not known, only 1");
    }

    #[test]
    fn nothing_to_send_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Corpus::load(folder.path()), Err(CorpusError::Empty(_))));
        assert!(matches!(Corpus::load(&folder.path().join("no.json")), Err(CorpusError::Read { .. })));
        assert!(Corpus::of(vec![]).is_none());
    }
}
