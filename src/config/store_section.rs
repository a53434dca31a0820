//! `[store]`.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Placed, Section};
use super::resolved::Value;
use super::sections::{millis, pem};
use crate::secret::Secret;
use crate::store::{self, RedisSettings};

/// Operations that may wait for the store.
const QUEUE: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Disk,
    Memory,
    Redis,
}

pub(super) fn store(section: &Section<'_>) -> Option<store::Settings> {
    let words = [("disk", Word::Disk), ("memory", Word::Memory), ("redis", Word::Redis)];
    let word = section.choice("kind", &words);
    let path = section.text("path").map(|(path, _)| PathBuf::from(path));
    let redis = redis(section, word == Some(Word::Redis));
    let key = section.secret("encryption_key").and_then(|placed| section.key32("encryption_key", placed));
    let key = section.required("encryption_key", key);
    let previous = section.secrets("previous_keys").into_iter();
    let previous_keys = previous.filter_map(|placed| section.key32("previous_keys", placed)).collect();
    let kind = match word? {
        Word::Disk => store::Kind::Disk { path: path.unwrap_or_else(|| PathBuf::from("data/identities")) },
        Word::Memory => store::Kind::Memory,
        Word::Redis => store::Kind::Redis(redis),
    };
    Some(store::Settings { kind, encryption_key: key?, previous_keys, queue: QUEUE })
}

/// The keys of `kind = "redis"`; they are read whatever the kind, so that a mistake in them never waits to be found.
fn redis(section: &Section<'_>, is_used: bool) -> RedisSettings {
    let urls = urls(section);
    let ca = if section.holds("ca") { pem(section, "ca") } else { None };
    let wait = u32::try_from(section.integer("wait_replicas", 0..=16, 0)).unwrap_or_default();
    let settings = RedisSettings {
        urls: urls.iter().map(|(url, _)| url.clone()).collect(),
        cluster: section.flag("cluster", false),
        ca,
        timeout: millis(section.integer("timeout_ms", 10..=60_000, 500)),
        connect_timeout: millis(section.integer("connect_timeout_ms", 10..=60_000, 1_000)),
        max_stale: Duration::from_secs(section.integer("max_stale_s", 1..=86_400, 300)),
        wait_replicas: section.holds("wait_replicas").then_some(wait),
    };
    if !is_used && !section.holds("urls") {
        return settings;
    }
    if let Err(fault) = settings.check() {
        match urls.get(fault.index) {
            Some((_, at)) => section.wrong(at, "urls", fault.reason),
            // None was read, and each says why.
            None if !section.elements("urls").is_empty() => {}
            None => section.missing("urls", "is required when store.kind is \"redis\""),
        }
    }
    settings
}

/// URLs with credentials in them are secrets; the others may stand in the file.
fn urls<'a>(section: &Section<'a>) -> Vec<Placed<'a, Secret<String>>> {
    let is_open = |text: &str| !text.contains('@') && !text.contains("password");
    let read = |value| match toml::de::DeValue::as_str(toml::Spanned::get_ref(value)) {
        Some(text) if is_open(text) => Some((Secret::new(text.to_owned()), section.at(value))),
        _ => section.secret_value("urls", value),
    };
    let urls: Vec<_> = section.elements("urls").iter().filter_map(read).collect();
    let noted = |(url, _): &Placed<'_, Secret<String>>| match url.expose() {
        text if is_open(text) => Value::Text(text.clone()),
        secret => Value::secret(secret),
    };
    section.note_list("urls", urls.iter().map(noted).collect());
    urls
}
