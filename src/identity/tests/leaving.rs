//! Whoever logs out or opts out is not represented: not after a restart, not by a login that began before, and not
//! because the store fails.

use super::*;

impl Bench {
    pub(super) async fn logout(&self) -> Result<(), LoginError> {
        self.identities.logout(&self.publisher, b"u1").await
    }

    pub(super) async fn denial(&self, subject: &Subject) -> Marked {
        self.identities.denial(&self.publisher, subject, || Duration::MAX).await
    }

    /// Logs in, and does this while the operator is at it.
    async fn login_while<F: Future<Output = ()>>(&self, meanwhile: F) -> Result<LoginAnswer, LoginError> {
        let beside = async {
            rest().await;
            meanwhile.await;
            self.operator.gate.add_permits(1);
        };
        tokio::join!(self.login_as("u1@example.com"), beside).0
    }

    async fn state(&self) -> Option<State> {
        self.store.read(self.key()).await.unwrap().map(|record| record.state)
    }
}

fn full() -> StoreError {
    StoreError::Broken("disk full")
}

#[tokio::test(start_paused = true)]
async fn a_logout_counts_after_a_restart_whoever_names_the_user() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.logout().await.unwrap();
    let named = Subject { named: [bench.key()].into_iter().collect(), ..Subject::default() };
    for subject in [bench.subject(), named] {
        assert_eq!(bench.identities.see(&subject).denial(), Some(Denial::LoggedOut));
        bench.forget_cache();
        assert_eq!(bench.identities.see(&subject).denial(), None, "memory has forgotten");
        assert_eq!(bench.denial(&subject).await, Marked::Denied(Denial::LoggedOut));
        assert_eq!(bench.identities.see(&subject).denial(), Some(Denial::LoggedOut));
    }
}

#[tokio::test(start_paused = true)]
async fn one_marker_among_the_named_is_enough() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    let other = bench.identities.user_key(&bench.publisher, b"u2");
    let login = login_of(bench.identities.user_key(&bench.publisher, b"u2"), "u2@example.com");
    bench.identities.login(&bench.publisher, login, consent()).await.unwrap();
    let named = [bench.key(), other].into_iter().collect();
    let both = Subject { user: Some(bench.key()), named, ..Subject::default() };
    assert_eq!(bench.denial(&both).await, Marked::Clear);
    bench.identities.logout(&bench.publisher, b"u2").await.unwrap();
    assert_eq!(bench.identities.see(&both).denial(), Some(Denial::LoggedOut));
    bench.forget_cache();
    bench.identities.0.cache.forget(&other);
    assert_eq!(bench.denial(&both).await, Marked::Denied(Denial::LoggedOut));
}

