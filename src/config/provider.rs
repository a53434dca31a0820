//! `[[identity_provider]]`: who signs users in for publishers, and who may act for them with a key of its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::Uri;
use toml::de::DeTable;

use super::faults::Source;
use super::publisher::{api_key, id, ids, tables};
use super::reader::{Context, Section};
use super::sections::is_loopback;
use crate::gateway::ProviderSettings;
use crate::sso;

/// A login's body of 16 KiB has to hold the token, and the rest.
const MOST_TOKEN_BYTES: u64 = 12 * 1024;

/// Providers, and what verifies the tokens of those that issue some.
pub(super) struct Providers {
    pub(super) all: Vec<ProviderSettings>,
    pub(super) verified: Vec<sso::Settings>,
}

impl Providers {
    /// Ids of those whose tokens count for a publisher's users.
    pub(super) fn trusted_by(&self, publisher: &str) -> Vec<Arc<str>> {
        let issues = |id: &str| self.verified.iter().any(|settings| settings.id == id);
        let serves = |provider: &&ProviderSettings| provider.publishers.iter().any(|id| id == publisher);
        let trusted = self.all.iter().filter(serves).filter(|provider| issues(&provider.id));
        trusted.map(|provider| Arc::clone(&provider.id)).collect()
    }
}

/// Every `[[identity_provider]]` of the main file.
pub(super) fn all<'a>(files: &'a [(&'a Source, DeTable<'a>)], context: &'a Context<'a>) -> Providers {
    let publishers = ids(files);
    let mut providers = Providers { all: Vec::new(), verified: Vec::new() };
    let (mut taken, mut keys, mut issuers) = (HashSet::new(), HashMap::new(), HashSet::new());
    for section in &tables(files, context, "identity_provider") {
        let Some(id) = id(section, &mut taken) else { continue };
        let issuer = oidc(section, &id);
        if let Some(settings) = issuer {
            let taken = |client: &String| !issuers.insert((settings.issuer.clone(), client.clone()));
            if settings.audience.iter().any(taken) {
                section.missing("audience", "holds one that an earlier identity_provider of this issuer has");
            } else {
                providers.verified.push(settings);
            }
        }
        let api_keys: Vec<_> = section
            .list("api_keys")
            .into_iter()
            .filter_map(|(text, at)| {
                let digest = api_key(section, &text, &at)?;
                if let Some(other) = keys.insert(digest, id.clone()) {
                    section.wrong(
                        &at,
                        "api_keys",
                        format!("is a key of identity_provider \"{other}\" already"),
                    );
                }
                Some(digest)
            })
            .collect();
        if api_keys.is_empty() && !section.in_file("issuer") && !section.in_file("api_keys") {
            section.missing("", "needs issuer, audience and jwks_url, or api_keys, or both");
        }
        let served = section.list("publishers").into_iter().filter_map(|(name, at)| {
            let known = publishers.contains(name.as_str());
            if !known {
                section.wrong(&at, "publishers", format!("there is no publisher \"{name}\""));
            }
            known.then_some(name)
        });
        let publishers: Vec<String> = served.collect();
        if publishers.is_empty() && !section.in_file("publishers") {
            section.missing("publishers", "is required: the publishers that authorised this provider");
        }
        providers.all.push(ProviderSettings { id: id.into(), api_keys, publishers });
    }
    providers
}

/// What verifies its ID tokens, if it issues some.
fn oidc(section: &Section<'_>, id: &str) -> Option<sso::Settings> {
    let issuer = section.text("issuer");
    let audience = audience(section);
    let jwks_url = section.text("jwks_url").and_then(|(text, at)| {
        let url = text.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
        let safe = url.filter(|uri| match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback(uri),
            _ => false,
        });
        if safe.is_none() {
            section.wrong(
                &at,
                "jwks_url",
                "must be an https:// address; plain http is accepted on loopback only",
            );
        }
        safe
    });
    let email_claim = section.text("email_claim").map_or_else(|| String::from("email"), |(claim, _)| claim);
    let require_verified = section.flag("require_verified", true);
    let allow_private_relay = section.flag("allow_private_relay", false);
    let (relay_domains, limits) = (relay_domains(section), limits(section));
    let parts = [section.in_file("issuer"), section.in_file("audience"), section.in_file("jwks_url")];
    if !parts.contains(&true) {
        return None;
    }
    for (key, there) in ["issuer", "audience", "jwks_url"].into_iter().zip(parts) {
        if !there {
            section.missing(key, "is required where one of issuer, audience and jwks_url is there");
        }
    }
    let (issuer, at) = issuer?;
    if issuer.is_empty() {
        section.wrong(
            &at,
            "issuer",
            "must be what stands in the tokens' iss, such as https://accounts.example.com",
        );
    }
    Some(sso::Settings {
        id: id.to_owned(),
        issuer,
        audience: audience?,
        jwks_url: jwks_url?,
        email_claim,
        require_verified,
        allow_private_relay,
        relay_domains,
        limits,
    })
}

/// What a token, and the provider's keys, may cost.
fn limits(section: &Section<'_>) -> sso::Limits {
    let usual = sso::Limits::default();
    let bytes = |key, range, default: usize| {
        usize::try_from(section.integer(key, range, default as u64)).unwrap_or(usize::MAX)
    };
    let seconds = |key, range, default: i64| {
        let seconds = section.integer(key, range, default.unsigned_abs() / 1_000);
        i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)
    };
    let limits = sso::Limits {
        max_token_bytes: bytes("max_token_bytes", 512..=MOST_TOKEN_BYTES, usual.max_token_bytes),
        skew_ms: seconds("skew_s", 0..=300, usual.skew_ms),
        max_jwks_bytes: bytes("jwks_max_bytes", 1_024..=4 << 20, usual.max_jwks_bytes),
        max_keys: bytes("jwks_max_keys", 1..=1_000, usual.max_keys),
        renew_ms: seconds("jwks_renew_s", 60..=86_400, usual.renew_ms),
        pause_ms: seconds("jwks_pause_s", 1..=3_600, usual.pause_ms),
        stale_ms: seconds("jwks_stale_s", 60..=30 * 86_400, usual.stale_ms),
    };
    if limits.stale_ms < limits.renew_ms {
        section.missing("jwks_stale_s", "must not be less than jwks_renew_s");
    }
    limits
}

/// Domains of relay addresses besides those that are known.
fn relay_domains(section: &Section<'_>) -> Vec<String> {
    let domains = section.list("relay_domains").into_iter().filter_map(|(text, at)| {
        let is_domain = text.contains('.')
            && text.split('.').all(|label| !label.is_empty())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
        if !is_domain {
            section.wrong(
                &at,
                "relay_domains",
                "must be a domain in small letters, such as relay.example.com",
            );
        }
        is_domain.then_some(text)
    });
    domains.collect()
}

/// One text, or a list of them.
fn audience(section: &Section<'_>) -> Option<Vec<String>> {
    let is_text = section.raw("audience").is_some_and(|value| value.get_ref().as_str().is_some());
    let texts: Vec<String> = if is_text {
        section.text("audience").into_iter().map(|(text, _)| text).collect()
    } else {
        section.list("audience").into_iter().map(|(text, _)| text).collect()
    };
    let usable = !texts.is_empty() && texts.iter().all(|text| !text.is_empty());
    if !usable && section.in_file("audience") {
        section.missing("audience", "must hold at least one client id");
    }
    usable.then_some(texts)
}
