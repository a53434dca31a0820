//! Client-side generation, with the vectors' keys.

use ::http::header::ORIGIN;

use super::super::sites::KeyPair;
use super::*;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../../fixtures/uid2/cstg.json")).unwrap()
}

fn request() -> Value {
    let fixture = fixture();
    json!({
        "payload": fixture["rows"][0]["payload"],
        "iv": fixture["iv"],
        "public_key": fixture["client_public_key"],
        "timestamp": fixture["timestamp"],
        "subscription_id": fixture["subscription_id"],
    })
}

fn ask(bench: &Bench, request: &Value, origin: &str) -> Answer {
    let secret: [u8; 32] = super::super::encoding::from_hex(fixture()["shared_secret"].as_str().unwrap())
        .unwrap()
        .try_into()
        .unwrap();
    let body = request.to_string();
    let reply =
        bench.send(&Method::POST, Endpoint::ClientGenerate.path(), &[(ORIGIN, origin)], body.as_bytes());
    Answer::of(&reply, |wire| open_bare(&EnvelopeKey::from_bytes(&secret), wire).unwrap())
}

#[test]
fn a_page_gets_a_token_marked_as_made_on_the_clients_side() {
    let bench = Bench::new();
    let answer = ask(&bench, &request(), "https://shop.example.com");
    assert_eq!(answer.told(), (200, "success", ""));
    let token = bench.decrypted(&answer.json["body"]);
    assert!(token.client_side && token.site_id == 123);
    assert_eq!(token.raw_uid.to_base64(), bench.raw_uid_of("test@example.com"));
    let refreshed = bench.refresh(&answer.json["body"]);
    assert!(bench.decrypted(&refreshed.json["body"]).client_side);
}

#[test]
fn an_app_is_known_by_its_name_and_may_send_the_time_as_text() {
    let bench = Bench::new();
    let mut app = request();
    app["payload"] = fixture()["rows"][1]["payload"].clone();
    app["app_name"] = "com.uid2.devapp".into();
    assert_eq!(ask(&bench, &app, "null").told(), (200, "success", ""));
    app["timestamp"] = app["timestamp"].to_string().into();
    assert_eq!(ask(&bench, &app, "null").told(), (200, "success", ""));
    app["app_name"] = "com.other".into();
    assert_eq!(ask(&bench, &app, "null").told(), (403, "invalid_app_name", "unexpected app name"));
}

#[test]
fn opted_out_people_get_no_token() {
    let bench = Bench::new();
    bench.operator.opt_out(&DiiHash::of_email(&Email::parse("test@example.com").unwrap()));
    assert_eq!(ask(&bench, &request(), "http://localhost:3000").json, json!({"status": "optout"}));
}

#[test]
fn errors_come_in_the_operators_order() {
    let bench = Bench::new();
    let told = |member: &str, value: Value| {
        let mut request = request();
        request[member] = value;
        let answer = ask(&bench, &request, "https://example.com");
        (answer.status, answer.json["message"].as_str().unwrap().to_owned())
    };
    let bad = |message: &str| (400, message.to_owned());
    assert_eq!(told("subscription_id", json!("x")), bad("bad subscription_id"));
    assert_eq!(told("payload", Value::Null), bad("required parameters: payload, iv, public_key"));
    assert_eq!(told("public_key", json!("AAAA")), bad("bad public key"));
    assert_eq!(told("iv", json!("AAAA")), bad("bad iv"));
    assert_eq!(told("timestamp", json!(1)), bad("payload decryption failed"));
    assert_eq!(told("payload", json!("AAAA")), bad("payload decryption failed"));
    let origin = ask(&bench, &request(), "https://example.org");
    assert_eq!(origin.told(), (403, "invalid_http_origin", "unexpected http origin"));
    let raw = |body: &[u8]| bench.send(&Method::POST, Endpoint::ClientGenerate.path(), &[], body).body;
    assert!(
        raw(b"").ends_with(br#"expected but not found","status":"client_error"}"#)
            || raw(b"").starts_with(b"{\"message\":\"json payload expected")
    );
    assert!(raw(b"[").starts_with(b"{\"message\":\"json payload is not valid"));
    let disabled = KeyPair { disabled: true, ..KeyPair::mock() };
    let bench = Bench::of(Settings { key_pairs: vec![disabled], ..Settings::default() });
    assert_eq!(ask(&bench, &request(), "https://example.com").told(), (401, "unauthorized", "Unauthorized"));
}
