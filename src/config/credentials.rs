//! The operator key pairs of a publisher: that of its scope, and of EUID beside UID2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::reader::{At, Section};
use super::sections;
use crate::operator::Credentials;
use crate::uid2::{EnvelopeKey, Environment, Scope};

/// Everything a publisher can ask operators with.
pub(super) struct Own {
    /// Of its scope.
    pub main: Credentials,
    /// Of EUID, where its scope is UID2.
    pub euid: Option<Credentials>,
}

/// The key pairs that a `[[publisher]]` names. Every part is looked at before any is missed, so that all faults show at
/// once.
pub(super) fn of(section: &Section<'_>, has_operator: [bool; 2]) -> Option<Own> {
    let scope = section.choice("scope", &[("uid2", Scope::Uid2), ("euid", Scope::Euid)]);
    let main = pair(section, scope, has_operator);
    let Some(table) = section.table("euid", "publisher.euid") else {
        return Some(Own { main: main?, euid: None });
    };
    if scope == Some(Scope::Euid) {
        section.missing("euid", "is for a publisher of scope \"uid2\" that has EUID too");
    }
    let euid = pair(&table, Some(Scope::Euid), has_operator);
    Some(Own { main: main?, euid: Some(euid?) })
}

/// The environment and scope are in the key itself; a mismatch is a mix-up of credentials.
fn pair(section: &Section<'_>, scope: Option<Scope>, has_operator: [bool; 2]) -> Option<Credentials> {
    let placed = section.secret("operator_key");
    let key = section.required("operator_key", placed);
    let placed = section.secret("operator_secret");
    let secret = section.required("operator_secret", placed);
    let urls = sections::operator_urls(section, "operator_urls");
    let client_secret = secret.and_then(|(secret, at)| envelope_key(section, &at, secret.expose()));
    let (api_key, at) = key?;
    let environment = Environment::of_api_key(api_key.expose());
    if environment.is_none() {
        section.wrong(&at, "operator_key", "must be shaped UID2-C-<L|T|I|P>-<site>-… (EUID- for EUID)");
    }
    let scope = scope?;
    let [uid2, euid] = has_operator;
    let (prefix, table, has_operator) = match scope {
        Scope::Uid2 => ("UID2-", "[operator]", uid2),
        Scope::Euid => ("EUID-", "[operator.euid]", euid),
    };
    if environment.is_some() && !api_key.expose().starts_with(prefix) {
        section.wrong(&at, "operator_key", format!("must begin with {prefix} for this scope"));
    }
    if !has_operator && !section.in_file("operator_urls") {
        section.missing("operator_urls", format!("is required, or urls in {table}"));
    }
    Some(Credentials { scope, environment: environment?, api_key, client_secret: client_secret?, urls })
}

fn envelope_key(section: &Section<'_>, at: &At<'_>, text: &str) -> Option<EnvelopeKey> {
    let is_key = STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
    let key = EnvelopeKey::from_base64(text).ok().filter(|_| is_key);
    if key.is_none() {
        section.wrong(at, "operator_secret", "must be the base64 of exactly 32 bytes");
    }
    key
}
