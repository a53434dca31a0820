//! The real process: killed without warning it loses no login that was answered; told to stop it drains.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::json;

use crate::support::http::Http;
use crate::support::process::{Process, place};
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::AUTH;
use crate::support::{binary, poll};

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}}}"#;

async fn log_in(http: &Http, at: SocketAddr, user: usize) {
    let body = json!({"user_id": format!("user-{user}"), "email": format!("user{user}@example.com")});
    let answer = http.post(at, "/v1/identity", &[AUTH], body.to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (200, &json!("success")), "{answer:?}");
}

async fn is_injected(http: &Http, process: &Process, ssp: &ScriptedSsp, user: usize) -> bool {
    let user = format!("user-{user}");
    let headers = [AUTH, ("x-publisher-user-id", user.as_str())];
    http.post(process.data, "/openrtb2/auction", &headers, BODY).await;
    String::from_utf8_lossy(&ssp.last().body).contains("uidapi.com")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_loses_no_answered_login() {
    const USERS: usize = 60;
    let ssp = ScriptedSsp::start(Script::default()).await;
    let place = place(0, &ssp).await;
    let http = Http::default();
    let first = Process::start(&place.config);
    futures_util::future::join_all((0..USERS).map(|user| log_in(&http, first.data, user))).await;
    for path in ["/v1/identity/user-0", "/v1/identity/user-1"] {
        let logout = http.send(http::Method::DELETE, (first.data, path), &[AUTH], "").await;
        assert_eq!(logout.status, 204);
    }
    first.kill();

    let http = Http::default();
    let second = Process::start(&place.config);
    // The very first request for a user who logged out brings the page's own token: it must not pass either.
    // In a list, or in what should be one.
    let theirs = format!(r#"{{"source":"uidapi.com","uids":[{{"id":"{}"}}]}}"#, "T".repeat(120));
    for (user, eids) in [("user-0", format!("[{theirs}]")), ("user-1", theirs)] {
        let page = format!(
            r#"{{"id":"r","imp":[{{"id":"1"}}],"device":{{"geo":{{"country":"USA"}}}},"user":{{"eids":{eids}}}}}"#
        );
        http.post(second.data, "/openrtb2/auction", &[AUTH, ("x-publisher-user-id", user)], page).await;
        let sent = String::from_utf8_lossy(&ssp.last().body).into_owned();
        assert!(!sent.contains("uidapi.com"), "{user} logged out and was represented: {sent}");
    }
    for user in 2..USERS {
        // A cold record may take longer than the identity budget; the next request has it.
        poll::until(&format!("user {user} after the restart"), async || {
            is_injected(&http, &second, &ssp, user).await.then_some(())
        })
        .await;
    }
    assert!(!is_injected(&http, &second, &ssp, 0).await, "a logout that was answered was lost");
    second.kill();
    drop(place.folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_turns_unready_at_once_serves_on_and_exits_0() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let place = place(1, &ssp).await;
    let http = Http::default();
    let mut process = Process::start(&place.config);
    assert_eq!(http.get(process.admin, "/readyz", &[]).await.status, 200);
    process.terminate();
    poll::until("/readyz to say no", async || {
        (http.get(process.admin, "/readyz", &[]).await.status == 503).then_some(())
    })
    .await;
    assert_eq!(http.get(process.admin, "/livez", &[]).await.status, 200);
    let served = http.post(process.data, "/openrtb2/auction", &[AUTH], BODY).await;
    assert_eq!(served.status, 204, "requests are served during the drain");
    let status = poll::until("the process to end", async || process.child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_store_says_so() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let place = place(0, &ssp).await;
    let first = Process::start(&place.config);
    let second = Command::new(binary()).args(["serve", "--config"]).arg(&place.config).output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains("identities: in use by another process"), "the store's path is named: {told}");
    first.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let place = place(600, &ssp).await;
    let http = Http::default();
    let mut process = Process::start(&place.config);
    process.terminate();
    poll::until("/readyz to say no", async || {
        (http.get(process.admin, "/readyz", &[]).await.status == 503).then_some(())
    })
    .await;
    process.terminate();
    let status = poll::until("the process to end", async || process.child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
}
