//! The operator or the store fails, or is late: nothing good is lost, nothing is asked more often than it helps.

use super::*;
use crate::identity::cache::What;

fn full() -> StoreError {
    StoreError::Broken("disk full")
}

impl Bench {
    async fn token_for(&self, ttl_s: u64) -> TokenAnswer {
        let ttl = Some(Duration::from_secs(ttl_s));
        self.identities.token(&self.publisher, b"u1", ttl, consent()).await.unwrap()
    }
}

fn patient(gate: usize, script: &[Say]) -> Bench {
    bench_with(Settings { wait: Duration::from_secs(1), ..Settings::default() }, gate, script)
}

#[tokio::test(start_paused = true)]
async fn a_caller_waits_no_longer_than_it_has_patience() {
    let bench = patient(1, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(4 * HOUR);
    for patience_ms in [0, 3, 5_000] {
        let patience = Duration::from_millis(patience_ms);
        let asked = tokio::time::Instant::now();
        let answer = bench.resolve_of(&bench.publisher, &bench.subject(), patience).await;
        assert!(matches!(answer, Resolution::Absent(Absence::Wait)), "{answer:?}");
        let spent = asked.elapsed().as_millis();
        assert!((u128::from(patience_ms.min(1_000))..=1_001).contains(&spent), "{patience_ms}: {spent}");
        assert!(patience_ms > 3 || spent <= u128::from(patience_ms) + 1, "{patience_ms}: {spent}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_that_the_disk_refuses_is_written_until_it_is_durable() {
    for by_login in [true, false] {
        let script = if by_login { vec![Say::OptOut] } else { vec![HOURLY, Say::OptOut] };
        let bench = bench(&script);
        bench.store.fail(Fails::OptOut, &full(), 5);
        if by_login {
            assert!(matches!(bench.login_as("u1@example.com").await, Ok(LoginAnswer::OptedOut)));
        } else {
            bench.login().await;
            bench.clock.advance(HOUR);
            bench.resolve().await;
        }
        bench.becomes("OptedOut").await;
        assert_eq!(bench.store.faults_left(), 4, "in force, and not durable");
        let minutes = async {
            while bench.store.faults_left() > 0 || bench.identities.0.unkept.is_busy() {
                tokio::time::advance(Duration::from_secs(1)).await;
                rest().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(10), minutes).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_store_is_not_asked_again() {
    let bench = bench(&[HOURLY, Say::OptOut]);
    bench.login().await;
    bench.store.fail(Fails::OptOut, &StoreError::Closed, 1);
    bench.clock.advance(HOUR);
    bench.resolve().await;
    bench.becomes("OptedOut").await;
    rest().await;
    assert!(!bench.identities.0.unkept.is_busy());
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_busy_and_not_remembered() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.forget_cache();
    bench.store.fail(Fails::Read, &StoreError::Busy, 1);
    assert_eq!(bench.resolve().await, "Busy");
    assert_eq!(bench.resolve().await, "Fresh #1");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_gives_a_token_inside_the_margin_is_not_repeated_at_once() {
    let bench = patient(OPEN, &[HOURLY, Say::Success(MINUTE / 4, MINUTE / 2, HOUR)]);
    bench.login().await;
    bench.clock.advance(3 * HOUR);
    for _ in 0..40 {
        assert_eq!(bench.resolve().await, "Lapsed");
        rest().await;
        bench.clock.advance(100);
    }
    assert_eq!(bench.calls(), ["generate", "refresh"]);
    bench.clock.advance(10_000);
    bench.resolve().await;
    assert_eq!(bench.calls(), ["generate", "refresh", "refresh"], "but later");
}

#[tokio::test(start_paused = true)]
async fn a_due_token_that_was_evicted_during_a_failing_refresh_is_kept() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY, Say::Down]);
    bench.login().await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1"); // its refresh hangs
    rest().await;
    bench.forget_cache();
    bench.operator.gate.add_permits(OPEN);
    while bench.identities.0.flights.under_way() > 0 {
        tokio::time::advance(Duration::from_millis(10)).await;
        rest().await;
    }
    let calls = bench.calls().len();
    assert!(calls > 1);
    let entry = bench.identities.0.cache.find(&bench.key()).unwrap();
    assert!(matches!(&entry.what, What::Token(_)), "{entry:?}");
    assert_eq!(bench.resolve().await, "Due #1");
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_learned_under_way_stops_the_answer() {
    for whose in ["user", "identifier"] {
        let bench = patient(1, &[HOURLY]);
        bench.login().await;
        let dii = bench.store.read(bench.key()).await.unwrap().unwrap().dii.unwrap();
        bench.clock.advance(4 * HOUR);
        let (answer, ()) = tokio::join!(bench.resolve(), async {
            rest().await; // its refresh hangs
            let keys = vec![if whose == "user" { bench.key() } else { dii }];
            bench.store.opt_out(keys, bench.clock.now(), bench.clock.now().plus(HOUR)).await.unwrap();
            bench.operator.gate.add_permits(1);
        });
        assert_eq!((answer.as_str(), bench.calls().len()), ("OptedOut", 2), "{whose}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_puts_no_newer_token_off() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY, Say::Down]);
    bench.login().await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1"); // its refresh hangs
    rest().await;
    let record = bench.store.read(bench.key()).await.unwrap().unwrap();
    let written = bench.store.write(bench.key(), Expect::Any, record.into()).await.unwrap(); // by a login
    let newer = bench.store.read(bench.key()).await.unwrap().unwrap();
    bench.identities.0.take_in(bench.key(), &newer);
    bench.operator.gate.add_permits(OPEN);
    while bench.identities.0.flights.under_way() > 0 {
        tokio::time::advance(Duration::from_millis(10)).await;
        rest().await;
    }
    let entry = bench.identities.0.cache.find(&bench.key()).unwrap();
    assert_eq!(written, Written::Stored { generation: entry.generation });
    let What::Token(token) = &entry.what else { panic!("{entry:?}") };
    assert!(token.take_refresh(bench.clock.now()));
}

#[tokio::test(start_paused = true)]
async fn the_token_call_answers_with_a_renewed_token_that_could_not_be_stored() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.clock.advance(4 * HOUR);
    bench.store.fail(Fails::Write, &full(), 1);
    let answer = bench.token_for(3_600).await;
    assert!(
        matches!(&answer, TokenAnswer::Token { token, .. } if token.as_str() == "A4AAAAtoken2"),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_token_call_asks_no_operator_for_what_was_made_just_now() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    for _ in 0..59 {
        drop(bench.token_for(24 * 3_600).await);
        bench.clock.advance(1_000);
    }
    assert_eq!(bench.calls(), ["generate"]);
    bench.clock.advance(1_000);
    drop(bench.token_for(24 * 3_600).await);
    drop(bench.token_for(24 * 3_600).await);
    assert_eq!(bench.calls(), ["generate", "refresh"]);
}
