//! What an SSP can do wrong, when, and what must come of it.

use std::time::Duration;

use crate::support::raw_peer::Step::{Again, Drip, Fin, Flood, Hang, Read, Reset, Touch};
use crate::support::raw_peer::{Step, answer, ok, write, zipped};

pub(super) const BID: &str =
    r#"{"id":"r","seatbid":[{"seat":"bad","bid":[{"id":"b","impid":"1","price":1}]}]}"#;
const OTHER: &str = r#"{"id":"other","seatbid":[{"bid":[{"id":"b","impid":"1","price":1}]}]}"#;
/// As long as the largest answer that is taken.
pub(super) const MAX_RESPONSE: usize = 64 * 1024;
const HUNDRED_MB: usize = 100_000_000;

/// What a row's SSP is.
#[derive(Clone, Debug)]
pub(super) enum Peer {
    /// Nobody listens.
    Refuses,
    /// Connecting takes for ever.
    Unreachable,
    Plays(Vec<Vec<Step>>),
    /// It should speak TLS.
    Tls(Vec<Step>),
}

/// One fault at one moment.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) moment: &'static str,
    pub(super) fault: &'static str,
    pub(super) peer: Peer,
    /// What each request to it is counted as; `a|b` where it is a matter of who is first.
    pub(super) outcome: &'static str,
    /// The same where its answer is merged with another's.
    pub(super) merged: &'static str,
    /// What the caller gets where it is the only SSP.
    pub(super) status: u16,
}

fn row(moment: &'static str, fault: &'static str, steps: Vec<Step>, outcome: &'static str) -> Row {
    let status = if outcome == "bid" { 200 } else { 204 };
    Row { moment, fault, peer: Peer::Plays(vec![steps]), outcome, merged: outcome, status }
}

impl Row {
    /// The only SSP's 2xx passes as it is, whatever it is counted as.
    fn passes(self) -> Self {
        Self { status: 200, ..self }
    }

    fn merged(self, merged: &'static str) -> Self {
        Self { merged, ..self }
    }

    fn at(self, peer: Peer) -> Self {
        Self { peer, ..self }
    }
}

/// All rows.
pub(super) fn rows() -> Vec<Row> {
    [connecting(), heads(), framing(), bodies(), sizes(), slow(), reuse()].concat()
}

fn connecting() -> Vec<Row> {
    vec![
        row("connect", "refuses", vec![], "connect").at(Peer::Refuses),
        row("connect", "hangs", vec![], "timeout").at(Peer::Unreachable),
        row("connect", "resets at once", vec![Reset], "connect|invalid"),
        row("connect", "closes at once", vec![], "connect|invalid"),
        row("handshake", "hangs", vec![], "timeout").at(Peer::Tls(vec![Hang])),
        row("handshake", "is no TLS", vec![], "connect").at(Peer::Tls(vec![Touch, ok(BID), Fin])),
        row("handshake", "resets", vec![], "connect").at(Peer::Tls(vec![Touch, Reset])),
        row("request", "reads nothing", vec![Hang], "timeout"),
        row("request", "resets in its middle", vec![Touch, Reset], "invalid"),
        row("request", "answers before it has read it", vec![Touch, ok(BID), Fin], "bid"),
    ]
}

