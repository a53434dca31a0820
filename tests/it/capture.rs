//! `/debug/capture` over real sockets: what is recorded, that nobody can be told from it, its limits, who may ask.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::support::http::Http;
use super::support::poll::until;
use super::support::scripted_ssp::{Script, ScriptedSsp};
use super::support::stack::{AUTH, Plan, Stack};
use super::support::{json_files, repository};

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"site":{"domain":"www.example.com"},"user":{"id":"user-4711","ext":{"x":"jane@example.com"}},"device":{"geo":{"country":"USA"},"ip":"81.2.69.142"}}"#;

async fn stack(extra: &str) -> (Stack, ScriptedSsp) {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let ssps = vec![("alpha".into(), ssp.address, String::new())];
    let plan = Plan { ssps, extra: extra.to_owned(), ..Plan::default() };
    (Stack::start(&plan).await, ssp)
}

/// Asks for a capture on a connection of its own, which ends with what it is given to.
async fn ask(at: SocketAddr, method: Method, query: &str, headers: &[(&str, &str)]) -> Response<Incoming> {
    let stream = TcpStream::connect(at).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let host = at.to_string();
    let mut request =
        Request::builder().method(method).uri(format!("/debug/capture{query}")).header("te", "trailers");
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", host);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Empty::<Bytes>::new().map_err(|never: Infallible| match never {}).boxed_unsync();
    sender.send_request(request.body(body).unwrap()).await.unwrap()
}

/// The lines and the tally.
async fn read(response: Response<Incoming>) -> (Vec<Value>, String) {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_else(HeaderMap::new);
    let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")));
    (lines.collect(), trailers["x-uid2gw-capture"].to_str().unwrap().to_owned())
}

async fn ads(stack: &Stack, count: usize) {
    for _ in 0..count {
        assert_eq!(stack.auction("user-4711", BODY).await.status, 204);
    }
}

/// Twenty requests are twenty lines, in their time, of the same pseudonym, and the gateway takes them again.
#[tokio::test]
async fn requests_are_recorded_with_their_times_and_can_be_sent_again() {
    let (stack, _ssp) = stack("").await;
    ads(&stack, 1).await;
    let capture = ask(stack.admin, Method::GET, "?seconds=30&max=20", &[]).await;
    ads(&stack, 20).await;
    let (lines, tally) = read(capture).await;
    assert_eq!(lines.len(), 20, "{tally}");
    assert!(
        tally.starts_with("recorded=20;") && tally.ends_with(";dropped=0;refused=0;ended=requests"),
        "{tally}"
    );
    let times: Vec<u64> = lines.iter().map(|line| line["at_us"].as_u64().unwrap()).collect();
    assert!(times[0] == 0 && times.is_sorted() && times[19] > 0, "{times:?}");
    for line in &lines {
        assert_eq!(line["uid2gw_replay"], 1);
        assert_eq!(line["user"], lines[0]["user"]);
        assert_eq!(line["user"], line["body"]["user"]["id"]);
        let text = line.to_string();
        for secret in ["4711", "jane", "81.2.69"] {
            assert!(!text.contains(secret), "{text}");
        }
        let again = stack.auction(line["user"].as_str().unwrap(), line["body"].to_string()).await;
        assert_eq!(again.status, 204, "{text}");
    }
    ads(&stack, 1).await;
    stack.stop().await;
}

/// What is said of the realistic requests: as long as they were, and taken by the gateway as they were.
#[tokio::test]
async fn every_realistic_request_is_recorded() {
    let (stack, _ssp) = stack("").await;
    let files = json_files("fixtures/openrtb");
    let capture = ask(stack.admin, Method::GET, &format!("?seconds=60&max={}", files.len()), &[]).await;
    let mut sent = Vec::new();
    for file in &files {
        let body = std::fs::read(repository("fixtures/openrtb").join(file)).unwrap();
        sent.push((body.len(), stack.auction("u", body).await.status));
    }
    let body = capture.into_body().collect().await.unwrap().to_bytes();
    let lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), files.len());
    for (line, (length, status)) in lines.into_iter().zip(sent) {
        let start = line.windows(7).position(|part| part == b"\"body\":").unwrap() + 7;
        let body = &line[start..line.len() - 1];
        // A line break at the end of a file is part of the body.
        assert_eq!(body.len(), length);
        assert_eq!(stack.auction("u", body.to_vec()).await.status, status);
    }
    stack.stop().await;
}

#[tokio::test]
async fn one_records_at_a_time_and_a_client_that_goes_ends_it() {
    let (stack, _ssp) = stack("").await;
    let first = ask(stack.admin, Method::GET, "?seconds=60", &[]).await;
    assert_eq!(first.status(), 200);
    let second = ask(stack.admin, Method::GET, "?seconds=1", &[]).await;
    assert_eq!(second.status(), StatusCode::CONFLICT);
    assert_eq!(second.headers()["content-type"], "application/problem+json");
    drop(first);
    let third = until("the first to end", async || {
        let capture = ask(stack.admin, Method::GET, "?seconds=60&max=1", &[]).await;
        (capture.status() == 200).then_some(capture)
    })
    .await;
    ads(&stack, 1).await;
    assert_eq!(read(third).await.0.len(), 1);
    stack.stop().await;
}

