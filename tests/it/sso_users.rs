//! Users who are named by an ID token, an e-mail address or a phone number: in ad requests and in the identity API, by the
//! publisher, by an identity provider that acts for it, and by a page without a key.

use http::Method;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::issuer::{Issuer, Key, but, claims};
use crate::support::poll;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack, digest};

const JSON: (&str, &str) = ("content-type", "application/json");
const AUCTION: &str = "/openrtb2/auction";
const AD_REQUEST: &str =
    r#"{"id":"r","imp":[{"id":"1"}],"site":{"domain":"www.example.com"},"device":{"geo":{"country":"USA"}}}"#;
const GENERATED: &str = "uid2gw_operator_requests_total{op=\"generate\",result=\"success\"}";
const AGENCY: (&str, &str) = ("authorization", "Bearer key-of-agency");

struct Bench {
    stack: Stack,
    ssp: ScriptedSsp,
    issuer: Issuer,
    key: Key,
}

async fn bench() -> Bench {
    bench_with("wait_ms = 1000").await
}

async fn bench_with(identity: &str) -> Bench {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let key = Key::new("k1", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let other = format!(
        "[[publisher]]\nid = \"other\"\napi_keys = [\"{}\"]\noperator_key = \"UID2-C-L-999-fCXrMM.fsR3mDqAXELtWWMS+xG1s7RdgRTMqdOH2qaAo=\"\n\
         operator_secret = \"DzBzbjTJcYL0swDtFs2krRNu+g1Eokm2tBU4dEuD0Wk=\"\nssps = [\"alpha\"]\n\
         [[identity_provider]]\nid = \"agency\"\npublishers = [\"acme\"]\napi_keys = [\"{}\"]\n",
        digest("key-of-other"),
        digest("key-of-agency"),
    );
    let plan = Plan {
        ssps: vec![("alpha".into(), ssp.address, String::new())],
        extra: format!("{}{other}", issuer.toml()),
        identity: identity.to_owned(),
        publisher: "match = { domains = [\"www.example.com\"], hosts = [\"127.0.0.1\"] }".into(),
        ..Plan::default()
    };
    Bench { stack: Stack::start(&plan).await, ssp, issuer, key }
}

impl Bench {
    fn token(&self, email: &str) -> String {
        self.key.sign(&claims(email))
    }

    /// The token that the SSP got for an ad request with these headers, if any.
    async fn sent(&self, headers: &[(&str, &str)], body: &str) -> Option<String> {
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([JSON]).collect();
        self.stack.http.post(self.stack.data, AUCTION, &headers, body.to_owned()).await;
        let received = self.ssp.last();
        for (name, _) in &received.headers {
            assert!(!name.as_str().starts_with("x-uid2"), "{name}");
        }
        let body: Value = serde_json::from_slice(&received.body).unwrap();
        assert!(body["user"]["ext"].get("uid2").is_none(), "{body}");
        let eids = body["user"]["eids"].as_array().or_else(|| body["user"]["ext"]["eids"].as_array());
        Some(eids?.first()?["uids"][0]["id"].as_str()?.to_owned())
    }

    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([JSON]).collect();
        self.stack.http.send(method, (self.stack.data, path), &headers, body.to_string()).await
    }

    async fn login(&self, headers: &[(&str, &str)], body: Value) -> Answer {
        self.call(Method::POST, "/v1/identity", headers, &body).await
    }

    async fn generated(&self) -> usize {
        let count = self.stack.metric(GENERATED).await;
        (0..100).find(|n| (f64::from(*n) - count).abs() < 0.5).and_then(|n| usize::try_from(n).ok()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_token_in_an_ad_request_yields_its_users_token_without_a_key() {
    let bench = bench().await;
    let token = bench.token("user1@example.com");
    let first = bench.sent(&[("x-uid2-id-token", &token)], AD_REQUEST).await.expect("generated in time");
    assert_eq!(bench.sent(&[("x-uid2-id-token", &token)], AD_REQUEST).await.as_ref(), Some(&first));
    let later = bench.key.sign(&but(claims("user1@example.com"), "jti", json!("another session")));
    assert_eq!(bench.sent(&[("x-uid2-id-token", &later)], AD_REQUEST).await, Some(first), "the same user");
    assert_eq!((bench.generated().await, bench.issuer.asked()), (1, 1));
    let verified =
        bench.stack.metric("uid2gw_id_tokens_total{provider=\"sign-in\",result=\"verified\"}").await;
    assert!((verified - 2.0).abs() < f64::EPSILON, "each token once, not {verified}");
    let reason = "uid2gw_identity_reason_total{reason=\"generated\",result=\"injected\",scope=\"uid2\"}";
    assert!((bench.stack.metric(reason).await - 1.0).abs() < f64::EPSILON);
    assert!(
        (bench.stack.metric("uid2gw_identity_source_total{source=\"id_token\"}").await - 3.0).abs() < 0.5
    );
    for bad in ["secret", &bench.key.sign(&but(claims("a@example.com"), "aud", json!("else")))] {
        assert_eq!(bench.sent(&[("x-uid2-id-token", bad)], AD_REQUEST).await, None);
    }
    let invalid = "uid2gw_identity_reason_total{reason=\"dii_invalid\",result=\"absent\",scope=\"uid2\"}";
    assert!((bench.stack.metric(invalid).await - 2.0).abs() < f64::EPSILON);
    bench.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_counts_for_callers_with_a_key() {
    let bench = bench().await;
    let with = |uid2: Value| {
        let mut request: Value = serde_json::from_str(AD_REQUEST).unwrap();
        request["user"] = json!({"ext": {"uid2": uid2}});
        request.to_string()
    };
    let email = with(json!({"email": "User1@Example.com"}));
    assert_eq!(bench.sent(&[], &email).await, None, "a stranger's word");
    assert_eq!(bench.generated().await, 0);
    let first = bench.sent(&[AUTH], &email).await.expect("generated in time");
    // SHA-256 of user1@example.com, in the three forms.
    let hash = "s2qDcB8cMZHhlyLW+QJ0vBtVAf5p6/MzE+RA/ksP4hA=";
    let unpadded_hex: String = base64_to_hex(hash);
    for (headers, body) in [
        (vec![AUTH, ("x-uid2-email-hash", hash)], AD_REQUEST.to_owned()),
        (vec![AUTH, ("x-uid2-email-hash", unpadded_hex.as_str())], AD_REQUEST.to_owned()),
        (vec![AUTH], with(json!({"email_hash": hash}))),
    ] {
        assert_eq!(bench.sent(&headers, &body).await.as_ref(), Some(&first), "{headers:?}");
    }
    assert_eq!(bench.generated().await, 1);
    assert!(
        bench
            .sent(&[AUTH], &with(json!({"phone": "+12345678901"})))
            .await
            .is_some_and(|token| token != first)
    );
    assert_eq!(bench.sent(&[AUTH], &with(json!({"email": "nobody"}))).await, None);
    let invalid = "uid2gw_identity_reason_total{reason=\"dii_invalid\",result=\"absent\",scope=\"uid2\"}";
    assert!((bench.stack.metric(invalid).await - 1.0).abs() < f64::EPSILON);
    assert_eq!(bench.sent(&[AUTH], &with(json!({"email": "optout@example.com"}))).await, None);
    assert_eq!(bench.sent(&[AUTH], &with(json!({"email": "optout@example.com"}))).await, None);
    let optout = "uid2gw_operator_requests_total{op=\"generate\",result=\"optout\"}";
    assert!((bench.stack.metric(optout).await - 1.0).abs() < f64::EPSILON, "asked once");
    // A user with a record of their own comes first, by the default order of hints.
    bench.stack.logged_in("u9", "user9@example.com").await;
    let own = bench.sent(&[AUTH, ("x-publisher-user-id", "u9")], AD_REQUEST).await.unwrap();
    assert_eq!(bench.sent(&[AUTH, ("x-publisher-user-id", "u9")], &email).await, Some(own));
    assert_eq!(bench.sent(&[AUTH, ("x-publisher-user-id", "stranger")], &email).await, Some(first));
    bench.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_found_by_its_address_and_a_logout_ends_both() {
    let bench = bench().await;
    bench.stack.logged_in("u1", "user1@example.com").await;
    let own = bench.sent(&[AUTH, ("x-publisher-user-id", "u1")], AD_REQUEST).await.unwrap();
    let hash = ("x-uid2-email-hash", "s2qDcB8cMZHhlyLW+QJ0vBtVAf5p6/MzE+RA/ksP4hA=");
    assert_eq!(bench.sent(&[AUTH, hash], AD_REQUEST).await.as_ref(), Some(&own));
    let token = bench.token("user1@example.com");
    assert_eq!(bench.sent(&[("x-uid2-id-token", &token)], AD_REQUEST).await.as_ref(), Some(&own));
    assert_eq!(bench.generated().await, 1, "one login, one identity");
    // Another user with the same address logs in and out: the alias is theirs, then nobody's.
    bench.stack.logged_in("u2", "user1@example.com").await;
    assert_eq!(bench.call(Method::DELETE, "/v1/identity/u1", &[AUTH], &Value::Null).await.status, 204);
    assert!(bench.sent(&[AUTH, hash], AD_REQUEST).await.is_some_and(|token| token != own), "u2's");
    assert_eq!(bench.call(Method::DELETE, "/v1/identity/u2", &[AUTH], &Value::Null).await.status, 204);
    for headers in [vec![AUTH, hash], vec![("x-uid2-id-token", token.as_str())]] {
        assert_eq!(bench.sent(&headers, AD_REQUEST).await, None, "{headers:?}");
    }
    let reason = "uid2gw_identity_reason_total{reason=\"logged_out\",result=\"denied\",scope=\"uid2\"}";
    assert!((bench.stack.metric(reason).await - 2.0).abs() < f64::EPSILON);
    bench.stack.logged_in("u1", "user1@example.com").await;
    assert!(bench.sent(&[AUTH, hash], AD_REQUEST).await.is_some(), "until the next login");
    bench.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_without_a_key_logs_its_own_user_in_and_nobody_else() {
    let bench = bench().await;
    let token = bench.token("user1@example.com");
    for (body, status, member) in [
        (json!({"user_id": "u1", "id_token": token}), 400, "user_id"),
        (json!({"email": "user1@example.com"}), 401, ""),
        (json!({"user_id": "u1", "email": "user1@example.com"}), 400, "user_id"),
        (json!({"id_token": "secret"}), 422, "id_token"),
        (json!({"id_token": token, "email": "user1@example.com"}), 400, "body"),
    ] {
        let answer = bench.login(&[], body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert_eq!(answer.json()["member"].as_str().unwrap_or_default(), member, "{body}");
        assert!(!answer.text().contains("secret") && !answer.text().contains(&token), "{}", answer.text());
    }
    assert_eq!(bench.generated().await, 0);
    let answer = bench.login(&[], json!({"id_token": token, "return_identity": true})).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("success")), "{answer:?}");
    let theirs = answer.json()["identity"]["advertising_token"].as_str().unwrap().to_owned();
    assert_eq!(bench.sent(&[("x-uid2-id-token", &token)], AD_REQUEST).await, Some(theirs));
    assert_eq!(bench.generated().await, 1);
    let denied = bench.login(&[], json!({"id_token": token, "privacy": {"gpc": 1}})).await;
    assert_eq!(denied.json(), json!({"status": "denied", "reason": "gpc"}));
    assert_eq!(
        bench.sent(&[("x-uid2-id-token", &token)], AD_REQUEST).await,
        None,
        "which also ended the login"
    );
    for (method, path) in [
        (Method::GET, "/v1/identity/u1"),
        (Method::POST, "/v1/identity/batch"),
        (Method::DELETE, "/v1/identity/u1"),
    ] {
        assert_eq!(bench.call(method.clone(), path, &[], &json!({})).await.status, 401, "{method} {path}");
    }
    bench.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_acts_for_publishers_that_authorised_it_and_touches_what_it_made() {
    let bench = bench().await;
    let made = json!({"user_id": "p1", "email": "user1@example.com", "privacy": {"us_privacy": "1YNN"}});
    assert_eq!(bench.login(&[AGENCY], made.clone()).await.json()["status"], "success");
    assert!(bench.sent(&[AUTH, ("x-publisher-user-id", "p1")], AD_REQUEST).await.is_some(), "a user of acme");
    bench.stack.logged_in("own", "user2@example.com").await;
    for (method, path, status) in [
        (Method::GET, "/v1/identity/p1", 200),
        (Method::GET, "/v1/identity/p1/token", 200),
        (Method::POST, "/v1/identity/p1/refresh", 200),
        (Method::GET, "/v1/identity/nobody", 404),
        (Method::GET, "/v1/identity/own", 403),
        (Method::GET, "/v1/identity/own/token", 403),
        (Method::POST, "/v1/identity/own/refresh", 403),
        (Method::DELETE, "/v1/identity/own", 403),
        (Method::PUT, "/v1/identity/own/optout", 403),
        (Method::PUT, "/v1/identity/nobody/optout", 403),
        (Method::PUT, "/v1/identity/own", 403),
        (Method::PUT, "/v1/identity/nobody", 403),
        (Method::PUT, "/v1/identity/p1/optout", 204),
        (Method::DELETE, "/v1/identity/p1/optout", 204),
        (Method::DELETE, "/v1/identity/p1", 204),
    ] {
        let answer = bench.call(method.clone(), path, &[AGENCY], &json!({})).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
    let over = bench.login(&[AGENCY], json!({"user_id": "own", "email": "user3@example.com"})).await;
    assert_eq!((over.status.as_u16(), &over.json()["code"]), (403, &json!("not_authorised")));
    for named in ["other", "nobody"] {
        let answer = bench.login(&[AGENCY, ("x-publisher-id", named)], made.clone()).await;
        assert_eq!(answer.status, 403, "{named}: a publisher that did not authorise it looks like none");
    }
    assert_eq!(bench.login(&[AGENCY, ("x-publisher-id", "acme")], made).await.status, 200);
    assert_eq!(
        bench.stack.http.post(bench.stack.data, AUCTION, &[AGENCY, JSON], AD_REQUEST).await.status,
        401,
        "no ad requests"
    );
    let batch = bench.stack.http.post(
        bench.stack.data,
        "/v1/identity/batch",
        &[AGENCY, ("content-type", "application/x-ndjson")],
        "{\"user_id\":\"own\",\"email\":\"user3@example.com\"}\n{\"user_id\":\"p2\",\"email\":\"user4@example.com\"}",
    );
    let text = batch.await.text();
    let told: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!([&told[0]["status"], &told[1]["status"]], [&json!(403), &json!("success")], "{text}");
    bench.stack.stop().await;
}

/// A publisher logs its own user in with an ID token: that makes the record the publisher's, not the provider's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_may_not_touch_what_a_publisher_made_of_its_token() {
    let bench = bench().await;
    let login = json!({"user_id": "u1", "id_token": bench.token("user1@example.com")});
    assert_eq!(bench.login(&[AUTH], login.clone()).await.json()["status"], "success");
    let sign_in = ("authorization", "Bearer key-of-sign-in");
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(
            bench.call(method.clone(), "/v1/identity/u1", &[sign_in], &Value::Null).await.status,
            403,
            "{method}"
        );
    }
    assert_eq!(bench.login(&[sign_in], login).await.status, 403);
    let own = json!({"user_id": "u2", "id_token": bench.token("user2@example.com")});
    assert_eq!(bench.login(&[sign_in], own).await.json()["status"], "success");
    assert_eq!(
        bench.call(Method::GET, "/v1/identity/u2", &[sign_in], &Value::Null).await.status,
        200,
        "its own"
    );
    bench.stack.stop().await;
}

/// The operator is slow: the request goes on without, and the next one has the token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generate_that_takes_too_long_is_there_for_the_next_request() {
    let bench = bench_with("wait_ms = 20").await;
    let slow = json!({"latency": {"generate": "300ms"}}).to_string();
    let set = bench.stack.http.post(bench.stack.operator_address, "/sandbox/faults", &[JSON], slow).await;
    assert!(set.status.is_success(), "{set:?}");
    let token = bench.token("user1@example.com");
    assert_eq!(bench.sent(&[("x-uid2-id-token", &token)], AD_REQUEST).await, None);
    poll::until("the token", async || bench.sent(&[("x-uid2-id-token", &token)], AD_REQUEST).await).await;
    assert_eq!(bench.generated().await, 1, "one flight, whoever waited");
    bench.stack.stop().await;
}

fn base64_to_hex(text: &str) -> String {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
