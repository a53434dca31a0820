//! Session tokens: whom they name, and until when.

use super::renewals::told;
use super::*;

struct Session<'a> {
    bench: &'a Bench,
    text: String,
}

impl<'a> Session<'a> {
    async fn of(bench: &'a Bench) -> Self {
        let session = bench.identities.session(&bench.publisher, bench.key(), None).await.unwrap();
        Self { bench, text: session.unwrap().expose().clone() }
    }

    fn subject(&self) -> Subject {
        let ticket = self.bench.identities.session_of(&self.bench.publisher, self.text.as_bytes());
        let named = ticket.iter().map(Ticket::key).collect();
        Subject { session: ticket.map(Box::new), named, ..Subject::default() }
    }

    /// What it yields.
    async fn yields(&self) -> String {
        let subject = self.subject();
        if let Some(denial) = self.bench.identities.see(&subject).denial() {
            return format!("{denial:?}");
        }
        let (publisher, patience) = (&self.bench.publisher, || Duration::MAX);
        told(&self.bench.identities.of_session(publisher, &subject, consent(), patience).await)
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_names_its_user_until_its_end_and_through_every_refresh() {
    let settings = Settings { session_ttl_ms: 3 * HOUR, ..Settings::default() };
    let bench = bench_with(settings, OPEN, &[HOURLY]);
    bench.login().await;
    let session = Session::of(&bench).await;
    assert_eq!(session.yields().await, "Fresh #1");
    bench.clock.advance(HOUR);
    assert_eq!(session.yields().await, "Due #1");
    rest().await;
    assert_eq!(session.yields().await, "Fresh #2");
    bench.forget_cache();
    assert_eq!(session.yields().await, "Fresh #2", "read from the store");
    bench.clock.advance(2 * HOUR - 1);
    assert!(session.yields().await.ends_with("#2"));
    bench.clock.advance(1);
    assert_eq!(session.yields().await, "NoHint", "from its end on");
}

#[tokio::test(start_paused = true)]
async fn a_logout_and_a_new_login_end_the_sessions_before() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    let first = Session::of(&bench).await;
    bench.clock.advance(1);
    bench.login().await;
    assert_eq!(first.yields().await, "NoHint", "the user logged in again");
    let second = Session::of(&bench).await;
    assert_eq!(second.yields().await, "Fresh #2");
    bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
    for session in [&first, &second] {
        assert_eq!(session.yields().await, "LoggedOut");
    }
    assert!(bench.identities.session(&bench.publisher, bench.key(), None).await.unwrap().is_none());
    bench.clock.advance(1);
    bench.login().await;
    for session in [&first, &second] {
        assert_eq!(session.yields().await, "NoHint");
        bench.forget_cache();
        assert_eq!(session.yields().await, "NoHint");
    }
    assert_eq!(Session::of(&bench).await.yields().await, "Fresh #3");
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_counts_however_old_the_session_is() {
    let bench = bench(&[HOURLY]);
    bench.login().await;
    let session = Session::of(&bench).await;
    bench.clock.advance(2 * HOUR);
    assert_eq!(session.yields().await, "NoHint");
    bench.identities.opt_out_at_site(&bench.publisher, b"u1").await.unwrap();
    assert_eq!(session.yields().await, "OptedOut");
}
