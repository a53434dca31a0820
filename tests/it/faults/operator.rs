//! The operator at the level of bytes: no ad request waits for it or fails because of it, and a login says whose fault
//! it was, in time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Worst, all, same, sum};
use crate::support::raw_peer::Step::{self, Again, Drip, Fin, Flood, Hang, Read, Reset, Touch};
use crate::support::raw_peer::{RawPeer, answer, closed_port, full_queue, ok, write, zipped};
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}},"tmax":200}"#;
const BID: &str = r#"{"id":"r","seatbid":[{"bid":[{"id":"b","impid":"1","price":1}]}]}"#;
const HASH: (&str, &str) = ("x-uid2-email-hash", "s2qDcB8cMZHhlyLW+QJ0vBtVAf5p6/MzE+RA/ksP4hA=");
/// Of an ad request.
const DUE: Duration = Duration::from_millis(190);
/// Of a login, with all its tries.
const LOGIN: Duration = Duration::from_millis(400);

enum Operator {
    Refuses,
    Unreachable,
    Plays(Vec<Step>),
}

struct Row {
    fault: &'static str,
    operator: Operator,
    /// What a login is answered.
    login: u16,
}

fn row(fault: &'static str, steps: Vec<Step>, login: u16) -> Row {
    Row { fault, operator: Operator::Plays(steps), login }
}

fn rows() -> Vec<Row> {
    let Step::Write(slow) = ok("bm90aGluZw==") else { unreachable!("it is written") };
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
    vec![
        Row { fault: "refuses", operator: Operator::Refuses, login: 503 },
        Row { fault: "hangs at connect", operator: Operator::Unreachable, login: 504 },
        row("resets at once", vec![Reset], 503),
        row("closes at once", vec![], 503),
        row("resets in the request", vec![Touch, Reset], 503),
        row("hangs before the head", vec![Read, Hang], 504),
        row("resets before the head", vec![Read, Reset], 503),
        row("closes before the head", vec![Read, Fin], 503),
        row("hangs in the head", vec![Read, write("HTTP/1.1 200 OK\r\nconte"), Hang], 504),
        row(
            "hangs in the body",
            vec![Read, write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"), Hang],
            504,
        ),
        row(
            "closes in the body",
            vec![Read, write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"), Fin],
            503,
        ),
        row("500", vec![Read, answer("500 Oops", "", ""), Again], 502),
        row("503", vec![Read, answer("503 Busy", "", ""), Again], 502),
        row("302", vec![Read, answer("302 Found", "location: /x\r\n", ""), Again], 502),
        row("404", vec![Read, answer("404 Not Found", "", ""), Again], 502),
        row("is no HTTP", vec![Read, write("SSH-2.0-OpenSSH_9.6\r\n"), Hang], 503),
        row("a body that is no envelope", vec![Read, ok("<html>"), Again], 502),
        row("an empty body", vec![Read, ok(""), Again], 502),
        row(
            "gzip that nobody asked for",
            vec![Read, answer("200 OK", "content-encoding: gzip\r\n", zipped(b"{}")), Again],
            502,
        ),
        row("100 MB", vec![Read, write(head), Flood(100_000_000)], 502),
        row("byte by byte", vec![Read, Drip(slow, Duration::from_millis(20)), Again], 504),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_the_operator() {
    let (rows, auctions, logins) = (rows(), Worst::default(), Worst::default());
    let running = rows.iter().map(|row| hold(row, &auctions, &logins));
    all(running).await;
    auctions.print(rows.len(), "ad requests while the operator fails");
    logins.print(rows.len(), "logins");
}

async fn hold(row: &Row, auctions: &Worst, logins: &Worst) {
    let (address, _kept) = match &row.operator {
        Operator::Refuses => (closed_port().await, None),
        Operator::Unreachable => {
            let (address, sockets) = full_queue().await;
            (address, Some(sockets))
        }
        Operator::Plays(steps) => (RawPeer::start(vec![steps.clone()]).await.address, None),
    };
    let (stack, ssp) = start(address).await;
    for _ in 0..3 {
        let asked = Instant::now();
        let answer = stack.http.post(stack.data, "/openrtb2/auction", &[AUTH, HASH], BODY).await;
        auctions.note(row.fault, asked, DUE);
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, BID), "{}", row.fault);
        assert!(!String::from_utf8_lossy(&ssp.last().body).contains("uidapi.com"), "{}", row.fault);
    }
    let asked = Instant::now();
    let login = stack.login(r#"{"user_id":"u2","email":"user2@example.com"}"#).await;
    logins.note(row.fault, asked, LOGIN);
    assert_eq!(login.status, row.login, "{}: {login:?}", row.fault);
    same(sum(&stack, "uid2gw_requests_total", "outcome=\"bid\"").await, 3, row.fault);
    same(sum(&stack, "uid2gw_identity_reason_total", "result=\"absent\"").await, 3, row.fault);
    stack.stop().await;
}

async fn start(operator: SocketAddr) -> (Stack, ScriptedSsp) {
    let ssp = ScriptedSsp::start(Script { status: 200, body: BID.into(), ..Script::default() }).await;
    let plan = Plan {
        ssps: vec![("alpha".into(), ssp.address, "timeout_ms = 1000".into())],
        operator: format!("http://{operator}"),
        operator_lines: format!("timeout_ms = {}\nconnect_timeout_ms = 200", LOGIN.as_millis()),
        ..Plan::default()
    };
    (Stack::start(&plan).await, ssp)
}
