//! The store as its callers see it, in memory, on disk and in Redis.

mod damage;
mod disk;
mod fleet;
mod kinds;
mod life;
pub(super) mod redis;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use super::samples::{KEEP_UNTIL, draft, key};
use super::*;
use crate::telemetry::Registry;
use crate::uid2::{DiiKind, Environment, Scope};

const START: UnixMillis = UnixMillis(5_000);
const ACME: Tenant<'_> = Tenant { publisher: "acme", scope: Scope::Uid2, environment: Environment::Local };

/// A directory, a clock and the keys to open a store with.
struct Bench {
    dir: tempfile::TempDir,
    clock: Clock,
    registry: Registry,
    current: u8,
    previous: Vec<u8>,
    /// A server of this bench's own, once one was asked for.
    server: std::sync::OnceLock<Option<redis::Server>>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, registry) = (Clock::manual(START), Registry::new());
        let server = std::sync::OnceLock::new();
        Self { dir, clock, registry, current: 1, previous: vec![], server }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn open_as(&self, kind: Kind) -> Result<Store, StoreError> {
        let secret = |byte: &u8| Secret::new([*byte; 32]);
        let settings = Settings {
            kind,
            encryption_key: secret(&self.current),
            previous_keys: self.previous.iter().map(secret).collect(),
            queue: 64,
        };
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let metrics = Metrics::register(&self.registry).unwrap_or(metrics);
        when_free(|| Store::open(settings.clone(), self.clock.clone(), metrics.clone()))
    }

    fn try_open(&self) -> Result<Store, StoreError> {
        self.open_as(Kind::Disk { path: self.path() })
    }

    fn open(&self) -> Store {
        self.try_open().unwrap()
    }

    /// One store of each kind that this gateway has for itself.
    fn both(&self) -> [Store; 2] {
        [self.open_as(Kind::Memory).unwrap(), self.open()]
    }

    /// One store of each kind, so that a test holds for all.
    fn all(&self) -> Vec<Store> {
        let shared = self.server.get_or_init(redis::Server::start).as_ref();
        let shared = shared.map(|server| self.open_as(Kind::Redis(server.settings())).unwrap());
        self.both().into_iter().chain(shared).collect()
    }

    fn metric(&self, line: &str) -> bool {
        String::from_utf8(self.registry.text().unwrap()).unwrap().lines().any(|it| it == line)
    }
}

