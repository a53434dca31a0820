//! ID tokens against a real issuer on loopback: every attack that matters is refused with its own reason, counted, and never
//! makes the gateway ask the provider more often than it should.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use uid2_gateway::net::{HyperTransport, Transport, TransportSettings, tls};
use uid2_gateway::sso::{Limits, Metrics, Providers, Refusal, Settings, Verified};
use uid2_gateway::telemetry::Registry;
use uid2_gateway::time::{Clock, UnixMillis};
use uid2_gateway::uid2::{DiiHash, Email, Phone};

use crate::support::issuer::{CLIENT, Issuer, Key, NAME, but, claims, forged, now};

pub(super) fn settings(issuer: &Issuer) -> Settings {
    Settings {
        id: "sign-in".into(),
        issuer: NAME.into(),
        audience: vec![CLIENT.into(), "client-of-app".into()],
        jwks_url: issuer.url().parse().unwrap(),
        email_claim: "email".into(),
        require_verified: true,
        allow_private_relay: false,
        relay_domains: vec!["relay.example.net".into()],
        limits: Limits::default(),
    }
}

pub(super) struct Bench {
    pub(super) providers: Providers,
    registry: Registry,
}

pub(super) fn bench(settings: Settings, clock: Clock) -> Bench {
    bench_of(vec![settings], clock)
}

fn bench_of(settings: Vec<Settings>, clock: Clock) -> Bench {
    let registry = Registry::new();
    let transport: Arc<dyn Transport> = Arc::new(HyperTransport::new(TransportSettings {
        connect_timeout: Duration::from_secs(1),
        max_response_bytes: 64 * 1024,
        tls: tls::client_config(None).unwrap(),
    }));
    let metrics = Metrics::register(&registry).unwrap();
    Bench { providers: Providers::new(settings, &transport, clock, metrics), registry }
}

impl Bench {
    pub(super) async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        self.providers.verify(token, &["sign-in".into()]).await
    }

    /// `verified`, or the reason.
    pub(super) async fn told(&self, token: &str) -> &'static str {
        self.verify(token).await.map_or_else(Refusal::as_str, |_| "verified")
    }

    fn counted(&self, provider: &str, result: &str) -> bool {
        let series = format!("uid2gw_id_tokens_total{{provider=\"{provider}\",result=\"{result}\"}} ");
        let text = String::from_utf8(self.registry.text().unwrap()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.is_some_and(|count| count.parse::<f64>().unwrap() >= 1.0)
    }
}

fn of(email: &str) -> DiiHash {
    DiiHash::of_email(&Email::parse(email).unwrap())
}

#[tokio::test]
async fn the_three_algorithms_are_understood() {
    let keys =
        [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].map(|algorithm| Key::new("k", algorithm));
    for key in &keys {
        let issuer = Issuer::start(&[key]).await;
        let bench = bench(settings(&issuer), Clock::System);
        let verified = bench.verify(&key.sign(&claims(" User1@Example.com"))).await.unwrap();
        assert_eq!((&*verified.provider, &*verified.issuer), ("sign-in", NAME));
        assert_eq!((verified.subject.as_str(), verified.dii), ("subject-1", of("user1@example.com")));
        assert!(bench.counted("sign-in", "verified"));
    }
}

type Case = (&'static str, String, &'static str);

