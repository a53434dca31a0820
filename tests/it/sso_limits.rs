//! What ID tokens and their providers' keys may cost, and how long a token counts: each limit at the limit and one past it.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use uid2_gateway::sso::{Limits, Settings};
use uid2_gateway::time::{Clock, UnixMillis};

use super::sso::{bench, settings};
use crate::support::issuer::{CLIENT, Issuer, Key, but, claims, now};

fn with(issuer: &Issuer, limits: Limits) -> Settings {
    Settings { limits, ..settings(issuer) }
}

/// A good token of so many bytes.
fn token_of(key: &Key, bytes: usize) -> String {
    let padded = |pad: usize| key.sign(&but(claims("a@example.com"), "pad", json!("x".repeat(pad))));
    let (mut pad, mut token) = (0, padded(0));
    while token.len() < bytes {
        // Three bytes more are four more digits.
        pad += ((bytes - token.len()) * 3 / 4).max(1);
        token = padded(pad);
    }
    token
}

#[tokio::test]
async fn a_token_may_be_as_large_as_configured_and_not_a_byte_larger() {
    let key = Key::new("k1", Algorithm::EdDSA);
    let issuer = Issuer::start(&[&key]).await;
    let token = token_of(&key, 700);
    let at = |max_token_bytes| Limits { max_token_bytes, ..Limits::default() };
    assert_eq!(bench(with(&issuer, at(token.len())), Clock::System).told(&token).await, "verified");
    assert_eq!(bench(with(&issuer, at(token.len() - 1)), Clock::System).told(&token).await, "too_large");
}

#[tokio::test]
async fn the_skew_is_what_the_configuration_says_and_a_token_counts_no_longer() {
    let key = Key::new("k1", Algorithm::EdDSA);
    let issuer = Issuer::start(&[&key]).await;
    let start = UnixMillis(1_800_000_000_000);
    let second = start.0 / 1_000;
    let good = but(but(claims("a@example.com"), "exp", json!(second + 600)), "iat", json!(second));
    let strict = bench(with(&issuer, Limits { skew_ms: 0, ..Limits::default() }), Clock::manual(start));
    for (name, value, told) in [
        ("exp", second + 1, "verified"),
        ("exp", second, "expired"),
        ("iat", second, "verified"),
        ("iat", second + 1, "not_yet_valid"),
        ("nbf", second, "verified"),
        ("nbf", second + 1, "not_yet_valid"),
    ] {
        assert_eq!(
            strict.told(&key.sign(&but(good.clone(), name, json!(value)))).await,
            told,
            "{name} {value}"
        );
    }
    let lax = bench(with(&issuer, Limits { skew_ms: 300_000, ..Limits::default() }), Clock::manual(start));
    let verified = lax.verify(&key.sign(&but(good.clone(), "exp", json!(second - 299)))).await.unwrap();
    assert_eq!(verified.until, UnixMillis((second + 1) * 1_000));
    assert_eq!(lax.told(&key.sign(&but(good, "exp", json!(second - 300)))).await, "expired");
}

#[tokio::test]
async fn a_token_without_a_type_or_with_that_of_a_jwt_is_one() {
    let key = Key::new("k1", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let bench = bench(settings(&issuer), Clock::System);
    let text = claims("a@example.com").to_string();
    for (typ, told) in [
        (None, "verified"),
        (Some("JWT"), "verified"),
        (Some("jwt"), "verified"),
        (Some("application/jwt"), "verified"),
        (Some("at+jwt"), "type"),
        (Some("application/at+jwt"), "type"),
        (Some(""), "type"),
    ] {
        assert_eq!(bench.told(&key.sign_as(typ, &text)).await, told, "{typ:?}");
    }
}

#[tokio::test]
async fn the_party_counts_where_there_are_several_audiences_or_where_it_is_named() {
    let key = Key::new("k1", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let bench = bench(settings(&issuer), Clock::System);
    for (aud, azp, told) in [
        (json!(CLIENT), Value::Null, "verified"),
        (json!([CLIENT]), Value::Null, "verified"),
        (json!([CLIENT, "x"]), Value::Null, "audience"),
        (json!([CLIENT, "x"]), json!(CLIENT), "verified"),
        (json!([CLIENT, "x"]), json!("x"), "audience"),
        (json!(CLIENT), json!("client-of-app"), "verified"),
        (json!(CLIENT), json!("x"), "audience"),
        (json!([]), json!(CLIENT), "audience"),
    ] {
        let token = key.sign(&but(but(claims("a@example.com"), "aud", aud.clone()), "azp", azp.clone()));
        assert_eq!(bench.told(&token).await, told, "{aud} {azp}");
    }
}

#[tokio::test]
async fn a_set_of_keys_may_be_as_large_and_hold_as_many_as_configured() {
    let (first, second) = (Key::new("k1", Algorithm::ES256), Key::new("k2", Algorithm::ES256));
    let issuer = Issuer::start(&[&first]).await;
    let body = json!({"keys": [first.public(), second.public()]}).to_string();
    issuer.say(200, &body);
    let token = second.sign(&claims("a@example.com"));
    for (limits, told) in [
        (Limits { max_jwks_bytes: body.len(), ..Limits::default() }, "verified"),
        (Limits { max_jwks_bytes: body.len() - 1, ..Limits::default() }, "unavailable"),
        (Limits { max_keys: 2, ..Limits::default() }, "verified"),
        (Limits { max_keys: 1, ..Limits::default() }, "unknown_key"),
    ] {
        assert_eq!(bench(with(&issuer, limits), Clock::System).told(&token).await, told, "{limits:?}");
    }
}

#[tokio::test]
async fn keys_are_asked_for_as_often_and_believed_as_long_as_configured() {
    let key = Key::new("k1", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let clock = Clock::manual(UnixMillis(now() * 1_000));
    let limits = Limits { renew_ms: 120_000, pause_ms: 10_000, stale_ms: 300_000, ..Limits::default() };
    let bench = bench(with(&issuer, limits), clock.clone());
    let long = but(claims("a@example.com"), "exp", json!(now() + 100_000));
    let (good, unknown) = (key.sign(&long), Key::new("k2", Algorithm::ES256).sign(&long));
    assert_eq!((bench.told(&good).await, issuer.asked()), ("verified", 1));
    clock.advance(9_999);
    assert_eq!((bench.told(&unknown).await, issuer.asked()), ("unknown_key", 1));
    clock.advance(1);
    assert_eq!((bench.told(&unknown).await, issuer.asked()), ("unknown_key", 2));
    clock.advance(119_999);
    assert_eq!((bench.told(&good).await, issuer.asked()), ("verified", 2));
    issuer.say(503, "down");
    clock.advance(1);
    assert_eq!(bench.told(&good).await, "verified");
    crate::support::poll::until("the keys to be asked for beside it", async || {
        (issuer.asked() == 3).then_some(())
    })
    .await;
    clock.advance(300_000 - 120_001);
    assert_eq!(bench.told(&good).await, "verified");
    clock.advance(1);
    assert_eq!(bench.told(&good).await, "unavailable");
}
