//! Planted canaries: a real process with `log.level = "trace"` is led through logins, ad requests, and every kind of trouble; then
//! every log line, metric, error body, debug answer and captured request is searched for what it was given, in every form.

mod callers;
mod search;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uid2_gateway::sandbox::operator::Settings as OperatorSettings;

use crate::support::http::{Answer, Http};
use crate::support::poll;
use crate::support::process::Process;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, KEY, OPERATOR_KEY, OPERATOR_SECRET, Plan, STORE_KEY, operator};
use callers::SignIn;
use search::{Canaries, hex};

const EMAIL: &str = "canary.of.acme@example.com";
const PHONE: &str = "+12025550143";
const USER: &str = "canary-user-4711";
const BY_PHONE: &str = "canary-user-4712";
const OTHER_KEY: &str = "BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ADMIN_TOKEN: &str = "canary-admin-token-0815";

/// A process, what it was given, and what came back.
struct Story {
    http: Http,
    process: Process,
    canaries: Canaries,
    /// Where it came from, and what it was.
    seen: Vec<(String, Vec<u8>)>,
}

impl Story {
    fn keep(&mut self, from: &str, answer: &Answer) {
        let mut all = format!("{} {:?}\n", answer.status, answer.headers).into_bytes();
        all.extend_from_slice(&answer.body);
        self.seen.push((from.to_owned(), all));
    }

    /// A call whose answer must show nothing.
    async fn call(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let from =
            format!("{method} {} with {} bytes", path.split('/').nth(1).unwrap_or_default(), body.len());
        let at = (self.process.data, path);
        let answer = self.http.send(method, at, headers, body.to_owned()).await;
        self.keep(&from, &answer);
        answer
    }

    async fn login(&mut self, body: &Value) -> Answer {
        self.call(Method::POST, "/v1/identity", &[AUTH], &body.to_string()).await
    }

    async fn auction(&mut self, body: &str) -> Answer {
        let cookie = format!("__uid_2={}", percent_json(&json!({"advertising_token": EMAIL})));
        let headers = [
            AUTH,
            ("x-publisher-user-id", USER),
            ("x-uid2-email-hash", &STANDARD.encode(Sha256::digest(EMAIL))),
            ("x-uid2gw-debug", "1"),
            ("cookie", &cookie),
        ];
        self.call(Method::POST, "/openrtb2/auction", &headers, body).await
    }

    /// Logs the user in and plants what the operator gave.
    async fn log_in(&mut self) {
        self.log_in_as(&json!({"user_id": USER, "email": EMAIL, "return_identity": true})).await;
    }