#[tokio::test]
async fn time_ends_a_capture() {
    let (stack, _ssp) = stack("").await;
    let begun = std::time::Instant::now();
    let capture = ask(stack.admin, Method::GET, "?seconds=1", &[]).await;
    ads(&stack, 2).await;
    let (lines, tally) = read(capture).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(lines.len() == 2 && tally.ends_with("ended=time"), "{tally}");
    stack.stop().await;
}

#[tokio::test]
async fn limits_hold_at_and_one_past_them() {
    let (stack, _ssp) = stack("[debug]\ncapture_seconds = 5\ncapture_requests = 2\n").await;
    for (query, status) in [("?seconds=6", 400), ("?seconds=0", 400), ("?max=3", 400), ("?maximum=1", 400)] {
        assert_eq!(ask(stack.admin, Method::GET, query, &[]).await.status(), status, "{query}");
    }
    let capture = ask(stack.admin, Method::GET, "?seconds=5&max=2", &[]).await;
    ads(&stack, 3).await;
    assert_eq!(read(capture).await.0.len(), 2);
    stack.stop().await;
}

/// Bodies that are no bid request are counted and not told.
#[tokio::test]
async fn what_is_refused_is_not_recorded() {
    let (stack, _ssp) = stack("").await;
    let capture = ask(stack.admin, Method::GET, "?seconds=30&max=1", &[]).await;
    assert_eq!(stack.auction("u", "{\"id\":\"jane@example.com\"}").await.status, 400);
    let unknown = [("authorization", "Bearer nobody"), ("content-type", "application/json")];
    assert_eq!(stack.http.post(stack.data, "/openrtb2/auction", &unknown, BODY).await.status, 401);
    ads(&stack, 1).await;
    let (lines, tally) = read(capture).await;
    assert!(lines.len() == 1 && tally.contains("refused=1"), "{tally}");
    stack.stop().await;
}

#[tokio::test]
async fn on_loopback_pages_of_elsewhere_may_not_record() {
    let (stack, _ssp) = stack("").await;
    let own = format!("http://{}", stack.admin);
    for (method, headers, status) in [
        (Method::POST, vec![], 401),
        (Method::POST, vec![("origin", "http://evil.example")], 401),
        (Method::GET, vec![("origin", "http://evil.example")], 401),
        (Method::GET, vec![("host", "evil.example")], 401),
        (Method::GET, vec![("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], 401),
        (Method::GET, vec![("sec-fetch-site", "same-site"), ("sec-fetch-dest", "image")], 401),
        (Method::PUT, vec![], 405),
        (Method::HEAD, vec![], 405),
        (Method::POST, vec![("origin", own.as_str())], 200),
    ] {
        let answer = ask(stack.admin, method.clone(), "?seconds=1&max=1", &headers).await;
        assert_eq!(answer.status(), status, "{method} {headers:?}");
    }
    stack.stop().await;
}

/// On any address the token opens it, and nothing else does.
#[tokio::test]
async fn elsewhere_the_token_is_needed() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let ssps = vec![("alpha".into(), ssp.address, String::new())];
    let admin = String::from("listen = \"0.0.0.0:0\"\ntoken = \"t0ken\"");
    let stack = Stack::start(&Plan { ssps, admin, ..Plan::default() }).await;
    let at = SocketAddr::from(([127, 0, 0, 1], stack.admin.port()));
    let own = format!("http://{at}");
    for headers in [vec![], vec![("authorization", "Bearer other")], vec![("origin", own.as_str())]] {
        for method in [Method::GET, Method::POST] {
            let refused = ask(at, method, "", &headers).await;
            assert_eq!(refused.status(), 401, "{headers:?}");
            assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        }
    }
    let capture = ask(at, Method::POST, "?max=1", &[("authorization", "Bearer t0ken")]).await;
    let sent = Http::default().post(stack.data, "/openrtb2/auction", &[AUTH], BODY).await;
    assert_eq!(sent.status, 204);
    assert_eq!(read(capture).await.0.len(), 1);
    stack.stop().await;
}

/// A drain does not wait for a capture's time, and its client gets what there was.
#[tokio::test]
async fn a_drain_ends_a_capture() {
    let (stack, _ssp) = stack("").await;
    let capture = ask(stack.admin, Method::GET, "?seconds=600", &[]).await;
    ads(&stack, 1).await;
    let begun = std::time::Instant::now();
    stack.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // The process may end before the last frame: what came is whole lines.
    let mut body = capture.into_body();
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        text.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    assert!(text.ends_with(b"\n"), "{}", String::from_utf8_lossy(&text));
}
