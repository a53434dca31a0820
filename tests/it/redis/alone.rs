//! Two gateways on one server.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Method;

use crate::support::fleet::Fleet;
use crate::support::poll;
use crate::support::process::Process;
use crate::support::redis::{Server, is_there};

/// What the gateways promise.
const STOPS_WITHIN: Duration = Duration::from_secs(1);

async fn two(server: &Server) -> (Fleet, Process, Process) {
    let fleet = Fleet::new(&[server.url()], "").await;
    let (a, b) = (fleet.gateway(), fleet.gateway());
    (fleet, a, b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_at_one_is_used_at_the_other_and_a_logout_ends_it_there() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]);
    let (fleet, a, b) = two(&server).await;
    assert!(!fleet.is_injected(&b, "jane").await, "unknown, and remembered as such");
    fleet.logged_in(&a, "jane", "jane@example.com").await;
    fleet.until_injected(&b, "jane").await;
    let (_, raw_uid) = fleet.received().pop().unwrap();
    assert_eq!(raw_uid, fleet.raw_uid("jane@example.com"));
    let logout = fleet.call(Method::DELETE, &a, "/v1/identity/jane").await;
    assert_eq!(logout.status, 204);
    poll::until("the logout at the other gateway", async || {
        (!fleet.is_injected(&b, "jane").await).then_some(())
    })
    .await;
    // What is in Redis outlives the gateways.
    fleet.logged_in(&b, "joe", "joe@example.com").await;
    drop((a, b));
    let c = fleet.gateway();
    fleet.until_injected(&c, "joe").await;
    assert!(!fleet.is_injected(&c, "jane").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opt_out_that_one_learns_stops_the_other_within_a_second() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]);
    let (fleet, a, b) = two(&server).await;
    let mut worst = Duration::ZERO;
    for round in 0..6 {
        let (user, email) = (format!("user-{round}"), format!("user-{round}@example.com"));
        let by = [By::Login, By::Refresh, By::Publisher][round % 3];
        fleet.due_after(if by == By::Refresh { 0 } else { 900 });
        fleet.logged_in(&a, &user, &email).await;
        fleet.until_injected(&b, &user).await;
        let asked = Instant::now();
        // While the other gateway sends and sends.
        let (learned, last) = tokio::join!(learn(&fleet, &a, &user, by), last_sent(&fleet, &b, &user));
        assert!(last < learned + STOPS_WITHIN, "{by:?}: {:?} too late", last - learned);
        worst = worst.max(last - asked);
    }
    println!(
        "the last token of a user at one gateway was sent {worst:?} after the other was asked what told it of the opt-out, \
         the worst of 6 (the calls to the operator included)"
    );
}

/// How a gateway learns of an opt-out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// Of the identifier, when somebody else logs in with it.
    Login,
    Refresh,
    Publisher,
}

/// When it is learned.
async fn learn(fleet: &Fleet, at: &Process, user: &str, by: By) -> Instant {
    let email = format!("{user}@example.com");
    if by != By::Publisher {
        fleet.opt_out(&email);
    }
    match by {
        By::Login => {
            let answer = fleet.login(at, &format!("{user}-too"), &email).await;
            assert_eq!(answer.json()["status"], "optout", "{answer:?}");
        }
        By::Refresh => {
            let told = async || (!fleet.is_injected(at, user).await).then_some(());
            poll::until("the refresh to say so", told).await;
        }
        By::Publisher => {
            let answer = fleet.call(Method::PUT, at, &format!("/v1/identity/{user}/optout")).await;
            assert_eq!(answer.status, 204, "{answer:?}");
        }
    }
    Instant::now()
}

/// When the last token of a user was sent.
async fn last_sent(fleet: &Fleet, at: &Process, user: &str) -> Instant {
    let mut last = Instant::now();
    poll::until("the user to be sent no more", async || {
        let sent = fleet.is_injected(at, user).await;
        if sent {
            last = Instant::now();
        }
        (!sent).then_some(())
    })
    .await;
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_auctions_for_one_due_identity_at_both_are_one_refresh() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]);
    let (fleet, a, b) = two(&server).await;
    one_refresh(&fleet, &a, &b).await;
}

