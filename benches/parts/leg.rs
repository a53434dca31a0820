//! The way to an SSP and back, without sockets: a request head out of its template, a response out of bytes, and a whole
//! exchange over a pipe in memory.

use std::hint::black_box;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput};
use futures_util::FutureExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use uid2_gateway::net::body::Segments;
use uid2_gateway::net::h1::{Answer, Limits, Line, Progress, Reader, Template};

static KEEP: [HeaderName; 3] = [CONTENT_TYPE, CONTENT_ENCODING, HeaderName::from_static("x-openrtb-version")];

fn limits() -> Limits {
    Limits { body: 1 << 20, keep: &KEEP }
}

fn template() -> Template {
    let target = PathAndQuery::from_static("/openrtb2/bid?pub=8953");
    Template::new(&target, &HeaderValue::from_static("ssp.example"), HeaderMap::new())
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-openrtb-version", HeaderValue::from_static("2.6"));
    headers.insert("user-agent", HeaderValue::from_static("Mozilla/5.0 (X11; Linux x86_64; rv:143.0)"));
    headers
}

fn response(framing: &str, body: &str) -> Vec<u8> {
    let usual = "Server: nginx\r\nDate: Wed, 25 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n";
    format!("HTTP/1.1 200 OK\r\n{usual}{framing}\r\nConnection: keep-alive\r\n\r\n{body}").into_bytes()
}

fn read(buffer: &mut BytesMut) -> Answer {
    match Reader::new(limits()).advance(buffer) {
        Ok(Progress::Done(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

pub(super) fn parts(c: &mut Criterion) {
    let mut group = c.benchmark_group("leg");
    let (template, headers, mut head) = (template(), headers(), Vec::new());
    group.bench_function("head", |b| b.iter(|| template.render(black_box(&headers), 2_417, &mut head)));
    let body = "x".repeat(300);
    let chunked = format!("64\r\n{0}\r\nc8\r\n{0}{0}\r\n0\r\n\r\n", "x".repeat(100));
    for (name, sent) in [
        ("answer/length", response("Content-Length: 300", &body)),
        ("answer/chunked", response("Transfer-Encoding: chunked", &chunked)),
    ] {
        let mut buffer = BytesMut::with_capacity(8 * 1024);
        group.throughput(Throughput::Bytes(sent.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                buffer.extend_from_slice(&sent);
                let answer = read(&mut buffer);
                buffer.reserve(4 * 1024);
                answer.reusable
            });
        });
    }
    group.finish();
}

/// Both ends; a pipe in memory costs more than our part of it, a socket much more.
pub(super) fn exchange(c: &mut Criterion) {
    let (pipe, mut peer) = duplex(1 << 16);
    let mut line = Line::new(pipe, limits());
    let (template, headers) = (template(), headers());
    let piece = Bytes::from(vec![b'x'; 800]);
    let answer = response("Content-Length: 300", &"x".repeat(300));
    let mut taken = vec![0; 1 << 16];
    let mut cx = Context::from_waker(Waker::noop());
    c.bench_function("leg/exchange", |b| {
        b.iter(|| {
            let mut body: Segments = [piece.clone(), piece.clone(), piece.clone()].into_iter().collect();
            line.begin(&template, &headers, &mut body);
            assert!(line.poll(&mut cx).is_pending());
            let received = peer.read(&mut taken).now_or_never();
            peer.write_all(&answer).now_or_never().expect("there is room").expect("it is open");
            let Poll::Ready(Ok(answer)) = line.poll(&mut cx) else { panic!("not answered") };
            assert!(line.rest());
            (received, answer.reusable)
        });
    });
}
