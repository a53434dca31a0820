//! Responses as we read them, held against hyper's client: what both accept, both understand alike.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uid2_gateway::net::h1::Fault;

use crate::seeds::answer;

const LIMIT: usize = 1 << 20;

/// What we make of a response after which the peer closes: status, body, and whether another may follow.
fn ours(sent: &[u8]) -> Result<(u16, Bytes, bool), Fault> {
    let (answer, _left) = answer::read(&[sent], LIMIT)?;
    Ok((answer.response.status().as_u16(), answer.response.into_body(), answer.reusable))
}

/// What hyper makes of it.
fn hypers(sent: &[u8]) -> Option<(u16, Bytes)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
        let request = http::Request::post("/").header("host", "ssp.example").body(Empty::<Bytes>::new());
        let exchange = async {
            let response = sender.send_request(request.unwrap()).await.ok()?;
            let (head, body) = response.into_parts();
            Some((head.status.as_u16(), body.collect().await.ok()?.to_bytes()))
        };
        let peer = async {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(far.read_u8().await.unwrap());
            }
            far.write_all(sent).await.ok();
            far.shutdown().await.ok();
            far
        };
        tokio::select! {
            (answered, _far) = async { tokio::join!(exchange, peer) } => answered,
            () = async { drop(connection.await); std::future::pending::<()>().await } => None,
        }
    })
}

fn check(sent: &[u8]) -> Option<(u16, Bytes)> {
    let mine = ours(sent).ok().map(|(status, body, _)| (status, body));
    if let Some(understood) = &mine {
        let theirs = hypers(sent);
        assert_eq!(theirs.as_ref(), Some(understood), "{}", sent.escape_ascii());
    }
    mine
}

