//! What a string says once its encodings are taken off: JSON escapes, per cent encoding, a JSON document in it.

use memchr::memchr_iter;
use smallvec::SmallVec;

use super::super::changes::Changes;
use super::super::cursor::Cursor;
use super::super::error::ScanReason;
use super::super::scan::Scanner;
use super::super::text::unescape;
use super::Spot;
use super::keys::Named;
use super::walk::{At, Walk};

/// How many layers of encoding are taken off a string: a string in a string in a string.
const LAYERS: u8 = 2;

/// How many JSON documents may stand in strings of one another.
const DOCUMENTS: u8 = 2;

impl Walk<'_> {
    /// Whether a string is or holds DII; `named`: what the name says under which it stands.
    pub(super) fn is_dii(&self, text: &str, named: Named) -> bool {
        self.watch.dii && self.layer(text, named, 0)
    }

    fn layer(&self, text: &str, named: Named, depth: u8) -> bool {
        if self.wording.says(text, named) || self.document(text, named) {
            return true;
        }
        if depth >= LAYERS {
            return false;
        }
        let inside = |decode: fn(&str) -> String| {
            !self.wording.pays(text) || self.layer(&decode(text), named, depth + 1)
        };
        (text.contains('\\') && inside(unescape)) || (is_encoded(text) && inside(decoded))
    }

    /// Whether a string is, or begins with, a JSON document with DII in it. One without strings has none; one that is
    /// nested deeper than a request may be is not believed.
    pub(super) fn document(&self, text: &str, named: Named) -> bool {
        let begins = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
        if !self.watch.dii || self.depth >= DOCUMENTS || !begins || !text.contains('"') {
            return false;
        }
        if !self.wording.pays(text) {
            return true;
        }
        let bytes = text.as_bytes();
        match Scanner::new(bytes, self.limits).and_then(|mut scanner| scanner.value()) {
            Ok(_) => {}
            Err(fault) => return fault.reason == ScanReason::TooDeep,
        }
        let mut walk = Walk {
            text: bytes,
            cursor: Cursor::new(bytes, 0),
            removals: Changes::default(),
            hits: SmallVec::new(),
            depth: self.depth + 1,
            ..*self
        };
        walk.value(At { spot: Spot::User, named }) || !walk.hits.is_empty()
    }
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

#[cfg(test)]
mod tests {
    use super::super::super::scan::Limits;
    use super::super::Watch;
    use super::super::wording::Wording;
    use super::*;

    /// In a request that brings no hint.
    fn is_dii(text: &str) -> bool {
        said(&Wording::new(&[]), text)
    }

    fn said(wording: &Wording, text: &str) -> bool {
        let watch = Watch { dii: true, own: &[], tokens_of: &[] };
        Walk::new(b"", 0, (&watch, wording, Limits::default())).is_dii(text, Named::Nothing)
    }

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
            assert!(is_dii(text), "{text}");
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
            assert!(!is_dii(text), "{text}");
        }
    }

    #[test]
    fn a_phone_number_is_the_whole_text() {
        for text in
            ["+1234567890", "+123456789012345", " +15551234567 ", "%2B15551234567", r"\u002b15551234567"]
        {
            assert!(is_dii(text), "{text}");
        }
        for text in [
            "+123456789",
            "+1234567890123456",
            "15551234567",
            "+1 555 123 4567",
            "call +15551234567",
            "+1555123456a",
        ] {
            assert!(!is_dii(text), "{text}");
        }
    }

    #[test]
    fn layers_are_taken_off_up_to_a_limit_and_past_it_nothing_is_believed() {
        let wording = Wording::new(&[]);
        let mut layers = 0;
        while !said(&wording, "%41") {
            layers += 1;
        }
        assert_eq!(layers, (4 << 20) / (2048 + 3));
        assert!(said(&wording, r"\a"));
        assert!(!said(&wording, "100%") && !said(&wording, "plain"), "needs no layer");
    }

    #[test]
    fn a_document_may_be_as_deep_as_a_request() {
        let nested = |levels| format!("{}\"x\"{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!is_dii(&nested(64)) && is_dii(&nested(65)));
        assert!(!is_dii(&"[".repeat(100)), "nothing can stand in it");
    }
}
