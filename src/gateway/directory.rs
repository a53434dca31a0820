//! Publishers by API key, by what their requests say, and by host.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::outcome::{Reject, RejectKind};
use crate::identity;
use crate::net::rate::{Rate, RateSettings};
use crate::openrtb::BidRequest;
use crate::privacy::Policy;
use crate::time::Clock;

/// SHA-256 of an API key's text. Only digests are ever stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest(pub [u8; 32]);

impl KeyDigest {
    /// The digest of a presented key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl std::fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[key digest]")
    }
}

/// One publisher as configured; `identity` carries its UID2 credentials.
#[derive(Clone, Debug)]
pub struct PublisherSettings {
    /// The id, also the metric label.
    pub id: String,
    /// Digests of the API keys that are valid now.
    pub api_keys: Vec<KeyDigest>,
    /// Client certificates that are valid now: their SHA-256, or names in them.
    pub client_certs: Vec<KeyDigest>,
    /// Requests without a key that belong to this publisher.
    pub matches: Match,
    /// Takes requests that nothing else matches.
    pub default: bool,
    /// Tenant and credentials of its scope.
    pub identity: identity::Publisher,
    /// Those of EUID, where its scope is UID2 and it has both.
    pub euid: Option<identity::Publisher>,
    /// The privacy policy in force for it.
    pub policy: Policy,
    /// Indexes of the routed SSPs, in the order in which bids are merged.
    pub ssps: Vec<usize>,
    /// Where its own user id stands, first that is there wins.
    pub user_id_from: Vec<UserIdFrom>,
    /// Which identity hints count, in order.
    pub hints: Vec<Hint>,
    /// Which of them count for a caller without a key, besides those that anybody may bring.
    pub hints_unauthenticated: Vec<Hint>,
    /// What happens to a UID2 or EUID entry that the request already carries.
    pub mode: Mode,
    /// What happens to DII under `user`.
    pub dii_guard: DiiGuard,
    /// `inserter` of the EID, written where the dialect has it.
    pub inserter: Option<String>,
    /// Most ad requests; `None`: as many as come.
    pub rate: Option<RateSettings>,
}

/// What makes a request without a key belong to a publisher. Compared case-insensitively, except ids.
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// `site|app|dooh.publisher.id`.
    pub publisher_ids: Vec<String>,
    /// `site.domain`.
    pub domains: Vec<String>,
    /// `app.bundle`.
    pub bundles: Vec<String>,
    /// `Host` header without port.
    pub hosts: Vec<String>,
    /// Domains on which no identity is ever added (for example health pages).
    pub deny_domains: Vec<String>,
}

/// A place of the publisher's own user id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserIdFrom {
    /// Header `X-Publisher-User-Id`.
    Header,
    /// `user.ext.publisher_user_id`.
    Ext,
    /// `user.id`.
    UserId,
}

/// An identity hint (contract §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// The request already holds a UID2 or EUID entry.
    Request,
    /// An ID token of an identity provider that the publisher trusts.
    IdToken,
    /// The publisher's own user id.
    User,
    /// An e-mail address or phone number, or a hash of one.
    Dii,
    /// A session token, made at login for whoever has no key.
    Session,
    /// The cookie of the UID2 SDK or of Prebid, or the publisher's own.
    Cookie,
}

impl Hint {
    /// Every hint, in metric order.
    pub const ALL: [Self; 6] =
        [Self::Request, Self::IdToken, Self::User, Self::Dii, Self::Session, Self::Cookie];

    /// It only counts for who proved who they are: whatever names a user here can be had by anybody.
    pub const fn needs_key(self) -> bool {
        matches!(self, Self::User | Self::Dii)
    }

    /// Its name in metrics and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::IdToken => "id_token",
            Self::User => "user",
            Self::Dii => "dii",
            Self::Session => "session",
            Self::Cookie => "cookie",
        }
    }
}

/// What happens to an entry of ours that is already there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Theirs stays, nothing is added.
    Keep,
    /// Its id is swapped when ours is valid.
    Replace,
}

/// What happens to an e-mail address, a phone number or a hash of one under `user`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiiGuard {
    /// It is cut out.
    Strip,
    /// The request is refused.
    Reject,
    /// Nothing.
    Off,
}

