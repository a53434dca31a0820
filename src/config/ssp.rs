//! `[[ssp]]`.

use std::collections::HashSet;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use toml::de::DeTable;

use super::breaker;
use super::faults::Source;
use super::publisher::{id, tables};
use super::reader::{Context, Section};
use super::resolved::Value;
use super::sections::{is_loopback, millis, pem, size};
use crate::net::Origin;
use crate::openrtb::{Dialect, RtiPlace};
use crate::ssp::{EnvironmentRule, PermissionMode, Scopes, Settings, TmaxMode};
use crate::uid2::Scope;

/// Every `[[ssp]]` of every file, in order.
pub(super) fn all<'a>(files: &'a [(&'a Source, DeTable<'a>)], context: &'a Context<'a>) -> Vec<Settings> {
    let mut ids = HashSet::new();
    let mut all = Vec::new();
    for section in tables(files, context, "ssp") {
        if let Some(settings) = one(&section, &mut ids) {
            all.push(settings);
        }
    }
    all
}

fn one(section: &Section<'_>, ids: &mut HashSet<String>) -> Option<Settings> {
    let id = id(section, ids);
    let url = url(section);
    let loopback = url.as_ref().is_some_and(is_loopback);
    let dialects = [
        ("2.6", Dialect::V26),
        ("2.5", Dialect::V25),
        ("both", Dialect::Both),
        ("as-received", Dialect::AsReceived),
    ];
    let dialect = section.choice("openrtb", &dialects);
    let timeout = section.integer("timeout_ms", 1..=60_000, 200);
    let min = section.integer("min_ms", 0..=60_000, 10);
    if min > timeout {
        section.missing("min_ms", "must not be larger than timeout_ms");
    }
    let rules = [("any", EnvironmentRule::Any), ("prod", EnvironmentRule::Prod)];
    let environment = if section.holds("environment") {
        section.choice("environment", &rules)
    } else {
        Some(if loopback { EnvironmentRule::Any } else { EnvironmentRule::Prod })
    };
    let tmax = section.choice("tmax", &[("rewrite", TmaxMode::Rewrite), ("keep", TmaxMode::Keep)]);
    let permissions = [("apply", PermissionMode::Apply), ("ignore", PermissionMode::Ignore)];
    let partners = [
        ("none", None),
        ("uid_ext", Some(RtiPlace::UidExt)),
        ("uid_flat", Some(RtiPlace::UidFlat)),
        ("eid_level", Some(RtiPlace::EidExt)),
    ];
    let settings = Settings {
        id: id.clone().unwrap_or_default(),
        url: url.unwrap_or_default(),
        dialect: dialect.unwrap_or(Dialect::V26),
        timeout: millis(timeout),
        margin: millis(section.integer("margin_ms", 0..=10_000, 10)),
        min: millis(min),
        late: millis(section.integer("late_ms", 0..=10_000, 250)),
        headers: headers(section),
        forward_headers: forwarded(section),
        max_connections: size(section.integer("max_connections", 1..=100_000, 1024)),
        max_inflight: size(section.integer("max_inflight", 1..=1_000_000, 4096)),
        max_response_bytes: size(section.integer("max_response_bytes", 1024..=64 * 1024 * 1024, 1024 * 1024)),
        max_bids: size(section.integer("max_bids", 1..=100_000, 1_000)),
        gvl_id: section.holds("gvl_id").then(|| vendor(section)).flatten(),
        gzip: section.flag("gzip", false),
        strip_user_id: section.flag("strip_user_id", false),
        tmax: tmax.unwrap_or_default(),
        environment: environment.unwrap_or(EnvironmentRule::Prod),
        scopes: scopes(section),
        eid_permissions: section.choice("eid_permissions", &permissions).unwrap_or_default(),
        rti_partner: section.choice("rti_partner", &partners).flatten(),
        ca: section.table("tls", "ssp.tls").and_then(|tls| pem(&tls, "ca")),
        breaker: breaker::rule(section, timeout),
    };
    id.map(|_| settings)
}

/// 0 is no vendor: a number that is refused leaves none.
fn vendor(section: &Section<'_>) -> Option<u16> {
    u16::try_from(section.integer("gvl_id", 1..=65_535, 0)).ok().filter(|id| *id > 0)
}

/// Which scopes' tokens and entries it gets; an empty list is none of them.
fn scopes(section: &Section<'_>) -> Scopes {
    let words = section.words("scopes", &[("uid2", Scope::Uid2), ("euid", Scope::Euid)]);
    Scopes { uid2: words.contains(&Scope::Uid2), euid: words.contains(&Scope::Euid) }
}

fn url(section: &Section<'_>) -> Option<Uri> {
    let placed = section.text("url");
    let (text, at) = section.required("url", placed)?;
    let url = text.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
    match url {
        Some(uri) if Origin::of(&uri).is_ok() => Some(uri),
        _ => {
            section.wrong(&at, "url", "must be a URL such as https://ssp.example/openrtb2/bid");
            None
        }
    }
}

/// `headers = { x-api-key = { env = "NAME" } }`.
fn headers(section: &Section<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    let Some(mut table) = section.table("headers", "ssp.headers") else { return map };
    for (name, value) in table.entries() {
        let at = table.at(value);
        let Some((text, _)) = table.secret_value("", value) else { continue };
        match (name.parse::<HeaderName>(), HeaderValue::from_str(text.expose())) {
            (Ok(name), _) if [CONTENT_ENCODING, ACCEPT_ENCODING].contains(&name) => {
                table.wrong(&at, name.as_str(), "follows from ssp.gzip");
            }
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                table.note(name.as_str(), Value::secret(text.expose()));
                map.insert(name, value);
            }
            (Err(_), _) => table.wrong(&at, &name, "is not a header name"),
            (_, Err(_)) => table.wrong(&at, &name, "is not a header value"),
        }
    }
    map
}

/// What must never leave, whatever the configuration says: credentials, our own hints, and what belongs to a connection
/// or to the body as it came in.
const NEVER: [&str; 18] = [
    "cookie",
    "authorization",
    "proxy-authorization",
    "x-publisher-user-id",
    "x-ads-cert-auth",
    "host",
    "content-length",
    "content-encoding",
    "accept-encoding",
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "content-type",
];

fn forwarded(section: &Section<'_>) -> Vec<HeaderName> {
    let name = |(text, at): (String, super::reader::At<'_>)| {
        let lower = text.to_ascii_lowercase();
        let ours = ["x-uid2-", "x-uid2gw-"].iter().any(|prefix| lower.starts_with(prefix));
        if ours || NEVER.contains(&lower.as_str()) {
            section.wrong(&at, "forward_headers", format!("{lower} never leaves"));
            return None;
        }
        let parsed = lower.parse::<HeaderName>().ok();
        if parsed.is_none() {
            section.wrong(&at, "forward_headers", "must be header names");
        }
        parsed
    };
    section.list("forward_headers").into_iter().filter_map(name).collect()
}
