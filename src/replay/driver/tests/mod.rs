//! The driver against small servers on loopback.

mod endings;
mod lateness;
mod server;
mod stop;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Version};

use self::server::{PROMPT, Reply, Server, Speaks};
use super::super::corpus::{Corpus, Entry};
use super::super::recorder::Fault;
use super::super::requests::Settings;
use super::super::trace::Trace;
use super::super::users::Users;
use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn corpus(bodies: &[&'static str]) -> Corpus {
    let entry = |body: &&'static str| Entry::plain(String::new(), Bytes::from_static(body.as_bytes()));
    Corpus::of(bodies.iter().map(entry).collect()).unwrap()
}

fn requests(target: &str) -> Arc<Requests> {
    let authorization = HeaderValue::from_static("Bearer k");
    let settings = Settings {
        target: target.parse().unwrap(),
        headers: HeaderMap::from_iter([(http::header::AUTHORIZATION, authorization)]),
        users: Users::numbered("u", 3),
        trace: Trace::of(1),
        in_turn: false,
    };
    Requests::new(corpus(&["{\"id\":1 }", "{\"id\":2}\n"]), &settings)
}

/// So many requests, as fast as they go.
fn load(requests: u64) -> Load {
    Load { requests: Some(requests), ..Load::new(Pace::Constant(1e6)) }
}

fn run(load: &Load, address: SocketAddr) -> Report {
    drive(load, &requests(&format!("http://{address}/openrtb2/auction?x=1")), &mut |_| {}).unwrap()
}

/// Every request that was due is in exactly one place.
fn settled(report: &Report) -> bool {
    let answered: u64 = report.by_status.values().sum();
    let never_sent = |fault| report.errors.get(&fault).copied().unwrap_or(0);
    let unsent = never_sent(Fault::Unsent) + never_sent(Fault::Connect);
    answered == report.latency.len()
        && report.due == answered + report.unanswered()
        && report.sent + unsent == report.due
        && report.seconds.iter().map(|second| second.due).sum::<u64>() == report.due
        && report.seconds.iter().map(|second| second.answered).sum::<u64>() == answered
        && report.seconds.iter().map(|second| second.histogram().len()).sum::<u64>() == answered
        && report.seconds.iter().map(|second| second.failed).sum::<u64>() == report.failed()
}

#[test]
fn bodies_go_out_as_they_are_with_headers_and_users() {
    let server = Server::plain(|_| PROMPT);
    let report = run(&load(4), server.address);
    assert_eq!((report.sent, report.answers(204), report.failed()), (4, 4, 0));
    assert!(settled(&report), "{report:?}");
    let requests = server.log.requests.lock().unwrap();
    let bodies: Vec<&Bytes> = requests.iter().map(|(.., body)| body).collect();
    assert_eq!(bodies, ["{\"id\":1 }", "{\"id\":2}\n", "{\"id\":1 }", "{\"id\":2}\n"]);
    let (headers, uri, ..) = &requests[0];
    assert_eq!(uri, "/openrtb2/auction?x=1");
    assert_eq!(headers["host"], server.address.to_string());
    assert_eq!(headers["authorization"], "Bearer k");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(Trace::of(1).number(&requests[3].0["traceparent"]), Some(3));
    assert!(requests.iter().all(|(headers, ..)| headers.contains_key("x-publisher-user-id")));
    assert_eq!(server.connections(), 1);
}

#[test]
fn connections_are_kept_and_shared_by_threads() {
    let server = Server::plain(|_| PROMPT);
    let report = run(&Load { connections: 5, threads: 2, ..load(1_000) }, server.address);
    assert_eq!((report.answers(204), server.connections()), (1_000, 5));
    assert!(settled(&report), "{report:?}");
    let mut numbers: Vec<u64> = server
        .log
        .requests
        .lock()
        .unwrap()
        .iter()
        .filter_map(|(headers, ..)| Trace::of(1).number(&headers["traceparent"]))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
}

/// A server that stands still for one second delays all requests that were due in that second, and the report says so,
/// although the target saw most of them only after it.
#[test]
fn a_stall_of_one_second_shows_up_as_it_is() {
    let stall = std::sync::OnceLock::new();
    let server = Server::plain(move |number| {
        if number < 50 {
            return PROMPT;
        }
        let until = *stall.get_or_init(|| Clock::monotonic() + ms(1_000));
        Reply { after: until.saturating_duration_since(Clock::monotonic()), ..PROMPT }
    });
    let connections = 4;
    let load = Load { connections, duration: Some(ms(2_000)), ..Load::new(Pace::Constant(100.0)) };
    let report = run(&load, server.address);
    assert_eq!((report.answers(204), report.due), (200, 200));
    assert!(settled(&report), "{report:?}");
    let longer =
        |histogram: &hdrhistogram::Histogram<u64>, ms: u64| histogram.count_between(ms * 1_000, 60_000_000);
    // One request was due every ten milliseconds of the stall: 90 of them more than 100 ms before its end, and so on. A
    // busy machine can make all of them later, never earlier.
    for waited in [100, 300, 500, 700, 900] {
        let expected = (1_000 - waited) / 10;
        let found = longer(&report.latency, waited);
        assert!(
            (expected - 2..expected + 40).contains(&found),
            "{found} waited {waited} ms or longer\n{report}"
        );
    }
    // What a load that waits for answers would have seen: one slow answer for each connection.
    let slow = longer(&report.service, 500);
    assert_eq!(slow, u64::try_from(connections).unwrap(), "{report}");
    assert!(longer(&report.wait, 500) >= 45, "{report}");
}

#[test]
fn an_answer_that_is_late_is_a_fault_and_the_next_request_is_clean() {
    let server = Server::plain(|number| match number {
        0 => Reply { after: Duration::from_hours(1), ..PROMPT },
        _ => PROMPT,
    });
    let report = run(&Load { timeout: ms(200), ..load(2) }, server.address);
    assert_eq!((report.errors[&Fault::Timeout], report.answers(204), server.connections()), (1, 1, 2));
    assert!(settled(&report), "{report:?}");
}

#[test]
fn what_could_not_be_sent_by_the_end_has_failed() {
    let server = Server::plain(|_| Reply { after: Duration::from_hours(1), ..PROMPT });
    let load = Load {
        duration: Some(ms(100)),
        timeout: ms(400),
        grace: ms(50),
        ..Load::new(Pace::Constant(1_000.0))
    };
    let report = run(&load, server.address);
    assert_eq!((report.due, report.sent), (100, 1));
    assert_eq!(report.errors, BTreeMap::from([(Fault::Timeout, 1), (Fault::Unsent, 99)]));
    assert!(settled(&report), "{report:?}");
    assert!(report.latency_of_all(1.0).is_none());
}

#[test]
fn a_target_that_is_not_there_is_said_before_anything_is_due() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let fault = drive(&load(2), &requests(&format!("http://{address}/")), &mut |_| {}).unwrap_err();
    assert!(fault.to_string().contains("refused"), "{fault}");
}

