//! What was said of privacy at login, for as long as the identity lives and longer.

use super::*;
use crate::identity::cache::Entry;
use crate::identity::import::Imported;
use crate::privacy::Reason;
use crate::uid2::Times;

impl Bench {
    async fn login_saying(&self, publisher: &Publisher, said: Said) {
        let login = Login { said, ..login_of(self.key(), "u1@example.com") };
        let answer = self.identities.login(publisher, login, consent()).await;
        assert!(matches!(answer, Ok(LoginAnswer::Active(_))), "{answer:?}");
    }

    /// The publisher, once its policy lets identities go to the USA alone, and its logins assert notice or not.
    fn stricter(&self, notice: Notice) -> Publisher {
        self.publisher.clone().under(Arc::new(Policy::default()), notice)
    }

    async fn refuse(&self, said: Said) {
        self.identities.refuse(&self.publisher, self.key(), &said).await.unwrap();
    }
}

fn opted_out() -> Said {
    Said { us_privacy: Some("1YYN".into()), ..Said::default() }
}

fn coppa() -> Said {
    Said { coppa: true, ..Said::default() }
}

fn gpc() -> Said {
    Said { gpc: true, ..Said::default() }
}

#[tokio::test(start_paused = true)]
async fn what_was_said_comes_with_the_token_from_store_and_cache() {
    let bench = bench(&[HOURLY]);
    let said = Said { us_privacy: Some("1YNN".into()), notice: Some(true), ..Said::default() };
    bench.login_saying(&bench.publisher, said.clone()).await;
    for _ in 0..2 {
        let resolution = bench.resolve_of(&bench.publisher, &bench.subject(), Duration::MAX).await;
        let Resolution::Token(token) = resolution else { panic!("{resolution:?}") };
        assert_eq!(token.said(), Some(&said));
        bench.forget_cache();
    }
    // A refresh keeps it.
    bench.clock.advance(HOUR);
    bench.becomes("Fresh #2").await;
    assert_eq!(bench.store.read(bench.key()).await.unwrap().unwrap().said, said);
    // A login that says nothing forgets it.
    bench.login_saying(&bench.publisher, Said::default()).await;
    let Resolution::Token(token) = bench.resolve_of(&bench.publisher, &bench.subject(), Duration::MAX).await
    else {
        panic!("no token")
    };
    assert_eq!(token.said(), None);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_said_against_is_not_asked_for() {
    let bench = bench(&[HOURLY]);
    // What the policy allowed then, it forbids now.
    bench.login_saying(&bench.publisher, opted_out()).await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1", "each request is judged by whoever asks for the token");
    rest().await;
    bench.clock.advance(2 * HOUR - MINUTE);
    assert_eq!(bench.resolve().await, format!("Privacy({:?})", Reason::UsPrivacy), "lapsed");
    assert_eq!(bench.resolve().await, format!("Privacy({:?})", Reason::UsPrivacy), "remembered");
    assert_eq!(bench.calls(), ["generate"]);
    let status = bench.identities.status(&bench.publisher, b"u1").await.unwrap().unwrap();
    assert_eq!(status.phase, Phase::Lapsed, "nothing is lost: the policy may change again");
    let token = bench.identities.token(&bench.publisher, b"u1", None, consent()).await.unwrap();
    assert!(matches!(token, TokenAnswer::Denied(Denial::Privacy(Reason::UsPrivacy))), "{token:?}");
    let refreshed = bench.identities.refresh_now(&bench.publisher, b"u1", consent()).await.unwrap();
    assert!(matches!(refreshed, Some(LoginAnswer::Denied(Denial::Privacy(Reason::UsPrivacy)))));
}

#[tokio::test(start_paused = true)]
async fn without_notice_there_is_no_token_where_each_login_must_assert_it() {
    let bench = bench(&[HOURLY]);
    let per_login = bench.stricter(Notice::PerLogin);
    for notice in [None, Some(false)] {
        bench.login_saying(&per_login, Said { notice, ..Said::default() }).await;
        assert_eq!(bench.resolve_as(&per_login).await, "Notice");
        assert_eq!(bench.resolve().await.split(' ').next(), Some("Fresh"), "another publisher's rule");
        bench.forget_cache();
        assert_eq!(bench.resolve_as(&per_login).await, "Notice", "from the store");
        let token = bench.identities.token(&per_login, b"u1", None, consent()).await.unwrap();
        assert!(matches!(token, TokenAnswer::Denied(Denial::Notice)), "{token:?}");
    }
    bench.login_saying(&per_login, Said { notice: Some(true), ..Said::default() }).await;
    assert_eq!(bench.resolve_as(&per_login).await, "Fresh #3");
}

#[tokio::test(start_paused = true)]
async fn coppa_and_gpc_stay_until_the_user_logs_in_again() {
    for (said, reason) in [(coppa(), Reason::Coppa), (gpc(), Reason::Gpc)] {
        let bench = bench(&[HOURLY]);
        let denied = format!("Privacy({reason:?})");
        bench.refuse(said).await;
        assert_eq!(bench.resolve().await, denied, "of a user nobody knew");
        bench.forget_cache();
        assert_eq!(bench.resolve().await, denied, "from the store");
        // A logout, an opt-out that is taken back and a year change nothing.
        bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
        assert_eq!(bench.resolve().await, denied);
        bench.identities.opt_out_at_site(&bench.publisher, b"u1").await.unwrap();
        assert_eq!(bench.resolve().await, "OptedOut");
        bench.identities.opt_in_at_site(&bench.publisher, b"u1").await.unwrap();
        bench.clock.advance(366 * 24 * HOUR);
        bench.forget_cache();
        assert_eq!(bench.resolve().await, denied);
        bench.login().await;
        assert_eq!(bench.resolve().await, "Fresh #1");
        bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
        assert_eq!(bench.resolve().await, "LoggedOut", "forgotten with that login");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_now_ends_what_an_earlier_login_made() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    bench.refuse(opted_out()).await;
    assert_eq!(bench.resolve().await, "LoggedOut", "of an opt-out nothing stays but that they left");
    bench.login().await;
    bench.refuse(gpc()).await;
    assert_eq!(bench.resolve().await, "Privacy(Gpc)");
    let record = bench.store.read(bench.key()).await.unwrap().unwrap();
    assert_eq!(record.state, State::LoggedOut, "the identity is gone");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_wins_against_a_refresh_in_flight() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY]);
    bench.login().await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1");
    rest().await;
    bench.refuse(coppa()).await;
    bench.operator.gate.add_permits(OPEN);
    rest().await;
    assert_eq!(bench.resolve().await, "Privacy(Coppa)");
    bench.forget_cache();
    assert_eq!(bench.resolve().await, "Privacy(Coppa)");
}

