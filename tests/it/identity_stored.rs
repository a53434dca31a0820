//! Calls about users the gateway knows already: identities handed over, refreshes asked for, the publisher's own opt-out,
//! and many logins at once.

use http::Method;
use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

const JSON: (&str, &str) = ("content-type", "application/json");
const AD_REQUEST: &str = r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}}}"#;

async fn stack(ssp: &ScriptedSsp, store: &str) -> Stack {
    let ssps = vec![("alpha".into(), ssp.address, String::new())];
    Stack::start(&Plan { ssps, store: store.to_owned(), ..Plan::default() }).await
}

async fn call(stack: &Stack, method: Method, path: &str, body: &str) -> Answer {
    stack.http.send(method, (stack.data, path), &[AUTH, JSON], body.to_owned()).await
}

/// What the SSP received for an ad request of this user.
async fn sent(stack: &Stack, ssp: &ScriptedSsp, user: &str) -> String {
    stack.auction(user, AD_REQUEST).await;
    String::from_utf8(ssp.last().body.to_vec()).unwrap()
}

/// An identity of the sandbox operator, as a publisher's own server would hold it.
async fn identity(stack: &Stack) -> Value {
    let login = json!({"user_id": "elsewhere", "email": "user7@example.com", "return_identity": true});
    stack.login(&login.to_string()).await.json()["identity"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_made_elsewhere_is_sent_and_renewed() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let stack = stack(&ssp, "").await;
    let mut identity = identity(&stack).await;
    identity["unknown"] = json!("ignored");
    let put = call(&stack, Method::PUT, "/v1/identity/u1", &identity.to_string()).await;
    assert_eq!((put.status.as_u16(), put.text().as_str()), (204, ""), "{put:?}");
    let status = call(&stack, Method::GET, "/v1/identity/u1", "").await.json();
    assert_eq!((&status["phase"], &status["origin"]), (&json!("fresh"), &json!("import")));
    let token = identity["advertising_token"].as_str().unwrap();
    assert!(sent(&stack, &ssp, "u1").await.contains(token));
    // Due by its own word: the operator's answer replaces it.
    identity["refresh_from"] = json!(1);
    assert_eq!(call(&stack, Method::PUT, "/v1/identity/u2", &identity.to_string()).await.status, 204);
    assert_eq!(call(&stack, Method::GET, "/v1/identity/u2", "").await.json()["phase"], "due");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_identity_is_refused_with_its_member() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let stack = stack(&ssp, "").await;
    let good = identity(&stack).await;
    let with = |member: &str, value: Value| {
        let mut changed = good.clone();
        changed[member] = value;
        changed.to_string()
    };
    let far = good["identity_expires"].as_i64().unwrap() + 400 * 86_400_000;
    for (body, status, told) in [
        ("secret".to_owned(), 400, "body: is not JSON"),
        ("[]".to_owned(), 422, "not the JSON expected"),
        (with("refresh_token", Value::Null), 422, "refresh_token"),
        (with("refresh_token", json!("two secret words")), 422, "refresh token"),
        (with("advertising_token", json!("secret!")), 422, "advertising token"),
        (with("advertising_token", json!("E".repeat(200))), 422, "scope"),
        (with("refresh_response_key", json!("c2VjcmV0")), 422, "response key"),
        (with("refresh_from", json!(far)), 422, "times"),
        (with("refresh_expires", json!(far)), 422, "later than operators issue"),
        (
            json!({"advertising_token": good["advertising_token"], "refresh_token": good["refresh_token"],
            "refresh_response_key": good["refresh_response_key"], "refresh_from": 1, "identity_expires": 2,
            "refresh_expires": 3})
            .to_string(),
            422,
            "has passed",
        ),
    ] {
        let answer = call(&stack, Method::PUT, "/v1/identity/u1", &body).await;
        assert_eq!(answer.status, status, "{told}: {answer:?}");
        assert!(answer.text().contains(told), "{told}: {}", answer.text());
        assert!(!answer.text().contains("secret") && !answer.text().contains("c2Vj"), "{}", answer.text());
    }
    let largest = format!("{:16384}", good.to_string());
    assert_eq!(call(&stack, Method::PUT, "/v1/identity/u1", &largest).await.status, 204, "at the limit");
    let larger = format!("{:16385}", good.to_string());
    assert_eq!(call(&stack, Method::PUT, "/v1/identity/u1", &larger).await.status, 413);
    stack.login(r#"{"user_id":"gone","email":"optout@example.com"}"#).await;
    let opted_out = call(&stack, Method::PUT, "/v1/identity/gone", &good.to_string()).await;
    assert_eq!((opted_out.status.as_u16(), &opted_out.json()["code"]), (409, &json!("opted_out")));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_is_made_when_asked_for() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let stack = stack(&ssp, "").await;
    assert_eq!(call(&stack, Method::POST, "/v1/identity/u1/refresh", "").await.status, 404);
    let refreshes = "uid2gw_operator_requests_total{op=\"refresh\",result=\"success\"}";
    stack.logged_in("u1", "user1@example.com").await;
    let young = call(&stack, Method::POST, "/v1/identity/u1/refresh", "").await;
    assert_eq!((young.status.as_u16(), &young.json()["status"]), (200, &json!("success")));
    assert!(
        stack.metric(refreshes).await.abs() < f64::EPSILON,
        "made a moment ago, it is the freshest there is"
    );
    let optout = stack.login(r#"{"user_id":"u2","email":"optout@example.com"}"#).await;
    assert_eq!(optout.status, 200);
    let answer = call(&stack, Method::POST, "/v1/identity/u2/refresh", "").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"status": "optout"})));
    let wrong = call(&stack, Method::GET, "/v1/identity/u1/refresh", "").await;
    assert_eq!((wrong.status.as_u16(), wrong.headers["allow"].to_str().unwrap()), (405, "POST"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_publishers_own_opt_out_holds_until_it_is_taken_back() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let store = format!("kind = \"disk\"\npath = {:?}", dir.path());
    let first = stack(&ssp, &store).await;
    first.logged_in("u1", "user1@example.com").await;
    assert!(sent(&first, &ssp, "u1").await.contains("uidapi.com"));
    for path in ["/v1/identity/u1/optout", "/v1/identity/nobody/optout", "/v1/identity/u1/optout"] {
        assert_eq!(
            call(&first, Method::PUT, path, "").await.status,
            204,
            "{path}: idempotent, also of a stranger"
        );
    }
    let asked = first.metric("uid2gw_operator_requests_total{op=\"generate\",result=\"success\"}").await;
    first.stop().await;

    let stack = stack(&ssp, &store).await;
    for user in ["u1", "nobody"] {
        assert!(!sent(&stack, &ssp, user).await.contains("uidapi.com"), "{user}, after a restart");
        let login = json!({"user_id": user, "email": "user1@example.com"}).to_string();
        let refused = stack.login(&login).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (409, &json!("opted_out_at_site")));
        assert_eq!(call(&stack, Method::GET, &format!("/v1/identity/{user}/token"), "").await.status, 410);
        let status = call(&stack, Method::GET, &format!("/v1/identity/{user}"), "").await;
        assert_eq!(status.json()["phase"], "opted_out");
    }
    let theirs = r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}},
        "user":{"eids":[{"source":"uidapi.com","uids":[{"id":"A4AAtheirs"}]}]}}"#;
    stack.auction("u1", theirs).await;
    assert!(!String::from_utf8_lossy(&ssp.last().body).contains("uidapi.com"), "nobody else's either");
    assert!((asked - 1.0).abs() < f64::EPSILON);
    let series = "uid2gw_operator_requests_total{op=\"generate\",result=\"success\"}";
    assert!(stack.metric(series).await.abs() < f64::EPSILON, "the operator was not asked");

    for _ in 0..2 {
        assert_eq!(call(&stack, Method::DELETE, "/v1/identity/u1/optout", "").await.status, 204);
    }
    assert!(!sent(&stack, &ssp, "u1").await.contains("uidapi.com"), "nothing is restored");
    stack.logged_in("u1", "user1@example.com").await;
    assert!(sent(&stack, &ssp, "u1").await.contains("uidapi.com"), "but a new login counts");
    stack.stop().await;
}

