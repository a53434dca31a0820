//! EIDs under guard: a uid whose id is DII, or a raw UID2 where a token belongs, goes; an entry without another uid goes
//! with it, and so does a list without another entry.

use super::Spot;
use super::keys::Named;
use super::shape::is_raw_uid2;
use super::walk::{At, Walk};

impl Walk<'_> {
    /// `eids`, in either place.
    pub(super) fn eids(&mut self) -> bool {
        if self.cursor.peek() != b'[' {
            return self.value(At::of(Spot::Eids));
        }
        let (stay, were) = self.items(|walk| match walk.cursor.peek() {
            b'{' => walk.entry(),
            _ => walk.value(At::of(Spot::Eids)),
        });
        stay == 0 && were > 0
    }

    fn entry(&mut self) -> bool {
        let tokens = self.takes_tokens();
        let mut goes = false;
        self.members(Spot::Eids, |walk, key| {
            match key {
                "uids" if walk.cursor.peek() == b'[' => {
                    let (stay, were) = walk.items(|walk| match walk.cursor.peek() {
                        b'{' => walk.uid(tokens),
                        _ => walk.value(At::of(Spot::Eids)),
                    });
                    goes |= stay == 0 && were > 0;
                }
                // Without them an entry means something else.
                "source" | "inserter" | "matcher" => goes |= walk.value(At::of(Spot::Eids)),
                other => return walk.member(other, At::of(Spot::Eids)),
            }
            false
        });
        goes
    }

    fn uid(&mut self, tokens: bool) -> bool {
        let mut goes = false;
        let named = self.uid_named();
        self.members(Spot::Eids, |walk, key| {
            if key != "id" || walk.cursor.peek() != b'"' {
                return walk.member(key, At::of(Spot::Eids));
            }
            let id = walk.cursor.string();
            let raw = tokens && is_raw_uid2(&id.decode(walk.text));
            if raw {
                walk.raw(id);
            } else if walk.says(id, named) {
                walk.hit(Spot::Eids, id.content.start);
                goes = true;
            }
            goes |= raw;
            false
        });
        goes
    }

    /// What the uid says of its id: `{"id":"…","ext":{"stype":"sha256email"}}`.
    fn uid_named(&self) -> Named {
        const TYPES: [&str; 2] = ["stype", "type"];
        let mut named = self.named_at(self.cursor.clone(), &TYPES);
        let mut at = self.cursor.clone();
        at.open();
        while at.next() {
            let key = at.key();
            if at.peek() == b'{' && key.decode(self.text) == "ext" {
                named = named.max(self.named_at(at.clone(), &TYPES));
            }
            at.skip();
        }
        named
    }

    /// Whether the ids of the entry must be tokens, by any of its sources if there are more.
    fn takes_tokens(&self) -> bool {
        let mut cursor = self.cursor.clone();
        let mut tokens = false;
        cursor.open();
        while cursor.next() {
            let key = cursor.key();
            let source = cursor.skip().filter(|_| key.decode(self.text) == "source");
            tokens |= source.is_some_and(|source| {
                self.watch.tokens_of.iter().any(|of| source.is_ignoring_case(self.text, of))
            });
        }
        tokens
    }
}
