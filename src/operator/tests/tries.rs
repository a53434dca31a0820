//! What a request looks like, and how one try follows another.

use std::collections::HashSet;

use super::*;

fn connect() -> Step {
    Step::Fail(|| TransportError::Connect("refused".into()))
}

#[tokio::test(start_paused = true)]
async fn a_generate_request_is_one_sealed_hash_with_our_name_on_it() {
    let bench = Bench::new(&["a"], vec![Step::Say(success())]);
    bench.generate().await.unwrap();
    let seen = &bench.script.seen.lock().unwrap()[0];
    assert_eq!(seen.path, "/v2/token/generate");
    assert_eq!(seen.headers["authorization"], "Bearer UID2-C-L-124-key");
    assert!(seen.headers["authorization"].is_sensitive());
    assert_eq!(seen.headers["x-uid2-client-version"], CLIENT);
    assert!(CLIENT.starts_with("uid2-gateway-") && CLIENT.ends_with(env!("CARGO_PKG_VERSION")));
    let opened = seen.opened();
    let json: Value = serde_json::from_slice(&opened.json).unwrap();
    let expected = json!({"email_hash": "lz3+Rj7IV4X1+Vr1ujkG7tstkxwk5pgkqJ6mXbpOgTs=", "optout_check": 1});
    assert_eq!((opened.at, json), (NOW, expected), "and no TCF string for UID2");
}

