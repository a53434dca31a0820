//! A fleet on a Redis that loses, refuses or forgets something.

use super::redis::{PATIENCE, until};
use super::*;
use crate::store::{Lease, News};

const RECORD: &str = "uid2gw:r:{AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE}";
/// The stored name of `key(1)` among opt-outs.
const FIELD: &str = "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01";
const BUCKET: &str = "uid2gw:optouts:01";

fn logged_out() -> Draft {
    Draft { state: State::LoggedOut, ..draft() }
}

#[tokio::test]
async fn an_opt_out_that_redis_did_not_take_in_time_is_made_good_when_it_answers() {
    let bench = Bench::new();
    let Some(there) = bench.another() else { return };
    let here = bench.open_as(Kind::Redis(bench.server().brief())).unwrap();
    bench.server().signal("-STOP");
    let refused = here.opt_out(vec![key(1)], START, KEEP_UNTIL).await.unwrap_err();
    assert!(refused.is_outage(), "{refused}");
    assert!(here.site_opt_out(key(2), START).await.is_err());
    assert!(here.opted_out(&key(1), START) && here.opted_out_at_site(&key(2), START), "in force here");
    // What waits in the socket of the server that hangs was given up: it is not what makes it good.
    bench.server().cli_after_cont(&["FLUSHALL"]);
    until("the others to hear", async || {
        there.opted_out(&key(1), START) && there.opted_out_at_site(&key(2), START)
    })
    .await;
}

#[tokio::test]
async fn what_was_taken_back_in_vain_undoes_nothing_that_was_said_later() {
    let mut bench = Bench::new();
    let Some(there) = bench.another() else { return };
    let common = std::mem::replace(&mut bench.clock, Clock::manual(START.plus(3_600_000)));
    let ahead = bench.open_as(Kind::Redis(bench.server().brief())).unwrap();
    there.site_opt_out(key(1), common.now()).await.unwrap();
    bench.server().signal("-STOP");
    assert!(ahead.site_opt_in(key(1), bench.clock.now()).await.is_err(), "its clock is an hour ahead");
    bench.server().cli_after_cont(&["PING"]);
    until("a connection", async || ahead.read(key(1)).await.is_ok()).await;
    there.site_opt_out(key(1), common.now()).await.unwrap();
    let said = async || -> u64 { bench.server().cli(&["XLEN", "uid2gw:changes"]).parse().unwrap() };
    let before = said().await;
    // Its patience is short, and the machine may be busy.
    until("an opt-out to be taken", async || ahead.opt_out(vec![key(2)], START, KEEP_UNTIL).await.is_ok())
        .await;
    until("what was learned to be said again", async || said().await > before + 1).await;
    assert!(bench.another().unwrap().opted_out_at_site(&key(1), START));
}

#[tokio::test]
async fn an_opt_out_of_long_ago_that_a_primary_lost_is_said_again_by_whoever_loaded_it() {
    let bench = Bench::new();
    let Some(first) = bench.another() else { return };
    first.site_opt_out(key(1), START).await.unwrap();
    first.site_opt_in(key(1), START).await.unwrap();
    let older = bench.server().cli(&["--no-raw", "HVALS", BUCKET]);
    first.site_opt_out(key(1), START).await.unwrap();
    first.close().await.unwrap();
    // It has not learned of it lately: it found it there.
    let _late = bench.another().unwrap();
    let older = older.rsplit(") ").next().unwrap().trim_matches('"').to_owned();
    bench.server().cli_in(&format!("HSET {BUCKET} \"{FIELD}\" \"{older}\"\nDEL uid2gw:changes\n"));
    assert!(older.ends_with(" 0") && bench.server().cli(&["HVALS", BUCKET]) == older);
    until("it to be said again", async || bench.server().cli(&["HVALS", BUCKET]).ends_with(" 1")).await;
}

