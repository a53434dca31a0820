//! Generate and validate.

use super::super::settings::Lifetimes;
use super::*;

#[test]
fn a_generated_token_decrypts_to_the_independent_raw_uid() {
    let bench = Bench::new();
    // One per salt bucket kind: version 2, version 4.
    for email in ["test@example.com", "user@example.com", "validate@example.com"] {
        let body = bench.generate_email(email);
        let token = bench.decrypted(&body);
        assert_eq!(token.raw_uid.to_base64(), bench.raw_uid_of(email), "{email}");
        assert_eq!((token.site_id, token.established, token.client_side), (124, NOW, false));
        assert_eq!(body["refresh_from"], NOW.0 + 900_000);
        assert_eq!(body["identity_expires"], NOW.0 + 3_600_000);
        assert_eq!(body["refresh_expires"], NOW.0 + 86_400_000);
    }
}

#[test]
fn all_four_identifiers_are_taken_in_every_form() {
    let bench = Bench::new();
    let raw = |payload: Value| {
        let answer = bench.generate(&payload);
        assert_eq!(answer.told(), (200, "success", ""), "{payload}");
        bench.decrypted(&answer.json["body"]).raw_uid.to_base64()
    };
    let expected = "yCevINTMQ+BMfihNbXjrDLbm/FF+JvBan5YqmToByik=";
    let hash = "lz3+Rj7IV4X1+Vr1ujkG7tstkxwk5pgkqJ6mXbpOgTs=";
    let hex = "973DFE463EC85785F5F95AF5BA3906EEDB2D931C24E69824A89EA65DBA4E813B";
    assert_eq!(raw(json!({"email": " TEST@Example.com "})), expected);
    assert_eq!(raw(json!({"email_hash": hash, "phone": null, "optout_check": 1})), expected);
    assert_eq!(raw(json!({"email_hash": hex})), expected);
    assert_eq!(raw(json!({"email_hash": hex.to_lowercase()})), expected);
    let phone = "JCALIn2jvn98OvQPhijCPNLUHrq2SB09ftuzecdG7Vv7";
    assert_eq!(raw(json!({"phone": "+12345678901"})), phone);
    assert_eq!(raw(json!({"phone_hash": "EObwtHBUqDNZR33LNSMdtt5cafsYFuGmuY4ZLenlue4="})), phone);
}

#[test]
fn what_is_not_one_good_identifier_is_refused() {
    let bench = Bench::new();
    let required =
        "Required Parameter Missing: exactly one of [email, email_hash, phone, phone_hash] must be specified";
    for payload in
        [json!({}), Value::Null, json!({"email": null}), json!({"email": "a@b.c", "phone": "+12345678901"})]
    {
        assert_eq!(bench.generate(&payload).told(), (400, "client_error", required), "{payload}");
    }
    for payload in [
        json!({"email": "no"}),
        json!({"phone": "12345678901"}),
        json!({"email_hash": "x"}),
        json!({"email": 7}),
    ] {
        assert_eq!(bench.generate(&payload).told(), (400, "client_error", "Invalid Identifier"), "{payload}");
    }
}

#[test]
fn only_a_generator_gets_in() {
    let bench = Bench::new();
    let denied = |credentials| bench.ask(Endpoint::Generate, credentials, &json!({"email": "a@b.c"}));
    assert_eq!(denied(DSP).json, json!({"status": "unauthorized"}));
    let unknown = ("UID2-C-L-1-x.y", PUBLISHER.1);
    assert_eq!(denied(unknown).told(), (401, "unauthorized", ""));
    let reply = bench.send(&Method::POST, Endpoint::Generate.path(), &[], b"");
    assert_eq!(reply.status, 401);
    assert_eq!(bench.ask(Endpoint::Generate, SPECIAL, &json!({"email": "a@b.c"})).status, 200);
}

#[test]
fn test_identities_and_opt_outs_answer_optout_without_a_body() {
    let bench = Bench::new();
    let told = |payload: Value| bench.generate(&payload).json;
    assert_eq!(told(json!({"email": "optout@example.com"})), json!({"status": "optout"}));
    assert_eq!(told(json!({"phone": "+00000000000"})), json!({"status": "optout"}));
    assert_eq!(told(json!({"email": "refresh-optout@example.com"}))["status"], "success");
    let email = DiiHash::of_email(&Email::parse("a@example.com").unwrap());
    bench.operator.opt_out(&email);
    assert_eq!(told(json!({"email": "A@example.com"})), json!({"status": "optout"}));
    bench.operator.opt_in(&email);
    assert_eq!(told(json!({"email": "a@example.com"}))["status"], "success");
    let validate = DiiHash::of_email(&Email::parse("validate@example.com").unwrap());
    bench.operator.opt_out(&validate);
    assert_eq!(told(json!({"email": "validate@example.com"}))["status"], "success");
}

