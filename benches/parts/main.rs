//! What the path and what stands beside it are made of: merging bids, the operator's envelope, hashing e-mail addresses
//! and phone numbers, the store, verdicts, and the way to an SSP. Scan, splice and guard are in `openrtb`, cache and path in
//! `gateway`.
//!
//! `cargo bench --bench parts`; `-- --test` runs each once; `-- --million` measures a million identities instead.

mod leg;
mod million;
mod privacy;

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{Criterion, criterion_group};
use mimalloc::MiMalloc;
use uid2_gateway::openrtb::response::{Candidate, MergeContext, merge};
use uid2_gateway::secret::Secret;
use uid2_gateway::store::{Draft, Expect, Kind, Metrics, Origin, Settings, State, Store, Tenant};
use uid2_gateway::telemetry::Registry;
use uid2_gateway::time::{Clock, UnixMillis};
use uid2_gateway::uid2::envelope::{open_response, seal_request, seal_response};
use uid2_gateway::uid2::{
    AdvertisingToken, DiiHash, Email, EnvelopeKey, Environment, Freshness, Identity, Phone, Scope, Times,
};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// As long as one of an operator.
const TOKEN: &str = concat!(
    "A4AAAABlICEiIyQlJicoKSoreoP5B3ANjhwAktwXfXw93eeM08N10ir73n5KlSf26ABuUtGTAxG1qLn3QpcB0V_TcekDTpTaTb",
    "YdjTDXOaCyzj-zln6dO4BP_ZV7wGj_yCD-NjwUz4ohrfdajuf4155_9q8n2fQqePcgWDhu2X7BP1J08Jp1OaORD75XUsZ73mMAFht8TUSw"
);

fn merging(c: &mut Criterion) {
    let replies: Vec<String> = (1..=3).map(reply).collect();
    let candidates: Vec<Candidate<'_>> =
        replies.iter().map(|reply| Candidate { body: reply.as_bytes(), max_bids: 100 }).collect();
    let imp_ids = [Cow::Borrowed("1"), Cow::Borrowed("2")];
    let context = MergeContext { id_raw: br#""r1""#, imp_ids: &imp_ids, cur: Some("USD") };
    assert!(merge(&context, &candidates).body.is_some());
    c.bench_function("merge: three replies of two bids, 1 KB each", |b| {
        b.iter(|| merge(&context, black_box(&candidates)).body);
    });
}

fn reply(nth: u32) -> String {
    let adm = "<div>".repeat(80);
    let bid = |imp: u32| {
        format!(
            r#"{{"id":"b{nth}-{imp}","impid":"{imp}","price":{nth}.25,"adm":"{adm}","crid":"c{nth}","adomain":["ads.example"],"w":300,"h":250}}"#
        )
    };
    format!(r#"{{"id":"r1","cur":"USD","seatbid":[{{"seat":"s{nth}","bid":[{},{}]}}]}}"#, bid(1), bid(2))
}

fn envelope(c: &mut Criterion) {
    let key = EnvelopeKey::from_bytes(&[7; 32]);
    let fresh = Freshness { at: UnixMillis(1_700_000_000_000), iv: [1; 12], nonce: [2; 8] };
    let request = br#"{"email_hash":"tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf/F5HVRQ=","optout_check":1}"#;
    let answer = format!(r#"{{"status":"success","body":{{"advertising_token":"{TOKEN}"}}}}"#);
    let sealed = seal_response(&key, &fresh, answer.as_bytes());
    c.bench_function("envelope: seal a request", |b| {
        b.iter(|| seal_request(&key, &fresh, black_box(request)));
    });
    c.bench_function("envelope: open an answer", |b| {
        b.iter(|| open_response(&key, black_box(&sealed), fresh.nonce).is_ok());
    });
}

fn hash(c: &mut Criterion) {
    c.bench_function("hash: e-mail address, normalised", |b| {
        b.iter(|| {
            Email::parse(black_box(" Jane.Doe+News@Example.COM ")).map(|email| DiiHash::of_email(&email))
        });
    });
    c.bench_function("hash: phone number", |b| {
        b.iter(|| Phone::parse(black_box("+12345678901")).map(|phone| DiiHash::of_phone(&phone)));
    });
}

fn store(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Kind::Disk { path: directory.path().join("store") };
    for (name, kind) in [("memory", Kind::Memory), ("disk", disk)] {
        let settings =
            Settings { kind, encryption_key: Secret::new([7; 32]), previous_keys: Vec::new(), queue: 1024 };
        let _entered = runtime.enter();
        let metrics = Metrics::register(&Registry::new()).expect("a fresh registry");
        let store = Store::open(settings, Clock::System, metrics).expect("opened");
        let key = store.keys().user(&TENANT, b"user-1");
        let mut group = c.benchmark_group(format!("store in {name}"));
        group.sample_size(20);
        let write = || runtime.block_on(store.write(key, Expect::Any, record())).expect("written");
        group.bench_function("write, durable", |b| b.iter(write));
        assert!(runtime.block_on(store.read(key)).expect("read").is_some());
        group.bench_function("read", |b| b.iter(|| runtime.block_on(store.read(key)).is_ok()));
        group.finish();
        runtime.block_on(store.close()).expect("closed");
    }
}

const TENANT: Tenant<'_> = Tenant { publisher: "acme", scope: Scope::Uid2, environment: Environment::Local };

const HOUR_MS: i64 = 3_600_000;

fn record() -> Draft {
    let now = Clock::System.now();
    let lives = now.plus(24 * HOUR_MS);
    let identity = Identity {
        advertising_token: AdvertisingToken::parse(TOKEN).expect("a token"),
        refresh_token: Secret::new("r".repeat(388)),
        refresh_response_key: Secret::new("k".repeat(44)),
        times: Times { refresh_from: now.plus(HOUR_MS), identity_expires: lives, refresh_expires: lives },
    };
    Draft {
        publisher: TENANT.publisher.to_owned(),
        scope: TENANT.scope,
        environment: TENANT.environment,
        dii: None,
        origin: Origin::Login,
        provider: None,
        said: uid2_gateway::privacy::Said::default(),
        created: now,
        keep_until: lives,
        state: State::Active(identity),
    }
}

criterion_group!(
    benches,
    merging,
    envelope,
    hash,
    store,
    privacy::tc,
    privacy::gpp,
    leg::parts,
    leg::exchange
);

fn main() {
    let flags: Vec<String> = std::env::args().collect();
    let has = |flag: &str| flags.iter().any(|it| it == flag);
    if has("--million") {
        return million::run(1_000_000);
    }
    if has("--test") {
        million::run(10_000);
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