fn heads() -> Vec<Row> {
    let status = |line: &str| vec![Read, answer(line, "", ""), Again];
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(64 * 1024));
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(101));
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(9);
    vec![
        row("before the head", "hangs", vec![Read, Hang], "timeout"),
        row("before the head", "resets", vec![Read, Reset], "invalid"),
        row("before the head", "closes", vec![Read, Fin], "invalid"),
        row("in the head", "hangs", vec![Read, write("HTTP/1.1 200 OK\r\nconte"), Hang], "timeout"),
        row("in the head", "resets", vec![Read, write("HTTP/1.1 2"), Reset], "invalid"),
        row("in the head", "closes", vec![Read, write("HTTP/1.1 200 OK\r\n"), Fin], "invalid"),
        row("head", "500", status("500 Internal Server Error"), "http_5xx"),
        row("head", "503", status("503 Service Unavailable"), "http_5xx"),
        row("head", "400", status("400 Bad Request"), "http_4xx"),
        row("head", "429", status("429 Too Many Requests"), "http_4xx"),
        row("head", "302", vec![Read, answer("302 Found", "location: /x\r\n", ""), Again], "invalid"),
        row("head", "101", vec![Read, write("HTTP/1.1 101 Switching\r\n\r\n"), Hang], "invalid"),
        row("head", "a status of 999", status("999 Beyond"), "invalid"),
        row(
            "head",
            "100, then the answer",
            vec![Read, write("HTTP/1.1 100 \r\n\r\n"), ok(BID), Again],
            "bid",
        ),
        row("head", "103 without an end", vec![Read, write(interim), Hang], "invalid"),
        row("head", "is no HTTP", vec![Read, write("SSH-2.0-OpenSSH_9.6\r\n"), Hang], "invalid"),
        row("head", "is HTTP/2", vec![Read, write(b"\0\0\0\x04\0\0\0\0\0"), Hang], "invalid"),
        row("head", "is longer than allowed", vec![Read, write(long), Hang], "invalid"),
        row("head", "has too many lines", vec![Read, write(many), Hang], "invalid"),
        row("head", "a NUL in it", vec![Read, write("HTTP/1.1 200 OK\r\nx: \0\r\n\r\n"), Hang], "invalid"),
    ]
}

fn framing() -> Vec<Row> {
    let head = |lines: &str, body: &str| write(format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}"));
    let chunked = |body: &str| head("transfer-encoding: chunked\r\n", body);
    let sized = |length: usize| head(&format!("content-length: {length}\r\n"), BID);
    let twice = format!("content-length: {}\r\ncontent-length: {}\r\n", BID.len(), BID.len() + 1);
    let both = format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", BID.len());
    vec![
        row("framing", "a length that is too long", vec![Read, sized(BID.len() + 1), Hang], "timeout"),
        row("framing", "the same, and closes", vec![Read, sized(BID.len() + 1), Fin], "invalid"),
        row("framing", "a length that is too short", vec![Read, sized(BID.len() - 1), Hang], "invalid")
            .passes(),
        row("framing", "more than was announced", vec![Read, ok(BID), write("more"), Hang], "bid"),
        row("framing", "two lengths", vec![Read, head(&twice, BID), Hang], "invalid"),
        row("framing", "a length and chunks", vec![Read, head(&both, BID), Hang], "invalid"),
        row("framing", "a negative length", vec![Read, head("content-length: -1\r\n", BID), Hang], "invalid"),
        row("framing", "a chunk size that is none", vec![Read, chunked("zz\r\n"), Hang], "invalid"),
        row("framing", "a chunk longer than it says", vec![Read, chunked("2\r\n{ }\r\n"), Hang], "invalid"),
        row("framing", "a chunk that never ends", vec![Read, chunked("4f\r\n{"), Hang], "timeout"),
        row("framing", "a chunk cut off", vec![Read, chunked("4f\r\n{"), Fin], "invalid"),
        row("framing", "no last chunk", vec![Read, chunked("2\r\n{}\r\n"), Fin], "invalid"),
        row("framing", "until it closes", vec![Read, head("", BID), Fin], "bid"),
        row("framing", "204 with a body", vec![Read, answer("204 No", "", "body"), Hang], "nobid"),
    ]
}

