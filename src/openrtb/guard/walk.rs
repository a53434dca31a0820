//! The closer look: every string under `user`, and what has to go with one that is DII.

use smallvec::SmallVec;

use super::super::changes::Changes;
use super::super::cursor::Cursor;
use super::super::scan::{Limits, Scanner};
use super::super::text::{Span, Text};
use super::wording::Wording;
use super::{Hit, Spot, Watch, keys};

/// How many JSON documents may stand in strings of one another.
const DOCUMENTS: u8 = 2;

/// What a value stands in.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub spot: Spot,
    /// Under a name that says of a hash whose it is.
    pub known: bool,
}

impl At {
    pub(super) const fn of(spot: Spot) -> Self {
        Self { spot, known: false }
    }
}

/// Items of one container that go: their spans, and how many stand before each.
pub(super) type Doomed = SmallVec<[(Span, u32); 4]>;

/// A walk over one document. Functions that consume a value tell whether it has to go; what has to go inside of it is
/// noted by then.
pub(super) struct Walk<'a> {
    pub text: &'a [u8],
    pub cursor: Cursor<'a>,
    pub watch: &'a Watch<'a>,
    pub wording: &'a Wording,
    pub removals: Changes,
    pub hits: SmallVec<[Hit; 2]>,
    /// How many strings this document stands in.
    pub depth: u8,
}

