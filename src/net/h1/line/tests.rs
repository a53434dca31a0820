//! Over a pipe in memory, with a peer that is played by hand.

use std::future::poll_fn;

use futures_util::FutureExt as _;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use tokio::io::{AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};

use super::*;

const HEAD: &str = "POST /bid HTTP/1.1\r\nhost: ssp.example\r\n";
const LIMITS: Limits = Limits { body: 1 << 20, keep: &[CONTENT_TYPE] };

/// Counts the reads and writes that came to something: those that a socket would answer.
struct Counting {
    pipe: DuplexStream,
    reads: usize,
    writes: usize,
    /// Writing fails, while reading finds nothing: a reset that is not known of yet.
    broken: bool,
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.pipe).poll_read(cx, buf);
        self.reads += usize::from(polled.is_ready());
        polled
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.pipe).poll_write(cx, buf);
        self.writes += usize::from(polled.is_ready());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let polled = Pin::new(&mut self.pipe).poll_write_vectored(cx, bufs);
        self.writes += usize::from(polled.is_ready());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// A line, and the other end of a pipe that holds so many bytes.
fn piped(bytes: usize) -> (Line<Counting>, DuplexStream) {
    let (pipe, peer) = duplex(bytes);
    (Line::new(Counting { pipe, reads: 0, writes: 0, broken: false }, LIMITS), peer)
}

