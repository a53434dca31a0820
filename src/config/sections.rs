//! `[server]`, `[admin]`, `[operator]`, `[identity]`, `[privacy]`, `[log]`, `[metrics]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::reader::{At, Section};
use super::resolved::Value;
use super::tls_files;
use crate::gateway::{OriginError, Origins, VendorSettings, Vendors};
use crate::net::tls;
use crate::openrtb::Limits;
use crate::privacy::{Alpha3, OnDoubt, OnSignal, Policy, StripScope, alpha3};
use crate::server::{self, AdminSettings, Network};
use crate::telemetry::log;
use crate::{identity, operator};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

pub(super) fn limits(section: &Section<'_>) -> Limits {
    Limits {
        max_depth: size(section.integer("max_json_depth", 8..=128, 64)),
        max_eids: size(section.integer("max_eids", 1..=4096, 256)),
    }
}

pub(super) fn gzip_min_bytes(section: &Section<'_>) -> usize {
    size(section.integer("gzip_min_bytes", 0..=64 * MIB, KIB))
}

/// Origins of pages that may call from a browser.
pub(super) fn origins(section: &Section<'_>) -> Origins {
    let origin = |(text, at): (String, At<'_>)| match text.parse() {
        Ok(origin) => Some(origin),
        Err(fault) => {
            let fault: OriginError = fault;
            section.wrong(&at, "cors_origins", fault.to_string());
            None
        }
    };
    section.list("cors_origins").into_iter().filter_map(origin).collect()
}

pub(super) fn server(section: &Section<'_>) -> (server::Settings, bool) {
    let trusted =
        section.list("trusted_proxies").into_iter().filter_map(|(text, at)| match text.parse::<Network>() {
            Ok(network) => Some(network),
            Err(fault) => {
                section.wrong(&at, "trusted_proxies", fault.to_string());
                None
            }
        });
    let trusted_proxies = trusted.collect();
    let workers = size(section.integer("workers", 0..=1024, 0));
    let settings = server::Settings {
        listen: address(section, "0.0.0.0:8080"),
        workers: if workers == 0 {
            std::thread::available_parallelism().map_or(1, usize::from)
        } else {
            workers
        },
        max_body_bytes: size(section.integer("max_body_bytes", KIB..=64 * MIB, 256 * KIB)),
        max_inflated_bytes: size(section.integer("max_inflated_bytes", KIB..=256 * MIB, MIB)),
        max_connections: size(section.integer("max_connections", 1..=1_000_000, 10_000)),
        max_inflight: size(section.integer("max_inflight", 1..=1_000_000, 4096)),
        keep_alive: Duration::from_secs(section.integer("keep_alive_s", 1..=3600, 60)),
        header_timeout: millis(section.integer("header_timeout_ms", 10..=120_000, 10_000)),
        body_timeout: millis(section.integer("body_timeout_ms", 10..=120_000, 5_000)),
        drain: Duration::from_secs(section.integer("drain_seconds", 0..=3600, 5)),
        reload_poll: Duration::from_secs(section.integer("reload_poll_s", 0..=86_400, 2)),
        insecure_identity: section.flag("insecure_identity", false),
        max_batch_lines: size(section.integer("max_batch_lines", 1..=100_000, 1_000)),
        trusted_proxies,
        tls: tls_files::tls(section),
    };
    let require_key = section.flag("require_key", false);
    (settings, require_key)
}

pub(super) fn admin(section: &Section<'_>) -> AdminSettings {
    let listen = address(section, "127.0.0.1:9090");
    let token = section.secret("token").map(|(token, _)| token);
    if token.is_none() && !section.holds("token") && !listen.ip().is_loopback() {
        section.missing("token", "is required when admin.listen is not on loopback");
    }
    AdminSettings { listen, token }
}