/// A thousand ad requests at once, at both, for one identity that is due.
pub(super) async fn one_refresh(fleet: &Fleet, a: &Process, b: &Process) {
    fleet.due_after(0);
    fleet.logged_in(a, "due", "due@example.com").await;
    fleet.until_known(b, "due").await;
    // What the refresh gives is not due again.
    fleet.due_after(900);
    // Long enough for both gateways to find that it is due.
    fleet.slow_refreshes(300);
    let auctions = (0..1_000).map(|n| fleet.auction(if n % 2 == 0 { a } else { b }, "due"));
    join_all(auctions).await;
    poll::until("the refresh", async || (fleet.refreshes().await > 0).then_some(())).await;
    for gateway in [a, b] {
        let before = fleet.hits(gateway).await;
        poll::until("the new token here", async || {
            fleet.auction(gateway, "due").await;
            (fleet.hits(gateway).await > before).then_some(())
        })
        .await;
    }
    fleet.slow_refreshes(0);
    assert_eq!(fleet.refreshes().await, 1, "at both gateways together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_server_auctions_go_on_logins_wait_and_all_heals() {
    if !is_there() {
        return;
    }
    let mut server = Server::start(&[]);
    let (fleet, a, b) = two(&server).await;
    fleet.logged_in(&a, "jane", "jane@example.com").await;
    fleet.until_injected(&b, "jane").await;

    server.signal("STOP");
    troubled(&fleet, &b, "hangs").await;
    server.signal("CONT");
    healed(&fleet, &b, "joe").await;

    let port = server.port;
    server.kill();
    troubled(&fleet, &b, "is gone").await;
    let _server = Server::start_at(port, "--port", &[], &[]);
    // A server that came back with nothing: opt-outs and the key of all keys are put there again, logins work.
    healed(&fleet, &b, "jim").await;
    healed(&fleet, &a, "john").await;
    let c = fleet.gateway();
    fleet.until_injected(&c, "jim").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_told_is_found_within_max_stale_s() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]);
    let fleet = Fleet::new(&[server.url()], "max_stale_s = 2").await;
    let gateway = fleet.gateway();
    fleet.logged_in(&gateway, "jane", "jane@example.com").await;
    assert!(fleet.is_injected(&gateway, "jane").await);
    let records = server.ask(&["KEYS", "uid2gw:r:*"]);
    let start = Instant::now();
    for record in records.lines() {
        assert_eq!(server.ask(&["DEL", record]), "1");
    }
    let gone = async || (!fleet.is_injected(&gateway, "jane").await).then_some(());
    poll::until("the cached identity to go", gone).await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_away_for_longer_than_the_news_are_kept_looks_at_everything_again() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]);
    let (fleet, a, b) = two(&server).await;
    for user in ["jane", "joe", "ann"] {
        fleet.logged_in(&a, user, &format!("{user}@example.com")).await;
        fleet.until_injected(&b, user).await;
    }
    b.signal("STOP");
    let reads = async || server.ask(&["INFO", "clients"]).contains("blocked_clients:1\r").then_some(());
    poll::until("its read to end", reads).await;
    assert_eq!(fleet.call(Method::DELETE, &a, "/v1/identity/jane").await.status, 204);
    assert_eq!(fleet.call(Method::PUT, &a, "/v1/identity/joe/optout").await.status, 204);
    server.ask(&["XTRIM", "uid2gw:changes", "MAXLEN", "0"]);
    b.signal("CONT");
    for user in ["jane", "joe"] {
        let gone = async || (!fleet.is_injected(&b, user).await).then_some(());
        poll::until("what was missed", gone).await;
    }
    assert!(fleet.is_injected(&b, "ann").await);
}

/// The store does not answer: tokens in memory are sent, logins say when to come again, in bounded time.
async fn troubled(fleet: &Fleet, at: &Process, what: &str) {
    fleet.until_store(at, false).await;
    assert!(fleet.is_injected(at, "jane").await, "the server {what}");
    let start = Instant::now();
    let answer = fleet.login(at, "late", "late@example.com").await;
    assert_eq!(answer.status, 503, "the server {what}: {answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    assert!(start.elapsed() < Duration::from_secs(3), "the server {what}: {:?}", start.elapsed());
    let ready = fleet.http.get(at.admin, "/readyz", &[]).await;
    assert_eq!(ready.status, 200, "auctions are served: {ready:?}");
}

async fn healed(fleet: &Fleet, at: &Process, user: &str) {
    fleet.until_store(at, true).await;
    poll::until("a login", async || {
        (fleet.login(at, user, &format!("{user}@example.com")).await.status == 200).then_some(())
    })
    .await;
    fleet.until_injected(at, user).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_would_evict_is_not_ready() {
    if !is_there() {
        return;
    }
    let server = Server::start(&["--maxmemory-policy", "allkeys-lru"]);
    let fleet = Fleet::new(&[server.url()], "").await;
    let gateway = fleet.gateway();
    let ready = fleet.http.get(gateway.admin, "/readyz", &[]).await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("maxmemory-policy is allkeys-lru"), "{}", ready.text());
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    poll::until("readiness", async || {
        (fleet.http.get(gateway.admin, "/readyz", &[]).await.status == 200).then_some(())
    })
    .await;
}
