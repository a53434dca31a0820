//! Over real sockets: the whole chain, the body limit, hanging, resetting, preflight.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::serve;
use super::*;

struct Served {
    bench: Bench,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn served() -> Served {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move { drop(stopped.await) };
    let task = tokio::spawn(serve(Arc::clone(&bench.operator), listener, shutdown));
    Served { bench, address, stop, task }
}

/// One request on its own connection; the whole answer, or the error that ended it.
async fn exchange(address: SocketAddr, head: &str, body: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let head =
        format!("{head}\r\nhost: sandbox\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_token_is_generated_over_http_and_decrypts() {
    let served = served().await;
    let body = served.bench.sealed(PUBLISHER, r#"{"email":"test@example.com"}"#);
    let head = format!(
        "POST /v2/token/generate?client=x HTTP/1.1\r\nauthorization: Bearer {}\r\nx-amzn-trace-id: Root=1",
        PUBLISHER.0
    );
    let answer = exchange(served.address, &head, body.as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("content-type: text/plain\r\n") && answer.contains("x-amzn-trace-id: Root=1\r\n")
    );
    let sealed = answer.split("\r\n\r\n").nth(1).unwrap();
    let opened = open_response(&key(PUBLISHER), &STANDARD.decode(sealed).unwrap(), NONCE).unwrap();
    let json: Value = serde_json::from_slice(&opened.json).unwrap();
    let raw_uid = served.bench.decrypted(&json["body"]).raw_uid.to_base64();
    assert_eq!(raw_uid, served.bench.raw_uid_of("test@example.com"));
}

#[tokio::test]
async fn a_body_may_have_one_mebibyte() {
    let served = served().await;
    let head = "POST /v2/token/refresh HTTP/1.1";
    let at = exchange(served.address, head, &vec![b'A'; 1 << 20]).await.unwrap();
    assert!(at.starts_with("HTTP/1.1 400 "), "{at}");
    let beyond = exchange(served.address, head, &vec![b'A'; (1 << 20) + 1]).await.unwrap();
    assert!(beyond.starts_with("HTTP/1.1 413 ") && beyond.contains("text/plain"), "{beyond}");
}

#[tokio::test]
async fn a_reset_connection_ends_without_an_answer() {
    let served = served().await;
    served.bench.faults(&json!({"faults": [{"fault": "reset", "next": 1}]}));
    let error = exchange(served.address, "GET /ops/healthcheck HTTP/1.1", b"").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let answer = exchange(served.address, "GET /ops/healthcheck HTTP/1.1", b"").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("OK"), "{answer}");
}

#[tokio::test]
async fn a_hanging_endpoint_never_answers_and_does_not_stop_the_others_or_the_end() {
    let served = served().await;
    served
        .bench
        .faults(&json!({"latency": {"any": "1ms"}, "faults": [{"fault": "hang", "endpoint": "refresh"}]}));
    let hanging = exchange(served.address, "POST /v2/token/refresh HTTP/1.1", b"x");
    let mut hanging = std::pin::pin!(hanging);
    let healthy = exchange(served.address, "GET /ops/healthcheck HTTP/1.1", b"");
    tokio::select! {
        answer = &mut hanging => panic!("{answer:?}"),
        answer = healthy => assert!(answer.unwrap().ends_with("OK")),
    }
    served.stop.send(()).unwrap();
    served.task.await.unwrap();
    assert_eq!(hanging.await.unwrap_or_default(), "");
}

#[tokio::test]
async fn browsers_may_ask_from_anywhere_but_send_credentials_to_validate_alone() {
    let served = served().await;
    let preflight = |path: &str| exchange(served.address, format!("OPTIONS {path} HTTP/1.1").leak(), b"");
    let refresh = preflight("/v2/token/refresh").await.unwrap();
    assert!(
        refresh.starts_with("HTTP/1.1 204 ") && refresh.contains("access-control-allow-origin: *"),
        "{refresh}"
    );
    assert!(!refresh.contains("Authorization"));
    assert!(preflight("/v2/token/validate").await.unwrap().contains("Authorization"));
}
