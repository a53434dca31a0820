//! The data listener over TLS: both versions of HTTP, keep-alive, big bodies, what is no TLS, slow handshakes, the drain.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::SupportedKxGroup;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use uid2_gateway::net::tls::client_config;

use super::support::binary;
use super::support::http::Answer;
use super::support::poll::until;
use super::support::scripted_ssp::{Script, ScriptedSsp};
use super::support::stack::{AUTH, Plan, Stack};

pub(crate) const BODY: &str = r#"{"id":"1","imp":[{"id":"1"}],"site":{"domain":"www.example.com"},"user":{"id":"u"},"device":{"geo":{"country":"USA"}}}"#;

/// A gateway that speaks TLS with a certificate of an authority of its own.
pub(crate) struct Secure {
    pub(crate) stack: Stack,
    pub(crate) ssp: ScriptedSsp,
    client: ClientConfig,
    authority: rustls::pki_types::CertificateDer<'static>,
    _files: tempfile::TempDir,
}

impl Secure {
    async fn start(server: &str) -> Self {
        Self::towards("", server).await
    }

    /// With these lines for its SSP.
    pub(crate) async fn towards(ssp_lines: &str, server: &str) -> Self {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(params, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let names = [String::from("localhost"), String::from("ads.example.com")];
        let cert = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let files = tempfile::tempdir().unwrap();
        let (cert_file, key_file) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        std::fs::write(&cert_file, cert.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let ssp = ScriptedSsp::start(Script::default()).await;
        let stack = Stack::start(&Plan {
            server: format!(
                "tls = {{ cert = \"{}\", key = \"{}\" }}\n{server}",
                cert_file.display(),
                key_file.display()
            ),
            ssps: vec![("alpha".into(), ssp.address, ssp_lines.into())],
            publisher: String::from("match = { hosts = [\"ads.example.com\"] }"),
            ..Plan::default()
        })
        .await;
        let client = Arc::unwrap_or_clone(client_config(Some(authority.pem().as_bytes())).unwrap());
        Self { stack, ssp, client, authority: authority.der().clone(), _files: files }
    }

    /// A connection on which `alpn` was agreed.
    pub(crate) async fn dial(&self, alpn: &str) -> TlsStream<TcpStream> {
        let mut config = self.client.clone();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.stack.data).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
        stream
    }

    async fn http1(&self) -> http1::SendRequest<Full<Bytes>> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.dial("http/1.1").await)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) async fn http2(&self) -> http2::SendRequest<Full<Bytes>> {
        let io = TokioIo::new(self.dial("h2").await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    pub(crate) async fn connections(&self) -> f64 {
        self.stack.metric("uid2gw_connections").await
    }
}

pub(crate) fn request(version: Version, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let builder = Request::builder().method(Method::POST).version(version).header(AUTH.0, AUTH.1);
    let builder = builder.header("content-type", "application/json");
    let builder = match version {
        Version::HTTP_2 => builder.uri(format!("https://ads.example.com{path}")),
        _ => builder.uri(path).header("host", "ads.example.com"),
    };
    builder.body(Full::new(body.into())).unwrap()
}

async fn read(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

/// A user logs in and gets a token, on connections of either version; each carries many requests.
#[tokio::test]
async fn identity_and_auction_work_over_both_versions() {
    let gateway = Secure::start("").await;
    let login = r#"{"user_id":"u","email":"u@example.com"}"#;
    let (mut one, mut two) = (gateway.http1().await, gateway.http2().await);
    let answer =
        read(one.send_request(request(Version::HTTP_11, "/v1/identity", login)).await.unwrap()).await;
    assert_eq!((answer.status, &answer.json()["status"]), (StatusCode::OK, &"success".into()));
    for _ in 0..3 {
        let ad = |version| request(version, "/openrtb2/auction", BODY);
        one.ready().await.unwrap();
        let answer = read(one.send_request(ad(Version::HTTP_11)).await.unwrap()).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let answer = read(two.send_request(ad(Version::HTTP_2)).await.unwrap()).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }
    let received = gateway.ssp.received();
    assert_eq!(received.len(), 6);
    for received in received {
        assert!(String::from_utf8_lossy(&received.body).contains("uidapi.com"), "{received:?}");
    }
    assert!((gateway.connections().await - 2.0).abs() < 0.5);
    gateway.stack.stop().await;
}

/// What scripts wait for says which protocol to speak, and `check` finds nothing wrong.
#[tokio::test]
async fn the_process_says_https() {
    let files = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
    let write = |name: &str, text: String| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let cert = write("cert.pem", made.cert.pem());
    let key = write("key.pem", made.signing_key.serialize_pem());
    let plan = Plan {
        server: format!("tls = {{ cert = {cert:?}, key = {key:?} }}"),
        ssps: vec![("alpha".into(), ([127, 0, 0, 1], 9).into(), String::new())],
        ..Plan::default()
    };
    let config = write("gateway.toml", plan.toml("http://127.0.0.1:9"));
    let check = Command::new(binary()).args(["check", "--config", &config]).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    let mut serve = Command::new(binary())
        .args(["serve", "--config", &config])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let read = BufReader::new(serve.stdout.take().unwrap()).read_line(&mut line);
    serve.kill().unwrap();
    serve.wait().unwrap();
    assert!(read.is_ok() && line.starts_with("listening data=https://127.0.0.1:"), "{line:?}");
    assert!(line.contains(" admin=http://127.0.0.1:"), "{line:?}");
}

/// `:authority` is read as `Host` is: the publisher is found by it.
#[tokio::test]
async fn a_publisher_is_found_by_host_over_both_versions() {
    let gateway = Secure::start("").await;
    let without_key = |version| {
        let mut request = request(version, "/openrtb2/auction", BODY);
        request.headers_mut().remove(AUTH.0);
        request
    };
    let answer = gateway.http1().await.send_request(without_key(Version::HTTP_11)).await.unwrap();
    assert_eq!(answer.status(), 204);
    let answer = gateway.http2().await.send_request(without_key(Version::HTTP_2)).await.unwrap();
    assert_eq!(answer.status(), 204);
    gateway.stack.stop().await;
}

#[tokio::test]
async fn the_preferred_group_is_hybrid_and_older_clients_are_served() {
    let gateway = Secure::start("").await;
    let group = |stream: &TlsStream<TcpStream>| {
        stream.get_ref().1.negotiated_key_exchange_group().map(SupportedKxGroup::name)
    };
    assert_eq!(group(&gateway.dial("h2").await), Some(NamedGroup::X25519MLKEM768));
    for name in [NamedGroup::X25519, NamedGroup::secp256r1, NamedGroup::secp384r1] {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups.retain(|group| group.name() == name);
        let roots = gateway.client_with(provider, &[&rustls::version::TLS12, &rustls::version::TLS13]);
        assert_eq!(group(&roots.dial_as_is(gateway.stack.data).await), Some(name));
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let old = gateway.client_with(provider, &[&rustls::version::TLS12]);
    let stream = old.dial_as_is(gateway.stack.data).await;
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
    gateway.stack.stop().await;
}

/// A body of many TLS records and many frames, and one that is a byte too long.
#[tokio::test]
async fn big_bodies_pass_up_to_the_limit() {
    let gateway = Secure::start("max_body_bytes = 262144").await;
    let padded = |length: usize| {
        let body = BODY.replacen('{', "{\"x\":\"\",", 1);
        body.replacen("\"\"", &format!("\"{}\"", "y".repeat(length - body.len())), 1)
    };
    let (mut one, mut two) = (gateway.http1().await, gateway.http2().await);
    for (length, status) in [(262_144, 204), (262_145, 413)] {
        let ad = |version| request(version, "/openrtb2/auction", padded(length));
        assert_eq!(padded(length).len(), length);
        let answer = two.send_request(ad(Version::HTTP_2)).await.unwrap();
        assert_eq!(answer.status(), status);
        one.ready().await.unwrap();
        // What is too long is not read, so that its sender may see the connection end before it sees why.
        let answer = one.send_request(ad(Version::HTTP_11)).await;
        assert!(answer.map_or(status == 413, |answer| answer.status() == status));
    }
    assert_eq!(gateway.ssp.received().len(), 2);
    gateway.stack.stop().await;
}

/// As many requests as a connection may carry, and more that wait for their turn, answered on one connection.
#[tokio::test]
async fn one_connection_carries_many_requests_at_once() {
    let gateway = Secure::start("").await;
    let sender = gateway.http2().await;
    let asked = (0..300).map(|_| {
        let mut sender = sender.clone();
        async move {
            sender.send_request(request(Version::HTTP_2, "/openrtb2/auction", BODY)).await.unwrap().status()
        }
    });
    let answers = futures_util::future::join_all(asked).await;
    assert!(answers.iter().all(|status| *status == 204), "{answers:?}");
    assert!((gateway.connections().await - 1.0).abs() < 0.5);
    gateway.stack.stop().await;
}

/// Heads are bounded over HTTP/2 as they are over HTTP/1.1.
#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let gateway = Secure::start("").await;
    let mut sender = gateway.http2().await;
    let mut large = request(Version::HTTP_2, "/openrtb2/auction", BODY);
    large.headers_mut().insert("x-large", "x".repeat(40 * 1024).parse().unwrap());
    let refused = sender.send_request(large).await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 431));
    assert!(gateway.ssp.received().is_empty());
    gateway.stack.stop().await;
}