/// A publisher, found.
#[derive(Debug)]
pub struct Publisher {
    /// Position in the configuration; also the index of its metric children.
    pub index: usize,
    /// Its settings.
    pub settings: PublisherSettings,
    /// What counts its ad requests, where there is a limit.
    pub(super) rate: Option<Arc<Rate>>,
}

/// An identity provider that may act for publishers.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Its id.
    pub id: Arc<str>,
    /// Digests of its own API keys.
    pub api_keys: Vec<KeyDigest>,
    /// Ids of the publishers that authorised it.
    pub publishers: Vec<String>,
}

/// Two publishers claim the same thing.
#[derive(Debug, thiserror::Error)]
#[error("publishers {first} and {second} both claim {what}")]
pub struct DirectoryError {
    first: String,
    second: String,
    what: &'static str,
}

/// All publishers, by everything that can name one.
#[derive(Debug)]
pub struct Directory {
    publishers: Vec<Arc<Publisher>>,
    keys: HashMap<KeyDigest, usize>,
    certificates: HashMap<KeyDigest, usize>,
    publisher_ids: HashMap<String, usize>,
    domains: HashMap<String, usize>,
    bundles: HashMap<String, usize>,
    hosts: HashMap<String, usize>,
    default: Option<usize>,
    providers: Vec<ProviderSettings>,
    provider_keys: HashMap<KeyDigest, usize>,
}

impl Directory {
    /// Builds the look-up tables; a value claimed twice is an error.
    pub fn new(settings: Vec<PublisherSettings>) -> Result<Self, DirectoryError> {
        let mut directory = Self {
            publishers: Vec::with_capacity(settings.len()),
            keys: HashMap::new(),
            certificates: HashMap::new(),
            publisher_ids: HashMap::new(),
            domains: HashMap::new(),
            bundles: HashMap::new(),
            hosts: HashMap::new(),
            default: None,
            providers: Vec::new(),
            provider_keys: HashMap::new(),
        };
        for (index, settings) in settings.into_iter().enumerate() {
            let rate = settings.rate.map(|rate| Arc::new(Rate::new(rate, Clock::monotonic())));
            directory.add(Publisher { index, settings, rate })?;
        }
        Ok(directory)
    }

    /// The same publishers, whose requests are counted on where `before` counted them.
    #[must_use]
    pub fn counting_on(mut self, before: &Self) -> Self {
        for publisher in &mut self.publishers {
            let known = before.by_id(&publisher.settings.id).and_then(|known| known.rate.as_ref());
            let same = known.filter(|rate| Some(rate.settings()) == publisher.settings.rate);
            if let (Some(rate), Some(publisher)) = (same, Arc::get_mut(publisher)) {
                publisher.rate = Some(Arc::clone(rate));
            }
        }
        self
    }

    /// The same publishers, with those who may act for them; a key that is a publisher's already is an error.
    pub fn with_providers(mut self, providers: Vec<ProviderSettings>) -> Result<Self, DirectoryError> {
        for (index, provider) in providers.iter().enumerate() {
            for key in &provider.api_keys {
                let of_publisher = self.keys.get(key).and_then(|index| self.publishers.get(*index));
                let first = of_publisher.map(|publisher| publisher.settings.id.clone());
                let first = first.or_else(|| {
                    let other = self.provider_keys.insert(*key, index)?;
                    providers.get(other).map(|provider| provider.id.to_string())
                });
                if let Some(first) = first {
                    return Err(DirectoryError {
                        first,
                        second: provider.id.to_string(),
                        what: "an API key",
                    });
                }
            }
        }
        self.providers = providers;
        Ok(self)
    }

    /// The identity provider of a presented API key.
    pub fn provider_by_key(&self, key: &str) -> Option<&ProviderSettings> {
        let presented = KeyDigest::of(key);
        let (stored, index) = self.provider_keys.get_key_value(&presented)?;
        if bool::from(stored.0.ct_eq(&presented.0)) { self.providers.get(*index) } else { None }
    }

