//! Whether a string is DII: what it says, after JSON escapes and per cent encoding.

use std::cell::Cell;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memchr_iter;

use super::super::text::unescape;
use super::keys;

/// How many layers of encoding are taken off a string: a string in a string in a string.
const LAYERS: u8 = 2;

/// How many layers are taken off in one request. A string that would need one more is taken for DII: nobody has so
/// many, and each costs.
pub(super) const MOST_LAYERS: u32 = 2048;

/// Base64 of 32 bytes without padding, the shortest spelling of a hash.
const BASE64_CHARS: usize = 43;

/// The spellings of one hash.
pub(super) struct OwnHash {
    hex: String,
    base64: String,
    base64_url: String,
}

impl OwnHash {
    pub(super) fn new(digest: &[u8; 32]) -> Self {
        const DIGITS: [char; 16] =
            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let hex = nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble))).collect();
        Self { hex, base64: STANDARD_NO_PAD.encode(digest), base64_url: URL_SAFE_NO_PAD.encode(digest) }
    }
}

/// What counts as DII in one request.
pub(super) struct Wording {
    /// Hashes of what the request itself brings as a hint.
    own: Vec<OwnHash>,
    /// Layers that may still be taken off.
    layers: Cell<u32>,
}

impl Wording {
    /// For one request, by the digests of its own hints.
    pub(super) fn new(own: &[[u8; 32]]) -> Self {
        Self { own: own.iter().map(OwnHash::new).collect(), layers: Cell::new(MOST_LAYERS) }
    }

