//! The real thing over loopback: a gateway with one data-plane thread, a caller and an SSP. The two of them allocate
//! nothing for a request, so that what is allocated meanwhile is the gateway's.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use tokio::runtime::Runtime;
use uid2_gateway::app::{App, Running};
use uid2_gateway::sandbox::operator::{self, Operator};
use uid2_gateway::time::Clock;
use uid2_gateway::uid2::Scope;

use super::settings::{BID, KEY, configuration};

/// How many users take turns.
const USERS: usize = 8;

/// Gateway, operator and SSP, and the caller's connection.
pub(super) struct Loopback {
    caller: TcpStream,
    buffer: Vec<u8>,
    requests: Vec<Vec<u8>>,
    next: usize,
    gateway: Running,
    _operator: Runtime,
}

impl Loopback {
    /// With so many SSPs, which are one server. Every request is about a user who is logged in.
    pub(super) fn start(ssps: usize, body: &Bytes) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let operator = start_operator(&runtime);
        let config = configuration(ssps, &format!("http://{operator}"), &format!("http://{}", start_ssp()));
        let gateway = App::build(config).expect("built").start().expect("started");
        let caller = TcpStream::connect(gateway.data_address()).expect("connected");
        caller.set_nodelay(true).expect("a socket");
        let requests = (0..USERS).map(|user| auction(user, body)).collect();
        let buffer = vec![0; 16 * 1024];
        let mut loopback = Self { caller, buffer, requests, next: 0, gateway, _operator: runtime };
        for user in 0..USERS {
            let said = loopback.exchange(&login(user));
            assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(said));
        }
        loopback
    }

    /// So many auctions, one after the other.
    pub(super) fn auctions(&mut self, laps: usize) {
        for _ in 0..laps {
            let request = std::mem::take(&mut self.requests[self.next]);
            let said = self.exchange(&request);
            assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(said));
            self.requests[self.next] = request;
            self.next = (self.next + 1) % USERS;
        }
    }

    fn exchange(&mut self, request: &[u8]) -> &[u8] {
        self.caller.write_all(request).expect("taken");
        let end = read_message(&mut self.caller, &mut self.buffer).expect("an answer");
        &self.buffer[..end]
    }

    pub(super) fn stop(self) {
        drop(self.caller);
        self.gateway.stop().expect("stopped");
    }
}

fn login(user: usize) -> Vec<u8> {
    let body = format!(r#"{{"user_id":"user-{user}","email":"u{user}@example.com","privacy":{{"gdpr":0}}}}"#);
    post("/v1/identity", "", body.as_bytes())
}

fn auction(user: usize, body: &[u8]) -> Vec<u8> {
    post("/openrtb2/auction", &format!("x-publisher-user-id: user-{user}\r\n"), body)
}

fn post(path: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nauthorization: Bearer {KEY}\r\n\
         {more}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn start_operator(runtime: &Runtime) -> SocketAddr {
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("bound");
    let operator = Operator::new(operator::Settings::mock(Scope::Uid2), Clock::System);
    runtime.spawn(operator::serve(Arc::clone(&operator), listener, std::future::pending::<()>()));
    address
}

/// An SSP that bids the same on everything. Its threads end with the process.
fn start_ssp() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BID}",
        BID.len()
    );
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            thread::spawn(move || bid(stream, answer.as_bytes()));
        }
    });
    address
}

fn bid(mut stream: TcpStream, answer: &[u8]) {
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; 64 * 1024];
    while read_message(&mut stream, &mut buffer).is_some() && stream.write_all(answer).is_ok() {}
}

/// Reads one message, without a body where it has no `content-length`; where it ends. `None`: the peer has closed.
fn read_message(stream: &mut TcpStream, buffer: &mut [u8]) -> Option<usize> {
    let mut filled = 0;
    loop {
        if let Some(end) = message_end(&buffer[..filled]).filter(|end| filled >= *end) {
            return Some(end);
        }
        match stream.read(&mut buffer[filled..]) {
            Ok(read @ 1..) => filled += read,
            _ => return None,
        }
    }
}

fn message_end(text: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length:";
    let head = text.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let lines = text.get(..head)?.split(|byte| *byte == b'\n');
    let is_length =
        |line: &&[u8]| line.get(..LENGTH.len()).is_some_and(|name| name.eq_ignore_ascii_case(LENGTH));
    let value = lines.into_iter().find(is_length).and_then(|line| line.get(LENGTH.len()..));
    let length = value.map_or(Some(0), |value| std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok());
    Some(head + length?)
}
