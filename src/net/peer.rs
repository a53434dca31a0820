//! The other end of a loopback socket, played by hand: tests say what it reads, writes and when it closes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio_rustls::TlsAcceptor;

use crate::time::Deadline;

/// Runs a test on one thread with local tasks, as a data-plane worker does. A test that hangs fails.
pub(crate) fn local<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    let bounded =
        async { tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs") };
    runtime.block_on(bounded)
}

/// A deadline that is not meant to pass.
pub(crate) fn soon() -> Deadline {
    Deadline::within(Duration::from_secs(20))
}

/// Long enough for a connection and a request on a busy machine.
pub(crate) const SHORT: Duration = Duration::from_millis(200);

/// A deadline that is meant to pass.
pub(crate) fn shortly() -> Deadline {
    Deadline::within(SHORT)
}

/// A 200 that announces its length.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A 200 in chunks of five bytes, without a length.
pub(crate) fn chunked(body: &str) -> String {
    let chunks: Vec<String> = body
        .as_bytes()
        .chunks(5)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)))
        .collect();
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunks.concat())
}

/// A certificate authority of one test.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A server for `localhost` that would rather speak HTTP/2, but does not insist.
    fn server(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([String::from("localhost")])
            .unwrap()
            .signed_by(&key, &self.issuer)
            .unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config).into()
    }
}

/// A listening socket on a free port of the loopback.
pub(crate) struct Peer {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Peer {
    pub(crate) async fn plain() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), tls: None }
    }

    pub(crate) async fn tls(authority: &Authority) -> Self {
        Self { tls: Some(authority.server()), ..Self::plain().await }
    }

    pub(crate) fn authority(&self) -> String {
        let host = if self.tls.is_some() { "localhost" } else { "127.0.0.1" };
        format!("{host}:{}", self.listener.local_addr().unwrap().port())
    }

    pub(crate) fn url(&self, path: &str) -> Uri {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.authority()).parse().unwrap()
    }

    /// The next connection, ready to be read from.
    pub(crate) async fn accept(&self) -> Connection {
        let tcp = self.accept_tcp().await;
        self.greet(tcp).await
    }

    /// The next connection before anything was said on it.
    pub(crate) async fn accept_tcp(&self) -> TcpStream {
        let (tcp, _) = self.listener.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp
    }

    /// Completes the handshake, where there is one.
    pub(crate) async fn greet(&self, tcp: TcpStream) -> Connection {
        let Some(tls) = &self.tls else { return Connection::new(tcp) };
        let stream = tls.accept(tcp).await.unwrap();
        let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        Connection { alpn, ..Connection::new(stream) }
    }

    /// The next connection is refused by the client while shaking hands; what it said.
    pub(crate) async fn refused(&self) -> String {
        let tcp = self.accept_tcp().await;
        let tls = self.tls.as_ref().expect("only a TLS client can refuse");
        match tls.accept(tcp).await {
            Err(error) => error.to_string(),
            // With TLS 1.3 the server is done first and learns it by reading.
            Ok(mut stream) => stream.read_u8().await.unwrap_err().to_string(),
        }
    }
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// One accepted connection.
pub(crate) struct Connection {
    stream: Box<dyn Io>,
    /// What was negotiated, over TLS.
    pub(crate) alpn: Option<Vec<u8>>,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers().into_iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Names and values, sorted.
    pub(crate) fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers: Vec<_> =
            self.head.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
        headers.sort_unstable();
        headers
    }
}

impl Connection {
    fn new(stream: impl Io + 'static) -> Self {
        Self { stream: Box::new(stream), alpn: None }
    }

    /// Reads one request with a `content-length`.
    pub(crate) async fn request(&mut self) -> Received {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.expect("a request"));
        }
        let mut received = Received { head: String::from_utf8(head).unwrap(), body: Vec::new() };
        let length = received.header("content-length").map_or(0, |length| length.parse().unwrap());
        received.body.resize(length, 0);
        self.stream.read_exact(&mut received.body).await.unwrap();
        received
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // The client may have had enough before all is written.
        self.stream.write_all(bytes.as_ref()).await.ok();
        self.stream.flush().await.ok();
    }

    pub(crate) async fn serve(&mut self, answer: impl AsRef<[u8]>) -> Received {
        let received = self.request().await;
        self.write(answer).await;
        received
    }

    /// Waits until the client closes, and fails if it sends anything before.
    pub(crate) async fn closed(&mut self) {
        let read = self.stream.read(&mut [0; 64]).await;
        assert!(matches!(read, Ok(0) | Err(_)), "the client sent more: {read:?}");
    }
}
