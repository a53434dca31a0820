//! How the tokens of one provider are verified, and what that may cost.

use http::Uri;

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
    /// Domains of relay addresses besides those that are known ([`RELAYS`]), in small letters.
    pub relay_domains: Vec<String>,
    /// What one token, and the provider's keys, may cost.
    pub limits: Limits,
}

impl Settings {
    /// Whether an address is made up for one site.
    pub(super) fn is_relay(&self, email: &str) -> bool {
        let domain =
            email.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase()).unwrap_or_default();
        let is_under = |relay: &str| {
            domain.strip_suffix(relay).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        RELAYS.into_iter().chain(self.relay_domains.iter().map(String::as_str)).any(is_under)
    }
}

/// Domains, with those below them, of addresses that a provider makes up for one site: nobody else knows the user by them.
pub const RELAYS: [&str; 5] =
    ["privaterelay.appleid.com", "mozmail.com", "relay.firefox.com", "duck.com", "simplelogin.com"];

/// What a token, and the provider's keys, may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest token, bytes.
    pub max_token_bytes: usize,
    /// How far the provider's clock may be off, milliseconds.
    pub skew_ms: i64,
    /// Largest set of keys, bytes.
    pub max_jwks_bytes: usize,
    /// Keys of one set that are looked at; those after them do not count.
    pub max_keys: usize,
    /// A set this old is asked for again beside its use, milliseconds.
    pub renew_ms: i64,
    /// Least time between two requests for keys, whatever callers send, milliseconds.
    pub pause_ms: i64,
    /// A set older than this is not believed any more, milliseconds.
    pub stale_ms: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_token_bytes: 8 * 1024,
            skew_ms: 30_000,
            max_jwks_bytes: 256 * 1024,
            max_keys: 64,
            renew_ms: 10 * 60_000,
            pause_ms: 60_000,
            stale_ms: 24 * 3_600_000,
        }
    }
}
