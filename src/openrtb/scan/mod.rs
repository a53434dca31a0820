//! The strict one-pass scanner: RFC 8259 and UTF-8, spans out, nothing allocated.
//!
//! UTF-8 is checked once over the whole text. After that the caller walks the objects it knows with
//! [`Scanner::next_member`] and [`Scanner::next_element`]; what it does not know is checked and skipped. Lone
//! surrogates and numbers beyond any machine type are valid grammar: they travel unchanged.

mod lex;

use self::lex::Nest;
use super::error::{ScanError, ScanReason};
use super::text::{Span, Text, offset};

/// Bounds of a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Nested containers allowed; at most 128 are.
    pub max_depth: usize,
    /// EIDs read of a request, in both places together. Of a longer list the rest is checked, but not known.
    pub max_eids: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_depth: 64, max_eids: 256 }
    }
}

/// A member we read: its name, and its place in the request for errors.
pub(super) struct Known {
    pub name: &'static str,
    pub path: &'static str,
}

/// Shorthand for tables of known members.
pub(super) const fn known(name: &'static str, path: &'static str) -> Known {
    Known { name, path }
}

/// The type of a value, told by its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// A scanned value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Value {
    pub span: Span,
    pub kind: Kind,
    /// A string with at least one escape. Says nothing of other kinds.
    pub escaped: bool,
}

impl Value {
    /// The value as a string, if it is one.
    pub(super) fn text(self) -> Option<Text> {
        let content = Span { start: self.span.start + 1, end: self.span.end.saturating_sub(1) };
        (self.kind == Kind::String).then_some(Text { content, escaped: self.escaped })
    }
}

/// An object being walked.
pub(super) struct Object {
    path: &'static str,
    /// Members met so far; all of them once the walk has ended.
    pub count: u32,
    seen: u32,
}

/// The key of a known member; its value comes next.
#[derive(Clone, Copy)]
pub(super) struct Key {
    /// As in the table of known members.
    pub path: &'static str,
    /// Offset of the key's opening quote.
    pub start: u32,
    /// How many members stand before it.
    pub index: u32,
}

/// An array being walked.
pub(super) struct Array {
    path: &'static str,
    /// Elements met so far.
    pub count: u32,
}

/// The deepest nesting that [`Nest`] can hold.
const DEEPEST: usize = 128;

/// A position in a text whose UTF-8 has been checked.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
    max_depth: usize,
    member: &'static str,
}

impl<'a> Scanner<'a> {
    /// Checks length and UTF-8.
    pub(super) fn new(text: &'a [u8], limits: Limits) -> Result<Self, ScanError> {
        let fault = |offset, reason| ScanError { member: "", offset, reason };
        if u32::try_from(text.len()).is_err() {
            return Err(fault(0, ScanReason::TooLong));
        }
        std::str::from_utf8(text).map_err(|e| fault(e.valid_up_to(), ScanReason::Utf8))?;
        Ok(Self { text, at: 0, depth: 0, max_depth: limits.max_depth.min(DEEPEST), member: "" })
    }

    /// An error at the current position.
    #[cold]
    pub(super) fn fault(&self, reason: ScanReason) -> ScanError {
        ScanError { member: self.member, offset: self.at, reason }
    }

    /// Where the scan stands.
    pub(super) fn position(&self) -> u32 {
        offset(self.at)
    }

