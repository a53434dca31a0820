//! Every string, name and number of a checked request, and what goes in it.

use super::super::cursor::Cursor;
use super::super::text::{Span, Text};
use super::address;
use super::names::is_known;
use super::places::{Place, is_id};
use super::prose;
use super::pseudonym::Pseudonyms;

/// How often another name is drawn when one comes out that means something.
const TRIES: u8 = 8;

/// The body as it came, and what becomes of it. As long throughout, so that one's offsets are the other's.
pub(super) struct Walk<'a> {
    text: &'a [u8],
    cursor: Cursor<'a>,
    pseudonyms: Pseudonyms<'a>,
    pub(super) out: Vec<u8>,
    /// The values of what was masked as an id, decoded.
    pub(super) ids: Vec<String>,
}

impl<'a> Walk<'a> {
    /// Over a document that the scan has found well-formed.
    pub(super) fn new(text: &'a [u8], pseudonyms: Pseudonyms<'a>) -> Self {
        Self { text, cursor: Cursor::new(text, 0), pseudonyms, out: text.to_vec(), ids: Vec::new() }
    }

    /// The whole of it.
    pub(super) fn document(&mut self) {
        self.value(Place::Root, false);
    }

    /// A value; `id`: its name is that of an id.
    fn value(&mut self, place: Place, id: bool) {
        match self.cursor.peek() {
            b'{' => self.object(place),
            b'[' => {
                self.cursor.open();
                while self.cursor.next() {
                    self.value(place, id);
                }
            }
            b'"' => {
                let text = self.cursor.string();
                self.string(place, text);
            }
            _ => self.scalar(place, id),
        }
    }

    fn object(&mut self, place: Place) {
        self.cursor.open();
        while self.cursor.next() {
            let key = self.cursor.key();
            let name = key.decode(self.text);
            self.name(place, key, &name);
            self.value(place.member(&name), is_id(&name));
        }
    }

    /// The name of a member: text, and of a person nothing but what is known.
    fn name(&mut self, place: Place, key: Text, name: &str) {
        let raw = raw(self.text, key.content);
        if !place.is_personal() {
            if let Some(masked) = prose::masked(raw, false, self.pseudonyms) {
                self.put(key.content, &masked);
            }
        } else if !is_known(name) {
            let mut masked = self.id(raw, key);
            for _ in 0..TRIES {
                if !is_known(&masked) {
                    break;
                }
                masked = self.pseudonyms.of(&masked);
            }
            self.put(key.content, &masked);
        }
    }

    fn string(&mut self, place: Place, text: Text) {
        let raw = raw(self.text, text.content);
        let masked = match place {
            Place::Label if !text.decode(self.text).contains(|c: char| c.is_ascii_digit()) => {
                prose::masked(raw, false, self.pseudonyms)
            }
            Place::User
            | Place::Person
            | Place::Segments
            | Place::Segment
            | Place::Label
            | Place::Device
            | Place::Geo => Some(self.id(raw, text)),
            Place::Address => {
                self.ids.push(text.decode(self.text).into_owned());
                Some(address::ip(raw, self.pseudonyms))
            }
            Place::Position => Some(address::position(raw).unwrap_or_else(|| self.pseudonyms.of(raw))),
            Place::Keywords => {
                self.ids.extend(prose::keyword_values(raw));
                Some(prose::keywords(raw, self.pseudonyms))
            }
            Place::Root | Place::Open | Place::Said | Place::Url => {
                prose::masked(raw, place == Place::Url, self.pseudonyms)
            }
        };
        if let Some(masked) = masked {
            self.put(text.content, &masked);
        }
    }

    fn id(&mut self, raw: &str, text: Text) -> String {
        self.ids.push(text.decode(self.text).into_owned());
        self.pseudonyms.of(raw)
    }

    /// A number or literal.
    fn scalar(&mut self, place: Place, id: bool) {
        let start = self.cursor.position();
        self.cursor.scalar();
        let span = Span { start, end: self.cursor.position() };
        let number = raw(self.text, span);
        let says = number.bytes().any(|byte| byte.is_ascii_digit()); // unlike true, false, null
        let flag = matches!(number, "0" | "1") && !id;
        let masked = match place {
            Place::Root | Place::Open | Place::Said | Place::Url | Place::Keywords => return,
            _ if !says => return,
            Place::Position => address::position(number).unwrap_or_else(|| self.pseudonyms.of_number(number)),
            _ if flag => return,
            _ => {
                self.ids.push(number.to_owned());
                self.pseudonyms.of_number(number)
            }
        };
        self.put(span, &masked);
    }

    fn put(&mut self, span: Span, masked: &str) {
        debug_assert_eq!(span.range().len(), masked.len(), "a mask is as long as what it hides");
        if let Some(place) = self.out.get_mut(span.range()).filter(|place| place.len() == masked.len()) {
            place.copy_from_slice(masked.as_bytes());
        }
    }
}

fn raw(text: &[u8], span: Span) -> &str {
    std::str::from_utf8(span.of(text)).unwrap_or_default()
}
