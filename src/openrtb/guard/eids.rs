//! EIDs under guard: a uid whose id is DII, or a raw UID2 where a token belongs, goes; an entry without another uid goes
//! with it, and so does a list without another entry.

use super::super::text::Text;
use super::walk::{At, Walk};
use super::wording::is_raw_uid2;
use super::{Spot, keys};

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
        let source = self.cursor.clone().member("source");
        let tokens = source.is_some_and(|source| self.takes_tokens(source));
        let mut goes = false;
        self.members(|walk, key| {
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
                other => return walk.value(At { spot: Spot::Eids, known: keys::is_known(other) }),
            }
            false
        });
        goes
    }

    fn uid(&mut self, tokens: bool) -> bool {
        let mut goes = false;
        self.members(|walk, key| {
            if key != "id" || walk.cursor.peek() != b'"' {
                return walk.value(At { spot: Spot::Eids, known: keys::is_known(key) });
            }
            let id = walk.cursor.string();
            let raw = tokens && is_raw_uid2(&id.decode(walk.text));
            if raw {
                walk.raw(id);
            } else if walk.says(id, false) {
                walk.hit(Spot::Eids, id.content.start);
                goes = true;
            }
            goes |= raw;
            false
        });
        goes
    }

    fn takes_tokens(&self, source: Text) -> bool {
        self.watch.tokens_of.iter().any(|of| source.is_ignoring_case(self.text, of))
    }
}
