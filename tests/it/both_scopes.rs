//! A publisher with UID2 and EUID: each ad request and each login is about one of them, and what an SSP received opens
//! with the keys of that one alone.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use uid2_gateway::sandbox::operator::{Operator, Settings as OperatorSettings, decrypt_as_dsp};
use uid2_gateway::time::Clock;
use uid2_gateway::uid2::{DiiHash, Email, Scope};

use crate::support::http::Answer;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack, operator};

/// The Trade Desk and vendor 76 have what they need.
const CONSENT: &str =
    "CQoifkAQoifkAEsACBENCgFgALAAAEJAAAYgAmAAACAAAAAAAABAEwAAAQAAAAAAAAIAA.IAmAAACAAAABAAAB";
const EUID_KEY: &str = "EUID-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc=";
const SECRET: &str = "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=";

/// The stack with a second operator. `alpha` has consent for an EUID, `beta` (no vendor id) has none.
struct Both {
    stack: Stack,
    euid: Arc<Operator>,
    alpha: ScriptedSsp,
    beta: ScriptedSsp,
}

impl Both {
    async fn start() -> Self {
        let (alpha, beta) =
            (ScriptedSsp::start(Script::default()).await, ScriptedSsp::start(Script::default()).await);
        let (euid, address) = operator(OperatorSettings::mock(Scope::Euid)).await;
        let plan = Plan {
            publisher: publisher(address),
            ssps: vec![
                ("alpha".into(), alpha.address, "gvl_id = 76".into()),
                ("beta".into(), beta.address, String::new()),
            ],
            ..Plan::default()
        };
        Self { stack: Stack::start(&plan).await, euid, alpha, beta }
    }

    async fn login(&self, privacy: Value) -> Answer {
        let login = json!({"user_id": "u1", "email": "user1@example.com", "privacy": privacy});
        self.stack.login(&login.to_string()).await
    }

    async fn logged_in(&self, privacy: Value, scope: &str) {
        let answer = self.login(privacy).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["status"]),
            (200, &json!("success")),
            "{answer:?}"
        );
        assert_eq!(answer.json()["scope"], scope);
    }

    async fn call(&self, method: Method, path: &str) -> Answer {
        self.stack.http.send(method, (self.stack.data, path), &[AUTH], "").await
    }

    /// What alpha and beta received for the user.
    async fn sent(&self, regs: &Value) -> [Received; 2] {
        let body = json!({"id": "r", "imp": [{"id": "1"}], "regs": regs, "user": {"consent": CONSENT},
            "device": {"geo": {"country": "USA"}}});
        self.stack.auction("u1", body.to_string()).await;
        [&self.alpha, &self.beta].map(|ssp| self.opened(ssp))
    }

    /// Source of each entry, and whether its id opens with the keys of that source as the user's.
    fn opened(&self, ssp: &ScriptedSsp) -> Received {
        let body: Value = serde_json::from_slice(&ssp.last().body).unwrap();
        let eids = body["user"]["eids"].as_array().cloned().unwrap_or_default();
        let hash = DiiHash::of_email(&Email::parse("user1@example.com").unwrap());
        let opens = |eid: &Value, operator: &Operator| {
            let id = eid["uids"][0]["id"].as_str().unwrap();
            let opened = decrypt_as_dsp(id, &operator.keys(), Clock::System.now());
            opened.is_ok_and(|token| token.raw_uid.to_base64() == operator.raw_uid_of(&hash))
        };
        let of = |eid: &Value| {
            let scopes = [("uid2", &self.stack.operator), ("euid", &self.euid)];
            let opening: Vec<_> =
                scopes.iter().filter(|(_, operator)| opens(eid, operator)).map(|(name, _)| *name).collect();
            (eid["source"].as_str().unwrap().to_owned(), opening.join("+"))
        };
        eids.iter().map(of).collect()
    }

    async fn reasons(&self, result: &str, reason: &str, scope: &str) -> f64 {
        let series = format!(
            "uid2gw_identity_reason_total{{reason=\"{reason}\",result=\"{result}\",scope=\"{scope}\"}}"
        );
        self.stack.metric(&series).await
    }
}

/// Source, and the scopes whose keys open the id.
type Received = Vec<(String, String)>;

fn publisher(euid: SocketAddr) -> String {
    format!(
        "euid = {{ operator_key = {EUID_KEY:?}, operator_secret = {SECRET:?}, operator_urls = [\"http://{euid}\"] }}"
    )
}

fn uid2() -> Received {
    vec![("uidapi.com".into(), "uid2".into())]
}

