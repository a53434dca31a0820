//! Makes the bid requests of `fixtures/openrtb` part of the program, so that `demo` runs from the binary alone, and
//! tells it the commit it was built from.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/openrtb");
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=.git/logs/HEAD");
    println!("cargo::rustc-env=UID2GW_COMMIT={}", commit());
    let mut source = String::from("static EMBEDDED: &[(&str, &[u8])] = &[\n");
    for path in requests(&folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(source, "    ({name:?}, include_bytes!({:?})),", path.display().to_string())
            .map_err(io::Error::other)?;
    }
    source.push_str("];\n");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(Path::new(&out).join("corpus.rs"), source)
}

/// The short hash of the checkout, `unknown` outside of one (a package has no history).
fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok();
    let told = output.filter(|output| output.status.success()).map(|output| output.stdout);
    let hash = told.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    if hash.trim().is_empty() { String::from("unknown") } else { hash.trim().to_owned() }
}

/// The request files under `folder` in order of their names; none when there is no such folder.
fn requests(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = fs::read_dir(folder)?.map(|item| Ok(item?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(requests(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "ndjson") {
            files.push(path);
        }
    }
    Ok(files)
}
