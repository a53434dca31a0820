//! Against a peer on the loopback that is played by hand.

mod closed;
mod late;
mod streams;
mod taken_back;

use std::pin::pin;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use http::StatusCode;
use http::uri::PathAndQuery;

use super::super::h1::MAX_HEAD_BYTES;
use super::super::peer::{self, Authority, Peer, Received, chunked, ok, shortly, soon};
use super::super::tls;
use super::*;

const CAP: usize = 64;

/// A pool towards one peer, and what it counts.
struct Bench {
    peer: Peer,
    pool: Pool,
    open: IntGauge,
}

impl Bench {
    async fn new(max_connections: usize) -> Self {
        Self::with(Peer::plain().await, None, |settings| settings.max_connections = max_connections)
    }

    fn with(peer: Peer, ca: Option<&Authority>, change: impl FnOnce(&mut PoolSettings)) -> Self {
        let origin = Origin::of(&peer.url("/")).unwrap();
        let target = PathAndQuery::from_static("/bid?src=1");
        let mut settings = PoolSettings {
            template: Template::new(&target, origin.host_header(), HeaderMap::new()),
            keep: &[],
            origin,
            max_connections: 4,
            connect_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(20),
            max_response_bytes: CAP,
            late: Duration::ZERO,
        };
        change(&mut settings);
        let tls = tls::client_config(ca.map(|ca| ca.pem().as_bytes())).unwrap();
        let open = IntGauge::new("open", "Open.").unwrap();
        Self { peer, pool: Pool::new(settings, &tls, open.clone()), open }
    }

    async fn exchange(&self, body: &'static str, deadline: Deadline) -> Result<Response<Bytes>, PoolError> {
        self.send(Bytes::from_static(body.as_bytes()).into(), deadline).await
    }

    async fn send(&self, mut body: Segments, deadline: Deadline) -> Result<Response<Bytes>, PoolError> {
        let headers = HeaderMap::new();
        self.pool
            .exchange(Call { headers: &headers, body: &mut body, now: Clock::monotonic(), deadline })
            .await
    }

    /// One exchange on a new connection, which is handed back open.
    async fn first(&self, answer: &str) -> peer::Connection {
        let (done, connection) = tokio::join!(self.exchange("first", soon()), async {
            let mut connection = self.peer.accept().await;
            connection.serve(answer).await;
            connection
        });
        done.unwrap();
        connection
    }

    fn idle(&self) -> usize {
        self.pool.0.idle.count()
    }

    fn free_slots(&self) -> usize {
        self.pool.0.slots.free()
    }
}

