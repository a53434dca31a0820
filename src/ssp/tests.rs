//! The client against a peer on the loopback that is played by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::*;
use crate::net::body::Segments;
use crate::net::gzip::Deflater;
use crate::net::peer::{self, Authority, Connection, Peer, Received, ok, shortly, soon};
use crate::net::{OriginError, tls};
use crate::openrtb::Dialect;
use crate::telemetry::Registry;
use crate::time::{Clock, Deadline};

const CAP: usize = 32;

fn settings(url: &str) -> Settings {
    Settings {
        gvl_id: None,
        id: String::from("alpha"),
        url: url.parse().unwrap(),
        dialect: Dialect::V26,
        timeout: Duration::from_millis(200),
        margin: Duration::from_millis(10),
        min: Duration::from_millis(5),
        late: Duration::ZERO,
        headers: HeaderMap::new(),
        forward_headers: Vec::new(),
        max_connections: 2,
        max_inflight: 3,
        max_response_bytes: CAP,
        max_bids: 1_000,
        gzip: false,
        strip_user_id: false,
        scopes: Scopes { uid2: true, euid: true },
        eid_permissions: PermissionMode::Apply,
        rti_partner: None,
        tmax: TmaxMode::Rewrite,
        environment: EnvironmentRule::Any,
        ca: None,
        breaker: None,
    }
}

/// One SSP, its client, and what is counted.
struct Bench {
    peer: Peer,
    client: Client,
    registry: Registry,
}

impl Bench {
    async fn new() -> Self {
        Self::with(Peer::plain().await, |_| ())
    }

    fn with(peer: Peer, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(&peer.url("/openrtb2/bid?pub=7&x=%20").to_string());
        change(&mut settings);
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap().bind(&settings.id);
        let tls = tls::client_config(settings.ca.as_deref()).unwrap();
        let vitals = Vitals::new(&settings, metrics);
        let client = Client::new(Arc::new(settings), &tls, vitals).unwrap();
        Self { peer, client, registry }
    }

    /// What the SSP received, and the reply to it, when it answers `answer` on a new connection.
    async fn ask(&self, headers: HeaderMap, answer: &str) -> (Received, SspReply, Connection) {
        let mut body = [&b"{\"id\""[..], b":\"1\"}"].into_iter().map(Bytes::from_static).collect();
        let bid = self.client.bid(&headers, &mut body, (Clock::monotonic(), soon()));
        let (reply, (received, connection)) = tokio::join!(bid, async {
            let mut connection = self.peer.accept().await;
            (connection.serve(answer).await, connection)
        });
        (received, reply, connection)
    }

    async fn bid(&self, deadline: Deadline) -> SspReply {
        let mut body = Segments::from(Bytes::from_static(b"{}"));
        self.client.bid(&HeaderMap::new(), &mut body, (Clock::monotonic(), deadline)).await
    }

