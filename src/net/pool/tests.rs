//! Against a peer on the loopback that is played by hand.

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
fn a_deadline_in_the_past_sends_nothing_and_costs_no_connection() {
    peer::local(async {
        let bench = Bench::new(1).await;
        let mut connection = bench.first(&ok("1")).await;
        let done = bench.exchange("late", Deadline::within(Duration::ZERO)).await;
        assert_eq!(failed(&done), &TransportError::Timeout);
        let (done, received) = tokio::join!(bench.exchange("in time", soon()), connection.serve(ok("2")));
        assert_eq!(
            (done.unwrap().into_body().as_ref(), received.body.as_slice()),
            (b"2".as_ref(), b"in time".as_ref())
        );
    });
}

#[test]
fn a_hung_exchange_ends_at_the_deadline_and_closes() {
    peer::local(async {
        let bench = Bench::new(1).await;
        for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab"] {
            let (done, ()) = tokio::join!(bench.exchange("a", shortly()), async {
                let mut connection = bench.peer.accept().await;
                connection.serve(part).await;
                connection.closed().await;
            });
            assert_eq!(failed(&done), &TransportError::Timeout, "after {part:?}");
            assert_eq!((bench.open.get(), bench.idle(), bench.free_slots()), (0, 0, 1));
        }
    });
}

#[test]
fn a_late_answer_is_read_and_its_connection_used_again() {
    peer::local(async {
        let bench = Bench::with(Peer::plain().await, None, |settings| {
            settings.max_connections = 1;
            settings.late = Duration::from_secs(20);
        });
        let (done, mut connection) = tokio::join!(bench.exchange("a", shortly()), async {
            let mut connection = bench.peer.accept().await;
            connection.serve("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nla").await;
            connection
        });
        assert_eq!(failed(&done), &TransportError::Timeout);
        assert_eq!((bench.open.get(), bench.free_slots()), (1, 0), "its answer may still come");
        connection.write("te").await;
        while bench.free_slots() == 0 {
            tokio::task::yield_now().await;
        }
        let (done, received) = tokio::join!(bench.exchange("b", soon()), connection.serve(ok("2")));
        assert_eq!((done.unwrap().into_body(), received.body), ("2".into(), b"b".to_vec()));
        assert_eq!((bench.open.get(), bench.idle(), bench.free_slots()), (1, 1, 1));
    });
}

#[test]
fn a_late_answer_is_not_waited_for_without_end() {
    peer::local(async {
        let bench = Bench::with(Peer::plain().await, None, |settings| {
            settings.max_connections = 1;
            settings.late = peer::SHORT;
        });
        let (done, mut connection) = tokio::join!(bench.exchange("a", shortly()), async {
            let mut connection = bench.peer.accept().await;
            connection.request().await;
            connection
        });
        assert_eq!(failed(&done), &TransportError::Timeout);
        assert_eq!(bench.free_slots(), 0);
        connection.closed().await;
        assert_eq!((bench.open.get(), bench.idle(), bench.free_slots()), (0, 0, 1));
    });
}

#[test]
fn the_oldest_drain_makes_room_for_an_exchange() {
    peer::local(async {
        let bench = Bench::with(Peer::plain().await, None, |settings| {
            settings.max_connections = 2;
            settings.late = Duration::from_mins(10);
        });
        let hang = async |body| {
            let (done, connection) = tokio::join!(bench.exchange(body, shortly()), async {
                let mut connection = bench.peer.accept().await;
                connection.request().await;
                connection
            });
            assert_eq!(failed(&done), &TransportError::Timeout);
            connection
        };
        let mut oldest = hang("a").await;
        let mut newer = hang("b").await;
        assert_eq!((bench.open.get(), bench.free_slots()), (2, 0));
        let (done, received) = tokio::join!(bench.exchange("c", soon()), async {
            oldest.closed().await;
            bench.peer.accept().await.serve(ok("3")).await
        });
        assert_eq!((done.unwrap().into_body(), received.body), ("3".into(), b"c".to_vec()));
        // The other goes on: its answer comes, and its connection is used again.
        assert_eq!(bench.pool.0.drains.count(), 1);
        newer.write(ok("2")).await;
        while bench.pool.0.drains.count() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bench.free_slots(), 2);
    });
}

