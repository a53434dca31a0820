//! Spans into the inbound bytes, and strings that are decoded only when used.

use std::borrow::Cow;
use std::ops::Range;

/// A byte range of the body. Offsets are 32 bits: the scan refuses longer bodies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// A span of offsets that the scan has bounded to 32 bits; larger ones saturate.
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: offset(start), end: offset(end) }
    }

    /// As a range of offsets.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes it names; empty when `body` is not the text it was made from.
    pub fn of(self, body: &[u8]) -> &[u8] {
        body.get(self.range()).unwrap_or_default()
    }
}

/// An offset as 32 bits, saturating.
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// A JSON string of the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text {
    /// Between the quotes.
    pub content: Span,
    /// Holds at least one escape.
    pub escaped: bool,
}

impl Text {
    /// The string's value. Borrowed unless it had escapes; a lone surrogate reads as U+FFFD.
    pub fn decode(self, body: &[u8]) -> Cow<'_, str> {
        let raw = std::str::from_utf8(self.content.of(body)).unwrap_or_default();
        if self.escaped { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) }
    }

    /// The value to compare by: as [decoded](Self::decode), but one lone surrogate is not another.
    pub(super) fn value(self, body: &[u8]) -> Cow<'_, [u8]> {
        let raw = self.content.of(body);
        if !self.escaped {
            return Cow::Borrowed(raw);
        }
        Cow::Owned(unescaped(std::str::from_utf8(raw).unwrap_or_default(), as_it_is))
    }

    /// The string with its quotes, as it stands in the body.
    pub fn quoted(self, body: &[u8]) -> &[u8] {
        self.quoted_span().of(body)
    }

    /// Where it stands, quotes included.
    pub(super) fn quoted_span(self) -> Span {
        Span { start: self.content.start.saturating_sub(1), end: self.content.end.saturating_add(1) }
    }

    /// Whether two strings of one body have the same value.
    pub(super) fn is_same(self, body: &[u8], other: Self) -> bool {
        if self.escaped || other.escaped {
            self.value(body) == other.value(body)
        } else {
            self.content.of(body) == other.content.of(body)
        }
    }

    /// Whether the value equals `other` but for ASCII case.
    pub(super) fn is_ignoring_case(self, body: &[u8], other: &str) -> bool {
        if self.escaped {
            self.decode(body).eq_ignore_ascii_case(other)
        } else {
            self.content.of(body).eq_ignore_ascii_case(other.as_bytes())
        }
    }
}

/// Undoes the escapes of a string that the scan found well-formed.
pub(super) fn unescape(raw: &str) -> String {
    String::from_utf8(unescaped(raw, as_unknown)).unwrap_or_default()
}

/// What stands for a lone surrogate.
type Lone = fn(u32) -> [u8; 3];

/// U+FFFD.
const fn as_unknown(_: u32) -> [u8; 3] {
    *b"\xef\xbf\xbd"
}

/// As UTF-8 would have it, were it a character.
const fn as_it_is(unit: u32) -> [u8; 3] {
    let low = unit.to_le_bytes()[0];
    let middle = (unit >> 6).to_le_bytes()[0];
    [0xed, 0x80 | middle & 0x3f, 0x80 | low & 0x3f]
}

