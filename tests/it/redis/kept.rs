//! One server behind sentinels, and one behind TLS and a password.

use std::time::Duration;

use http::Method;

use crate::support::fleet::Fleet;
use crate::support::poll;
use crate::support::redis::{Server, Watched, free_port, is_there};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_name_another_primary_and_the_gateways_follow() {
    if !is_there() {
        return;
    }
    let mut watched = Watched::start();
    let fleet = Fleet::new(&watched.urls(), "").await;
    let (a, b) = (fleet.gateway(), fleet.gateway());
    fleet.logged_in(&a, "jane", "jane@example.com").await;
    fleet.logged_in(&a, "joe", "joe@example.com").await;
    fleet.until_injected(&b, "jane").await;
    fleet.until_injected(&b, "joe").await;
    fleet.logged_in(&a, "gone", "gone@example.com").await;
    for (method, path) in [(Method::PUT, "/v1/identity/joe/optout"), (Method::DELETE, "/v1/identity/gone")] {
        let answer = fleet.call(method, &a, path).await;
        assert_eq!(answer.status, 204, "on the replica, too: {answer:?}");
    }

    watched.primary.kill();
    assert!(fleet.is_injected(&a, "jane").await && fleet.is_injected(&b, "jane").await);
    poll::until("the replica to be promoted", async || {
        watched.replica.ask(&["ROLE"]).starts_with("master").then_some(())
    })
    .await;
    for (gateway, user) in [(&a, "ann"), (&b, "bob")] {
        poll::until("a login", async || {
            (fleet.login(gateway, user, &format!("{user}@example.com")).await.status == 200).then_some(())
        })
        .await;
    }
    fleet.until_injected(&a, "bob").await;
    fleet.until_injected(&b, "ann").await;
    let c = fleet.gateway();
    assert!(!fleet.is_injected(&c, "joe").await, "an opt-out that was answered is there");
    assert!(!fleet.is_injected(&c, "gone").await, "and so is a logout");
    fleet.until_injected(&c, "jane").await;
    drop(watched.sentinels);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_tls_and_a_password() {
    if !is_there() {
        return;
    }
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name).display().to_string();
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    // Another name than the certificate's own, or OpenSSL takes that for self-signed.
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = parameters.self_signed(&authority).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["127.0.0.1".into(), "localhost".into()]).unwrap();
    let certificate = own.signed_by(&key, &rcgen::Issuer::from_params(&parameters, &authority)).unwrap();
    for (name, text) in
        [("ca.pem", ca.pem()), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())]
    {
        std::fs::write(file(name), text).unwrap();
    }
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let tls = ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let server = [&["--port", "0", "--tls-auth-clients", "no", "--requirepass", "p@ss"][..], &tls].concat();
    let cli = ["--tls", "--cacert", &ca, "-a", "p@ss", "--no-auth-warning"];
    let server = Server::start_at(free_port(), "--tls-port", &server, &cli);
    assert_eq!(server.ask(&["PING"]), "PONG");

    let url = |password: &str| [format!("rediss://:{password}@localhost:{}", server.port)];
    let fleet = Fleet::new(&url("p%40ss"), &format!("ca = {ca:?}")).await;
    let (a, b) = (fleet.gateway(), fleet.gateway());
    fleet.logged_in(&a, "jane", "jane@example.com").await;
    fleet.until_injected(&b, "jane").await;

    for (url, lines, why) in [
        (url("wrong"), format!("ca = {ca:?}"), "authentication"),
        (url("p%40ss"), String::new(), "certificate"),
    ] {
        let (status, told) = tokio::time::timeout(Duration::from_secs(20), Fleet::new(&url, &lines))
            .await
            .unwrap()
            .refused()
            .await;
        assert_eq!(status, Some(1), "{told}");
        let told = told.to_lowercase();
        assert!(told.contains(why), "{told}");
        assert!(!told.contains("p%40ss") && !told.contains("p@ss") && !told.contains("wrong@"), "{told}");
    }
}