#[tokio::test(start_paused = true)]
async fn an_identity_made_elsewhere_is_no_login() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    let State::Active(mut identity) = bench.store.read(bench.key()).await.unwrap().unwrap().state else {
        panic!("no identity")
    };
    identity.advertising_token = AdvertisingToken::parse(&format!("A4AAAA{}", "V".repeat(218))).unwrap();
    let import = async |publisher: &Publisher| {
        bench.identities.import(publisher, b"u1", identity.clone(), consent()).await.unwrap()
    };
    bench.refuse(coppa()).await;
    assert_eq!(import(&bench.publisher).await, Imported::Denied(Denial::Privacy(Reason::Coppa)));
    assert_eq!(bench.resolve().await, "Privacy(Coppa)");
    bench.login().await;
    assert_eq!(import(&bench.stricter(Notice::PerLogin)).await, Imported::Denied(Denial::Notice));
    bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
    assert_eq!(import(&bench.publisher).await, Imported::Stored, "a plain logout is over with it");
    assert!(bench.resolve().await.starts_with("Fresh A4AAAAVV"));
}

#[tokio::test(start_paused = true)]
async fn the_last_use_after_an_opt_out_is_measured() {
    let bench = bench_with(Settings::default(), 1, &[HOURLY, Say::OptOut]);
    bench.login().await;
    bench.clock.advance(HOUR);
    assert_eq!(bench.resolve().await, "Due #1");
    bench.operator.gate.add_permits(OPEN);
    bench.becomes("OptedOut").await;
    let measured = &bench.identities.0.metrics.optout_last_use;
    assert_eq!(measured.get_sample_count(), 1);
    assert!(measured.get_sample_sum().abs() < f64::EPSILON, "never after it was known");
    // A request that found the token just before and takes it just after.
    let known = bench.clock.now();
    let entry = Entry { generation: 1, what: cache::What::Token(token_used(known.plus(250))) };
    bench.identities.0.measure_last_use(Some(&entry), known);
    assert_eq!(measured.get_sample_count(), 2);
    assert!((measured.get_sample_sum() - 0.25).abs() < 1e-9);
}

fn token_used(at: UnixMillis) -> cache::Token {
    let times = Times { refresh_from: at, identity_expires: at, refresh_expires: at };
    let text = AdvertisingToken::parse("A4AAAA").unwrap();
    let token = cache::Token::new(text, times, Environment::Local, None);
    token.used(at);
    token
}

#[tokio::test(start_paused = true)]
async fn a_login_elsewhere_ends_the_tombstone_from_before_it_and_no_later_one() {
    let bench = bench(&[HOURLY]);
    let identities = &bench.identities;
    assert_eq!(identities.left(bench.key()).await.unwrap(), None);
    bench.login().await;
    assert_eq!(identities.left(bench.key()).await.unwrap(), None, "did not leave");
    identities.logout(&bench.publisher, b"u1").await.unwrap();
    let before = identities.left(bench.key()).await.unwrap().unwrap();
    identities.logout(&bench.publisher, b"u1").await.unwrap();
    identities.readmit(&bench.publisher, bench.key(), before).await.unwrap();
    assert_eq!(bench.resolve().await, "LoggedOut", "they left again meanwhile");
    let now = identities.left(bench.key()).await.unwrap().unwrap();
    identities.readmit(&bench.publisher, bench.key(), now).await.unwrap();
    assert_eq!(bench.resolve().await, "UnknownUser");
    bench.forget_cache();
    assert_eq!(bench.resolve().await, "UnknownUser", "from the store");
}
