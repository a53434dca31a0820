//! Every row of the outcome table: what comes back, and after how many requests.

use super::*;

const TIMESTAMP: &str =
    r#"{"status":"client_error","message":"Invalid timestamp: Request too old or client time drift."}"#;
const SECRET: &str =
    r#"{"status":"client_error","message":"Invalid body: Check encryption key (ClientSecret)."}"#;
const BASE64: &str = r#"{"status":"client_error","message":"Invalid body: Body is not valid base64."}"#;
const VERSION: &str = r#"{"status":"client_error","message":"Invalid body: Invalid request envelope format version: received 2, must be 1."}"#;
const IDENTIFIER: &str = r#"{"status":"client_error","message":"Invalid Identifier"}"#;
const MISSING: &str = r#"{"status":"client_error","message":"Required Parameter Missing: exactly one of email or email_hash must be specified"}"#;
const CONSENT: &str = r#"{"status":"client_error","message":"User consent is invalid"}"#;
const UNAUTHORIZED: &str = r#"{"status":"unauthorized"}"#;

/// A success without one member, and one that is dead on arrival.
fn unusable() -> [Value; 4] {
    let with = |member: &str, value: Value| {
        let mut json = success();
        json["body"][member] = value;
        json
    };
    let mut dead = with("refresh_from", (NOW.0 - 1).into());
    dead["body"]["identity_expires"] = NOW.0.into();
    [with("refresh_token", Value::Null), with("refresh_response_key", "short".into()), dead, refusal("maybe")]
}

/// Transient faults of every kind: three tries each.
fn transient() -> Vec<(Step, Fault)> {
    let mut rows = vec![
        (Step::Clear(429, ""), Fault::Throttled),
        (Step::Clear(500, "Internal Server Error"), Fault::Server),
        (Step::Clear(503, r#"{"status":"unknown"}"#), Fault::Server),
        (Step::Clear(408, ""), Fault::Timeout),
        (Step::Fail(|| TransportError::Connect("refused".into())), Fault::Connect),
        (Step::Fail(|| TransportError::Broken("reset".into())), Fault::Connect),
        (Step::Fail(|| TransportError::Timeout), Fault::Timeout),
        (Step::Fail(|| TransportError::TooLarge), Fault::Garbage),
        (Step::Clear(200, "not base64!"), Fault::Garbage),
        (Step::Clear(200, ""), Fault::Garbage),
        (Step::Clear(200, r#"{"status":"success"}"#), Fault::Garbage),
        (Step::Clear(204, ""), Fault::Garbage),
        (Step::WrongKey, Fault::Garbage),
    ];
    rows.extend(unusable().map(|json| (Step::Say(json), Fault::Garbage)));
    rows
}

/// The same trouble for either call: no retry.
fn configuration() -> Vec<(Step, Fault)> {
    vec![
        (Step::Clear(401, UNAUTHORIZED), Fault::Unauthorized),
        (Step::Clear(403, ""), Fault::Unauthorized),
        (Step::Clear(404, "Resource not found"), Fault::Misconfigured),
        (Step::Clear(405, ""), Fault::Misconfigured),
        (Step::Clear(413, "Request Entity Too Large"), Fault::Misconfigured),
        (Step::Clear(302, ""), Fault::Misconfigured),
    ]
}

async fn check_generate(step: Step, expected: Result<Minted, Fault>, requests: usize) {
    let bench = Bench::new(&["a"], vec![step; requests]);
    let got = bench.generate().await;
    assert_eq!((got, bench.hosts().len()), (expected, requests));
}

async fn check_refresh(step: Step, expected: Result<Minted, Fault>, requests: usize) {
    let bench = Bench::new(&["a"], vec![step; requests]);
    let got = bench.refresh().await;
    assert_eq!((got, bench.hosts().len()), (expected, requests));
}

#[tokio::test(start_paused = true)]
async fn generate_answers() {
    check_generate(Step::Say(success()), Ok(minted()), 1).await;
    check_generate(Step::Say(refusal("optout")), Ok(Minted::OptedOut), 1).await;
    let no_consent = Ok(Minted::InsufficientConsent);
    check_generate(Step::Say(refusal("insufficient_user_consent")), no_consent.clone(), 1).await;
    check_generate(Step::Clear(400, CONSENT), no_consent, 1).await;
}

#[tokio::test(start_paused = true)]
async fn generate_refusals_are_not_repeated() {
    for body in [IDENTIFIER, MISSING] {
        check_generate(Step::Clear(400, body), Err(Fault::InvalidDii), 1).await;
    }
    for body in [SECRET, BASE64, VERSION, "", "{}"] {
        check_generate(Step::Clear(400, body), Err(Fault::Misconfigured), 1).await;
    }
    for (step, fault) in configuration() {
        check_generate(step, Err(fault), 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_clock_is_retried_once() {
    check_generate(Step::Clear(400, TIMESTAMP), Err(Fault::Clock), 2).await;
    let bench = Bench::new(&["a"], vec![Step::Clear(400, TIMESTAMP), Step::Say(success())]);
    assert_eq!(bench.generate().await, Ok(minted()));
}

#[tokio::test(start_paused = true)]
async fn transient_faults_of_generate_are_tried_three_times() {
    for (step, fault) in transient() {
        check_generate(step, Err(fault), 3).await;
    }
    check_generate(Step::WrongNonce, Err(Fault::Garbage), 3).await;
}

#[tokio::test(start_paused = true)]
async fn refresh_answers() {
    check_refresh(Step::Say(success()), Ok(minted()), 1).await;
    check_refresh(Step::Say(refusal("optout")), Ok(Minted::OptedOut), 1).await;
}

#[tokio::test(start_paused = true)]
async fn every_400_ends_a_refresh_token() {
    let bodies = [
        r#"{"status":"invalid_token","message":"Invalid Token presented"}"#,
        r#"{"status":"expired_token","message":"Expired Token presented"}"#,
        r#"{"status":"error","message":"Error refreshing token"}"#,
        r#"{"status":"client_error","message":"Invalid key: Generator of this token (Key ID: 3) does not exist."}"#,
        TIMESTAMP,
        CONSENT,
        "",
    ];
    for body in bodies {
        check_refresh(Step::Clear(400, body), Err(Fault::RefreshRejected), 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn other_faults_of_refresh_leave_the_refresh_token_alive() {
    for (step, fault) in transient() {
        check_refresh(step, Err(fault), 3).await;
    }
    for (step, fault) in configuration() {
        check_refresh(step, Err(fault), 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_answer_opens_under_the_old_response_key_only() {
    // The step seals under the client secret instead.
    check_refresh(Step::WrongKey, Err(Fault::Garbage), 3).await;
    let bench = Bench::new(&["a"], vec![]);
    let mut broken = identity(&success());
    broken.refresh_response_key = Secret::new("AAAA".to_owned());
    let error = bench.client.refresh(&bench.credentials, &broken).await.unwrap_err();
    assert_eq!((error.fault, bench.hosts().len()), (Fault::RefreshRejected, 0));
}
