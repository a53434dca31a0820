//! The key endpoints.

use super::*;

fn ids(body: &Value) -> Vec<i64> {
    body["keys"].as_array().unwrap().iter().map(|key| key["id"].as_i64().unwrap()).collect()
}

#[test]
fn a_dsp_gets_every_publishers_keys() {
    let bench = Bench::new();
    let answer = bench.ask(Endpoint::Bidstream, DSP, &Value::Null);
    assert_eq!(answer.told(), (200, "success", ""));
    let body = &answer.json["body"];
    assert_eq!(ids(body), [101, 103, 104, 105, 106]);
    assert_eq!(body["max_bidstream_lifetime_seconds"], 3_610);
    assert_eq!((&body["identity_scope"], &body["allow_clock_skew_seconds"]), (&json!("UID2"), &json!(1_800)));
    assert_eq!(body["site_data"][0]["id"], 123);
    let master = &body["keys"][0];
    assert_eq!(master["secret"], "vPdQIoN1nTwXIQoH4/GcHOAct7ymyrGUKXNQhgmq+E8=");
    assert_eq!(master["expires"], 4_088_629_662_i64);
    assert_eq!(bench.ask(Endpoint::Bidstream, DSP, &json!({})).status, 200);
}

#[test]
fn publishers_get_no_bid_stream_keys() {
    let bench = Bench::new();
    assert_eq!(bench.ask(Endpoint::Bidstream, PUBLISHER, &Value::Null).told(), (401, "unauthorized", ""));
    assert_eq!(bench.ask(Endpoint::Sharing, PUBLISHER, &Value::Null).status, 401);
}

#[test]
fn sharing_marks_the_callers_own_keys_and_the_master_key() {
    let bench = Bench::new();
    let body = bench.ask(Endpoint::Sharing, SPECIAL, &Value::Null).json["body"].clone();
    assert_eq!((&body["caller_site_id"], &body["default_keyset_id"]), (&json!(999), &json!(503)));
    assert_eq!(
        (&body["master_keyset_id"], &body["token_expiry_seconds"]),
        (&json!(9_999_999), &json!("2592000"))
    );
    assert_eq!(body["max_sharing_lifetime_seconds"], 2_592_010);
    let keysets: Vec<&Value> = body["keys"].as_array().unwrap().iter().map(|key| &key["keyset_id"]).collect();
    assert_eq!(keysets, [&json!(9_999_999), &Value::Null, &Value::Null, &Value::Null, &json!(503)]);
    let dsp = bench.ask(Endpoint::Sharing, DSP, &Value::Null).json["body"].clone();
    assert!(dsp.get("max_sharing_lifetime_seconds").is_none());
}

#[test]
fn an_euid_operator_says_so() {
    let bench = Bench::of(Settings::mock(Scope::Euid));
    assert_eq!(bench.ask(Endpoint::Bidstream, DSP, &Value::Null).json["body"]["identity_scope"], "EUID");
}
