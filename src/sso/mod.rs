//! Identity providers (SSO): an OpenID Connect ID token in, a verified e-mail address or phone number out, as a hash.
//!
//! ```text
//! token ──► header: algorithm on the list? ──► issuer: one that this publisher trusts? ──► key by `kid` (jwks)
//!       ──► signature ──► issuer, audience, times (claims) ──► e-mail: verified, no relay ──► hash
//! ```
//!
//! (OpenID Connect Core 1.0 §3.1.3.7; RFC 7519, RFC 8725.) Everything here runs on the control plane. A token is never
//! logged, and a refusal names its reason alone.

mod claims;
mod jwks;
mod metrics;
mod refusal;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Uri;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;

use crate::net::Transport;
use crate::time::Clock;
use crate::uid2::DiiHash;

pub use claims::MAX_SKEW_S;
pub use metrics::Metrics;
pub use refusal::Refusal;

use claims::{Audience, Claims};
use jwks::Jwks;

/// Largest ID token, bytes: those of the large providers have 1 to 2 KiB.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What a signature may be made with. Never `none`, and never a secret shared with the caller.
const ALGORITHMS: [(&str, Algorithm); 3] =
    [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)];

/// How the tokens of one provider are verified.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The provider's id in the configuration.
    pub id: String,
    /// `iss`, compared as it stands.
    pub issuer: String,
    /// What `aud` may be: the client ids of the publishers' sign-in pages.
    pub audience: Vec<String>,
    /// Where its keys are.
    pub jwks_url: Uri,
    /// The claim that holds the address.
    pub email_claim: String,
    /// `email_verified` must be true.
    pub require_verified: bool,
    /// Relay addresses, which nobody else knows the user by, are taken.
    pub allow_private_relay: bool,
}

/// Whom a verified token is about.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The provider's id in the configuration.
    pub provider: Arc<str>,
    /// `iss`.
    pub issuer: Arc<str>,
    /// `sub`: the user at the issuer.
    pub subject: String,
    /// The verified e-mail address or phone number.
    pub dii: DiiHash,
}

/// One provider.
struct Provider {
    id: Arc<str>,
    issuer: Arc<str>,
    settings: Settings,
    jwks: Jwks,
}

/// All providers. Cheap to clone.
#[derive(Clone)]
pub struct Providers {
    all: Arc<[Provider]>,
    clock: Clock,
    metrics: Metrics,
}

impl Providers {
    /// Providers that ask for their keys through `transport` when a token first needs them.
    pub fn new(
        settings: Vec<Settings>,
        transport: &Arc<dyn Transport>,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let provider = |settings: Settings| Provider {
            id: settings.id.as_str().into(),
            issuer: settings.issuer.as_str().into(),
            jwks: Jwks::new(settings.jwks_url.clone(), Arc::clone(transport), clock.clone()),
            settings,
        };
        let all = settings.into_iter().map(provider).collect();
        Self { all, clock, metrics }
    }

    /// Nobody: every token is refused.
    pub fn none(metrics: Metrics) -> Self {
        Self { all: Arc::from([]), clock: Clock::System, metrics }
    }

    /// Verifies a token of one of the providers with these ids.
    pub async fn verify(&self, token: &str, trusted: &[Arc<str>]) -> Result<Verified, Refusal> {
        let provider = self.issuer_of(token, trusted);
        let verified = match provider {
            Ok((provider, head)) => self.verified(provider, &head, token).await,
            Err(refusal) => Err(refusal),
        };
        let id = provider_id(self.issuer_of(token, trusted).ok().map(|(provider, _)| provider));
        self.metrics.count(id, verified.as_ref().err().copied());
        verified
    }

    /// The provider that a token claims to be from, and how it claims to be signed.
    fn issuer_of(&self, token: &str, trusted: &[Arc<str>]) -> Result<(&Provider, Head), Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TooLarge);
        }
        let mut parts = token.split('.');
        let (Some(head), Some(claims), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Malformed);
        };
        let head: RawHead = json(head)?;
        if head.crit.is_some() {
            // An extension that must be understood (RFC 7515 §4.1.11): none is.
            return Err(Refusal::Malformed);
        }
        let known = ALGORITHMS.iter().find(|(name, _)| *name == head.alg);
        let (_, algorithm) = known.ok_or(Refusal::Algorithm)?;
        let RawIssuer { iss, aud } = json(claims)?;
        let of = |provider: &&Provider| *provider.issuer == *iss && trusted.contains(&provider.id);
        let mut all = self.all.iter().filter(of);
        let first = all.next().ok_or(Refusal::Issuer)?;
        // Several may have one issuer, each for its own publishers' clients.
        let is_for = |provider: &&Provider| aud.has_one_of(&provider.settings.audience);
        let provider = std::iter::once(first).chain(all).find(is_for).unwrap_or(first);
        Ok((provider, Head { algorithm: *algorithm, kid: head.kid }))
    }

    async fn verified(&self, provider: &Provider, head: &Head, token: &str) -> Result<Verified, Refusal> {
        let key = provider.jwks.key(head.kid.as_deref(), head.algorithm).await?;
        let mut rules = Validation::new(head.algorithm);
        // What the claims say is checked below, each with its own refusal, and by our clock.
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_aud = false;
        let claims: Claims =
            jsonwebtoken::decode(token, &key, &rules).map_err(|fault| Refusal::of_signature(&fault))?.claims;
        let (subject, dii) = claims.check(&provider.settings, self.clock.now())?;
        Ok(Verified {
            provider: Arc::clone(&provider.id),
            issuer: Arc::clone(&provider.issuer),
            subject,
            dii,
        })
    }
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[identity providers]")
    }
}

fn provider_id(provider: Option<&Provider>) -> &str {
    provider.map_or("unknown", |provider| &provider.id)
}

/// What counts of a token's header.
struct Head {
    algorithm: Algorithm,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct RawHead {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct RawIssuer {
    iss: String,
    aud: Audience,
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
}
