//! Connections that end otherwise than with a whole answer.

use std::io::Read as _;
use std::sync::atomic::{AtomicU32, Ordering};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};

use super::super::session::Session;
use super::server::tls;
use super::*;

/// Reads until the other side has gone.
fn drain(mut stream: TcpStream) {
    io::copy(&mut stream, &mut io::sink()).unwrap_or_default();
}

#[test]
fn an_answer_without_a_length_that_never_ends_is_late_and_not_whole() {
    let address = raw(|_, mut stream| {
        request_came(&mut stream);
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf").unwrap();
        drain(stream);
        false
    });
    let report = run(&Load { timeout: ms(200), ..load(1) }, address);
    assert_eq!((report.answers(200), &report.errors), (0, &BTreeMap::from([(Fault::Timeout, 1)])));
    assert!(settled(&report), "{report:?}");
}

#[test]
fn a_reset_ends_no_answer() {
    let address = raw(|_, mut stream| {
        request_came(&mut stream);
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhalf").unwrap();
        // Closed without what TCP has for a clean end.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        false
    });
    let report = run(&load(1), address);
    assert_eq!((report.answers(200), &report.errors), (0, &BTreeMap::from([(Fault::Broken, 1)])));
}

/// A target that ends every connection after `greet`: its report, and how many connections it got.
fn slammed(http2: bool, greet: fn(&mut TcpStream)) -> (Report, u32) {
    let connections = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&connections);
    let address = raw(move |_, mut stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        greet(&mut stream);
        true
    });
    let load = Load { http2, duration: Some(ms(600)), ..Load::new(Pace::Constant(10.0)) };
    let report = run(&load, address);
    (report, connections.load(Ordering::Relaxed))
}

#[test]
fn a_target_that_ends_every_connection_is_not_stormed() {
    let settings = |stream: &mut TcpStream| {
        // The preface and no more is read, so that the answer is not lost in a reset.
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).unwrap();
        stream.write_all(b"\0\0\0\x04\0\0\0\0\0").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        drain(stream.try_clone().unwrap());
    };
    for (http2, greet) in [(false, (|_| ()) as fn(&mut TcpStream)), (true, settings)] {
        let (report, connections) = slammed(http2, greet);
        let most = report.elapsed.as_millis() / 20 + 3;
        assert!(u128::from(connections) <= most, "{connections} connections, HTTP/2 {http2}\n{report}");
        assert_eq!((report.due, report.unanswered()), (6, 6), "{report}");
    }
}

#[test]
fn a_target_without_http2_is_said_before_anything_is_due() {
    let server = Server::plain(|_| PROMPT);
    let target = requests(&format!("http://{}/", server.address));
    let load = Load { http2: true, ..load(1) };
    let fault = drive(&load, &target, &mut |_| {}).unwrap_err().to_string();
    assert!(fault.ends_with("it does not speak HTTP/2"), "{fault}");
    let silent = raw(|_, stream| {
        drain(stream);
        false
    });
    let load = Load { timeout: ms(200), ..load };
    let fault = drive(&load, &requests(&format!("http://{silent}/")), &mut |_| {}).unwrap_err().to_string();
    assert!(fault.ends_with("it does not speak HTTP/2"), "{fault}");
}

/// Both sides of a session after the handshake.
fn session() -> (ClientConnection, ServerConnection) {
    let (acceptor, ca) = tls(Speaks::Http1);
    let config = crate::net::tls::client_config(ca.as_deref()).unwrap();
    let mut client = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(acceptor.unwrap().config())).unwrap();
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut came = wire.as_slice();
        while !came.is_empty() {
            server.read_tls(&mut came).unwrap();
            server.process_new_packets().unwrap();
        }
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut came = wire.as_slice();
        while !came.is_empty() {
            client.read_tls(&mut came).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    (client, server)
}

#[test]
fn what_comes_after_the_end_of_a_tls_session_is_a_fault() {
    let (client, mut server) = session();
    server.writer().write_all(b"hello").unwrap();
    server.send_close_notify();
    let mut wire = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut wire).unwrap();
    }
    // More than is read at once.
    wire.resize(wire.len() + 100_000, 0);
    let (mut session, mut room) = (Session::over(client), Vec::new());
    assert_eq!(session.open(&wire, &mut room), Ok(&b"hello"[..]), "what came before the end is not lost");
    assert_eq!(session.open(b"more", &mut room), Err(Fault::Broken));
}
