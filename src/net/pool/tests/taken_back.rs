//! Exchanges that are dropped before their answer.

use super::*;

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