#[tokio::test]
async fn what_is_no_tls_is_closed_and_hurts_nobody() {
    let gateway = Secure::start("").await;
    let mut plain = TcpStream::connect(gateway.stack.data).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    // Reset or closed: a TLS alert at most, and no answer.
    drop(plain.read_to_end(&mut said).await);
    assert!(!said.windows(4).any(|part| part == b"HTTP"), "{said:?}");
    let answer =
        gateway.http1().await.send_request(request(Version::HTTP_11, "/openrtb2/auction", BODY)).await;
    assert_eq!(answer.unwrap().status(), 204);
    gateway.stack.stop().await;
}

#[tokio::test]
async fn tls_to_a_plain_listener_fails_at_once() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let plan = Plan { ssps: vec![("alpha".into(), ssp.address, String::new())], ..Plan::default() };
    let stack = Stack::start(&plan).await;
    let stream = TcpStream::connect(stack.data).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(client_config(None).unwrap());
    assert!(connector.connect(name, stream).await.is_err());
    stack.stop().await;
}

/// A handshake counts as a connection while it lasts, and lasts no longer than a head may.
#[tokio::test]
async fn a_handshake_that_does_not_end_is_ended() {
    let gateway = Secure::start("header_timeout_ms = 200").await;
    let mut silent = TcpStream::connect(gateway.stack.data).await.unwrap();
    let mut halting = TcpStream::connect(gateway.stack.data).await.unwrap();
    halting.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
    until("both to count", async || (gateway.connections().await > 1.5).then_some(())).await;
    for stream in [&mut silent, &mut halting] {
        let mut said = Vec::new();
        assert_eq!(stream.read_to_end(&mut said).await.unwrap_or(0), 0);
    }
    until("both to be gone", async || (gateway.connections().await < 0.5).then_some(())).await;
    gateway.stack.stop().await;
}

