//! Connections that end, and what may go out once more.

use super::*;

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
