//! Dialling, and bodies over TCP and TLS.

use super::*;

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
