//! Where two things happen at once, or one of them fails: nothing dead is sent, nothing is asked twice, nobody who
//! left comes back.

use super::*;
use crate::identity::flight::Boarding;

impl Bench {
    fn user(&self, user_id: &[u8]) -> Subject {
        of_user(self.identities.user_key(&self.publisher, user_id))
    }

    async fn login_user(&self, user_id: &[u8], address: &str) -> LoginAnswer {
        let login = login_of(self.identities.user_key(&self.publisher, user_id), address);
        self.identities.login(&self.publisher, login, consent()).await.unwrap()
    }

    async fn login_unless_overtaken(&self) {
        let login = self.login_as("u1@example.com").await;
        assert!(matches!(login, Ok(LoginAnswer::Active(_)) | Err(LoginError::Overtaken)), "{login:?}");
    }

    async fn resolve_user(&self, user_id: &[u8]) -> Resolution {
        self.resolve_of(&self.publisher, &self.user(user_id), Duration::MAX).await
    }

    async fn token(&self, ttl_s: Option<u64>) -> Result<String, LoginError> {
        let ttl = ttl_s.map(Duration::from_secs);
        Ok(match self.identities.token(&self.publisher, b"u1", ttl, consent()).await? {
            TokenAnswer::Token { token, .. } => token.as_str().replace("A4AAAAtoken", "#"),
            other => format!("{other:?}"),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_cached_token_is_never_sent_after_its_end() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.clock.advance(24 * HOUR); // the record is gone from the store, the cache still holds the token
    for _ in 0..20 {
        let answer = bench.resolve().await;
        assert!(matches!(answer.as_str(), "Dead" | "UnknownUser"), "{answer}");
        bench.clock.advance(1_000);
    }
    assert_eq!(bench.calls(), ["generate"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_sends_no_lapsed_token_either() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.store.close().await.unwrap();
    bench.clock.advance(3 * HOUR);
    for _ in 0..20 {
        assert_eq!(bench.resolve().await, "Store");
        bench.clock.advance(1_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_due_token_outlives_a_failing_store() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.store.close().await.unwrap();
    bench.clock.advance(HOUR);
    for _ in 0..20 {
        assert_eq!(bench.resolve().await, "Due #1");
        rest().await;
        bench.clock.advance(1_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_token_that_cannot_be_stored_is_sent_all_the_same() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1"); // its refresh hangs
    rest().await;
    // Awaiting the end of it would leave the runtime idle, and idle paused time jumps to the operator's timeout.
    let store = bench.store.clone();
    let closing = tokio::spawn(async move { store.close().await });
    rest().await;
    bench.operator.gate.add_permits(1);
    bench.becomes("Fresh #2").await;
    closing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_taken_and_never_made_is_taken_again() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    // Another flight of the same key, which only reads and is about to land.
    let Boarding::First(pilot, _) = bench.identities.0.flights.board(bench.key()) else {
        panic!("not the first")
    };
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1");
    pilot.land(&Resolution::Absent(Absence::Wait));
    bench.clock.advance(2 * MINUTE);
    assert_eq!(bench.resolve().await, "Due #1");
    bench.becomes("Fresh #2").await;
}

#[tokio::test(start_paused = true)]
async fn a_rejected_refresh_token_is_remembered_beyond_the_cache() {
    let bench = bench(&[HOURLY, Say::Rejected]);
    bench.login().await;
    bench.clock.advance(HOUR);
    for _ in 0..5 {
        bench.forget_cache();
        bench.becomes("Due #1").await;
        rest().await;
    }
    assert_eq!(bench.token(Some(24 * 3600)).await.unwrap(), "#1", "the freshest there is");
    bench.clock.advance(2 * HOUR);
    for _ in 0..60 {
        let answer = bench.resolve().await;
        assert!(matches!(answer.as_str(), "Wait" | "Dead" | "UnknownUser"), "{answer}");
        bench.clock.advance(MINUTE);
    }
    assert_eq!(bench.calls(), ["generate", "refresh"], "asked once, ever");
}

#[tokio::test(start_paused = true)]
async fn a_lapsed_record_whose_refresh_is_rejected_is_dropped() {
    let settings = Settings { wait: Duration::from_secs(1), ..Settings::default() };
    let bench = bench_with(settings, OPEN, &[HOURLY, Say::Rejected]);
    bench.login().await;
    bench.clock.advance(4 * HOUR);
    assert_eq!(bench.resolve().await, "Dead");
    assert!(bench.store.read(bench.key()).await.unwrap().is_none());
    for _ in 0..60 {
        let answer = bench.resolve().await;
        assert!(matches!(answer.as_str(), "Dead" | "UnknownUser"), "{answer}");
        bench.clock.advance(MINUTE);
    }
    assert_eq!(bench.calls(), ["generate", "refresh"]);
}

#[tokio::test(start_paused = true)]
async fn whoever_overtakes_a_refresh_is_what_counts() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1"); // its refresh hangs
    rest().await;
    let record = bench.store.read(bench.key()).await.unwrap().unwrap();
    let draft = Draft { state: State::LoggedOut, ..record.into() };
    bench.store.write(bench.key(), Expect::Any, draft).await.unwrap(); // by another node
    bench.operator.gate.add_permits(1);
    bench.becomes("LoggedOut").await;
}

#[tokio::test(start_paused = true)]
async fn a_logout_is_over_with_its_tombstone() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
    bench.clock.advance(24 * HOUR - 1);
    assert_eq!(bench.resolve().await, "LoggedOut");
    assert_eq!(bench.identities.see(&bench.subject()).denial(), Some(Denial::LoggedOut));
    bench.clock.advance(1);
    assert_eq!(bench.identities.see(&bench.subject()).denial(), None);
    assert_eq!(bench.resolve().await, "UnknownUser");
    bench.login().await;
    assert_eq!(bench.resolve().await, "Fresh #2");
}

#[tokio::test(start_paused = true)]
async fn many_token_calls_make_one_refresh() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(MINUTE);
    let calls = join_all((0..100).map(|_| bench.token(Some(24 * 3600))));
    let (answers, ()) = tokio::join!(calls, async {
        rest().await;
        bench.operator.gate.add_permits(OPEN);
    });
    assert!(answers.iter().all(|a| a.as_ref().is_ok_and(|token| token == "#2")), "{answers:?}");
    assert_eq!(bench.calls(), ["generate", "refresh"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_call_says_when_only_the_operator_could_help() {
    let bench = bench(&[HOURLY, Say::Down]);
    bench.login().await;
    assert_eq!(bench.token(Some(24 * 3600)).await.unwrap(), "#1", "better than nothing");
    bench.clock.advance(3 * HOUR);
    assert!(matches!(bench.token(None).await, Err(LoginError::Operator(operator::Fault::Connect))));
}

#[tokio::test(start_paused = true)]
async fn a_token_call_on_a_due_identity_refreshes_it_beside() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.token(None).await.unwrap(), "#1");
    rest().await;
    assert_eq!(bench.token(None).await.unwrap(), "#2");
    assert_eq!(bench.calls(), ["generate", "refresh"]);
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_reaches_everybody_with_the_identifier_and_nobody_else() {
    let bench = bench(&[HOURLY, HOURLY, Say::OptOut, HOURLY]);
    bench.login().await;
    bench.login_user(b"u2", "u1@example.com").await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1");
    bench.becomes("OptedOut").await;
    let second = bench.resolve_user(b"u2").await;
    assert!(matches!(second, Resolution::Denied(Denial::OptedOut)), "cached: {second:?}");
    assert_eq!(bench.identities.see(&bench.user(b"u2")).denial(), Some(Denial::OptedOut));
    bench.identities.0.cache.forget(&bench.user(b"u2").user.unwrap());
    let second = bench.resolve_user(b"u2").await;
    assert!(matches!(second, Resolution::Denied(Denial::OptedOut)), "from the store: {second:?}");
    // The user who opted out tries another address; that address belongs to somebody who did not.
    assert!(matches!(bench.login_user(b"u1", "free@example.com").await, LoginAnswer::OptedOut));
    assert!(matches!(bench.login_user(b"u3", "free@example.com").await, LoginAnswer::Active(_)));
}

#[tokio::test(start_paused = true)]
async fn being_turned_away_does_not_prolong_an_opt_out() {
    let bench = bench(&[Say::OptOut, HOURLY]);
    assert!(matches!(bench.login_as("u1@example.com").await, Ok(LoginAnswer::OptedOut)));
    bench.clock.advance(364 * 24 * HOUR);
    assert!(matches!(bench.login_as("u1@example.com").await, Ok(LoginAnswer::OptedOut)));
    bench.clock.advance(24 * HOUR);
    bench.login().await;
    assert_eq!(bench.resolve().await, "Fresh #2");
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_hangs_leaves_room_for_look_ups() {
    let bench = bench_with(Settings { max_flights: 4, ..Settings::default() }, 5, &[HOURLY]);
    let users: Vec<[u8; 1]> = (1..=5).map(|n| [n]).collect();
    for user in &users {
        bench.login_user(user, &format!("u{}@example.com", user[0])).await; // takes a permit
    }
    bench.clock.advance(HOUR);
    for user in &users {
        bench.identities.0.cache.forget(&bench.user(user).user.unwrap());
    }
    for user in &users {
        let answer = bench.resolve_user(user).await;
        assert!(matches!(&answer, Resolution::Token(token) if token.how == How::Due), "{user:?}: {answer:?}");
        rest().await;
    }
    assert!(bench.identities.0.flights.under_way() <= 2, "refreshes take half of the room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_and_store_agree_after_any_scramble() {
    let due_at_once = Say::Success(0, 3 * HOUR, 24 * HOUR);
    let settings = Settings { wait: Duration::from_secs(5), ..Settings::default() };
    let bench = Arc::new(bench_with(settings, OPEN, &[due_at_once]));
    bench.login().await;
    for round in 0..40 {
        // An eviction. Not while others run: nothing is evicted between a write and the insert that follows it.
        if round % 2 == 0 {
            bench.forget_cache();
        }
        let tasks = (0..6).map(|n| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move {
                match (round + n) % 6 {
                    0 => bench.login_unless_overtaken().await,
                    1 => bench.identities.logout(&bench.publisher, b"u1").await.unwrap(),
                    2 => drop(bench.token(Some(24 * 3600)).await),
                    _ => drop(bench.resolve().await),
                }
                bench.clock.advance(100);
            })
        });
        assert!(join_all(tasks).await.iter().all(Result::is_ok));
        // A refresh may still be on its way: what it brings is seen by both.
        while bench.identities.0.flights.under_way() > 0 {
            tokio::task::yield_now().await;
        }
        let record = bench.store.read(bench.key()).await.unwrap().unwrap();
        let cached = bench.identities.0.cache.find(&bench.key());
        let agree = cached.as_ref().is_none_or(|entry| entry.generation == record.generation);
        assert!(agree, "{round}: {cached:?} {record:?}");
    }
}
