//! Callers who misuse HTTP/2: who take their requests back, do not read their answers, do not go when told.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{join_all, select};
use http::Version;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::poll::until;
use super::support::scripted_ssp::Script;
use super::tls::{BODY, Secure, request};

type Sender = http2::SendRequest<Full<Bytes>>;

fn ad() -> http::Request<Full<Bytes>> {
    request(Version::HTTP_2, "/openrtb2/auction", BODY)
}

/// Sends so many requests and takes all back when the SSP has them.
async fn take_back(gateway: &Secure, sender: &Sender, count: usize) {
    let before = gateway.ssp.received().len();
    let asked = join_all((0..count).map(|_| sender.clone().send_request(ad())));
    let all = Box::pin(until("the SSP to be asked", async || {
        (gateway.ssp.received().len() >= before + count).then_some(())
    }));
    drop(select(Box::pin(asked), all).await);
    let cancelled = async || (gateway.stack.metric("uid2gw_inflight_requests").await < 0.5).then_some(());
    until("the requests to be given up", cancelled).await;
}

#[tokio::test]
async fn who_takes_too_many_requests_back_is_told_to_go() {
    let gateway = Secure::towards("timeout_ms = 9000\nmax_connections = 1000", "").await;
    let sender = gateway.http2().await;
    gateway.ssp.set(Script { delay: Duration::from_mins(1), ..Script::default() });
    for count in [100, 99] {
        take_back(&gateway, &sender, count).await;
    }
    gateway.ssp.set(Script::default());
    assert_eq!(sender.clone().send_request(ad()).await.unwrap().status(), 204);
    assert!(!sender.is_closed());
    gateway.ssp.set(Script { delay: Duration::from_mins(1), ..Script::default() });
    take_back(&gateway, &sender, 2).await;
    until("it to go", async || sender.is_closed().then_some(())).await;
    // Another connection is welcome.
    gateway.ssp.set(Script::default());
    assert_eq!(gateway.http2().await.send_request(ad()).await.unwrap().status(), 204);
    gateway.stack.stop().await;
}

/// The answer is held for as long as a connection may be idle, whatever else is asked on the connection meanwhile.
#[tokio::test]
async fn who_does_not_read_is_left() {
    let gateway = Secure::towards("", "keep_alive_s = 1").await;
    let io = TokioIo::new(gateway.dial("h2").await);
    let mut narrow = http2::Builder::new(TokioExecutor::new());
    narrow.initial_stream_window_size(1);
    let (mut sender, connection) = narrow.handshake::<_, Full<Bytes>>(io).await.unwrap();
    tokio::spawn(connection);
    let adm = "y".repeat(100_000);
    let bid =
        format!(r#"{{"id":"1","seatbid":[{{"bid":[{{"id":"b","impid":"1","price":1.5,"adm":"{adm}"}}]}}]}}"#);
    let json = ("content-type".into(), "application/json".into());
    gateway.ssp.set(Script { status: 200, headers: vec![json], body: bid.into(), ..Script::default() });
    let unread = sender.send_request(ad()).await.unwrap();
    assert_eq!(unread.status(), 200);
    gateway.ssp.set(Script::default());
    let mut served = 0;
    until("it to be closed", async || {
        served += usize::from(sender.send_request(ad()).await.is_ok());
        (gateway.connections().await < 0.5).then_some(())
    })
    .await;
    assert!(served > 0);
    drop(unread);
    gateway.stack.stop().await;
}

/// A caller that never says that it has heard of the end does not hold the process up.
#[tokio::test]
async fn a_drain_does_not_wait_for_the_deaf() {
    let gateway = Secure::towards("", "").await;
    let mut deaf = gateway.dial("h2").await;
    deaf.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    deaf.flush().await.unwrap();
    // Its settings: from here on the gateway could answer.
    deaf.read_u8().await.unwrap();
    let begun = Instant::now();
    gateway.stack.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}
