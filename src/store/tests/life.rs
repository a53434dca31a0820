//! A store over its years: the room of what ended comes back, everything in it can be looked at, and another can take over.

use std::collections::BTreeMap;

use super::*;

/// Distinct keys, more than a byte names.
fn many(count: u32) -> Vec<RecordKey> {
    use sha2::{Digest, Sha256};
    (0..count).map(|n| RecordKey::from_bytes(Sha256::digest(n.to_le_bytes()).into())).collect()
}

/// Bytes of the files that hold records; the journal beside them is bounded by itself. Files come and go meanwhile.
fn tables(bench: &Bench) -> u64 {
    let folder = bench.path().join("db/keyspaces/1/tables");
    let lengths = std::fs::read_dir(folder).unwrap().flatten().filter_map(|entry| entry.metadata().ok());
    lengths.map(|it| it.len()).sum()
}

async fn fill(store: &Store, keys: &[RecordKey], draft: &Draft) {
    for some in keys.chunks(50) {
        for written in join_all(some.iter().map(|key| store.write(*key, Expect::Any, draft.clone()))).await {
            assert!(matches!(written, Ok(Written::Stored { .. })), "{written:?}");
        }
    }
}

#[tokio::test]
async fn the_disk_gets_the_room_of_expired_records_back() {
    const RECORDS: u32 = 12_000;
    let bench = Bench::new();
    let store = bench.open();
    let keys = many(RECORDS);
    fill(&store, &keys, &draft()).await;
    store.compact().unwrap();
    let full = tables(&bench);
    let each = full / u64::from(RECORDS);
    bench.clock.advance(KEEP_UNTIL.since(START));
    let mut removed = 0;
    while removed < u64::from(RECORDS) {
        removed += store.sweep(bench.clock.now(), 2_000).await.unwrap();
    }
    // The sweep asked for the compaction; it has a thread of its own.
    let deadline = Clock::monotonic() + std::time::Duration::from_secs(30);
    let mut left = full;
    while left > full / 4 {
        assert!(Clock::monotonic() < deadline, "{left} of {full} bytes are still there");
        left = tables(&bench);
        tokio::task::yield_now().await;
    }
    println!(
        "{RECORDS} records: {full} bytes, {each} each; all expired and swept: {left} bytes, and a journal"
    );
    assert!(each <= 1_200, "{each} bytes each");
    drop(store);
    let store = bench.open();
    assert_eq!(store.for_each_key(&mut |_| {}), Ok(0));
    assert_eq!(store.write(keys[0], Expect::Any, draft()).await, Ok(Written::Stored { generation: 1 }));
}

#[tokio::test]
async fn everything_can_be_visited_and_forgotten() {
    let bench = Bench::new();
    for store in bench.all() {
        let first = put(&store, 1).await;
        for byte in 2..=5 {
            put(&store, byte).await;
        }
        let ended = Draft { keep_until: START, ..draft() };
        store.write(key(6), Expect::Any, ended).await.unwrap();
        let mut seen = BTreeMap::new();
        let visits = store.for_each_record(&mut |key, record| {
            seen.insert(key, Draft::from(record.unwrap()));
        });
        assert_eq!((visits, seen.len()), (Ok(5), 5));
        assert!(seen.values().all(|it| *it == draft()));
        let forgotten = store.forget(vec![key(1), key(6), key(7)]).await.unwrap();
        assert!((1..=2).contains(&forgotten), "live or not, where it is kept at all: {forgotten}");
        assert_eq!(there(&store, 1..=7).await, [2, 3, 4, 5]);
        assert_eq!(write(&store, 1, Expect::Generation(first)).await, Err(0), "a late answer loses");
        // Where time is the floor of generations, it has passed.
        bench.clock.advance(1);
        assert!(put(&store, 1).await > first);
    }
}

#[tokio::test]
async fn records_that_do_not_open_are_visited_too() {
    let mut bench = Bench::new();
    put(&bench.open(), 1).await;
    (bench.current, bench.previous) = (2, vec![1]);
    put(&bench.open(), 2).await;
    bench.previous = vec![];
    let store = bench.open();
    let mut opened = BTreeMap::new();
    let visits = store.for_each_record(&mut |key, record| drop(opened.insert(key, record.map(|_| ()))));
    assert_eq!(visits, Ok(2));
    assert_eq!(opened[&key(1)], Err(StoreError::Sealed(OpenError::UnknownKey)));
    assert_eq!(opened[&key(2)], Ok(()));
}

#[tokio::test]
async fn opt_outs_are_listed_each_once_while_they_hold() {
    let bench = Bench::new();
    let stores = bench.all();
    for store in &stores[1..] {
        let opt_out = async |byte, at: i64, until: i64| {
            store.opt_out(vec![key(byte)], START.plus(at), START.plus(until)).await.unwrap();
        };
        opt_out(1, 0, 100).await;
        opt_out(1, 5, 50).await;
        opt_out(2, 1, 200).await;
        opt_out(3, 0, 5).await;
        store.site_opt_out(key(2), START.plus(3)).await.unwrap();
        store.site_opt_out(key(4), START.plus(3)).await.unwrap();
        store.site_opt_in(key(4), START.plus(4)).await.unwrap();
    }
    bench.clock.advance(5);
    for store in &stores[1..] {
        let mut listed = store.opt_outs().unwrap();
        listed.sort_by_key(|it| (it.key, it.until));
        let of = |by, byte, at, until| OptOut { key: key(byte), by, at: START.plus(at), until };
        let expected = [
            of(By::Operator, 1, 0, START.plus(100)),
            of(By::Operator, 2, 1, START.plus(200)),
            of(By::Site, 2, 3, UnixMillis(i64::MAX)),
        ];
        assert_eq!(listed, expected);
    }
    assert_eq!(bench.open_as(Kind::Memory).unwrap().opt_outs(), Ok(vec![]));
}

#[tokio::test]
async fn a_store_like_another_has_its_record_keys_or_is_refused() {
    let bench = Bench::new();
    let source = bench.open();
    let user = source.keys().user(&ACME, b"u1");
    let mut target = Bench::new();
    (target.current, target.previous) = (7, vec![]);
    let settings = |bench: &Bench| Settings {
        kind: Kind::Disk { path: bench.path() },
        encryption_key: Secret::new([bench.current; 32]),
        previous_keys: vec![],
        queue: 64,
    };
    let like = |bench: &Bench| {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        when_free(|| Store::open_like(&source, settings(bench), bench.clock.clone(), metrics.clone()))
    };
    for again in [false, true] {
        assert_eq!(like(&target).unwrap().keys().user(&ACME, b"u1"), user, "again: {again}");
    }
    assert_eq!(target.open().keys().user(&ACME, b"u1"), user, "kept under the target's own encryption key");
    let other = Bench::new();
    drop(other.open());
    assert_eq!(like(&other).unwrap_err(), StoreError::OtherIndexKey(other.path()));
    let memory = Settings { kind: Kind::Memory, ..settings(&other) };
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let memory = Store::open_like(&source, memory, other.clock.clone(), metrics).unwrap();
    assert_eq!(memory.keys().user(&ACME, b"u1"), user);
}
