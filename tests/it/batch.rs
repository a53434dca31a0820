//! Batches as they come: answers before the last line is sent, readers that are slow, and callers who leave.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::poll;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{KEY, Plan, Stack};

const GENERATED: &str = "uid2gw_operator_requests_total{op=\"generate\",result=\"success\"}";

async fn stack(server: &str) -> Stack {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let ssps = vec![("alpha".into(), ssp.address, String::new())];
    Stack::start(&Plan { ssps, server: server.into(), ..Plan::default() }).await
}

/// A batch under way, on a connection of its own.
struct Batch(BufReader<TcpStream>);

impl Batch {
    /// Sends the head; `body` says how the body is framed.
    async fn begin(stack: &Stack, body: &str) -> Self {
        // Small, so that answers which nobody reads soon have no room.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(stack.data).await.unwrap();
        let head = format!(
            "POST /v1/identity/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/x-ndjson\r\n{body}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Self(BufReader::new(stream))
    }

    async fn chunked(stack: &Stack) -> Self {
        Self::begin(stack, "transfer-encoding: chunked").await
    }

    async fn send(&mut self, text: &str) {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.0.get_mut().write_all(chunk.as_bytes()).await.unwrap();
    }

    /// The next line that begins an object; `None` when the body has ended.
    async fn answer(&mut self) -> Option<Value> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line).await.unwrap() == 0 || line == "0\r\n" {
                return None;
            }
            if line.starts_with('{') {
                return Some(serde_json::from_str(&line).unwrap());
            }
        }
    }

    async fn status(&mut self) -> Value {
        self.answer().await.expect("an answer")["status"].clone()
    }
}

fn login(number: usize) -> String {
    json!({"user_id": format!("u{number}"), "email": format!("user{number}@example.com")}).to_string() + "\n"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_come_while_lines_are_still_to_be_sent() {
    let stack = stack("max_batch_lines = 4").await;
    let mut batch = Batch::chunked(&stack).await;
    batch.send(&login(1)).await;
    assert_eq!(batch.status().await, json!("success"), "before anything else is sent");
    let (half, rest) = ("{\"user_id\":\"u2\",\"ema", "il\":\"user2@example.com\"}\n\n{broken\n");
    batch.send(half).await;
    batch.send(rest).await;
    assert_eq!(batch.status().await, json!("success"), "a line in two pieces");
    assert_eq!(batch.status().await, json!(400), "a broken line costs itself alone");
    batch.send(&login(3)).await;
    assert_eq!(batch.status().await, json!("success"));
    batch.send(&login(4)).await;
    assert_eq!(batch.status().await, json!(413), "one past the limit");
    assert_eq!(batch.answer().await, None, "and nothing after it");
    assert!(stack.metric(GENERATED).await < 4.0);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_without_a_line_or_with_a_broken_end_is_told_so() {
    let stack = stack("body_timeout_ms = 100").await;
    let mut batch = Batch::begin(&stack, "transfer-encoding: chunked\r\nconnection: close").await;
    batch.0.get_mut().write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(batch.status().await, json!(400), "no line");
    let mut batch = Batch::chunked(&stack).await;
    batch.send(&login(1)).await;
    assert_eq!(batch.status().await, json!("success"));
    assert_eq!(batch.status().await, json!(408), "whoever sends no more is not waited for");
    assert_eq!(batch.answer().await, None);
    assert_eq!(
        batch.0.read_to_end(&mut Vec::new()).await.unwrap_or(0),
        2,
        "the connection is of no more use"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_leaves_ends_the_batch() {
    let stack = stack("").await;
    let slow = json!({"latency": {"generate": "20ms"}}).to_string();
    stack.http.post(stack.operator_address, "/sandbox/faults", &[], slow).await;
    let body: String = (0..1_000).map(login).collect();
    let mut batch = Batch::begin(&stack, &format!("content-length: {}", body.len())).await;
    batch.0.get_mut().write_all(body.as_bytes()).await.unwrap();
    assert_eq!(batch.status().await, json!("success"));
    drop(batch);
    poll::until("the connection to be gone", async || {
        (stack.metric("uid2gw_connections").await < 1.0).then_some(())
    })
    .await;
    // Those that were under way end, and no more begin.
    assert_eq!(stack.login(&login(1_001)).await.status, 200, "whatever was under way before it has ended");
    let made = stack.metric(GENERATED).await;
    assert!(made < 500.0, "{made} of 1000");
    stack.stop().await;
}

/// Answers of 6 MB fit in no socket: who does not read them stops the batch, and in the end loses it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_does_not_read_holds_nothing_for_long() {
    let stack = stack("max_batch_lines = 40000\nbody_timeout_ms = 300\nkeep_alive_s = 1").await;
    let line = "{\"user_id\":\"u\"}\n";
    let body = line.repeat(40_000);
    let mut batch = Batch::begin(&stack, &format!("content-length: {}", body.len())).await;
    batch.0.get_mut().write_all(body.as_bytes()).await.unwrap();
    assert_eq!(batch.status().await, json!(400), "and after this one nothing is read");
    poll::until("the connection to be given up", async || {
        (stack.metric("uid2gw_connections").await < 1.0).then_some(())
    })
    .await;
    let mut rest = Vec::new();
    // The connection may end in a reset, and with it what lay in the sockets.
    batch.0.read_to_end(&mut rest).await.ok();
    let lines = memchr::memchr_iter(b'{', &rest).count();
    assert!(lines < 40_000, "all {lines} were made");
    stack.stop().await;
}
