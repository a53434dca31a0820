//! Tables of the members we read, and which of them a key names. Most keys name none: one look into the table tells.

use super::super::text::{Span, Text};
use super::lex::Quoted;

/// A member we read: its name, and its place in the request for errors.
#[derive(Clone, Copy)]
pub(in super::super) struct Known {
    name: &'static str,
    path: &'static str,
    /// As [`word`] makes it.
    word: u64,
}

/// Shorthand for tables of known members.
pub(in super::super) const fn known(name: &'static str, path: &'static str) -> Known {
    let mut rest = name.as_bytes();
    let mut word = 0;
    let mut shift = 0;
    while let [first, others @ ..] = rest
        && shift < u64::BITS
    {
        word |= (*first as u64) << shift;
        shift += 8;
        rest = others;
    }
    Known { name, path, word }
}

/// The members we read of one object.
pub(in super::super) struct Table<K: ?Sized = [Known]> {
    /// For every [slot], one more than the first member that falls into it; 0 where none does.
    first: [u8; SLOTS],
    members: K,
}

const SLOTS: usize = 64;

/// Makes a table, of at most 32 members, while compiling.
#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "bounded; evaluated while compiling"
)]
pub(in super::super) const fn table<const N: usize>(members: [Known; N]) -> Table<[Known; N]> {
    assert!(N <= 32, "the walk keeps one bit for each");
    let mut first = [0; SLOTS];
    let mut nth = N;
    while nth > 0 {
        let name = members[nth - 1].name.as_bytes();
        first[slot(name[0], name.len())] = nth as u8;
        nth -= 1;
    }
    Table { first, members }
}

/// Of the first byte of a name, and whether its length is odd.
#[inline(always)]
const fn slot(first: u8, length: usize) -> usize {
    (first as usize * 2 + length % 2) % SLOTS
}

impl Table {
    /// Which of the members a key names, and its place in the request.
    #[inline(always)]
    pub(super) fn find(&self, text: &[u8], open: usize, key: Quoted) -> Option<(usize, &'static str)> {
        if key.escaped {
            return self.find_escaped(text, open, key);
        }
        let name = text.get(open + 1..key.end - 1)?;
        let from = usize::from(*self.first.get(slot(*name.first()?, name.len()))?).checked_sub(1)?;
        let word = word(text.get(open + 1..)?, name.len());
        let is_it = |known: &Known| {
            known.word == word
                && known.name.len() == name.len()
                && (name.len() <= WORD || known.name.as_bytes() == name)
        };
        let found = from + self.members.get(from..)?.iter().position(is_it)?;
        Some((found, self.members.get(found)?.path))
    }

    #[cold]
    fn find_escaped(&self, text: &[u8], open: usize, key: Quoted) -> Option<(usize, &'static str)> {
        let name = Text { content: Span::new(open + 1, key.end - 1), escaped: true }.decode(text);
        let found = self.members.iter().position(|known| known.name == name)?;
        Some((found, self.members.get(found)?.path))
    }
}

const WORD: usize = 8;

/// The first eight bytes of the name of this length at the start of `text`; zeros stand for what a shorter one lacks.
/// No name holds a zero byte, so that two of one length of at most eight bytes are the same when these are.
#[inline(always)]
fn word(text: &[u8], length: usize) -> u64 {
    let Some(eight) = text.first_chunk::<WORD>() else { return last_word(text, length) };
    let word = u64::from_le_bytes(*eight);
    if length < WORD { word & !(u64::MAX << (8 * length)) } else { word }
}

/// As [`word`], near the end of the text.
#[cold]
fn last_word(text: &[u8], length: usize) -> u64 {
    text.iter().take(length).rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
impl Table {
    /// Panics unless a key, spelled as it is or escaped, finds what a comparison of strings finds.
    pub(in super::super) fn assert_finds(&self, name: &str) {
        let expected = self.members.iter().position(|known| known.name == name);
        let escaped =
            |name: &str| name.bytes().fold(String::new(), |text, byte| text + &format!("\\u{byte:04x}"));
        for (key, escaped) in [(name.to_owned(), false), (escaped(name), !name.is_empty())] {
            for after in ["", ":1}", ":\"a longer text behind\"}"] {
                let text = format!("{{\"{key}\"{after}");
                let key = Quoted { end: key.len() + 3, escaped };
                let found = self.find(text.as_bytes(), 1, key).map(|(nth, _)| nth);
                assert_eq!(found, expected, "{text}");
            }
        }
    }

    /// As [`Self::assert_finds`], of every name, all that it begins with, and what begins with that.
    pub(in super::super) fn assert_finds_its_own(&self) {
        for known in &self.members {
            for end in 0..=known.name.len() {
                let start = known.name.get(..end).unwrap();
                self.assert_finds(start);
                for other in ["x", "_", "a", "ext", "\u{1}"] {
                    self.assert_finds(&format!("{start}{other}"));
                    self.assert_finds(&format!("{other}{start}"));
                }
            }
            let rest = known.name.get(8..).unwrap_or_default();
            self.assert_finds(&format!("{}{rest}x", known.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: Table<[Known; 6]> = table([
        known("id", "id"),
        known("imp", "imp"),
        known("if", "if"),
        known("i", "i"),
        known("us_privacy", "us_privacy"),
        known("publisher_user_id", "publisher_user_id"),
    ]);

    fn find(key: &str, after: &str) -> Option<&'static str> {
        let text = format!("{{\"{key}\"{after}");
        let key = Quoted { end: key.len() + 3, escaped: key.contains('\\') };
        let table: &Table = &TABLE;
        table.find(text.as_bytes(), 1, key).map(|(nth, path)| {
            assert_eq!(table.members[nth].path, path);
            path
        })
    }

    #[test]
    fn a_key_names_a_member_or_none_wherever_it_stands() {
        for after in ["", ":1}", ":\"a longer text behind\"}"] {
            for known in TABLE.members {
                assert_eq!(find(known.name, after), Some(known.path), "{after}");
                for other in ["x", "\u{1}"] {
                    assert_eq!(find(&format!("{}{other}", known.name), after), None);
                    assert_eq!(find(&format!("{other}{}", known.name), after), None);
                }
                assert_eq!(find(&known.name.to_uppercase(), after), None);
            }
            for key in ["", "ix", "ie", "imq", "us_privacz", "us_privac", "publisher_user_ix", "publishe"] {
                assert_eq!(find(key, after), None, "{key}");
            }
            assert_eq!(find(r"\u0069d", after), Some("id"));
            assert_eq!(find(r"us_priv\u0061cy", after), Some("us_privacy"));
            assert_eq!(find(r"i\u0064\u0064", after), None);
        }
        let table: &Table = &TABLE;
        table.assert_finds_its_own();
        assert_eq!(find("us_priva", ""), None, "eight bytes are no name of ten");
    }

    proptest! {
        #[test]
        fn a_lookup_is_a_comparison_of_strings(
            nth in 0..TABLE.members.len(),
            cut in 0..20_usize,
            more in "[a-z_]{0,9}",
        ) {
            let name = TABLE.members[nth].name;
            let table: &Table = &TABLE;
            table.assert_finds(&format!("{}{more}", name.get(..cut).unwrap_or(name)));
        }
    }
}
