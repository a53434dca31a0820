//! Every seed of `fuzz/seeds` through the invariant of its fuzz target: what a fuzzer once found, or was given to start
//! from, is held without one.

use std::path::Path;

#[path = "../../fuzz/targets/answer.rs"]
pub(crate) mod answer;
#[path = "../../fuzz/targets/cookie.rs"]
mod cookie;
#[path = "../../fuzz/targets/envelope.rs"]
mod envelope;
#[path = "../../fuzz/targets/gpp.rs"]
mod gpp;
#[path = "../../fuzz/targets/guard.rs"]
mod guard;
#[path = "../../fuzz/targets/mask.rs"]
mod mask;
#[path = "../../fuzz/targets/merge.rs"]
pub(crate) mod merge;
#[path = "../../fuzz/targets/scan.rs"]
mod scan;
#[path = "../../fuzz/targets/splice.rs"]
mod splice;
#[path = "../../fuzz/targets/tcf.rs"]
mod tcf;

/// Seeds per target, and bytes of each: kept small, so that they can be read and run.
const MOST: usize = 40;
const LONGEST: usize = 2_048;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!((5..=MOST).contains(&seeds.len()), "{target} has {} seeds", seeds.len());
    for seed in seeds {
        let data = std::fs::read(&seed).unwrap();
        assert!(data.len() <= LONGEST, "{} has {} bytes", seed.display(), data.len());
        let held = std::panic::catch_unwind(|| check(&data));
        assert!(held.is_ok(), "{} breaks the invariant of {target}", seed.display());
    }
}

#[test]
fn scan_seeds() {
    replay("scan", scan::check);
}

#[test]
fn splice_seeds() {
    replay("splice", splice::check);
}

#[test]
fn merge_seeds() {
    replay("merge", merge::check);
}

#[test]
fn envelope_seeds() {
    replay("envelope", envelope::check);
}

#[test]
fn guard_seeds() {
    replay("guard", guard::check);
}

#[test]
fn mask_seeds() {
    replay("mask", mask::check);
}

#[test]
fn cookie_seeds() {
    replay("cookie", cookie::check);
}

#[test]
fn tcf_seeds() {
    replay("tcf", tcf::check);
}

#[test]
fn gpp_seeds() {
    replay("gpp", gpp::check);
}

#[test]
fn answer_seeds() {
    replay("answer", answer::check);
}