    /// The publisher with this id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Publisher>> {
        self.publishers.iter().find(|publisher| publisher.settings.id == id)
    }

    /// The publisher whose host the caller asked, else the default one.
    pub fn by_host(&self, headers: &http::HeaderMap) -> Option<&Arc<Publisher>> {
        let host = super::headers::host(headers).map(|host| without_port(host).to_ascii_lowercase());
        let index = host.and_then(|host| self.hosts.get(&host)).copied();
        index.and_then(|index| self.publishers.get(index)).or_else(|| self.fallback())
    }

    fn add(&mut self, publisher: Publisher) -> Result<(), DirectoryError> {
        let Publisher { index, settings, .. } = &publisher;
        let (index, matches) = (*index, &settings.matches);
        let clash = |other: Option<usize>, what| match other {
            Some(first) => Err(DirectoryError {
                first: self.publishers.get(first).map_or_else(String::new, |p| p.settings.id.clone()),
                second: settings.id.clone(),
                what,
            }),
            None => Ok(()),
        };
        for key in &settings.api_keys {
            clash(self.keys.insert(*key, index), "an API key")?;
        }
        for certificate in &settings.client_certs {
            clash(self.certificates.insert(*certificate, index), "a client certificate")?;
        }
        for id in &matches.publisher_ids {
            clash(self.publisher_ids.insert(id.clone(), index), "a publisher id")?;
        }
        for domain in &matches.domains {
            clash(self.domains.insert(domain.to_ascii_lowercase(), index), "a domain")?;
        }
        for bundle in &matches.bundles {
            clash(self.bundles.insert(bundle.to_ascii_lowercase(), index), "a bundle")?;
        }
        for host in &matches.hosts {
            clash(self.hosts.insert(host.to_ascii_lowercase(), index), "a host")?;
        }
        if settings.default {
            clash(self.default.replace(index), "the default")?;
        }
        self.publishers.push(Arc::new(publisher));
        Ok(())
    }

    /// All publishers, in configuration order.
    pub fn publishers(&self) -> &[Arc<Publisher>] {
        &self.publishers
    }

    /// The publisher of a presented API key. The table is keyed by digest, so what its timing could tell is a
    /// hash; the final comparison takes constant time all the same.
    pub fn by_key(&self, key: &str) -> Option<&Arc<Publisher>> {
        let presented = KeyDigest::of(key);
        let (stored, index) = self.keys.get_key_value(&presented)?;
        if bool::from(stored.0.ct_eq(&presented.0)) { self.publishers.get(*index) } else { None }
    }

    pub(super) fn by_certificate_digest(&self, digest: &KeyDigest) -> Option<&Arc<Publisher>> {
        self.certificates.get(digest).and_then(|index| self.publishers.get(*index))
    }

    /// The publisher that a request's own members, or its host, name.
    pub fn by_match(&self, request: &BidRequest, host: Option<&str>) -> Option<&Arc<Publisher>> {
        let named = || -> Option<usize> {
            let lower = |text: &str| text.to_ascii_lowercase();
            if let Some(index) = request.publisher_id().and_then(|id| self.publisher_ids.get(id.as_ref())) {
                return Some(*index);
            }
            if let Some(index) = request.site_domain().and_then(|d| self.domains.get(&lower(&d))) {
                return Some(*index);
            }
            if let Some(index) = request.app_bundle().and_then(|b| self.bundles.get(&lower(&b))) {
                return Some(*index);
            }
            host.and_then(|h| self.hosts.get(&lower(without_port(h)))).copied()
        };
        named().and_then(|index| self.publishers.get(index))
    }

    /// The publisher of requests that nothing else matches.
    pub fn fallback(&self) -> Option<&Arc<Publisher>> {
        self.default.and_then(|index| self.publishers.get(index))
    }
}

impl PublisherSettings {
    /// Whether the publisher wants a hint, and believes it of this caller.
    pub(super) fn believes(&self, hint: Hint, authenticated: bool) -> bool {
        let by_caller = authenticated || !hint.needs_key() || self.hints_unauthenticated.contains(&hint);
        by_caller && self.hints.contains(&hint)
    }
}

impl Publisher {
    /// One more ad request of this publisher, or the refusal of it.
    pub(super) fn count_one(&self, now: Instant) -> Result<(), Reject> {
        let Some(rate) = &self.rate else { return Ok(()) };
        let limited =
            |wait: Duration| RejectKind::RateLimited { retry_after_s: wait.as_secs().saturating_add(1) };
        rate.try_take(now).map_err(|wait| Reject { publisher: Some(self.index), kind: limited(wait) })
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}
