//! The circuit breaker of an SSP, over sockets: who fails is left alone, is tried, and comes back.

use std::time::Duration;

use crate::support::poll;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"tmax":1000}"#;
const BID: &str = r#"{"id":"r","seatbid":[{"bid":[{"id":"b","impid":"1","price":1}]}]}"#;

struct Bench {
    stack: Stack,
    ssp: ScriptedSsp,
}

impl Bench {
    async fn new(lines: &str) -> Self {
        let ssp = ScriptedSsp::start(Script::default()).await;
        let ssps = vec![("alpha".into(), ssp.address, lines.into())];
        Self { stack: Stack::start(&Plan { ssps, ..Plan::default() }).await, ssp }
    }

    fn answers(&self, status: u16, body: &str, delay: Duration) {
        self.ssp.set(Script { status, body: body.to_owned().into(), delay, ..Script::default() });
    }

    async fn ask(&self, body: &'static str) -> u16 {
        self.stack.http.post(self.stack.data, "/openrtb2/auction", &[AUTH], body).await.status.as_u16()
    }

    async fn counted(&self, outcome: &str) -> f64 {
        let series = format!("uid2gw_ssp_requests_total{{outcome=\"{outcome}\",ssp=\"alpha\"}}");
        self.stack.metric(&series).await
    }

    async fn state(&self) -> f64 {
        self.stack.metric("uid2gw_ssp_breaker_state{ssp=\"alpha\"}").await
    }

    async fn shows(&self, outcome: &str, times: u32, state: u32) {
        let seen = (self.counted(outcome).await, self.state().await);
        assert_eq!(seen, (f64::from(times), f64::from(state)), "{outcome}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ssp_that_fails_is_not_asked_then_tried_and_comes_back() {
    let bench = Bench::new("breaker = { min_requests = 5, open_ms = 300, max_open_ms = 300 }").await;
    bench.answers(500, "", Duration::ZERO);
    for _ in 0..5 {
        assert_eq!(bench.ask(BODY).await, 204);
    }
    bench.shows("http_5xx", 5, 2).await;
    for _ in 0..3 {
        assert_eq!(bench.ask(BODY).await, 204);
    }
    bench.shows("open", 3, 2).await;
    assert_eq!(bench.ssp.received().len(), 5, "nothing was sent");

    // It still fails: one request finds out.
    poll::until("a try", async || {
        bench.ask(BODY).await;
        (bench.ssp.received().len() == 6).then_some(())
    })
    .await;
    bench.shows("http_5xx", 6, 2).await;

    bench.answers(200, BID, Duration::ZERO);
    poll::until("it is tried", async || (bench.ask(BODY).await == 200).then_some(())).await;
    assert!((bench.state().await - 1.0).abs() < f64::EPSILON);
    for _ in 1..31 {
        assert_eq!(bench.ask(BODY).await, 200);
    }
    bench.shows("bid", 31, 0).await;
    bench.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bid_and_4xx_open_nothing_unless_4xx_count() {
    for (status, counted, expected) in [(204, true, 0), (400, false, 0), (429, true, 2)] {
        let lines = format!("breaker = {{ min_requests = 5, open_ms = 60000, count_4xx = {counted} }}");
        let bench = Bench::new(&lines).await;
        bench.answers(status, "", Duration::ZERO);
        for _ in 0..20 {
            bench.ask(BODY).await;
        }
        assert!((bench.state().await - f64::from(expected)).abs() < f64::EPSILON, "{status}");
        bench.stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_with_little_time_does_not_take_the_ssp_from_the_others() {
    let lines = "timeout_ms = 400\nmargin_ms = 0\nmin_ms = 1\nlate_ms = 2000\n\
                 breaker = { min_requests = 5, open_ms = 60000 }";
    let bench = Bench::new(lines).await;
    bench.answers(204, "", Duration::from_secs(1));
    for _ in 0..10 {
        assert_eq!(bench.ask(r#"{"id":"r","imp":[{"id":"1"}],"tmax":20}"#).await, 204);
    }
    bench.shows("timeout", 10, 0).await;
    let patient = (0..5).map(|_| bench.ask(BODY));
    futures_util::future::join_all(patient).await;
    bench.shows("timeout", 15, 2).await;
    bench.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_none_counts_and_a_breaker_can_be_switched_off() {
    for (lines, expected) in [("breaker = { min_requests = 5, open_ms = 60000 }", 15), ("breaker = false", 0)]
    {
        let bench = Bench::new(lines).await;
        bench.answers(200, "<html>", Duration::ZERO);
        for _ in 0..20 {
            // The only SSP's answer passes as it is, but it counts as invalid.
            bench.ask(BODY).await;
        }
        assert!((bench.counted("open").await - f64::from(expected)).abs() < f64::EPSILON, "{lines}");
        bench.stack.stop().await;
    }
}
