//! Client certificates as publishers' credentials, over real handshakes.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack, another_publisher, digest};

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}}}"#;

/// Somebody who signs certificates.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn sign(&self, name: &str, until_year: i32) -> Own {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
        let cert = params.signed_by(&key, &self.0).unwrap();
        Own(cert.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

struct Own(CertificateDer<'static>, PrivateKeyDer<'static>);

struct Guarded {
    stack: Stack,
    ssp: ScriptedSsp,
    server: CertificateDer<'static>,
    _files: tempfile::TempDir,
}

impl Guarded {
    async fn start(clients: &Authority, required: bool, client_certs: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let server = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
        let write = |name: &str, text: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let cert = write("cert.pem", &server.cert.pem());
        let key = write("key.pem", &server.signing_key.serialize_pem());
        let ca = write("ca.pem", &clients.1);
        let ssp = ScriptedSsp::start(Script::default()).await;
        let plan = Plan {
            server: tls(&cert, &key, &ca, required),
            publisher: format!("client_certs = [{client_certs}]"),
            ssps: vec![("alpha".into(), ssp.address, String::new())],
            extra: another_publisher(
                "other",
                &format!("default = true\napi_keys = [\"{}\"]", digest("other-key")),
            ),
            ..Plan::default()
        };
        Self { stack: Stack::start(&plan).await, ssp, server: server.cert.der().clone(), _files: files }
    }

    /// The status of one call on a connection of its own, or that there was none.
    async fn call(&self, own: Option<&Own>, path: &str, headers: &[(&str, &str)], body: &str) -> Option<u16> {
        let mut roots = RootCertStore::empty();
        roots.add(self.server.clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match own {
            Some(Own(cert, key)) => {
                config.with_client_auth_cert(vec![cert.clone()], key.clone_key()).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        let stream = TcpStream::connect(self.stack.data).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(Method::POST).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        // With TLS 1.3 a client learns only now that its certificate was refused.
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        response.into_body().collect().await.ok()?;
        Some(status)
    }

    async fn auction(&self, own: Option<&Own>, headers: &[(&str, &str)]) -> Option<u16> {
        self.call(own, "/openrtb2/auction", headers, BODY).await
    }

    async fn requests(&self, publisher: &str) -> String {
        let series = format!("uid2gw_requests_total{{outcome=\"nobid\",publisher=\"{publisher}\"}}");
        self.stack.metric(&series).await.to_string()
    }
}

fn tls(cert: &Path, key: &Path, ca: &Path, required: bool) -> String {
    let [cert, key, ca] = [cert, key, ca].map(Path::display);
    format!(
        "tls = {{ cert = \"{cert}\", key = \"{key}\", client_ca = \"{ca}\", require_client_cert = {required} }}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_as_good_as_a_key_and_an_unknown_one_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (named, listed) = (ours.sign("Ads.Acme.example", 4000), ours.sign("whatever.example", 4000));
    let of_listed = {
        use sha2::{Digest, Sha256};
        Sha256::digest(&listed.0).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"))
    };
    let certs = format!("\"dns:ads.acme.example\", \"sha256:{of_listed}\"");
    let gateway = Guarded::start(&ours, false, &certs).await;

    let login = r#"{"user_id":"u","email":"u@example.com"}"#;
    assert_eq!(gateway.call(Some(&named), "/v1/identity", &[], login).await, Some(200));
    for own in [&named, &listed] {
        assert_eq!(gateway.auction(Some(own), &[("x-publisher-user-id", "u")]).await, Some(204));
        let sent = String::from_utf8_lossy(&gateway.ssp.last().body).into_owned();
        assert!(sent.contains("uidapi.com"), "its word of who the user is counts: {sent}");
    }
    assert_eq!(gateway.requests("acme").await, "2");

    let stranger = ours.sign("stranger.example", 4000);
    assert_eq!(gateway.auction(Some(&stranger), &[]).await, Some(401), "no fall-through to the default");
    assert_eq!(gateway.call(Some(&stranger), "/v1/identity", &[], login).await, Some(401));
    assert_eq!(gateway.auction(Some(&stranger), &[AUTH]).await, Some(204), "a key decides alone");
    assert_eq!(gateway.auction(Some(&named), &[("authorization", "Bearer other-key")]).await, Some(204));
    assert_eq!(gateway.auction(Some(&named), &[("authorization", "Bearer wrong")]).await, Some(401));
    assert_eq!(gateway.auction(None, &[]).await, Some(204), "none is needed: the default publisher");
    assert_eq!((gateway.requests("acme").await, gateway.requests("other").await), ("3".into(), "2".into()));

    for refused in [theirs.sign("ads.acme.example", 4000), ours.sign("ads.acme.example", 2001)] {
        assert_eq!(gateway.auction(Some(&refused), &[]).await, None, "of another authority, or expired");
    }
    gateway.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_is_required_nobody_comes_without() {
    let ours = Authority::new();
    let gateway = Guarded::start(&ours, true, "\"dns:ads.acme.example\"").await;
    assert_eq!(gateway.auction(None, &[AUTH]).await, None);
    let own = ours.sign("ads.acme.example", 4000);
    assert_eq!(gateway.auction(Some(&own), &[]).await, Some(204));
    gateway.stack.stop().await;
}