#[test]
fn nothing_is_drained_while_an_exchange_waits() {
    peer::local(async {
        let bench = Bench::with(Peer::plain().await, None, |settings| {
            settings.max_connections = 1;
            settings.late = Duration::from_mins(10);
        });
        let (hung, done, ()) =
            tokio::join!(bench.exchange("a", shortly()), bench.exchange("b", soon()), async {
                let mut connection = bench.peer.accept().await;
                connection.request().await;
                connection.closed().await;
                bench.peer.accept().await.serve(ok("2")).await;
            });
        assert_eq!(failed(&hung), &TransportError::Timeout);
        assert_eq!(done.unwrap().into_body(), "2");
        assert_eq!((bench.pool.0.waiting.get(), bench.pool.0.drains.count()), (0, 0));
    });
}

#[test]
fn a_peer_that_stops_reading_cannot_keep_the_connection() {
    peer::local(async {
        let ca = Authority::new();
        for peer in [Peer::plain().await, Peer::tls(&ca).await] {
            let bench = Bench::with(peer, Some(&ca), |_| ());
            let request = Bytes::from(vec![b'x'; 32 << 20]).into();
            let (done, _deaf) = tokio::join!(bench.send(request, shortly()), bench.peer.accept());
            assert_eq!(failed(&done), &TransportError::Timeout);
            while bench.open.get() > 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(bench.free_slots(), 4);
        }
    });
}

/// Begins an exchange, waits until the peer has all of the request, and drops it.
async fn dropped(bench: &Bench, body: &'static str) -> peer::Connection {
    tokio::select! {
        done = bench.exchange(body, soon()) => panic!("{done:?}"),
        connection = async {
            let mut connection = bench.peer.accept().await;
            connection.request().await;
            connection
        } => connection,
    }
}

#[test]
fn an_exchange_that_is_dropped_closes_its_connection_where_nothing_is_drained() {
    peer::local(async {
        let bench = Bench::new(1).await;
        dropped(&bench, "a").await.closed().await;
        assert_eq!((bench.open.get(), bench.free_slots()), (0, 1));
    });
}

/// What a caller who resets its streams costs an SSP: nothing but the answers that it would have got.
#[test]
fn the_connection_of_an_exchange_that_is_dropped_is_used_again() {
    peer::local(async {
        let bench = Bench::with(Peer::plain().await, None, |settings| {
            settings.max_connections = 1;
            settings.late = Duration::from_secs(20);
        });
        let mut connection = dropped(&bench, "a").await;
        assert_eq!((bench.open.get(), bench.free_slots(), bench.pool.0.drains.count()), (1, 0, 1));
        for _ in 0..3 {
            connection.write(ok("nobody's")).await;
            while bench.free_slots() == 0 {
                tokio::task::yield_now().await;
            }
            tokio::select! {
                done = bench.exchange("b", soon()) => panic!("{done:?}"),
                received = connection.request() => assert_eq!(received.body, b"b"),
            }
        }
        assert!(bench.peer.accept().now_or_never().is_none());
        connection.write(ok("nobody's")).await;
        while bench.free_slots() == 0 {
            tokio::task::yield_now().await;
        }
        let (done, _) = tokio::join!(bench.exchange("c", soon()), connection.serve(ok("3")));
        assert_eq!(done.unwrap().into_body(), "3");
    });
}

