//! What only the disk store has: restarts, locks, keys, damage, and what the files show.

use super::*;

#[tokio::test]
async fn all_that_was_answered_is_there_after_reopening() {
    let bench = Bench::new();
    let store = bench.open();
    let users = store.keys().user(&ACME, b"u1");
    join_all((1..=50).map(|byte| put(&store, byte))).await;
    store.opt_out(vec![users], START, KEEP_UNTIL).await.unwrap();
    drop(store);
    let store = bench.open();
    assert_eq!(there(&store, 1..=51).await, (1..=50).collect::<Vec<_>>());
    assert_eq!(store.keys().user(&ACME, b"u1"), users, "the index key is the same");
    assert!(store.opted_out(&users, START));
    assert_eq!(put(&store, 1).await, 2, "generations go on");
    store.close().await.unwrap();
    assert_eq!(there(&bench.open(), [1, 50]).await, [1, 50]);
}

#[tokio::test]
async fn queued_work_is_done_before_closing() {
    let bench = Bench::new();
    let store = bench.open();
    let writes = join_all((1..=40).map(|byte| put(&store, byte)));
    let (generations, closed) = tokio::join!(writes, async {
        tokio::task::yield_now().await;
        store.close().await
    });
    assert_eq!(closed, Ok(()));
    assert_eq!(generations, [1; 40]);
    assert_eq!(there(&bench.open(), 1..=40).await.len(), 40);
}

#[tokio::test]
async fn two_processes_cannot_share_a_directory() {
    let bench = Bench::new();
    let store = bench.open();
    assert_eq!(bench.try_open().unwrap_err(), StoreError::Locked(bench.path()));
    let _other_handle = store.clone();
    store.close().await.unwrap();
    bench.open();
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_harms_nothing() {
    let mut bench = Bench::new();
    put(&bench.open(), 1).await;
    bench.current = 2;
    let text = bench.try_open().unwrap_err().to_string();
    assert!(text.contains("index.key: store.encryption_key does not open this store"), "{text}");
    bench.current = 1;
    assert_eq!(there(&bench.open(), [1]).await, [1]);
}

#[tokio::test]
async fn a_rotated_key_reads_what_the_one_before_wrote() {
    let mut bench = Bench::new();
    let store = bench.open();
    let user = store.keys().user(&ACME, b"u1");
    put(&store, 1).await;
    put(&store, 2).await;
    drop(store);
    (bench.current, bench.previous) = (2, vec![9, 1]);
    let store = bench.open();
    assert_eq!(store.keys().user(&ACME, b"u1"), user);
    assert_eq!(there(&store, [1, 2]).await, [1, 2]);
    put(&store, 1).await;
    drop(store);
    bench.previous = vec![];
    let store = bench.open();
    assert_eq!(there(&store, [1]).await, [1], "written anew, so under the new key");
    let old = store.read(key(2)).await;
    assert_eq!(old, Err(StoreError::Sealed(OpenError::UnknownKey)), "an error for that record alone");
    assert_eq!(put(&store, 2).await, 2, "which a new login replaces");
}

#[tokio::test]
async fn nothing_is_made_anew_over_a_store_that_lost_a_file() {
    let lost = |name: &'static str| {
        let bench = Bench::new();
        drop(bench.open());
        let file = bench.path().join(name);
        std::fs::remove_file(&file).unwrap();
        let error = bench.try_open().unwrap_err();
        assert!(!file.exists());
        (error, file)
    };
    let (error, file) = lost("index.key");
    assert_eq!(error, StoreError::IndexKeyMissing(file));
    let (error, file) = lost("optouts.log");
    assert_eq!(error, StoreError::OptOutLogMissing(file));
}

#[tokio::test]
async fn a_start_that_was_cut_short_goes_on() {
    for last_made in ["index.key", "optouts.log"] {
        let bench = Bench::new();
        drop(bench.open());
        std::fs::remove_dir_all(bench.path().join("db")).unwrap();
        if last_made == "index.key" {
            std::fs::remove_file(bench.path().join("optouts.log")).unwrap();
        }
        put(&bench.open(), 1).await;
    }
}

#[tokio::test]
async fn a_damaged_log_stops_the_start_and_a_torn_one_does_not() {
    let bench = Bench::new();
    let log = bench.path().join("optouts.log");
    let store = bench.open();
    store.opt_out(vec![key(1), key(2)], START, KEEP_UNTIL).await.unwrap();
    drop(store);
    let bytes = std::fs::read(&log).unwrap();
    std::fs::write(&log, &bytes[..bytes.len() - 1]).unwrap();
    let store = bench.open();
    assert!(store.opted_out(&key(1), START) && !store.opted_out(&key(2), START));
    drop(store);
    let mut damaged = bytes;
    damaged[20] ^= 1;
    std::fs::write(&log, damaged).unwrap();
    let text = bench.try_open().unwrap_err().to_string();
    assert!(text.contains("optouts.log: damaged at byte 16"), "{text}");
}

#[tokio::test]
async fn a_damaged_record_costs_only_itself() {
    let bench = Bench::new();
    let store = bench.open();
    put(&store, 1).await;
    put(&store, 2).await;
    let plant = |byte: u8, bytes: Vec<u8>| {
        let backend = store.backend().unwrap();
        let Backend::Disk(disk) = &*backend else { panic!("a store on disk") };
        disk.table().plant(&key(byte), bytes);
    };
    let stored = {
        let backend = store.backend().unwrap();
        let Backend::Disk(disk) = &*backend else { panic!("a store on disk") };
        disk.table().stored(&key(1))
    };
    plant(3, stored);
    assert_eq!(store.read(key(3)).await, Err(StoreError::Sealed(OpenError::Refused)), "moved");
    plant(4, vec![2, 0]);
    assert_eq!(store.read(key(4)).await, Err(StoreError::Record(CodecError::Short("environment"))));
    let stale = store.write(key(4), Expect::Generation(1), draft()).await;
    assert_eq!(stale, Err(StoreError::Record(CodecError::Short("environment"))));
    assert_eq!(store.for_each_key(&mut |_| {}), Ok(3));
    assert_eq!(store.sweep(KEEP_UNTIL.plus(-1), 100).await, Ok(0));
    assert_eq!((put(&store, 3).await, put(&store, 4).await), (2, 1), "a new login replaces both");
    assert_eq!(there(&store, 1..=4).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn the_disk_shows_nobody() {
    let bench = Bench::new();
    let store = bench.open();
    let user = store.keys().user(&ACME, b"jane-the-user");
    let dii = store.keys().dii(&ACME, b"0123456789abcdef0123456789abcdef", DiiKind::Email);
    let draft = Draft { dii: Some(dii), ..draft() };
    store.write(user, Expect::Any, draft).await.unwrap();
    store.opt_out(vec![user], START, KEEP_UNTIL).await.unwrap();
    store.close().await.unwrap();
    let mut everything = Vec::new();
    gather(&bench.path(), &mut everything);
    assert!(contains(&everything, user.as_bytes()), "the record key is what is kept");
    let hidden: [&[u8]; 5] =
        [b"jane-the-user", b"0123456789abcdef", samples::TOKEN.as_bytes(), b"acme", dii.as_bytes()];
    for text in hidden {
        assert!(!contains(&everything, text), "{text:?} is on the disk");
    }
}

fn gather(dir: &Path, out: &mut Vec<u8>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => gather(&path, out),
            path => out.extend(std::fs::read(path).unwrap()),
        }
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(bytes, text).is_some()
}