#[tokio::test(start_paused = true)]
async fn a_look_for_markers_asks_no_operator_and_spoils_no_refresh() {
    let settings = Settings { wait: Duration::from_secs(1), ..Settings::default() };
    let bench = bench_with(settings, OPEN, &[HOURLY]);
    assert_eq!(bench.denial(&bench.subject()).await, Marked::Clear, "a stranger");
    bench.login().await;
    for moment in ["fresh", "due", "lapsed"] {
        bench.forget_cache();
        assert_eq!(bench.denial(&bench.subject()).await, Marked::Clear, "{moment}");
        assert_eq!(
            bench.identities.denial(&bench.publisher, &bench.subject(), || Duration::ZERO).await,
            Marked::Clear
        );
        rest().await;
        assert_eq!(bench.calls(), ["generate"]);
        bench.clock.advance(2 * HOUR);
    }
    assert_eq!(bench.resolve().await, "Refreshed #2");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_in_time_is_unknown_and_then_known() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.logout().await.unwrap();
    bench.forget_cache();
    let at_once =
        async || bench.identities.denial(&bench.publisher, &bench.subject(), || Duration::ZERO).await;
    assert_eq!(at_once().await, Marked::Unknown);
    rest().await;
    assert_eq!(at_once().await, Marked::Denied(Denial::LoggedOut));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_too_much_under_way_is_unknown() {
    let bench = bench_with(Settings { max_flights: 1, ..Settings::default() }, OPEN, &[HOURLY]);
    bench.login().await;
    bench.forget_cache();
    let other = bench.identities.user_key(&bench.publisher, b"u2");
    let reading = bench.identities.0.glances.board(other);
    assert_eq!(bench.denial(&bench.subject()).await, Marked::Unknown);
    drop(reading);
    bench.store.fail(Fails::Read, &StoreError::Busy, 1);
    assert_eq!(bench.denial(&bench.subject()).await, Marked::Unknown);
    assert_eq!(bench.denial(&bench.subject()).await, Marked::Clear, "a full queue is not remembered");
    bench.forget_cache();
    bench.store.fail(Fails::Read, &full(), 1);
    for _ in 0..2 {
        assert_eq!(bench.denial(&bench.subject()).await, Marked::Unknown);
    }
    assert_eq!(bench.store.faults_left(), 0, "one read");
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_of_the_identifier_is_found_behind_the_record() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    let dii = bench.store.read(bench.key()).await.unwrap().unwrap().dii.unwrap();
    bench.store.opt_out(vec![dii], START, START.plus(HOUR)).await.unwrap();
    bench.forget_cache();
    assert_eq!(bench.denial(&bench.subject()).await, Marked::Denied(Denial::OptedOut));
}

#[tokio::test(start_paused = true)]
async fn a_logout_beats_a_login_that_began_before() {
    for before in ["nobody", "logged in", "logged out"] {
        let bench = bench_with(Settings::default(), 0, &[HOURLY]);
        if before != "nobody" {
            bench.operator.gate.add_permits(1);
            bench.login().await;
        }
        if before == "logged out" {
            bench.logout().await.unwrap();
        }
        let login = Box::pin(bench.login_while(async { bench.logout().await.unwrap() })).await;
        assert!(matches!(login, Err(LoginError::Overtaken)), "{before}: {login:?}");
        assert_eq!(bench.state().await, Some(State::LoggedOut), "{before}");
        assert_eq!(bench.resolve().await, "LoggedOut", "{before}");
        bench.operator.gate.add_permits(1);
        bench.login().await;
        assert!(bench.resolve().await.starts_with("Fresh"), "a login after it counts");
    }
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_beats_a_login_that_began_before() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY]);
    bench.login().await;
    let record = bench.store.read(bench.key()).await.unwrap().unwrap();
    let marker = Draft { state: State::OptedOut, ..record.into() };
    let other_node = async {
        bench.store.write(bench.key(), Expect::Any, marker).await.unwrap();
    };
    let login = bench.login_while(other_node).await;
    assert!(matches!(login, Ok(LoginAnswer::OptedOut)), "{login:?}");
    assert_eq!(bench.state().await, Some(State::OptedOut));
    assert_eq!(bench.resolve().await, "OptedOut");
    bench.forget_cache();
    assert!(
        matches!(bench.login_as("u1@example.com").await, Ok(LoginAnswer::OptedOut)),
        "not asked for again"
    );
    assert_eq!(bench.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn logins_at_the_same_time_all_succeed_and_one_counts() {
    let bench = bench_with(Settings::default(), 0, &[HOURLY]);
    let logins = join_all((0..8).map(|_| bench.login_as("u1@example.com")));
    let (answers, ()) = tokio::join!(logins, async {
        rest().await;
        bench.operator.gate.add_permits(OPEN);
    });
    assert!(answers.iter().all(|answer| matches!(answer, Ok(LoginAnswer::Active(_)))), "{answers:?}");
    let Some(State::Active(identity)) = bench.state().await else { panic!("not active") };
    let number = identity.advertising_token.as_str().replace("A4AAAAtoken", "");
    assert_eq!(bench.resolve().await, format!("Fresh #{number}"), "cache and store agree");
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_cannot_be_stored_stops_the_token_here() {
    for fails in [Fails::Read, Fails::Write] {
        let bench = bench(&[HOURLY]);
        bench.login().await;
        bench.store.fail(fails, &full(), 1);
        assert!(matches!(bench.logout().await, Err(LoginError::Store(_))), "{fails:?}");
        assert_eq!(bench.resolve().await, "LoggedOut", "{fails:?}");
        assert!(matches!(bench.state().await, Some(State::Active(_))), "{fails:?}");
        bench.logout().await.unwrap();
        assert_eq!(bench.state().await, Some(State::LoggedOut), "{fails:?}: the next try");
        bench.login().await;
        assert_eq!(bench.resolve().await, "Fresh #2", "{fails:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_record_can_be_logged_out_and_logged_in_over() {
    let unreadable = StoreError::Sealed(OpenError::Refused);
    let bench = bench_with(Settings::default(), 1, &[HOURLY]);
    bench.login().await;
    bench.store.fail(Fails::Read, &unreadable, 1);
    bench.logout().await.unwrap();
    assert_eq!(bench.state().await, Some(State::LoggedOut));
    bench.store.fail(Fails::Read, &unreadable, 2);
    bench.operator.gate.add_permits(1);
    bench.login().await;
    assert_eq!(bench.resolve().await, "Fresh #2");
    bench.store.fail(Fails::Read, &unreadable, 1);
    let login = Box::pin(bench.login_while(async { bench.logout().await.unwrap() })).await;
    assert!(matches!(login, Err(LoginError::Overtaken)), "a logout in between is seen: {login:?}");
}
