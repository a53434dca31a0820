//! The byte work of an ad request beside what others take for it: scan, edit, verdict and a look into the cache, against
//! a bare check of the grammar, a typed reading, and the usual way of working on trees (parse, change, print).
//!
//! `cargo bench --bench openrtb`; `-- --test` runs each once. All rows of a size are measured in one run with the
//! allocator of the product; only their ratios mean anything on a machine that has other things to do.

mod baseline;
mod path;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::de::IgnoredAny;
use uid2_gateway::openrtb::{BidRequest, Dialect, Edit, Limits, NewEid, Strip};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TOKEN: &str = concat!(
    "A4AAAABlICEiIyQlJicoKSoreoP5B3ANjhwAktwXfXw93eeM08N10ir73n5KlSf26ABuUtGTAxG1qLn3QpcB0V_TcekDTpTaT2b5R83fylJP-tZ8",
    "YdjTDXOaCyzj-zln6dO4BP_ZV7wGj_yCD-NjwUz4ohrfdajuf4155_9q8n2fQqePcgWDhu2X7BP1J08Jp1OaORD75XUsZ73mMAFht8TUSw"
);

const OURS: NewEid<'_> =
    NewEid { source: "uidapi.com", id: TOKEN, inserter: None, rti_partner: None, replace: false };
const EDIT: Edit<'_> = Edit {
    dialect: Dialect::V26,
    strip: Strip::Nothing,
    add: Some(OURS),
    remove_user_id: false,
    fill_gpc: false,
};

/// From 0.4 to 16 KB.
const CORPUS: [&str; 7] = [
    "web-banner-tiny",
    "web-banner-1k5",
    "web-banner-2k",
    "app-video-4k",
    "ctv-video-pretty-4k",
    "web-multi-imp-8k",
    "web-multi-imp-16k",
];

fn read(name: &str) -> Bytes {
    let path = format!("{}/fixtures/openrtb/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("the corpus is part of the repository").into()
}

fn openrtb(c: &mut Criterion) {
    let known = path::Known::new();
    for name in CORPUS {
        let body = read(name);
        let mut group = c.benchmark_group(format!("{name} ({} B)", body.len()));
        group.throughput(Throughput::Bytes(body.len() as u64));
        let mut row = |name: &str, work: &dyn Fn(&Bytes) -> bool| {
            if !work(&body) {
                // simd-json cannot hold the long integers of the pretty request: no row, rather than a wrong one.
                assert!(name.starts_with("simd-json"), "{name}");
                return;
            }
            group.bench_function(name, |b| b.iter(|| work(black_box(&body))));
        };
        row("scan", &|body| BidRequest::parse(body.clone(), &Limits::default()).is_ok());
        row("scan and splice", &|body| black_box(path::scan_and_splice(body)).is_some());
        row("scan, verdict, cache hit, splice", &|body| black_box(known.path(body)).is_some());
        let request = BidRequest::parse(body.clone(), &Limits::default()).expect("a bid request");
        row("guard", &|_| black_box(path::guard(black_box(&request))));
        row("serde_json validation", &|body| serde_json::from_slice::<IgnoredAny>(body).is_ok());
        row("serde_json borrowed struct", &|body| black_box(baseline::borrowed(body)).is_some());
        row("serde_json parse, edit, print", &|body| black_box(baseline::serde_json(body)).is_some());
        row("sonic-rs parse, edit, print", &|body| black_box(baseline::sonic(body)).is_some());
        row("simd-json parse, edit, print", &|body| black_box(baseline::simd(body)).is_some());
        group.finish();
    }
}

criterion_group!(benches, openrtb);
criterion_main!(benches);