    /// Pays for a layer; false when no more may be taken off.
    pub(super) fn pays(&self) -> bool {
        let left = self.layers.get().checked_sub(1);
        self.layers.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Whether a string is or holds DII; `known`: it stands under a name that says so of a hash.
    pub(super) fn is_dii(&self, text: &str, known: bool) -> bool {
        self.layer(text, known, 0)
    }

    fn layer(&self, text: &str, known: bool, depth: u8) -> bool {
        if self.says(text, known) {
            return true;
        }
        if depth >= LAYERS {
            return false;
        }
        let inside = |decode: &dyn Fn() -> String| !self.pays() || self.layer(&decode(), known, depth + 1);
        (text.contains('\\') && inside(&|| unescape(text))) || (is_encoded(text) && inside(&|| decoded(text)))
    }

    fn says(&self, text: &str, known: bool) -> bool {
        let trimmed = text.trim();
        has_email(text.as_bytes())
            || is_phone(trimmed)
            || (known && is_hash(trimmed))
            || has_named_hash(text)
            || self.has_own(text)
    }

    /// Whether one of the request's own hashes stands in a text, which is put in lower case once.
    fn has_own(&self, text: &str) -> bool {
        if self.own.is_empty() || text.len() < BASE64_CHARS {
            return false;
        }
        let lower = text.to_ascii_lowercase();
        self.own.iter().any(|own| own.is_in(text, &lower))
    }
}

impl OwnHash {
    /// Whether it stands in a text; `lower` is the text in lower case.
    fn is_in(&self, text: &str, lower: &str) -> bool {
        text.contains(&self.base64) || text.contains(&self.base64_url) || lower.contains(&self.hex)
    }
}

/// Whether a plain e-mail address stands anywhere in a text: something before an `@`, and after it a domain with a dot
/// whose last label begins with a letter, so that `name@1.2.3` is none.
fn has_email(text: &[u8]) -> bool {
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
fn is_phone(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (10..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The hash of something: 64, 40 or 32 hex digits (SHA-256, SHA-1, MD5), or base64 of 32 bytes.
fn is_hash(text: &str) -> bool {
    match text.len() {
        64 | 40 | 32 => text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        44 => text.ends_with('=') && STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 32),
        _ => false,
    }
}

/// `email_hash=<hash>` or `email_hash:<hash>`, as keywords have it.
fn has_named_hash(text: &str) -> bool {
    let pair = text.split_once(['=', ':']);
    pair.is_some_and(|(name, value)| is_hash(value.trim()) && keys::is_known(name.trim()))
}

/// Whether a text has a character in per cent encoding.
fn is_encoded(text: &str) -> bool {
    let text = text.as_bytes();
    memchr_iter(b'%', text)
        .any(|at| text.get(at + 1..at + 3).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit)))
}

/// The text without its per cent encoding.
fn decoded(text: &str) -> String {
    let Some((plain, mut rest)) = text.split_once('%') else { return text.to_owned() };
    let mut out = plain.as_bytes().to_vec();
    loop {
        let (code, after) = rest.split_at_checked(2).unwrap_or_default();
        match u8::from_str_radix(code, 16).ok().filter(|_| code.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(byte) => {
                out.push(byte);
                rest = after;
            }
            None => out.push(b'%'),
        }
        let Some((plain, more)) = rest.split_once('%') else {
            out.extend_from_slice(rest.as_bytes());
            return String::from_utf8_lossy(&out).into_owned();
        };
        out.extend_from_slice(plain.as_bytes());
        rest = more;
    }
}

/// Whether an id has the shape of a raw UID2: 44 characters of base64 (32 or 33 bytes). Tokens never have it.
pub(super) fn is_raw_uid2(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    id.len() == 44 && id.strip_suffix('=').unwrap_or(id).bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a request that brings no hint.
    fn is_dii(text: &str, known: bool) -> bool {
        Wording::new(&[]).is_dii(text, known)
    }

    const HEX: &str = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";
    const BASE64: &str = "tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf/F5HVRQ=";

    #[test]
    fn addresses_are_found_anywhere_and_in_any_layer() {
        for text in [
            "joe@example.com",
            " Joe.Smith+ads@Mail.Example.CO.UK ",
            "mailto:joe@example.com",
            "a=1&e=joe@example.com&b=2",
            "<joe@example.com>.",
            r#"{"email":"joe@example.com"}"#,
            r#""joe smith"@example.com"#,
            "jörg@exämple.de",
            "joe%40example.com",
            "joe%2540example.com",
            "%6A%6F%65%40example%2Ecom",
            r"joe\u0040example.com",
            r#"{\"email\":\"joe\\u0040example.com\"}"#,
            "x@y joe@example.com",
            "%zz%4joe%40example.com",
        ] {
            assert!(is_dii(text, false), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_stays() {
        for text in [
            "",
            "@",
            "a@",
            "@example.com",
            "user@host",
            "lib@1.2.3",
            "/@joe.smith",
            r#"{"@type.x":1}"#,
            "a@.com",
            "joe@example.",
            "100%",
            "%",
            "%4",
            "joe%40host",
            r"joe\u0040",
            "joe at example.com",
            "a@b.1",
        ] {
            assert!(!is_dii(text, false), "{text}");
        }
    }

    #[test]
    fn a_phone_number_is_the_whole_text() {
        for text in
            ["+1234567890", "+123456789012345", " +15551234567 ", "%2B15551234567", r"\u002b15551234567"]
        {
            assert!(is_dii(text, false), "{text}");
        }
        for text in [
            "+123456789",
            "+1234567890123456",
            "15551234567",
            "+1 555 123 4567",
            "call +15551234567",
            "+1555123456a",
        ] {
            assert!(!is_dii(text, false), "{text}");
        }
    }

    #[test]
    fn a_hash_counts_only_under_a_name_or_when_it_is_the_requests_own() {
        let digest = STANDARD.decode(BASE64).unwrap().try_into().unwrap();
        let own = Wording::new(&[digest]);
        let upper = HEX.to_ascii_uppercase();
        let bare = BASE64.trim_end_matches('=');
        let url = bare.replace('/', "_");
        let first = |digits| HEX.split_at(digits).0;
        for text in [HEX, &upper, BASE64, bare, &url, &format!("x-{HEX}")] {
            assert!(!is_dii(text, false), "{text}");
            assert!(own.is_dii(text, false), "{text}");
        }
        for text in [HEX, &upper, BASE64, first(40), first(32)] {
            assert!(is_dii(text, true), "{text}");
            assert!(is_dii(&format!("email_hash={text}"), false), "{text}");
            assert!(is_dii(&format!(" Phone-Hash : {text}"), false), "{text}");
            assert!(!is_dii(&format!("other={text}"), false), "{text}");
        }
        for text in [first(63), first(41), bare, "12345", ""] {
            assert!(!is_dii(text, true), "{text}");
        }
    }

    #[test]
    fn layers_are_taken_off_up_to_a_limit_and_past_it_nothing_is_believed() {
        let wording = Wording::new(&[]);
        for _ in 0..MOST_LAYERS {
            assert!(!wording.is_dii("%41", false));
        }
        assert!(wording.is_dii("%41", false) && wording.is_dii(r"\a", false));
        assert!(!wording.is_dii("100%", false) && !wording.is_dii("plain", false), "needs no layer");
    }

    #[test]
    fn raw_ids_have_44_characters_of_base64() {
        assert!(is_raw_uid2(BASE64));
        assert!(is_raw_uid2(&"A".repeat(44)) && is_raw_uid2(&"-_".repeat(22)));
        assert!(!is_raw_uid2(&"A".repeat(43)) && !is_raw_uid2(&"A".repeat(45)));
        assert!(!is_raw_uid2(&format!("{}=A", "A".repeat(42))) && !is_raw_uid2(&"é".repeat(22)));
    }
}
