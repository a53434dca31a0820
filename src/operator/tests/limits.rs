//! Time and load: the total timeout, back-off, concurrency and rate.

use super::*;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_hanging_operator_costs_the_total_timeout_and_no_more() {
    let bench = Bench::new(&["a", "b"], vec![Step::Hang; 3]);
    let start = Instant::now();
    assert_eq!(bench.generate().await, Err(Fault::Timeout));
    assert_eq!(bench.hosts().len(), 3);
    let spent = start.elapsed();
    assert!(spent >= MS * 2_999 && spent <= MS * 3_002, "{spent:?}");
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_other_url_a_try_may_use_all_the_time() {
    let bench = Bench::new(&["a"], vec![Step::Hang]);
    let start = Instant::now();
    assert_eq!(bench.generate().await, Err(Fault::Timeout));
    assert_eq!(bench.seen(|seen| Instant::from_std(seen.deadline.instant()) - start), [MS * 3_000]);
    let spent = start.elapsed();
    assert!(spent >= MS * 2_999 && spent <= MS * 3_002, "{spent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_try_gets_half_of_the_time_left_and_the_last_one_all_of_it() {
    let bench = Bench::new(&["a", "b"], vec![Step::Hang; 3]);
    let start = Instant::now();
    assert_eq!(bench.generate().await, Err(Fault::Timeout));
    let end = start + MS * 3_000;
    let tries = bench.seen(|seen| (seen.at, Instant::from_std(seen.deadline.instant())));
    for (at, deadline) in &tries[..2] {
        assert_eq!(*deadline - *at, (end - *at) / 2);
    }
    assert_eq!(tries[2].1, end);
}

#[tokio::test(start_paused = true)]
async fn pauses_are_random_up_to_100_ms_and_then_200_ms() {
    let mut longest = [Duration::ZERO; 2];
    for _ in 0..50 {
        let bench = Bench::new(&["a"], vec![Step::Clear(500, ""); 3]);
        assert_eq!(bench.generate().await, Err(Fault::Server));
        let at = bench.seen(|seen| seen.at);
        longest = [longest[0].max(at[1] - at[0]), longest[1].max(at[2] - at[1])];
    }
    // The timer's own grain is a millisecond.
    assert!(longest[0] <= MS * 102 && longest[1] <= MS * 202, "{longest:?}");
    assert!(longest[0] >= MS * 20 && longest[1] >= MS * 101, "random, and growing: {longest:?}");
}

#[tokio::test(start_paused = true)]
async fn no_try_is_made_when_the_time_is_up_before_its_pause_is() {
    let bench = Bench::with(&["a"], vec![Step::Clear(500, "")], |settings| settings.timeout = Duration::ZERO);
    let got = bench.generate().await;
    assert!(matches!(got, Err(Fault::Server | Fault::Timeout)), "{got:?}");
    assert_eq!(bench.hosts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn our_own_rate_limit_throttles_without_a_request() {
    let bench = Bench::with(&["a"], vec![Step::Say(success())], |settings| {
        settings.rate_per_s = 1;
        settings.timeout = MS * 900;
    });
    assert_eq!(bench.generate().await, Ok(minted()));
    assert_eq!(bench.generate().await, Err(Fault::Throttled));
    assert_eq!(bench.hosts().len(), 1);
    assert!(bench.metric(r#"uid2gw_operator_requests_total{op="generate",result="throttled"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn requests_on_the_way_are_bounded() {
    let steps = vec![Step::Hang, Step::Say(success()), Step::Say(success())];
    let bench = Bench::with(&["a", "b"], steps, |settings| settings.max_concurrency = 1);
    let start = Instant::now();
    // The second call waits until the first one's try has run out of patience (half of three seconds).
    let (first, second) = tokio::join!(bench.generate(), bench.refresh());
    assert_eq!((first, second), (Ok(minted()), Ok(minted())));
    let at = bench.seen(|seen| (seen.path.clone(), seen.at - start));
    assert_eq!(at[1].0, "/v2/token/refresh");
    assert!(at[1].1 >= MS * 1_500, "{at:?}");
}

#[test]
fn answers_are_capped_at_64_kib() {
    assert_eq!(Settings::default().max_response_bytes, 65_536);
}
