//! Keys of the published contract that this version does not have yet. Refused by name: a privacy or security setting
//! that is silently ignored would be worse than none.

const LATER: &[(&str, &[&str])] = &[
    ("debug", &["sample"]),
    ("server", &["passthrough"]),
    ("publisher", &["holdout_percent"]),
    ("ssp", &["http2"]),
];

/// Why `key` of a table of this kind is refused.
pub(super) fn reason(kind: &str, key: &str) -> String {
    let planned = LATER.iter().any(|(k, keys)| *k == kind && keys.contains(&key));
    String::from(if planned { "not available in this version" } else { "unknown key" })
}