/// Refused here and not by hyper: what another reader could take for another message.
#[test]
fn where_we_are_stricter() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";
    for sent in [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nuntil the end".to_owned(),
        format!("{chunked}content-length: 2\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
        format!("{chunked}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"),
        format!("{}HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(9)),
    ] {
        assert!(matches!(ours(sent.as_bytes()), Err(Fault::Invalid(_))), "{sent:?}");
        assert!(hypers(sent.as_bytes()).is_some(), "{sent:?}");
    }
}

#[test]
fn what_ends_a_connection() {
    let (one, zero) = ("HTTP/1.1 200 OK\r\n", "HTTP/1.0 200 OK\r\n");
    for (sent, expected) in [
        (format!("{one}content-length: 2\r\n\r\n{{}}"), true),
        (format!("{one}content-length: 0\r\n\r\n"), true),
        (format!("{one}content-length: 2\r\n\r\n{{}}\r\n"), false),
        (format!("{one}content-length: 2\r\nconnection: close\r\n\r\n{{}}"), false),
        (
            format!("{one}content-length: 2\r\nconnection: keep-alive\r\nConnection: x ,CLOSE\r\n\r\n{{}}"),
            false,
        ),
        (format!("{one}transfer-encoding: Chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"), true),
        (format!("{one}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n0"), false),
        (format!("{one}\r\n{{}}"), false),
        (format!("{zero}content-length: 2\r\n\r\n{{}}"), false),
        (format!("{zero}content-length: 2\r\nconnection: Keep-Alive\r\n\r\n{{}}"), true),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n".to_owned(), true),
        // It may send what it announces, whatever RFC 9110 says of the status.
        ("HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_owned(), false),
    ] {
        let (_, _, reusable) = ours(sent.as_bytes()).unwrap_or_else(|fault| panic!("{sent:?}: {fault}"));
        assert_eq!(reusable, expected, "{sent:?}");
        check(sent.as_bytes());
    }
}

#[test]
fn limits_of_what_is_skipped() {
    let chunked = |rest: String| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{rest}");
    let extensions = |times: usize| {
        let chunk = format!("1;{}\r\nx\r\n", "y".repeat(1_023));
        chunked(format!("{}0\r\n\r\n", chunk.repeat(times)))
    };
    let trailers =
        |times: usize| chunked(format!("0\r\n{}\r\n", format!("x: {}\r\n", "y".repeat(1_021)).repeat(times)));
    let line = |length: usize| chunked(format!("0\r\nx: {}\r\n\r\n", "y".repeat(length - 5)));
    let headers = |lines: usize| format!("HTTP/1.1 204 No Content\r\n{}\r\n", "x: y\r\n".repeat(lines));
    for (fits, does_not) in [
        (extensions(16), extensions(17)),
        (trailers(16), trailers(17)),
        (line(4 * 1024), line(4 * 1024 + 1)),
        (headers(100), headers(101)),
    ] {
        assert!(ours(fits.as_bytes()).is_ok(), "{fits:.80}");
        assert!(matches!(ours(does_not.as_bytes()), Err(Fault::Invalid(_))), "{does_not:.80}");
    }
}

/// Pieces of responses, right and wrong.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let interim = prop_oneof![
        6 => Just(""),
        1 => Just("HTTP/1.1 100 Continue\r\n\r\n"),
        1 => Just("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\ncontent-length: 3\r\n\r\n"),
    ];
    let status = prop_oneof![
        8 => Just("HTTP/1.1 200 OK"),
        1 => Just("HTTP/1.1 204 No Content"),
        1 => Just("HTTP/1.1 304 Not Modified"),
        1 => Just("HTTP/1.0 200 OK"),
        1 => Just("HTTP/1.1 500"),
        1 => Just("HTTP/1.1 600 "),
        1 => Just("HTTP/2.0 200 OK"),
        1 => Just("HTTP/1.1  200 OK"),
        1 => Just("http/1.1 200 ok"),
    ];
    let header = prop_oneof![
        4 => Just("content-length: 2"),
        4 => Just("transfer-encoding: chunked"),
        1 => Just("Content-Length:2"),
        1 => Just("content-length: +2"),
        1 => Just("content-length: 0x2"),
        1 => Just("content-length: "),
        1 => Just("content-length: 02"),
        1 => Just("content-length: 99999999999999999999"),
        1 => Just("content-length: 18446744073709551615"),
        1 => Just("Transfer-Encoding:  CHUNKED\t"),
        1 => Just("transfer-encoding: identity"),
        1 => Just("connection: close"),
        1 => Just("connection: keep-alive"),
        1 => Just("content-type: application/json"),
        1 => Just(" folded: x"),
        1 => Just("no colon"),
        1 => Just("space : x"),
        1 => Just("x-latin: \u{e9}"),
        1 => Just("x-nul: \0"),
    ];
    let end = prop_oneof![8 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
    let body = prop_oneof![
        4 => Just("{}"),
        3 => Just("2\r\n{}\r\n0\r\n\r\n"),
        1 => Just("1\r\n{\r\n01\r\n}\r\n000\r\nx: y\r\n\r\n"),
        1 => Just("2;a=b\r\n{}\r\n0;c\r\n\r\n"),
        1 => Just("2 \r\n{}\r\n0\r\n\r\n"),
        1 => Just("2\n{}\n0\n\n"),
        1 => Just("2\r\n{}0\r\n\r\n"),
        1 => Just("-2\r\n{}\r\n0\r\n\r\n"),
        1 => Just("ffffffffffffffff\r\n{}"),
        1 => Just("10000000000000002\r\n{}\r\n0\r\n\r\n"),
        1 => Just("2\r\n{}\r\n0\r\n"),
        1 => Just(""),
    ];
    let headers = proptest::collection::vec((header, end.clone()), 0..4);
    (interim, status, end.clone(), headers, end, body).prop_map(
        |(interim, status, first, headers, last, body)| {
            let lines: String = headers.iter().map(|(header, end)| [*header, *end].concat()).collect();
            [interim, status, first, &lines, last, body].concat().into_bytes()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn what_we_understand_hyper_understands_alike(sent in response(), seed in any::<u8>()) {
        check(&sent);
        answer::check(&[&[seed], sent.as_slice()].concat());
    }
}
