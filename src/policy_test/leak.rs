//! Looks for an identifier in everything an SSP received, however it is disguised: escaped, percent-encoded, inside a
//! JSON text inside a JSON text, in base64, in a header or a member's name.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use http::HeaderMap;
use serde_json::Value;

/// All texts that can be read out of a request.
#[derive(Debug)]
pub(super) struct Texts(Vec<String>);

/// How often a text is decoded again: a member can hold base64 of a JSON text with a percent-encoded URL in it.
const DEPTH: u8 = 3;

/// Shorter texts are not decoded as base64: no identifier of ours fits in.
const SHORTEST: usize = 16;

impl Texts {
    /// Everything in a request's headers and body.
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut texts = Self(Vec::new());
        for (name, value) in headers {
            texts.add(name.as_str(), DEPTH);
            texts.add(&String::from_utf8_lossy(value.as_bytes()), DEPTH);
        }
        texts.add(&String::from_utf8_lossy(body), DEPTH);
        texts
    }

    /// Whether the identifier is anywhere in them.
    pub(super) fn hold(&self, identifier: &str) -> bool {
        let wanted = plain(identifier);
        !wanted.is_empty() && self.0.iter().any(|text| text.contains(&wanted))
    }

    fn add(&mut self, text: &str, depth: u8) {
        self.0.push(plain(text));
        if depth == 0 {
            return;
        }
        if text.starts_with(['{', '[', '"'])
            && let Ok(value) = serde_json::from_str::<Value>(text)
        {
            self.add_value(&value, depth - 1);
        }
        if text.contains('%') {
            self.add(&percent_decoded(text), depth - 1);
        }
        if text.len() >= SHORTEST
            && let Some(bytes) = base64_decoded(text)
        {
            self.add(&String::from_utf8_lossy(&bytes), depth - 1);
        }
    }

    fn add_value(&mut self, value: &Value, depth: u8) {
        match value {
            Value::String(text) => self.add(text, depth),
            Value::Array(items) => items.iter().for_each(|item| self.add_value(item, depth)),
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                self.add(name, depth);
                self.add_value(value, depth);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The two base64 alphabets and the padding make no difference.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '=')
        .map(|c| match c {
            '+' => '-',
            '/' => '_',
            c => c,
        })
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        let decoded = hex.filter(|_| *byte == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        out.push(decoded.unwrap_or(*byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = general_purpose::PAD
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT).decode(plain(text.trim())).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const TOKEN: &str = "AgAAAQFGx-_0MBqIbvLmPq+oUe/bMpJ1w7vDHG2";

    fn found(body: &str) -> bool {
        Texts::of(&HeaderMap::new(), body.as_bytes()).hold(TOKEN)
    }

    #[test]
    fn a_token_is_found_in_every_disguise() {
        let escaped = TOKEN.chars().fold(String::new(), |text, c| text + &format!("\\u{:04x}", u32::from(c)));
        let percent = TOKEN.bytes().fold(String::new(), |text, b| text + &format!("%{b:02X}"));
        let inner = serde_json::json!({ "id": TOKEN }).to_string();
        for disguise in [
            format!(r#"{{"user":{{"eids":[{{"uids":[{{"id":"{TOKEN}"}}]}}]}}}}"#),
            format!(r#"{{"x":"{escaped}"}}"#),
            format!(r#"{{"{escaped}":1}}"#),
            format!(r#"{{"page":"https://example.com/?t={percent}"}}"#),
            format!(r#"{{"x":"{}"}}"#, URL_SAFE_NO_PAD.encode(TOKEN)),
            format!(r#"{{"x":["{}"]}}"#, STANDARD.encode(&inner)),
            serde_json::json!({ "x": inner }).to_string(),
            format!(r#"{{"x":"{}"}}"#, TOKEN.replace('-', "+").replace('_', "\\/")),
            format!("not JSON {TOKEN}"),
        ] {
            assert!(found(&disguise), "{disguise}");
        }
    }

    #[test]
    fn headers_count() {
        let headers: HeaderMap = [(http::header::USER_AGENT, TOKEN.parse().unwrap())].into_iter().collect();
        assert!(Texts::of(&headers, b"{}").hold(TOKEN));
    }

    #[test]
    fn other_texts_hold_nothing() {
        let other = TOKEN.replace("MBq", "MBr");
        assert!(!found(&format!(r#"{{"x":"{other}","y":"{}"}}"#, STANDARD.encode(&other))));
        assert!(!Texts::of(&HeaderMap::new(), b"{}").hold(""));
    }
}