#[test]
fn an_octet_stream_request_gets_an_octet_stream_answer() {
    let bench = Bench::new();
    let authorization = format!("Bearer {}", PUBLISHER.0);
    let text = bench.sealed(PUBLISHER, r#"{"email":"a@example.com"}"#);
    let wire = STANDARD.decode(&text).unwrap();
    let headers = [(AUTHORIZATION, authorization.as_str()), (CONTENT_TYPE, "application/octet-stream")];
    let path = Endpoint::Generate.path();
    let reply = bench.send(&Method::POST, path, &headers, &wire);
    assert_eq!(reply.content_type, Some("application/octet-stream"));
    assert!(open_response(&key(PUBLISHER), &reply.body, NONCE).is_ok());
    // Base64 under the binary type is tolerated, and answered as text.
    let reply = bench.send(&Method::POST, path, &headers, text.as_bytes());
    assert_eq!((reply.status.as_u16(), reply.content_type), (200, Some("text/plain")));
}

#[test]
fn an_envelope_error_is_clear_json() {
    let bench = Bench::new();
    let authorization = format!("Bearer {}", PUBLISHER.0);
    let reply = bench.send(&Method::POST, Endpoint::Generate.path(), &[(AUTHORIZATION, &authorization)], b"");
    let answer = Answer::of(&reply, |_| unreachable!());
    assert_eq!(answer.told(), (400, "client_error", "Invalid body: Body is missing."));
}

#[test]
fn one_seed_and_one_clock_give_the_same_tokens() {
    let tokens = || {
        let bench = Bench::new();
        [bench.generate_email("a@example.com"), bench.generate_email("a@example.com")]
    };
    let (first, second) = (tokens(), tokens());
    assert_eq!(first, second);
    assert_ne!(first[0]["advertising_token"], first[1]["advertising_token"]);
    assert_ne!(first[0]["refresh_response_key"], first[1]["refresh_response_key"]);
}

#[test]
fn an_euid_operator_makes_tokens_of_its_own_scope() {
    let bench = Bench::of(Settings::mock(Scope::Euid));
    let body = bench.generate_email("test@example.com");
    assert!(body["advertising_token"].as_str().unwrap().starts_with("E4"));
    assert!(body["refresh_token"].as_str().unwrap().starts_with("EAAAA"));
    assert_eq!(bench.decrypted(&body).raw_uid.to_base64(), bench.raw_uid_of("test@example.com"));
    let uid2 = Bench::new();
    let token = body["advertising_token"].as_str().unwrap();
    assert_eq!(decrypt_as_dsp(token, &uid2.operator.keys(), NOW), Err(super::super::Refusal::Scope));
}

#[test]
fn validate_compares_under_the_callers_own_key() {
    let bench = Bench::new();
    let body = bench.generate_email("test@example.com");
    let token = &body["advertising_token"];
    let ask = |credentials, payload: Value| bench.ask(Endpoint::Validate, credentials, &payload);
    let own = ask(PUBLISHER, json!({"token": token, "email": "test@example.com"}));
    assert_eq!(own.json, json!({"status": "success", "body": true}));
    let other = ask(PUBLISHER, json!({"token": token, "email": "user@example.com"}));
    assert_eq!(other.json, json!({"status": "success", "body": false}));
    let foreign = ask(SPECIAL, json!({"token": token, "email": "test@example.com"}));
    assert_eq!(foreign.told(), (400, "client_error", "Unauthorised to validate token"));
    for payload in [json!({"email": "a@b.c"}), json!({"token": "junk", "email": "a@b.c"})] {
        assert_eq!(ask(PUBLISHER, payload).told(), (400, "client_error", "Invalid token"));
    }
    assert_eq!(ask(PUBLISHER, json!({"token": token})).status, 400);
    assert_eq!(ask(DSP, json!({"token": token})).status, 401);
    // Neither expiry nor opt-out matter.
    bench.clock.advance(7_200_000);
    bench.operator.opt_out(&DiiHash::of_email(&Email::parse("test@example.com").unwrap()));
    let late = ask(PUBLISHER, json!({"token": token, "email": "test@example.com"}));
    assert_eq!(late.json["body"], true);
}

#[test]
fn changed_lifetimes_hold_for_what_is_made_from_then_on() {
    let bench = Bench::new();
    bench.operator.set_lifetimes(Lifetimes {
        refresh_from_seconds: 1,
        identity_seconds: 2,
        refresh_seconds: 3,
    });
    let body = bench.generate_email("a@example.com");
    assert_eq!(body["identity_expires"], NOW.0 + 2_000);
    assert_eq!(bench.operator.keys().max_lifetime_seconds, 12);
    bench.decrypted(&body);
}

#[test]
fn an_euid_operator_looks_at_the_tc_string_it_is_given() {
    let bench = Bench::of(Settings::mock(Scope::Euid));
    let told = |bench: &Bench, tcf: Value| {
        let answer = bench.generate(&json!({"email": "a@example.com", "tcf_consent_string": tcf}));
        (answer.status, answer.json["status"].clone(), answer.json["message"].clone())
    };
    let sufficient = "CPehNtWPehNtWABAMBFRACBoALAAAEJAAIYgAKwAQAKgArABAAqAAA";
    let other = "CPhJRpMPhJRpMABAMBFRACBoALAAAEJAAIYgAKwAQAKgArABAAqAAA";
    let lacking = "CPehXK9PehXK9ABAMBFRACBoADAAAEJAAIYgAKwAQAKgArABAAqAAA";
    for fine in [json!(sufficient), json!(other), Value::Null] {
        assert_eq!(told(&bench, fine), (200, json!("success"), Value::Null));
    }
    assert_eq!(told(&bench, json!(lacking)), (200, json!("insufficient_user_consent"), Value::Null));
    for invalid in [json!("invalid_consent_string"), json!(""), json!(1)] {
        assert_eq!(told(&bench, invalid), (400, json!("client_error"), json!("User consent is invalid")));
    }
    assert_eq!(told(&Bench::new(), json!("invalid_consent_string")).0, 200);
}