/// An idle HTTP/2 connection is told to go, an HTTP/1.1 one is closed.
#[tokio::test]
async fn idle_connections_end() {
    let gateway = Secure::start("keep_alive_s = 1").await;
    let (one, two) = (gateway.http1().await, gateway.http2().await);
    until("both to count", async || (gateway.connections().await > 1.5).then_some(())).await;
    until("both to be gone", async || (gateway.connections().await < 0.5).then_some(())).await;
    assert!(one.is_closed() && two.is_closed());
    gateway.stack.stop().await;
}

/// What is in flight when the door closes is answered; idle connections and unfinished handshakes do not hold it up.
#[tokio::test]
async fn a_drain_finishes_what_is_in_flight() {
    let gateway = Secure::start("").await;
    let delay = Duration::from_millis(150);
    gateway.ssp.set(Script { delay, ..Script::default() });
    let (mut one, mut two) = (gateway.http1().await, gateway.http2().await);
    let _idle = (gateway.http1().await, gateway.http2().await);
    let _silent = TcpStream::connect(gateway.stack.data).await.unwrap();
    let ad = |version| request(version, "/openrtb2/auction", BODY);
    let asked = tokio::spawn(async move {
        tokio::join!(one.send_request(ad(Version::HTTP_11)), two.send_request(ad(Version::HTTP_2)))
    });
    until("both to be asked", async || (gateway.ssp.received().len() == 2).then_some(())).await;
    let begun = std::time::Instant::now();
    gateway.stack.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let (first, second) = asked.await.unwrap();
    assert_eq!(
        (first.unwrap().status(), second.unwrap().status()),
        (StatusCode::NO_CONTENT, StatusCode::NO_CONTENT)
    );
}

impl Secure {
    /// A client of a certain make, that trusts the same authority.
    fn client_with(
        &self,
        provider: rustls::crypto::CryptoProvider,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Other {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions);
        Other(Arc::new(config.unwrap().with_root_certificates(roots).with_no_client_auth()))
    }
}

/// A client of another make.
struct Other(Arc<ClientConfig>);

impl Other {
    async fn dial_as_is(&self, at: SocketAddr) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(at).await.unwrap();
        tokio_rustls::TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await.unwrap()
    }
}
