//! The byte work of an ad request: scan, edit, and what the usual way (parse, change, print) would cost instead.
//!
//! `cargo bench --bench openrtb`; `-- --test` runs each once.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use uid2_gateway::openrtb::guard::{Watch, inspect};
use uid2_gateway::openrtb::{BidRequest, Dialect, Edit, Limits, NewEid, Strip, plan};

const TOKEN: &str = concat!(
    "A4AAAABlICEiIyQlJicoKSoreoP5B3ANjhwAktwXfXw93eeM08N10ir73n5KlSf26ABuUtGTAxG1qLn3QpcB0V_TcekDTpTaT2b5R83fylJP-tZ8",
    "YdjTDXOaCyzj-zln6dO4BP_ZV7wGj_yCD-NjwUz4ohrfdajuf4155_9q8n2fQqePcgWDhu2X7BP1J08Jp1OaORD75XUsZ73mMAFht8TUSw"
);

const EDIT: Edit<'_> = Edit {
    dialect: Dialect::V26,
    strip: Strip::Nothing,
    add: Some(NewEid { source: "uidapi.com", id: TOKEN, inserter: None, rti_partner: None, replace: false }),
    remove_user_id: false,
    fill_gpc: false,
};

fn corpus() -> Vec<(String, Bytes)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/openrtb");
    let mut files: Vec<(String, Bytes)> = std::fs::read_dir(folder)
        .expect("the corpus is part of the repository")
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            let chosen = [
                "web-banner-tiny",
                "web-banner-2k",
                "app-video-4k",
                "ctv-video-pretty-4k",
                "web-multi-imp-16k",
            ]
            .contains(&name.as_str());
            (chosen && path.extension()? == "json")
                .then(|| Some((name, std::fs::read(&path).ok()?.into())))?
        })
        .collect();
    files.sort();
    files
}

fn openrtb(c: &mut Criterion) {
    for (name, body) in corpus() {
        let mut group = c.benchmark_group(format!("{name} ({} B)", body.len()));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter("scan"), &body, |b, body| {
            b.iter(|| BidRequest::parse(black_box(body.clone()), &Limits::default()));
        });
        group.bench_with_input(BenchmarkId::from_parameter("scan and splice"), &body, |b, body| {
            b.iter(|| {
                let request = BidRequest::parse(black_box(body.clone()), &Limits::default()).ok()?;
                Some(plan(&request, &EDIT).segments(&request, Some(123)))
            });
        });
        group.bench_with_input(BenchmarkId::from_parameter("guard"), &body, |b, body| {
            let request = BidRequest::parse(body.clone(), &Limits::default()).ok();
            let watch = Watch { dii: true, own: &[], tokens_of: &["uidapi.com", "euid.eu"] };
            b.iter(|| inspect(black_box(request.as_ref()?), &watch));
        });
        group.bench_with_input(BenchmarkId::from_parameter("serde_json validation"), &body, |b, body| {
            b.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(body)).is_ok());
        });
        group.bench_with_input(
            BenchmarkId::from_parameter("serde_json parse, edit, print"),
            &body,
            |b, body| {
                b.iter(|| parse_edit_print(black_box(body)));
            },
        );
        group.finish();
    }
}

/// What a gateway does that works on trees.
fn parse_edit_print(body: &[u8]) -> Option<Vec<u8>> {
    let mut tree: Value = serde_json::from_slice(body).ok()?;
    let eid = json!({"source": "uidapi.com", "uids": [{"id": TOKEN, "atype": 3}]});
    tree["user"]["eids"] = json!([eid]);
    tree["tmax"] = json!(123);
    serde_json::to_vec(&tree).ok()
}

criterion_group!(benches, openrtb);
criterion_main!(benches);