fn failed(done: &Result<Response<Bytes>, PoolError>) -> &TransportError {
    match done {
        Err(PoolError::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_serves_one_exchange_after_the_other() {
    peer::local(async {
        let bench = Bench::new(4).await;
        let mut connection = bench.first(&ok("one")).await;
        let no_content = String::from("HTTP/1.1 204 No Content\r\n\r\n");
        for (answer, expected) in
            [(chunked("two and a half"), "two and a half"), (no_content, ""), (ok("three"), "three")]
        {
            let (done, received) = tokio::join!(bench.exchange("again", soon()), connection.serve(answer));
            assert_eq!(done.unwrap().into_body(), expected);
            assert_eq!(received.line(), "POST /bid?src=1 HTTP/1.1");
            assert_eq!(
                received.headers(),
                [("content-length", "5"), ("host", bench.peer.authority().as_str())]
            );
            assert_eq!(received.body, b"again");
        }
        assert_eq!((bench.open.get(), bench.idle(), bench.free_slots()), (1, 1, 4));
    });
}

#[test]
fn the_newest_idle_connection_is_used_first() {
    peer::local(async {
        let bench = Bench::new(4).await;
        let peers = async {
            let mut older = bench.peer.accept().await;
            let mut newer = bench.peer.accept().await;
            let (one, two) = (older.request().await, newer.request().await);
            older.write(ok("1")).await;
            (older, newer, one, two)
        };
        // Both are under way at once; the second is answered only when the first is back.
        let second = bench.exchange("b", soon());
        let mut second = pin!(second);
        let (first, (mut older, mut newer, ..)) = tokio::join!(bench.exchange("a", soon()), async {
            tokio::select! {
                peers = peers => peers,
                done = &mut second => panic!("not answered yet: {done:?}"),
            }
        });
        first.unwrap();
        newer.write(ok("2")).await;
        second.await.unwrap();
        assert_eq!((bench.open.get(), bench.idle()), (2, 2));

        for _ in 0..3 {
            let (done, _) = tokio::join!(bench.exchange("c", soon()), newer.serve(ok("3")));
            assert_eq!(done.unwrap().into_body(), "3");
        }
        let held = async {
            let (one, two) = (newer.request().await, older.request().await);
            newer.write(ok("4")).await;
            older.write(ok("5")).await;
            (one, two)
        };
        let both = join_all([bench.exchange("d", soon()), bench.exchange("e", soon())]);
        let (done, (one, two)) = tokio::join!(both, held);
        assert!(done.iter().all(Result::is_ok));
        assert_eq!((one.body.as_slice(), two.body.as_slice()), (b"d".as_ref(), b"e".as_ref()));
    });
}

#[test]
fn as_many_connections_as_allowed_and_no_more() {
    peer::local(async {
        let bench = Bench::new(2).await;
        let asked = join_all(["a", "b", "c"].map(|body| bench.exchange(body, soon())));
        let served = async {
            let (mut one, mut two) = (bench.peer.accept().await, bench.peer.accept().await);
            one.request().await;
            two.request().await;
            assert_eq!((bench.open.get(), bench.free_slots()), (2, 0));
            one.write(ok("1")).await;
            // The third comes over the connection that is free now.
            assert_eq!(one.serve(ok("3")).await.body, b"c");
            two.write(ok("2")).await;
            assert!(bench.peer.accept().now_or_never().is_none());
            (one, two)
        };
        let (done, _open) = tokio::join!(asked, served);
        let bodies: Vec<_> = done.into_iter().map(|done| done.unwrap().into_body()).collect();
        assert_eq!(bodies, ["1", "2", "3"]);
        assert_eq!((bench.open.get(), bench.idle()), (2, 2));
    });
}

#[test]
fn one_past_the_limit_waits_until_its_deadline() {
    peer::local(async {
        let bench = Bench::new(2).await;
        let (both, (late, ())) =
            tokio::join!(join_all(["a", "b"].map(|body| bench.exchange(body, soon()))), async {
                let (mut one, mut two) = (bench.peer.accept().await, bench.peer.accept().await);
                one.request().await;
                two.request().await;
                let late = bench.exchange("c", shortly()).await;
                one.write(ok("1")).await;
                two.write(ok("2")).await;
                (late, ())
            });
        assert!(both.iter().all(Result::is_ok));
        assert_eq!(late.unwrap_err(), PoolError::Limit);
        assert_eq!(bench.free_slots(), 2);
    });
}

#[test]
fn a_broken_answer_is_broken() {
    peer::local(async {
        let bench = Bench::new(1).await;
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 20",
            "{\"id\":\"1\"}\r\n\r\n",
        ] {
            let (done, _) = tokio::join!(bench.exchange("a", soon()), async {
                bench.peer.accept().await.serve(answer).await
            });
            assert!(matches!(failed(&done), TransportError::Broken(_)), "{answer:.60}: {done:?}");
        }
        // A reset, not an orderly end.
        let (done, ()) = tokio::join!(bench.exchange("a", soon()), async {
            let tcp = bench.peer.accept_tcp().await;
            tcp.set_zero_linger().unwrap();
            bench.peer.greet(tcp).await.serve("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await;
        });
        assert!(matches!(failed(&done), TransportError::Broken(_)), "{done:?}");
    });
}

#[test]
fn a_head_is_read_up_to_its_limit_and_not_past_it() {
    peer::local(async {
        let bench = Bench::new(1).await;
        let head = |length: usize| {
            let start = "HTTP/1.1 204 No Content\r\nx-long: ";
            format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
        };
        let mut connection = bench.first(&head(MAX_HEAD_BYTES)).await;
        let (done, _) = tokio::join!(bench.exchange("a", soon()), connection.serve(head(MAX_HEAD_BYTES + 1)));
        assert!(matches!(failed(&done), TransportError::Broken(_)), "{done:?}");
    });
}

#[test]
fn an_answer_is_read_up_to_the_cap_and_not_past_it() {
    peer::local(async {
        let bench = Bench::new(1).await;
        let (fits, too_long) = ("x".repeat(CAP), "x".repeat(CAP + 1));
        for answer in [ok, chunked] {
            let mut connection = bench.first(&answer(&fits)).await;
            let (done, ()) = tokio::join!(bench.exchange("b", soon()), async {
                connection.serve(answer(&too_long)).await;
                connection.closed().await;
            });
            assert_eq!(failed(&done), &TransportError::TooLarge);
            assert_eq!(bench.idle(), 0);
        }
    });
}