fn unescaped(raw: &str, lone: Lone) -> Vec<u8> {
    #[cfg(test)]
    super::source::work::UNESCAPED.set(super::source::work::UNESCAPED.get() + raw.len());
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.extend_from_slice(plain.as_bytes());
        let mut chars = escape.chars();
        let code = chars.next();
        rest = chars.as_str();
        match code {
            Some('u') => rest = push_code_units(&mut out, rest, lone),
            Some(code) => push(&mut out, simple_escape(code)),
            None => {}
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn simple_escape(code: char) -> char {
    match code {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        other => other,
    }
}

/// Reads the four digits after `\u`, and the low half of a surrogate pair if it follows; returns what is left.
fn push_code_units<'a>(out: &mut Vec<u8>, digits: &'a str, lone: Lone) -> &'a str {
    let (unit, rest) = code_unit(digits);
    if let (0xD800..=0xDBFF, Some(digits)) = (unit, rest.strip_prefix("\\u"))
        && let (low @ 0xDC00..=0xDFFF, rest) = code_unit(digits)
    {
        let code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        push(out, char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return rest;
    }
    match char::from_u32(unit) {
        Some(char) => push(out, char),
        None => out.extend(lone(unit)),
    }
    rest
}

fn push(out: &mut Vec<u8>, char: char) {
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

fn code_unit(digits: &str) -> (u32, &str) {
    let (unit, rest) = digits.split_at_checked(4).unwrap_or(("", ""));
    (u32::from_str_radix(unit, 16).unwrap_or(0xFFFD), rest)
}

/// Writes `value` as a JSON string, quotes included.
pub(super) fn push_json_string(out: &mut String, value: &str) {
    out.reserve(value.len() + 2);
    out.push('"');
    // Hardly any value needs an escape; to look at all its bytes at once is cheaper than to stop at the first.
    if value.bytes().fold(false, |odd, byte| odd | needs_escape(byte)) {
        push_escaped(out, value);
    } else {
        out.push_str(value);
    }
    out.push('"');
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn push_escaped(out: &mut String, value: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    for char in value.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\0'..='\x1f' => {
                let code = char as usize;
                out.push_str("\\u00");
                out.extend([HEX.get(code >> 4), HEX.get(code & 15)].into_iter().flatten());
            }
            _ => out.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(raw: &str) -> String {
        let text = Text { content: Span::new(0, raw.len()), escaped: raw.contains('\\') };
        text.decode(raw.as_bytes()).into_owned()
    }

    #[test]
    fn escapes_decode_as_rfc_8259_says() {
        assert_eq!(decoded(r#"\"\\\/\b\f\n\r\t"#), "\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(decoded(r"us\u0065r"), "user");
        assert_eq!(decoded(r"\u00e4é\u20AC"), "äé€");
        assert_eq!(decoded(r"\uD83D\uDE00!"), "😀!");
    }

    #[test]
    fn a_lone_surrogate_reads_as_the_replacement_character() {
        assert_eq!(decoded(r"a\ud800b"), "a\u{fffd}b");
        assert_eq!(decoded(r"\udc00"), "\u{fffd}");
        assert_eq!(decoded(r"\ud800\u0041"), "\u{fffd}A");
        assert_eq!(decoded(r"\ud800\ud83d\ude00"), "\u{fffd}😀");
    }

    #[test]
    fn one_lone_surrogate_is_not_another() {
        let same = |a: &str, b: &str| {
            let body = [a, b].concat();
            let text = |start, end| Text { content: Span::new(start, end), escaped: true };
            text(0, a.len()).is_same(body.as_bytes(), text(a.len(), body.len()))
        };
        assert!(same(r"\ud800", r"\uD800") && same(r"\u00e9", "é") && same(r"\ud83d\ude00", "😀"));
        for other in [r"\ud801", r"\ud840", r"\udc00", r"\ufffd", "\u{fffd}"] {
            assert!(!same(r"\ud800", other), "{other}");
        }
    }

    #[test]
    fn an_unescaped_string_is_borrowed() {
        let text = Text { content: Span::new(1, 4), escaped: false };
        assert!(matches!(text.decode(b"\"abc\""), Cow::Borrowed("abc")));
        assert_eq!(text.quoted(b"\"abc\""), b"\"abc\"");
        assert!(text.is_ignoring_case(b"\"aBc\"", "AbC"));
        assert!(!text.is_ignoring_case(b"\"abd\"", "abc"));
    }

    #[test]
    fn written_strings_read_back() {
        for value in ["plain", "q\"uo\\te", "ctl\u{1}\u{1f}\n", "ünï"] {
            let mut json = String::new();
            push_json_string(&mut json, value);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
        }
    }
}
