//! Identity providers (SSO): an OpenID Connect ID token in, a verified e-mail address or phone number out, as a hash.
//!
//! ```text
//! token ──► header: an ID token, algorithm on the list? ──► issuer: one that this publisher trusts? ──► key by `kid` (jwks)
//!       ──► signature ──► issuer, audience, times (claims) ──► e-mail: verified, no relay ──► hash
//! ```
//!
//! (OpenID Connect Core 1.0 §3.1.3.7; RFC 7519, RFC 8725.) Everything here runs on the control plane. A token is never
//! logged, and a refusal names its reason alone.

mod claims;
mod head;
mod jwks;
mod metrics;
mod refusal;
mod settings;

use std::sync::Arc;

use jsonwebtoken::Validation;

use crate::net::Transport;
use crate::time::{Clock, UnixMillis};
use crate::uid2::DiiHash;

pub use metrics::Metrics;
pub use refusal::Refusal;
pub use settings::{Limits, RELAYS, Settings};

use claims::Claims;
use head::Head;
use jwks::Jwks;

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
    /// Until when the token counts: its `exp`, with the skew that the provider's clock may have.
    pub until: UnixMillis,
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
            jwks: Jwks::new(
                (settings.jwks_url.clone(), settings.limits),
                Arc::clone(transport),
                clock.clone(),
            ),
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
        if token.len() > self.longest(trusted) {
            return Err(Refusal::TooLarge);
        }
        let (head, claim) = head::read(token)?;
        let of = |provider: &&Provider| *provider.issuer == *claim.iss && trusted.contains(&provider.id);
        let mut all = self.all.iter().filter(of);
        let first = all.next().ok_or(Refusal::Issuer)?;
        // Several may have one issuer, each for its own publishers' clients.
        let is_for = |provider: &&Provider| claim.aud.has_one_of(&provider.settings.audience);
        let provider = std::iter::once(first).chain(all).find(is_for).unwrap_or(first);
        Ok((provider, head))
    }

    /// The longest token that one of these providers may issue, bytes; of none, the usual.
    pub fn longest(&self, trusted: &[Arc<str>]) -> usize {
        let trusted = self.all.iter().filter(|provider| trusted.contains(&provider.id));
        trusted
            .map(|provider| provider.settings.limits.max_token_bytes)
            .max()
            .unwrap_or(Limits::default().max_token_bytes)
    }

    async fn verified(&self, provider: &Provider, head: &Head, token: &str) -> Result<Verified, Refusal> {
        if token.len() > provider.settings.limits.max_token_bytes {
            return Err(Refusal::TooLarge);
        }
        let key = provider.jwks.key(head.kid.as_deref(), head.algorithm).await?;
        let mut rules = Validation::new(head.algorithm);
        // What the claims say is checked below, each with its own refusal, and by our clock.
        rules.required_spec_claims.clear();
        rules.validate_exp = false;
        rules.validate_aud = false;
        let claims: Claims =
            jsonwebtoken::decode(token, &key, &rules).map_err(|fault| Refusal::of_signature(&fault))?.claims;
        let claims::Checked { subject, dii, until } = claims.check(&provider.settings, self.clock.now())?;
        Ok(Verified {
            provider: Arc::clone(&provider.id),
            issuer: Arc::clone(&provider.issuer),
            subject,
            dii,
            until,
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