fn begin(line: &mut Line<Counting>, pieces: &[&'static str]) {
    let template = Template::new(
        &PathAndQuery::from_static("/bid"),
        &HeaderValue::from_static("ssp.example"),
        HeaderMap::new(),
    );
    let mut body = pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
    line.begin(&template, &HeaderMap::new(), &mut body);
    assert!(body.is_empty());
}

fn step(line: &mut Line<Counting>) -> Poll<Result<Answer, Fault>> {
    line.poll(&mut Context::from_waker(std::task::Waker::noop()))
}

/// What has come to the peer.
fn received(peer: &mut DuplexStream) -> String {
    let mut bytes = Vec::new();
    while let Some(Ok(1..)) = peer.read_buf(&mut bytes).now_or_never() {}
    String::from_utf8(bytes).unwrap()
}

fn say(peer: &mut DuplexStream, bytes: &[u8]) {
    peer.write_all(bytes).now_or_never().expect("there is room").unwrap();
}

fn done(polled: Poll<Result<Answer, Fault>>) -> (String, bool) {
    match polled {
        Poll::Ready(Ok(answer)) => {
            (String::from_utf8_lossy(answer.response.body()).into_owned(), answer.reusable)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_exchange_takes_one_write_and_one_read() {
    let (mut line, mut peer) = piped(1 << 16);
    for times in 1..=3 {
        begin(&mut line, &["{\"id\"", ":", "\"1\"}"]);
        assert!(step(&mut line).is_pending());
        let head = format!("{HEAD}content-length: 10\r\n\r\n");
        assert_eq!(received(&mut peer), format!("{head}{{\"id\":\"1\"}}"));
        say(&mut peer, b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\nserver: s\r\ncontent-length: 2\r\n\r\n{}");
        let Poll::Ready(Ok(answer)) = step(&mut line) else { panic!("not answered") };
        assert_eq!(answer.response.headers().len(), 1);
        assert_eq!((answer.response.body().as_ref(), answer.reusable), (&b"{}"[..], true));
        assert!(line.rest());
        assert_eq!((line.stream.writes, line.stream.reads), (times, times));
    }
}

#[test]
fn a_long_answer_takes_two_reads_and_leaves_no_large_buffer() {
    let (mut line, mut peer) = piped(1 << 20);
    begin(&mut line, &["x"]);
    assert!(step(&mut line).is_pending());
    let body = "y".repeat(300_000);
    say(&mut peer, format!("HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n{body}").as_bytes());
    assert_eq!(done(step(&mut line)), (body, true));
    assert_eq!(line.stream.reads, 2);
    // The answer is gone by now, so that its memory could be had again, if the line had kept hold of it.
    assert!(line.rest() && !line.inbox.try_reclaim(READ_BYTES));
}

#[test]
fn the_buffer_of_usual_answers_is_kept() {
    let (mut line, mut peer) = piped(1 << 20);
    for _ in 0..20 {
        begin(&mut line, &["x"]);
        assert!(step(&mut line).is_pending());
        let body = "y".repeat(6_000);
        say(&mut peer, format!("HTTP/1.1 200 OK\r\ncontent-length: 6000\r\n\r\n{body}").as_bytes());
        assert_eq!(done(step(&mut line)), (body, true));
        assert!(line.rest() && line.inbox.try_reclaim(READ_BYTES));
    }
}

#[tokio::test]
async fn a_request_that_does_not_fit_goes_out_in_parts() {
    let pieces: Vec<&'static str> = ["abc", "defgh", "i", "jklmnopqrstuvwxyz"].repeat(20);
    for room in [1, 7, 16, 64, 1_000] {
        let (mut line, mut peer) = piped(room);
        begin(&mut line, &pieces);
        let peer = async {
            let length = format!("content-length: {}\r\n\r\n", pieces.concat().len());
            let expected = [HEAD, length.as_str(), pieces.concat().as_str()].concat();
            let mut read = vec![0; expected.len()];
            peer.read_exact(&mut read).await.unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), expected);
            peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            peer
        };
        let (answer, _peer) = tokio::join!(poll_fn(|cx| line.poll(cx)), peer);
        assert!(answer.unwrap().reusable, "{room}");
    }
}

#[test]
fn an_answer_to_half_a_request_counts_and_spends_the_connection() {
    let (mut line, mut peer) = piped(64);
    begin(&mut line, &["0123456789"; 50]);
    assert!(step(&mut line).is_pending());
    say(&mut peer, b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno");
    assert_eq!(done(step(&mut line)), (String::from("no"), false));
}

#[test]
fn a_write_that_fails_half_way_is_not_unsent() {
    let (mut line, mut peer) = piped(64);
    begin(&mut line, &["0123456789"; 50]);
    assert!(step(&mut line).is_pending());
    received(&mut peer);
    drop(peer);
    assert!(matches!(step(&mut line), Poll::Ready(Err(Fault::Io(_) | Fault::BrokenOff))));
}

#[test]
fn a_line_that_is_not_quiet_gets_no_request() {
    for word in [&b""[..], b"HTTP/1.1 408 Late\r\n\r\n"] {
        let (mut line, mut peer) = piped(1 << 16);
        assert!(line.is_quiet(&mut Context::from_waker(std::task::Waker::noop())));
        say(&mut peer, word);
        if word.is_empty() {
            peer.shutdown().now_or_never().unwrap().unwrap();
        }
        begin(&mut line, &["{}"]);
        assert!(matches!(step(&mut line), Poll::Ready(Err(Fault::Unsent))));
        assert_eq!((line.take_body().len(), line.stream.writes, received(&mut peer).as_str()), (2, 0, ""));
    }
}

/// Over TLS a write that fails may have sent a part of a record, so there it is final.
#[test]
fn a_first_write_that_fails_is_unsent_where_that_is_certain() {
    for exact in [true, false] {
        let (mut line, _peer) = piped(64);
        line.exact = exact;
        begin(&mut line, &["0123456789"; 50]);
        line.stream.broken = true;
        let failed = step(&mut line);
        let unsent = matches!(failed, Poll::Ready(Err(Fault::Unsent)));
        assert!(unsent == exact && failed.is_ready(), "{failed:?}");
        assert_eq!(line.take_body().len(), 500);
    }
    // From the first byte on it is final everywhere.
    let (mut line, mut peer) = piped(64);
    line.exact = true;
    begin(&mut line, &["0123456789"; 50]);
    assert!(step(&mut line).is_pending());
    received(&mut peer);
    line.stream.broken = true;
    assert!(matches!(step(&mut line), Poll::Ready(Err(Fault::Io(_)))));
}

#[test]
fn what_follows_an_answer_spends_the_connection() {
    let (mut line, mut peer) = piped(1 << 16);
    begin(&mut line, &["{}"]);
    assert!(step(&mut line).is_pending());
    say(&mut peer, b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert_eq!(done(step(&mut line)), (String::new(), false));
    assert!(!line.rest());
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    for answer in [
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    ] {
        let (mut line, mut peer) = piped(1 << 16);
        begin(&mut line, &["{}"]);
        assert!(step(&mut line).is_pending());
        let (last, first) = answer.as_bytes().split_last().unwrap();
        for byte in first {
            say(&mut peer, &[*byte]);
            assert!(step(&mut line).is_pending());
        }
        say(&mut peer, &[*last]);
        assert_eq!(done(step(&mut line)), (String::from("abc"), true));
    }
}
