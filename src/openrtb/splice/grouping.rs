//! One EID object per source and provenance: what an entry of the one list has and its equal of the other has not, is
//! added to it. Two objects of one source are legal, but not of our making: older readers refuse them.

use std::collections::HashSet;

use super::super::changes::Changes;
use super::super::cursor::Cursor;
use super::super::eid::Eid;
use super::super::request::Container;
use super::super::text::Span;
use super::entry;

/// The entry with the uids of `more` in it; those whose id is there already are left out.
///
/// `beside`: entries of the same source and provenance whose ids count as being there.
pub(super) fn grown<'a>(
    text: &'a [u8],
    eid: Eid<'a>,
    beside: impl Iterator<Item = Eid<'a>>,
    more: impl Iterator<Item = Eid<'a>>,
) -> Changes {
    let mut changes = Changes::default();
    let mut seen: HashSet<_> = beside.flat_map(Eid::id_values).collect();
    let mut added: Vec<&[u8]> = Vec::new();
    for uid in more.flat_map(|eid| uids(text, eid).0) {
        let id = Cursor::new(text, uid.start).member("id").map(|id| id.value(text));
        if id.is_none_or(|id| seen.insert(id)) {
            added.push(uid.of(text));
        }
    }
    if let (false, Some(list)) = (added.is_empty(), uids(text, eid).1) {
        // The scan has checked the UTF-8 of the whole body.
        let added = added.join(&b',');
        changes.append(text, list, list.items, std::str::from_utf8(&added).unwrap_or_default());
    }
    changes
}

/// The uids of an entry, and their list; none unless it is one.
fn uids(text: &[u8], eid: Eid<'_>) -> (Vec<Span>, Option<Container>) {
    let mut found = Vec::new();
    let Some(list) = entry::member(text, eid.span().start, "uids").0 else { return (found, None) };
    let mut cursor = Cursor::new(text, list.start);
    if cursor.peek() != b'[' {
        return (found, None);
    }
    cursor.open();
    while cursor.next() {
        let start = cursor.position();
        cursor.skip();
        found.push(Span { start, end: cursor.position() });
    }
    let items = u32::try_from(found.len()).unwrap_or(u32::MAX);
    (found, Some(Container { span: list, items }))
}
