//! Directly identifying information: that of the users who were logged in, wherever it stands, and what looks like an
//! e-mail address or phone number.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::tree::{Node, Tree};
use crate::uid2::Email;

/// Characters of SHA-256 in hex, and in base64 without padding.
const HEX: usize = 64;
const BASE64: usize = 43;

/// E-mail addresses, phone numbers and the hashes of both that must not reach an SSP.
#[derive(Clone, Debug, Default)]
pub struct Known {
    emails: HashSet<String>,
    /// Without `+`.
    phones: HashSet<String>,
    /// Hex in lower case; both alphabets of base64, without padding.
    hashes: HashSet<String>,
}

impl Known {
    /// Looks for an e-mail address and its hashes from now on: as it is given, and normalised as UID2 does.
    pub fn add_email(&mut self, email: &str) {
        let lower = email.trim().to_lowercase();
        if let Ok(normalised) = Email::parse(email) {
            self.add_hashes(normalised.as_str());
        }
        self.add_hashes(&lower);
        self.emails.insert(lower);
    }

    /// The same for a phone number in E.164.
    pub fn add_phone(&mut self, phone: &str) {
        self.add_hashes(phone.trim());
        self.phones.insert(phone.trim().trim_start_matches('+').to_owned());
    }

    fn add_hashes(&mut self, text: &str) {
        let digest = Sha256::digest(text.as_bytes());
        let hex = hex(&digest);
        self.hashes.extend([hex, STANDARD_NO_PAD.encode(digest), URL_SAFE_NO_PAD.encode(digest)]);
    }

    /// Whether one of them stands anywhere in a text.
    pub(super) fn is_in(&self, text: &str) -> bool {
        let nothing = self.emails.is_empty() && self.phones.is_empty();
        let decoded = percent_decoded(text);
        !nothing && [Some(text), decoded.as_deref()].into_iter().flatten().any(|text| self.stands_in(text))
    }

    fn stands_in(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        emails(&lower).any(|(local, domain)| {
            // What stands before the local part may be part of the word.
            (0..local.len())
                .filter_map(|from| local.get(from..))
                .any(|local| self.emails.contains(&format!("{local}@{domain}")))
        }) || runs(text, |c| c.is_ascii_digit()).any(|run| self.phones.contains(run))
            || runs(&lower, |c| c.is_ascii_hexdigit()).any(|run| self.holds(run, HEX))
            || runs(text, is_base64).any(|run| self.holds(run, BASE64))
    }

    /// Whether a hash of this length stands in a run of its characters.
    fn holds(&self, run: &str, length: usize) -> bool {
        let starts = 0..(run.len() + 1).saturating_sub(length);
        starts.filter_map(|from| run.get(from..from + length)).any(|part| self.hashes.contains(part))
    }
}

fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

/// Whether an e-mail address or phone number stands in a text, by its looks.
pub(super) fn looks_like_dii(text: &str) -> bool {
    let decoded = percent_decoded(text);
    let mut texts = [Some(text), decoded.as_deref()].into_iter().flatten();
    texts.any(|text| emails(text).next().is_some() || is_phone(text.trim()))
}

/// Whether a text may be cut for what it says under a name: DII by its looks, or a hash or raw UID2.
///
/// Wider than [`looks_like_dii`]: that says what must not arrive, this what may be gone.
pub(super) fn may_be_cut(name: &str, text: &str) -> bool {
    const SUBJECTS: [&str; 9] = ["mail", "hem", "he", "phone", "tel", "mobile", "msisdn", "sha", "hash"];
    let hashes = runs(text, is_base64).any(|run| run.len() >= 32);
    let name = name.to_lowercase();
    let text_names = text.to_lowercase();
    looks_like_dii(text)
        || (hashes && SUBJECTS.iter().any(|subject| name.contains(subject) || text_names.contains(subject)))
        || (is_hash(text) && text.len() != HEX)
        || Tree::parse(text.as_bytes())
            .is_some_and(|inner| !matches!(inner.node, Node::Scalar) && accountable(&name, &inner))
}

/// SHA-256 in hex or base64, or a raw UID2.
pub(super) fn is_hash(text: &str) -> bool {
    match text.len() {
        HEX => text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        BASE64 | 44 => text.trim_end_matches('=').chars().all(is_base64),
        _ => false,
    }
}

