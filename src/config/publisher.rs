//! `[[publisher]]`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use toml::de::DeTable;

use super::cookie;
use super::credentials;
use super::faults::Source;
use super::provider::Providers;
use super::reader::{At, Context, Section};
use super::sections;
use crate::gateway::{DiiGuard, Hint, KeyDigest, Match, Mode, PublisherSettings, UserIdFrom};
use crate::identity::{self, Notice};
use crate::net::rate::RateSettings;
use crate::privacy::Policy;
use crate::ssp;

/// Sections of every table `[[name]]` in every file, in order.
pub(super) fn tables<'a>(
    files: &'a [(&'a Source, DeTable<'a>)],
    context: &'a Context<'a>,
    name: &'static str,
) -> Vec<Section<'a>> {
    let mut sections = Vec::new();
    for (source, root) in files {
        let Some(value) = root.get(name) else { continue };
        let Some(array) = value.get_ref().as_array() else {
            context.fault(source.fault(value.span().start, name, format!("must be written [[{name}]]")));
            continue;
        };
        for element in array {
            let named = element.get_ref().get("id").and_then(|id| id.get_ref().as_str());
            let path = named.map_or_else(|| name.to_owned(), |id| format!("{name}.{id}"));
            sections.push(Section::nested(context, source, element, path, name));
        }
    }
    sections
}

/// The id of every `[[publisher]]`, whatever else is wrong with it.
pub(super) fn ids<'a>(files: &'a [(&'a Source, DeTable<'a>)]) -> HashSet<&'a str> {
    let arrays = files.iter().filter_map(|(_, root)| root.get("publisher")?.get_ref().as_array());
    arrays
        .flat_map(|array| array.iter())
        .filter_map(|element| element.get_ref().get("id")?.get_ref().as_str())
        .collect()
}

/// The `id` of a table: what stands in metrics and in other tables. Unique.
pub(super) fn id(section: &Section<'_>, taken: &mut HashSet<String>) -> Option<String> {
    let placed = section.text("id");
    let (id, at) = section.required("id", placed)?;
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if id.is_empty() || id.len() > 64 || !id.bytes().all(legal) {
        section.wrong(&at, "id", "must be 1 to 64 characters of a-z, 0-9, _ and -");
        return None;
    }
    if !taken.insert(id.clone()) {
        section.wrong(&at, "id", format!("\"{id}\" is taken by an earlier table"));
        return None;
    }
    Some(id)
}

/// What is known across publishers while they are read.
struct Registry<'a> {
    /// Whether there is an operator of UID2, and of EUID.
    has_operator: [bool; 2],
    ids: HashSet<String>,
    ssps: HashMap<&'a str, usize>,
    /// Things that only one publisher may claim, and who did.
    claims: HashMap<(&'static str, String), String>,
    policy: Policy,
    providers: &'a Providers,
}

/// What holds for a publisher that does not say otherwise.
#[derive(Clone, Copy)]
pub(super) struct Defaults<'a> {
    pub policy: &'a Policy,
    /// Who signs their users in.
    pub providers: &'a Providers,
    /// Whether there is an operator of UID2, and of EUID.
    pub has_operator: [bool; 2],
}

/// Every `[[publisher]]` of every file, in order.
pub(super) fn all<'a>(
    files: &'a [(&'a Source, DeTable<'a>)],
    context: &'a Context<'a>,
    ssps: &[ssp::Settings],
    defaults: &Defaults<'a>,
) -> Vec<PublisherSettings> {
    let mut registry = Registry {
        has_operator: defaults.has_operator,
        ids: HashSet::new(),
        ssps: ssps.iter().enumerate().map(|(index, settings)| (settings.id.as_str(), index)).collect(),
        claims: HashMap::new(),
        policy: defaults.policy.clone(),
        providers: defaults.providers,
    };
    tables(files, context, "publisher").iter().filter_map(|section| one(section, &mut registry)).collect()
}