fn address(section: &Section<'_>, default: &str) -> SocketAddr {
    let fallback = SocketAddr::from(([127, 0, 0, 1], 0));
    let Some((text, at)) = section.text("listen") else { return default.parse().unwrap_or(fallback) };
    text.parse().unwrap_or_else(|_| {
        section.wrong(&at, "listen", "must be an address and a port such as 127.0.0.1:8080");
        fallback
    })
}

/// `[operator]`, and `[operator.euid]` with the same keys; without the latter the same limits and no URL.
/// Also whether either is there.
pub(super) fn operators(section: &Section<'_>) -> ([operator::Settings; 2], [bool; 2]) {
    let own = section.table("euid", "operator");
    let uid2 = operator(section);
    if uid2.urls.is_empty() && own.is_none() && !section.in_file("urls") {
        section.missing("urls", "is required: base URLs of the UID2 operator, in order of preference");
    }
    let there = [own.is_none() || section.in_file("urls"), own.is_some()];
    let euid = own.map_or_else(
        || operator::Settings { urls: Vec::new(), ..uid2.clone() },
        |own| {
            let euid = operator(&own);
            if euid.urls.is_empty() && !own.in_file("urls") {
                own.missing("urls", "is required: base URLs of the EUID operator, in order of preference");
            }
            euid
        },
    );
    ([uid2, euid], there)
}

fn operator(section: &Section<'_>) -> operator::Settings {
    let urls = operator_urls(section, "urls");
    operator::Settings {
        connect_timeout: millis(section.integer("connect_timeout_ms", 10..=60_000, 1_000)),
        timeout: millis(section.integer("timeout_ms", 50..=120_000, 3_000)),
        max_concurrency: size(section.integer("max_concurrency", 1..=10_000, 32)),
        rate_per_s: u32::try_from(section.integer("rate_per_s", 0..=1_000_000, 0)).unwrap_or(0),
        ca: pem(section, "ca"),
        urls,
        ..operator::Settings::default()
    }
}

/// Base URLs of an operator. Plain HTTP would show API keys to the network, so it is accepted on loopback only.
pub(super) fn operator_urls(section: &Section<'_>, key: &'static str) -> Vec<Uri> {
    let url = |(text, at): (String, At<'_>)| {
        let parsed = text.trim_end_matches('/').parse::<Uri>().ok();
        let Some(uri) = parsed.filter(|uri| uri.host().is_some() && uri.query().is_none()) else {
            section.wrong(&at, key, "must be a base URL such as https://prod.uidapi.com");
            return None;
        };
        match uri.scheme_str() {
            Some("https") => Some(uri),
            Some("http") if is_loopback(&uri) => Some(uri),
            Some("http") => {
                section.wrong(&at, key, "must be https; plain http is accepted on loopback only");
                None
            }
            _ => {
                section.wrong(&at, key, "must begin with https://");
                None
            }
        }
    };
    section.list(key).into_iter().filter_map(url).collect()
}

/// Whether the host of a URL is this machine.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The contents of a PEM file.
pub(super) fn pem(section: &Section<'_>, key: &'static str) -> Option<Vec<u8>> {
    let (path, at) = section.text(key)?;
    section.context().depends_on(&path);
    let read = std::fs::read(&path).map_err(|fault| format!("file {path} cannot be read: {fault}"));
    let usable = read.and_then(|bytes| match tls::client_config(Some(&bytes)) {
        Ok(_) => Ok(bytes),
        Err(fault) => Err(format!("file {path}: {fault}")),
    });
    match usable {
        Ok(bytes) => {
            section.note(key, Value::file(&path, &bytes));
            Some(bytes)
        }
        Err(reason) => {
            section.wrong(&at, key, reason);
            None
        }
    }
}

