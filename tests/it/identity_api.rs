//! The identity API over sockets: who may call it, what it answers, and that it never echoes DII.

use http::Method;
use serde_json::json;

use crate::support::http::Answer;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

async fn stack() -> Stack {
    let ssp = ScriptedSsp::start(Script::default()).await;
    Stack::start(&Plan { ssps: vec![("alpha".into(), ssp.address, String::new())], ..Plan::default() }).await
}

async fn call(stack: &Stack, method: Method, path: &str) -> Answer {
    stack.http.send(method, (stack.data, path), &[AUTH], "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_life_of_a_login() {
    let stack = stack().await;
    assert_eq!(call(&stack, Method::GET, "/v1/identity/u%2F1").await.status, 404);
    let login = json!({"user_id": "u/1", "email": "user1@example.com", "return_identity": true});
    let answer = stack.login(&login.to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["scope"]), (200, &json!("uid2")));
    assert_eq!(answer.headers["cache-control"], "no-store");
    let identity = answer.json()["identity"].clone();
    let members: Vec<&str> = identity.as_object().unwrap().keys().map(String::as_str).collect();
    let six = [
        "advertising_token",
        "identity_expires",
        "refresh_expires",
        "refresh_from",
        "refresh_response_key",
        "refresh_token",
    ];
    assert_eq!(members, six);
    let status = call(&stack, Method::GET, "/v1/identity/u%2F1").await.json();
    assert_eq!((&status["phase"], &status["origin"]), (&json!("fresh"), &json!("login")));
    assert!(status.get("advertising_token").is_none() && status.get("refresh_token").is_none());
    let token = call(&stack, Method::GET, "/v1/identity/u%2F1/token").await.json();
    assert_eq!(token["advertising_token"], identity["advertising_token"]);
    let longer = call(&stack, Method::GET, "/v1/identity/u%2F1/token?min_ttl=999999").await.json();
    assert_eq!(
        longer["advertising_token"], identity["advertising_token"],
        "more than the operator gives: what was made a moment ago is the freshest there is"
    );
    for _ in 0..2 {
        assert_eq!(call(&stack, Method::DELETE, "/v1/identity/u%2F1").await.status, 204, "idempotent");
    }
    assert_eq!(call(&stack, Method::GET, "/v1/identity/u%2F1").await.status, 404);
    assert_eq!(call(&stack, Method::GET, "/v1/identity/u%2F1/token").await.status, 404);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opt_out_and_denial_are_answers_not_errors() {
    let stack = stack().await;
    let optout = stack.login(r#"{"user_id":"u1","email":"optout@example.com"}"#).await;
    assert_eq!((optout.status.as_u16(), optout.json()), (200, json!({"status": "optout"})));
    assert_eq!(call(&stack, Method::GET, "/v1/identity/u1/token").await.status, 410);
    assert_eq!(call(&stack, Method::GET, "/v1/identity/u1").await.json()["phase"], "opted_out");
    let asked = stack.metric("uid2gw_operator_requests_total{op=\"generate\",result=\"optout\"}").await;
    for (privacy, reason) in [
        (json!({"coppa": 1}), "coppa"),
        (json!({"gdpr": 1}), "gdpr"),
        (json!({"us_privacy": "1YYN"}), "us_privacy"),
        (json!({"gpc": true}), "gpc"),
    ] {
        let body = json!({"user_id": "u2", "email": "user2@example.com", "privacy": privacy});
        let answer = stack.login(&body.to_string()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, json!({"status": "denied", "reason": reason}))
        );
    }
    let series = "uid2gw_operator_requests_total{op=\"generate\",result=\"success\"}";
    assert!(stack.metric(series).await.abs() < f64::EPSILON, "the operator was not asked");
    assert!((asked - 1.0).abs() < f64::EPSILON);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_name_the_member_and_never_the_value() {
    let stack = stack().await;
    let cases = [
        (r#"{"user_id":"u","email":"secret example"}"#, 422, "email"),
        (r#"{"user_id":"secret@example.com","email":"a@example.com"}"#, 422, "user_id"),
        (r#"{"user_id":"+12345678901","email":"a@example.com"}"#, 422, "user_id"),
        (r#"{"user_id":"","email":"a@example.com"}"#, 400, "user_id"),
        (r#"{"user_id":"u","phone":"555-secret"}"#, 422, "phone"),
        (r#"{"user_id":"u","email_hash":"c2VjcmV0"}"#, 422, "email_hash"),
        (r#"{"user_id":"u"}"#, 400, "body"),
        (r#"{"user_id":"u","email":"secret@example.com","id_token":"secret"}"#, 400, "body"),
        (r#"{"user_id":"u","id_token":"secret"}"#, 422, "id_token"),
        ("secret", 400, "body"),
    ];
    for (body, status, member) in cases {
        let answer = stack.login(body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.json()["member"], member, "{body}: {}", answer.text());
        let told = answer.text();
        assert!(!told.contains("secret") && !told.contains("c2Vj"), "{body}: {told}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_publisher_itself_may_call() {
    let stack = stack().await;
    for key in [None, Some("Bearer nobody"), Some("Basic dGVzdA==")] {
        let headers: Vec<(&str, &str)> = key.map(|k| ("authorization", k)).into_iter().collect();
        for (method, path) in [
            (Method::POST, "/v1/identity"),
            (Method::GET, "/v1/identity/u1"),
            (Method::DELETE, "/v1/identity/u1"),
        ] {
            let answer = stack.http.send(method, (stack.data, path), &headers, "{}").await;
            assert_eq!(answer.status, 401, "{key:?} {path}");
        }
    }
    let answer = stack.http.send(Method::PATCH, (stack.data, "/v1/identity/u1"), &[AUTH], "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.headers["allow"].to_str().unwrap()),
        (405, "GET, PUT, DELETE")
    );
    stack.stop().await;
}

/// `acme` and `other` use the same user id for different people; neither sees the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_do_not_see_each_other() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let other = format!(
        "[[publisher]]\nid = \"other\"\napi_keys = [\"{}\"]\noperator_key = \"UID2-C-L-999-fCXrMM.fsR3mDqAXELtWWMS+xG1s7RdgRTMqdOH2qaAo=\"\n\
         operator_secret = \"DzBzbjTJcYL0swDtFs2krRNu+g1Eokm2tBU4dEuD0Wk=\"\nssps = [\"alpha\"]\n",
        crate::support::stack::digest("key-of-other")
    );
    let plan =
        Plan { ssps: vec![("alpha".into(), ssp.address, String::new())], extra: other, ..Plan::default() };
    let stack = Stack::start(&plan).await;
    stack.logged_in("u1", "user1@example.com").await;
    let theirs = ("authorization", "Bearer key-of-other");
    let answer = stack.http.send(Method::GET, (stack.data, "/v1/identity/u1"), &[theirs], "").await;
    assert_eq!(answer.status, 404);
    let delete = stack.http.send(Method::DELETE, (stack.data, "/v1/identity/u1"), &[theirs], "").await;
    assert_eq!(delete.status, 204);
    assert_eq!(
        call(&stack, Method::GET, "/v1/identity/u1").await.status,
        200,
        "the other's logout touched nothing"
    );
    let body = r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}}}"#;
    stack.http.post(stack.data, "/openrtb2/auction", &[theirs, ("x-publisher-user-id", "u1")], body).await;
    assert!(!String::from_utf8_lossy(&ssp.last().body).contains("uidapi.com"));
    stack.stop().await;
}
