//! The phase table, the opt-outs and the plain races.

use super::*;

#[tokio::test(start_paused = true)]
async fn nobody_and_strangers() {
    let bench = bench(&[HOURLY]);
    let nobody = bench.resolve_of(&bench.publisher, &Subject::default(), Duration::MAX).await;
    assert!(matches!(nobody, Resolution::Absent(Absence::NoHint)));
    assert_eq!(bench.resolve().await, "UnknownUser");
    assert!(bench.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn fresh_then_due_then_refreshed_beside() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    assert_eq!(bench.resolve().await, "Fresh #1");
    bench.clock.advance(HOUR - 1);
    assert_eq!(bench.resolve().await, "Fresh #1");
    bench.clock.advance(1);
    assert_eq!(bench.resolve().await, "Due #1", "the old token is used at once");
    bench.becomes("Fresh #2").await;
    assert_eq!(bench.calls(), ["generate", "refresh"], "one refresh");
}

#[tokio::test(start_paused = true)]
async fn lapsed_is_refreshed_within_the_budget() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.clock.advance(3 * HOUR - MINUTE - 1);
    assert_eq!(bench.resolve().await, "Due #1", "one millisecond before the margin");
    let lapsed =
        bench_with(Settings { wait: Duration::from_secs(1), ..Settings::default() }, OPEN, &[HOURLY]);
    lapsed.login().await;
    lapsed.clock.advance(3 * HOUR - MINUTE);
    assert_eq!(lapsed.resolve().await, "Refreshed #2", "inside the margin");
}

#[tokio::test(start_paused = true)]
async fn a_slow_operator_costs_the_budget_and_no_more() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY]);
    bench.login().await; // takes the only permit
    bench.clock.advance(4 * HOUR);
    let asked = tokio::time::Instant::now();
    assert_eq!(bench.resolve().await, "Wait");
    assert_eq!(asked.elapsed().as_millis(), 5, "paused time moves by the budget alone");
    bench.operator.gate.add_permits(1);
    bench.becomes("Fresh #2").await;
}

#[tokio::test(start_paused = true)]
async fn dead_is_not_asked_for() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.clock.advance(24 * HOUR);
    bench.forget_cache();
    // The store drops a record whose refresh token is dead.
    assert_eq!(bench.resolve().await, "UnknownUser");
    assert_eq!(bench.calls(), ["generate"]);
}

