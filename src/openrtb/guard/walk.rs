//! The closer look: every string under `user`, and what has to go with one that is DII.

use smallvec::SmallVec;

use super::super::changes::Changes;
use super::super::cursor::Cursor;
use super::super::scan::Limits;
use super::super::text::{Span, Text};
use super::keys::Named;
use super::wording::Wording;
use super::{Hit, Spot, Watch};

/// What a value stands in.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub spot: Spot,
    /// What the name says of a hash.
    pub named: Named,
}

impl At {
    pub(super) const fn of(spot: Spot) -> Self {
        Self { spot, named: Named::Nothing }
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
    /// Of the request; they hold for documents in its strings too.
    pub limits: Limits,
    pub removals: Changes,
    pub hits: SmallVec<[Hit; 2]>,
    /// How many strings this document stands in.
    pub depth: u8,
}

impl<'a> Walk<'a> {
    /// Over the value at an offset of a checked text.
    pub(super) fn new(
        text: &'a [u8],
        start: u32,
        (watch, wording, limits): (&'a Watch<'a>, &'a Wording, Limits),
    ) -> Self {
        Self {
            text,
            cursor: Cursor::new(text, start),
            watch,
            wording,
            limits,
            removals: Changes::default(),
            hits: SmallVec::new(),
            depth: 0,
        }
    }

    /// `user`, whatever it is.
    pub(super) fn user(&mut self) -> bool {
        if self.cursor.peek() != b'{' {
            let found = self.hits.len();
            let goes = self.value(At::of(Spot::User));
            // A user that is no object has no members to trust: it goes as a whole.
            return goes || self.hits.len() > found;
        }
        self.members(Spot::User, |walk, key| match key {
            "id" => walk.value(At::of(Spot::Id)),
            "buyeruid" => walk.value(At::of(Spot::Buyeruid)),
            "keywords" => walk.member(key, At::of(Spot::Keywords)),
            "kwarray" => walk.value(At::of(Spot::Kwarray)),
            "customdata" => walk.value(At::of(Spot::Customdata)),
            "data" => walk.data(),
            "eids" => walk.eids(),
            "ext" => walk.ext(),
            other => walk.member(other, At::of(Spot::User)),
        });
        false
    }

    /// `user.ext`. Our own hints in it are for us to read, and never leave.
    fn ext(&mut self) -> bool {
        let at = At::of(Spot::Ext);
        if self.cursor.peek() != b'{' {
            return self.value(at);
        }
        self.members(Spot::Ext, |walk, key| match key {
            "uid2" | "publisher_user_id" => {
                walk.cursor.skip();
                false
            }
            "eids" => walk.eids(),
            other => walk.member(other, at),
        });
        false
    }

    /// `user.data[].segment[]` has names and values: `{"name":"email_hash","value":"…"}`. The name may be that of the
    /// whole entry.
    fn data(&mut self) -> bool {
        let at = At::of(Spot::Data);
        if self.cursor.peek() != b'[' {
            return self.value(at);
        }
        self.items(|walk| {
            if walk.cursor.peek() != b'{' {
                return walk.value(at);
            }
            let named = walk.named_at(walk.cursor.clone(), &["name"]);
            walk.members(Spot::Data, |walk, key| {
                if key != "segment" || walk.cursor.peek() != b'[' {
                    return walk.member(key, at);
                }
                walk.items(|walk| walk.segment(named));
                false
            });
            false
        });
        false
    }

    fn segment(&mut self, entry: Named) -> bool {
        let at = At::of(Spot::Data);
        if self.cursor.peek() != b'{' {
            return self.value(at);
        }
        let named = entry.max(self.named_at(self.cursor.clone(), &["name"]));
        self.members(Spot::Data, |walk, key| {
            // Of what is merely about phones, the id is that of the segment.
            let named = named == Named::Hash && matches!(key, "value" | "id");
            walk.member(key, if named { At { named: Named::Hash, ..at } } else { at })
        });
        false
    }

    /// What the object at a position says of a hash in it by the values of some members. A name may stand there twice:
    /// each counts, as the second would if the first one goes.
    pub(super) fn named_at(&self, mut cursor: Cursor<'_>, names: &[&str]) -> Named {
        let mut most = Named::Nothing;
        cursor.open();
        while cursor.next() {
            let key = cursor.key();
            let value = cursor.skip().filter(|_| names.contains(&key.decode(self.text).as_ref()));
            most = value.map_or(most, |value| most.max(Named::of(&value.decode(self.text))));
        }
        most
    }

    /// The value of a member that means nothing in particular where it stands.
    pub(super) fn member(&mut self, key: &str, at: At) -> bool {
        if key == "keywords" && self.cursor.peek() == b'"' {
            return self.keywords(at.spot);
        }
        self.value(At { named: at.named.inside(key), ..at })
    }

    /// A string of keywords between commas, of which single ones go; it goes itself when none is left, or when it is a
    /// JSON document instead.
    fn keywords(&mut self, spot: Spot) -> bool {
        let all = self.cursor.string();
        if self.document(&all.decode(self.text), Named::Nothing) {
            self.hit(spot, all.content.start);
            return true;
        }
        let mut start = all.content.start;
        let mut doomed = Doomed::new();
        let mut count = 0;
        for keyword in all.content.of(self.text).split(|byte| *byte == b',') {
            let end = start + u32::try_from(keyword.len()).unwrap_or_default();
            let text = Text { content: Span { start, end }, escaped: all.escaped };
            // An escaped comma is a comma too.
            let goes = text.decode(self.text).split(',').any(|word| self.is_dii(word, Named::Nothing));
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
                self.members(at.spot, |walk, key| walk.member(key, at));
                false
            }
            b'[' => {
                self.items(|walk| walk.value(at));
                false
            }
            b'"' => {
                let text = self.cursor.string();
                let goes = self.says(text, at.named);
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
    pub(super) fn says(&self, text: Text, named: Named) -> bool {
        self.is_dii(&text.decode(self.text), named)
    }

    pub(super) fn hit(&mut self, spot: Spot, offset: u32) {
        self.hits.push(Hit { spot, offset: offset as usize, raw: false });
    }

    pub(super) fn raw(&mut self, id: Text) {
        self.hits.push(Hit { spot: Spot::Eids, offset: id.content.start as usize, raw: true });
    }

    /// Every member of an object; those whose value goes are removed, and those whose name is DII.
    pub(super) fn members(&mut self, spot: Spot, mut member: impl FnMut(&mut Self, &str) -> bool) {
        let text = self.text;
        self.items(|walk| {
            let key = walk.cursor.key();
            let name = key.decode(text);
            if !walk.is_dii(&name, Named::Nothing) {
                return member(walk, &name);
            }
            walk.cursor.skip();
            walk.hit(spot, key.content.start);
            true
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
