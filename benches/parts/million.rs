//! A million identities: what they take in memory and on the disk, how long a process needs until it is ready, and how long the
//! first request of a user takes whose identity is on the disk alone.
//!
//! `cargo bench --bench parts -- --million`; `-- --test` does the same with 10,000. Times are printed, not judged.

#![expect(clippy::print_stdout, reason = "a bench prints")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response};
use tokio::runtime::Runtime;
use uid2_gateway::config::{self, Config};
use uid2_gateway::identity::{self, Identities, Publisher, Resolution, Subject};
use uid2_gateway::net::{Transport, TransportError};
use uid2_gateway::operator::{self, OperatorClient, Operators};
use uid2_gateway::privacy::{Consent, Gvl, Policy, Regime, Rules, Signals, judge_stored};
use uid2_gateway::sso;
use uid2_gateway::store::{Expect, Metrics, Store, Written};
use uid2_gateway::telemetry::Registry;
use uid2_gateway::time::{Clock, Deadline};

use super::{TENANT, record};

/// Writes on their way at one time.
const BATCH: usize = 512;
/// First uses that are timed, at most.
const FIRST_USES: usize = 20_000;
/// Far longer than anything here takes: what is measured is the look-up, not the patience.
const PATIENCE: Duration = Duration::from_mins(1);

/// Measures `count` identities and prints it.
pub(super) fn run(count: usize) {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, text(folder.path())).expect("written");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let filled = fill(&file, &runtime, count);
    println!("{count} identities written in {filled:.1?}");
    compacted(&file, &runtime, count);
    for _ in 0..3 {
        println!("process ready on the full store (files in the page cache) after {:.2?}", ready(&file));
    }
    used(&file, &runtime, count);
}

fn text(folder: &Path) -> String {
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[operator]
urls = ["http://127.0.0.1:9"]
[store]
kind = "disk"
path = "{}/identities"
encryption_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
[[publisher]]
id = "acme"
api_keys = ["sha256:{}"]
match = {{ publisher_ids = ["1"] }}
scope = "uid2"
operator_key = "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc="
operator_secret = "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM="
ssps = ["alpha"]
[[ssp]]
id = "alpha"
url = "http://127.0.0.1:9/bid"
"#,
        folder.display(),
        "ab".repeat(32)
    )
}

fn load(file: &Path) -> Config {
    config::load(file, &std::collections::BTreeMap::new())
        .map_err(|faults| faults.to_string())
        .expect("valid")
        .0
}

fn open(file: &Path, runtime: &Runtime) -> Store {
    let _entered = runtime.enter();
    let metrics = Metrics::register(&Registry::new()).expect("a fresh registry");
    Store::open(load(file).store, Clock::System, metrics).expect("opened")
}

fn user(number: usize) -> Vec<u8> {
    format!("user-{number}").into_bytes()
}

fn fill(file: &Path, runtime: &Runtime, count: usize) -> Duration {
    let store = open(file, runtime);
    let started = Clock::monotonic();
    for first in (0..count).step_by(BATCH) {
        let write = |number| store.write(store.keys().user(&TENANT, &user(number)), Expect::Any, record());
        for written in runtime.block_on(join_all((first..count.min(first + BATCH)).map(write))) {
            assert!(matches!(written, Ok(Written::Stored { .. })), "{written:?}");
        }
    }
    runtime.block_on(store.close()).expect("closed");
    started.elapsed()
}

fn compacted(file: &Path, runtime: &Runtime, count: usize) {
    let store = open(file, runtime);
    let started = Clock::monotonic();
    store.compact().expect("compacted");
    let took = started.elapsed();
    let bytes = store.bytes_on_disk().expect("counted");
    println!("on the disk after compaction ({took:.1?}): {bytes} bytes, {} each", bytes / count as u64);
    runtime.block_on(store.close()).expect("closed");
}

