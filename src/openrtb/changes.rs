//! Changes to a text: ranges of bytes and what stands there instead. Composing them keeps the JSON valid.

use bytes::{Buf, Bytes};

use super::request::Container;
use super::text::{Span, offset};

/// One range and its replacement.
#[derive(Clone)]
pub(super) struct Change {
    pub span: Span,
    pub with: Bytes,
}

/// Changes to one text; none overlap. Sorted once they are finished.
#[derive(Clone, Default)]
pub(super) struct Changes(Vec<Change>);

impl Changes {
    pub(super) fn replace(&mut self, span: Span, with: impl Into<Bytes>) {
        self.0.push(Change { span, with: with.into() });
    }

    /// Removes items (members or elements) of one container, together with the commas that go with them. `doomed`
    /// gives span and index of each, in ascending order, and must be all that is removed from it.
    ///
    /// An item with a survivor before it goes from the end of the item before it; any other goes up to the start of
    /// the next item. So no two ranges touch the same comma, whichever items go.
    pub(super) fn remove(&mut self, text: &[u8], doomed: impl IntoIterator<Item = (Span, u32)>) {
        for (gone, (span, index)) in (0..).zip(doomed) {
            let span =
                if index > gone { with_comma_before(text, span) } else { with_comma_after(text, span) };
            self.0.push(Change { span, with: Bytes::new() });
        }
    }

    /// Appends items (already joined by commas) to a container of which `survivors` items stay.
    pub(super) fn append(&mut self, text: &[u8], container: Container, survivors: u32, items: &str) {
        self.append_led(text, container, survivors, [",", items].concat());
    }

    /// As [`Self::append`], of items that are led by a comma; it is left out where nothing stands before them.
    pub(super) fn append_led(
        &mut self,
        text: &[u8],
        container: Container,
        survivors: u32,
        items: impl Into<Bytes>,
    ) {
        let close = container.span.end.saturating_sub(1);
        let at = offset(space_before(text, close as usize));
        let mut items = items.into();
        if survivors == 0 && !items.is_empty() {
            items.advance(1);
        }
        self.replace(Span { start: at, end: at }, items);
    }

    /// How many there are; with [`Self::forget`], those since then can be taken back.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes back all but the first `count`.
    pub(super) fn forget(&mut self, count: usize) {
        self.0.truncate(count);
    }

    /// A part of the text with the changes made, all of which lie in it; they must be [sorted](Self::sort).
    pub(super) fn applied(&self, text: &[u8], part: Span) -> Vec<u8> {
        let part = part.range();
        let mut out = Vec::with_capacity(part.len() + 64);
        let mut from = part.start;
        for Change { span, with } in &self.0 {
            out.extend_from_slice(text.get(from..span.start as usize).unwrap_or_default());
            out.extend_from_slice(with);
            from = span.end as usize;
        }
        out.extend_from_slice(text.get(from..part.end).unwrap_or_default());
        out
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Puts them in the order of the text. A removal that ends where an insertion stands comes first.
    pub(super) fn sort(&mut self) {
        self.0.sort_by_key(|change| (change.span.start, change.span.end));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_slice(&self) -> &[Change] {
        &self.0
    }
}

fn with_comma_before(text: &[u8], span: Span) -> Span {
    let comma = space_before(text, span.start as usize).saturating_sub(1);
    Span { start: offset(space_before(text, comma)), ..span }
}

fn with_comma_after(text: &[u8], span: Span) -> Span {
    let after = space_after(text, span.end as usize);
    match text.get(after) {
        Some(b',') => Span { end: offset(space_after(text, after + 1)), ..span },
        _ => span,
    }
}

/// Where the white space before `at` begins.
fn space_before(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1)
}

/// Where the white space from `at` on ends.
fn space_after(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| !is_space(*byte)).unwrap_or(rest.len())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
#[expect(clippy::string_slice, clippy::cast_possible_truncation, reason = "short ASCII texts")]
mod tests {
    use super::*;

    /// Applies the changes to a text.
    fn applied(text: &str, mut changes: Changes) -> String {
        changes.sort();
        let mut out = String::new();
        let mut from = 0;
        for Change { span, with } in changes.as_slice() {
            out.push_str(&text[from..span.start as usize]);
            out.push_str(std::str::from_utf8(with).unwrap());
            from = span.end as usize;
        }
        out + &text[from..]
    }

    /// Every subset of the items is removed, with and without an item appended.
    #[test]
    fn any_items_can_go_and_one_can_come() {
        for (open, gap, close) in [("[", ",", "]"), ("[ ", " ,\n ", "\t]"), ("[\n  ", ",\n  ", "\n]")] {
            for count in 0..5_usize {
                let items: Vec<String> = (0..count).map(|i| (100 + i).to_string()).collect();
                let text = format!("{open}{}{close}", items.join(gap));
                for doomed in 0..1_u32 << count {
                    check(&text, open.len(), gap.len(), count, doomed);
                }
            }
        }
    }

    fn check(text: &str, open: usize, gap: usize, count: usize, doomed: u32) {
        let spans = (0..count).map(|i| {
            let start = open + i * (3 + gap);
            (Span::new(start, start + 3), i as u32)
        });
        let kept: Vec<u64> = (0..count).filter(|i| doomed >> i & 1 == 0).map(|i| 100 + i as u64).collect();
        for append in [false, true] {
            let mut changes = Changes::default();
            changes.remove(text.as_bytes(), spans.clone().filter(|(_, i)| doomed >> i & 1 == 1));
            let mut expected = kept.clone();
            if append {
                let container = Container { span: Span::new(0, text.len()), items: count as u32 };
                changes.append(text.as_bytes(), container, kept.len() as u32, "7,8");
                expected.extend([7, 8]);
            }
            let out = applied(text, changes);
            assert_eq!(serde_json::from_str::<Vec<u64>>(&out).unwrap(), expected, "{text} → {out}");
        }
    }
}