    /// The whole text.
    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The bytes of a span.
    pub(super) fn bytes(&self, span: Span) -> &'a [u8] {
        span.of(self.text)
    }

    /// Only white space may be left.
    pub(super) fn finish(mut self) -> Result<(), ScanError> {
        self.member = "";
        match self.peek() {
            Ok(_) => Err(self.fault(ScanReason::TrailingData)),
            Err(_) => Ok(()),
        }
    }

    /// The type of the next value, which is not consumed.
    pub(super) fn kind(&mut self) -> Result<Kind, ScanError> {
        Ok(match self.peek()? {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => Kind::Number,
        })
    }

    /// Consumes the next value.
    pub(super) fn value(&mut self) -> Result<Value, ScanError> {
        let kind = self.kind()?;
        let start = self.at;
        let escaped = self.skip()?;
        Ok(Value { span: Span::new(start, self.at), kind, escaped })
    }

    /// Enters an object, whose `{` [`Scanner::kind`] has seen.
    pub(super) fn object(&mut self) -> Result<Object, ScanError> {
        self.enter()?;
        Ok(Object { path: self.member, count: 0, seen: 0 })
    }

    /// The next member named in `known` (at most 32 names); the others are skipped. The caller must consume the
    /// member's value before it asks again. `None` ends the object.
    pub(super) fn next_member(
        &mut self,
        object: &mut Object,
        known: &[Known],
    ) -> Result<Option<Key>, ScanError> {
        loop {
            self.member = object.path;
            if !self.next_item(b'}', object.count)? {
                return Ok(None);
            }
            let index = object.count;
            object.count += 1;
            self.peek()?;
            let start = self.at;
            let Some(nth) = self.known_key(known)? else {
                self.skip()?;
                continue;
            };
            let Some(found) = known.get(nth) else { continue };
            self.member = found.path;
            if object.seen & (1 << nth) != 0 {
                self.at = start;
                return Err(self.fault(ScanReason::Duplicate));
            }
            object.seen |= 1 << nth;
            return Ok(Some(Key { path: found.path, start: offset(start), index }));
        }
    }

    /// Enters an array, whose `[` [`Scanner::kind`] has seen.
    pub(super) fn array(&mut self) -> Result<Array, ScanError> {
        self.enter()?;
        Ok(Array { path: self.member, count: 0 })
    }

    /// Whether another element follows, which the caller must then consume.
    pub(super) fn next_element(&mut self, array: &mut Array) -> Result<bool, ScanError> {
        self.member = array.path;
        let more = self.next_item(b']', array.count)?;
        array.count += u32::from(more);
        Ok(more)
    }

    fn enter(&mut self) -> Result<(), ScanError> {
        if self.depth >= self.max_depth {
            return Err(self.fault(ScanReason::TooDeep));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Consumes the closing bracket (false), or the comma before every item but the first (true).
    fn next_item(&mut self, close: u8, count: u32) -> Result<bool, ScanError> {
        let byte = self.peek()?;
        if byte == close {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if count > 0 {
            if byte != b',' {
                return Err(self.fault(ScanReason::UnexpectedByte));
            }
            self.at += 1;
        }
        Ok(true)
    }

    /// Consumes a key and its colon; says which of the known names it is.
    fn known_key(&mut self, known: &[Known]) -> Result<Option<usize>, ScanError> {
        let start = self.at;
        let escaped = self.key_string()?;
        let content = Span::new(start + 1, self.at - 1);
        self.colon()?;
        if escaped {
            let name = Text { content, escaped }.decode(self.text);
            return Ok(known.iter().position(|k| k.name == name));
        }
        let name = content.of(self.text);
        Ok(known.iter().position(|k| k.name.as_bytes() == name))
    }

    /// Consumes a key; whether it has escapes.
    fn key_string(&mut self) -> Result<bool, ScanError> {
        match self.peek()? {
            b'"' => self.string(),
            _ => Err(self.fault(ScanReason::UnexpectedByte)),
        }
    }

    fn colon(&mut self) -> Result<(), ScanError> {
        if self.peek()? != b':' {
            return Err(self.fault(ScanReason::UnexpectedByte));
        }
        self.at += 1;
        Ok(())
    }

    /// Consumes a key whose name does not matter, and its colon.
    fn key(&mut self) -> Result<(), ScanError> {
        self.key_string()?;
        self.colon()
    }

    /// Consumes one value of any kind and depth. For a string: whether it has escapes.
    fn skip(&mut self) -> Result<bool, ScanError> {
        let mut nest = Nest::default();
        loop {
            let escaped = match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.descend(&mut nest, open == b'{')?;
                    if self.item_follows(&nest)? {
                        continue;
                    }
                    false
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                b'n' => self.literal(b"null")?,
                _ => return Err(self.fault(ScanReason::UnexpectedByte)),
            };
            if self.ascend(&mut nest)? {
                return Ok(escaped);
            }
        }
    }

    fn descend(&mut self, nest: &mut Nest, object: bool) -> Result<(), ScanError> {
        if self.depth + nest.depth >= self.max_depth {
            return Err(self.fault(ScanReason::TooDeep));
        }
        nest.push(object);
        self.at += 1;
        Ok(())
    }

    /// After an opening bracket: whether a first item follows (its key is consumed).
    fn item_follows(&mut self, nest: &Nest) -> Result<bool, ScanError> {
        if self.peek()? == nest.close() {
            return Ok(false);
        }
        if nest.in_object() {
            self.key()?;
        }
        Ok(true)
    }

    /// After a value: consumes closing brackets, then the comma and key before the next value; true at the end.
    fn ascend(&mut self, nest: &mut Nest) -> Result<bool, ScanError> {
        while nest.depth > 0 {
            let byte = self.peek()?;
            if byte == b',' {
                self.at += 1;
                if nest.in_object() {
                    self.key()?;
                }
                return Ok(false);
            }
            if byte != nest.close() {
                return Err(self.fault(ScanReason::UnexpectedByte));
            }
            self.at += 1;
            nest.pop();
        }
        Ok(true)
    }

    /// The next byte that is not white space; it is not consumed.
    #[inline]
    fn peek(&mut self) -> Result<u8, ScanError> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(self.fault(ScanReason::UnexpectedEnd))
    }
}

