//! The sandbox's own switches.

use super::*;

#[test]
fn a_new_client_can_generate_and_its_tokens_decrypt() {
    let bench = Bench::new();
    let new = bench.control(&Method::POST, "clients", &json!({"site_id": 500, "name": "New"})).json;
    let key = new["api_key"].as_str().unwrap();
    assert!(key.starts_with("UID2-C-L-500-") && key.len() == 13 + 6 + 1 + 38, "{key}");
    let credentials: Credentials =
        (key.to_owned().leak(), new["client_secret"].as_str().unwrap().to_owned().leak());
    let answer = bench.ask(Endpoint::Generate, credentials, &json!({"email": "a@example.com"}));
    assert_eq!(bench.decrypted(&answer.json["body"]).site_id, 500);
    let token = json!({"token": answer.json["body"]["advertising_token"], "email": "a@example.com"});
    assert_eq!(bench.ask(Endpoint::Validate, credentials, &token).json["body"], true);
    assert_eq!(bench.ask(Endpoint::Bidstream, DSP, &Value::Null).json["body"]["keys"][5]["id"], 107);
}

#[test]
fn a_client_without_its_own_keyset_falls_back_and_cannot_validate() {
    let bench = Bench::new();
    let new = json!({"site_id": 500, "own_keyset": false, "roles": ["GENERATOR", "SHARER"]});
    let new = bench.control(&Method::POST, "clients", &new).json;
    let text = |name: &str| -> &'static str { new[name].as_str().unwrap().to_owned().leak() };
    let credentials = (text("api_key"), text("client_secret"));
    let body =
        bench.ask(Endpoint::Generate, credentials, &json!({"email": "a@example.com"})).json["body"].clone();
    assert_eq!(bench.decrypted(&body).site_id, 500);
    let token = json!({"token": body["advertising_token"], "email": "a@example.com"});
    let told = bench.ask(Endpoint::Validate, credentials, &token);
    assert_eq!(told.json["message"], "Unauthorised to validate token");
}

#[test]
fn nonsense_is_refused() {
    let bench = Bench::new();
    let status = |name: &str, body: Value| bench.control(&Method::POST, name, &body).status;
    assert_eq!(status("clients", json!({"site_id": 2})), 400);
    assert_eq!(status("clients", json!({"site_id": 3})), 200);
    assert_eq!(status("clients", json!({"site_id": 3, "role": "x"})), 400);
    assert_eq!(status("optout", json!({})), 400);
    assert_eq!(status("faults", json!({"faults": [{"fault": "none"}]})), 400);
    let lifetimes = |a, b, c| json!({"refresh_from_seconds": a, "identity_seconds": b, "refresh_seconds": c});
    assert_eq!(status("lifetimes", lifetimes(2, 1, 3)), 400);
    assert_eq!(status("lifetimes", lifetimes(1, 1, 3)), 200);
    assert_eq!(bench.send(&Method::GET, "/sandbox/optout", &[], b"").status, 405);
    assert_eq!(bench.send(&Method::GET, "/sandbox/other", &[], b"").status, 404);
    assert_eq!(bench.send(&Method::GET, "/v2/token/generate", &[], b"").status, 405);
    assert_eq!(bench.send(&Method::GET, "/ops/healthcheck", &[], b"").body, "OK");
}

#[test]
fn people_are_opted_out_and_in_by_any_name() {
    let bench = Bench::new();
    let raw_uid = bench.raw_uid_of("a@example.com");
    let hash = DiiHash::of_email(&Email::parse("a@example.com").unwrap()).to_base64();
    for name in [json!({"email": "a@example.com"}), json!({"email_hash": hash}), json!({"raw_uid": raw_uid})]
    {
        let told = || bench.generate(&json!({"email": "a@example.com"})).json["status"].clone();
        assert_eq!(bench.control(&Method::POST, "optout", &name).json["opted_out"], 1);
        assert_eq!(told(), "optout", "{name}");
        assert_eq!(bench.control(&Method::DELETE, "optout", &name).json["opted_out"], 0);
        assert_eq!(told(), "success");
    }
}

#[test]
fn statistics_count_endpoints_outcomes_and_repeated_refreshes() {
    let bench = Bench::new();
    let body = bench.generate_email("a@example.com");
    bench.generate(&json!({"email": "optout@example.com"}));
    bench.generate(&json!({}));
    bench.refresh(&body);
    bench.refresh(&body);
    let stats = bench.control(&Method::GET, "stats", &Value::Null).json;
    assert_eq!(stats["endpoints"]["generate"], json!({"success": 1, "optout": 1, "client_error": 1}));
    assert_eq!(stats["endpoints"]["refresh"], json!({"success": 2}));
    assert_eq!(stats["refreshes_max"], 2);
    assert_eq!(bench.operator.refreshes_of(body["refresh_token"].as_str().unwrap()), 2);
    bench.control(&Method::DELETE, "stats", &Value::Null);
    assert_eq!(bench.control(&Method::GET, "stats", &Value::Null).json["endpoints"], json!({}));
}
