//! What was planted, and the search for it in every form.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use sha2::{Digest, Sha256};

use super::{EMAIL, PHONE};
use crate::support::stack::OPERATOR_SECRET;

/// What must not be seen anywhere, by name.
#[derive(Default)]
pub(super) struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    pub(super) fn plant(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.0.push((name.to_owned(), value.as_ref().to_vec()));
    }

    /// A value in base64, and the bytes it stands for.
    pub(super) fn plant_base64(&mut self, name: &str, value: &str) {
        self.plant(name, value);
        if let Ok(bytes) = STANDARD.decode(value).or_else(|_| URL_SAFE.decode(value)) {
            self.plant(&format!("{name}, decoded"), bytes);
        }
    }

    pub(super) fn plant_dii(&mut self, name: &str, text: &str) {
        self.plant(name, text);
        self.plant(&format!("hash of {name}"), Sha256::digest(text));
    }

    /// The first canary that is in `text`, and its form.
    pub(super) fn find(&self, text: &[u8]) -> Option<String> {
        let lower = text.to_ascii_lowercase();
        self.0.iter().find_map(|(name, value)| {
            let found = forms(value).into_iter().find(|(_, form)| contains(text, form));
            let in_hex =
                || [("hex", hex(value).into_bytes())].into_iter().find(|(_, form)| contains(&lower, form));
            found.or_else(in_hex).map(|(form, _)| format!("{name} ({form})"))
        })
    }
}

fn contains(text: &[u8], form: &[u8]) -> bool {
    memchr::memmem::find(text, form).is_some()
}

pub(super) fn hex(value: &[u8]) -> String {
    value.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Every form but hexadecimal digits, which come in two cases.
fn forms(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let percent = |all: bool| {
        value.iter().fold(String::new(), |mut text, byte| {
            if all || !byte.is_ascii_alphanumeric() && !b"-._~".contains(byte) {
                write!(text, "%{byte:02X}").unwrap();
            } else {
                text.push(char::from(*byte));
            }
            text
        })
    };
    let mut forms = vec![
        ("plain", value.to_vec()),
        ("percent", percent(false).into_bytes()),
        ("percent, every byte", percent(true).into_bytes()),
        ("percent, in small letters", percent(true).to_ascii_lowercase().into_bytes()),
    ];
    // By itself, and inside something larger: of each alignment, the digits that depend on nothing else.
    for before in 0..3 {
        let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(value.iter().copied()).collect();
        let whole = padded.len() / 3 * 4;
        let first = if before == 0 { 0 } else { 4 };
        for (name, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
            let text = engine.encode(&padded);
            forms.push((name, text.as_bytes()[first..whole].to_vec()));
        }
    }
    forms
}

#[test]
fn the_search_finds_each_canary_in_each_form() {
    let mut canaries = Canaries::default();
    canaries.plant_dii("e-mail address", EMAIL);
    canaries.plant_dii("phone number", PHONE);
    canaries.plant_base64("secret", OPERATOR_SECRET);
    let hash = Sha256::digest(EMAIL);
    for planted in [
        format!("WARN login of {EMAIL} failed"),
        String::from("to=%2B12025550143&x=1"),
        format!("q={}", EMAIL.replace('@', "%40")),
        format!("hash={}", hex(&hash)),
        format!("HASH={}", hex(&hash).to_uppercase()),
        format!("h={}", STANDARD.encode(hash)),
        format!("h={}", URL_SAFE.encode(hash)),
        STANDARD.encode(format!(r#"{{"email":"{EMAIL}"}}"#)),
        URL_SAFE.encode(format!(r#"{{"mail":"{EMAIL}"}}"#)),
        STANDARD.encode(format!("x{PHONE}")),
        format!("secret: {OPERATOR_SECRET}"),
        format!("secret: {}", hex(&STANDARD.decode(OPERATOR_SECRET).unwrap())),
    ] {
        assert!(canaries.find(planted.as_bytes()).is_some(), "not found: {planted}");
    }
    assert_eq!(
        canaries.find(b"WARN login failed: invalid_dii h=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
        None
    );
}