/// Grammar only: the whole text is one value.
#[cfg(test)]
pub(super) fn check(text: &[u8], max_depth: usize) -> Result<(), ScanError> {
    let mut scanner = Scanner::new(text, Limits { max_depth, ..Limits::default() })?;
    scanner.value()?;
    scanner.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (ScanReason, usize) {
        let error = check(text.as_bytes(), 64).expect_err(text);
        (error.reason, error.offset)
    }

    #[test]
    fn valid_grammar_is_accepted() {
        let long = format!("\"{}\"", "x".repeat(100));
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "0",
            "-0",
            "1.50",
            "1e5",
            "1E+5",
            "-1.2e-3",
            "1e999",
            "12345678901234567890123",
            "true",
            "false",
            "null",
            r#""""#,
            r#""\ud800""#,
            r#""\"\\\/\b\f\n\r\t\u00eF""#,
            "\"\u{7f}é😀\"",
            r#"{"a":{"b":[1,{"c":[]},"x"]},"d":{}}"#,
            "[[],[[]],{}]",
            "\t\r\n[1 , 2]\n",
            &long,
        ] {
            assert_eq!(check(text.as_bytes(), 64), Ok(()), "{text}");
        }
    }

    #[test]
    fn broken_grammar_is_refused_where_it_breaks() {
        use ScanReason::{ControlCharacter, Escape, Number, TrailingData, UnexpectedByte, UnexpectedEnd};
        for (text, expected) in [
            ("", (UnexpectedEnd, 0)),
            ("  ", (UnexpectedEnd, 2)),
            ("tru", (UnexpectedByte, 0)),
            ("truex", (TrailingData, 4)),
            ("{} x", (TrailingData, 3)),
            ("01", (Number, 1)),
            ("-", (Number, 1)),
            ("-a", (Number, 1)),
            ("1.", (Number, 2)),
            ("1.e3", (Number, 2)),
            ("1e", (Number, 2)),
            ("1e+", (Number, 3)),
            (".5", (UnexpectedByte, 0)),
            ("+1", (UnexpectedByte, 0)),
            ("[1,]", (UnexpectedByte, 3)),
            ("[,1]", (UnexpectedByte, 1)),
            ("[1 2]", (UnexpectedByte, 3)),
            ("[1}", (UnexpectedByte, 2)),
            ("{\"a\":1]", (UnexpectedByte, 6)),
            ("{\"a\"}", (UnexpectedByte, 4)),
            ("{\"a\":}", (UnexpectedByte, 5)),
            ("{\"a\":1,}", (UnexpectedByte, 7)),
            ("{,}", (UnexpectedByte, 1)),
            ("{a:1}", (UnexpectedByte, 1)),
            ("[1", (UnexpectedEnd, 2)),
            ("{\"a\"", (UnexpectedEnd, 4)),
            ("\"abc", (UnexpectedEnd, 4)),
            ("\"abcdefghijk", (UnexpectedEnd, 12)),
            ("\"\\", (UnexpectedEnd, 1)),
            (r#""\x""#, (Escape, 1)),
            (r#""\u12g4""#, (Escape, 1)),
            (r#""\u12""#, (Escape, 1)),
            ("\"a\nb\"", (ControlCharacter, 2)),
            ("\"abcdefghij\u{1f}\"", (ControlCharacter, 11)),
            ("\u{feff}{}", (UnexpectedByte, 0)),
        ] {
            assert_eq!(refused(text), expected, "{text:?}");
        }
    }

    #[test]
    fn utf8_is_checked_once_for_all() {
        let error = check(b"{\"a\":\"\xff\"}", 64).unwrap_err();
        assert_eq!((error.reason, error.offset), (ScanReason::Utf8, 6));
        assert_eq!(check(b"\"\xed\xa0\x80\"", 64).unwrap_err().reason, ScanReason::Utf8);
    }

    #[test]
    fn depth_is_accepted_at_the_limit_and_refused_past_it() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        for limit in [1, 2, 64, 128] {
            assert_eq!(check(nested(limit).as_bytes(), limit), Ok(()));
            let error = check(nested(limit + 1).as_bytes(), limit).unwrap_err();
            assert_eq!((error.reason, error.offset), (ScanReason::TooDeep, limit));
        }
        let error = check(nested(129).as_bytes(), 1000).unwrap_err();
        assert_eq!(error.reason, ScanReason::TooDeep, "128 is the most");
    }

    const KNOWN: [Known; 2] = [known("user", "user"), known("id", "id")];

    #[test]
    fn known_members_are_found_even_when_escaped() {
        let text = br#" { "x" : [1,{"id":2}] , "us\u0065r" : 5, "user2":1, "i\u0064": "v\n"}"#;
        let mut scanner = Scanner::new(text, Limits::default()).unwrap();
        assert_eq!(scanner.kind().unwrap(), Kind::Object);
        let mut object = scanner.object().unwrap();
        let user = scanner.next_member(&mut object, &KNOWN).unwrap().unwrap();
        assert_eq!((user.path, user.index), ("user", 1));
        assert_eq!(scanner.value().unwrap().kind, Kind::Number);
        let id = scanner.next_member(&mut object, &KNOWN).unwrap().unwrap();
        assert_eq!((id.path, id.index), ("id", 3));
        assert_eq!(scanner.value().unwrap().text().unwrap().decode(text), "v\n");
        assert!(scanner.next_member(&mut object, &KNOWN).unwrap().is_none());
        assert_eq!(object.count, 4);
        assert!(scanner.finish().is_ok());
    }

    #[test]
    fn a_known_member_may_stand_only_once() {
        let text = br#"{"id":1,"a":2,"a":3,"\u0069d":4}"#;
        let mut scanner = Scanner::new(text, Limits::default()).unwrap();
        assert_eq!(scanner.kind().unwrap(), Kind::Object);
        let mut object = scanner.object().unwrap();
        scanner.next_member(&mut object, &KNOWN).unwrap();
        scanner.value().unwrap();
        let error = scanner.next_member(&mut object, &KNOWN).map(|_| ()).unwrap_err();
        assert_eq!(error, ScanError { member: "id", offset: 20, reason: ScanReason::Duplicate });
    }
}
