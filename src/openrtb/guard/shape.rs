//! The shapes of what is looked for: an e-mail address, a phone number, a hash, a raw UID2.

use memchr::memchr_iter;

/// Whether a plain e-mail address stands anywhere in a text: something before an `@`, and after it a domain with a dot
/// whose last label begins with a letter, so that `name@1.2.3` is none.
pub(super) fn has_email(text: &[u8]) -> bool {
    memchr_iter(b'@', text).any(|at| {
        let (before, after) = text.split_at_checked(at).unwrap_or_default();
        ends_local(before) && begins_domain(after.get(1..).unwrap_or_default())
    })
}

fn ends_local(before: &[u8]) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80;
    match before.split_last() {
        // A quoted local part; but `{"@id` is a name.
        Some((b'"', quoted)) => quoted.last().is_some_and(word),
        // Of what RFC 5322 allows, not what ends a path, a pair or a bracket.
        Some((last, _)) => word(last) || b"!#$%'*+-^_`}~.".contains(last),
        None => false,
    }
}

fn begins_domain(after: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || *byte >= 0x80;
    let length = after.iter().position(|byte| !legal(byte)).unwrap_or(after.len());
    let mut domain = after.get(..length).unwrap_or_default();
    while let Some(shorter) = domain.strip_suffix(b".").or(domain.strip_suffix(b"-")) {
        domain = shorter;
    }
    let Some(dot) = domain.iter().rposition(|byte| *byte == b'.') else { return false };
    let label = domain.get(dot + 1..).unwrap_or_default();
    dot > 0 && label.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
}

/// `+` and 10 to 15 digits, nothing else (E.164).
pub(super) fn is_phone(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (10..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// SHA-256: 64 hex digits, or base64 of 32 bytes in either alphabet, with or without padding.
pub(super) fn is_sha256(text: &str) -> bool {
    match text.len() {
        64 => is_hex(text),
        43 => is_base64(text),
        44 => text.strip_suffix('=').is_some_and(is_base64),
        _ => false,
    }
}

/// The hash of something: SHA-256, or the 32, 40 or 128 hex digits of MD5, SHA-1 or SHA-512, or base64 of the last.
pub(super) fn is_hash(text: &str) -> bool {
    match text.len() {
        32 | 40 | 128 => is_hex(text),
        86 => is_base64(text),
        88 => text.strip_suffix("==").is_some_and(is_base64),
        _ => is_sha256(text),
    }
}

/// Whether an id has the shape of a raw UID2: base64 of 32 or 33 bytes in either alphabet, so 44 characters, or 43 where
/// 32 bytes come without padding. Tokens never have it.
pub(super) fn is_raw_uid2(id: &str) -> bool {
    match id.len() {
        43 => is_base64(id),
        44 => is_base64(id.strip_suffix('=').unwrap_or(id)),
        _ => false,
    }
}

/// What hashes and raw UID2s are written with, padding apart.
pub(super) const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_base64(text: &str) -> bool {
    text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_ids_have_43_or_44_characters_of_base64() {
        assert!(is_raw_uid2("tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf/F5HVRQ="));
        for raw in ["A".repeat(43), "A".repeat(44), "-_".repeat(22), format!("{}=", "A".repeat(43))] {
            assert!(is_raw_uid2(&raw), "{raw}");
        }
        for other in ["A".repeat(42), "A".repeat(45), format!("{}=A", "A".repeat(42)), "é".repeat(22)] {
            assert!(!is_raw_uid2(&other), "{other}");
        }
    }
}