/// The publisher's word ends the publisher's opt-out, never the operator's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_opt_out_is_not_taken_back_by_a_publisher() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let stack = stack(&ssp, "").await;
    stack.login(r#"{"user_id":"u1","email":"optout@example.com"}"#).await;
    assert_eq!(call(&stack, Method::PUT, "/v1/identity/u1/optout", "").await.status, 204);
    assert_eq!(call(&stack, Method::DELETE, "/v1/identity/u1/optout", "").await.status, 204);
    let again = stack.login(r#"{"user_id":"u1","email":"user1@example.com"}"#).await;
    assert_eq!(again.json(), json!({"status": "optout"}), "other DII, the same user");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_answered_line_by_line() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let stack = stack(&ssp, "").await;
    let lines = [
        (json!({"user_id": "b1", "email": "user1@example.com"}).to_string(), json!("success")),
        (String::from("{secret"), json!(400)),
        (json!({"user_id": "b2", "email": "optout@example.com"}).to_string(), json!("optout")),
        (json!({"user_id": "secret@example.com", "email": "a@example.com"}).to_string(), json!(422)),
        (
            json!({"user_id": "b3", "email": "a@example.com", "privacy": {"gpc": 1}}).to_string(),
            json!("denied"),
        ),
        (json!({"user_id": "b4", "phone": "+12345678901"}).to_string(), json!("success")),
    ];
    let body = lines.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>().join("\r\n");
    let answer = stack.http.post(stack.data, "/v1/identity/batch", &[AUTH, NDJSON], body).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &http::HeaderValue::from_static(NDJSON.1))
    );
    let text = answer.text();
    assert!(!text.contains("secret"), "{text}");
    let told: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected: Vec<&Value> = lines.iter().map(|(_, status)| status).collect();
    assert_eq!(told.iter().map(|line| &line["status"]).collect::<Vec<_>>(), expected, "{text}");
    assert!(sent(&stack, &ssp, "b4").await.contains("uidapi.com"));
    stack.stop().await;
}

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_over_its_limit_does_nothing() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let stack = stack(&ssp, "").await;
    let post = async |lines: usize| {
        // Refused without asking the operator: only counting is to be seen here.
        let body = "{\"user_id\":\"u\"}\n".repeat(lines);
        stack.http.post(stack.data, "/v1/identity/batch", &[AUTH, NDJSON], body).await
    };
    let full = post(1_000).await;
    assert_eq!((full.status.as_u16(), full.text().lines().count()), (200, 1_000));
    assert_eq!(post(1_001).await.status, 413);
    assert_eq!(post(0).await.status, 400);
    let other =
        stack.http.post(stack.data, "/v1/identity/batch", &[AUTH, ("content-type", "text/csv")], "x").await;
    assert_eq!(other.status, 415);
    let stranger = stack.http.post(stack.data, "/v1/identity/batch", &[NDJSON], "{}").await;
    assert_eq!(stranger.status, 401);
    stack.stop().await;

    let ssps = vec![("alpha".into(), ssp.address, String::new())];
    let stack = Stack::start(&Plan { ssps, server: "max_batch_lines = 2".into(), ..Plan::default() }).await;
    let padded = |bytes: usize| format!("{:bytes$}", "{}");
    for (body, status) in
        [(padded(8_192), 200), (padded(8_193), 413), ("{}\n{}".into(), 200), ("1\n2\n3".into(), 413)]
    {
        let answer = stack.http.post(stack.data, "/v1/identity/batch", &[AUTH, NDJSON], body).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    stack.stop().await;
}