#[test]
fn an_exchange_that_ends_with_its_runtime_ends_quietly() {
    let (bench, task) = peer::local(async {
        let bench =
            Bench::with(Peer::plain().await, None, |settings| settings.late = Duration::from_secs(20));
        let pool = bench.pool.clone();
        let task = spawn_local(async move {
            let (headers, mut body) = (HeaderMap::new(), Segments::from(Bytes::from_static(b"a")));
            let call = Call { headers: &headers, body: &mut body, now: Clock::monotonic(), deadline: soon() };
            drop(pool.exchange(call).await);
        });
        bench.peer.accept().await.request().await;
        (bench, task)
    });
    assert!(task.is_finished());
    assert_eq!((bench.open.get(), bench.free_slots()), (0, 4));
}

/// Waits, awake, until the deadline has passed.
async fn past(deadline: Deadline) {
    while Clock::monotonic() <= deadline.instant() {
        tokio::task::yield_now().await;
    }
}

/// On a busy thread the task may learn that it is connected only when it is too late.
#[test]
fn nothing_is_sent_on_a_connection_that_is_there_after_the_deadline() {
    peer::local(async {
        let bench = Bench::new(1).await;
        let deadline = shortly();
        let mut late = pin!(bench.exchange("late", deadline));
        assert!(late.as_mut().now_or_never().is_none());
        let mut connection = bench.peer.accept().await;
        while bench.open.get() == 0 {
            tokio::task::yield_now().await;
        }
        past(deadline).await;
        assert_eq!(failed(&late.await), &TransportError::Timeout);
        let (done, received) = tokio::join!(bench.exchange("b", soon()), connection.serve(ok("2")));
        assert_eq!((done.unwrap().into_body(), received.body), ("2".into(), b"b".to_vec()));
    });
}

#[test]
fn nothing_is_sent_with_a_slot_that_is_free_after_the_deadline() {
    peer::local(async {
        let bench = Bench::new(1).await;
        let deadline = shortly();
        let mut late = pin!(bench.exchange("late", deadline));
        let (first, mut connection) = tokio::join!(bench.exchange("a", soon()), async {
            let mut connection = bench.peer.accept().await;
            connection.request().await;
            assert!(late.as_mut().now_or_never().is_none());
            connection.write(ok("1")).await;
            connection
        });
        first.unwrap();
        past(deadline).await;
        assert_eq!(late.await.unwrap_err(), PoolError::Limit);
        let (done, received) = tokio::join!(bench.exchange("b", soon()), connection.serve(ok("2")));
        assert_eq!((done.unwrap().into_body(), received.body), ("2".into(), b"b".to_vec()));
    });
}

#[test]
fn half_a_request_is_not_finished_after_the_deadline() {
    peer::local(async {
        let bench = Bench::with(Peer::plain().await, None, |settings| {
            settings.late = Duration::from_mins(10);
        });
        let request = Bytes::from(vec![b'x'; 32 << 20]).into();
        let (done, _deaf) = tokio::join!(bench.send(request, shortly()), bench.peer.accept());
        assert_eq!(failed(&done), &TransportError::Timeout);
        assert_eq!((bench.pool.0.drains.count(), bench.open.get(), bench.free_slots()), (0, 0, 4));
    });
}

#[test]
fn a_dial_that_outlasts_its_exchange_is_kept_for_the_next() {
    peer::local(async {
        let ca = Authority::new();
        let bench = Bench::with(Peer::tls(&ca).await, Some(&ca), |settings| {
            settings.max_connections = 1;
            settings.late = Duration::from_secs(20);
        });
        let (done, tcp) = tokio::join!(bench.exchange("a", shortly()), bench.peer.accept_tcp());
        assert_eq!(failed(&done), &TransportError::Timeout);
        assert_eq!(bench.free_slots(), 0, "the attempt goes on, but what it was for is not sent any more");
        let (done, received) = tokio::join!(bench.exchange("b", soon()), async {
            let mut connection = bench.peer.greet(tcp).await;
            (connection.serve(ok("2")).await, connection)
        });
        assert_eq!(done.unwrap().into_body(), "2");
        assert_eq!(received.0.body, b"b");
    });
}