#[tokio::test(start_paused = true)]
async fn an_euid_request_carries_the_tcf_string() {
    let mut bench = Bench::new(&["a"], vec![Step::Say(success())]);
    bench.credentials.scope = Scope::Euid;
    bench.generate().await.unwrap();
    let json: Value = serde_json::from_slice(&bench.seen(Seen::opened)[0].json).unwrap();
    assert_eq!(json["tcf_consent_string"], "CPtcf");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_request_is_exactly_the_refresh_token() {
    let bench = Bench::new(&["a"], vec![Step::Say(success())]);
    bench.refresh().await.unwrap();
    let seen = &bench.script.seen.lock().unwrap()[0];
    assert_eq!((seen.path.as_str(), seen.body.as_ref()), ("/v2/token/refresh", b"AAAAAGold".as_slice()));
    assert_eq!(seen.headers["authorization"], "Bearer UID2-C-L-124-key");
    assert_eq!(seen.headers["x-uid2-client-version"], CLIENT);
}

#[tokio::test(start_paused = true)]
async fn each_try_has_an_envelope_of_its_own() {
    let bench = Bench::new(&["a"], vec![connect(), Step::Clear(500, ""), Step::Say(success())]);
    assert_eq!(bench.generate().await, Ok(minted()));
    let ivs: HashSet<Vec<u8>> = bench.seen(|seen| seen.wire()[1..13].to_vec()).into_iter().collect();
    let nonces: HashSet<[u8; 8]> = bench.seen(|seen| seen.opened().nonce).into_iter().collect();
    assert_eq!((ivs.len(), nonces.len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn the_next_try_goes_to_the_next_url_when_one_is_down() {
    for step in [connect(), Step::Clear(502, ""), Step::Fail(|| TransportError::Timeout), Step::Hang] {
        let bench = Bench::new(&["a", "b"], vec![step, Step::Say(success())]);
        assert_eq!(bench.generate().await, Ok(minted()));
        assert_eq!(bench.hosts(), ["a", "b"]);
    }
    let bench = Bench::new(&["a", "b"], vec![connect(), connect(), connect()]);
    assert_eq!(bench.generate().await, Err(Fault::Connect));
    assert_eq!(bench.hosts(), ["a", "b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_url_that_answers_keeps_the_call() {
    for step in [Step::Clear(429, ""), Step::WrongNonce] {
        let bench = Bench::new(&["a", "b"], vec![step, Step::Say(success())]);
        assert_eq!(bench.generate().await, Ok(minted()));
        assert_eq!(bench.hosts(), ["a", "a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_url_that_was_down_is_not_asked_first_again_at_once() {
    let bench = Bench::new(&["a", "b"], vec![connect(), Step::Say(success()), Step::Say(success())]);
    bench.generate().await.unwrap();
    bench.refresh().await.unwrap();
    assert_eq!(bench.hosts(), ["a", "b", "b"]);
    assert!(bench.metric(r#"uid2gw_operator_up{url="http://a"} 0"#));
    assert!(bench.metric(r#"uid2gw_operator_up{url="http://b"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn a_publishers_own_operator_comes_before_the_sections() {
    let mut bench = Bench::new(&["a"], vec![Step::Say(success())]);
    bench.credentials.urls = vec![Uri::from_static("http://own/base/")];
    bench.generate().await.unwrap();
    let seen = bench.seen(|seen| (seen.host.clone(), seen.path.clone()));
    assert_eq!(seen, [("own".to_owned(), "/base/v2/token/generate".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn without_a_url_or_a_usable_key_nothing_is_sent() {
    let bench = Bench::new(&[], vec![]);
    assert_eq!(bench.generate().await, Err(Fault::Misconfigured));
    let mut bench = Bench::new(&["a"], vec![]);
    bench.credentials.api_key = Secret::new("UID2\n".to_owned());
    assert_eq!(bench.generate().await, Err(Fault::Misconfigured));
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_result_and_the_clocks_compared() {
    let bench = Bench::new(&["a"], vec![Step::Clear(500, ""), Step::Say(success())]);
    bench.generate().await.unwrap();
    assert!(bench.metric(r#"uid2gw_operator_requests_total{op="generate",result="server"} 1"#));
    assert!(bench.metric(r#"uid2gw_operator_requests_total{op="generate",result="success"} 1"#));
    assert!(bench.metric(r#"uid2gw_operator_requests_total{op="refresh",result="success"} 0"#));
    assert!(bench.metric(r#"uid2gw_operator_duration_seconds_count{op="generate"} 2"#));
    assert!(bench.metric("uid2gw_operator_clock_skew_seconds 1.5"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_not_asked_with_again_at_once() {
    let mut bench = Bench::new(&["a"], vec![Step::Clear(401, ""), Step::Say(success())]);
    assert_eq!(bench.generate().await, Err(Fault::Unauthorized));
    assert_eq!(bench.refresh().await, Err(Fault::Unauthorized));
    assert_eq!(bench.hosts().len(), 1);
    bench.credentials.api_key = Secret::new("UID2-C-L-125-other".to_owned());
    assert_eq!(bench.refresh().await, Ok(minted()));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_pause_gets_it_and_another_url_is_asked_at_once() {
    for status in [429, 503] {
        let bench =
            Bench::new(&["a", "b"], vec![Step::Later(status, 1), Step::Say(success()), Step::Say(success())]);
        let start = Instant::now();
        assert_eq!(bench.generate().await, Ok(minted()));
        assert!(start.elapsed() < Duration::from_millis(200), "a pause of our own, not of theirs");
        bench.clock.advance(999);
        assert_eq!(bench.refresh().await, Ok(minted()));
        assert_eq!(bench.hosts(), ["a", "b", "b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_only_url_is_asked_again_when_its_pause_is_over() {
    let bench = Bench::new(&["a"], vec![Step::Later(429, 1), Step::Say(success())]);
    let start = Instant::now();
    assert_eq!(bench.generate().await, Ok(minted()));
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());

    let steps = vec![Step::Later(503, 1), Step::Say(success())];
    let bench = Bench::with(&["a"], steps, |settings| settings.timeout = Duration::from_millis(900));
    assert_eq!(bench.generate().await, Err(Fault::Server), "longer than a call may take");
    assert_eq!(bench.refresh().await, Err(Fault::Server), "and nobody else asks meanwhile");
    assert_eq!(bench.hosts(), ["a"]);
    bench.clock.advance(1_000);
    assert_eq!(bench.generate().await, Ok(minted()));
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_is_gone_is_soon_left_alone() {
    let bench = Bench::new(&["a"], vec![connect(); 12]);
    for _ in 0..4 {
        assert_eq!(bench.refresh().await, Err(Fault::Connect));
    }
    for _ in 0..100 {
        let answer = bench.refresh().await;
        assert_eq!(answer, Err(Fault::Connect), "at once");
    }
    assert!(bench.hosts().len() <= 12, "a jittered pause may have been nothing: {}", bench.hosts().len());
}
