//! The Global Privacy Platform string: a header that names its sections, then the sections, joined by `~`.
//!
//! The header lists section ids as a range of Fibonacci-coded steps. A group of ids can claim thousands of sections in
//! a few bits; ids are therefore produced one by one beside the sections that are really there, and the first id
//! without a section breaks the string.

use super::bits::{Bits, MAX_TEXT};

/// A GPP string whose header is sound and matches its sections.
#[derive(Clone, Copy, Debug)]
pub struct Gpp<'a> {
    ids: Ids<'a>,
    sections: &'a str,
}

/// The header cannot be read, or does not match the sections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("broken GPP header")]
pub struct BrokenHeader;

impl<'a> Gpp<'a> {
    /// Reads the header and counts the sections; their content is not looked at.
    pub fn parse(text: &'a str) -> Result<Self, BrokenHeader> {
        if text.len() > MAX_TEXT {
            return Err(BrokenHeader);
        }
        let (header, sections) = text.split_once('~').unwrap_or((text, ""));
        let gpp = Self { ids: Ids::read(header).ok_or(BrokenHeader)?, sections };
        if gpp.header_matches(header.len() < text.len()) { Ok(gpp) } else { Err(BrokenHeader) }
    }

    /// Section ids with their text, in the order they stand.
    pub fn sections(&self) -> impl Iterator<Item = (u16, &'a str)> + use<'a> {
        let mut ids = self.ids;
        self.sections.split('~').map_while(move |section| Some((ids.next()?.ok()?, section)))
    }

    fn header_matches(&self, has_sections: bool) -> bool {
        let mut ids = self.ids;
        if has_sections && !self.sections.split('~').all(|_| matches!(ids.next(), Some(Ok(_)))) {
            return false;
        }
        ids.next().is_none() && ids.bits.rest_is_zero()
    }
}

/// Walks the ids of a header.
#[derive(Clone, Copy, Debug)]
struct Ids<'a> {
    bits: Bits<'a>,
    /// Items of the range not begun yet.
    items: u16,
    /// Ids left of the group that is under way.
    group: u32,
    last: u32,
}

impl<'a> Ids<'a> {
    /// Checks type 3 and version 1; the ids themselves are read as they are asked for.
    fn read(header: &'a str) -> Option<Self> {
        let mut bits = Bits::new(header)?;
        if bits.take(6)? != 3 || bits.take(6)? != 1 {
            return None;
        }
        let items = bits.take_u16(12)?;
        Some(Self { bits, items, group: 0, last: 0 })
    }

    /// The next id, an error when the header breaks here, `None` after the last.
    fn next(&mut self) -> Option<Result<u16, BrokenHeader>> {
        if self.group == 0 && self.items == 0 {
            return None;
        }
        Some(self.step().ok_or(BrokenHeader))
    }

    fn step(&mut self) -> Option<u16> {
        if self.group > 0 {
            self.group -= 1;
            self.last += 1;
        } else {
            self.items -= 1;
            let is_group = self.bits.flag()?;
            self.last += fibonacci(&mut self.bits)?;
            self.group = if is_group { fibonacci(&mut self.bits)? } else { 0 };
        }
        #[cfg(test)]
        work::STEPS.with(|steps| steps.set(steps.get() + 1));
        u16::try_from(self.last).ok()
    }
}

/// One Fibonacci-coded number of at least 1: terms 1, 2, 3, 5, 8 …, least significant first, ended by a second 1 in a row.
/// `None` past the end of the text or above what any section id needs.
fn fibonacci(bits: &mut Bits<'_>) -> Option<u32> {
    let (mut term, mut following) = (1_u32, 2_u32);
    let (mut sum, mut last_was_one) = (0_u32, false);
    loop {
        let one = bits.flag()?;
        if one && last_was_one {
            return Some(sum);
        }
        u16::try_from(term).ok()?;
        sum += if one { term } else { 0 };
        last_was_one = one;
        (term, following) = (following, term + following);
    }
}

