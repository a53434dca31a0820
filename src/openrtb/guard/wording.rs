//! What a string says, as it stands: an address, a phone number, a hash under a name or of the request's own hint.

use std::cell::Cell;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memchr2_iter;

use super::keys::Named;
use super::shape::{has_email, is_digit, is_phone};

/// Bytes that may be decoded in one request. A string that would need more is taken for DII: nobody has so many, and
/// each costs.
const MOST_DECODED: usize = 4 << 20;

/// What taking off one layer costs besides its bytes, so that no more than 2,048 are.
const LAYER: usize = 2 << 10;

/// The longest hash: SHA-512 in hex.
const LONGEST_HASH: usize = 128;

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
    /// Bytes that may still be decoded.
    left: Cell<usize>,
}

impl Wording {
    /// For one request, by the digests of its own hints.
    pub(super) fn new(own: &[[u8; 32]]) -> Self {
        Self { own: own.iter().map(OwnHash::new).collect(), left: Cell::new(MOST_DECODED) }
    }

    /// Pays for taking a layer off a text; false when no more may be.
    pub(super) fn pays(&self, text: &str) -> bool {
        let left = self.left.get().checked_sub(LAYER + text.len());
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Whether a string is or holds DII as it stands; `named`: what the name says under which it does.
    pub(super) fn says(&self, text: &str, named: Named) -> bool {
        let trimmed = text.trim();
        has_email(text.as_bytes())
            || is_phone(trimmed)
            || named.takes(trimmed)
            || has_named_hash(text.as_bytes())
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

/// Whether a name with its hash stands anywhere in a text: `email_hash=<hash>`, `hem: "<hash>"`, as keywords, queries and
/// JSON have it, whole or in part.
fn has_named_hash(text: &[u8]) -> bool {
    memchr2_iter(b'=', b':', text).any(|at| {
        let (before, after) = text.split_at_checked(at).unwrap_or_default();
        let hash = first_hash(after.get(1..).unwrap_or_default());
        hash.len() >= 32 && Named::of(last_word(before)).takes(hash)
    })
}

/// What may stand between a name, its separator and the hash.
const fn is_margin(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(byte, b'"' | b'\'' | b'\\' | b'{' | b'}' | b'[' | b']' | b'(' | b')')
}

fn last_word(text: &[u8]) -> &str {
    let end = text.iter().rposition(|byte| !is_margin(*byte)).map_or(0, |last| last + 1);
    let text = text.get(..end).unwrap_or_default();
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let start = text.iter().rposition(|byte| !letter(byte)).map_or(0, |last| last + 1);
    std::str::from_utf8(text.get(start..).unwrap_or_default()).unwrap_or_default()
}

fn first_hash(text: &[u8]) -> &str {
    let start = text.iter().position(|byte| !is_margin(*byte)).unwrap_or(text.len());
    let text = text.get(start..).unwrap_or_default();
    let length = text.iter().take(LONGEST_HASH + 1).take_while(|byte| is_digit(**byte)).count();
    let padding = text.iter().skip(length).take(2).take_while(|byte| **byte == b'=').count();
    std::str::from_utf8(text.get(..length + padding).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const HEX: &str = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";
    const BASE64: &str = "tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf/F5HVRQ=";

    #[test]
    fn a_hash_counts_only_under_a_name_or_when_it_is_the_requests_own() {
        let digest = STANDARD.decode(BASE64).unwrap().try_into().unwrap();
        let (none, own) = (Wording::new(&[]), Wording::new(&[digest]));
        let upper = HEX.to_ascii_uppercase();
        let bare = BASE64.trim_end_matches('=');
        let url = bare.replace('/', "_");
        let first = |digits| HEX.split_at(digits).0;
        for text in [HEX, &upper, BASE64, bare, &url] {
            assert!(
                !none.says(text, Named::Nothing) && own.says(&format!("x-{text}."), Named::Nothing),
                "{text}"
            );
            assert!(none.says(text, Named::Subject) && none.says(&format!("email={text}"), Named::Nothing));
        }
        let sha512 = (HEX.repeat(2), format!("{bare}{bare}"));
        for text in [HEX, &upper, BASE64, bare, &url, first(40), first(32), &sha512.0, &sha512.1] {
            assert!(none.says(text, Named::Hash), "{text}");
            for holder in [
                "email_hash=H",
                " phone-hash : H",
                "x=1&email_hash=H",
                "a;hem=H;b",
                r#"{"a":{"hem":"H"}};"#,
                r#"{\"email_hash\":\"H"#,
                "https://a.example/?b=1&he=H#c",
                "c=1:hems: ['H']",
            ] {
                assert!(none.says(&holder.replace('H', text), Named::Nothing), "{holder} {text}");
            }
            for holder in ["other=H", "hem H", "hem=1&x=H", "hem=.H", "themes=H"] {
                assert!(!none.says(&holder.replace('H', text), Named::Nothing), "{holder} {text}");
            }
        }
        for text in [first(63), first(41), "12345", "", &HEX.repeat(3)] {
            assert!(
                !none.says(text, Named::Hash) && !none.says(&format!("hem={text}"), Named::Nothing),
                "{text}"
            );
        }
        for text in [first(32), first(40)] {
            assert!(!none.says(text, Named::Subject) && !none.says(&format!("email={text}"), Named::Nothing));
        }
    }
}
