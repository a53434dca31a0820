//! Bid requests from disk, in a fixed order, byte for byte.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

/// One request body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// File name, with the line for NDJSON: `web.json`, `mixed.ndjson:3`.
    pub name: String,
    /// The body as it stands in the file.
    pub body: Bytes,
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
    /// No `.json` and no `.ndjson` file with content.
    #[error("{0}: no .json or .ndjson file with a request in it")]
    Empty(PathBuf),
}

impl Corpus {
    /// The `.json` files (one request each) and `.ndjson` files (one request a line, blank lines skipped) of a folder
    /// and its subfolders in order of their names, or one such file.
    pub fn load(path: &Path) -> Result<Self, CorpusError> {
        let mut entries = Vec::new();
        collect(path, &mut entries).map_err(|(path, source)| CorpusError::Read { path, source })?;
        Self::of(entries).ok_or_else(|| CorpusError::Empty(path.to_owned()))
    }

    /// The requests of `fixtures/openrtb`, which are part of the program.
    pub fn embedded() -> Result<Self, CorpusError> {
        let files = EMBEDDED.iter().map(|(name, file)| parsed(name, &Bytes::from_static(file)));
        Self::of(files.flatten().collect()).ok_or_else(|| CorpusError::Empty("fixtures/openrtb".into()))
    }

    /// A corpus of these entries; `None` when there are none.
    pub fn of(entries: Vec<Entry>) -> Option<Self> {
        (!entries.is_empty()).then(|| Self(entries.into()))
    }

    /// All entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The entry of the `number`-th request: the corpus over and over.
    pub fn pick(&self, number: u64) -> &Entry {
        let count = u64::try_from(self.0.len()).unwrap_or(u64::MAX);
        let index = usize::try_from(number % count).unwrap_or(0);
        self.0.get(index).expect("the remainder lies below the length, and a corpus is never empty")
    }
}

type Unread = (PathBuf, io::Error);

fn collect(path: &Path, entries: &mut Vec<Entry>) -> Result<(), Unread> {
    let unread = |fault| (path.to_owned(), fault);
    if path.is_dir() {
        let items: io::Result<Vec<fs::DirEntry>> = fs::read_dir(path).and_then(Iterator::collect);
        let mut paths: Vec<PathBuf> = items.map_err(unread)?.into_iter().map(|item| item.path()).collect();
        paths.sort_unstable();
        return paths.iter().try_for_each(|path| collect(path, entries));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if is(&name, "json") || is(&name, "ndjson") {
        entries.extend(parsed(&name, &fs::read(path).map_err(unread)?.into()));
    }
    Ok(())
}

fn is(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// The requests of one file.
fn parsed(name: &str, file: &Bytes) -> Vec<Entry> {
    let mut entries: Vec<Entry> = if is(name, "ndjson") {
        let lines = (1..).zip(file.split(|byte| *byte == b'\n'));
        lines
            .map(|(line, body)| Entry { name: format!("{name}:{line}"), body: file.slice_ref(body) })
            .collect()
    } else {
        vec![Entry { name: name.to_owned(), body: file.clone() }]
    };
    entries.retain(|entry| !entry.body.trim_ascii().is_empty());
    entries
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
        write("empty.json", " \n");
        let corpus = Corpus::load(folder.path()).unwrap();
        assert_eq!(names(&corpus), ["a.ndjson:1", "a.ndjson:4", "x.json", "c.json"]);
        assert_eq!(corpus.pick(0).body, "{\"id\":2}");
        assert_eq!(corpus.pick(7).body, "{ \"id\" : 1 }\n");
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
    fn nothing_to_send_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Corpus::load(folder.path()), Err(CorpusError::Empty(_))));
        assert!(matches!(Corpus::load(&folder.path().join("no.json")), Err(CorpusError::Read { .. })));
        assert!(Corpus::of(vec![]).is_none());
    }
}