#[test]
fn a_dial_ends_at_its_own_limit() {
    peer::local(async {
        let ca = Authority::new();
        let bench = Bench::with(Peer::tls(&ca).await, Some(&ca), |settings| {
            settings.connect_timeout = Duration::from_millis(30);
        });
        let (done, _silent) = tokio::join!(bench.exchange("a", soon()), bench.peer.accept_tcp());
        assert_eq!(failed(&done), &TransportError::Connect(String::from("timed out")));
        assert_eq!(bench.free_slots(), 4);
    });
}

#[test]
fn nobody_listening_is_a_failure_to_connect() {
    peer::local(async {
        let Bench { peer, pool, open } = Bench::new(1).await;
        drop(peer);
        let (headers, mut body) = (HeaderMap::new(), Segments::new());
        let call = Call { headers: &headers, body: &mut body, now: Clock::monotonic(), deadline: soon() };
        let done = pool.exchange(call).await;
        assert!(matches!(failed(&done), TransportError::Connect(_)), "{done:?}");
        assert_eq!((open.get(), pool.0.slots.free()), (0, 1));
    });
}

/// Connections that the peer has closed or spoken on since, which nobody has noticed: the task that watches idle ones has
/// not run, but the reactor knows of it.
#[test]
fn what_finds_its_connection_closed_goes_to_the_next_one_unsent() {
    peer::local(async {
        for word in ["", "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"] {
            let bench = Bench::new(3).await;
            let (mut peers, mut ours) = (Vec::new(), Vec::new());
            for _ in 0..3 {
                peers.push(bench.first(&ok("1")).await);
                ours.extend(bench.pool.0.idle.take(Clock::monotonic()));
            }
            bench.pool.0.idle.unwatched();
            let until = Clock::monotonic() + Duration::from_secs(20);
            for connection in ours {
                bench.pool.0.idle.put(connection, until);
            }
            let mut good = peers.remove(0);
            for mut bad in peers {
                bad.write(word).await;
            }
            tokio::task::yield_now().await; // the reactor hears of it
            assert_eq!((bench.open.get(), bench.idle()), (3, 3));
            let (done, received) = tokio::join!(bench.exchange("b", soon()), good.serve(ok("2")));
            assert_eq!((done.unwrap().into_body(), received.body), ("2".into(), b"b".to_vec()));
            assert_eq!((bench.open.get(), bench.idle()), (1, 1));
        }
    });
}

#[test]
fn a_new_connection_that_closes_at_once_is_not_followed_by_another() {
    peer::local(async {
        let bench = Bench::new(2).await;
        let (done, ()) = tokio::join!(bench.exchange("a", soon()), async {
            drop(bench.peer.accept().await);
        });
        assert!(matches!(failed(&done), TransportError::Connect(_) | TransportError::Broken(_)), "{done:?}");
        assert!(bench.peer.accept().now_or_never().is_none());
    });
}

#[test]
fn a_connection_the_peer_closed_while_idle_is_not_used() {
    peer::local(async {
        let bench = Bench::new(1).await;
        let connection = bench.first(&ok("1")).await;
        drop(connection);
        while bench.open.get() > 0 {
            tokio::task::yield_now().await;
        }
        let (done, received) = tokio::join!(bench.exchange("b", soon()), async {
            bench.peer.accept().await.serve(ok("2")).await
        });
        assert_eq!(
            (done.unwrap().into_body().as_ref(), received.body.as_slice()),
            (b"2".as_ref(), b"b".as_ref())
        );
    });
}

