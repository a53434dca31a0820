//! The identity maps.

use super::super::salts::{Material, Salts};
use super::*;

#[test]
fn version_3_answers_all_four_members_in_order() {
    let bench = Bench::new();
    let payload =
        json!({"email": ["user@example.com", "no", "optout@example.com"], "phone": ["+12345678901"]});
    let answer = bench.ask(Endpoint::MapV3, SPECIAL, &payload);
    let body = &answer.json["body"];
    let refresh = 1_817_078_400;
    assert_eq!(
        body["email"][0],
        json!({"u": "ICALImfE94kkoCsBn79kNqDk485MeuvZ3bHUdsmPcKIf", "p": null, "r": refresh})
    );
    assert_eq!(body["email"][1], json!({"e": "invalid identifier"}));
    assert_eq!(body["email"][2], json!({"e": "optout"}));
    assert_eq!(body["phone"][0]["u"], "JCALIn2jvn98OvQPhijCPNLUHrq2SB09ftuzecdG7Vv7");
    assert_eq!((&body["email_hash"], &body["phone_hash"]), (&json!([]), &json!([])));
}

#[test]
fn version_3_refuses_what_is_no_list_of_texts() {
    let bench = Bench::new();
    let told = |payload: Value| bench.ask(Endpoint::MapV3, SPECIAL, &payload).json["message"].clone();
    assert_eq!(told(json!({"email": ["a@b.c", null]})), "Incorrect request format");
    assert_eq!(told(json!({"email": "a@b.c"})), "Incorrect request format");
    assert!(told(json!({})).as_str().unwrap().starts_with("Required Parameter Missing: one or more of ["));
    assert_eq!(bench.ask(Endpoint::MapV3, PUBLISHER, &json!({"email": []})).status, 401);
}

#[test]
fn the_previous_raw_uid_is_told_for_90_days_and_a_past_refresh_becomes_midnight() {
    let mut salts = Salts::default();
    let age = 90 * 86_400_000;
    for bucket in &mut salts.buckets {
        bucket.previous = Some(Material::Salt("old".to_owned()));
        bucket.last_updated = NOW.plus(1 - age);
        bucket.refresh_from = NOW;
    }
    let bench = Bench::of(Settings { salts, ..Settings::default() });
    let item = || {
        let answer = bench.ask(Endpoint::MapV3, SPECIAL, &json!({"email": ["a@example.com"]}));
        answer.json["body"]["email"][0].clone()
    };
    assert!(item()["p"].is_string());
    // 2026-01-16T00:00:00Z
    assert_eq!(item()["r"], 1_768_521_600);
    bench.clock.advance(1);
    assert!(item()["p"].is_null());
}

#[test]
fn version_2_takes_one_list_and_leaves_out_an_empty_unmapped() {
    let bench = Bench::new();
    let ask = |payload: Value| bench.ask(Endpoint::MapV2, SPECIAL, &payload);
    let mapped = ask(json!({"email": ["test@example.com"]}));
    assert_eq!(
        mapped.json["body"],
        json!({"mapped": [{
            "identifier": "test@example.com",
            "advertising_id": "yCevINTMQ+BMfihNbXjrDLbm/FF+JvBan5YqmToByik=",
            "bucket_id": "bKaoveQoPR",
        }]})
    );
    let unmapped = ask(json!({"phone": ["+00000000000", "1"]}));
    assert_eq!(
        unmapped.json["body"],
        json!({"mapped": [], "unmapped": [
            {"identifier": "+00000000000", "reason": "optout"},
            {"identifier": "1", "reason": "invalid identifier"},
        ]})
    );
    assert_eq!(ask(json!({"email": [], "phone": []})).status, 400);
    assert_eq!(ask(json!({"email": "a@b.c"})).status, 400);
}
