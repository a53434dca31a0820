//! Callers that stop, leave, lie or crawl: each costs itself alone, and is counted once where it was a request.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Worst, all, same, sum};
use crate::support::poll;
use crate::support::raw_peer::{drip, reset, zipped};
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"tmax":200}"#;
/// The SSP answers after this, so that some go before it does.
const SSP: Duration = Duration::from_millis(60);
/// For a head and for a body that do not come to their end.
const PATIENCE_MS: u64 = 150;
/// That patience, and what an ad request may take.
const DUE: Duration = Duration::from_millis(PATIENCE_MS + 200);
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// What a caller does after it has written.
#[derive(Clone, Copy)]
enum Then {
    /// Reads until the gateway closes, or for as long as the row says.
    Waits,
    Resets,
    /// Closes its own side, and reads.
    HalfCloses,
}

struct Row {
    fault: &'static str,
    send: Vec<u8>,
    /// Byte by byte from here on.
    crawl: Option<usize>,
    then: Then,
    /// Status lines that come back, in order.
    answers: &'static [&'static str],
    /// As what it is counted, and how often.
    counted: Option<(&'static str, usize)>,
    /// When it is over, at the latest.
    within: Duration,
}

fn row(fault: &'static str, send: impl Into<Vec<u8>>, answers: &'static [&'static str]) -> Row {
    Row { fault, send: send.into(), crawl: None, then: Then::Waits, answers, counted: None, within: DUE }
}

impl Row {
    fn counted(self, outcome: &'static str) -> Self {
        Self { counted: Some((outcome, 1)), ..self }
    }

    fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    fn crawls(self, from: usize) -> Self {
        Self { crawl: Some(from), ..self }
    }
}

fn head(lines: &str) -> String {
    format!("POST /openrtb2/auction HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\n{lines}\r\n", AUTH.1)
}

fn sized(lines: &str, body: &[u8]) -> Vec<u8> {
    [head(&format!("content-length: {}\r\n{lines}", body.len())).as_bytes(), body].concat()
}

fn rows() -> Vec<Row> {
    let whole = sized("", BODY.as_bytes());
    let closing = sized("connection: close\r\n", BODY.as_bytes());
    let (half, body_at) = (&whole[..whole.len() - 5], whole.len() - BODY.len());
    let gzip = |body: &[u8]| sized("content-encoding: gzip\r\nconnection: close\r\n", body);
    let chunked = |body: &str| format!("{}{body}", head("transfer-encoding: chunked\r\n"));
    vec![
        Row { within: KEEP_ALIVE, ..row("says nothing", "", &[]) },
        row("hangs in the head", &whole[..40], &[]),
        row("resets in the head", &whole[..40], &[]).then(Then::Resets),
        row("closes in the head", &whole[..40], &[]).then(Then::HalfCloses),
        row("crawls in the head", whole.clone(), &[]).crawls(0),
        row("a head longer than allowed", head(&format!("x: {}\r\n", "x".repeat(64 * 1024))), &["431"]),
        row("is no HTTP", "SSH-2.0-OpenSSH_9.6\r\n\r\n", &["400"]),
        row("hangs in the body", half, &["408"]).counted("timeout"),
        row("crawls in the body", whole.clone(), &["408"]).crawls(body_at).counted("timeout"),
        row("resets in the body", half, &[]).then(Then::Resets).counted("cancelled"),
        row("closes in the body", half, &["400"]).then(Then::HalfCloses).counted("cancelled"),
        row("resets while it waits", whole.clone(), &[]).then(Then::Resets).counted("cancelled"),
        row("closes its side while it waits", whole.clone(), &[]).then(Then::HalfCloses).counted("cancelled"),
        row("announces 100 MB", head("content-length: 100000000\r\n"), &["413"]).counted("too_large"),
        row("100 MB in chunks", chunked(&format!("5f5e100\r\n{}", " ".repeat(8192))), &["413"])
            .counted("too_large"),
        row("a chunk size that is none", chunked("zz\r\n"), &["400"]).counted("cancelled"),
        row("a chunk longer than it says", chunked("1\r\n{}\r\n"), &["400"]).counted("cancelled"),
        row("gzip that is none", gzip(BODY.as_bytes()), &["400"]).counted("bad_request"),
        row("gzip cut off", gzip(&zipped(BODY.as_bytes())[..30]), &["400"]).counted("bad_request"),
        row("a gzip bomb", gzip(&zipped(&vec![b' '; 1_000_000])), &["413"]).counted("too_large"),
        row(
            "a length and chunks",
            [head("content-length: 2\r\ntransfer-encoding: chunked\r\n"), BODY.into()].concat(),
            &["400"],
        )
        .counted("cancelled"),
        row(
            "two lengths",
            [head("content-length: 2\r\ncontent-length: 3\r\n"), BODY.into()].concat(),
            &["400"],
        ),
        row("a length that is too short", [&head("content-length: 9\r\n"), BODY].concat(), &["400", "400"])
            .counted("bad_request"),
        row(
            "waits to be told to go on",
            sized("expect: 100-continue\r\nconnection: close\r\n", BODY.as_bytes()),
            &["100", "204"],
        )
        .counted("nobid"),
        row(
            "HTTP/1.0",
            String::from_utf8(closing.clone()).unwrap().replace("HTTP/1.1", "HTTP/1.0"),
            &["204"],
        )
        .counted("nobid"),
        Row { counted: Some(("nobid", 2)), ..row("two at once", [whole, closing].concat(), &["204", "204"]) },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_caller() {
    let (rows, worst) = (rows(), Worst::default());
    let running = rows.iter().map(|row| hold(row, &worst));
    all(running).await;
    worst.print(rows.len(), "callers");
}

async fn hold(row: &Row, worst: &Worst) {
    let what = row.fault;
    let ssp = ScriptedSsp::start(Script { delay: SSP, ..Script::default() }).await;
    let stack = start(&ssp).await;
    let asked = Instant::now();
    let answered = call(row, &stack, &ssp).await;
    worst.note(what, asked, row.within);
    let statuses: Vec<&str> = answered.split("HTTP/1.").skip(1).filter_map(|line| line.get(2..5)).collect();
    assert_eq!(statuses, row.answers, "{what}: {answered:?}");
    let requests = row.counted.map_or(0, |(_, times)| times);
    if let Some((outcome, times)) = row.counted {
        let label = format!("outcome=\"{outcome}\"");
        poll::until(&format!("{what}: {outcome}"), async || {
            (sum(&stack, "uid2gw_requests_total", &label).await >= super::count(times)).then_some(())
        })
        .await;
    }
    let next = stack.http.post(stack.data, "/openrtb2/auction", &[AUTH], BODY).await;
    assert_eq!(next.status, 204, "{what}: the next one");
    same(sum(&stack, "uid2gw_requests_total", "").await, requests + 1, what);
    let inflight = stack.metric("uid2gw_inflight_requests").await;
    same(inflight, 0, &format!("{what}: in flight"));
    stack.stop().await;
}

/// What came back.
async fn call(row: &Row, stack: &Stack, ssp: &ScriptedSsp) -> String {
    let mut stream = TcpStream::connect(stack.data).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let at_once = row.crawl.unwrap_or(row.send.len());
    // The gateway may have had enough before all is written.
    stream.write_all(&row.send[..at_once]).await.ok();
    drip(&mut stream, &row.send[at_once..], Duration::from_millis(20)).await;
    if !matches!(row.then, Then::Waits) && row.send.ends_with(BODY.as_bytes()) {
        poll::until("the SSP to be asked", async || (!ssp.received().is_empty()).then_some(())).await;
    }
    match row.then {
        Then::Waits => {}
        Then::HalfCloses => stream.shutdown().await.unwrap_or_default(),
        Then::Resets => {
            reset(&stream);
            return String::new();
        }
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn start(ssp: &ScriptedSsp) -> Stack {
    let server = format!(
        "header_timeout_ms = {PATIENCE_MS}\nbody_timeout_ms = {PATIENCE_MS}\nkeep_alive_s = {}\n\
         max_body_bytes = 4096\nmax_inflated_bytes = 8192",
        KEEP_ALIVE.as_secs()
    );
    let ssps = vec![("alpha".into(), ssp.address, "timeout_ms = 1000".into())];
    Stack::start(&Plan { ssps, server, ..Plan::default() }).await
}