fn one(section: &Section<'_>, registry: &mut Registry<'_>) -> Option<PublisherSettings> {
    let id = id(section, &mut registry.ids);
    let name = id.clone().unwrap_or_default();
    let api_keys = api_keys(section, registry, &name);
    let client_certs = client_certs(section, registry, &name);
    let matches = matches(section, registry, &name);
    let default = section.flag("default", false);
    if default {
        registry.claim(section, "default", ("default", "true".into()), &name);
    }
    let ssps = routed(section, registry);
    let own = credentials::of(section, registry.has_operator);
    let policy = match section.table("privacy", "publisher.privacy") {
        Some(own) => sections::policy(&own, &registry.policy),
        None => registry.policy.clone(),
    };
    let user_id_from = section.words(
        "user_id_from",
        &[
            ("header", UserIdFrom::Header),
            ("user.ext.publisher_user_id", UserIdFrom::Ext),
            ("user.id", UserIdFrom::UserId),
        ],
    );
    let hints = section.words("hints", &HINTS);
    let hints_unauthenticated = hints_unauthenticated(section);
    let mode = section.choice("mode", &[("keep", Mode::Keep), ("replace", Mode::Replace)]);
    let guards = [("strip", DiiGuard::Strip), ("reject", DiiGuard::Reject), ("off", DiiGuard::Off)];
    let dii_guard = section.choice("dii_guard", &guards);
    let inserter = inserter(section);
    let rate = rate(section);
    let notices = [("always", Notice::Always), ("per_login", Notice::PerLogin)];
    let notice = section.choice("notice", &notices);
    let trusted = registry.providers.trusted_by(&name);
    let cookie = cookie::cookie(section, own.as_ref().is_some_and(|own| own.euid.is_some()));
    let (name, own) = (Arc::<str>::from(id.as_deref()?), own?);
    let rules = Arc::new(policy.clone());
    let tenant = |credentials| {
        let tenant = identity::Publisher::new(Arc::clone(&name), Arc::new(credentials));
        let cookie = cookie.as_ref().map(|cookie| Arc::new(cookie.of(tenant.scope())));
        let tenant = tenant.keeping(cookie);
        tenant.under(Arc::clone(&rules), notice.unwrap_or_default()).trusting(trusted.iter().cloned())
    };
    Some(PublisherSettings {
        identity: tenant(own.main),
        euid: own.euid.map(tenant),
        id: id?,
        api_keys,
        client_certs,
        matches,
        default,
        policy,
        ssps,
        user_id_from,
        hints,
        hints_unauthenticated,
        mode: mode?,
        dii_guard: dii_guard?,
        inserter,
        rate,
    })
}

const HINTS: [(&str, Hint); 6] = [
    ("request", Hint::Request),
    ("id_token", Hint::IdToken),
    ("user", Hint::User),
    ("dii", Hint::Dii),
    ("session", Hint::Session),
    ("cookie", Hint::Cookie),
];

/// Which hints count without a key. By default none that needs one: what a request says of itself is public.
fn hints_unauthenticated(section: &Section<'_>) -> Vec<Hint> {
    let key = "hints_unauthenticated";
    let hint = |(text, at): (String, At<'_>)| {
        let Some((_, hint)) = HINTS.iter().find(|(word, _)| *word == text) else {
            let words = HINTS.map(|(word, _)| format!("\"{word}\"")).join(", ");
            section.wrong(&at, key, format!("must be some of {words}"));
            return None;
        };
        if hint.needs_key() {
            let risk = "lets anybody who can reach the listener use the identity of any user whose id or address they know; \
                        better give callers a key or list them in server.trusted_proxies";
            section.warn(&at, key, format!("\"{text}\" {risk}"));
        }
        Some(*hint)
    };
    section.list(key).into_iter().filter_map(hint).collect()
}

/// `rate_per_s`, 0 for no limit, and `rate_burst`, by default those of one second.
fn rate(section: &Section<'_>) -> Option<RateSettings> {
    let number = |key, default: u32| {
        let low = u64::from(key == "rate_burst");
        u32::try_from(section.integer(key, low..=1_000_000, default.into())).unwrap_or(u32::MAX)
    };
    let per_s = number("rate_per_s", 0);
    let burst = number("rate_burst", per_s.max(1));
    (per_s > 0).then_some(RateSettings { per_s, burst })
}

/// Who put the EID there: a name, or the key is left out.
fn inserter(section: &Section<'_>) -> Option<String> {
    let (text, at) = section.text("inserter")?;
    if text.trim().is_empty() {
        section.wrong(&at, "inserter", "must be a domain such as example.com, or left out");
    }
    Some(text)
}

