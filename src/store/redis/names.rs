//! What stands where in Redis. Whatever a script touches has one hash tag, so a cluster keeps it on one node.
//!
//! ```text
//! uid2gw:index             the key of all record keys, wrapped                        string
//! uid2gw:r:{<record key>}  a sealed record, as on disk; ends with the record          string, PX
//! uid2gw:l:{<record key>}  who refreshes that record just now                         string, PX
//! uid2gw:optouts:<00–63>   who opted out: record key → times, see `opt_outs`          hash, never expires
//! uid2gw:changes           what was written last, for the other gateways              stream, MAXLEN ~
//! ```

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::key::RecordKey;

pub(super) const INDEX: &str = "uid2gw:index";
pub(super) const CHANGES: &str = "uid2gw:changes";

/// All records, as a pattern for SCAN.
pub(super) const RECORDS: &str = "uid2gw:r:*";

/// The record under `key`.
pub(super) fn record(key: &RecordKey) -> String {
    format!("uid2gw:r:{{{}}}", URL_SAFE_NO_PAD.encode(key.as_bytes()))
}

/// The lease on the record under `key`; in the same slot.
pub(super) fn lease(key: &RecordKey) -> String {
    format!("uid2gw:l:{{{}}}", URL_SAFE_NO_PAD.encode(key.as_bytes()))
}

/// The hash of opt-outs of this number.
pub(super) fn bucket(number: usize) -> String {
    format!("uid2gw:optouts:{number:02}")
}

/// The key of the record that has this name.
pub(super) fn record_key(name: &[u8]) -> Option<RecordKey> {
    let text = name.strip_prefix(b"uid2gw:r:{")?.strip_suffix(b"}")?;
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(RecordKey::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_and_its_lease_share_a_slot_and_the_name_gives_the_key_back() {
        let key = RecordKey::from_bytes([0xFB; 32]);
        let tag = |name: String| name.split(['{', '}']).nth(1).map(str::to_owned);
        assert_eq!(tag(record(&key)), tag(lease(&key)));
        assert_eq!(record_key(record(&key).as_bytes()), Some(key));
        assert_eq!(record_key(lease(&key).as_bytes()), None);
        assert_eq!(record_key(b"uid2gw:r:{AAAA}"), None);
    }
}
