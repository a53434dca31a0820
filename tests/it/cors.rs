//! What pages of other origins may do: those of `server.cors_origins` the auction and the key-less login, all others nothing.

use http::{HeaderMap, Method};

use crate::support::http::Answer;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

const OURS: &str = "https://www.example.com";
const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"site":{"publisher":{"id":"8953"}}}"#;

/// What the browser goes by.
const TOLD: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
];

async fn stack(server: &str) -> (Stack, ScriptedSsp) {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let ssps = vec![("alpha".into(), ssp.address, String::new())];
    (Stack::start(&Plan { ssps, server: server.into(), ..Plan::default() }).await, ssp)
}

async fn with_ours() -> (Stack, ScriptedSsp) {
    stack(r#"cors_origins = ["http://localhost:3000", "https://www.example.com"]"#).await
}

fn is_told_nothing(headers: &HeaderMap) -> bool {
    TOLD.iter().all(|name| !headers.contains_key(*name))
}

fn may_read(headers: &HeaderMap, origin: &str) -> bool {
    headers.get("access-control-allow-origin").is_some_and(|told| told == origin)
        && headers.get("access-control-allow-credentials").is_some_and(|told| told == "true")
}

fn varies(answer: &Answer) -> bool {
    answer
        .headers
        .get_all("vary")
        .iter()
        .any(|vary| vary.to_str().unwrap().split(", ").any(|v| v == "Origin"))
}

async fn preflight(stack: &Stack, path: &str, origin: &str) -> Answer {
    let asks = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type"),
    ];
    stack.http.send(Method::OPTIONS, (stack.data, path), &asks, "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_may_ask_for_the_auction_and_the_login_and_remember_the_answer() {
    let (stack, ssp) = with_ours().await;
    for path in ["/openrtb2/auction", "/v1/identity"] {
        for origin in [OURS, "http://localhost:3000"] {
            let answer = preflight(&stack, path, origin).await;
            assert_eq!(answer.status, 204, "{path}");
            assert!(may_read(&answer.headers, origin) && varies(&answer), "{path}: {:?}", answer.headers);
            assert_eq!(answer.headers["access-control-allow-methods"], "POST");
            assert_eq!(answer.headers["access-control-max-age"], "7200");
            let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap();
            assert!(allowed.split(", ").any(|name| name == "content-type"), "{allowed}");
            for never in ["authorization", "x-publisher-user-id", "*"] {
                assert!(!allowed.contains(never), "{never}");
            }
        }
        for foreign in
            ["https://evil.example", "http://www.example.com", "https://www.example.com:8443", "null"]
        {
            let answer = preflight(&stack, path, foreign).await;
            assert!(
                is_told_nothing(&answer.headers) && varies(&answer),
                "{path} {foreign}: {:?}",
                answer.headers
            );
        }
    }
    assert!(ssp.received().is_empty(), "a question is no ad request");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_readable_by_pages_of_ours_whatever_they_say() {
    let (stack, ssp) = with_ours().await;
    let post = |origin: &'static str, body: &'static str| {
        let http = stack.http.clone();
        async move { http.post(stack.data, "/openrtb2/auction", &[("origin", origin)], body).await }
    };
    for (body, status) in [(BODY, 204), ("{", 400), (r#"{"id":"r","imp":[{"id":"1"}]}"#, 404)] {
        let answer = post(OURS, body).await;
        assert_eq!(answer.status, status);
        assert!(may_read(&answer.headers, OURS) && varies(&answer), "{status}: {:?}", answer.headers);
        let answer = post("https://evil.example", body).await;
        assert_eq!(answer.status, status, "a foreign page's request is served like any other");
        assert!(is_told_nothing(&answer.headers) && varies(&answer), "{status}: {:?}", answer.headers);
    }
    let reply = r#"{"id":"r","seatbid":[{"bid":[{"id":"b","impid":"1","price":1.50}]}]}"#;
    ssp.set(Script {
        status: 200,
        headers: vec![
            ("access-control-allow-origin".into(), "*".into()),
            ("set-cookie".into(), "ssp=1".into()),
            ("vary".into(), "*".into()),
        ],
        body: reply.into(),
        ..Script::default()
    });
    let answer = post(OURS, BODY).await;
    assert_eq!(answer.text(), reply);
    assert!(may_read(&answer.headers, OURS) && !answer.headers.contains_key("set-cookie"));
    let foreign = post("https://evil.example", BODY).await;
    assert!(is_told_nothing(&foreign.headers), "an SSP's word of who may read is not passed on");
    assert!(!ssp.last().headers.contains_key("origin"));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_may_do_anything_else() {
    let (stack, _ssp) = with_ours().await;
    for path in ["/healthz", "/v1/identity/u", "/v1/identity/u/token", "/v1/identity/batch", "/elsewhere"] {
        let asked = preflight(&stack, path, OURS).await;
        assert!(is_told_nothing(&asked.headers), "{path}: {:?}", asked.headers);
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let at = (stack.data, path);
            let answer = stack.http.send(method.clone(), at, &[AUTH, ("origin", OURS)], "").await;
            assert!(is_told_nothing(&answer.headers), "{method} {path}: {:?}", answer.headers);
        }
    }
    let login = r#"{"user_id":"u","email":"user@example.com"}"#;
    let with_key = stack.http.post(stack.data, "/v1/identity", &[AUTH, ("origin", OURS)], login).await;
    assert!(with_key.status == 200 && is_told_nothing(&with_key.headers), "a call with a key is no page's");
    let without = stack.http.post(stack.data, "/v1/identity", &[("origin", OURS)], login).await;
    assert!(
        without.status.is_client_error() && may_read(&without.headers, OURS),
        "and reads why it was refused"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_origins_nothing_is_said_of_them() {
    let (stack, _ssp) = stack("").await;
    assert_eq!(preflight(&stack, "/openrtb2/auction", OURS).await.status, 405);
    let answer = stack.http.post(stack.data, "/openrtb2/auction", &[("origin", OURS)], BODY).await;
    assert!(answer.status == 204 && is_told_nothing(&answer.headers) && !varies(&answer));
    stack.stop().await;
}