impl Registry<'_> {
    fn claim(&mut self, section: &Section<'_>, key: &str, what: (&'static str, String), id: &str) {
        let kind = what.0;
        if let Some(first) = self.claims.insert(what, id.to_owned()) {
            section.missing(key, format!("{kind} is claimed by publisher \"{first}\" already"));
        }
    }
}

/// `sha256:<64 hex digits>` of each key's text; several while keys rotate.
fn api_keys(section: &Section<'_>, registry: &mut Registry<'_>, id: &str) -> Vec<KeyDigest> {
    let mut keys = Vec::new();
    for (text, at) in section.list("api_keys") {
        if let Some(digest) = api_key(section, &text, &at) {
            registry.claim(section, "api_keys", ("an API key", text.to_ascii_lowercase()), id);
            keys.push(digest);
        }
    }
    keys
}

/// One of them; a fault when it is none.
pub(super) fn api_key(section: &Section<'_>, text: &str, at: &At<'_>) -> Option<KeyDigest> {
    let digest = text.strip_prefix("sha256:").and_then(unhex).map(KeyDigest);
    if digest.is_none() {
        section.wrong(at, "api_keys", API_KEY_SHAPE);
    }
    digest
}

const API_KEY_SHAPE: &str =
    "must be \"sha256:\" and the 64 hex digits of the SHA-256 of the key's text (keygen api-key makes one)";

/// `sha256:` and the hex digits of a certificate's SHA-256, or `dns:` and a name in it.
fn client_certs(section: &Section<'_>, registry: &mut Registry<'_>, id: &str) -> Vec<KeyDigest> {
    let mut found = Vec::new();
    for (text, at) in section.list("client_certs") {
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_prefix("dns:").filter(|name| !name.is_empty() && !name.contains('*'));
        let digest = name.map(KeyDigest::of_dns_name);
        match digest.or_else(|| lower.strip_prefix("sha256:").and_then(unhex).map(KeyDigest)) {
            Some(digest) => {
                registry.claim(section, "client_certs", ("a client certificate", lower), id);
                found.push(digest);
            }
            None => section.wrong(&at, "client_certs", CLIENT_CERT_SHAPE),
        }
    }
    found
}

const CLIENT_CERT_SHAPE: &str = "must be \"sha256:\" and the 64 hex digits of the certificate's SHA-256, or \"dns:\" and a whole DNS name in it";

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0_u8; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(out)
}

fn matches(section: &Section<'_>, registry: &mut Registry<'_>, id: &str) -> Match {
    let Some(table) = section.table("match", "publisher.match") else { return Match::default() };
    let texts =
        |key: &'static str| -> Vec<String> { table.list(key).into_iter().map(|(text, _)| text).collect() };
    let found = Match {
        publisher_ids: texts("publisher_ids"),
        domains: texts("domains"),
        bundles: texts("bundles"),
        hosts: texts("hosts"),
        deny_domains: texts("deny_domains"),
    };
    for (kind, values) in [
        ("publisher id", &found.publisher_ids),
        ("domain", &found.domains),
        ("bundle", &found.bundles),
        ("host", &found.hosts),
    ] {
        for value in values {
            // Ids are compared as they stand, names of hosts and apps without case.
            let value = if kind == "publisher id" { value.clone() } else { value.to_ascii_lowercase() };
            registry.claim(&table, "", (kind, value), id);
        }
    }
    found
}

fn routed(section: &Section<'_>, registry: &Registry<'_>) -> Vec<usize> {
    let mut routed = Vec::new();
    for (name, at) in section.list("ssps") {
        match registry.ssps.get(name.as_str()) {
            Some(index) if routed.contains(index) => {
                section.wrong(&at, "ssps", format!("\"{name}\" stands twice"));
            }
            Some(index) => routed.push(*index),
            None => section.wrong(
                &at,
                "ssps",
                format!("no [[ssp]] has the id \"{name}\" (or it has faults of its own)"),
            ),
        }
    }
    if !section.holds("ssps") {
        section.missing("ssps", "is required: ids of the SSPs that get this publisher's requests");
    }
    routed
}