fn bodies() -> Vec<Row> {
    let coded = |coding: &str, body: &[u8]| {
        vec![Read, answer("200 OK", &format!("content-encoding: {coding}\r\n"), body), Again]
    };
    let packed = zipped(BID.as_bytes());
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    vec![
        row(
            "before the body",
            "hangs",
            vec![Read, write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"), Hang],
            "timeout",
        ),
        row(
            "in the body",
            "resets",
            vec![Read, write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"), Reset],
            "invalid",
        ),
        row("body", "is HTML", vec![Read, ok("<html>"), Again], "invalid").passes(),
        row("body", "is cut JSON", vec![Read, ok(&BID[..40]), Again], "invalid").passes(),
        row("body", "is nested too deep", vec![Read, ok(deep), Again], "invalid").passes(),
        row("body", "has another id", vec![Read, ok(OTHER), Again], "bid").merged("invalid"),
        row("body", "is empty", vec![Read, ok(""), Again], "nobid").passes(),
        row("body", "gzip", coded("gzip", &packed), "bid"),
        row("body", "gzip that is none", coded("gzip", BID.as_bytes()), "invalid"),
        row("body", "gzip cut off", coded("gzip", &packed[..packed.len() - 9]), "invalid"),
        row("body", "gzip with a wrong checksum", coded("gzip", &spoilt(&packed)), "invalid"),
        row("body", "a coding nobody asked for", coded("br", &packed), "invalid"),
    ]
}

fn spoilt(packed: &[u8]) -> Vec<u8> {
    let mut packed = packed.to_vec();
    let crc = packed.len() - 8;
    packed[crc] ^= 1;
    packed
}

fn sizes() -> Vec<Row> {
    let bomb = zipped(&vec![b' '; 50_000_000]);
    assert!(bomb.len() < MAX_RESPONSE, "what comes is within the limit");
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {HUNDRED_MB}\r\n\r\n");
    let one_chunk = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{HUNDRED_MB:x}\r\n");
    let until_close = "HTTP/1.1 200 OK\r\n\r\n";
    let padded = |length: usize| format!("{BID}{}", " ".repeat(length - BID.len()));
    vec![
        row("body", "100 MB, announced", vec![Read, write(announced), Flood(HUNDRED_MB)], "too_large"),
        row("body", "100 MB in one chunk", vec![Read, write(one_chunk), Flood(HUNDRED_MB)], "too_large"),
        row("body", "100 MB until it closes", vec![Read, write(until_close), Flood(HUNDRED_MB)], "too_large"),
        row(
            "body",
            "a gzip bomb",
            vec![Read, answer("200 OK", "content-encoding: gzip\r\n", bomb), Again],
            "too_large",
        ),
        row("body", "as long as allowed", vec![Read, ok(padded(MAX_RESPONSE)), Again], "bid"),
        row("body", "one byte longer", vec![Read, ok(padded(MAX_RESPONSE + 1)), Again], "too_large"),
    ]
}

fn slow() -> Vec<Row> {
    let Step::Write(answer) = ok(BID) else { unreachable!("it is written") };
    let drip = |millis| vec![Read, Drip(answer.clone(), Duration::from_millis(millis)), Again];
    let after_head = vec![
        Read,
        write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BID.len())),
        Drip(BID.into(), Duration::from_millis(20)),
    ];
    vec![
        row("in the head", "byte by byte", drip(20), "timeout"),
        row("in the body", "byte by byte", after_head, "timeout"),
    ]
}

/// Three requests, each of which must be answered though the connection of the one before is of no use any more.
fn reuse() -> Vec<Row> {
    let idle = |after: Vec<Step>| [vec![Read, ok(BID)], after].concat();
    vec![
        row("between requests", "closes", idle(vec![Fin]), "bid"),
        row("between requests", "resets", idle(vec![Reset]), "bid"),
        row("between requests", "speaks unasked", idle(vec![write("HTTP/1.1 408 \r\n\r\n"), Fin]), "bid"),
        row(
            "with the answer",
            "says close, and stays",
            vec![Read, answer("200 OK", "connection: close\r\n", BID), Hang],
            "bid",
        ),
    ]
}
