//! The phase table, the outcomes of a refresh and the races, each as a table: one row, one story.

use super::*;

/// A row of the phase table (architecture, "Identity in one table").
struct Row {
    phase: &'static str,
    /// Milliseconds after the login.
    at: i64,
    now: &'static str,
    /// What a request gets once all is at rest.
    then: &'static str,
    calls: &'static [&'static str],
}

const fn row(
    phase: &'static str,
    at: i64,
    (now, then): (&'static str, &'static str),
    calls: &'static [&'static str],
) -> Row {
    Row { phase, at, now, then, calls }
}

const ASKED: &[&str] = &["generate", "refresh"];

#[tokio::test(start_paused = true)]
async fn the_phase_table() {
    let lapsed = 3 * HOUR - MINUTE;
    for Row { phase, at, now, then, calls } in [
        row("fresh, from the first moment", 0, ("Fresh #1", "Fresh #1"), &["generate"]),
        row("fresh, to the last", HOUR - 1, ("Fresh #1", "Fresh #1"), &["generate"]),
        row("due, from the first", HOUR, ("Due #1", "Fresh #2"), ASKED),
        row("due, to the last", lapsed - 1, ("Due #1", "Fresh #2"), ASKED),
        row("lapsed, from the first", lapsed, ("Refreshed #2", "Fresh #2"), ASKED),
        row("lapsed, to the last", 24 * HOUR - 1, ("Refreshed #2", "Fresh #2"), ASKED),
        row("dead", 24 * HOUR, ("Dead", "Dead"), &["generate"]),
    ] {
        let bench =
            bench_with(Settings { wait: Duration::from_secs(1), ..Settings::default() }, OPEN, &[HOURLY]);
        bench.login().await;
        bench.clock.advance(at);
        assert_eq!(bench.resolve().await, now, "{phase}");
        rest().await;
        assert_eq!(bench.resolve().await, then, "{phase}");
        rest().await;
        assert_eq!(bench.calls(), calls, "{phase}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_markers_of_the_phase_table_at_every_age() {
    for age in [0, HOUR, 3 * HOUR, 23 * HOUR] {
        let bench = bench(&[HOURLY]);
        bench.login().await;
        bench.clock.advance(age);
        bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
        bench.forget_cache();
        bench.becomes("LoggedOut").await;
        let now = bench.clock.now();
        bench.store.opt_out(vec![bench.key()], now, now.plus(HOUR)).await.unwrap();
        assert_eq!(bench.resolve().await, "OptedOut", "{age}: an opt-out is said before a logout");
        assert_eq!(bench.calls(), ["generate"], "{age}: nothing is asked");
    }
}

/// What a refresh comes to, while the token is still good and once it has lapsed (uid2-protocol §3.7).
struct Outcome {
    say: Say,
    while_good: &'static str,
    once_lapsed: &'static str,
    /// Whether this refresh token is sent again.
    again: bool,
}

#[tokio::test(start_paused = true)]
async fn what_each_outcome_of_a_refresh_comes_to() {
    let dead_on_arrival = Say::Success(-2, -1, HOUR);
    for Outcome { say, while_good, once_lapsed, again } in [
        Outcome { say: HOURLY, while_good: "Fresh #2", once_lapsed: "Refreshed #3", again: true },
        Outcome { say: Say::OptOut, while_good: "OptedOut", once_lapsed: "OptedOut", again: false },
        Outcome { say: Say::Rejected, while_good: "Due #1", once_lapsed: "Dead", again: false },
        Outcome { say: Say::Down, while_good: "Due #1", once_lapsed: "Operator", again: true },
        Outcome { say: dead_on_arrival, while_good: "Due #1", once_lapsed: "Operator", again: true },
    ] {
        // Patience for three tries and their pauses.
        let settings = Settings { wait: Duration::from_secs(10), ..Settings::default() };
        let bench = bench_with(settings, OPEN, &[HOURLY, say.clone()]);
        bench.login().await;
        bench.clock.advance(HOUR);
        assert_eq!(bench.resolve().await, "Due #1", "{say:?}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(bench.resolve().await, while_good, "{say:?}");
        let asked = bench.calls().len();
        bench.clock.advance(3 * HOUR);
        assert_eq!(bench.resolve().await, once_lapsed, "{say:?}");
        assert_eq!(bench.calls().len() > asked, again, "{say:?}");
    }
}

/// What happens while a refresh is at the operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meanwhile {
    Logout,
    OptOutOfUser,
    OptOutOfIdentifier,
    Login,
    LogoutThenLogin,
}

impl Meanwhile {
    /// What the operator says: to the first login, to another one, and at last to the refresh.
    fn script(self, late: &Say) -> Vec<Say> {
        let logs_in = matches!(self, Self::Login | Self::LogoutThenLogin);
        let logins = if logs_in { 2 } else { 1 };
        std::iter::repeat_n(HOURLY, logins).chain([late.clone()]).collect()
    }
}

impl Bench {
    async fn meanwhile(&self, what: Meanwhile) {
        let now = self.clock.now();
        let dii = self.store.read(self.key()).await.unwrap().unwrap().dii;
        match what {
            Meanwhile::Logout => self.identities.logout(&self.publisher, b"u1").await.unwrap(),
            Meanwhile::OptOutOfUser => {
                self.store.opt_out(vec![self.key()], now, now.plus(HOUR)).await.unwrap();
            }
            Meanwhile::OptOutOfIdentifier => {
                self.store.opt_out(vec![dii.unwrap()], now, now.plus(HOUR)).await.unwrap();
            }
            Meanwhile::Login => self.login().await,
            Meanwhile::LogoutThenLogin => {
                self.identities.logout(&self.publisher, b"u1").await.unwrap();
                self.login().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_while_a_refresh_is_in_flight_wins_whatever_it_brings() {
    let rows = [
        (Meanwhile::Logout, "LoggedOut"),
        (Meanwhile::OptOutOfUser, "OptedOut"),
        (Meanwhile::OptOutOfIdentifier, "OptedOut"),
        (Meanwhile::Login, "Fresh #2"),
        (Meanwhile::LogoutThenLogin, "Fresh #2"),
    ];
    for late in [HOURLY, Say::Rejected] {
        for age in [HOUR, 4 * HOUR] {
            for (what, expected) in rows {
                in_flight((what, expected), &late, age).await;
            }
        }
    }
}

/// One of them: a refresh of a token of this age hangs, this happens, and the answer comes late.
async fn in_flight((what, expected): (Meanwhile, &str), late: &Say, age: i64) {
    let bench = bench_with(Settings::default(), OPEN, &what.script(late));
    bench.login().await;
    bench.clock.advance(age);
    bench.operator.refreshes.forget_permits(OPEN);
    bench.resolve().await;
    rest().await; // its refresh hangs
    bench.meanwhile(what).await;
    rest().await;
    bench.operator.refreshes.add_permits(OPEN);
    rest().await;
    let story = format!("{what:?} while a refresh of {age} ms hangs that brings {late:?}");
    for again in ["cached", "from the store"] {
        let answer = bench.settled().await;
        // A record that ends with its refresh token takes with it whose identifier it was.
        let ended = expected == "OptedOut" && matches!(answer.as_str(), "Dead" | "UnknownUser");
        let may_end = what == Meanwhile::OptOutOfIdentifier && age > HOUR && matches!(late, Say::Rejected);
        assert!(answer == expected || (ended && may_end), "{story}, {again}: {answer}");
        assert_eq!(bench.calls().last().unwrap(), "refresh", "{story}: it was the last to be answered");
        bench.forget_cache();
    }
}

impl Bench {
    /// What requests get once all is at rest.
    async fn settled(&self) -> String {
        for _ in 0..10 {
            self.resolve().await;
            rest().await;
        }
        self.resolve().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_logout_beats_a_login_at_the_operator_even_when_the_filter_is_rebuilt_just_then() {
    let bench = bench_with(Settings::default(), 0, &[HOURLY]);
    let (login, ()) = tokio::join!(bench.login_as("u1@example.com"), async {
        rest().await;
        // There is no record yet: the rebuilt filter has the user from the login alone.
        bench.identities.0.known.rebuild(&bench.store).unwrap();
        bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
        bench.operator.gate.add_permits(1);
    });
    assert!(matches!(login, Err(LoginError::Overtaken)), "{login:?}");
    assert_eq!(bench.resolve().await, "LoggedOut");
    bench.identities.0.known.rebuild(&bench.store).unwrap();
    bench.forget_cache();
    bench.becomes("LoggedOut").await;
}
