//! A provider's public keys (JWK Set, RFC 7517): asked for when first needed, again in the background while they are used,
//! and at once for a `kid` nobody has seen, but never more often than `jwks_pause_s` allows, whatever callers send.
//! While the provider is down the last good set goes on being used until it is `jwks_stale_s` old.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, StatusCode, Uri};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;

use super::{Limits, Refusal};
use crate::net::Transport;
use crate::time::{Clock, Deadline, UnixMillis};

/// Longest pause after a try that brought nothing while there are no keys at all, milliseconds.
const SHORT_PAUSE_MS: i64 = 5_000;
/// For the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(3);
/// One key.
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    public: DecodingKey,
}

/// What was learned last.
#[derive(Default)]
struct Known {
    keys: Vec<Arc<Key>>,
    at: Option<UnixMillis>,
}

/// The keys of one provider. Cheap to clone.
#[derive(Clone)]
pub(super) struct Jwks(Arc<Inner>);

struct Inner {
    url: Uri,
    limits: Limits,
    transport: Arc<dyn Transport>,
    clock: Clock,
    known: ArcSwap<Known>,
    /// When the next try may be; whoever asks holds it.
    next: Mutex<UnixMillis>,
}

impl Jwks {
    pub(super) fn new((url, limits): (Uri, Limits), transport: Arc<dyn Transport>, clock: Clock) -> Self {
        let next = Mutex::new(UnixMillis(i64::MIN));
        Self(Arc::new(Inner { url, limits, transport, clock, known: ArcSwap::default(), next }))
    }

    /// The key that a token names. A token without `kid` is only understood where there is no choice.
    pub(super) async fn key(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, Refusal> {
        let inner = &self.0;
        let known = inner.known.load();
        if let Some(key) =
            known.find(kid, algorithm).filter(|_| known.age(inner.clock.now()) < inner.limits.stale_ms)
        {
            if known.age(inner.clock.now()) >= inner.limits.renew_ms {
                let beside = self.clone();
                tokio::spawn(async move { beside.0.ask(|| false).await });
            }
            return Ok(key.public.clone());
        }
        drop(known);
        // Whoever waited for the same answer finds it here.
        inner.ask(|| inner.fresh(kid, algorithm).is_some()).await;
        inner.fresh(kid, algorithm).map(|key| key.public.clone()).ok_or_else(|| inner.why_not())
    }
}

impl Inner {
    fn fresh(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let known = self.known.load();
        known.find(kid, algorithm).filter(|_| known.age(self.clock.now()) < self.limits.stale_ms)
    }

    fn why_not(&self) -> Refusal {
        let known = self.known.load();
        let usable = !known.keys.is_empty() && known.age(self.clock.now()) < self.limits.stale_ms;
        if usable { Refusal::UnknownKey } else { Refusal::Unavailable }
    }

    /// Asks the provider, unless it was asked just now, or what is wanted has come meanwhile.
    async fn ask(&self, has_come: impl Fn() -> bool) {
        let mut next = self.next.lock().await;
        let now = self.clock.now();
        if has_come() || now < *next {
            return;
        }
        *next = now.plus(self.limits.pause_ms);
        match self.fetch().await {
            Ok(keys) => self.known.store(Arc::new(Known { keys, at: Some(now) })),
            Err(why) => {
                tracing::warn!(host = self.url.host(), why, "an identity provider's keys could not be had");
                if self.known.load().keys.is_empty() {
                    *next = now.plus(self.limits.pause_ms.min(SHORT_PAUSE_MS));
                }
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Arc<Key>>, &'static str> {
        let request = Request::get(self.url.clone()).header(ACCEPT, "application/json");
        let request = request.body(Bytes::new()).map_err(|_| "not an address")?;
        let answer = self.transport.send(request, Deadline::within(TIMEOUT)).await;
        let answer = answer.map_err(|_| "no answer, or one that is too large")?;
        if answer.status() != StatusCode::OK {
            return Err("answered with another status than 200");
        }
        if answer.body().len() > self.limits.max_jwks_bytes {
            return Err("answered with more than jwks_max_bytes");
        }
        let set: Set = serde_json::from_slice(answer.body()).map_err(|_| "not a JWK Set")?;
        let keys: Vec<Arc<Key>> =
            set.keys.into_iter().take(self.limits.max_keys).filter_map(usable).collect();
        if keys.is_empty() { Err("no key of a kind that is accepted") } else { Ok(keys) }
    }
}

impl Known {
    fn age(&self, now: UnixMillis) -> i64 {
        self.at.map_or(i64::MAX, |at| now.since(at))
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        let mut fits = self.keys.iter().filter(|key| key.algorithm == algorithm);
        match kid {
            Some(kid) => fits.find(|key| key.kid.as_deref() == Some(kid)).cloned(),
            None => fits.next().filter(|_| fits.next().is_none()).cloned(),
        }
    }
}

/// Key by key, so that one of a kind we do not know does not spoil the set (RFC 7517 §5).
#[derive(serde::Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// A public key for signatures, of a kind that is accepted.
fn usable(raw: serde_json::Value) -> Option<Arc<Key>> {
    let jwk: Jwk = serde_json::from_value(raw).ok()?;
    let common = &jwk.common;
    if common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let verifies = |operations: &Vec<KeyOperations>| operations.contains(&KeyOperations::Verify);
    if !common.key_operations.as_ref().is_none_or(verifies) {
        return None;
    }
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(curve) if curve.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    if common.key_algorithm.is_some_and(|named| named != name) {
        return None;
    }
    let public = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Arc::new(Key { kid: jwk.common.key_id, algorithm, public }))
}