#[tokio::test]
async fn a_logout_that_the_others_cannot_be_told_of_is_not_answered_and_told_when_it_can_be() {
    let bench = Bench::new();
    let (Some(here), Some(there)) = (bench.another(), bench.another()) else { return };
    let mut news = there.take_news().unwrap();
    let first = put(&here, 1).await;
    let heard = tokio::time::timeout(PATIENCE, news.recv()).await.unwrap();
    assert_eq!(heard, Some(News::Written { key: key(1), generation: first }));
    bench.server().silence();
    assert!(write(&here, 2, Expect::Any).await.is_ok(), "a login is told later");
    let refused = here.write(key(1), Expect::Generation(first), logged_out()).await.unwrap_err();
    assert!(refused.is_outage(), "{refused}");
    bench.server().unsilence();
    let told = async {
        while let Some(heard) = news.recv().await {
            if matches!(heard, News::Written { key: of, generation } if of == key(1) && generation > first) {
                return;
            }
            assert_ne!(heard, News::Missed, "the stream is as it was");
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(there.read(key(1)).await.unwrap().unwrap().state, State::LoggedOut);
}

#[tokio::test]
async fn more_than_can_be_told_later_makes_everybody_look_again() {
    let bench = Bench::new();
    let (Some(here), Some(there)) = (bench.another(), bench.another()) else { return };
    let mut news = there.take_news().unwrap();
    put(&here, 1).await;
    tokio::time::timeout(PATIENCE, news.recv()).await.unwrap();
    bench.server().silence();
    let many: Vec<RecordKey> = (0..10_010).map(|_| key(2)).collect();
    assert_eq!(here.forget(many).await, Ok(0));
    bench.server().unsilence();
    let told = async { while news.recv().await != Some(News::Missed) {} };
    tokio::time::timeout(3 * PATIENCE, told).await.unwrap();
}

#[tokio::test]
async fn a_record_that_nobody_can_read_does_not_hide_the_others() {
    let bench = Bench::new();
    let Some(store) = bench.another() else { return };
    let second = put(&store, 2).await;
    bench.server().cli(&["SET", RECORD, "of another version"]);
    assert_eq!(store.generations(vec![key(1), key(2)]).await, Ok(vec![u64::MAX, second]));
    assert!(matches!(store.read(key(1)).await, Err(StoreError::Record(_))));
    let refused = store.write(key(1), Expect::Generation(1), draft()).await;
    assert!(matches!(refused, Err(StoreError::Record(_))), "{refused:?}");
    put(&store, 1).await;
    assert_eq!(there(&store, [1, 2]).await, [1, 2], "a login replaces it");
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_sent_again() {
    let bench = Bench::new();
    let Some(store) = bench.another() else { return };
    let mut generation = put(&store, 1).await;
    for _ in 0..2 {
        bench.server().cli(&["SCRIPT", "FLUSH"]);
        generation = write(&store, 1, Expect::Generation(generation)).await.unwrap();
        bench.server().cli(&["SCRIPT", "FLUSH"]);
        let Ok(Lease::Taken(held)) = store.lease(key(1), generation).await else { panic!() };
        bench.server().cli(&["SCRIPT", "FLUSH"]);
        drop(held);
        until("the lease to end", async || {
            bench.server().cli(&["EXISTS", &RECORD.replace(":r:", ":l:")]) == "0"
        })
        .await;
    }
}

#[tokio::test]
async fn what_does_not_reach_the_replicas_that_are_demanded_is_not_acknowledged_and_in_force_here() {
    let bench = Bench::new();
    if bench.another().is_none() {
        return;
    }
    let timeout = std::time::Duration::from_millis(500);
    let demanding = RedisSettings { wait_replicas: Some(1), timeout, ..bench.server().settings() };
    let store = bench.open_as(Kind::Redis(demanding)).unwrap();
    put(&store, 1).await;
    let told = store.opt_out(vec![key(1)], START, KEEP_UNTIL).await.unwrap_err().to_string();
    assert!(told.contains("did not reach a replica in time"), "{told}");
    // These may also have waited too long for their turn: what was refused is said again meanwhile, on the same connection.
    for refused in [
        store.site_opt_out(key(2), START).await,
        store.write(key(1), Expect::Any, logged_out()).await.map(drop),
    ] {
        assert!(refused.clone().is_err_and(|fault| fault.is_outage()), "{refused:?}");
    }
    assert!(store.opted_out(&key(1), START) && store.opted_out_at_site(&key(2), START));
}
