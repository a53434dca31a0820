//! Which GPP sections apply: those that a `gpp_sid` names, and all of a string whose own list names none.
//!
//! A list is boiled down to a set of bits before anything is asked of it, so that the work of a judgement is one walk over each
//! string, whatever the lists hold.

use smallvec::SmallVec;

use super::gpp::{BrokenHeader, Gpp};
use super::signals::Signals;

/// A set of section ids. Of those above 63 nobody can read any: that one is named is all that counts.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct SectionIds {
    /// Bit `id` for the ids 1–63.
    known: u64,
    beyond: bool,
}

impl SectionIds {
    /// Ids below 1 mean "none applies" and are none.
    pub(super) fn of(ids: &[i32]) -> Self {
        ids.iter().filter(|&&id| id > 0).fold(Self::default(), |set, &id| match u32::try_from(id) {
            Ok(id @ 1..64) => set.with(id),
            Ok(_) | Err(_) => Self { beyond: true, ..set },
        })
    }

    const fn with(self, id: u32) -> Self {
        Self { known: self.known | 1 << id, ..self }
    }

    /// Whether any section is named.
    pub(super) const fn speaks(self) -> bool {
        self.known != 0 || self.beyond
    }

    pub(super) const fn has(self, id: u16) -> bool {
        id < 64 && self.known >> id & 1 == 1
    }
}

/// The GPP strings of a request, each once.
pub(super) struct GppStrings<'a>(SmallVec<[GppString<'a>; 2]>);

struct GppString<'a> {
    text: &'a str,
    parsed: Result<Gpp<'a>, BrokenHeader>,
    /// The list beside it names none: all its sections apply.
    all: bool,
}

impl<'a> GppStrings<'a> {
    /// Reads the headers. Most senders write the same string in both places; it is then read once.
    pub(super) fn read(signals: &'a Signals<'_>) -> Self {
        let mut strings = SmallVec::<[GppString<'a>; 2]>::new();
        for (text, ids) in signals.gpp.iter().zip(signals.gpp_sid) {
            let (Some(text), all) = (text.as_deref(), !SectionIds::of(ids).speaks()) else { continue };
            match strings.first_mut() {
                Some(first) if first.text == text => first.all |= all,
                _ => strings.push(GppString { text, parsed: Gpp::parse(text), all }),
            }
        }
        Self(strings)
    }

    /// Whether one of the headers is broken.
    pub(super) fn broken(&self) -> bool {
        self.0.iter().any(|string| string.parsed.is_err())
    }

    /// Every section that is there.
    pub(super) fn sections(&self) -> impl Iterator<Item = (u16, &'a str)> {
        self.0.iter().filter_map(|string| string.parsed.ok()).flat_map(|gpp| gpp.sections())
    }

    /// Hands every applicable section to `take`. Whether a section is named that is nowhere there; `elsewhere` are those
    /// that have members of their own.
    pub(super) fn applicable(
        &self,
        gpp_sid: [&[i32]; 2],
        elsewhere: &[i32],
        mut take: impl FnMut(u16, &'a str),
    ) -> bool {
        let [first, second] = gpp_sid.map(SectionIds::of);
        let (named, mut there) = (first.known | second.known, SectionIds::of(elsewhere));
        let union = SectionIds { known: named, beyond: first.beyond || second.beyond };
        for string in &self.0 {
            let Ok(gpp) = string.parsed else { continue };
            for (id, text) in gpp.sections() {
                there = if id < 64 { there.with(id.into()) } else { there };
                if string.all || union.has(id) {
                    take(id, text);
                }
            }
        }
        union.beyond || named & !there.known != 0
    }
}