/// A server that speaks bytes; serves one connection after the other until `serve` says enough.
fn raw(mut serve: impl FnMut(usize, TcpStream) -> bool + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (number, stream) in (0..).zip(listener.incoming()) {
            if !serve(number, stream.unwrap()) {
                return;
            }
        }
    });
    address
}

/// Reads a request; `false` when the other side has gone.
fn request_came(stream: &mut TcpStream) -> bool {
    let mut came = Vec::new();
    let mut byte = [0];
    while !came.ends_with(b"}") && !came.ends_with(b"}\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return false;
        }
        came.push(byte[0]);
    }
    true
}

#[test]
fn a_target_that_goes_away_fails_what_is_due_at_once() {
    let address = raw(|_, mut stream| {
        for _ in 0..3 {
            request_came(&mut stream);
            stream.write_all(b"HTTP/1.1 204 \r\n\r\n").unwrap();
        }
        false
    });
    let load = Load { duration: Some(ms(500)), ..Load::new(Pace::Constant(200.0)) };
    let report = run(&load, address);
    assert_eq!((report.due, report.answers(204)), (100, 3));
    assert!(settled(&report), "{report:?}");
    // A request or two may have been under way when the connection broke.
    assert!(report.errors[&Fault::Connect] >= 95, "{report}");
}

