//! Four SSPs at their worst and one that is well: its bids come back, every time, in time, and nothing piles up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;

use super::{Worst, count};
use crate::support::http::Http;
use crate::support::process::Process;
use crate::support::raw_peer::Step::{self, Drip, Flood, Hang, Read, Reset};
use crate::support::raw_peer::{RawPeer, ok, write};
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, operator};

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"tmax":150}"#;
const BID: &str = r#"{"id":"r","seatbid":[{"seat":"well","bid":[{"id":"w","impid":"1","price":2}]}]}"#;
/// 150 ms less a margin of 10.
const DUE: Duration = Duration::from_millis(140);
const AT_ONCE: usize = 10;
/// Requests until everything has been allocated that is needed, and those after them.
const WARM_UP: usize = 200;
const REQUESTS: usize = 400;
/// Growth over all of the latter: what an allocator keeps back, and nothing per request. A single forgotten answer of
/// 1 MiB in eight requests would be more.
const FLAT_BYTES: usize = 48 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_hangs_one_resets_one_floods_one_crawls_and_the_healthy_one_bids() {
    let Step::Write(slow) = ok(BID) else { unreachable!("it is written") };
    let flood = write("HTTP/1.1 200 OK\r\n\r\n");
    let plays = [
        ("hangs", vec![Read, Hang]),
        ("resets", vec![Read, write("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), Reset]),
        ("floods", vec![Read, flood, Flood(100_000_000)]),
        ("crawls", vec![Read, Drip(slow, Duration::from_millis(10))]),
    ];
    let mut ssps = Vec::new();
    for (id, steps) in plays {
        let peer = RawPeer::start(vec![steps]).await;
        ssps.push((String::from(id), peer.address, String::from("timeout_ms = 1000\nbreaker = false")));
    }
    let well = ScriptedSsp::start(Script { status: 200, body: BID.into(), ..Script::default() }).await;
    ssps.push(("well".into(), well.address, "timeout_ms = 1000".into()));
    let (_, operator_address) = operator(uid2_gateway::sandbox::operator::Settings::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.toml");
    let plan = Plan { ssps, ..Plan::default() };
    std::fs::write(&config, plan.toml(&format!("http://{operator_address}"))).unwrap();
    let gateway = Arc::new(Process::start(&config));

    let worst = Worst::default();
    ask(&gateway, WARM_UP, &worst).await;
    let before = resident(&gateway);
    ask(&gateway, REQUESTS, &worst).await;
    let after = resident(&gateway);
    worst.print(5, "five SSPs, of which one is well");
    println!("{REQUESTS} requests: {before} bytes resident before, {after} after");
    assert!(after.saturating_sub(before) < FLAT_BYTES, "{before} bytes became {after}");

    let metrics = Http::default().get(gateway.admin, "/metrics", &[]).await.text();
    for (ssp, outcome) in [
        ("hangs", "timeout"),
        ("resets", "invalid"),
        ("floods", "too_large"),
        ("crawls", "timeout"),
        ("well", "bid"),
    ] {
        let all = count(WARM_UP + REQUESTS);
        let counted = |outcome: &str| {
            let series = format!("uid2gw_ssp_requests_total{{outcome=\"{outcome}\",ssp=\"{ssp}\"}} ");
            let shown = metrics.lines().find_map(|line| line.strip_prefix(&series));
            shown.map_or(0.0, |count| count.parse().unwrap())
        };
        // On a busy machine the time is over before some of the floods and resets have come.
        let (as_meant, late) = (counted(outcome), counted("timeout"));
        let whole = if outcome == "timeout" { late } else { as_meant + late };
        assert!(
            (whole - all).abs() < f64::EPSILON && as_meant > all * 0.9,
            "{ssp}: {as_meant} and {late} late"
        );
    }
}

async fn ask(gateway: &Process, requests: usize, worst: &Worst) {
    let http = Http::default();
    let one = async |_| {
        let asked = Instant::now();
        let answer =
            http.post(gateway.data, "/openrtb2/auction", &[AUTH], Bytes::from_static(BODY.as_bytes()));
        let answer = answer.await;
        worst.note("an ad request", asked, DUE);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text().contains(r#""seat":"well""#), "{answer:?}");
    };
    futures_util::stream::iter(0..requests).map(one).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Resident memory of the process, bytes.
fn resident(gateway: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
