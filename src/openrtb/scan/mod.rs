//! The strict one-pass scanner: RFC 8259 and UTF-8, spans out, nothing allocated.
//!
//! UTF-8 is checked once over the whole text. After that the caller walks the objects it knows with
//! [`Scanner::next_member`] and [`Scanner::next_element`]; what it does not know is checked and skipped. Lone
//! surrogates and numbers beyond any machine type are valid grammar: they travel unchanged.

#![expect(
    clippy::inline_always,
    reason = "a walk's state has to stay in registers; measured in benches/openrtb.rs"
)]

mod known;
mod lex;
mod skip;
mod stops;

use self::lex::{Fault, Lexer, Quoted};
use super::error::{ScanError, ScanReason};
use super::text::{Span, Text, offset};

pub(super) use self::known::{Known, Table, known, table};

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

/// The deepest nesting that is ever read.
pub(super) const DEEPEST: usize = 128;

/// A walk over a text whose UTF-8 has been checked. A clone stays where it was made: the way back.
#[derive(Clone)]
pub(super) struct Scanner<'a> {
    lexer: Lexer<'a>,
    at: usize,
    /// How many more containers may be nested here.
    depth: usize,
    member: &'static str,
}

impl<'a> Scanner<'a> {
    /// Checks length and UTF-8.
    pub(super) fn new(text: &'a [u8], limits: Limits) -> Result<Self, ScanError> {
        let fault = |offset, reason| ScanError { member: "", offset, reason };
        if u32::try_from(text.len()).is_err() {
            return Err(fault(0, ScanReason::TooLong));
        }
        if simdutf8::basic::from_utf8(text).is_err() {
            std::str::from_utf8(text).map_err(|e| fault(e.valid_up_to(), ScanReason::Utf8))?;
        }
        Ok(Self { lexer: Lexer::new(text), at: 0, depth: limits.max_depth.min(DEEPEST), member: "" })
    }

    /// An error at the current position.
    #[cold]
    pub(super) fn fault(&self, reason: ScanReason) -> ScanError {
        self.error(Fault { at: self.at, reason })
    }

    #[cold]
    fn error(&self, Fault { at, reason }: Fault) -> ScanError {
        ScanError { member: self.member, offset: at, reason }
    }

    /// Where the scan stands.
    pub(super) fn position(&self) -> u32 {
        offset(self.at)
    }

    /// The whole text.
    pub(super) fn text(&self) -> &'a [u8] {
        self.lexer.text
    }

    /// The bytes of a span.
    pub(super) fn bytes(&self, span: Span) -> &'a [u8] {
        span.of(self.lexer.text)
    }

    /// Only white space may be left.
    pub(super) fn finish(mut self) -> Result<(), ScanError> {
        self.member = "";
        (self.at, _) = self.lexer.peek(self.at);
        if self.at < self.lexer.text.len() { Err(self.fault(ScanReason::TrailingData)) } else { Ok(()) }
    }

    /// The type of the next value, which is not consumed.
    #[inline]
    pub(super) fn kind(&mut self) -> Result<Kind, ScanError> {
        let byte;
        (self.at, byte) = self.lexer.peek(self.at);
        Ok(match byte {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            b'-' | b'0'..=b'9' => Kind::Number,
            _ => return Err(self.error(self.lexer.unexpected(self.at))),
        })
    }

    /// Consumes the next value.
    pub(super) fn value(&mut self) -> Result<Value, ScanError> {
        let kind = self.kind()?;
        let start = self.at;
        let Quoted { end, escaped } = self.skip(start)?;
        self.at = end;
        Ok(Value { span: Span::new(start, end), kind, escaped })
    }

    /// Enters an object, whose `{` [`Scanner::kind`] has seen.
    #[inline]
    pub(super) fn object(&mut self) -> Result<Object, ScanError> {
        self.enter()?;
        Ok(Object { path: self.member, count: 0, seen: 0 })
    }

    /// The next member named in `known` (at most 32 names); the others are skipped. The caller must consume the
    /// member's value before it asks again. `None` ends the object.
    pub(super) fn next_member(
        &mut self,
        object: &mut Object,
        known: &Table,
    ) -> Result<Option<Key>, ScanError> {
        self.member = object.path;
        let mut lexer = self.lexer;
        let mut at = self.at;
        let mut index = object.count;
        loop {
            let byte;
            (at, byte) = lexer.peek(at);
            if byte == b'}' {
                self.lexer = lexer;
                self.at = at + 1;
                self.depth += 1;
                object.count = index;
                return Ok(None);
            }
            if index > 0 {
                if byte != b',' {
                    return Err(self.error(lexer.unexpected(at)));
                }
                at += 1;
            }
            let open = lexer.find(b'"', at).map_err(|fault| self.error(fault))?;
            let key = lexer.string(open).map_err(|fault| self.error(fault))?;
            let colon = lexer.find(b':', key.end).map_err(|fault| self.error(fault))?;
            let Some((nth, path)) = known.find(lexer.text, open, key) else {
                (at, _) = lexer.peek(colon + 1);
                at = lexer.value(at, self.depth).map_err(|fault| self.error(fault))?.end;
                index += 1;
                continue;
            };
            self.lexer = lexer;
            self.member = path;
            self.at = colon + 1;
            object.count = index + 1;
            if object.seen & (1 << nth) != 0 {
                self.at = open;
                return Err(self.fault(ScanReason::Duplicate));
            }
            object.seen |= 1 << nth;
            return Ok(Some(Key { path, start: offset(open), index }));
        }
    }

    /// Enters an array, whose `[` [`Scanner::kind`] has seen.
    #[inline]
    pub(super) fn array(&mut self) -> Result<Array, ScanError> {
        self.enter()?;
        Ok(Array { path: self.member, count: 0 })
    }

    /// Whether another element follows, which the caller must then consume.
    #[inline]
    pub(super) fn next_element(&mut self, array: &mut Array) -> Result<bool, ScanError> {
        self.member = array.path;
        let byte;
        (self.at, byte) = self.lexer.peek(self.at);
        if byte == b']' {
            self.at += 1;
            self.depth += 1;
            return Ok(false);
        }
        if array.count > 0 {
            if byte != b',' {
                return Err(self.error(self.lexer.unexpected(self.at)));
            }
            self.at += 1;
        }
        array.count += 1;
        Ok(true)
    }

    #[inline]
    fn enter(&mut self) -> Result<(), ScanError> {
        if self.depth == 0 {
            return Err(self.fault(ScanReason::TooDeep));
        }
        self.depth -= 1;
        self.at += 1;
        Ok(())
    }

    /// Consumes one value of any kind and depth. For a string: whether it has escapes.
    #[inline(always)]
    fn skip(&mut self, at: usize) -> Result<Quoted, ScanError> {
        self.lexer.value(at, self.depth).map_err(|fault| self.error(fault))
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
mod tests;