#[test]
fn connections_that_end_are_made_anew() {
    let server = Server::plain(|number| Reply { close: number % 2 == 1, ..PROMPT });
    let report = run(&load(10), server.address);
    assert_eq!((report.answers(204), report.failed()), (10, 0));
    assert!((5..=6).contains(&server.connections()), "{}", server.connections());

    // The first connection breaks off in the middle of its second answer.
    let address = raw(|number, mut stream| {
        for answer in 0.. {
            if !request_came(&mut stream) {
                break;
            }
            if number == 0 && answer == 1 {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
                break;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        }
        number == 0
    });
    let report = run(&load(5), address);
    assert_eq!((report.answers(200), report.errors[&Fault::Broken], report.bytes), (4, 1, 8));
    assert!(settled(&report), "{report:?}");

    let address = raw(|number, mut stream| {
        request_came(&mut stream);
        let answer: &[u8] = if number == 0 { b"SSH-2.0-x\r\n" } else { b"HTTP/1.0 200 OK\r\n\r\nto the end" };
        stream.write_all(answer).unwrap();
        // Not closed with a reset, as it would be with bytes of the request unread.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        io::copy(&mut stream, &mut io::sink()).unwrap_or_default();
        number == 0
    });
    let report = run(&load(2), address);
    assert_eq!((report.answers(200), report.errors[&Fault::Invalid], report.bytes), (1, 1, 10));
}

#[test]
fn answers_of_every_kind_are_counted() {
    let server = Server::plain(|number| match number % 3 {
        0 => Reply { status: 200, chunks: vec!["a", "bc", "def"], ..PROMPT },
        1 => Reply { status: 503, chunks: vec!["busy"], ..PROMPT },
        _ => Reply { after: ms(20), ..PROMPT },
    });
    let report = run(&load(30), server.address);
    assert_eq!(report.by_status, BTreeMap::from([(200, 10), (204, 10), (503, 10)]));
    assert_eq!((report.bytes, report.failed(), report.unanswered()), (100, 10, 0));
    assert!(settled(&report), "{report:?}");
    assert!(report.service.count_between(20_000, 60_000_000) >= 10);
}

#[test]
fn large_bodies_go_out_whole() {
    let large: &'static str = "{}".repeat(2_000_000).leak();
    let server = Server::plain(|_| PROMPT);
    let mut settings = Settings {
        target: format!("http://{}/", server.address).parse().unwrap(),
        headers: HeaderMap::new(),
        users: Users::default(),
        trace: Trace::of(1),
        in_turn: false,
    };
    let report = drive(&load(3), &Requests::new(corpus(&[large]), &settings), &mut |_| {}).unwrap();
    assert_eq!(report.answers(204), 3, "{report}");
    assert!(server.log.requests.lock().unwrap().iter().all(|(.., body)| body == large));

    let server = Server::start(Speaks::Http1, true, Arc::new(|_| PROMPT));
    settings.target = format!("https://localhost:{}/", server.address.port()).parse().unwrap();
    let load = Load { ca: server.ca.clone(), ..load(3) };
    let report = drive(&load, &Requests::new(corpus(&[large]), &settings), &mut |_| {}).unwrap();
    assert_eq!(report.answers(204), 3, "{report}");
    assert!(server.log.requests.lock().unwrap().iter().all(|(.., body)| body == large));
}

#[test]
fn tls_and_http2_targets_are_spoken_to() {
    for (speaks, secure) in [(Speaks::Http1, true), (Speaks::Http2, false), (Speaks::Http2, true)] {
        let manner = |number: usize| Reply {
            status: 200,
            chunks: vec!["a", "bc"],
            after: if number == 0 { ms(100) } else { Duration::ZERO },
            ..PROMPT
        };
        let server = Server::start(speaks, secure, Arc::new(manner));
        let scheme = if secure { "https" } else { "http" };
        let target = format!("{scheme}://localhost:{}/openrtb2/auction", server.address.port());
        let http2 = speaks == Speaks::Http2;
        let load = Load { connections: 2, http2, ca: server.ca.clone(), ..load(300) };
        let report = drive(&load, &requests(&target), &mut |_| {}).unwrap();
        assert_eq!((report.answers(200), report.failed(), report.bytes), (300, 0, 900), "{target}\n{report}");
        assert!(settled(&report), "{report:?}");
        assert_eq!(server.connections(), 2);
        let requests = server.log.requests.lock().unwrap();
        let version = if http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        assert!(requests.iter().all(|(headers, uri, spoken, body)| {
            headers.contains_key("traceparent")
                && uri.path() == "/openrtb2/auction"
                && *spoken == version
                && body.starts_with(b"{\"id\":")
        }));
        let spoken = if http2 { "HTTP/2" } else { "HTTP/1.1" };
        assert_eq!(report.load.protocol, format!("{spoken}{}", if secure { " over TLS" } else { "" }));
    }
}

#[test]
fn a_certificate_nobody_vouches_for_is_refused() {
    let server = Server::start(Speaks::Http1, true, Arc::new(|_| PROMPT));
    let target = requests(&format!("https://localhost:{}/", server.address.port()));
    let fault = drive(&load(1), &target, &mut |_| {}).unwrap_err().to_string();
    assert!(fault.contains("certificate"), "{fault}");
    let load = Load { http2: true, ca: server.ca.clone(), ..load(1) };
    let fault = drive(&load, &target, &mut |_| {}).unwrap_err();
    assert!(matches!(fault, DriveError::Unreachable(_)), "{fault}");
}

#[test]
fn streams_that_are_late_fail_alone() {
    let manner =
        |number: usize| Reply { after: if number == 0 { Duration::from_hours(1) } else { ms(0) }, ..PROMPT };
    let server = Server::start(Speaks::Http2, false, Arc::new(manner));
    let load = Load { http2: true, timeout: ms(300), ..load(50) };
    let report = run(&load, server.address);
    assert_eq!((report.errors[&Fault::Timeout], report.answers(204), server.connections()), (1, 49, 1));
}

#[test]
fn a_warm_up_is_sent_and_not_counted() {
    let server = Server::plain(|_| PROMPT);
    let load = Load { warmup: ms(200), duration: Some(ms(300)), ..Load::new(Pace::Constant(1_000.0)) };
    let report = run(&load, server.address);
    assert_eq!((report.due, report.answers(204)), (300, 300));
    assert!(settled(&report), "{report:?}");
    assert_eq!(server.log.requests.lock().unwrap().len(), 500);
}

#[test]
fn what_cannot_be_driven_is_refused() {
    let (good, second) = (load(1), Some(Duration::from_secs(1)));
    let ramp = Pace::Ramp { from: 1.0, to: 2.0 };
    for bad in [
        Load { connections: 0, ..good.clone() },
        Load { pace: Pace::Constant(0.0), ..good.clone() },
        Load { pace: Pace::Constant(f64::NAN), ..good.clone() },
        Load { pace: Pace::Steps([0.0].into()), duration: second, ..good.clone() },
        Load { pace: ramp, ..good.clone() },
    ] {
        let fault = drive(&bad, &requests("http://127.0.0.1:1/"), &mut |_| {}).unwrap_err();
        assert!(matches!(fault, DriveError::Settings(_)), "{bad:?}");
    }
    for target in ["ftp://localhost/", "/only/a/path", "http://me:s3cr3t@localhost/"] {
        let fault = drive(&good, &requests(target), &mut |_| {}).unwrap_err();
        assert!(matches!(fault, DriveError::Target(_)) && !fault.to_string().contains("s3cr3t"), "{target}");
    }
}
