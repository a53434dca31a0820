//! `publisher.rate_per_s`: what one publisher sends too much is refused, whoever else is not.

use std::time::Instant;

use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack, another_publisher};

const BY_MATCH: &str = r#"{"id":"r","imp":[{"id":"1"}],"site":{"domain":"www.example.com"}}"#;
const OF_OTHERS: &str = r#"{"id":"r","imp":[{"id":"1"}],"site":{"domain":"other.example"}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_burst_passes_the_next_is_told_when_and_others_are_served() {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let plan = Plan {
        publisher: String::from("rate_per_s = 1\nrate_burst = 3"),
        ssps: vec![("alpha".into(), ssp.address, String::new())],
        extra: another_publisher("other", "default = true"),
        ..Plan::default()
    };
    let stack = Stack::start(&plan).await;
    let began = Instant::now();
    let (mut passed, mut refused) = (0_u64, 0_u64);
    // By key and by what the request says of itself: one bucket.
    for turn in 0..20 {
        let headers = if turn % 2 == 0 { &[AUTH][..] } else { &[] };
        let answer = stack.http.post(stack.data, "/openrtb2/auction", headers, BY_MATCH).await;
        match answer.status.as_u16() {
            204 => passed += 1,
            429 => {
                refused += 1;
                let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=2).contains(&wait), "{wait}");
                assert_eq!(answer.headers["content-type"], "application/problem+json");
            }
            status => panic!("{status}: {answer:?}"),
        }
    }
    let gained = began.elapsed().as_secs();
    assert!(passed >= 3 && passed <= 3 + gained + 1, "{passed} passed in {gained} s");
    assert_eq!(ssp.received().len() as u64, passed, "nothing of what was refused left");
    let counted = stack.metric("uid2gw_requests_total{outcome=\"rate_limited\",publisher=\"acme\"}").await;
    assert_eq!(counted.to_string(), refused.to_string());
    for _ in 0..10 {
        assert_eq!(stack.http.post(stack.data, "/openrtb2/auction", &[], OF_OTHERS).await.status, 204);
    }
    stack.stop().await;
}
