//! Limits over sockets, each at the limit and one past it.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::http::Answer;
use crate::support::poll;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

async fn stack(server: &str) -> (Stack, ScriptedSsp) {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let ssps = vec![("alpha".into(), ssp.address, String::new())];
    (Stack::start(&Plan { ssps, server: server.into(), ..Plan::default() }).await, ssp)
}

fn body_of(size: usize) -> String {
    let frame = r#"{"id":"r","imp":[{"id":"1"}],"x":""}"#.len();
    format!(r#"{{"id":"r","imp":[{{"id":"1"}}],"x":"{}"}}"#, "a".repeat(size - frame))
}

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn post(stack: &Stack, headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Answer {
    let mut all = vec![AUTH];
    all.extend_from_slice(headers);
    stack.http.post(stack.data, "/openrtb2/auction", &all, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_sizes() {
    let (stack, ssp) = stack("max_body_bytes = 2000\nmax_inflated_bytes = 4000").await;
    assert_eq!(post(&stack, &[], body_of(2000)).await.status, 204);
    assert_eq!(post(&stack, &[], body_of(2001)).await.status, 413);
    let gzip = [("content-encoding", "gzip")];
    assert_eq!(post(&stack, &gzip, zipped(&body_of(4000))).await.status, 204);
    assert_eq!(ssp.last().body, body_of(4000), "SSPs get it inflated");
    assert!(!ssp.last().headers.contains_key("content-encoding"));
    assert_eq!(post(&stack, &gzip, zipped(&body_of(4001))).await.status, 413);
    assert_eq!(post(&stack, &gzip, body_of(100)).await.status, 400);
    let members = |empty: usize| [zipped("").repeat(empty), zipped(&body_of(100))].concat();
    assert_eq!(post(&stack, &gzip, members(7)).await.status, 204, "eight members");
    assert_eq!(post(&stack, &gzip, members(8)).await.status, 400, "nine");
    let series = "uid2gw_requests_total{outcome=\"too_large\",publisher=\"acme\"}";
    assert!((stack.metric(series).await - 2.0).abs() < f64::EPSILON);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight() {
    let (stack, ssp) = stack("max_inflight = 2").await;
    ssp.set(Script { delay: std::time::Duration::from_millis(150), ..Script::default() });
    let answers = futures_util::future::join_all((0..3).map(|_| post(&stack, &[], body_of(100)))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|a| a.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 204, 503]);
    let shed = answers.iter().find(|a| a.status == 503).unwrap();
    assert_eq!(shed.headers["retry-after"], "1");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ssp_that_recovers_is_reached_at_once_though_late_answers_hold_every_connection() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let lines = "timeout_ms = 500\nmax_connections = 2\nlate_ms = 10000";
    let ssps = vec![("alpha".into(), ssp.address, lines.into())];
    let stack = Stack::start(&Plan { ssps, ..Plan::default() }).await;
    ssp.set(Script { delay: std::time::Duration::from_mins(10), ..Script::default() });
    let hung = futures_util::future::join_all((0..2).map(|_| post(&stack, &[], body_of(100)))).await;
    assert!(hung.iter().all(|answer| answer.status == 204));
    let held = stack.metric("uid2gw_ssp_connections{ssp=\"alpha\"}").await;
    assert!((held - 2.0).abs() < f64::EPSILON, "{held}");
    let waits = stack.metric("uid2gw_ssp_inflight{ssp=\"alpha\"}").await;
    assert!(waits.abs() < f64::EPSILON, "late answers are not awaited: {waits}");
    let bid = r#"{"id":"r","seatbid":[{"bid":[{"id":"b","impid":"1","price":1}]}]}"#;
    ssp.set(Script { status: 200, body: bid.into(), ..Script::default() });
    let answer = post(&stack, &[], body_of(100)).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, bid));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections() {
    let (stack, _ssp) = stack("max_connections = 2").await;
    let first = TcpStream::connect(stack.data).await.unwrap();
    let second = TcpStream::connect(stack.data).await.unwrap();
    poll::until("two connections", async || (stack.metric("uid2gw_connections").await >= 2.0).then_some(()))
        .await;
    let mut third = TcpStream::connect(stack.data).await.unwrap();
    let mut buffer = [0_u8; 16];
    assert_eq!(third.read(&mut buffer).await.unwrap_or(0), 0, "one past the limit is closed at once");
    drop((first, second));
    poll::until("room again", async || {
        let mut again = TcpStream::connect(stack.data).await.unwrap();
        again.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        again.read_to_string(&mut answer).await.ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    })
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_come_to_its_end() {
    let (stack, _ssp) = stack("header_timeout_ms = 200").await;
    let mut slow = TcpStream::connect(stack.data).await.unwrap();
    slow.write_all(b"POST /openrtb2/auction HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut buffer = Vec::new();
    slow.read_to_end(&mut buffer).await.unwrap_or_default();
    assert!(buffer.is_empty(), "closed without an answer");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_to_its_end() {
    let (stack, _ssp) = stack("body_timeout_ms = 200").await;
    let mut slow = TcpStream::connect(stack.data).await.unwrap();
    slow.write_all(b"POST /openrtb2/auction HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        .await
        .unwrap();
    let mut buffer = [0_u8; 12];
    slow.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"HTTP/1.1 408");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_long() {
    let (stack, _ssp) = stack("").await;
    let padding = "x".repeat(64 * 1024);
    let mut long = TcpStream::connect(stack.data).await.unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-padding: {padding}\r\n\r\n");
    long.write_all(head.as_bytes()).await.unwrap_or_default();
    let mut buffer = [0_u8; 12];
    long.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"HTTP/1.1 431");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_is_counted() {
    let (stack, ssp) = stack("").await;
    ssp.set(Script { delay: std::time::Duration::from_secs(2), ..Script::default() });
    let body = body_of(100);
    let mut gone = TcpStream::connect(stack.data).await.unwrap();
    let head = format!(
        "POST /openrtb2/auction HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-length: {}\r\n\r\n{body}",
        AUTH.1,
        body.len()
    );
    gone.write_all(head.as_bytes()).await.unwrap();
    poll::until("the SSP to be called", async || (!ssp.received().is_empty()).then_some(())).await;
    drop(gone);
    let series = "uid2gw_requests_total{outcome=\"cancelled\",publisher=\"acme\"}";
    poll::until("the count", async || (stack.metric(series).await >= 1.0).then_some(())).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_bodies() {
    let (stack, _ssp) = stack("").await;
    let sized = |size: usize| {
        let frame =
            json!({"user_id": "u", "email": "a@example.com", "privacy": {"gpp": ""}}).to_string().len();
        json!({"user_id": "u", "email": "a@example.com", "privacy": {"gpp": "D".repeat(size - frame)}})
            .to_string()
    };
    assert_ne!(stack.login(&sized(16 * 1024)).await.status, 413);
    assert_eq!(stack.login(&sized(16 * 1024 + 1)).await.status, 413);
    stack.stop().await;
}
