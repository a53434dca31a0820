//! How often a gateway allocates for an ad request, over real sockets, with all that it is made of.
//!
//! `cargo bench --bench allocations` prints it, and fails above the limit; so does `-- --test`, which does the same.

mod loopback;
mod settings;

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use self::loopback::Loopback;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What an auction with one SSP may take in the steady state.
const LIMIT: f64 = 30.0;

#[expect(clippy::print_stdout, reason = "the figure is what this is for")]
fn main() -> ExitCode {
    let [one, three] = [1, 3].map(allocations);
    println!("allocations of an auction: {one:.2} with one SSP (limit {LIMIT}), {three:.2} with three");
    if one > LIMIT { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Allocations of one auction in the steady state: the difference between N and 2 N of them.
fn allocations(ssps: usize) -> f64 {
    const LAPS: u32 = 500;
    let mut loopback = Loopback::start(ssps, &body());
    loopback.auctions(200);
    let mut count = |laps: u32| {
        let before = ALLOCATOR.stats();
        loopback.auctions(laps as usize);
        let after = ALLOCATOR.stats();
        (after.allocations - before.allocations) + (after.reallocations - before.reallocations)
    };
    let (once, twice) = (count(LAPS), count(2 * LAPS));
    loopback.stop();
    let more = u32::try_from(twice.saturating_sub(once)).unwrap_or(u32::MAX);
    f64::from(more) / f64::from(LAPS)
}

/// With so much time that a busy machine changes nothing.
fn body() -> bytes::Bytes {
    let path = format!("{}/fixtures/openrtb/web-banner-2k.json", env!("CARGO_MANIFEST_DIR"));
    let body = std::fs::read_to_string(path).expect("the corpus is part of the repository");
    body.replace(r#""tmax":350"#, r#""tmax":5000"#).into()
}