pub(super) fn identity(section: &Section<'_>) -> identity::Settings {
    let defaults = identity::Settings::default();
    identity::Settings {
        wait: millis(section.integer("wait_ms", 0..=1_000, 5)),
        expiry_margin_ms: signed(section.integer("expiry_margin_s", 0..=86_400, 60)) * 1_000,
        cache_entries: section.integer("cache_entries", 1..=1_000_000_000, 1_000_000),
        cache_bytes: section.integer("cache_bytes", 64 * KIB..=1024 * GIB, GIB),
        dii_error_ttl_ms: signed(section.integer("dii_error_ttl_s", 0..=86_400, 3_600)) * 1_000,
        active_window_ms: signed(section.integer("active_window_s", 0..=2_592_000, 0)) * 1_000,
        refresh_jitter_ms: signed(section.integer("refresh_jitter_s", 0..=86_400, 600)) * 1_000,
        optout_days: u32::try_from(section.integer("optout_days", 1..=36_500, 365)).unwrap_or(365),
        session_ttl_ms: signed(section.integer("session_ttl_s", 60..=2_592_000, 3_600)) * 1_000,
        cookie_entries: section.integer("cookie_entries", 1..=100_000_000, 50_000),
        cookie_refreshes: size(section.integer("cookie_refreshes", 1..=10_000, 64)),
        ..defaults
    }
}

pub(super) fn privacy(section: &Section<'_>) -> Policy {
    policy(section, &Policy::default())
}

/// `[privacy]`, or a publisher's own on top of it: what is not said is as in `base`.
pub(super) fn policy(section: &Section<'_>, base: &Policy) -> Policy {
    let on_signal = [("strip", OnSignal::Strip), ("pass", OnSignal::Pass)];
    let on_doubt = [("pass", OnDoubt::Pass), ("inject", OnDoubt::Inject)];
    let scopes = [("all", StripScope::All), ("uid", StripScope::Uid)];
    Policy {
        strip_scope: section.choice_or("strip_scope", &scopes, base.strip_scope),
        us_optout: section.choice_or("us_optout", &on_signal, base.us_optout),
        dnt: section.choice_or("dnt", &[on_signal[1], on_signal[0]], base.dnt),
        unknown_scope: section.choice_or("unknown_scope", &on_doubt, base.unknown_scope),
        test: section.choice_or("test", &on_doubt, base.test),
        euid_strip_others: section.flag("euid_strip_others", base.euid_strip_others),
        countries: if section.in_file("countries") { countries(section) } else { base.countries.clone() },
        fill_gpc: section.flag("fill_gpc", base.fill_gpc),
    }
}

/// `privacy.gvl` and how it is read; a file that is no vendor list is a fault of its own.
pub(super) fn vendors(section: &Section<'_>) -> Option<Vendors> {
    let path = section.text("gvl");
    let settings = VendorSettings {
        path: path.as_ref().map(|(path, _)| PathBuf::from(path)),
        max_bytes: section.integer("gvl_max_bytes", KIB..=256 * MIB, 16 * MIB),
        poll: Duration::from_secs(section.integer("gvl_poll_s", 1..=86_400, 5)),
    };
    let opened = Vendors::open(settings);
    if let (Some((path, at)), Err(fault)) = (&path, &opened) {
        section.wrong(at, "gvl", format!("file {path}: {fault}"));
    }
    opened.ok()
}

fn countries(section: &Section<'_>) -> Vec<Alpha3> {
    let code = |(text, at): (String, At<'_>)| {
        let code = alpha3(&text).filter(|_| text.len() == 3);
        if code.is_none() {
            section.wrong(&at, "countries", "must be ISO 3166 alpha-3 codes such as USA");
        }
        code
    };
    section.list("countries").into_iter().filter_map(code).collect()
}

pub(super) fn log(section: &Section<'_>) -> log::Settings {
    let defaults = log::Settings::default();
    let level = section.text("level").map_or(defaults.level, |(level, at)| {
        if let Err(fault) = log::check_level(&level) {
            section.wrong(&at, "level", fault.to_string());
        }
        level
    });
    let format = section.choice("format", &[("text", log::Format::Text), ("json", log::Format::Json)]);
    log::Settings { level, format: format.unwrap_or(log::Format::Text) }
}

pub(super) fn metrics(section: &Section<'_>) -> usize {
    size(section.integer("publishers", 0..=10_000, 100))
}

pub(super) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