#[test]
fn what_the_peer_has_read_is_never_sent_again() {
    peer::local(async {
        let bench = Bench::new(1).await;
        let mut connection = bench.first(&ok("1")).await;
        let (done, ()) = tokio::join!(bench.exchange("b", soon()), async {
            connection.request().await;
            drop(connection);
        });
        assert!(matches!(failed(&done), TransportError::Broken(_)), "{done:?}");
        assert!(bench.peer.accept().now_or_never().is_none());
        assert_eq!((bench.open.get(), bench.idle(), bench.free_slots()), (0, 0, 1));
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

#[test]
fn a_peer_that_says_close_is_left_alone() {
    peer::local(async {
        let bench = Bench::new(1).await;
        let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n1";
        let mut connection = bench.first(answer).await;
        assert_eq!(bench.idle(), 0);
        connection.closed().await;
    });
}

#[test]
fn an_idle_connection_is_closed_when_its_time_is_over() {
    peer::local(async {
        let bench = Bench::with(Peer::plain().await, None, |settings| {
            settings.idle_timeout = Duration::from_millis(1);
        });
        for _ in 0..2 {
            let mut connection = bench.first(&ok("1")).await;
            connection.closed().await;
            assert_eq!((bench.open.get(), bench.idle()), (0, 0));
        }
        assert!(!bench.pool.0.idle.is_kept());
    });
}

#[test]
fn segments_arrive_in_order_over_tcp_and_tls() {
    peer::local(async {
        let ca = Authority::new();
        let pieces: Vec<Bytes> =
            (0..9_u8).map(|n| Bytes::from(vec![b'a' + n; 40_000 * usize::from(n)])).collect();
        for peer in [Peer::plain().await, Peer::tls(&ca).await] {
            let bench = Bench::with(peer, Some(&ca), |_| ());
            let request = pieces.iter().cloned().collect();
            let (done, (received, alpn)) = tokio::join!(bench.send(request, soon()), async {
                let mut connection = bench.peer.accept().await;
                (connection.serve(ok("1")).await, connection.alpn)
            });
            assert_eq!(done.unwrap().status(), StatusCode::OK);
            check_large(&received, &pieces);
            assert!(alpn.is_none_or(|negotiated| negotiated == b"http/1.1"));
        }
    });
}

/// Otherwise hyper copies every body into one buffer.
#[test]
fn both_kinds_of_stream_take_vectored_writes() {
    peer::local(async {
        let ca = Authority::new();
        for peer in [Peer::plain().await, Peer::tls(&ca).await] {
            let bench = Bench::with(peer, Some(&ca), |_| ());
            let dial = bench.pool.0.dialer.dial(Duration::from_secs(20));
            let (stream, _connection) = tokio::join!(dial, bench.peer.accept());
            assert!(tokio::io::AsyncWrite::is_write_vectored(&stream.unwrap()));
        }
    });
}

fn check_large(received: &Received, pieces: &[Bytes]) {
    assert_eq!(received.header("content-length"), Some("1440000"));
    assert_eq!(received.header("transfer-encoding"), None);
    assert!(received.body == pieces.concat());
}

#[test]
fn tls_keeps_connections_too_and_refuses_strangers() {
    peer::local(async {
        let ca = Authority::new();
        let bench = Bench::with(Peer::tls(&ca).await, Some(&ca), |_| ());
        let mut connection = bench.first(&ok("1")).await;
        let (done, received) = tokio::join!(bench.exchange("b", soon()), connection.serve(ok("2")));
        assert_eq!(
            (done.unwrap().into_body().as_ref(), received.body.as_slice()),
            (b"2".as_ref(), b"b".as_ref())
        );

        let stranger = Bench::with(Peer::tls(&Authority::new()).await, Some(&ca), |_| ());
        let (done, refused) = tokio::join!(stranger.exchange("a", soon()), stranger.peer.refused());
        let TransportError::Connect(cause) = failed(&done) else { panic!("{done:?}") };
        assert!(cause.starts_with("tls: "), "{cause} / {refused}");
        assert_eq!(stranger.open.get(), 0);
    });
}
