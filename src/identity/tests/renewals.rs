//! Cookies that are renewed: once per refresh token, whatever is brought, and what remains of it; a logout and an
//! opt-out end them.

use super::*;
use crate::uid2::cookie::write::{self, Attributes, SameSite};

const DAY: i64 = 24 * HOUR;
const KEY: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";

fn attributes(sealed: bool) -> Attributes {
    let name = if sealed { "own".into() } else { "__uid_2".into() };
    Attributes { name, domain: None, path: "/".into(), same_site: SameSite::Lax, sealed }
}

/// A bench whose publisher keeps a cookie.
pub(super) fn keeping(sealed: bool, settings: Settings, gate: usize, script: &[Say]) -> Bench {
    let mut bench = bench_with(settings, gate, script);
    bench.publisher = bench.publisher.clone().keeping(Some(Arc::new(attributes(sealed))));
    bench
}

fn token() -> String {
    format!("A4{}", "-".repeat(198))
}

/// A cookie as the SDK writes it, whose times are so many milliseconds from now.
fn cookie(bench: &Bench, refresh_token: &str, [from, expires, refresh]: [i64; 3]) -> String {
    let (now, token) = (bench.clock.now().0, token());
    let text = format!(
        r#"{{"advertising_token":"{token}","refresh_token":"{refresh_token}","refresh_response_key":"{KEY}","refresh_from":{},"identity_expires":{},"refresh_expires":{},"private":{{"x":1.50}}}}"#,
        now + from,
        now + expires,
        now + refresh
    );
    format!("__uid_2={}", write::readable(&text))
}

const DUE: [i64; 3] = [-1, HOUR, DAY];
const LAPSED: [i64; 3] = [-2, -1, DAY];

/// As the data path does it for a caller who is believed.
pub(super) fn subject(bench: &Bench, header: &str) -> Subject {
    let (browser, cookie) = bench.identities.browser(&bench.publisher, [header.as_bytes()].into_iter());
    let named = cookie.iter().flat_map(|cookie| cookie.keys()).collect();
    Subject { named, browser, cookie, ..Subject::default() }
}

pub(super) async fn sent(bench: &Bench, subject: &Subject) -> Resolution {
    if let Some(denial) = bench.identities.see(subject).denial() {
        return Resolution::Denied(denial);
    }
    if let Marked::Denied(denial) = bench.denial(subject).await {
        return Resolution::Denied(denial);
    }
    bench.identities.of_cookie(&bench.publisher, subject, consent(), || Duration::MAX).await
}

pub(super) fn told(resolution: &Resolution) -> String {
    match resolution {
        Resolution::Token(told) => {
            format!("{:?} {}", told.how, told.as_str().replace("A4AAAAtoken", "#").replace(&token(), "own"))
        }
        Resolution::Absent(absence) => format!("{absence:?}"),
        Resolution::Denied(denial) => format!("{denial:?}"),
    }
}

async fn says(bench: &Bench, header: &str) -> String {
    let answer = told(&sent(bench, &subject(bench, header)).await);
    rest().await;
    answer
}

