//! What every key came to, defaults and environment included: shown by the admin listener, compared at a reload.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, json};
use sha2::{Digest, Sha256};

use super::reader::Section;

/// Keys, and sections, of which a change counts from the next start only: they shape what is built once. Everything else is
/// taken over by a reload.
const AT_START: [&str; 13] = [
    "server.listen",
    "server.workers",
    "server.reload_poll_s",
    "admin",
    "operator",
    "identity",
    "identity_provider",
    "store",
    "debug.capture_seconds",
    "debug.capture_requests",
    "debug.capture_bytes",
    "log",
    "metrics",
];

/// Keys of `[privacy]` that say where the vendor list is; what is in it is watched all the time.
const VENDOR_FILE: [&str; 3] = ["privacy.gvl", "privacy.gvl_max_bytes", "privacy.gvl_poll_s"];

/// Every key that was read, with its value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Resolved(BTreeMap<String, Reading>);

#[derive(Clone, PartialEq, Eq)]
enum Reading {
    One(Value),
    Many(Vec<Value>),
}

/// One value. Of secrets, and of what stands in other files, only whether it is the same as before.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Flag(bool),
    Secret([u8; 32]),
    File(String, [u8; 32]),
}

impl Value {
    pub(super) fn secret(text: &str) -> Self {
        Self::Secret(Sha256::digest(text.as_bytes()).into())
    }

    pub(super) fn file(path: &str, content: &[u8]) -> Self {
        Self::File(path.to_owned(), Sha256::digest(content).into())
    }

    fn shown(&self, key: &str) -> serde_json::Value {
        match self {
            Self::Text(_) if key.ends_with("api_keys") => json!(HIDDEN),
            Self::Text(text) => json!(without_credentials(text)),
            Self::Number(number) => json!(number),
            Self::Flag(flag) => json!(flag),
            Self::Secret(_) => json!(HIDDEN),
            Self::File(path, _) => json!(path),
        }
    }
}

const HIDDEN: &str = "[secret]";

/// A URL without what may be a secret in it: user information and query.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?[secret]"));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}{path}{query}"),
        None => format!("{scheme}://{authority}{path}{query}"),
    }
}

impl Resolved {
    /// Keys whose values differ, in the order of the alphabet.
    pub fn changed_to(&self, next: &Self) -> Vec<String> {
        let gone = self.0.keys().filter(|key| !next.0.contains_key(*key));
        let other = next.0.iter().filter(|(key, value)| self.0.get(*key) != Some(value));
        let mut keys: Vec<String> = gone.chain(other.map(|(key, _)| key)).cloned().collect();
        keys.sort();
        keys
    }

    /// Those of `keys` that a reload cannot take over.
    pub fn needing_restart(keys: &[String]) -> Vec<String> {
        keys.iter().filter(|key| is_read_at_start(key)).cloned().collect()
    }

    /// Sections and keys as one JSON object; secrets are only said to be there.
    pub fn to_json(&self) -> serde_json::Value {
        let mut root = Map::new();
        for (key, reading) in &self.0 {
            let value = match reading {
                Reading::One(value) => value.shown(key),
                Reading::Many(values) => values.iter().map(|value| value.shown(key)).collect(),
            };
            put(&mut root, key, value);
        }
        root.into()
    }

    /// Names the configuration among others: the same for the same keys and values, secrets aside.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.to_json().to_string().as_bytes());
        digest.iter().take(8).fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            write!(hex, "{byte:02x}").ok();
            hex
        })
    }
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[resolved]")
    }
}

/// Whether a change of this key counts from the next start only.
pub(super) fn is_read_at_start(key: &str) -> bool {
    let is_of =
        |name: &str| key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    AT_START.iter().any(|name| is_of(name)) || VENDOR_FILE.contains(&key)
}

/// Ids and keys hold no dots, so that a dot always goes one table down.
fn put(table: &mut Map<String, serde_json::Value>, key: &str, value: serde_json::Value) {
    match key.split_once('.') {
        Some((name, rest)) => {
            let inner = table.entry(name).or_insert_with(|| Map::new().into());
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
        None => {
            table.insert(key.to_owned(), value);
        }
    }
}

impl Section<'_> {
    /// Notes what `key` came to.
    pub(super) fn note(&self, key: &str, value: Value) {
        self.context().resolved().0.insert(self.key(key), Reading::One(value));
    }

    /// The same for a list.
    pub(super) fn note_list(&self, key: &str, values: Vec<Value>) {
        self.context().resolved().0.insert(self.key(key), Reading::Many(values));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, Value)]) -> Resolved {
        let readings = pairs.iter().map(|(key, value)| ((*key).to_owned(), Reading::One(value.clone())));
        Resolved(readings.collect())
    }

    #[test]
    fn what_differs_is_named_and_what_needs_a_restart_is_told_apart() {
        let before = of(&[
            ("server.listen", Value::Text("a".into())),
            ("server.listener", Value::Number(1)),
            ("store.path", Value::Text("p".into())),
            ("ssp.alpha.url", Value::Text("u".into())),
            ("publisher.acme.operator_secret", Value::secret("x")),
            ("publisher.gone.mode", Value::Flag(true)),
        ]);
        let after = of(&[
            ("server.listen", Value::Text("b".into())),
            ("server.listener", Value::Number(2)),
            ("store.path", Value::Text("p".into())),
            ("ssp.alpha.url", Value::Text("v".into())),
            ("publisher.acme.operator_secret", Value::secret("y")),
            ("privacy.gvl", Value::file("f", b"1")),
        ]);
        let changed = before.changed_to(&after);
        let expected = [
            "privacy.gvl",
            "publisher.acme.operator_secret",
            "publisher.gone.mode",
            "server.listen",
            "server.listener",
            "ssp.alpha.url",
        ];
        assert_eq!(changed, expected);
        assert_eq!(Resolved::needing_restart(&changed), ["privacy.gvl", "server.listen"]);
        assert!(before.changed_to(&before.clone()).is_empty());
    }

    #[test]
    fn a_secret_counts_but_does_not_show() {
        let with = |secret: &str| {
            of(&[
                ("admin.token", Value::secret(secret)),
                ("ssp.a.url", Value::Text(format!("https://u:{secret}@h.example/bid?key={secret}"))),
                ("publisher.a.api_keys", Value::Text(format!("sha256:{secret}"))),
            ])
        };
        let (one, other) = (with("one-secret"), with("two-secret"));
        assert_eq!(one.changed_to(&other).len(), 3);
        assert_eq!(one.hash(), other.hash(), "it is published");
        for text in [one.to_json().to_string(), format!("{one:?}")] {
            assert!(!text.contains("one-secret"), "{text}");
        }
        assert_eq!(one.to_json()["ssp"]["a"]["url"], "https://[secret]@h.example/bid?[secret]");
        assert_eq!(one.to_json()["admin"]["token"], "[secret]");
    }
}