    fn shows(&self, line: &str) {
        let text = String::from_utf8(self.registry.text().unwrap()).unwrap();
        assert!(text.lines().any(|shown| shown == line), "{line} not in {text}");
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
    pairs.collect()
}

async fn check_answer(status_and_headers: &str, body: &str, expected: SspOutcome, status: u16) {
    let bench = Bench::new().await;
    let answer = format!("HTTP/1.1 {status_and_headers}\r\n\r\n{body}");
    let (_, reply, _) = bench.ask(HeaderMap::new(), &answer).await;
    assert_eq!(
        (reply.outcome, reply.status, reply.body.as_ref()),
        (expected, status, body.as_bytes()),
        "{answer}"
    );
}

#[test]
fn the_ssp_gets_what_was_handed_in_and_nothing_else() {
    peer::local(async {
        let bench = Bench::new().await;
        let usual = headers(&[("content-type", "application/json"), ("x-openrtb-version", "2.6")]);
        let (received, reply, _) = bench.ask(usual, &ok("{\"id\":\"1\"}")).await;
        assert_eq!(received.line(), "POST /openrtb2/bid?pub=7&x=%20 HTTP/1.1");
        let authority = bench.peer.authority();
        let expected = [
            ("content-length", "10"),
            ("content-type", "application/json"),
            ("host", authority.as_str()),
            ("x-openrtb-version", "2.6"),
        ];
        assert_eq!(received.headers(), expected);
        assert_eq!(received.body, b"{\"id\":\"1\"}");
        assert_eq!(
            (reply.outcome, reply.status, reply.body.as_ref()),
            (SspOutcome::Bid, 200, &b"{\"id\":\"1\"}"[..])
        );
    });
}

#[test]
fn framing_headers_of_others_are_dropped_and_configured_headers_win() {
    peer::local(async {
        let bench = Bench::with(Peer::plain().await, |settings| {
            let mut secret = HeaderValue::from_static("Bearer 1");
            secret.set_sensitive(true);
            settings.headers.insert("authorization", secret);
            settings.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;v=2"));
            settings.headers.append("x-seat", HeaderValue::from_static("a"));
            settings.headers.append("x-seat", HeaderValue::from_static("b"));
            settings.headers.insert("host", HeaderValue::from_static("bid.ssp.example"));
            settings.headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
            assert!(!format!("{settings:?}").contains("Bearer"));
        });
        let foreign = headers(&[
            ("host", "gateway.example"),
            ("content-length", "99999"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("content-type", "text/plain"),
            ("x-seat", "forged"),
            ("user-agent", "page"),
        ]);
        let (received, _, mut connection) = bench.ask(foreign, &ok("{}")).await;
        let expected = [
            ("authorization", "Bearer 1"),
            ("content-length", "10"),
            ("content-type", "application/json;v=2"),
            ("host", "bid.ssp.example"),
            ("user-agent", "page"),
            ("x-seat", "a"),
            ("x-seat", "b"),
        ];
        assert_eq!(received.headers(), expected);
        // And the connection was not closed by the foreign `connection: close`.
        let (reply, _) = tokio::join!(bench.bid(soon()), connection.serve(ok("{}")));
        assert_eq!(reply.outcome, SspOutcome::Bid);
    });
}

#[test]
fn of_an_answers_headers_two_are_kept() {
    peer::local(async {
        let bench = Bench::new().await;
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-type: application/json\r\nset-cookie: id=1\r\n\
                      server: s\r\ncontent-encoding: identity\r\nx-openrtb-version: 2.6\r\n\
                      access-control-allow-origin: *\r\n\r\n{ }";
        let (_, reply, _) = bench.ask(HeaderMap::new(), answer).await;
        let kept = [("content-type", "application/json"), ("x-openrtb-version", "2.6")];
        assert_eq!(reply.headers, headers(&kept));
        assert_eq!((reply.outcome, reply.body.as_ref(), reply.packed), (SspOutcome::Bid, &b"{ }"[..], None));
    });
}

/// What a client makes of `packed` under this content coding: the outcome, the length of the body, and whether the
/// body as it came is there too.
async fn coded(coding: &str, packed: &[u8]) -> (SspOutcome, usize, bool) {
    let bench = Bench::new().await;
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\ncontent-encoding: {coding}\r\n\r\n", packed.len());
    let (reply, _connection) = tokio::join!(bench.bid(soon()), async {
        let mut connection = bench.peer.accept().await;
        connection.request().await;
        connection.write([head.as_bytes(), packed].concat()).await;
        connection
    });
    assert_eq!(reply.status, 200);
    assert!(reply.packed.is_none() || reply.packed.as_deref() == Some(packed));
    (reply.outcome, reply.body.len(), reply.packed.is_some())
}

#[test]
fn gzip_answers_are_inflated_up_to_the_cap() {
    peer::local(async {
        let zipped = |n: usize| Deflater::default().deflate(&vec![b' '; n]).unwrap();
        assert_eq!(coded("gzip", &zipped(CAP)).await, (SspOutcome::Bid, CAP, true));
        assert_eq!(coded("x-gzip", &zipped(1)).await, (SspOutcome::Bid, 1, true));
        assert_eq!(coded("gzip", &zipped(CAP + 1)).await, (SspOutcome::TooLarge, 0, false));
        assert_eq!(coded("gzip", b"{}").await, (SspOutcome::Invalid, 0, false));
        assert_eq!(coded("gzip", &zipped(CAP)[..20]).await, (SspOutcome::Invalid, 0, false));
        for coding in ["br", "gzip, gzip", "deflate"] {
            assert_eq!(coded(coding, &zipped(1)).await, (SspOutcome::Invalid, 0, false), "{coding}");
        }
    });
}

/// 1xx says that an answer is to come; only a switch of protocols would be one, and nobody asked for that.
#[test]
fn informational_answers_are_no_answers() {
    peer::local(async {
        let early = "103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2";
        check_answer(early, "{}", SspOutcome::Bid, 200).await;
        let bench = Bench::new().await;
        let switch = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
        let (_, reply, _) = bench.ask(HeaderMap::new(), switch).await;
        assert_eq!(reply.outcome, SspOutcome::Invalid);
    });
}

#[test]
fn statuses_become_outcomes() {
    peer::local(async {
        check_answer("200 OK\r\ncontent-length: 2", "{}", SspOutcome::Bid, 200).await;
        check_answer("202 Accepted\r\ncontent-length: 2", "{}", SspOutcome::Bid, 202).await;
        check_answer("200 OK\r\ncontent-length: 0", "", SspOutcome::NoBid, 200).await;
        check_answer("204 No Content", "", SspOutcome::NoBid, 204).await;
        check_answer("302 Found\r\nlocation: /x\r\ncontent-length: 0", "", SspOutcome::Invalid, 302).await;
        check_answer("400 Bad\r\ncontent-length: 3", "why", SspOutcome::Http4xx, 400).await;
        check_answer("429 Slow\r\ncontent-length: 0", "", SspOutcome::Http4xx, 429).await;
        check_answer("500 Oops\r\ncontent-length: 0", "", SspOutcome::Http5xx, 500).await;
        check_answer("503 Busy\r\ncontent-length: 4", "busy", SspOutcome::Http5xx, 503).await;
    });
}

#[test]
fn a_body_is_taken_up_to_the_cap() {
    peer::local(async {
        let (fits, too_long) = ("x".repeat(CAP), "x".repeat(CAP + 1));
        for answer in [ok, peer::chunked] {
            let bench = Bench::new().await;
            let (_, reply, _) = bench.ask(HeaderMap::new(), &answer(&fits)).await;
            assert_eq!((reply.outcome, reply.body.as_ref()), (SspOutcome::Bid, fits.as_bytes()));
            let bench = Bench::new().await;
            let (_, reply, _) = bench.ask(HeaderMap::new(), &answer(&too_long)).await;
            assert_eq!((reply.outcome, reply.status, reply.body.len()), (SspOutcome::TooLarge, 0, 0));
        }
    });
}

#[test]
fn every_fault_has_its_outcome() {
    peer::local(async {
        let bench = Bench::new().await;
        let (_, reply, _) = bench.ask(HeaderMap::new(), "no HTTP at all\r\n\r\n").await;
        assert_eq!(reply.outcome, SspOutcome::Invalid);

        let (reply, _) = tokio::join!(bench.bid(soon()), async { bench.peer.accept().await.request().await });
        assert_eq!(reply.outcome, SspOutcome::Invalid);

        let before = Clock::monotonic();
        let (reply, ()) = tokio::join!(bench.bid(shortly()), async {
            let mut connection = bench.peer.accept().await;
            connection.request().await;
            connection.closed().await;
        });
        assert_eq!((reply.outcome, reply.status), (SspOutcome::Timeout, 0));
        assert!(reply.elapsed > peer::SHORT / 2 && reply.elapsed <= before.elapsed(), "{:?}", reply.elapsed);

        let Bench { peer, client, registry } = bench;
        drop(peer);
        let reply = client.bid(&HeaderMap::new(), &mut Segments::new(), (Clock::monotonic(), soon())).await;
        assert_eq!(reply.outcome, SspOutcome::Connect);
        let text = String::from_utf8(registry.text().unwrap()).unwrap();
        assert!(text.contains("uid2gw_ssp_connections{ssp=\"alpha\"} 0\n"), "{text}");
        assert!(text.contains("uid2gw_ssp_inflight{ssp=\"alpha\"} 0\n"), "{text}");
    });
}

#[test]
fn as_many_in_flight_as_allowed_and_no_more() {
    peer::local(async {
        // Two connections, three in flight: the third waits for a connection, the fourth is turned away at once.
        let bench = Bench::new().await;
        let asked = join_all((0..3).map(|_| bench.bid(soon())));
        let (replies, _connections) = tokio::join!(asked, async {
            let (mut one, mut two) = (bench.peer.accept().await, bench.peer.accept().await);
            one.request().await;
            two.request().await;
            bench.shows("uid2gw_ssp_inflight{ssp=\"alpha\"} 3");
            bench.shows("uid2gw_ssp_connections{ssp=\"alpha\"} 2");
            let turned_away = bench.bid(soon()).await;
            assert_eq!((turned_away.outcome, turned_away.status), (SspOutcome::Limit, 0));
            one.write(ok("{}")).await;
            one.serve(ok("{}")).await;
            two.write(ok("{}")).await;
            (one, two)
        });
        assert!(replies.iter().all(|reply| reply.outcome == SspOutcome::Bid), "{replies:?}");
        bench.shows("uid2gw_ssp_inflight{ssp=\"alpha\"} 0");
        bench.shows("uid2gw_ssp_connections{ssp=\"alpha\"} 2");
    });
}

#[test]
fn no_connection_free_by_the_deadline_is_the_limit_too() {
    peer::local(async {
        let bench = Bench::with(Peer::plain().await, |settings| settings.max_connections = 1);
        let (first, late) = tokio::join!(bench.bid(soon()), async {
            let mut connection = bench.peer.accept().await;
            connection.request().await;
            let late = bench.bid(shortly()).await;
            connection.write(ok("{}")).await;
            late
        });
        assert_eq!((first.outcome, late.outcome), (SspOutcome::Bid, SspOutcome::Limit));
    });
}

#[test]
fn over_tls_with_a_configured_authority() {
    peer::local(async {
        let ca = Authority::new();
        let bench = Bench::with(Peer::tls(&ca).await, |settings| settings.ca = Some(ca.pem().into()));
        let (received, reply, _) = bench.ask(HeaderMap::new(), &ok("{}")).await;
        assert_eq!(
            (reply.outcome, received.header("host")),
            (SspOutcome::Bid, Some(bench.peer.authority().as_str()))
        );

        let bench = Bench::with(Peer::tls(&ca).await, |_| ());
        let (reply, _) = tokio::join!(bench.bid(soon()), bench.peer.refused());
        assert_eq!(reply.outcome, SspOutcome::Connect);
    });
}

#[test]
fn a_url_without_an_origin_is_refused() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap().bind("alpha");
    let tls = tls::client_config(None).unwrap();
    let vitals = |settings: &Settings| Vitals::new(settings, metrics.clone());
    let refused = |url| Client::new(Arc::new(settings(url)), &tls, vitals(&settings(url))).map(drop);
    assert_eq!(refused("/bid"), Err(OriginError::Scheme));
    assert_eq!(refused("ws://ssp.example/bid"), Err(OriginError::Scheme));
    assert_eq!(refused("https://ssp.example/bid"), Ok(()));
}

#[test]
fn a_share_keeps_the_whole_within_bounds() {
    let whole = Settings { max_connections: 10, max_inflight: 4, ..settings("http://ssp.example/") };
    let part = |workers| {
        let share = whole.share(workers);
        (share.max_connections, share.max_inflight)
    };
    assert_eq!(part(1), (10, 4));
    assert_eq!(part(4), (2, 1));
    assert_eq!(part(5), (2, 1));
    assert_eq!(part(0), (10, 4));
}