/// The `Set-Cookie` of the answer to a request with this cookie, without its attributes and ready to be brought.
async fn kept(bench: &Bench, header: &str) -> Option<String> {
    let subject = subject(bench, header);
    let resolution = sent(bench, &subject).await;
    let token = if let Resolution::Token(token) = &resolution { Some(token) } else { None };
    let set = bench.identities.cookie_after(&bench.publisher, &subject, token)?;
    Some(set.split(';').next().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_due_cookie_is_renewed_once_and_the_next_request_gets_what_came_of_it() {
    let bench = keeping(false, Settings::default(), OPEN, &[HOURLY]);
    let old = cookie(&bench, "first", DUE);
    assert_eq!(kept(&bench, &old).await, None, "nothing new yet");
    rest().await;
    assert_eq!(says(&bench, &old).await, "Fresh #1");
    let new = kept(&bench, &old).await.unwrap();
    let text = format!("{new:?}");
    assert!(text.contains("A4AAAAtoken1") && text.contains("private%22%3A%7B%22x%22%3A1.50%7D"), "{text}");
    for _ in 0..20 {
        assert_eq!(says(&bench, &old).await, "Fresh #1");
    }
    assert_eq!(bench.calls(), ["refresh"]);
}

#[tokio::test(start_paused = true)]
async fn the_sync_way_says_the_same_and_starts_the_refresh_only_when_told_to() {
    let bench = keeping(false, Settings::default(), OPEN, &[HOURLY]);
    let brought = subject(&bench, &cookie(&bench, "first", DUE));
    assert_eq!(told(&bench.identities.brought(&bench.publisher, &brought, consent())), "Due own");
    rest().await;
    assert!(bench.calls().is_empty());
    bench.identities.renew(&bench.publisher, &brought, consent());
    rest().await;
    assert_eq!(told(&bench.identities.brought(&bench.publisher, &brought, consent())), "Fresh #1");
    bench.identities.renew(&bench.publisher, &brought, consent());
    rest().await;
    assert_eq!(bench.calls(), ["refresh"]);
}

#[tokio::test(start_paused = true)]
async fn a_lapsed_cookie_is_renewed_in_time_and_all_who_bring_it_hear_of_one_refresh() {
    let bench =
        keeping(false, Settings { wait: Duration::from_secs(1), ..Settings::default() }, 0, &[HOURLY]);
    let brought = subject(&bench, &cookie(&bench, "first", LAPSED));
    let asking = join_all((0..200).map(|_| sent(&bench, &brought)));
    let (answers, ()) = futures_util::future::join(asking, async {
        rest().await;
        bench.operator.gate.add_permits(OPEN);
    })
    .await;
    assert!(answers.iter().all(|answer| told(answer) == "Refreshed #1"));
    assert_eq!(bench.calls(), ["refresh"]);
    assert!(kept(&bench, &cookie(&bench, "first", LAPSED)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_cookie_that_stays_old_follows_what_came_of_it_and_the_new_one_asks_nobody_again() {
    let bench = keeping(false, Settings::default(), OPEN, &[HOURLY]);
    let old = cookie(&bench, "first", [-1, 9 * HOUR, DAY]);
    says(&bench, &old).await;
    bench.clock.advance(HOUR);
    assert_eq!(says(&bench, &old).await, "Due #1");
    assert_eq!(says(&bench, &old).await, "Fresh #2");
    assert_eq!(bench.calls().len(), 2, "the second with the second refresh token");
    bench.clock.advance(HOUR);
    assert_eq!(says(&bench, &old).await, "Due #2");
    assert_eq!(says(&bench, &old).await, "Fresh #3");
    assert_eq!(bench.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_operators_opt_out_ends_the_cookie_and_all_that_it_came_of() {
    let bench = keeping(false, Settings::default(), OPEN, &[HOURLY, Say::OptOut]);
    let old = cookie(&bench, "first", [-1, 9 * HOUR, DAY]);
    says(&bench, &old).await;
    bench.clock.advance(HOUR);
    assert_eq!(says(&bench, &old).await, "Due #1");
    assert_eq!(says(&bench, &old).await, "OptedOut");
    let marker = kept(&bench, &old).await.unwrap();
    assert_eq!(subject(&bench, &marker).browser, Some(Claim::OptedOut));
    // What a restart forgets.
    bench.identities.0.renewals.forget_all();
    assert_eq!(says(&bench, &old).await, "OptedOut");
    let other = cookie(&bench, "another", [-1, 9 * HOUR, DAY]);
    assert_eq!(says(&bench, &other).await, "OptedOut", "the same token with another refresh token");
    assert_eq!(bench.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_operator_does_not_take_is_not_asked_again_and_its_token_is_used_to_its_end() {
    let bench = keeping(false, Settings::default(), OPEN, &[Say::Rejected]);
    let old = cookie(&bench, "first", DUE);
    for _ in 0..5 {
        assert_eq!(says(&bench, &old).await, "Due own");
    }
    bench.clock.advance(HOUR);
    assert_eq!(says(&bench, &old).await, "Dead");
    assert_eq!(bench.calls().len(), 1);
    assert_eq!(kept(&bench, &old).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_followed_by_a_pause() {
    let mut script = vec![Say::Down; 3];
    script.push(HOURLY);
    let bench =
        keeping(false, Settings { wait: Duration::from_mins(1), ..Settings::default() }, OPEN, &script);
    let old = cookie(&bench, "first", LAPSED);
    assert_eq!(says(&bench, &old).await, "Operator");
    assert_eq!(says(&bench, &old).await, "Operator");
    assert_eq!(bench.calls().len(), 3, "the tries of one refresh");
    bench.clock.advance(2_001);
    assert_eq!(says(&bench, &old).await, "Refreshed #4");
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_and_what_is_asked_at_once_is_bounded() {
    let settings = Settings { cookie_entries: 10, ..Settings::default() };
    let bench = keeping(false, settings, OPEN, &[Say::Rejected]);
    for n in 0..10 {
        says(&bench, &cookie(&bench, &format!("r{n}"), DUE)).await;
    }
    assert_eq!(bench.identities.renewals(), 10);
    for n in 10..40 {
        says(&bench, &cookie(&bench, &format!("r{n}"), DUE)).await;
    }
    assert_eq!(bench.identities.renewals(), 10);

    let settings = Settings { cookie_refreshes: 2, ..Settings::default() };
    let bench = keeping(false, settings, 0, &[HOURLY]);
    for (name, expected) in [("r1", "Wait"), ("r2", "Wait"), ("r3", "Busy"), ("r1", "Wait")] {
        assert_eq!(says(&bench, &cookie(&bench, name, LAPSED)).await, expected, "{name}");
    }
    bench.operator.gate.add_permits(OPEN);
    rest().await;
    assert_eq!(bench.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_cookie_of_its_own_a_publisher_renews_nothing() {
    let bench = bench(&[HOURLY]);
    assert_eq!(says(&bench, &cookie(&bench, "first", DUE)).await, "Due own");
    assert_eq!(says(&bench, &cookie(&bench, "first", LAPSED)).await, "Lapsed");
    assert_eq!(kept(&bench, &cookie(&bench, "first", DUE)).await, None);
    assert!(bench.calls().is_empty());
}

/// A login's cookie, ready to be brought.
async fn of_login(bench: &Bench) -> String {
    let Ok(LoginAnswer::Active(identity)) = bench.login_as("u1@example.com").await else {
        panic!("no identity")
    };
    let set = bench.identities.cookie_of_login(&bench.publisher, (bench.key(), None), &identity).unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// The scripted operator's tokens are too short to be believed of a stranger; sealed, they are our own word.
fn long(script: &Bench) {
    script.operator.long.store(true, Ordering::Relaxed);
}

#[tokio::test(start_paused = true)]
async fn a_cookie_of_a_login_is_a_copy_of_the_users_record() {
    for sealed in [false, true] {
        let bench = keeping(sealed, Settings::default(), OPEN, &[HOURLY]);
        long(&bench);
        let old = of_login(&bench).await;
        assert!(says(&bench, &old).await.starts_with("Fresh #1"));
        assert_eq!(kept(&bench, &old).await, None);
        bench.clock.advance(HOUR);
        assert!(says(&bench, &old).await.starts_with("Due #1"), "sealed {sealed}");
        assert!(says(&bench, &old).await.starts_with("Fresh #2"));
        assert!(bench.resolve().await.starts_with("Fresh #2"), "one refresh for both");
        let new = kept(&bench, &old).await.unwrap();
        assert!(says(&bench, &new).await.starts_with("Fresh #2"));
        assert_eq!(kept(&bench, &new).await, None, "it is the newest");
        assert_eq!(bench.calls(), ["generate", "refresh"]);

        bench.identities.logout(&bench.publisher, b"u1").await.unwrap();
        for brought in [&old, &new] {
            assert_eq!(says(&bench, brought).await, "LoggedOut");
            assert_eq!(
                kept(&bench, brought).await.as_deref(),
                Some(if sealed { "own=" } else { "__uid_2=" })
            );
        }
        // Nothing is known of the logout any more, but the record does not come back.
        bench.clock.advance(2 * DAY);
        bench.store.sweep(bench.clock.now(), 100).await.unwrap();
        bench.forget_cache();
        assert_eq!(says(&bench, &new).await, "UnknownUser");
        assert_eq!(bench.calls(), ["generate", "refresh"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_that_claims_to_be_of_a_login_and_is_not_is_not_believed() {
    let bench = keeping(false, Settings::default(), OPEN, &[HOURLY]);
    let forged =
        cookie(&bench, "first", DUE).replace("%22private%22", "%22uid2gw%22%3A%22AAAA%22%2C%22private%22");
    assert_eq!(subject(&bench, &forged).browser, None);
    long(&bench);
    let theirs = of_login(&bench).await;
    assert!(subject(&bench, &theirs).browser.is_some());
    let mut other = bench;
    other.publisher = Publisher { id: "other".into(), ..other.publisher };
    assert_eq!(subject(&other, &theirs).browser, None, "another publisher's");
}

#[tokio::test(start_paused = true)]
async fn the_publishers_own_opt_out_ends_the_cookie_of_a_login() {
    let bench = keeping(true, Settings::default(), OPEN, &[HOURLY]);
    long(&bench);
    let old = of_login(&bench).await;
    bench.identities.opt_out_at_site(&bench.publisher, b"u1").await.unwrap();
    assert_eq!(says(&bench, &old).await, "OptedOut");
    let marker = kept(&bench, &old).await.unwrap();
    assert_eq!(subject(&bench, &marker).browser, Some(Claim::OptedOut));
}
