//! Faults that are answers. (Hanging and resetting: see `sockets`.)

use super::super::Refusal;
use super::*;
use crate::uid2::EnvelopeError;

fn struck(fault: &Value) -> (Bench, Reply) {
    let bench = Bench::new();
    bench.faults(&json!({ "faults": [fault] }));
    let reply = bench.raw(Endpoint::Generate, PUBLISHER, &json!({"email": "a@example.com"}));
    (bench, reply)
}

fn opened(reply: &Reply) -> Result<Value, EnvelopeError> {
    let wire = STANDARD.decode(&reply.body).unwrap();
    let opened = open_response(&key(PUBLISHER), &wire, NONCE)?;
    Ok(serde_json::from_slice(&opened.json).unwrap())
}

#[test]
fn statuses_come_with_their_bodies() {
    let rows = [
        ("unauthorized", 401, r#"{"status":"unauthorized"}"#),
        ("too_many_requests", 429, ""),
        ("internal_error", 500, "Internal Server Error"),
    ];
    for (fault, status, body) in rows {
        let reply = struck(&json!({ "fault": fault })).1;
        assert_eq!((reply.status.as_u16(), reply.body.as_ref()), (status, body.as_bytes()));
    }
}

#[test]
fn every_kind_of_400_can_be_asked_for() {
    let rows = [
        ("missing_body", "client_error", "Invalid body: Body is missing."),
        ("not_base64", "client_error", "Invalid body: Body is not valid base64."),
        ("too_short", "client_error", "Invalid body: Body too short."),
        ("unencrypted_json", "client_error", "Invalid body: The request body is unencrypted JSON."),
        ("version", "client_error", "Invalid body: Invalid request envelope format version"),
        ("client_secret", "client_error", "Invalid body: Check encryption key (ClientSecret)."),
        ("timestamp", "client_error", "Invalid timestamp: Request too old or client time drift."),
        ("payload", "client_error", "Invalid payload in body"),
        ("missing_parameter", "client_error", "Required Parameter Missing"),
        ("invalid_identifier", "client_error", "Invalid Identifier"),
        ("invalid_consent", "client_error", "User consent is invalid"),
        ("unknown_key", "client_error", "Invalid key: Generator of this token"),
        ("invalid_token", "invalid_token", ""),
        ("expired_token", "expired_token", ""),
        ("refresh_error", "error", "Error refreshing token"),
    ];
    for (reason, status, message) in rows {
        let reply = struck(&json!({ "fault": "bad_request", "reason": reason })).1;
        let answer = Answer::of(&reply, |_| unreachable!());
        let told = answer.told();
        assert!(told.0 == 400 && told.1 == status && told.2.starts_with(message), "{reason}: {told:?}");
    }
}

#[test]
fn sealed_answers_can_be_wrong_in_every_way() {
    let of = |fault: &str| struck(&json!({ "fault": fault })).1;
    assert_eq!(opened(&of("wrong_nonce")), Err(EnvelopeError::NonceMismatch));
    assert_eq!(opened(&of("wrong_key")), Err(EnvelopeError::Sealed));
    assert!(STANDARD.decode(&of("truncated").body).is_err());
    let garbage = of("garbage");
    assert!(garbage.status == 200 && STANDARD.decode(&garbage.body).is_err());
}

#[test]
fn a_refresh_answer_under_the_wrong_key_does_not_open() {
    let bench = Bench::new();
    let body = bench.generate_email("a@example.com");
    bench.faults(&json!({"faults": [{"fault": "wrong_key", "endpoint": "refresh"}]}));
    let reply = bench.refresh_raw(body["refresh_token"].as_str().unwrap(), None);
    let key = EnvelopeKey::from_base64(body["refresh_response_key"].as_str().unwrap()).unwrap();
    let wire = STANDARD.decode(&reply.body).unwrap();
    assert_eq!((reply.status.as_u16(), open_bare(&key, &wire)), (200, Err(EnvelopeError::Sealed)));
}

#[test]
fn a_clock_that_is_off_refuses_requests_or_shifts_answers() {
    let reply = struck(&json!({ "fault": "clock_offset", "offset_ms": 120_000 })).1;
    assert!(Answer::of(&reply, |_| unreachable!()).told().2.starts_with("Invalid timestamp"));
    let reply = struck(&json!({ "fault": "clock_offset", "offset_ms": 60_000 })).1;
    assert_eq!(opened(&reply).unwrap()["body"]["identity_expires"], NOW.0 + 3_660_000);
}

#[test]
fn answers_can_be_expired_or_short() {
    let (bench, reply) = struck(&json!({ "fault": "expired" }));
    let body = opened(&reply).unwrap()["body"].clone();
    assert_eq!(body["refresh_expires"], NOW.0 - 1_000);
    let token = body["advertising_token"].as_str().unwrap();
    assert_eq!(decrypt_as_dsp(token, &bench.operator.keys(), NOW), Err(Refusal::Expired));
    let lifetimes = json!({"refresh_from_seconds": 1, "identity_seconds": 2, "refresh_seconds": 3});
    let reply = struck(&json!({ "fault": "lifetimes", "lifetimes": lifetimes })).1;
    assert_eq!(opened(&reply).unwrap()["body"]["identity_expires"], NOW.0 + 2_000);
}

#[test]
fn an_identity_can_opt_out_between_generate_and_refresh() {
    let (bench, reply) = struck(&json!({ "fault": "opt_out", "next": 1 }));
    let body = opened(&reply).unwrap()["body"].clone();
    assert_eq!(bench.refresh(&body).json, json!({"status": "optout"}));
}

#[test]
fn only_the_endpoint_aimed_at_suffers() {
    let bench = Bench::new();
    bench.faults(&json!({"faults": [{"fault": "internal_error", "endpoint": "refresh"}]}));
    let body = bench.generate_email("a@example.com");
    let reply = bench.refresh_raw(body["refresh_token"].as_str().unwrap(), None);
    assert_eq!((reply.status.as_u16(), reply.outcome), (500, "internal_error"));
    bench.control(&Method::DELETE, "faults", &Value::Null);
    assert_eq!(bench.refresh(&body).json["status"], "success");
}
