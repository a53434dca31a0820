//! Users named by an address at the edges: one that was given up, and one whose user left.

use serde_json::{Value, json};

use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

const JSON: (&str, &str) = ("content-type", "application/json");

struct Bench {
    stack: Stack,
    ssp: ScriptedSsp,
}

async fn bench() -> Bench {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let plan = Plan {
        ssps: vec![("alpha".into(), ssp.address, String::new())],
        identity: "wait_ms = 1000".into(),
        ..Plan::default()
    };
    Bench { stack: Stack::start(&plan).await, ssp }
}

fn request(user: &Value) -> String {
    let mut request = json!({
        "id": "r", "imp": [{"id": "1"}], "site": {"domain": "www.example.com"}, "device": {"geo": {"country": "USA"}},
    });
    request["user"] = user.clone();
    request.to_string()
}

impl Bench {
    /// The token that the SSP got, if any.
    async fn sent(&self, headers: &[(&str, &str)], user: &Value) -> Option<String> {
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([JSON]).collect();
        self.stack.http.post(self.stack.data, "/openrtb2/auction", &headers, request(user)).await;
        let body: Value = serde_json::from_slice(&self.ssp.last().body).unwrap();
        Some(body["user"]["eids"].as_array()?.first()?["uids"][0]["id"].as_str()?.to_owned())
    }
}

/// The user logs in with another address: the first one is not theirs any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_a_user_gave_up_does_not_yield_their_new_identity() {
    let bench = bench().await;
    bench.stack.logged_in("u1", "first@example.com").await;
    let named = |email: &str| json!({"ext": {"uid2": {"email": email}}});
    let theirs = bench.sent(&[AUTH, ("x-publisher-user-id", "u1")], &json!({})).await.unwrap();
    assert_eq!(bench.sent(&[AUTH], &named("first@example.com")).await, Some(theirs));
    bench.stack.logged_in("u1", "second@example.com").await;
    let theirs = bench.sent(&[AUTH, ("x-publisher-user-id", "u1")], &json!({})).await.unwrap();
    assert_eq!(bench.sent(&[AUTH], &named("second@example.com")).await.as_ref(), Some(&theirs));
    let first = bench.sent(&[AUTH], &named("first@example.com")).await.unwrap();
    assert_ne!(first, theirs, "the token of another address");
}
