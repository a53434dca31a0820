//! What records and opt-outs are is the same in every kind of store.

use super::*;
use crate::privacy::Said;

fn drafts() -> Vec<Draft> {
    let State::Active(identity) = draft().state else { panic!() };
    let states = [
        State::Active(identity),
        State::OptedOut,
        State::LoggedOut,
        State::Alias(RecordKey::from_bytes([9; 32])),
    ];
    let of_nobody = |state: &State| Draft {
        dii: None,
        provider: None,
        origin: Origin::Import,
        said: Said::default(),
        scope: Scope::Euid,
        environment: Environment::Production,
        state: state.clone(),
        ..draft()
    };
    let drafts =
        states.iter().flat_map(|state| [Draft { state: state.clone(), ..draft() }, of_nobody(state)]);
    drafts.collect()
}

#[tokio::test]
async fn every_state_is_read_as_it_was_written_and_replaced_by_its_generation() {
    let bench = Bench::new();
    for store in bench.all() {
        let mut before = Expect::Generation(0);
        for draft in drafts() {
            let written = store.write(key(1), before, draft.clone()).await.unwrap();
            let Written::Stored { generation } = written else { panic!("{written:?} over {draft:?}") };
            let record = store.read(key(1)).await.unwrap().unwrap();
            assert_eq!((record.generation, record.written), (generation, START));
            assert_eq!(Draft::from(record), draft);
            before = Expect::Generation(generation);
        }
        let mut seen = Vec::new();
        store.for_each_record(&mut |_, record| seen.push(Draft::from(record.unwrap()))).unwrap();
        assert_eq!(seen, drafts().split_off(7));
    }
}

#[tokio::test]
async fn the_operators_opt_out_and_the_publishers_own_are_taken_back_each_by_itself() {
    let bench = Bench::new();
    for store in bench.all() {
        let (now, later) = (START, KEEP_UNTIL);
        store.opt_out(vec![key(1)], now, later).await.unwrap();
        store.site_opt_out(key(1), now).await.unwrap();
        store.site_opt_out(key(2), now).await.unwrap();
        assert!(store.opted_out_at_site(&key(1), later) && store.opted_out_at_site(&key(2), later));
        store.site_opt_in(key(1), now).await.unwrap();
        store.site_opt_in(key(2), now).await.unwrap();
        store.site_opt_in(key(3), now).await.unwrap();
        assert!(store.opted_out(&key(1), now) && !store.opted_out_at_site(&key(1), now));
        assert!(!store.opted_out(&key(1), later) && !store.opted_out(&key(2), now));
        assert!(!store.opted_out(&key(3), now));
        store.site_opt_out(key(2), now).await.unwrap();
        assert!(store.opted_out_at_site(&key(2), later), "the last word counts");
    }
}

#[tokio::test]
async fn everything_moves_from_the_disk_to_redis_under_the_same_keys() {
    let disk = Bench::new();
    let source = disk.open();
    for (byte, draft) in (1..).zip(drafts()) {
        source.write(key(byte), Expect::Any, draft).await.unwrap();
    }
    source.opt_out(vec![key(20)], START, KEEP_UNTIL).await.unwrap();
    source.site_opt_out(key(21), START).await.unwrap();
    let mut shared = Bench::new();
    shared.current = 7;
    let Some(server) = shared.server.get_or_init(redis::Server::start) else { return };
    let settings = || Settings {
        kind: Kind::Redis(server.settings()),
        encryption_key: Secret::new([7; 32]),
        previous_keys: vec![],
        queue: 1_024,
    };
    let like = || {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        Store::open_like(&source, settings(), shared.clock.clone(), metrics).unwrap()
    };
    let target = like();
    let copied = copy(&source, &target, &mut |_, _| {}).await.unwrap();
    assert_eq!(copied, Copied { records: 8, newer: 0, unreadable: 0, opt_outs: 2 });
    drop(target);
    let again = copy(&source, &like(), &mut |_, _| {}).await.unwrap();
    assert_eq!((again.records, again.newer), (0, 8), "a second time nothing is written over");
    let target = shared.another().unwrap();
    assert_eq!(target.keys().user(&ACME, b"u1"), source.keys().user(&ACME, b"u1"));
    for (byte, draft) in (1..).zip(drafts()) {
        assert_eq!(Draft::from(target.read(key(byte)).await.unwrap().unwrap()), draft);
    }
    assert!(target.opted_out(&key(20), START) && !target.opted_out(&key(20), KEEP_UNTIL));
    assert!(target.opted_out_at_site(&key(21), KEEP_UNTIL));
    let census = Census::take(&target, START, 0).unwrap();
    assert_eq!((census.records(), census.unreadable()), (8, 0));
}
