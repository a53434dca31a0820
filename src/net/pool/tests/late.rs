//! Deadlines: what is sent, read and kept when the time is over.

use super::*;

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
