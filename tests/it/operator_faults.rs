//! The operator at its worst: auctions go on at full speed, cached tokens are used until they expire, and the
//! metrics say why a token is missing.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::poll;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{Plan, Stack};

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}},"tmax":1000}"#;

/// Far more than the identity budget of 5 ms, far less than any operator timeout.
const PROMPT: Duration = Duration::from_millis(500);

async fn stack(ssp: &ScriptedSsp) -> Stack {
    let plan = Plan {
        ssps: vec![("alpha".into(), ssp.address, String::new())],
        identity: "expiry_margin_s = 1\nrefresh_jitter_s = 0".into(),
        operator_lines: "timeout_ms = 700\nconnect_timeout_ms = 200".into(),
        ..Plan::default()
    };
    Stack::start(&plan).await
}

async fn control(stack: &Stack, path: &str, body: &Value) {
    let answer = stack.http.post(stack.operator_address, path, &[], body.to_string()).await;
    assert!(answer.status.is_success(), "{path} {body}: {answer:?}");
}

async fn auction(stack: &Stack, ssp: &ScriptedSsp, user: &str) -> bool {
    let asked = Instant::now();
    let answer = stack.auction(user, BODY).await;
    assert_eq!(answer.status, 204, "{answer:?}");
    assert!(asked.elapsed() < PROMPT, "the auction waited {:?} for identity", asked.elapsed());
    String::from_utf8_lossy(&ssp.last().body).contains("uidapi.com")
}

/// One fault: what the operator does, what a refresh is counted as, what a login answers.
struct Case {
    fault: &'static str,
    refresh: &'static str,
    login: u16,
}

const CASES: [Case; 6] = [
    Case { fault: "hang", refresh: "timeout", login: 504 },
    Case { fault: "internal_error", refresh: "server", login: 502 },
    Case { fault: "unauthorized", refresh: "unauthorized", login: 502 },
    Case { fault: "too_many_requests", refresh: "throttled", login: 503 },
    Case { fault: "garbage", refresh: "garbage", login: 502 },
    Case { fault: "reset", refresh: "connect", login: 503 },
];

async fn hold_against(case: &Case) {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let stack = stack(&ssp).await;
    // Due from the first moment, valid for a minute.
    control(
        &stack,
        "/sandbox/lifetimes",
        &json!({"refresh_from_seconds": 0, "identity_seconds": 60, "refresh_seconds": 120}),
    )
    .await;
    stack.logged_in("u1", "user1@example.com").await;
    control(&stack, "/sandbox/faults", &json!({"faults": [{"fault": case.fault}]})).await;
    for _ in 0..5 {
        assert!(auction(&stack, &ssp, "u1").await, "{}: the cached token is used", case.fault);
        assert!(!auction(&stack, &ssp, "stranger").await);
    }
    let login = stack.login(r#"{"user_id":"u2","email":"user2@example.com"}"#).await;
    assert_eq!(login.status, case.login, "{}: {login:?}", case.fault);
    let series = format!("uid2gw_operator_requests_total{{op=\"refresh\",result=\"{}\"}}", case.refresh);
    poll::until(&format!("{}: {series}", case.fault), async || {
        (stack.metric(&series).await >= 1.0).then_some(())
    })
    .await;
    assert!(auction(&stack, &ssp, "u1").await, "{}: a failed refresh takes no token away", case.fault);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_tokens_outlive_every_fault() {
    futures_util::future::join_all(CASES.iter().map(hold_against)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_nonce_is_no_login() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let stack = stack(&ssp).await;
    control(&stack, "/sandbox/faults", &json!({"faults": [{"fault": "wrong_nonce"}]})).await;
    let login = stack.login(r#"{"user_id":"u2","email":"user2@example.com"}"#).await;
    assert_eq!(login.status, 502, "{login:?}");
    assert!(!auction(&stack, &ssp, "u2").await);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expired_is_not_used_and_the_reason_is_counted() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let stack = stack(&ssp).await;
    // Usable for two seconds less the margin of one.
    control(
        &stack,
        "/sandbox/lifetimes",
        &json!({"refresh_from_seconds": 1, "identity_seconds": 2, "refresh_seconds": 120}),
    )
    .await;
    stack.logged_in("u1", "user1@example.com").await;
    control(&stack, "/sandbox/faults", &json!({"faults": [{"fault": "internal_error"}]})).await;
    poll::until("the token to expire", async || (!auction(&stack, &ssp, "u1").await).then_some(())).await;
    let reason = "uid2gw_identity_reason_total{reason=\"operator\",result=\"absent\",scope=\"uid2\"}";
    poll::until("the reason", async || {
        auction(&stack, &ssp, "u1").await;
        (stack.metric(reason).await >= 1.0).then_some(())
    })
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_is_not_there() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let plan = Plan {
        ssps: vec![("alpha".into(), ssp.address, String::new())],
        operator: format!("http://{closed}"),
        ..Plan::default()
    };
    let stack = Stack::start(&plan).await;
    let login = stack.login(r#"{"user_id":"u1","email":"user1@example.com"}"#).await;
    assert_eq!(login.status, 503, "{login:?}");
    assert!(login.headers.contains_key("retry-after"));
    assert!(!auction(&stack, &ssp, "u1").await);
    stack.stop().await;
}