impl Walk<'_> {
    /// `user`, whatever it is.
    pub(super) fn user(&mut self) -> bool {
        if self.cursor.peek() != b'{' {
            let found = self.hits.len();
            let goes = self.value(At::of(Spot::User));
            // A user that is no object has no members to trust: it goes as a whole.
            return goes || self.hits.len() > found;
        }
        self.members(|walk, key| match key {
            "id" => walk.value(At::of(Spot::Id)),
            "buyeruid" => walk.value(At::of(Spot::Buyeruid)),
            "keywords" => walk.keywords(Spot::Keywords),
            "kwarray" => walk.value(At::of(Spot::Kwarray)),
            "customdata" => walk.value(At::of(Spot::Customdata)),
            "data" => walk.data(),
            "eids" => walk.eids(),
            "ext" => walk.ext(),
            other => walk.value(At { spot: Spot::User, known: keys::is_known(other) }),
        });
        false
    }

    /// `user.ext`. Our own hints in it are for us to read, and never leave.
    fn ext(&mut self) -> bool {
        let at = At::of(Spot::Ext);
        if self.cursor.peek() != b'{' {
            return self.value(at);
        }
        self.members(|walk, key| match key {
            "uid2" | "publisher_user_id" => {
                walk.cursor.skip();
                false
            }
            "eids" => walk.eids(),
            "keywords" => walk.keywords(Spot::Ext),
            other => walk.value(At { known: keys::is_known(other), ..at }),
        });
        false
    }

    /// `user.data[].segment[]` has names and values: `{"name":"email_hash","value":"…"}`.
    fn data(&mut self) -> bool {
        let at = At::of(Spot::Data);
        if self.cursor.peek() != b'[' {
            return self.value(at);
        }
        self.items(|walk| {
            if walk.cursor.peek() != b'{' {
                return walk.value(at);
            }
            walk.members(|walk, key| {
                if key != "segment" || walk.cursor.peek() != b'[' {
                    return walk.value(At { known: keys::is_known(key), ..at });
                }
                walk.items(|walk| walk.segment(at));
                false
            });
            false
        });
        false
    }

    fn segment(&mut self, at: At) -> bool {
        if self.cursor.peek() != b'{' {
            return self.value(at);
        }
        let named = self.is_named();
        self.members(|walk, key| {
            let known = keys::is_known(key) || (named && matches!(key, "value" | "id"));
            walk.value(At { known, ..at })
        });
        false
    }

    /// Whether a segment is named after hashes, also by a second name: it would count if the first one goes.
    fn is_named(&self) -> bool {
        let mut cursor = self.cursor.clone();
        let mut named = false;
        cursor.open();
        while cursor.next() {
            let key = cursor.key();
            let name = cursor.skip().filter(|_| key.decode(self.text) == "name");
            named |= name.is_some_and(|name| keys::is_known(&name.decode(self.text)));
        }
        named
    }

    /// A string of keywords between commas, of which single ones go; it goes itself when none is left.
    fn keywords(&mut self, spot: Spot) -> bool {
        if self.cursor.peek() != b'"' {
            return self.value(At::of(spot));
        }
        let all = self.cursor.string();
        let mut start = all.content.start;
        let mut doomed = Doomed::new();
        let mut count = 0;
        for keyword in all.content.of(self.text).split(|byte| *byte == b',') {
            let end = start + u32::try_from(keyword.len()).unwrap_or_default();
            let text = Text { content: Span { start, end }, escaped: all.escaped };
            // An escaped comma is a comma too.
            let goes = text.decode(self.text).split(',').any(|word| self.is_dii(word, false));
            if goes {
                let margins = [keyword, keyword.trim_ascii_start(), keyword.trim_ascii()].map(<[u8]>::len);
                let start = start + u32::try_from(margins[0] - margins[1]).unwrap_or_default();
                doomed.push((
                    Span { start, end: start + u32::try_from(margins[2]).unwrap_or_default() },
                    count,
                ));
                self.hit(spot, start);
            }
            count += 1;
            start = end + 1;
        }
        if doomed.len() == count as usize {
            return true;
        }
        self.removals.remove(self.text, doomed);
        false
    }

    /// Any value.
    pub(super) fn value(&mut self, at: At) -> bool {
        match self.cursor.peek() {
            b'{' => {
                self.members(|walk, key| walk.value(At { known: at.known || keys::is_known(key), ..at }));
                false
            }
            b'[' => {
                self.items(|walk| walk.value(at));
                false
            }
            b'"' => {
                let text = self.cursor.string();
                let goes = self.says(text, at.known);
                if goes {
                    self.hit(at.spot, text.content.start);
                }
                goes
            }
            _ => {
                self.cursor.scalar();
                false
            }
        }
    }

    /// Whether a string is DII.
    pub(super) fn says(&self, text: Text, known: bool) -> bool {
        self.is_dii(&text.decode(self.text), known)
    }

    fn is_dii(&self, text: &str, known: bool) -> bool {
        self.watch.dii && (self.wording.is_dii(text, known) || self.document(text, known))
    }

    /// Whether a string is a JSON document with DII in it.
    fn document(&self, text: &str, known: bool) -> bool {
        let bytes = text.as_bytes();
        if self.depth >= DOCUMENTS || !matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[')) {
            return false;
        }
        if !self.wording.pays() {
            return true;
        }
        let whole = Scanner::new(bytes, Limits::default()).and_then(|mut scanner| {
            scanner.value()?;
            scanner.finish()
        });
        let mut walk = Walk {
            text: bytes,
            cursor: Cursor::new(bytes, 0),
            watch: self.watch,
            wording: self.wording,
            removals: Changes::default(),
            hits: SmallVec::new(),
            depth: self.depth + 1,
        };
        whole.is_ok() && (walk.value(At { spot: Spot::User, known }) || !walk.hits.is_empty())
    }

    pub(super) fn hit(&mut self, spot: Spot, offset: u32) {
        self.hits.push(Hit { spot, offset: offset as usize, raw: false });
    }

    pub(super) fn raw(&mut self, id: Text) {
        self.hits.push(Hit { spot: Spot::Eids, offset: id.content.start as usize, raw: true });
    }

    /// Every member of an object; those whose value goes are removed.
    pub(super) fn members(&mut self, mut member: impl FnMut(&mut Self, &str) -> bool) {
        let text = self.text;
        self.items(|walk| {
            let key = walk.cursor.key();
            member(walk, &key.decode(text))
        });
    }

    /// Every item of a container; those that go are removed. How many stay, and how many there were.
    pub(super) fn items(&mut self, mut item: impl FnMut(&mut Self) -> bool) -> (u32, u32) {
        let mut doomed = Doomed::new();
        let mut count = 0;
        self.cursor.open();
        while self.cursor.next() {
            let (start, before) = (self.cursor.position(), self.removals.count());
            if item(self) {
                self.removals.forget(before);
                doomed.push((Span { start, end: self.cursor.position() }, count));
            }
            count += 1;
        }
        let gone = u32::try_from(doomed.len()).unwrap_or(count);
        self.removals.remove(self.text, doomed);
        (count.saturating_sub(gone), count)
    }
}
