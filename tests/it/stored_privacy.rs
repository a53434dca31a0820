//! What was said of privacy at login, over sockets: kept with the identity, filled into ad requests that do not say it, and
//! of COPPA and GPC kept until the user logs in again.

use serde_json::{Value, json};

use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{Plan, Stack};

async fn stack(publisher: &str) -> (Stack, ScriptedSsp) {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let ssps = vec![("alpha".into(), ssp.address, String::new())];
    let stack = Stack::start(&Plan { publisher: publisher.into(), ssps, ..Plan::default() }).await;
    (stack, ssp)
}

async fn login(stack: &Stack, privacy: Value) -> Value {
    let body = json!({"user_id": "u1", "email": "user1@example.com", "privacy": privacy});
    let answer = stack.login(&body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Sources of the EIDs that the SSP received; the request brings one of somebody else's.
async fn sent(stack: &Stack, ssp: &ScriptedSsp, says: Value) -> Vec<String> {
    let mut body = json!({"id": "r", "imp": [{"id": "1"}],
        "user": {"eids": [{"source": "example.org", "uids": [{"id": "x"}]}]}});
    body.as_object_mut().unwrap().extend(says.as_object().unwrap().clone());
    stack.auction("u1", body.to_string()).await;
    let received: Value = serde_json::from_slice(&ssp.last().body).unwrap();
    let eids = received["user"]["eids"].as_array().cloned().unwrap_or_default();
    eids.iter().map(|eid| eid["source"].as_str().unwrap().to_owned()).collect()
}

async fn counted(stack: &Stack, result: &str, reason: &str) -> f64 {
    let labels = format!("{{reason=\"{reason}\",result=\"{result}\",scope=\"uid2\"}}");
    stack.metric(&format!("uid2gw_identity_reason_total{labels}")).await
}

fn usa() -> Value {
    json!({"device": {"geo": {"country": "USA"}}})
}

const BOTH: [&str; 2] = ["example.org", "uidapi.com"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coppa_and_gpc_of_a_login_hold_for_every_request_until_the_next() {
    let (stack, ssp) = stack("").await;
    for (said, reason) in [(json!({"coppa": 1}), "coppa"), (json!({"gpc": true}), "gpc")] {
        assert_eq!(login(&stack, json!({})).await["status"], "success");
        assert_eq!(sent(&stack, &ssp, usa()).await, BOTH);
        assert_eq!(login(&stack, said).await, json!({"status": "denied", "reason": reason}));
        assert_eq!(sent(&stack, &ssp, usa()).await, [""; 0], "as wide as the table strips");
        assert!((counted(&stack, "denied", reason).await - 1.0).abs() < f64::EPSILON);
    }
    assert_eq!(login(&stack, json!({})).await["status"], "success");
    assert_eq!(sent(&stack, &ssp, usa()).await, BOTH);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_us_opt_outs_pass_others_entries_stay() {
    let (stack, ssp) = stack("privacy = { us_optout = \"pass\" }").await;
    assert_eq!(login(&stack, json!({"gpc": 1})).await, json!({"status": "denied", "reason": "gpc"}));
    assert_eq!(sent(&stack, &ssp, usa()).await, ["example.org"]);
    assert!((counted(&stack, "absent", "gpc").await - 1.0).abs() < f64::EPSILON);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_says_which_law_applies_where_the_request_does_not() {
    let (stack, ssp) = stack("").await;
    login(&stack, json!({})).await;
    assert_eq!(sent(&stack, &ssp, json!({})).await, ["example.org"], "nobody said it");
    assert!((counted(&stack, "absent", "unknown_scope").await - 1.0).abs() < f64::EPSILON);
    for said in [json!({"gdpr": 0}), json!({"us_privacy": "1YNN"})] {
        login(&stack, said).await;
        assert_eq!(sent(&stack, &ssp, json!({})).await, BOTH);
        // What the request says counts.
        assert_eq!(sent(&stack, &ssp, json!({"regs": {"gdpr": 1}})).await, ["example.org"]);
        assert_eq!(sent(&stack, &ssp, json!({"regs": {"us_privacy": "1YYN"}})).await, [""; 0]);
        assert_eq!(sent(&stack, &ssp, json!({"device": {"lmt": 1}})).await, [""; 0]);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_login_asserts_notice_where_that_is_asked_for() {
    let (stack, ssp) = stack("notice = \"per_login\"").await;
    let denied = json!({"status": "denied", "reason": "notice"});
    for privacy in [json!({}), json!({"notice": 0}), json!({"notice": false})] {
        assert_eq!(login(&stack, privacy).await, denied);
    }
    let asked = "uid2gw_operator_requests_total{op=\"generate\",result=\"success\"}";
    assert!(stack.metric(asked).await.abs() < f64::EPSILON, "the operator was not asked");
    assert_eq!(login(&stack, json!({"notice": true})).await["status"], "success");
    assert_eq!(sent(&stack, &ssp, usa()).await, BOTH);
    assert_eq!(login(&stack, json!({})).await, denied);
    assert_eq!(sent(&stack, &ssp, usa()).await, ["example.org"], "it ended what the login before made");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_names_255_sections_at_most() {
    let (stack, _ssp) = stack("").await;
    let with = |count: usize| json!({"us_privacy": "1YNN", "gpp_sid": vec![6; count]});
    assert_eq!(login(&stack, with(255)).await["status"], "success");
    let body = json!({"user_id": "u1", "email": "user1@example.com", "privacy": with(256)});
    let answer = stack.login(&body.to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["member"]), (400, &json!("privacy.gpp_sid")));
    stack.stop().await;
}
