//! `include = ["publishers.d/*.toml"]`: files with more publishers and SSPs, in the order of their names.

use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::faults::Source;
use super::reader::{At, Context};

/// Reads what the main file includes. A pattern without a `*` must name a file that is there.
pub(super) fn sources(root: &DeTable<'_>, main: &Source, path: &Path, context: &Context<'_>) -> Vec<Source> {
    let Some(value) = root.get("include") else { return Vec::new() };
    let base = path.parent().unwrap_or(Path::new(""));
    let mut sources = Vec::new();
    let fault =
        |offset: usize, reason: String| context.fault(At::File(main, offset).fault("include", reason));
    let Some(patterns) = value.get_ref().as_array() else {
        fault(value.span().start, "must be a list of file patterns".into());
        return sources;
    };
    for pattern in patterns {
        let offset = pattern.span().start;
        let Some(text) = pattern.get_ref().as_str() else {
            fault(offset, "must be a list of file patterns".into());
            continue;
        };
        // A file that is added changes its folder.
        context.depends_on(folder_of(&base.join(text)));
        match matching(base, text) {
            Ok(files) => {
                for file in files {
                    let name = file.display().to_string();
                    context.depends_on(&file);
                    match std::fs::read_to_string(&file) {
                        Ok(text) => sources.push(Source::new(name, text)),
                        Err(error) => fault(offset, format!("{name} cannot be read: {error}")),
                    }
                }
            }
            Err(error) => fault(offset, format!("{text}: {error}")),
        }
    }
    sources
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Files that a pattern names; `*` may stand in the last part only.
fn matching(base: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let full = base.join(pattern);
    let name = full.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else { return Ok(vec![full]) };
    let folder = folder_of(&full);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.file_name();
        let Some(found) = found.to_str() else { continue };
        if found.len() >= before.len() + after.len() && found.starts_with(before) && found.ends_with(after) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
