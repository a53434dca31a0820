//! What others than the publisher's server bring: ID tokens, providers with keys, whole batches, identities made elsewhere; and
//! what the commands print.

use std::path::Path;
use std::process::Command;

use http::Method;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::{BY_PHONE, EMAIL, PHONE, STANDARD, Story, USER, canaries};
use crate::support::binary;
use crate::support::issuer::{Issuer, Key, but, claims, forged, now};
use crate::support::stack::AUTH;
use base64::Engine;
use sha2::{Digest, Sha256};

pub(super) const PROVIDER_KEY: &str = "key-of-sign-in";
pub(super) const SUBJECT: &str = "canary-subject-1047";
const PROVIDER: (&str, &str) = ("authorization", "Bearer key-of-sign-in");
const JSON: (&str, &str) = ("content-type", "application/json");

/// Someone who signs users in.
pub(super) struct SignIn {
    key: Key,
    pub(super) issuer: Issuer,
}

impl SignIn {
    pub(super) async fn start() -> Self {
        let key = Key::new("k1", Algorithm::ES256);
        let issuer = Issuer::start(&[&key]).await;
        Self { key, issuer }
    }

    /// A good token, and some that are not believed.
    fn tokens(&self) -> Vec<String> {
        let good = but(claims(EMAIL), "sub", json!(SUBJECT));
        let with = |name: &str, value: Value| self.key.sign(&but(good.clone(), name, value));
        vec![
            self.key.sign(&good),
            with("exp", json!(now() - 1_000)),
            with("aud", json!(EMAIL)),
            with("iss", json!(EMAIL)),
            with("email", json!(format!("{EMAIL} {PHONE}"))),
            with("email_verified", json!(false)),
            forged(&json!({"alg": "none", "kid": EMAIL}), &good, b""),
            forged(&json!({"alg": "ES256", "kid": SUBJECT}), &good, &[1; 64]),
            format!("{EMAIL}.{PHONE}.{SUBJECT}"),
        ]
    }
}

impl Story {
    /// Logins and ad requests with ID tokens, with the publisher's key, the provider's, and none.
    pub(super) async fn id_tokens(&mut self, sign_in: &SignIn) {
        for token in sign_in.tokens() {
            self.canaries.plant("ID token", &token);
            if let Some(claims) = token.split('.').nth(1).filter(|part| part.len() > 40) {
                self.canaries.plant("claims of an ID token", claims);
            }
            for headers in [vec![JSON, AUTH], vec![JSON, PROVIDER], vec![JSON]] {
                self.call(Method::POST, "/v1/identity", &headers, &json!({"id_token": token}).to_string())
                    .await;
            }
            let request = r#"{"id":"r","imp":[{"id":"1"}],"site":{"domain":"www.example.com"},"device":{"geo":{"country":"USA"}}}"#;
            let headers = [JSON, AUTH, ("x-uid2-id-token", token.as_str()), ("x-uid2gw-debug", "1")];
            self.call(Method::POST, "/openrtb2/auction", &headers, request).await;
        }
    }

    /// Batches, with lines of every kind of wrong.
    pub(super) async fn batches(&mut self) {
        let hash = STANDARD.encode(Sha256::digest(EMAIL));
        let lines = [
            json!({"user_id": USER, "email": EMAIL}).to_string(),
            json!({"user_id": EMAIL, "email_hash": hash}).to_string(),
            json!({"user_id": USER, "phone_hash": format!("{hash}x")}).to_string(),
            json!({"user_id": USER, PHONE: 1}).to_string(),
            format!("{{{EMAIL}"),
            format!("{EMAIL}{}", "x".repeat(20_000)),
        ];
        let body = lines.join("\n");
        for key in [AUTH, PROVIDER] {
            let answer = self.call(Method::POST, "/v1/identity/batch", &[key], &body).await;
            assert_eq!(answer.text().lines().count(), lines.len(), "{answer:?}");
        }
    }

    /// An identity made elsewhere, whole and damaged; then every call about its user, by whoever may and may not.
    pub(super) async fn imports(&mut self) {
        let login = json!({"user_id": BY_PHONE, "phone": PHONE, "return_identity": true}).to_string();
        let answer = self.http.post(self.process.data, "/v1/identity", &[AUTH], login).await;
        let identity = answer.json()["identity"].clone();
        for name in ["advertising_token", "refresh_token", "refresh_response_key"] {
            self.canaries.plant_base64(name, identity[name].as_str().unwrap());
        }
        let at = |part: &str| format!("/v1/identity/{USER}{part}");
        for body in [
            identity.to_string(),
            but(identity.clone(), "refresh_expires", json!(PHONE)).to_string(),
            but(identity.clone(), "refresh_response_key", json!(EMAIL)).to_string(),
            but(identity.clone(), "advertising_token", json!(EMAIL)).to_string(),
            identity.to_string().replace('}', ""),
        ] {
            for key in [AUTH, PROVIDER] {
                self.call(Method::PUT, &at(""), &[key, JSON], &body).await;
            }
        }
        for key in [PROVIDER, AUTH] {
            for (method, part) in [
                (Method::GET, ""),
                (Method::POST, "/refresh"),
                (Method::PUT, "/optout"),
                (Method::DELETE, "/optout"),
                (Method::DELETE, ""),
            ] {
                self.call(method, &at(part), &[key], "").await;
            }
        }
        // What is not there, or not to be had this way.
        for path in ["/config", "/reload", "/version", "/readyz"] {
            let answer = self.http.get(self.process.admin, path, &[]).await;
            self.keep(path, &answer);
        }
    }
}

/// A command on this configuration prints nothing that it must not.
pub(super) fn run(config: &Path, args: &[&str]) -> String {
    let output = Command::new(binary()).args(args).arg("--config").arg(config).output().unwrap();
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&all).into_owned();
    if let Some(found) = canaries().find(&all) {
        panic!("{found} in what {args:?} prints:\n{text}");
    }
    text
}

/// What the commands print about a store that was filled, and about a request whose user is named by headers.
pub(super) fn commands(folder: &Path, config: &Path) {
    let run = |args: &[&str]| run(config, args);
    let request = folder.join("request.json");
    std::fs::write(&request, r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}}}"#).unwrap();
    let hash = STANDARD.encode(Sha256::digest(EMAIL));
    let (user, hash) = (format!("X-Publisher-User-Id={USER}"), format!("X-UID2-Email-Hash={hash}"));
    let file = request.to_str().unwrap();
    let explained =
        run(&["explain", "--publisher", "acme", "--header", user.as_str(), "--header", hash.as_str(), file]);
    assert!(explained.contains("alpha"), "{explained}");
    run(&["check"]);
    assert!(run(&["store", "stats"]).contains("acme"));
    run(&["store", "verify"]);
    assert!(run(&["store", "export-optouts"]).contains("operator"), "an opt-out was learned");
}
