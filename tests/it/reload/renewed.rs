//! A renewed certificate counts for the connections made from then on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use uid2_gateway::app::{App, Running};
use uid2_gateway::config;

use crate::support::http::Http;
use crate::support::stack::Plan;

fn made() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap()
}

fn write(folder: &Path, made: &CertifiedKey<KeyPair>) -> [PathBuf; 2] {
    let pairs = [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())];
    pairs.map(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    })
}

/// What the data listener shows whoever believes `trusted`.
async fn shown(
    gateway: &Running,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(gateway.data_address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_shown_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (made(), made());
    let [cert, key] = write(folder.path(), &old);
    let plan = Plan {
        server: format!("tls = {{ cert = {cert:?}, key = {key:?} }}\nreload_poll_s = 0"),
        ssps: vec![("alpha".into(), ([127, 0, 0, 1], 9).into(), String::new())],
        ..Plan::default()
    };
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, plan.toml("http://127.0.0.1:9")).unwrap();
    let again = move || config::load(&file, &BTreeMap::new()).map(|(config, _)| config);
    let gateway = tokio::task::spawn_blocking(move || {
        let config = again().unwrap();
        App::build_from(config, Some(Box::new(again))).unwrap().start().unwrap()
    });
    let gateway = gateway.await.unwrap();
    let reload = async || {
        let origin = format!("http://{}", gateway.admin_address());
        Http::default().post(gateway.admin_address(), "/reload", &[("origin", &origin)], "").await
    };
    assert_eq!(shown(&gateway, old.cert.der()).await.unwrap(), *old.cert.der());

    // A certificate without its key is a fault: what was there is shown on.
    std::fs::write(&cert, new.cert.pem()).unwrap();
    assert_eq!(reload().await.status, 422);
    assert_eq!(shown(&gateway, old.cert.der()).await.unwrap(), *old.cert.der());

    write(folder.path(), &new);
    let answer = reload().await;
    assert_eq!(answer.json()["changed"], serde_json::json!(["server.tls.cert", "server.tls.key"]));
    assert_eq!(shown(&gateway, new.cert.der()).await.unwrap(), *new.cert.der());
    assert!(shown(&gateway, old.cert.der()).await.is_err(), "the old one is not shown any more");
    tokio::task::spawn_blocking(move || gateway.stop().unwrap()).await.unwrap();
}
