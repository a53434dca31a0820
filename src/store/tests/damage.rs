//! A damaged database costs logins, never the start and never an opt-out.

use super::*;

const OPTED_OUT: u8 = 200;

/// A store with records on the disk (not only in the journal) and an opt-out.
async fn filled() -> Bench {
    let bench = Bench::new();
    let store = bench.open();
    for some in [1..=50, 51..=100] {
        join_all(some.map(|byte| put(&store, byte))).await;
    }
    store.opt_out(vec![key(OPTED_OUT)], START, KEEP_UNTIL).await.unwrap();
    store.compact().unwrap();
    bench
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

fn set_aside(bench: &Bench) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(bench.path()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("db.damaged-")).collect()
}

/// Starts afresh, twice, with what was opted out still opted out and the damaged files beside.
async fn holds_up(bench: &Bench, what: &str) {
    let store = bench.try_open().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(store.opted_out(&key(OPTED_OUT), START), "{what}");
    assert_eq!(there(&store, 1..=100).await, Vec::<u8>::new(), "{what}: an empty one");
    assert_eq!(put(&store, 1).await, 1, "{what}");
    drop(store);
    let store = bench.open();
    assert_eq!(there(&store, [1]).await, [1], "{what}");
    let aside = set_aside(bench);
    assert_eq!(aside.len(), 1, "{what}: {aside:?}");
    assert!(!files(&aside[0]).is_empty(), "{what}");
}

#[tokio::test]
async fn files_of_nonsense() {
    let bench = filled().await;
    for file in files(&bench.path().join("db")) {
        std::fs::write(file, [0xFF; 64]).unwrap();
    }
    holds_up(&bench, "all files").await;
}

#[tokio::test]
async fn a_missing_version_file() {
    let bench = filled().await;
    std::fs::remove_file(bench.path().join("db/version")).unwrap();
    holds_up(&bench, "no version").await;
}

#[tokio::test]
async fn one_flipped_bit_in_the_largest_file_that_holds_records() {
    let bench = filled().await;
    let tables = files(&bench.path().join("db/keyspaces"));
    let largest = tables.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(largest).unwrap();
    assert!(bytes.len() > 50_000, "the records are in it: {} bytes", bytes.len());
    bytes[20_000] ^= 1;
    std::fs::write(largest, bytes).unwrap();
    holds_up(&bench, "one bit").await;
}

#[tokio::test]
async fn each_file_of_the_tables_cut_off_or_gone() {
    let count = files(&filled().await.path().join("db/keyspaces")).len();
    for nth in 0..count {
        for gone in [false, true] {
            let bench = filled().await;
            // How many files there are depends on when the database wrote its tables.
            let found = files(&bench.path().join("db/keyspaces")).into_iter().nth(nth);
            let Some(file) = found else { continue };
            let bytes = std::fs::read(&file).unwrap();
            if gone {
                std::fs::remove_file(&file).unwrap();
            } else {
                std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
            }
            let store = bench.try_open().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(store.opted_out(&key(OPTED_OUT), START), "{}", file.display());
            // What is left is all of it, or a fresh start; never a part that nobody was told of.
            let left = there(&store, 1..=100).await.len();
            assert!(
                left == 100 || (left == 0 && set_aside(&bench).len() == 1),
                "{} of 100 without {}: {:?}",
                left,
                file.display(),
                set_aside(&bench)
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_damage_is_left_as_it_is() {
    let bench = filled().await;
    std::fs::write(bench.path().join("db/version"), b"FJL\xFA").unwrap();
    let error = bench.try_open().unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "of another version of the program: {error}");
    assert!(set_aside(&bench).is_empty());
}
