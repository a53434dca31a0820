//! Refresh: the chain, its ends, and what it tells to whom.

use super::super::raw_uid::FirstLevelHash;
use super::super::refresh_token::{self, Claims, Outer};
use super::*;
use crate::uid2::DiiKind;

/// An identity body whose refresh token says what the test wants.
fn forged(bench: &Bench, change: impl FnOnce(&mut Claims)) -> Value {
    let ring = bench.operator.key_ring();
    let key = ring.refresh(NOW).unwrap();
    let mut claims = Claims {
        scope: Scope::Uid2,
        kind: DiiKind::Email,
        site: 124,
        privacy_bits: 1,
        established: NOW,
        created: NOW,
        expires: NOW.plus(1_000),
        first_level_hash: FirstLevelHash([4; 32]),
    };
    change(&mut claims);
    let outer = Outer { response_key: [6; 32], inner: refresh_token::seal_inner(&claims, key, [1; 12]) };
    json!({
        "refresh_token": refresh_token::seal_outer(Scope::Uid2, key, [2; 12], &outer),
        "refresh_response_key": STANDARD.encode([6; 32]),
    })
}

#[test]
fn a_chain_keeps_raw_uid_and_establishment_and_renews_everything_else() {
    let bench = Bench::new();
    let first = bench.generate_email("user@example.com");
    bench.clock.advance(1_000_000);
    let answer = bench.refresh(&first);
    assert_eq!(answer.told(), (200, "success", ""));
    let second = &answer.json["body"];
    for (name, value) in first.as_object().unwrap() {
        assert_ne!(&second[name], value, "{name}");
    }
    let (before, after) = (bench.decrypted(&first), bench.decrypted(second));
    assert_eq!(after.raw_uid, before.raw_uid);
    assert_eq!((after.established, after.created), (NOW, NOW.plus(1_000_000)));
    assert_eq!(after.site_id, 124);
    // The old refresh token still works, and the new one too.
    assert_eq!(bench.refresh(&first).told(), (200, "success", ""));
    assert_eq!(bench.refresh(second).told(), (200, "success", ""));
}

#[test]
fn a_refresh_token_dies_after_its_expiry() {
    let bench = Bench::new();
    let body = bench.generate_email("a@example.com");
    bench.clock.advance(86_400_000);
    assert_eq!(bench.refresh(&body).told(), (200, "success", ""));
    bench.clock.advance(1);
    assert_eq!(bench.refresh(&body).told(), (400, "expired_token", "Expired Token presented"));
    let reply = bench.refresh_raw(body["refresh_token"].as_str().unwrap(), None);
    let unknown = Answer::of(&reply, |_| unreachable!());
    assert_eq!(unknown.told(), (400, "error", "Error refreshing token"));
}

#[test]
fn opt_outs_end_the_chain_for_everybody() {
    let bench = Bench::new();
    let optout = json!({"status": "optout"});
    let body = bench.generate_email("refresh-optout@example.com");
    assert_eq!(bench.refresh(&body).json, optout);
    let body = bench.generate_email("a@example.com");
    bench.operator.opt_out(&DiiHash::of_email(&Email::parse("a@example.com").unwrap()));
    assert_eq!(bench.refresh(&body).json, optout);
    let validate = bench.generate_email("validate@example.com");
    bench.operator.opt_out(&DiiHash::of_email(&Email::parse("validate@example.com").unwrap()));
    assert_eq!(bench.refresh(&validate).json["status"], "success");
    let reply = bench.refresh_raw(body["refresh_token"].as_str().unwrap(), None);
    assert_eq!((reply.status.as_u16(), reply.outcome), (200, "optout"));
}

#[test]
fn chains_from_before_the_cutoff_are_opted_out_even_when_expired() {
    let bench = Bench::new();
    let cutoff = UnixMillis(1_615_222_800_000);
    let before = forged(&bench, |claims| {
        (claims.established, claims.expires) = (cutoff.plus(-1), UnixMillis(0));
    });
    assert_eq!(bench.refresh(&before).json, json!({"status": "optout"}));
    let at = forged(&bench, |claims| claims.established = cutoff);
    assert_eq!(bench.refresh(&at).json["status"], "success");
}

#[test]
fn a_token_of_the_other_scope_is_invalid() {
    let bench = Bench::new();
    let euid = forged(&bench, |claims| claims.scope = Scope::Euid);
    assert_eq!(bench.refresh(&euid).told(), (400, "invalid_token", "Invalid Token presented"));
    let reply = bench.refresh_raw(euid["refresh_token"].as_str().unwrap(), Some("unknown"));
    assert_eq!(Answer::of(&reply, |_| unreachable!()).told(), (400, "error", "Error refreshing token"));
}

#[test]
fn damaged_outer_tokens_are_told_apart() {
    let bench = Bench::new();
    let good = bench.generate_email("a@example.com")["refresh_token"].as_str().unwrap().to_owned();
    let told = |body: String| {
        let answer = Answer::of(&bench.refresh_raw(&body, None), |_| unreachable!());
        answer.json["message"].as_str().unwrap().to_owned()
    };
    let (head, tail) = good.split_at(8);
    assert_eq!(told(format!("{head}*{}", tail.split_at(1).1)), "Invalid body: Body is not valid base64.");
    let unknown_key = told(format!("AAAAAAAA{tail}"));
    assert_eq!(unknown_key, "Invalid key: Generator of this token (Key ID: 0) does not exist.");
    let flipped = if tail.starts_with('A') { "B" } else { "A" };
    let damaged = told(format!("{head}{flipped}{}", tail.split_at(1).1));
    assert_eq!(damaged, "Invalid data: Check encryption method and encryption key.");
}

#[test]
fn any_other_length_is_a_legacy_token() {
    let bench = Bench::new();
    let body = bench.generate_email("a@example.com");
    let outer = body["refresh_token"].as_str().unwrap();
    for text in [format!("{outer}\n"), String::new(), "junk".to_owned()] {
        let answer = Answer::of(&bench.refresh_raw(&text, Some(PUBLISHER.0)), |_| unreachable!());
        assert_eq!(answer.told(), (400, "invalid_token", "Invalid Token presented"), "{text}");
    }
    let inner = refresh_token::open_outer(outer, &bench.operator.key_ring()).unwrap().inner;
    let answer = Answer::of(&bench.refresh_raw(&inner, None), |_| unreachable!());
    assert_eq!(answer.told(), (200, "success", ""));
    assert_eq!(answer.json["body"]["refresh_token"].as_str().unwrap().len(), 168);
}

#[test]
fn the_content_type_decides_only_the_answers_form() {
    let bench = Bench::new();
    let body = bench.generate_email("a@example.com");
    let token = body["refresh_token"].as_str().unwrap();
    let of = |content_type| {
        let headers = [(CONTENT_TYPE, content_type)];
        bench.send(&Method::POST, Endpoint::Refresh.path(), &headers, token.as_bytes()).content_type
    };
    assert_eq!(of("application/x-www-form-urlencoded"), Some("text/plain"));
    assert_eq!(of("application/octet-stream"), Some("application/octet-stream"));
}