/// Opens a store once nobody has it. A process that another test just starts holds, for the blink of an eye, every file that this one
/// has open, and with it the lock of a store that is closed.
fn when_free(open: impl Fn() -> Result<Store, StoreError>) -> Result<Store, StoreError> {
    let deadline = Clock::monotonic() + std::time::Duration::from_secs(1);
    loop {
        match open() {
            Err(StoreError::Locked(_)) if Clock::monotonic() < deadline => {
                std::thread::park_timeout(std::time::Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

async fn put(store: &Store, byte: u8) -> u64 {
    write(store, byte, Expect::Any).await.unwrap()
}

async fn write(store: &Store, byte: u8, expect: Expect) -> Result<u64, u64> {
    match store.write(key(byte), expect, draft()).await.unwrap() {
        Written::Stored { generation } => Ok(generation),
        Written::Lost { current } => Err(current),
    }
}

async fn there(store: &Store, bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut found = Vec::new();
    for byte in bytes {
        if store.read(key(byte)).await.unwrap().is_some() {
            found.push(byte);
        }
    }
    found
}

#[tokio::test]
async fn what_is_written_is_read() {
    let bench = Bench::new();
    for store in bench.all() {
        assert_eq!(store.read(key(1)).await, Ok(None));
        let first = put(&store, 1).await;
        let record = store.read(key(1)).await.unwrap().unwrap();
        assert_eq!((record.generation, record.written), (first, START));
        assert_eq!(Draft::from(record), draft());
        assert_eq!(store.read(key(2)).await, Ok(None));
    }
}

#[tokio::test]
async fn a_stale_writer_loses() {
    let bench = Bench::new();
    for store in bench.all() {
        assert_eq!(write(&store, 1, Expect::Generation(1)).await, Err(0));
        let first = write(&store, 1, Expect::Generation(0)).await.unwrap();
        assert_eq!(write(&store, 1, Expect::Generation(0)).await, Err(first));
        assert_eq!(write(&store, 1, Expect::Generation(first)).await, Ok(first + 1));
        assert_eq!(write(&store, 1, Expect::Generation(first)).await, Err(first + 1));
        assert_eq!(put(&store, 1).await, first + 2);
        assert_eq!(store.read(key(1)).await.unwrap().unwrap().generation, first + 2);
    }
}

#[tokio::test]
async fn of_writers_at_the_same_time_one_wins() {
    let bench = Bench::new();
    for store in bench.all() {
        let writers = (0..32).map(|_| write(&store, 1, Expect::Generation(0)));
        let outcomes = join_all(writers).await;
        let won: Vec<u64> = outcomes.iter().filter_map(|it| it.ok()).collect();
        let [first] = won[..] else { panic!("{outcomes:?}") };
        assert_eq!(outcomes.iter().filter(|it| **it == Err(first)).count(), 31);
        let writers = (0..32).map(|_| put(&store, 1));
        let generations: BTreeSet<u64> = join_all(writers).await.into_iter().collect();
        assert_eq!(generations, (first + 1..=first + 32).collect());
        let last = store.read(key(1)).await.unwrap().unwrap().generation;
        assert_eq!(last, first + 32, "the last of the batch stays");
    }
}

#[tokio::test]
async fn a_record_ends_at_its_moment() {
    let bench = Bench::new();
    let stores = bench.all();
    for store in &stores {
        put(store, 1).await;
    }
    bench.clock.advance(KEEP_UNTIL.since(START) - 1);
    for store in &stores {
        assert_eq!(there(store, [1]).await, [1]);
    }
    bench.clock.advance(1);
    for store in &stores {
        assert!(there(store, [1]).await.is_empty());
        assert!(write(store, 1, Expect::Generation(0)).await.unwrap() > 1, "generations go on");
    }
}

#[tokio::test]
async fn a_sweep_removes_what_ended_a_little_at_a_time() {
    let bench = Bench::new();
    for store in bench.both() {
        for byte in 1..=10 {
            put(&store, byte).await;
        }
        let longer = Draft { keep_until: KEEP_UNTIL.plus(1), ..draft() };
        store.write(key(4), Expect::Any, longer).await.unwrap();
        assert_eq!(store.sweep(KEEP_UNTIL.plus(-1), 100).await, Ok(0));
        let mut removed = Vec::new();
        for _ in 0..4 {
            removed.push(store.sweep(KEEP_UNTIL, 3).await.unwrap());
        }
        assert!(removed.iter().all(|it| *it <= 3), "{removed:?}");
        assert_eq!(removed.iter().sum::<u64>(), 9, "{removed:?}");
        assert_eq!(there(&store, 1..=10).await, [4]);
        assert_eq!(write(&store, 1, Expect::Generation(1)).await, Err(0), "a late answer loses");
        assert_eq!(put(&store, 1).await, 2, "and a new record is younger than the one swept away");
    }
}

#[tokio::test]
async fn opt_outs_hold_until_their_moment() {
    let bench = Bench::new();
    for store in bench.all() {
        store.opt_out(vec![key(1), key(2)], START, UnixMillis(9_000)).await.unwrap();
        assert!(store.opted_out(&key(1), UnixMillis(8_999)));
        assert!(store.opted_out(&key(2), UnixMillis(8_999)));
        assert!(!store.opted_out(&key(2), UnixMillis(9_000)));
        assert!(!store.opted_out(&key(3), START));
    }
}

#[tokio::test]
async fn all_known_keys_can_be_visited() {
    let bench = Bench::new();
    for store in bench.all() {
        put(&store, 1).await;
        put(&store, 2).await;
        let ended = Draft { keep_until: START, ..draft() };
        store.write(key(3), Expect::Any, ended).await.unwrap();
        store.opt_out(vec![key(2), key(4)], START, KEEP_UNTIL).await.unwrap();
        store.opt_out(vec![key(5)], START, START).await.unwrap();
        let mut seen = Vec::new();
        assert_eq!(store.for_each_key(&mut |key| seen.push(key)), Ok(4));
        assert_eq!(seen.iter().filter(|it| **it == key(2)).count(), 2, "as a record and as an opt-out");
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), [key(1), key(2), key(4)].into());
    }
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let bench = Bench::new();
    for store in bench.all() {
        store.opt_out(vec![key(1)], START, KEEP_UNTIL).await.unwrap();
        let other = store.clone();
        store.close().await.unwrap();
        store.close().await.unwrap();
        assert_eq!(other.read(key(1)).await, Err(StoreError::Closed));
        assert_eq!(other.write(key(1), Expect::Any, draft()).await, Err(StoreError::Closed));
        assert_eq!(other.opt_out(vec![key(2)], START, KEEP_UNTIL).await, Err(StoreError::Closed));
        assert_eq!(other.sweep(START, 1).await, Err(StoreError::Closed));
        assert_eq!(other.for_each_key(&mut |_| {}), Err(StoreError::Closed));
        assert!(other.opted_out(&key(1), START) && other.opted_out(&key(2), START));
    }
}

#[tokio::test]
async fn a_draft_that_cannot_be_written_is_refused_alone() {
    let bench = Bench::new();
    let store = bench.open();
    let draft = Draft { publisher: "p".repeat(65_536), ..draft() };
    let (refused, stored) = tokio::join!(store.write(key(1), Expect::Any, draft), put(&store, 2));
    assert_eq!(refused, Err(StoreError::Record(CodecError::TooLong("publisher"))));
    assert_eq!(stored, 1);
}

#[test]
fn each_call_may_come_from_another_runtime() {
    fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }
    let bench = Bench::new();
    let store = bench.open();
    assert_eq!(on_a_runtime(put(&store, 1)), 1);
    assert_eq!(on_a_runtime(there(&store, [1])), [1]);
    assert_eq!(futures_util::future::FutureExt::now_or_never(store.close()), None, "waits, blocks nobody");
    assert_eq!(on_a_runtime(store.read(key(1))), Err(StoreError::Closed));
}

#[tokio::test]
async fn operations_are_counted() {
    let bench = Bench::new();
    let store = bench.open();
    assert!(bench.metric("uid2gw_store_up 1"));
    put(&store, 1).await;
    assert_eq!(write(&store, 1, Expect::Generation(0)).await, Err(1));
    there(&store, [1, 2]).await;
    store.close().await.unwrap();
    assert!(store.read(key(1)).await.is_err());
    for line in [
        r#"uid2gw_store_ops_total{op="write",result="ok"} 1"#,
        r#"uid2gw_store_ops_total{op="write",result="lost"} 1"#,
        r#"uid2gw_store_ops_total{op="read",result="ok"} 2"#,
        r#"uid2gw_store_ops_total{op="read",result="error"} 1"#,
        r#"uid2gw_store_duration_seconds_count{op="read"} 3"#,
        "uid2gw_store_up 0",
    ] {
        assert!(bench.metric(line), "{line}");
    }
}
