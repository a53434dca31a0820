//! A walk over JSON that the scan has found well-formed: every member and element, known or not.
//!
//! On anything else it ends early and wrong, but it ends, and touches nothing out of bounds.

use memchr::memchr2;

use super::text::{Span, Text, offset};

/// A position in checked JSON.
#[derive(Clone)]
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At an offset of a text.
    pub(super) fn new(text: &'a [u8], at: u32) -> Self {
        Self { text, at: at as usize }
    }

    /// Where it stands.
    pub(super) fn position(&self) -> u32 {
        offset(self.at)
    }

    /// The next byte that is not white space; 0 at the end.
    pub(super) fn peek(&mut self) -> u8 {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    /// Enters a container, whose bracket has been seen.
    pub(super) fn open(&mut self) {
        self.at += 1;
    }

    /// Whether another item follows; otherwise the container is closed.
    pub(super) fn next(&mut self) -> bool {
        match self.peek() {
            b',' => {
                self.at += 1;
                self.peek();
                true
            }
            b'}' | b']' | 0 => {
                self.at += 1;
                false
            }
            _ => true,
        }
    }

    /// Consumes a key and its colon.
    pub(super) fn key(&mut self) -> Text {
        let key = self.string();
        self.peek();
        self.at += 1;
        self.peek();
        key
    }

    /// Consumes a string, whose quote has been seen.
    pub(super) fn string(&mut self) -> Text {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(stop) = memchr2(b'"', b'\\', rest) else {
                self.at = self.text.len();
                return Text { content: Span::new(start, self.at), escaped };
            };
            self.at += stop;
            if self.text.get(self.at) == Some(&b'"') {
                self.at += 1;
                return Text { content: Span::new(start, self.at - 1), escaped };
            }
            escaped = true;
            self.at += 2;
        }
    }

    /// Consumes any value; whether it was a string, and which.
    pub(super) fn skip(&mut self) -> Option<Text> {
        let mut depth = 0_usize;
        let mut text = None;
        loop {
            match self.peek() {
                b'"' => text = Some(self.string()),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                b',' | b':' | b'}' | b']' | 0 => return None,
                _ => self.scalar(),
            }
            if depth == 0 {
                let whole = self.text.get(self.at.saturating_sub(1)) == Some(&b'"');
                return text.filter(|_| whole);
            }
        }
    }

    /// The string value of a member of the object it stands at, the last of that name; anything else has none.
    pub(super) fn member(self, name: &str) -> Option<Text> {
        self.value_of(name)?.skip()
    }

    /// At the value of a member of the object it stands at, the last of that name; anything else has none.
    pub(super) fn value_of(mut self, name: &str) -> Option<Self> {
        if self.peek() != b'{' {
            return None;
        }
        self.open();
        let mut found = None;
        while self.next() {
            if self.key().decode(self.text) == name {
                found = Some(self.clone());
            }
            self.skip();
        }
        found
    }

    /// Consumes a number or literal.
    pub(super) fn scalar(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':' | b' ' | b'\n' | b'\r' | b'\t');
        self.at += rest.iter().position(ends).unwrap_or(rest.len()).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_met_one_by_one() {
        let text = br#" { "a" : [1, "x\"]" ,{"b":null}] , "c\u0064":"v"} "#;
        let mut cursor = Cursor::new(text, 0);
        assert_eq!(cursor.peek(), b'{');
        cursor.open();
        assert!(cursor.next());
        assert_eq!(cursor.key().decode(text), "a");
        let mut inner = cursor.clone();
        inner.open();
        let mut seen = Vec::new();
        while inner.next() {
            seen.push(inner.skip().map(|text_| text_.decode(text).into_owned()));
        }
        assert_eq!(seen, [None, Some("x\"]".to_owned()), None]);
        assert!(cursor.skip().is_none());
        assert_eq!(cursor.position(), inner.position());
        assert!(cursor.next());
        assert_eq!(cursor.key().decode(text), "cd");
        assert_eq!(cursor.skip().unwrap().decode(text), "v");
        assert!(!cursor.next());
        assert_eq!(cursor.peek(), 0);
    }

    #[test]
    fn anything_else_ends_too() {
        for text in ["", "\"abc", "{\"a", "[1,", "]", "{\"a\":\\", "[}]", "\"\\"] {
            let mut cursor = Cursor::new(text.as_bytes(), 0);
            cursor.skip();
            cursor.open();
            for _ in 0..8 {
                cursor.next();
                cursor.key();
            }
        }
    }
}
