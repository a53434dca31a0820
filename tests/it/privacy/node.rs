//! Runs `decode.mjs` over many strings at once, with the IAB's JavaScript libraries, which it installs once.
//!
//! Without node, npm or the registry the test says `skipped: …` and passes, unless `UID2GW_REQUIRE_PEERS=1`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::repository;

/// What the libraries read, in the order of `strings` (kind and text). `None`: skipped.
pub(super) fn decode(strings: &[(&str, String)]) -> Option<Vec<Value>> {
    let folder = match install() {
        Ok(folder) => folder,
        Err(why) => {
            let required = std::env::var_os("UID2GW_REQUIRE_PEERS").is_some_and(|value| value == "1");
            assert!(!required, "the IAB's JavaScript libraries are required: {why}");
            // Not print!, which the test harness hides.
            writeln!(io::stderr(), "skipped: no IAB libraries for JavaScript: {why}").unwrap_or_default();
            return None;
        }
    };
    let work = tempfile::tempdir().unwrap();
    let (asked, said) = (work.path().join("strings"), work.path().join("answers"));
    let lines: Vec<String> =
        strings.iter().map(|(kind, text)| json!({ "kind": kind, "text": text }).to_string() + "\n").collect();
    fs::write(&asked, lines.concat()).unwrap();
    let mut command = Command::new("node");
    command.arg("decode.mjs").current_dir(folder);
    let output = command.stdin(File::open(asked).unwrap()).stdout(File::create(&said).unwrap()).output();
    let output = output.expect("node, which npm has just run on, starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = fs::read_to_string(said).unwrap();
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), strings.len());
    Some(answers)
}

/// A folder with the script and its libraries, under cargo's folder for test data; made again when either changes.
fn install() -> Result<PathBuf, String> {
    let own = repository("tests/it/privacy");
    let read = |name: &str| fs::read_to_string(own.join(name)).map_err(|fault| fault.to_string());
    let wanted = [read("package.json")?, read("decode.mjs")?];
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("iab-peers");
    fs::create_dir_all(&folder).map_err(|fault| fault.to_string())?;
    // Two test processes at once must not fill the same folder.
    let lock = File::create(folder.join("lock")).map_err(|fault| fault.to_string())?;
    lock.lock().map_err(|fault| fault.to_string())?;
    let ready = folder.join("ready");
    if fs::read_to_string(&ready).is_ok_and(|there| there == wanted.concat()) {
        return Ok(folder);
    }
    for (name, text) in ["package.json", "decode.mjs"].iter().zip(&wanted) {
        fs::write(folder.join(name), text).map_err(|fault| fault.to_string())?;
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]);
    let output = npm.current_dir(&folder).output().map_err(|fault| format!("npm: {fault}"))?;
    if !output.status.success() {
        return Err(format!("npm: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    fs::write(ready, wanted.concat()).map_err(|fault| fault.to_string())?;
    Ok(folder)
}
