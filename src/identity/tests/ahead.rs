//! Refreshes beside the path: their jitter, refresh-ahead, and that a restart asks the operator no more than it may.

use super::*;
use crate::identity::ahead::due_at;

const WINDOW: i64 = 5 * MINUTE;

fn active(gate: usize, script: &[Say]) -> Bench {
    let bench = bench_with(Settings { active_window_ms: WINDOW, ..Settings::default() }, gate, script);
    bench.identities.serve([bench.publisher.clone()]);
    bench
}

impl Bench {
    /// Both clocks move on, and what runs beside gets its turn.
    async fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            self.clock.advance(1_000);
            tokio::time::advance(Duration::from_secs(1)).await;
            // The look at the cache has a thread of its own, of which paused time knows nothing.
            for _ in 0..20 {
                tokio::task::spawn_blocking(|| ()).await.unwrap();
            }
            rest().await;
        }
    }

    fn refreshes(&self) -> usize {
        self.calls().iter().filter(|call| *call == "refresh").count()
    }
}

#[tokio::test(start_paused = true)]
async fn an_identity_used_within_the_window_is_refreshed_before_it_is_asked_for() {
    let bench = active(OPEN, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR - WINDOW / 2);
    assert_eq!(bench.resolve().await, "Fresh #1");
    bench.pass(20).await;
    assert_eq!(bench.refreshes(), 0, "not due");
    bench.clock.advance(WINDOW / 2 - 20_000);
    bench.pass(20).await;
    assert_eq!(bench.refreshes(), 1);
    assert_eq!(bench.resolve().await, "Fresh #2");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_refreshed_who_was_not_used_or_whose_publisher_is_not_served() {
    let bench = active(OPEN, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR);
    bench.pass(20).await;
    assert_eq!(bench.refreshes(), 0, "the login was an hour ago, and no request since");

    let unserved = active(OPEN, &[HOURLY]);
    unserved.identities.serve([]);
    unserved.login().await;
    unserved.clock.advance(HOUR - 1);
    assert_eq!(unserved.resolve().await, "Fresh #1");
    unserved.pass(20).await;
    assert_eq!(unserved.refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_use_is_worth_one_refresh_ahead() {
    let bench = active(OPEN, &[Say::Success(MINUTE, 3 * HOUR, 24 * HOUR)]);
    bench.login().await;
    assert_eq!(bench.resolve().await, "Fresh #1");
    bench.pass(240).await;
    assert_eq!(bench.refreshes(), 1, "due again each minute, and used once");
    assert_eq!(bench.resolve().await, "Due #2");
}

#[tokio::test(start_paused = true)]
async fn a_logout_or_opt_out_is_never_refreshed_ahead() {
    let bench = active(OPEN, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR - 1);
    assert_eq!(bench.resolve().await, "Fresh #1");
    bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
    bench.pass(20).await;
    assert_eq!((bench.refreshes(), bench.resolve().await), (0, String::from("LoggedOut")));

    let bench = active(OPEN, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR - 1);
    assert_eq!(bench.resolve().await, "Fresh #1");
    let now = bench.clock.now();
    bench.store.opt_out(vec![bench.key()], now, now.plus(24 * HOUR)).await.unwrap();
    bench.pass(20).await;
    // Its record is still there, so only the opt-out can be the reason.
    assert!(matches!(bench.store.read(bench.key()).await.unwrap().unwrap().state, State::Active(_)));
    assert_eq!((bench.refreshes(), bench.resolve().await), (0, String::from("OptedOut")));
}

#[tokio::test(start_paused = true)]
async fn few_refreshes_ahead_are_under_way_and_the_rest_stand_in_the_queue() {
    const USERS: usize = 100;
    let bench = active(USERS, &[HOURLY]);
    log_in(&bench, USERS).await;
    bench.clock.advance(HOUR - 1_000);
    for user in 0..USERS {
        assert!(matches!(ask(&bench, user).await, Resolution::Token(_)));
    }
    bench.pass(11).await; // the operator has no permits left: all refreshes hang
    let queue = || bench.identities.0.metrics.refresh_queue.get();
    assert_eq!(queue(), 100, "8 under way, 92 wait");
    assert_eq!(bench.identities.0.refreshes.taken(), 8);
    bench.operator.gate.add_permits(USERS);
    bench.pass(5).await;
    assert_eq!((bench.refreshes(), queue()), (USERS, 0));
}

async fn log_in(bench: &Bench, users: usize) {
    for user in 0..users {
        let (user_id, address) = (format!("u{user}"), format!("u{user}@example.com"));
        let login = login_of(bench.identities.user_key(&bench.publisher, user_id.as_bytes()), &address);
        let answer = bench.identities.login(&bench.publisher, login, consent()).await;
        assert!(matches!(answer, Ok(LoginAnswer::Active(_))), "{answer:?}");
    }
}

async fn ask(bench: &Bench, user: usize) -> Resolution {
    let subject = of_user(bench.identities.user_key(&bench.publisher, format!("u{user}").as_bytes()));
    bench.resolve_of(&bench.publisher, &subject, Duration::MAX).await
}

#[tokio::test(start_paused = true)]
async fn a_use_refreshes_after_the_jitter_and_not_before_from_cache_and_store() {
    for cold in [false, true] {
        let bench = bench_of(Settings::default(), operator::Settings::default(), OPEN, &[HOURLY]);
        bench.login().await;
        let State::Active(identity) = bench.store.read(bench.key()).await.unwrap().unwrap().state else {
            panic!("no identity")
        };
        let due = due_at(&bench.key(), &identity.times, Settings::default().refresh_jitter_ms);
        let refresh_from = identity.times.refresh_from;
        assert!(due >= refresh_from && due <= refresh_from.plus(10 * MINUTE));
        for (moment, refreshes) in [(due.plus(-1), 0), (due, 1)] {
            bench.clock.advance(moment.since(bench.clock.now()));
            if cold {
                bench.forget_cache();
            }
            bench.resolve().await;
            rest().await;
            assert_eq!(bench.refreshes(), refreshes, "cold: {cold}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_everybody_due_asks_the_operator_no_more_than_it_may() {
    const USERS: usize = 3_000;
    const RATE: usize = 50;
    let limits = operator::Settings { rate_per_s: 50, ..operator::Settings::default() };
    let bench = bench_of(Settings::default(), limits, OPEN, &[HOURLY]);
    log_in(&bench, USERS).await;
    bench.clock.advance(2 * HOUR); // all are due, jitter and all
    // The cache is empty, as after a restart, and all users come at once, again and again.
    bench.identities.0.cache.forget_all();
    let before = bench.calls().len();
    let mut last = before;
    for second in 0..20 {
        for user in 0..USERS {
            let answer = ask(&bench, user).await;
            assert!(!matches!(answer, Resolution::Denied(_)), "{answer:?}");
        }
        for _ in 0..50 {
            bench.clock.advance(20);
            tokio::time::advance(Duration::from_millis(20)).await;
            rest().await;
        }
        let made = bench.calls().len() - last;
        last += made;
        assert!(made <= RATE + RATE / 10 + 1, "second {second}: {made} refreshes");
    }
    assert!(last - before >= 10 * RATE, "and it does not stand still: {}", last - before);
}