/// From the start of the real process to its line that says it listens.
fn ready(file: &Path) -> Duration {
    let started = Clock::monotonic();
    let mut child = Command::new(env!("CARGO_BIN_EXE_uid2-gateway"))
        .args(["serve", "--config"])
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let took = started.elapsed();
    assert!(line.starts_with("listening "), "{line:?}");
    child.kill().and_then(|()| child.wait()).expect("ended");
    took
}

/// The first use of users, and then of all of them: what the cache takes.
fn used(file: &Path, runtime: &Runtime, count: usize) {
    let (identities, publisher) = floor(file, runtime);
    let subject = |number| {
        let key = identities.user_key(&publisher, &user(number));
        Subject { user: Some(key), ..Subject::default() }
    };
    // What the database caches by itself is there before.
    let before = resident();
    let mut times = Vec::new();
    let sample = count.min(FIRST_USES);
    // A prime, so that users are not asked for in the order in which they came.
    for number in (0..sample).map(|nth| nth * 7919 % count) {
        let (subject, started) = (subject(number), Clock::monotonic());
        runtime.block_on(resolve(&identities, &publisher, &subject));
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 1000).min(times.len() - 1)];
    println!(
        "first use of {sample} cold identities: p50 {:.0?}, p99 {:.0?}, longest {:.1?}",
        at(500),
        at(990),
        at(1000)
    );
    for first in (0..count).step_by(BATCH) {
        let subjects: Vec<Subject> = (first..count.min(first + BATCH)).map(subject).collect();
        let all = subjects.iter().map(|subject| resolve(&identities, &publisher, subject));
        runtime.block_on(join_all(all));
    }
    let taken = resident().saturating_sub(before);
    println!(
        "hot cache: {taken} bytes of process memory, {} each (of which up to 64 MiB the database's own)",
        taken / count as u64
    );
}

async fn resolve(identities: &Identities, publisher: &Publisher, subject: &Subject) {
    let seen = identities.see(subject);
    let resolution = identities.resolve(publisher, (subject, seen), consent(), || PATIENCE).await;
    assert!(matches!(resolution, Resolution::Token(_)), "{resolution:?}");
}

fn consent() -> Consent {
    let (policy, gvl) = (Policy::default(), Gvl::default());
    judge_stored(&Signals::default(), Rules { policy: &policy, gvl: &gvl }, Regime::Uid2)
        .expect("nothing forbids it")
}

fn floor(file: &Path, runtime: &Runtime) -> (Identities, Publisher) {
    let _entered = runtime.enter();
    let registry = Registry::new();
    let config = load(file);
    let metrics = operator::Metrics::register(&registry).expect("a fresh registry");
    let operator = |settings: &operator::Settings| {
        OperatorClient::new(settings.clone(), Arc::new(Nobody), Clock::System, metrics.clone())
    };
    let operators = Operators { uid2: operator(&config.operator), euid: operator(&config.operator_euid) };
    let metrics = identity::Metrics::register(&registry).expect("a fresh registry");
    let vendors = Arc::new(config.vendors);
    let parts = identity::Parts {
        store: open(file, runtime),
        operators,
        vendors: vendors.list(),
        providers: sso::Providers::none(sso::Metrics::register(&registry).expect("a fresh registry")),
        clock: Clock::System,
        metrics,
    };
    let settings = identity::Settings {
        wait: PATIENCE,
        cache_entries: 2_000_000,
        cache_bytes: 1 << 40,
        ..config.identity
    };
    let publisher = config.publishers.into_iter().next().expect("one").identity;
    (Identities::new(settings, parts, runtime.handle().clone()).expect("built"), publisher)
}

/// Nobody is asked: the tokens are fresh.
struct Nobody;

impl Transport for Nobody {
    fn send(&self, _: Request<Bytes>, _: Deadline) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        async { Err(TransportError::Timeout) }.boxed()
    }
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number");
    kib * 1024
}