/// Whether something in a value may be cut. `name` is what it stands under.
pub(super) fn accountable(name: &str, tree: &Tree<'_>) -> bool {
    match &tree.node {
        Node::Scalar => tree.string().is_some_and(|text| may_be_cut(name, &text)),
        Node::Array(items) => items.iter().any(|item| accountable(name, item)),
        Node::Object(members) => members.iter().any(|member| {
            let own = member.name().unwrap_or_default();
            looks_like_dii(&own) || accountable(&format!("{name}.{own}"), &member.value)
        }),
    }
}

/// `+` and 10 to 15 digits, nothing else.
fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (10..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Local part and domain of whatever is written like an address: a domain has a dot, and its last label is of letters.
fn emails(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('@').filter_map(|(at, _)| {
        let (before, after) = (text.get(..at)?, text.get(at + 1..)?);
        let local = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let domain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
        let from = before.char_indices().rev().take_while(|(_, c)| local(*c)).last().map(|(from, _)| from)?;
        let to = after.find(|c| !domain(c)).unwrap_or(after.len());
        let domain = after.get(..to)?.trim_end_matches(['.', '-']);
        let (before_dot, label) = domain.rsplit_once('.')?;
        let sound = label.len() >= 2 && label.bytes().all(|byte| byte.is_ascii_alphabetic());
        let starts = before_dot.starts_with(|c: char| c.is_ascii_alphanumeric());
        (sound && starts).then_some((before.get(from..)?, domain))
    })
}

/// Base64 of either alphabet, without padding.
const fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_')
}

fn runs(text: &str, of: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    text.split(move |c| !of(c)).filter(|run| !run.is_empty())
}

/// A text with one layer of per cent encoding taken off, if it has one.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let decoded = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(decoded.unwrap_or(*byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let mut known = Known::default();
        known.add_email("Joe.Doe+x@gmail.com");
        known.add_phone("+15551234567");
        known
    }

    fn sha(text: &str) -> (String, String) {
        let digest = Sha256::digest(text.as_bytes());
        (hex(&digest).to_uppercase(), base64::engine::general_purpose::STANDARD.encode(digest))
    }

    #[test]
    fn what_was_given_is_found_in_every_spelling() {
        let (hex, base64) = sha("joedoe@gmail.com");
        let (raw_hex, _) = sha("joe.doe+x@gmail.com");
        let (phone_hex, phone_base64) = sha("+15551234567");
        let url = base64.replace('+', "-").replace('/', "_");
        for text in [
            "joe.doe+x@gmail.com".to_owned(),
            "mailto=JOE.DOE+X@GMAIL.COM;".to_owned(),
            "u_joe.doe+x@gmail.com".to_owned(),
            "joe.doe%2Bx%40gmail.com".to_owned(),
            "tel:+15551234567".to_owned(),
            "15551234567".to_owned(),
            hex.to_lowercase(),
            format!("e:{hex}0"),
            base64.clone(),
            format!("x.{url}.y"),
            raw_hex,
            phone_hex,
            phone_base64,
        ] {
            assert!(known().is_in(&text), "{text}");
        }
    }

    #[test]
    fn others_are_not() {
        let (hex, _) = sha("somebody@else.com");
        for text in ["doe@gmail.com", "115551234567", "joe.doe+x@gmail.co", &hex, "", "%", "%4", "@"] {
            assert!(!known().is_in(text), "{text}");
        }
        assert!(!Known::default().is_in("joe.doe+x@gmail.com"));
    }

    #[test]
    fn an_address_is_known_by_its_looks() {
        for text in ["a@b.co", "x a@b.co.", "a%40b.co", "+15551234567", " +1234567890 "] {
            assert!(looks_like_dii(text), "{text}");
        }
        for text in
            ["@id", "a@b", "a@1.2.3", "{\"@b.co", "15551234567", "+123456789", "+1234567890123456", "a@.co"]
        {
            assert!(!looks_like_dii(text), "{text}");
        }
    }

    #[test]
    fn what_may_be_cut_is_wider() {
        let (hex, base64) = sha("a@b.co");
        assert!(may_be_cut("email_hash", &hex) && may_be_cut("x", &format!("hem={hex}")));
        assert!(may_be_cut("id", &base64) && !may_be_cut("id", &hex) && !may_be_cut("email", "yes"));
        let tree = Tree::parse(br#"{"a":[{"b":"x@y.zz"}]}"#);
        assert!(accountable("user", &tree.unwrap()));
        assert!(accountable("user", &Tree::parse(br#"{"x@y.zz":1}"#).unwrap()));
        assert!(!accountable("user", &Tree::parse(br#"{"id":"u1"}"#).unwrap()));
    }
}
