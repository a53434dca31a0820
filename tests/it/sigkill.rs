//! SIGKILL at random moments of a write load, twenty times: what was answered is there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::support::http::Http;
use crate::support::process::{Place, Process, place};
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::AUTH;

const KILLS: usize = 20;
/// Callers at one time; each fourth user has opted out at the operator.
const CALLERS: usize = 8;
const OPTED_OUT_EACH: usize = 4;

/// What was answered, by user number.
#[derive(Default)]
struct Answered {
    logins: Mutex<BTreeSet<usize>>,
    opt_outs: Mutex<BTreeSet<usize>>,
    next: AtomicUsize,
}

type Calls = Client<HttpConnector, Full<Bytes>>;

fn email(user: usize) -> String {
    format!("user{user}@example.com")
}

/// The status of an answer, or nothing when the process went before it was whole.
async fn login(client: &Calls, at: SocketAddr, user: usize) -> Option<String> {
    let body = json!({"user_id": format!("user-{user}"), "email": email(user)}).to_string();
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{at}/v1/identity"))
        .header(AUTH.0, AUTH.1)
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let answer = client.request(request).await.ok()?.into_body().collect().await.ok()?.to_bytes();
    let answer: Value = serde_json::from_slice(&answer).ok()?;
    Some(answer["status"].as_str()?.to_owned())
}

/// Logs users in until the process is gone.
async fn load(at: SocketAddr, operator: SocketAddr, answered: Arc<Answered>) {
    let client: Calls = Client::builder(TokioExecutor::new()).build_http();
    let http = Http::default();
    loop {
        let user = answered.next.fetch_add(1, Ordering::Relaxed);
        let opts_out = user.is_multiple_of(OPTED_OUT_EACH);
        if opts_out {
            let body = json!({"email": email(user)}).to_string();
            http.post(operator, "/sandbox/optout", &[], body).await;
        }
        match login(&client, at, user).await.as_deref() {
            Some("success") => drop(answered.logins.lock().unwrap().insert(user)),
            Some("optout") => drop(answered.opt_outs.lock().unwrap().insert(user)),
            Some(other) => panic!("user {user}: {other}"),
            None => return,
        }
    }
}

/// Each login that was answered is there, and each opt-out holds although the operator knows of it no more.
async fn holds(process: &Process, place: &Place, answered: &Answered, seen: &mut BTreeSet<usize>) {
    let http = Http::default();
    let client: Calls = Client::builder(TokioExecutor::new()).build_http();
    let new = |users: &Mutex<BTreeSet<usize>>, seen: &BTreeSet<usize>| -> Vec<usize> {
        users.lock().unwrap().difference(seen).copied().collect()
    };
    for user in new(&answered.logins, seen) {
        let answer = http.get(process.data, &format!("/v1/identity/user-{user}"), &[AUTH]).await;
        assert_eq!(answer.status, 200, "the login of user {user} was answered and is lost");
        seen.insert(user);
    }
    for user in new(&answered.opt_outs, seen) {
        let body = json!({"email": email(user)}).to_string();
        let back = http.send(Method::DELETE, (place.operator, "/sandbox/optout"), &[], body).await;
        assert_eq!(back.status, 200, "{back:?}");
        let status = login(&client, process.data, user).await;
        assert_eq!(
            status.as_deref(),
            Some("optout"),
            "the opt-out of user {user} was answered and is forgotten"
        );
        seen.insert(user);
    }
}

/// Up to so many milliseconds, from the system's random source.
fn random_ms(longest: u64) -> Duration {
    let random = getrandom::u64().unwrap();
    Duration::from_millis(random % (longest + 1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_no_answered_login_and_no_answered_opt_out() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let place = place(0, &ssp).await;
    let answered = Arc::new(Answered::default());
    let mut seen = BTreeSet::new();
    for kill in 0..KILLS {
        let process = Process::start(&place.config);
        holds(&process, &place, &answered, &mut seen).await;
        let (at, operator) = (process.data, place.operator);
        let callers: Vec<_> =
            (0..CALLERS).map(|_| tokio::spawn(load(at, operator, Arc::clone(&answered)))).collect();
        let moment = random_ms(150);
        tokio::time::timeout(moment, std::future::pending::<()>()).await.unwrap_err();
        process.kill();
        for caller in callers {
            caller.await.unwrap_or_else(|fault| panic!("kill {kill} after {moment:?}: {fault}"));
        }
    }
    // And all of it again, after all kills.
    let process = Process::start(&place.config);
    let logins = answered.logins.lock().unwrap().len();
    let opt_outs = answered.opt_outs.lock().unwrap().len();
    assert!(logins > KILLS && opt_outs > 0, "{logins} logins, {opt_outs} opt-outs");
    holds(&process, &place, &answered, &mut BTreeSet::new()).await;
    println!("{KILLS} kills: {logins} logins and {opt_outs} opt-outs were answered, and all are there");
    process.kill();
}