#[tokio::test(start_paused = true)]
async fn a_cold_record_is_found_in_the_store() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.forget_cache();
    bench.becomes("Fresh #1").await;
    assert_eq!(bench.calls(), ["generate"]);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_for_one_due_identity_make_one_refresh() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR);
    bench.forget_cache();
    let answers = join_all((0..1_000).map(|_| bench.resolve())).await;
    assert!(answers.iter().all(|a| a == "Due #1" || a == "Fresh #2"), "{answers:?}");
    bench.becomes("Fresh #2").await;
    assert_eq!(bench.calls(), ["generate", "refresh"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_takes_no_token_away_and_backs_off() {
    let bench = bench(&[HOURLY, Say::Down, Say::Down, Say::Down, HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR);
    for _ in 0..200 {
        assert_eq!(bench.resolve().await, "Due #1");
        tokio::time::advance(Duration::from_millis(50)).await;
    }
    let tries = bench.calls().len() - 1;
    assert_eq!(tries, 3, "one refresh of three tries; back-off by the clock that stands still");
    bench.clock.advance(2 * MINUTE);
    bench.becomes("Fresh #5").await;
}

#[tokio::test(start_paused = true)]
async fn a_rejected_refresh_token_is_never_sent_again() {
    let bench = bench(&[HOURLY, Say::Rejected]);
    bench.login().await;
    bench.clock.advance(HOUR);
    for _ in 0..50 {
        assert_eq!(bench.resolve().await, "Due #1", "usable until it expires");
        tokio::task::yield_now().await;
        bench.clock.advance(1_000);
    }
    assert_eq!(bench.calls(), ["generate", "refresh"]);
    bench.clock.advance(2 * HOUR);
    bench.becomes("Dead").await;
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_at_refresh_ends_it_for_user_and_identifier() {
    let bench = bench(&[HOURLY, Say::OptOut, HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1");
    bench.becomes("OptedOut").await;
    assert_eq!(bench.identities.see(&bench.subject()).denial(), Some(Denial::OptedOut));
    for address in ["u1@example.com", "other@example.com"] {
        assert!(matches!(bench.login_as(address).await, Ok(LoginAnswer::OptedOut)), "{address}");
    }
    let other = login_of(bench.identities.user_key(&bench.publisher, b"u2"), "u1@example.com");
    let answer = bench.identities.login(&bench.publisher, other, consent()).await;
    assert!(matches!(answer, Ok(LoginAnswer::OptedOut)), "the identifier under another user id");
    assert_eq!(bench.calls(), ["generate", "refresh"], "the operator is not asked again");
    bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
    assert_eq!(bench.resolve().await, "OptedOut", "a logout does not undo it");
    bench.clock.advance(366 * 24 * HOUR);
    bench.login().await;
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_at_login_is_remembered() {
    let bench = bench(&[Say::OptOut, HOURLY]);
    assert!(matches!(bench.login_as("u1@example.com").await, Ok(LoginAnswer::OptedOut)));
    assert_eq!(bench.resolve().await, "OptedOut");
    assert!(matches!(bench.login_as("u1@example.com").await, Ok(LoginAnswer::OptedOut)));
    assert_eq!(bench.calls(), ["generate"]);
}

#[tokio::test(start_paused = true)]
async fn a_late_refresh_loses_against_logout_and_login() {
    for newer in ["LoggedOut", "Fresh #2"] {
        let bench = bench_with(Settings::default(), 1, &[HOURLY]);
        bench.login().await;
        bench.clock.advance(HOUR);
        assert_eq!(bench.resolve().await, "Due #1"); // its refresh hangs
        if newer == "LoggedOut" {
            bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
            bench.operator.gate.add_permits(1);
        } else {
            // Let the login's generate pass first: it is the first to be answered.
            let login = bench.login();
            bench.operator.gate.add_permits(2);
            login.await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let record = bench.store.read(bench.key()).await.unwrap().unwrap();
        let answer = bench.resolve().await;
        if newer == "LoggedOut" {
            assert_eq!(answer, "LoggedOut");
            assert!(matches!(record.state, State::LoggedOut));
        } else {
            let State::Active(identity) = record.state else { panic!("{:?}", record.state) };
            let number = identity.advertising_token.as_str().replace("A4AAAAtoken", "");
            assert_eq!(answer, format!("Fresh #{number}"), "cache and store agree");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_of_another_node_wins_over_our_refresh() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1"); // its refresh hangs
    let record = bench.store.read(bench.key()).await.unwrap().unwrap();
    let draft = Draft { state: State::OptedOut, ..record.into() };
    let written = bench.store.write(bench.key(), Expect::Any, draft).await.unwrap();
    assert!(matches!(written, Written::Stored { .. }));
    bench.operator.gate.add_permits(1);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let record = bench.store.read(bench.key()).await.unwrap().unwrap();
    assert!(matches!(record.state, State::OptedOut), "our late answer did not overwrite it");
}

#[tokio::test(start_paused = true)]
async fn another_environment_is_never_sent() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    // Keys are per environment; a record that is found under the key of another one all the same is refused.
    let production = publisher(Environment::Production);
    assert_eq!(bench.resolve_as(&production).await, "Environment");
    bench.forget_cache();
    assert_eq!(bench.resolve_as(&production).await, "Environment");
}

#[tokio::test(start_paused = true)]
async fn too_much_under_way_is_busy_and_heals() {
    let settings = Settings { max_flights: 1, ..Settings::default() };
    let bench = bench_with(settings, 2, &[HOURLY]);
    bench.login().await;
    let login = login_of(bench.identities.user_key(&bench.publisher, b"u2"), "u2@example.com");
    bench.identities.login(&bench.publisher, login, consent()).await.unwrap();
    bench.clock.advance(4 * HOUR);
    assert_eq!(bench.resolve().await, "Wait"); // its refresh hangs and fills the room
    let second = of_user(bench.identities.user_key(&bench.publisher, b"u2"));
    let answer = bench.resolve_of(&bench.publisher, &second, Duration::MAX).await;
    assert!(matches!(answer, Resolution::Absent(Absence::Busy)), "{answer:?}");
    bench.operator.gate.add_permits(2);
    bench.becomes("Fresh #3").await;
}

#[tokio::test(start_paused = true)]
async fn the_token_call_refreshes_when_too_little_life_is_left() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    let token = async |ttl: Option<u64>| {
        let ttl = ttl.map(Duration::from_secs);
        match bench.identities.token(&bench.publisher, b"u1", ttl, consent()).await.unwrap() {
            TokenAnswer::Token { token, .. } => token.as_str().replace("A4AAAAtoken", "#"),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(token(None).await, "#1");
    assert_eq!(token(Some(3 * 3600)).await, "#1", "exactly as much as is left");
    assert_eq!(token(Some(3 * 3600 + 1)).await, "#1", "made just now: the freshest there is");
    bench.clock.advance(MINUTE);
    assert_eq!(token(Some(3 * 3600 - 59)).await, "#2", "one second more, and more than the operator gives");
    bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
    assert_eq!(token(None).await, "NotFound");
    let status = bench.identities.status(&bench.publisher, b"u1").await.unwrap().unwrap();
    assert_eq!(status.phase, Phase::LoggedOut);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_leaves_the_record_alone() {
    let bench = bench(&[HOURLY, Say::Down]);
    bench.login().await;
    assert!(matches!(bench.login_as("u1@example.com").await, Err(LoginError::Operator(_))));
    assert_eq!(bench.resolve().await, "Fresh #1");
}
