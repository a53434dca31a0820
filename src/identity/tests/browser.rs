//! What a browser's cookie is worth over time, and that its opt-out is a marker.

use super::*;
use crate::uid2::cookie::Claim;

fn subject(bench: &Bench, value: &str) -> Subject {
    let header = format!("a=b; __uid_2={value}");
    let (browser, cookie) = bench.identities.browser(&bench.publisher, [header.as_bytes()].into_iter());
    Subject { browser, cookie, ..Subject::default() }
}

fn brought(bench: &Bench, subject: &Subject) -> String {
    match bench.identities.brought(&bench.publisher, subject, consent()) {
        Resolution::Token(token) => format!("{:?} {}", token.how, token.as_str()),
        Resolution::Absent(absence) => format!("{absence:?}"),
        Resolution::Denied(denial) => format!("{denial:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_cookie_is_worth_its_token_until_the_margin_before_its_expiry() {
    let bench = bench(&[]);
    let now = bench.clock.now().0;
    let token = format!("A4{}", "-".repeat(198));
    let cookie = format!(
        r#"{{"advertising_token":"{token}","refresh_from":{},"identity_expires":{},"refresh_expires":{}}}"#,
        now + HOUR,
        now + 2 * HOUR,
        now + 3 * HOUR
    );
    let subject = subject(&bench, &cookie);
    let margin = Settings::default().expiry_margin_ms;
    let mut at = 0;
    for (since, expected) in [
        (0, "Fresh AAAA"),
        (HOUR - 1, "Fresh AAAA"),
        (HOUR, "Due AAAA"),
        (2 * HOUR - margin - 1, "Due AAAA"),
        (2 * HOUR - margin, "Lapsed"),
        (3 * HOUR - 1, "Lapsed"),
        (3 * HOUR, "Dead"),
    ] {
        bench.clock.advance(since - at);
        at = since;
        assert_eq!(brought(&bench, &subject).replace(&token, "AAAA"), expected, "after {since} ms");
    }
    assert_eq!(brought(&bench, &Subject::default()), "NoHint");
    assert!(bench.calls().is_empty(), "the operator is not asked");
}

#[tokio::test(start_paused = true)]
async fn an_opt_out_in_a_cookie_is_a_marker() {
    let bench = bench(&[]);
    let left = subject(&bench, r#"{"status":"optout"}"#);
    assert_eq!(left.browser, Some(Claim::OptedOut));
    assert_eq!(bench.identities.see(&left).denial(), Some(Denial::OptedOut));
    assert_eq!(brought(&bench, &left), "NoHint");
    let holds = subject(&bench, r#"{"advertising_token":"AAAA"}"#);
    assert_eq!(bench.identities.see(&holds).denial(), None);
}

#[tokio::test(start_paused = true)]
async fn an_identifier_that_opted_out_marks_whoever_it_is_named_for() {
    let bench = bench(&[Say::OptOut]);
    let dii = dii("u1@example.com");
    let owner = Subject {
        named: [bench.identities.dii_key(&bench.publisher, &dii)].into_iter().collect(),
        ..Subject::default()
    };
    assert_eq!(bench.identities.see(&owner).denial(), None);
    assert_eq!(bench.denial(&owner).await, Marked::Clear, "nobody asks the store about a stranger");
    assert!(matches!(bench.login_as("u1@example.com").await, Ok(LoginAnswer::OptedOut)));
    assert_eq!(bench.identities.see(&owner).denial(), Some(Denial::OptedOut));
    assert_eq!(bench.denial(&owner).await, Marked::Denied(Denial::OptedOut));
}