/// Tokens that nobody signed, or not so.
fn forgeries(key: &Key, good: &Value) -> Vec<Case> {
    let stranger = Key::new("k1", Algorithm::RS256);
    let by = |header: Value, signature: &[u8]| forged(&header, good, signature);
    // The public key as the secret of an HMAC: what a reader that trusts `alg` would check by.
    let public = key.public();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(public["n"].as_str().unwrap().as_bytes()).unwrap();
    let unsigned = by(json!({"alg": "HS256", "kid": "k1"}), b"");
    mac.update(unsigned.trim_end_matches('.').as_bytes());
    let confused = format!("{unsigned}{}", base64url(&mac.finalize().into_bytes()));
    let valid = key.sign(good);
    let swapped = {
        let other = key.sign(&but(good.clone(), "email", json!("other@example.com")));
        let part = |token: &str, at| token.split('.').nth(at).unwrap().to_owned();
        format!("{}.{}.{}", part(&valid, 0), part(&other, 1), part(&valid, 2))
    };
    let (head, rest) = valid.split_once('.').unwrap();
    vec![
        ("alg none", by(json!({"alg": "none"}), b""), "algorithm"),
        ("alg None", by(json!({"alg": "None", "kid": "k1"}), b""), "algorithm"),
        ("HS256 with the public key", confused, "algorithm"),
        ("PS256", by(json!({"alg": "PS256", "kid": "k1"}), b"x"), "algorithm"),
        ("not the key's algorithm", by(json!({"alg": "ES256", "kid": "k1"}), &[1; 64]), "unknown_key"),
        ("a key of another kind", by(json!({"alg": "RS256", "kid": "secret"}), b"x"), "unknown_key"),
        ("a key for sealing", by(json!({"alg": "RS256", "kid": "sealing"}), b"x"), "unknown_key"),
        ("no signature", by(json!({"alg": "RS256", "kid": "k1"}), b""), "signature"),
        ("a stranger's signature", stranger.sign(good), "signature"),
        ("claims of another token", swapped, "signature"),
        (
            "a critical extension",
            by(json!({"alg": "RS256", "kid": "k1", "crit": ["b64"]}), b"x"),
            "malformed",
        ),
        ("an access token", by(json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"}), b"x"), "type"),
        ("a logout token", by(json!({"alg": "RS256", "kid": "k1", "typ": "logout+jwt"}), b"x"), "type"),
        ("a type that is no text", by(json!({"alg": "RS256", "kid": "k1", "typ": 1}), b"x"), "malformed"),
        ("two parts", "a.b".into(), "malformed"),
        ("four parts", format!("{valid}.x"), "malformed"),
        ("no JSON", "YQ.YQ.YQ".into(), "malformed"),
        ("padding", format!("{head}=.{rest}"), "malformed"),
        ("one byte too large", "x".repeat(8193), "too_large"),
        ("as large as may be", "x".repeat(8192), "malformed"),
    ]
}

/// Well signed, and not to be believed all the same.
fn odd_claims(key: &Key, good: &Value) -> Vec<Case> {
    let with = |name: &str, value: Value| key.sign(&but(good.clone(), name, value));
    vec![
        ("foreign issuer", with("iss", json!("https://evil.example")), "issuer"),
        ("issuer with a slash more", with("iss", json!(format!("{NAME}/"))), "issuer"),
        ("issuer in a list", with("iss", json!([NAME])), "malformed"),
        ("wrong audience", with("aud", json!("somebody-else")), "audience"),
        ("no audience", with("aud", Value::Null), "malformed"),
        ("several audiences, party not named", with("aud", json!([CLIENT, "somebody-else"])), "audience"),
        ("made for another party", with("azp", json!("somebody-else")), "audience"),
        ("expired", with("exp", json!(now() - 31)), "expired"),
        ("no end", with("exp", Value::Null), "malformed"),
        ("an end in words", with("exp", json!("tomorrow")), "malformed"),
        ("not yet", with("nbf", json!(now() + 90)), "not_yet_valid"),
        ("issued tomorrow", with("iat", json!(now() + 86_400)), "not_yet_valid"),
        ("issued nobody says when", with("iat", Value::Null), "malformed"),
        ("issued in words", with("iat", json!("just now")), "malformed"),
        (
            "private relay of the configuration",
            with("email", json!("a@x.Relay.example.net")),
            "private_relay",
        ),
        ("no subject", with("sub", json!("")), "malformed"),
        ("no address", with("email", Value::Null), "no_address"),
        ("an address in a list", with("email", json!(["user1@example.com"])), "no_address"),
        ("no verdict on the address", with("email_verified", Value::Null), "unverified"),
        ("unverified", with("email_verified", json!(false)), "unverified"),
        ("verified in words", with("email_verified", json!("yes")), "unverified"),
        ("private relay", with("email", json!("x1@PrivateRelay.appleid.com")), "private_relay"),
        ("no e-mail address", with("email", json!("not an address")), "invalid_address"),
    ]
}

#[tokio::test]
async fn every_attack_is_refused_with_its_reason_and_counted() {
    let key = Key::new("k1", Algorithm::RS256);
    let issuer = Issuer::start(&[&key]).await;
    let bench = bench(settings(&issuer), Clock::System);
    let good = claims("user1@example.com");
    for (about, token, reason) in forgeries(&key, &good).into_iter().chain(odd_claims(&key, &good)) {
        assert_eq!(bench.told(&token).await, reason, "{about}");
        let counted = bench.counted("sign-in", reason) || bench.counted("unknown", reason);
        assert!(counted, "{about} is counted");
    }
    let valid = key.sign(&good);
    assert_eq!(bench.told(&valid).await, "verified", "and the good one is still good");
    assert_eq!(issuer.asked(), 1, "all of it cost the provider one request");
    assert_eq!(
        bench.providers.verify(&valid, &[]).await.unwrap_err(),
        Refusal::Issuer,
        "of no provider of theirs"
    );
}

#[tokio::test]
async fn a_member_that_stands_twice_is_refused() {
    let key = Key::new("k1", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let bench = bench(settings(&issuer), Clock::System);
    // serde_json keeps one of two members, so the text is made by hand: twice the issuer, and a header with two algorithms.
    let twice = format!(
        "{{\"iss\":{NAME:?},\"iss\":\"https://evil.example\",{}",
        &claims("a@example.com").to_string()[1..]
    );
    let head = base64url(br#"{"alg":"ES256","kid":"k1"}"#);
    assert_eq!(bench.told(&format!("{head}.{}.AAAA", base64url(twice.as_bytes()))).await, "malformed");
    // A claim that only some providers use, properly signed: the last one would count unseen.
    let twice = claims("a@example.com").to_string().replacen('{', "{\"email\":\"b@example.com\",", 1);
    assert_eq!(bench.told(&key.sign_text(&twice)).await, "malformed");
    let head = base64url(br#"{"alg":"none","alg":"ES256","kid":"k1"}"#);
    let claims = base64url(claims("a@example.com").to_string().as_bytes());
    assert_eq!(bench.told(&format!("{head}.{claims}.AAAA")).await, "malformed");
}

#[tokio::test]
async fn times_hold_with_half_a_minute_of_skew() {
    let key = Key::new("k1", Algorithm::EdDSA);
    let issuer = Issuer::start(&[&key]).await;
    let start = UnixMillis(1_800_000_000_000);
    let bench = bench(settings(&issuer), Clock::manual(start));
    let second = start.0 / 1_000;
    let good = but(but(claims("a@example.com"), "exp", json!(second + 600)), "iat", json!(second));
    for (name, value, told) in [
        ("exp", json!(second - 29), "verified"),
        ("exp", json!(second - 30), "expired"),
        ("nbf", json!(second + 30), "verified"),
        ("nbf", json!(second + 31), "not_yet_valid"),
        ("iat", json!(second + 30), "verified"),
        ("iat", json!(f64::from(31) + 1_800_000_000.0), "not_yet_valid"),
    ] {
        assert_eq!(
            bench.told(&key.sign(&but(good.clone(), name, value.clone()))).await,
            told,
            "{name} {value}"
        );
    }
}

#[tokio::test]
async fn what_the_configuration_allows_is_taken() {
    let key = Key::new("k1", Algorithm::EdDSA);
    let issuer = Issuer::start(&[&key]).await;
    let open = Settings { require_verified: false, allow_private_relay: true, ..settings(&issuer) };
    let bench_open = bench(open, Clock::System);
    let relay = but(claims("x1@privaterelay.appleid.com"), "email_verified", Value::Null);
    assert_eq!(bench_open.told(&key.sign(&relay)).await, "verified");
    let apple = but(claims("a@example.com"), "email_verified", json!("true"));
    let strict = bench(settings(&issuer), Clock::System);
    assert_eq!(strict.told(&key.sign(&apple)).await, "verified", "Apple writes the flag as text");
    let several =
        but(but(claims("a@example.com"), "aud", json!(["x", CLIENT])), "azp", json!("client-of-app"));
    assert_eq!(strict.told(&key.sign(&several)).await, "verified");
    let phones = bench(Settings { email_claim: "phone_number".into(), ..settings(&issuer) }, Clock::System);
    let phone = but(claims("a@example.com"), "phone_number", json!("+12345678901"));
    assert_eq!(phones.told(&key.sign(&phone)).await, "unverified");
    let verified = phones.verify(&key.sign(&but(phone, "phone_number_verified", json!(true)))).await.unwrap();
    assert_eq!(verified.dii, DiiHash::of_phone(&Phone::parse("+12345678901").unwrap()));
}

#[tokio::test]
async fn keys_rotate_and_a_flood_of_unknown_ones_is_bounded() {
    let (old, new) = (Key::new("old", Algorithm::ES256), Key::new("new", Algorithm::ES256));
    let issuer = Issuer::start(&[&old]).await;
    let clock = Clock::manual(UnixMillis(now() * 1_000));
    let bench = bench(settings(&issuer), clock.clone());
    let token = |key: &Key| key.sign(&but(claims("a@example.com"), "exp", json!(now() + 100_000)));
    assert_eq!(bench.told(&token(&old)).await, "verified");
    issuer.publish(&[&new]);
    let body = claims("a@example.com");
    for flood in 0..200 {
        let made_up = forged(&json!({"alg": "ES256", "kid": format!("k{flood}")}), &body, &[1; 64]);
        assert_eq!(bench.told(&made_up).await, "unknown_key");
    }
    assert_eq!(issuer.asked(), 1, "within the same minute nobody is asked");
    clock.advance(60_000);
    let fresh = token(&new);
    let told = futures_util::future::join_all((0..50).map(|_| bench.verify(&fresh))).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    assert_eq!(issuer.asked(), 2, "fifty at once are one request");
    assert_eq!(bench.told(&token(&old)).await, "unknown_key", "the old key is withdrawn");
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn the_last_good_keys_outlive_the_provider_for_a_day() {
    let key = Key::new("k1", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let clock = Clock::manual(UnixMillis(now() * 1_000));
    let bench = bench(settings(&issuer), clock.clone());
    let token = key.sign(&but(claims("a@example.com"), "exp", json!(now() + 10_000_000)));
    issuer.say(503, "down");
    assert_eq!(bench.told(&token).await, "unavailable");
    assert_eq!(bench.told(&token).await, "unavailable");
    assert_eq!(issuer.asked(), 1, "not asked again at once");
    issuer.publish(&[&key]);
    clock.advance(5_000);
    assert_eq!(bench.told(&token).await, "verified", "with no keys at all it is asked again soon");
    for (status, body) in [(200, "{}"), (200, r#"{"keys":[]}"#), (404, ""), (200, "no JSON")] {
        issuer.say(status, body);
        clock.advance(3_600_000);
        assert_eq!(bench.told(&token).await, "verified", "{status} {body}");
    }
    clock.advance(24 * 3_600_000);
    assert_eq!(bench.told(&token).await, "unavailable", "but not for ever");
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Two publishers whose pages have the same provider: a token of one page is none of the other publisher's.
#[tokio::test]
async fn tables_of_one_issuer_are_told_apart_by_their_audience() {
    let key = Key::new("k1", Algorithm::ES256);
    let issuer = Issuer::start(&[&key]).await;
    let table =
        |id: &str| Settings { id: id.into(), audience: vec![format!("client-of-{id}")], ..settings(&issuer) };
    let bench = bench_of(vec![table("acme"), table("other")], Clock::System);
    let token = key.sign(&but(claims("a@example.com"), "aud", json!("client-of-other")));
    for (trusted, expected) in [
        (vec!["other"], Ok("other")),
        (vec!["acme", "other"], Ok("other")),
        (vec!["other", "acme"], Ok("other")),
        (vec!["acme"], Err(Refusal::Audience)),
        (vec![], Err(Refusal::Issuer)),
    ] {
        let ids: Vec<Arc<str>> = trusted.iter().map(|id| Arc::from(*id)).collect();
        let verified = bench.providers.verify(&token, &ids).await.map(|verified| verified.provider);
        assert_eq!(verified.as_deref().map_err(|refusal| *refusal), expected, "{trusted:?}");
    }
}
