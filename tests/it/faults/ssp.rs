//! Every row of the table, once with the SSP alone and once beside one that bids.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::table::{BID, MAX_RESPONSE, Peer, Row, rows};
use super::{Worst, all, count, same, sum};
use crate::support::poll;
use crate::support::raw_peer::Step::{self, Fin, Read};
use crate::support::raw_peer::{RawPeer, answer, closed_port, full_queue, ok};
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"tmax":200}"#;
/// 200 ms less a margin of 10.
const DUE: Duration = Duration::from_millis(190);
const REQUESTS: usize = 3;

const HEALTHY: &str = r#"{"id":"r","seatbid":[{"seat":"well","bid":[{"id":"w","impid":"1","price":2}]}]}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_an_ssp_alone_and_beside_a_healthy_one() {
    let rows = rows();
    assert!(rows.len() >= 40, "{}", rows.len());
    let (alone, beside) = (Worst::default(), Worst::default());
    let both = rows.iter().flat_map(|row| [(row, false, &alone), (row, true, &beside)]);
    let running = both.map(|(row, healthy, worst)| hold(row, healthy, worst));
    all(running).await;
    alone.print(rows.len(), "one SSP");
    beside.print(rows.len(), "two SSPs");
}

async fn hold(row: &Row, beside_healthy: bool, worst: &Worst) {
    let what = format!("{} {}{}", row.moment, row.fault, if beside_healthy { ", two SSPs" } else { "" });
    let (address, tls, _kept) = peer(&row.peer).await;
    let script = Script { status: 200, body: HEALTHY.into(), ..Script::default() };
    let healthy = ScriptedSsp::start(script).await;
    let stack = start(address, tls, beside_healthy.then_some(healthy.address)).await;
    for nth in 0..REQUESTS {
        let asked = Instant::now();
        let answer = stack.http.post(stack.data, "/openrtb2/auction", &[AUTH], BODY).await;
        worst.note(&what, asked, DUE);
        let status = if beside_healthy { 200 } else { row.status };
        assert_eq!(answer.status, status, "{what}, request {nth}: {answer:?}");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!beside_healthy || text.contains(r#""seat":"well""#), "{what}: {text}");
        if row.outcome == "bid" && row.merged == "bid" {
            assert!(text.contains(r#""seat":"bad""#), "{what}: {text}");
        }
    }
    let outcome = if beside_healthy { row.merged } else { row.outcome };
    let mut as_expected = 0.0;
    for outcome in outcome.split('|') {
        let counted = format!("outcome=\"{outcome}\",ssp=\"bad\"");
        as_expected += sum(&stack, "uid2gw_ssp_requests_total", &counted).await;
    }
    let shown = counted_as(&stack).await;
    assert!(as_expected >= count(REQUESTS), "{what}: {as_expected} {outcome} of\n{shown}");
    same(sum(&stack, "uid2gw_ssp_requests_total", "ssp=\"bad\"").await, REQUESTS, &what);
    same(sum(&stack, "uid2gw_requests_total", "").await, REQUESTS, &what);
    same(sum(&stack, "uid2gw_ssp_inflight", "").await, 0, &what);
    if beside_healthy {
        let bids = sum(&stack, "uid2gw_ssp_requests_total", "outcome=\"bid\",ssp=\"well\"").await;
        same(bids, REQUESTS, &format!("{what}: the healthy one"));
    }
    stack.stop().await;
}

/// All that was counted of SSPs.
async fn counted_as(stack: &Stack) -> String {
    let text = stack.http.get(stack.admin, "/metrics", &[]).await.text();
    let shown = |line: &&str| line.starts_with("uid2gw_ssp_requests_total{") && !line.ends_with(" 0");
    text.lines().filter(shown).collect::<Vec<_>>().join("\n")
}

async fn peer(peer: &Peer) -> (SocketAddr, bool, Option<Vec<socket2::Socket>>) {
    match peer {
        Peer::Refuses => (closed_port().await, false, None),
        Peer::Unreachable => {
            let (address, sockets) = full_queue().await;
            (address, false, Some(sockets))
        }
        Peer::Plays(plays) => (RawPeer::start(plays.clone()).await.address, false, None),
        Peer::Tls(steps) => (RawPeer::start(vec![steps.clone()]).await.address, true, None),
    }
}

async fn start(bad: SocketAddr, tls: bool, healthy: Option<SocketAddr>) -> Stack {
    let scheme = if tls { "https" } else { "http" };
    let bad = format!(
        "[[ssp]]\nid = \"bad\"\nurl = \"{scheme}://{bad}/bid\"\nbreaker = false\ntimeout_ms = 1000\n\
         max_response_bytes = {MAX_RESPONSE}\n"
    );
    let (well, ssps) = match healthy {
        Some(healthy) => (
            format!("[[ssp]]\nid = \"well\"\nurl = \"http://{healthy}/bid\"\ntimeout_ms = 1000\n"),
            "ssps = [\"bad\", \"well\"]",
        ),
        None => (String::new(), "ssps = [\"bad\"]"),
    };
    let extra = bad + &well;
    Stack::start(&Plan { extra, publisher: ssps.into(), ..Plan::default() }).await
}

/// An SSP that closes as the request arrives may have begun to act on it: it is not sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_may_have_been_read_is_never_sent_twice() {
    let first = vec![Read, ok(BID), Read, Fin];
    let ssp = RawPeer::start(vec![first, vec![Read, ok(BID), Fin]]).await;
    let stack = start(ssp.address, false, None).await;
    let ask = || stack.http.post(stack.data, "/openrtb2/auction", &[AUTH], BODY);
    assert_eq!(ask().await.status, 200);
    assert_eq!(ask().await.status, 204, "it was read, and closed upon");
    assert_eq!((ssp.requests(), ssp.connections()), (2, 1));
    assert_eq!(ask().await.status, 200);
    assert_eq!((ssp.requests(), ssp.connections()), (3, 2));
    stack.stop().await;
}

/// A late answer is read to its end, and its connection serves the next request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_costs_no_connection() {
    let Step::Write(slow) = ok(BID) else { unreachable!("it is written") };
    // The first connection is late once, and then answers at once; every other serves one request, without a bid.
    let mut late = vec![Read, Step::Drip(slow, Duration::from_millis(2))];
    late.extend((0..100).flat_map(|_| [Read, ok(BID)]));
    let ssp = RawPeer::start(vec![late, vec![Read, answer("204 No", "", ""), Fin]]).await;
    let ssps = vec![("bad".into(), ssp.address, "timeout_ms = 50\nlate_ms = 5000\nbreaker = false".into())];
    let stack = Stack::start(&Plan { ssps, ..Plan::default() }).await;
    let ask = || stack.http.post(stack.data, "/openrtb2/auction", &[AUTH], BODY);
    assert_eq!(ask().await.status, 204);
    same(sum(&stack, "uid2gw_ssp_requests_total", "timeout").await, 1, "late");
    poll::until("the first connection is used again", async || (ask().await.status == 200).then_some(()))
        .await;
    stack.stop().await;
}