    async fn log_in_as(&mut self, body: &Value) {
        let answer = self.http.post(self.process.data, "/v1/identity", &[AUTH], body.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let identity = &answer.json()["identity"];
        for name in ["advertising_token", "refresh_token", "refresh_response_key"] {
            self.canaries.plant_base64(name, identity[name].as_str().unwrap());
        }
    }

    /// Everything that must be refused, with the canaries in every place of it.
    async fn refusals(&mut self) {
        let hash = STANDARD.encode(Sha256::digest(EMAIL));
        for body in [
            json!({"user_id": EMAIL, "email": EMAIL}),
            json!({"user_id": USER, "email": EMAIL, "phone": PHONE}),
            json!({"user_id": USER, "email": format!("{EMAIL} {EMAIL}")}),
            json!({"user_id": USER, "phone": format!("{PHONE}x")}),
            json!({"user_id": USER, "email_hash": format!("{hash}{hash}")}),
            json!({"user_id": USER, EMAIL: "x"}),
            json!({"user_id": USER, "email": EMAIL, "privacy": {"gdpr": EMAIL}}),
            json!({"user_id": [USER, EMAIL]}),
        ] {
            let answer = self.login(&body).await;
            assert!(answer.status.is_client_error(), "{body}: {answer:?}");
        }
        for body in [format!(r#"{{"user_id":"{USER}","email":"{EMAIL}""#), format!("{EMAIL}{PHONE}")] {
            assert_eq!(self.call(Method::POST, "/v1/identity", &[AUTH], &body).await.status, 400);
        }
        for path in [
            format!("/v1/identity/{EMAIL}"),
            format!("/v1/identity/{USER}x/token?min_ttl={EMAIL}"),
            format!("/{EMAIL}"),
        ] {
            let answer = self.call(Method::GET, &path, &[AUTH], "").await;
            assert!(answer.status.is_client_error(), "{answer:?}");
        }
        let wrong = [("authorization", "Bearer canary-user-4711-is-no-key")];
        assert_eq!(self.call(Method::GET, "/v1/identity/x", &wrong, "").await.status, 401);
        for body in [
            format!(
                r#"{{"id":"r","imp":[{{"id":"1"}}],"user":{{"id":"{EMAIL}","ext":{{"uid2":{{"email":"{EMAIL}"}}"#
            ),
            format!(r#"{{"id":"r","imp":"{EMAIL}"}}"#),
            format!(r#"{{"id":"{EMAIL}","id":"{PHONE}","imp":[{{"id":"1"}}]}}"#),
            format!(r#"{{"id":"r","imp":[{{"id":"1"}}],"tmax":"{EMAIL}"}}"#),
            format!(r#"{{"id":"r","imp":[{{"id":"1"}}],"{EMAIL}":1,"{EMAIL}":2,"id":3}}"#),
        ] {
            assert_eq!(self.auction(&body).await.status, 400, "{body}");
        }
    }

    /// Ad requests that carry DII, in places that are cleaned and in such that are read; nothing answers with it.
    async fn auctions(&mut self) {
        for user in [
            json!({"id": USER, "ext": {"uid2": {"email": EMAIL}}}),
            json!({"id": EMAIL, "keywords": format!("a,{EMAIL},{PHONE}")}),
            json!({"ext": {"eids": [{"source": "x", "uids": [{"id": EMAIL}]}]}, "hem": hex(&Sha256::digest(EMAIL))}),
            json!({"data": [{"segment": [{"value": PHONE}]}]}),
        ] {
            let body =
                json!({"id": "r", "imp": [{"id": "1"}], "user": user, "device": {"geo": {"country": "USA"}}});
            let answer = self.auction(&body.to_string()).await;
            assert!(answer.status.is_success(), "{answer:?}");
        }
    }

    /// The operator in every kind of trouble, for a login and a refresh each.
    async fn operator_faults(&mut self, operator: SocketAddr) {
        // The last makes the gateway leave the operator alone for a while.
        for fault in [
            "too_many_requests",
            "internal_error",
            "garbage",
            "reset",
            "wrong_nonce",
            "wrong_key",
            "truncated",
            "unauthorized",
        ] {
            let faults = json!({"faults": [{"fault": fault}]}).to_string();
            assert!(
                self.http.post(operator, "/sandbox/faults", &[], faults).await.status.is_success(),
                "{fault}"
            );
            let answer = self.login(&json!({"user_id": USER, "email": EMAIL})).await;
            assert!(!answer.status.is_success(), "{fault}: {answer:?}");
            self.auctions().await;
        }
        self.http.send(Method::DELETE, (operator, "/sandbox/faults"), &[], "").await;
    }

    async fn metrics_and_capture(&mut self) {
        let token = format!("Bearer {ADMIN_TOKEN}");
        let admin = [("authorization", token.as_str())];
        let metrics = self.http.get(self.process.admin, "/metrics", &admin).await;
        assert!(metrics.text().contains("uid2gw_requests_total"), "{metrics:?}");
        self.keep("/metrics", &metrics);
        let (http, at) = (self.http.clone(), self.process.admin);
        let bearer = token.clone();
        let capture = tokio::spawn(async move {
            http.get(at, "/debug/capture?seconds=30&max=4", &[("authorization", &bearer)]).await
        });
        // Requests until the capture has had enough of them.
        poll::until("the capture to end", async || {
            self.auctions().await;
            capture.is_finished().then_some(())
        })
        .await;
        let capture = capture.await.unwrap();
        assert!(capture.body.len() > 100, "{capture:?}");
        self.keep("/debug/capture", &capture);
    }

    /// Everything that a process meets in its life.
    async fn live(&mut self, operator: SocketAddr, sign_in: &SignIn) {
        self.log_in().await;
        self.log_in_as(&json!({"user_id": BY_PHONE, "phone": PHONE, "return_identity": true})).await;
        self.refusals().await;
        self.auctions().await;
        self.id_tokens(sign_in).await;
        self.batches().await;
        self.imports().await;
        // Due at once, so that each fault is met by refreshes, too.
        let lifetimes =
            json!({"refresh_from_seconds": 0, "identity_seconds": 600, "refresh_seconds": 1200}).to_string();
        self.http.post(operator, "/sandbox/lifetimes", &[], lifetimes).await;
        self.log_in().await;
        self.operator_faults(operator).await;
        self.metrics_and_capture().await;
        let opt_out = json!({"email": EMAIL}).to_string();
        self.http.post(operator, "/sandbox/optout", &[], opt_out).await;
        poll::until("the operator to be asked again", async || {
            let answer = self.login(&json!({"user_id": "another", "email": EMAIL})).await;
            (answer.json()["status"] == "optout").then_some(())
        })
        .await;
        self.auctions().await;
    }

    /// Ends the process; nothing that was seen, and no line of its log, holds a canary.
    fn judge(self, log: &Path, expected: &str) {
        self.process.kill();
        let log = std::fs::read(log).unwrap();
        let text = String::from_utf8_lossy(&log);
        assert!(text.contains(expected), "no {expected:?}, so nothing was searched: {text}");
        for (from, seen) in
            self.seen.iter().map(|(from, seen)| (from.as_str(), seen)).chain([("the log", &log)])
        {
            if let Some(found) = self.canaries.find(seen) {
                panic!("{found} in {from}:\n{}", String::from_utf8_lossy(seen));
            }
        }
    }
}

fn percent_json(value: &Value) -> String {
    value.to_string().bytes().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02X}").unwrap();
        text
    })
}

fn canaries() -> Canaries {
    let mut canaries = Canaries::default();
    canaries.plant_dii("e-mail address", EMAIL);
    canaries.plant_dii("phone number", PHONE);
    canaries.plant("user id", USER);
    canaries.plant("user id of the phone's owner", BY_PHONE);
    canaries.plant("API key", KEY);
    canaries.plant("operator key", OPERATOR_KEY);
    canaries.plant_base64("operator secret", OPERATOR_SECRET);
    canaries.plant_base64("store key", STORE_KEY);
    canaries.plant_base64("other store key", OTHER_KEY);
    canaries.plant("admin token", ADMIN_TOKEN);
    canaries.plant("provider key", callers::PROVIDER_KEY);
    canaries.plant("subject", callers::SUBJECT);
    canaries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_canary_is_seen_anywhere_at_trace_level() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let (_, operator_address) = operator(OperatorSettings::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identities");
    let sign_in = SignIn::start().await;
    let config = folder.path().join("gateway.toml");
    let write = |store_keys: &str| {
        let plan = Plan {
            store: format!("kind = \"disk\"\npath = \"{}\"", path.display()),
            ssps: vec![("alpha".into(), ssp.address, String::new())],
            admin: format!("listen = \"127.0.0.1:0\"\ntoken = {ADMIN_TOKEN:?}"),
            extra: format!("[log]\nlevel = \"trace\"\n[debug]\nallow = true\n{}", sign_in.issuer.toml()),
            identity: "refresh_jitter_s = 0".into(),
            operator_lines: "timeout_ms = 400".into(),
            ..Plan::default()
        };
        let text = plan.toml(&format!("http://{operator_address}"));
        let own = format!("encryption_key = {STORE_KEY:?}");
        std::fs::write(&config, text.replace(&own, store_keys)).unwrap();
    };
    let start = |name: &str| {
        let log = folder.path().join(name);
        let process = Process::start_logging(&config, &log);
        (Story { http: Http::default(), process, canaries: canaries(), seen: Vec::new() }, log)
    };

    write(&format!("encryption_key = {STORE_KEY:?}"));
    let (mut story, log) = start("first.log");
    story.live(operator_address, &sign_in).await;
    story.judge(&log, "refresh failed");
    callers::commands(folder.path(), &config);

    // The store key is rotated; a process that lacks the old one cannot read its records.
    write(&format!("encryption_key = {OTHER_KEY:?}\nprevious_keys = [{STORE_KEY:?}]"));
    let (story, log) = start("second.log");
    story.judge(&log, "index key sealed under the new encryption key");
    write(&format!("encryption_key = {OTHER_KEY:?}"));
    let (mut story, log) = start("third.log");
    let at = format!("/v1/identity/{BY_PHONE}");
    let answer = story.call(Method::GET, &at, &[AUTH], "").await;
    assert!(answer.status.is_server_error(), "{answer:?}");
    story.auctions().await;
    let headers = [AUTH, ("x-publisher-user-id", BY_PHONE), ("x-uid2gw-debug", "1")];
    story
        .call(
            Method::POST,
            "/openrtb2/auction",
            &headers,
            r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}}}"#,
        )
        .await;
    story.judge(&log, "an identity record could not be read");

    write(&format!("encryption_key = {OTHER_KEY:?}\nprevious_keys = [{STORE_KEY:?}]"));
    callers::run(&config, &["store", "purge", "--publisher", "acme"]);
}
