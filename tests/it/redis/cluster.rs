//! Two gateways on a real cluster of six processes, while one primary dies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;

use super::alone::one_refresh;
use crate::support::fleet::Fleet;
use crate::support::poll;
use crate::support::process::Process;
use crate::support::redis::{Cluster, is_there};

const USERS: usize = 40;
/// Every so-manieth user opts out while the primary dies.
const LEAVES: usize = 2;
/// Ad requests at one time, at each gateway.
const CALLERS: usize = 4;
/// From the answer to an opt-out until no gateway sends the user's token any more.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

fn user(number: usize) -> String {
    format!("user-{number}")
}

fn email(number: usize) -> String {
    format!("user-{number}@example.com")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_dies_and_no_ad_request_fails_and_no_opt_out_is_lost() {
    if !is_there() {
        return;
    }
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let fleet = Arc::new(Fleet::new(&cluster.urls(), "cluster = true").await);
    let (a, b) = (Arc::new(fleet.gateway()), Arc::new(fleet.gateway()));
    one_refresh(&fleet, &a, &b).await;
    for number in 0..USERS {
        fleet.logged_in(&a, &user(number), &email(number)).await;
    }
    for number in 0..USERS {
        fleet.until_injected(&b, &user(number)).await;
    }

    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = [&a, &b]
        .into_iter()
        .flat_map(|gateway| (0..CALLERS).map(move |caller| (Arc::clone(gateway), caller)))
        .map(|(gateway, caller)| {
            tokio::spawn(serve(Arc::clone(&fleet), gateway, caller, (Arc::clone(&stop), Arc::clone(&served))))
        })
        .collect();

    // The one that holds the stream of changes: nothing can be told while it is away.
    let primary = cluster.primary_of("uid2gw:changes");
    cluster.nodes[primary].kill();
    let killed = Instant::now();
    let acknowledged = leave(&fleet, &a).await;
    let healed = killed.elapsed();
    fleet.until_store(&a, true).await;
    fleet.until_store(&b, true).await;
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no ad request fails");
    }
    println!(
        "{} ad requests while a primary of six died, none failed; all opt-outs were taken {healed:?} after",
        served.load(Ordering::Relaxed)
    );

    let c = fleet.gateway();
    for gateway in [&*a, &*b, &c] {
        for number in (0..USERS).step_by(LEAVES) {
            assert!(!fleet.is_injected(gateway, &user(number)).await, "{} opted out", user(number));
        }
        fleet.until_injected(gateway, &user(1)).await;
    }
    sent_to_nobody_after(&fleet, &acknowledged);
    // A login whose slot was on the dead primary works as well.
    for number in USERS..2 * USERS {
        fleet.logged_in(&b, &user(number), &email(number)).await;
    }
}

/// Ad requests for all users in turn, until told to stop.
async fn serve(
    fleet: Arc<Fleet>,
    gateway: Arc<Process>,
    caller: usize,
    (stop, served): (Arc<AtomicBool>, Arc<AtomicUsize>),
) {
    for number in caller.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        fleet.auction(&gateway, &user(number % USERS)).await;
        served.fetch_add(1, Ordering::Relaxed);
    }
}

/// Opts users out at the publisher, each until it is acknowledged; by the number of the user, what the SSP had received a second
/// later.
async fn leave(fleet: &Fleet, at: &Process) -> BTreeMap<usize, usize> {
    let mut acknowledged = Vec::new();
    for number in (0..USERS).step_by(LEAVES) {
        let path = format!("/v1/identity/{}/optout", user(number));
        poll::until("an opt-out to be taken", async || {
            (fleet.call(Method::PUT, at, &path).await.status == 204).then_some(())
        })
        .await;
        acknowledged.push((number, Instant::now()));
    }
    let mut seen = BTreeMap::new();
    for (number, when) in acknowledged {
        tokio::time::sleep_until((when + STOPS_WITHIN).into()).await;
        seen.insert(number, fleet.ssp.received().len());
    }
    seen
}

/// Nothing that the SSP received after an opt-out was in force was of that user.
fn sent_to_nobody_after(fleet: &Fleet, acknowledged: &BTreeMap<usize, usize>) {
    let (received, first) = (fleet.received(), *acknowledged.values().min().unwrap());
    assert!(received.iter().any(|(at, _)| *at >= first), "tokens of others were sent");
    for (number, from) in acknowledged {
        let raw_uid = fleet.raw_uid(&email(*number));
        let sent = received.iter().filter(|(at, uid)| at >= from && *uid == raw_uid).count();
        assert_eq!(sent, 0, "tokens of {} after the opt-out", user(*number));
    }
}