/// Counts the ids decoded by a thread, so that a test can bound the work of a judgement.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    thread_local! {
        pub(super) static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    /// The ids that were decoded while `run` ran.
    pub(in crate::privacy) fn of(run: impl FnOnce()) -> usize {
        let before = STEPS.get();
        run();
        STEPS.get() - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::fixture::BitWriter;

    fn ids(text: &str) -> Result<Vec<u16>, BrokenHeader> {
        Ok(Gpp::parse(text)?.sections().map(|(id, _)| id).collect())
    }

    #[test]
    fn published_headers_read_as_documented() {
        assert_eq!(ids("DBABM~x"), Ok(vec![2]));
        assert_eq!(ids("DBACNY~x~1YNN"), Ok(vec![2, 6]));
        assert_eq!(ids("DBACNYA~x~1YNN"), Ok(vec![2, 6]));
        assert_eq!(ids("DBABjw~x~1YNN"), Ok(vec![5, 6]));
        assert_eq!(ids("DBABL~x"), Ok(vec![7]));
    }

    #[test]
    fn sections_keep_their_text() {
        let gpp = Gpp::parse("DBACNY~COre.seg~1YNN").unwrap();
        assert_eq!(gpp.sections().collect::<Vec<_>>(), [(2, "COre.seg"), (6, "1YNN")]);
    }

    #[test]
    fn the_number_of_sections_must_match() {
        for text in ["DBABM", "DBACNY~x", "DBACNY~x~y~z", "DBABM~x~"] {
            assert_eq!(ids(text), Err(BrokenHeader), "{text}");
        }
        assert_eq!(ids("DBAA"), Ok(vec![]));
        assert_eq!(ids("DBAA~"), Err(BrokenHeader));
    }

    #[test]
    fn broken_headers_are_refused() {
        for text in ["", "D", "DB", "DBA", "DBAB", "CBABM~x", "DCABM~x", "DB=BM~x", "DBABMB~x", "~x"] {
            assert_eq!(ids(text), Err(BrokenHeader), "{text}");
        }
    }

    #[test]
    fn a_group_that_claims_thousands_costs_nothing() {
        let mut bits = BitWriter::default();
        bits.put(3, 6).put(1, 6).put(1, 12).put(1, 1);
        bits.put(0b11, 2); // starts at 1
        bits.put(0, 16).put(0b11, 2); // 2584 more, in a code of 18 bits
        let header = bits.text();
        assert_eq!(ids(&format!("{header}~x")), Err(BrokenHeader));
        assert_eq!(ids(&(header + &"~x".repeat(1585))).map(|ids| ids.len()), Err(BrokenHeader));
    }

    #[test]
    fn a_group_names_its_sections_one_by_one() {
        let mut bits = BitWriter::default();
        bits.put(3, 6).put(1, 6).put(2, 12);
        bits.put(0, 1).put(0b011, 3); // 2
        bits.put(1, 1).put(0b00011, 5).put(0b011, 3); // from 2 + 5 on, two more
        assert_eq!(ids(&(bits.text() + "~a~b~c~d")), Ok(vec![2, 7, 8, 9]));
    }

    #[test]
    fn codes_without_an_end_or_beyond_any_id_are_refused() {
        let mut bits = BitWriter::default();
        bits.put(3, 6).put(1, 6).put(1, 12).put(0, 1).put(0, 200).put(0b11, 2);
        assert_eq!(ids(&(bits.text() + "~a")), Err(BrokenHeader));
    }

    #[test]
    fn the_largest_ids_are_read() {
        assert_eq!(ids(include_str!("../../fuzz/seeds/gpp/large-id")), Ok(vec![48_960]));
    }

    #[test]
    fn the_length_is_capped() {
        let longest = format!("DBABM~{}", "x".repeat(MAX_TEXT - 6));
        assert_eq!(ids(&longest), Ok(vec![2]));
        assert_eq!(ids(&format!("{longest}x")), Err(BrokenHeader));
    }
}