fn euid() -> Received {
    vec![("euid.eu".into(), "euid".into())]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_request_picks_the_scope_and_never_gets_both() {
    let both = Both::start().await;
    both.logged_in(json!({"gdpr": 0}), "uid2").await;
    assert_eq!(both.sent(&json!({"gdpr": 1})).await, [vec![], vec![]], "no EUID login yet");
    both.logged_in(json!({"gdpr": 1, "consent": CONSENT}), "euid").await;
    assert_eq!(both.sent(&json!({"gdpr": 0})).await, [uid2(), uid2()]);
    assert_eq!(both.sent(&json!({"gdpr": 1})).await, [euid(), vec![]], "by the consent of each SSP");
    assert_eq!(both.sent(&json!({"gpp_sid": [2]})).await, [euid(), vec![]]);
    assert_eq!(both.sent(&json!({"gdpr": 1, "coppa": 1})).await, [vec![], vec![]]);
    assert!((both.reasons("injected", "fresh", "uid2").await - 1.0).abs() < f64::EPSILON);
    assert!((both.reasons("injected", "fresh", "euid").await - 2.0).abs() < f64::EPSILON);
    assert!((both.reasons("absent", "unknown_user", "euid").await - 1.0).abs() < f64::EPSILON);
    // An entry of the other scope goes; ours takes no notice of it.
    let body = json!({"id": "r", "imp": [{"id": "1"}], "regs": {"gdpr": 1},
        "user": {"consent": CONSENT, "eids": [{"source": "uidapi.com", "uids": [{"id": "x"}]}]}});
    both.stack.auction("u1", body.to_string()).await;
    assert_eq!(both.opened(&both.alpha), euid());
    both.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_token_and_leaving_cover_both() {
    let both = Both::start().await;
    both.logged_in(json!({"gdpr": 0}), "uid2").await;
    both.logged_in(json!({"gdpr": 1, "consent": CONSENT}), "euid").await;
    let status = both.call(Method::GET, "/v1/identity/u1").await.json();
    assert_eq!((&status["scope"], &status["other"]["scope"]), (&json!("euid"), &json!("uid2")), "{status}");
    let token = both.call(Method::GET, "/v1/identity/u1/token").await.json();
    let token = token["advertising_token"].as_str().unwrap().to_owned();
    assert!(decrypt_as_dsp(&token, &both.euid.keys(), Clock::System.now()).is_ok(), "the last login counts");
    assert_eq!(both.call(Method::POST, "/v1/identity/u1/refresh").await.json()["scope"], "euid");

    assert_eq!(both.call(Method::DELETE, "/v1/identity/u1").await.status, 204);
    assert_eq!(both.call(Method::GET, "/v1/identity/u1").await.status, 404);
    for gdpr in [0, 1] {
        assert_eq!(both.sent(&json!({"gdpr": gdpr})).await, [vec![], vec![]]);
    }
    assert!((both.reasons("denied", "logged_out", "uid2").await - 1.0).abs() < f64::EPSILON);
    assert!((both.reasons("denied", "logged_out", "euid").await - 1.0).abs() < f64::EPSILON);

    // Who logs in again is back, though under one scope there is nothing any more.
    both.logged_in(json!({"gdpr": 0}), "uid2").await;
    assert_eq!(both.sent(&json!({"gdpr": 1})).await, [vec![], vec![]]);
    assert!((both.reasons("absent", "unknown_user", "euid").await - 1.0).abs() < f64::EPSILON);
    assert_eq!(both.sent(&json!({"gdpr": 0})).await, [uid2(), uid2()]);

    // What a login says against one of them ends both.
    let denied = both.login(json!({"gdpr": 1})).await.json();
    assert_eq!(denied, json!({"status": "denied", "reason": "tcf_missing"}));
    assert_eq!(both.sent(&json!({"gdpr": 0})).await, [vec![], vec![]]);
    both.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opt_out_of_either_counts_for_both() {
    let both = Both::start().await;
    let hash = DiiHash::of_email(&Email::parse("user1@example.com").unwrap());
    both.logged_in(json!({"gdpr": 0}), "uid2").await;
    both.euid.opt_out(&hash);
    assert_eq!(both.login(json!({"gdpr": 1, "consent": CONSENT})).await.json(), json!({"status": "optout"}));
    assert_eq!(both.sent(&json!({"gdpr": 0})).await, [vec![], vec![]], "UID2, too");
    assert!((both.reasons("denied", "optout", "uid2").await - 1.0).abs() < f64::EPSILON);
    assert_eq!(both.login(json!({"gdpr": 0})).await.json(), json!({"status": "optout"}));
    assert_eq!(both.call(Method::GET, "/v1/identity/u1").await.json()["phase"], "opted_out");
    assert_eq!(both.call(Method::GET, "/v1/identity/u1/token").await.status, 410);
    both.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_publishers_own_opt_out_covers_both() {
    let both = Both::start().await;
    both.logged_in(json!({"gdpr": 0}), "uid2").await;
    both.logged_in(json!({"gdpr": 1, "consent": CONSENT}), "euid").await;
    assert_eq!(both.call(Method::PUT, "/v1/identity/u1/optout").await.status, 204);
    for (gdpr, scope) in [(0, "uid2"), (1, "euid")] {
        assert_eq!(both.sent(&json!({"gdpr": gdpr})).await, [vec![], vec![]]);
        assert!((both.reasons("denied", "optout", scope).await - 1.0).abs() < f64::EPSILON);
        assert_eq!(both.login(json!({"gdpr": gdpr, "consent": CONSENT})).await.status, 409);
    }
    assert_eq!(both.call(Method::DELETE, "/v1/identity/u1/optout").await.status, 204);
    both.logged_in(json!({"gdpr": 1, "consent": CONSENT}), "euid").await;
    assert_eq!(both.sent(&json!({"gdpr": 1})).await, [euid(), vec![]]);
    both.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_made_elsewhere_goes_where_it_belongs() {
    let both = Both::start().await;
    let login = json!({"user_id": "elsewhere", "email": "user1@example.com", "return_identity": true,
        "privacy": {"gdpr": 1, "consent": CONSENT}});
    let identity = both.stack.login(&login.to_string()).await.json()["identity"].to_string();
    let headers = [AUTH, ("content-type", "application/json")];
    let put =
        both.stack.http.send(Method::PUT, (both.stack.data, "/v1/identity/u1"), &headers, identity).await;
    assert_eq!(put.status, 204, "{put:?}");
    assert_eq!(both.sent(&json!({"gdpr": 1})).await, [euid(), vec![]]);
    assert_eq!(both.sent(&json!({"gdpr": 0})).await, [vec![], vec![]]);
    both.stack.stop().await;
}
