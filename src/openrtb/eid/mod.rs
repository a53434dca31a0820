//! Extended identifiers (OpenRTB 2.6 §3.2.27): the entries of `user.eids` and of its 2.5 place, `user.ext.eids`.

mod read;

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Range;

use super::source::SourceName;
use super::text::{Span, Text};

pub(super) use read::{decoded, said};

/// Where a list of EIDs stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// `user.eids`, OpenRTB 2.6.
    User,
    /// `user.ext.eids`, OpenRTB 2.5.
    Ext,
}

impl Place {
    /// Both, in the order in which they count.
    pub const ALL: [Self; 2] = [Self::User, Self::Ext];
}

/// One entry. Without a readable `source` it is opaque: never understood, copied and kept unless entries of any source
/// have to go.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub span: Span,
    pub source: Option<Text>,
    /// The source, if it stands there with escapes: what everybody compares is decoded once.
    decoded: Option<Box<str>>,
    /// `inserter`, `matcher`, `mm`, as written.
    provenance: [Option<Span>; 3],
    /// See [`Eid::is_bare`].
    bare: bool,
    /// How many uids, readable or not.
    pub uids: u32,
    /// The readable ids, in [`EidLists::ids`].
    ids: Range<u32>,
    /// The value of `uids`, unless it is a list of uids that all have a readable id.
    odd_uids: Option<Span>,
}

/// Whether a list is known as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Extent {
    /// Every entry is.
    #[default]
    Whole,
    /// It is longer than we read.
    Cut,
    /// It is no list, and not null.
    NoList,
}

/// Both lists of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct EidLists {
    user: Vec<Entry>,
    ext: Vec<Entry>,
    /// The ids of all entries, one after the other.
    ids: Vec<Text>,
    user_extent: Extent,
    ext_extent: Extent,
}

/// The EIDs of a request.
#[derive(Clone, Copy)]
pub struct Eids<'a> {
    pub(super) body: &'a [u8],
    pub(super) lists: &'a EidLists,
}

impl<'a> Eids<'a> {
    /// Whether there is any entry in either place, or may be.
    pub fn any(self) -> bool {
        Place::ALL.into_iter().any(|place| self.is_cut(place) || !self.entries(place).is_empty())
    }

    /// Whether an entry in either place is of this source ([`SourceName`]), or may be: anything can be in an `eids`
    /// that is no list, and past [`Limits::max_eids`](super::Limits::max_eids).
    pub fn has_source(self, source: &str) -> bool {
        let of_it = |place| self.of(place).any(|eid| eid.is_of(source));
        Place::ALL.into_iter().any(|place| self.is_cut(place) || of_it(place))
    }

    /// As [`Self::has_source`]; entries without a readable source may be of any. What this says no to, no strip of this
    /// source removes.
    pub fn may_have_source(self, source: &str) -> bool {
        self.has_source(source) || self.any_opaque()
    }

    /// Whether there is anything of which we cannot tell the source.
    pub(super) fn is_unclear(self) -> bool {
        self.any_opaque() || Place::ALL.into_iter().any(|place| self.is_cut(place))
    }

    fn any_opaque(self) -> bool {
        Place::ALL.into_iter().any(|place| self.of(place).any(|eid| eid.name().is_none()))
    }

    /// Whether the list of this place is none, or longer than we read.
    pub(super) fn is_cut(self, place: Place) -> bool {
        let extent = match place {
            Place::User => self.lists.user_extent,
            Place::Ext => self.lists.ext_extent,
        };
        extent != Extent::Whole
    }

    /// The entries of one place, in order; of a list longer than we read, the first ones.
    pub fn of(self, place: Place) -> impl Iterator<Item = Eid<'a>> {
        self.entries(place).iter().map(move |entry| Eid { body: self.body, lists: self.lists, entry })
    }

    pub(super) fn nth(self, place: Place, index: usize) -> Option<Eid<'a>> {
        let entry = self.entries(place).get(index)?;
        Some(Eid { body: self.body, lists: self.lists, entry })
    }

    pub(super) fn entries(self, place: Place) -> &'a [Entry] {
        match place {
            Place::User => &self.lists.user,
            Place::Ext => &self.lists.ext,
        }
    }
}

/// One entry of a list.
#[derive(Clone, Copy)]
pub struct Eid<'a> {
    body: &'a [u8],
    lists: &'a EidLists,
    entry: &'a Entry,
}

/// Digests of an entry, by which many are compared.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    /// Of all of it.
    pub whole: u64,
    /// Of all but its uids.
    pub group: u64,
}

impl<'a> Eid<'a> {
    /// The entry as it stands in the body.
    pub fn raw(self) -> &'a [u8] {
        self.entry.span.of(self.body)
    }

    /// Where it stands.
    pub fn span(self) -> Span {
        self.entry.span
    }

    /// Its `source`; `None` for an opaque entry.
    pub fn source(self) -> Option<Cow<'a, str>> {
        self.entry.source.map(|source| source.decode(self.body))
    }

    /// Its source, as sources are compared; costs nothing. `None` for an opaque entry.
    pub fn name(self) -> Option<SourceName<'a>> {
        let written = |source: Text| std::str::from_utf8(source.content.of(self.body)).unwrap_or_default();
        let source = self.entry.decoded.as_deref().or_else(|| self.entry.source.map(written));
        source.map(SourceName::new)
    }

    /// Whether it is of this source.
    pub fn is_of(self, source: &str) -> bool {
        self.name() == Some(SourceName::new(source))
    }

    /// Inserter, matcher or mm, as said, decoded.
    pub(super) fn said(self, nth: usize) -> Option<Cow<'a, str>> {
        let span = self.entry.provenance.get(nth).copied().flatten()?;
        Some(decoded(span, self.body))
    }

    /// The ids of its readable uids.
    pub fn ids(self) -> impl Iterator<Item = Cow<'a, str>> {
        self.id_texts().iter().map(move |id| id.decode(self.body))
    }

    /// As [`Self::ids`], to be compared.
    pub(super) fn id_values(self) -> impl Iterator<Item = Cow<'a, [u8]>> {
        self.id_texts().iter().map(move |id| id.value(self.body))
    }

    /// The id, if the entry has exactly one uid.
    pub(super) fn only_id(self) -> Option<Text> {
        match self.id_texts() {
            [id] if self.entry.uids == 1 => Some(*id),
            _ => None,
        }
    }

    /// The same identity said twice: source, inserter, matcher, mm and the ids of all uids are equal. What is not
    /// readable, an opaque entry or uids without an id, is compared byte by byte.
    pub(super) fn same_as(self, other: Self) -> bool {
        if self.name().is_none() && other.name().is_none() {
            return self.raw() == other.raw();
        }
        self.has_source_of(other) && self.provenance() == other.provenance() && self.has_uids_of(other)
    }

    fn has_source_of(self, other: Self) -> bool {
        self.name().is_some() && self.name() == other.name() && self.odd_source() == other.odd_source()
    }

    /// The source as it is, if a lone surrogate may be in it.
    fn odd_source(self) -> Option<Cow<'a, [u8]>> {
        let odd = self.entry.decoded.as_ref().is_some_and(|source| source.contains('\u{fffd}'));
        self.entry.source.filter(|_| odd).map(|source| source.value(self.body))
    }

    /// The same ids. Where not every uid has a readable one, the uids are compared byte by byte.
    fn has_uids_of(self, other: Self) -> bool {
        let (ids, others) = (self.id_texts(), other.id_texts());
        self.odd_uids() == other.odd_uids()
            && ids.len() == others.len()
            && ids.iter().zip(others).all(|(id, other)| id.is_same(self.body, *other))
    }

    fn odd_uids(self) -> Option<&'a [u8]> {
        self.entry.odd_uids.map(|uids| uids.of(self.body))
    }

    /// Equal for entries that are the [same](Self::same_as) or that [group](Self::groups_with), and for hardly any
    /// others.
    pub(super) fn digest(self, state: &impl BuildHasher) -> Digest {
        let mut hasher = state.build_hasher();
        let Some(source) = self.name() else {
            self.raw().hash(&mut hasher);
            return Digest { whole: hasher.finish(), group: hasher.finish() };
        };
        source.hash(&mut hasher);
        self.provenance().hash(&mut hasher);
        let group = hasher.finish();
        self.odd_uids().hash(&mut hasher);
        self.id_texts().iter().for_each(|id| id.value(self.body).hash(&mut hasher));
        Digest { whole: hasher.finish(), group }
    }

    /// Whether it has source and a list of uids, and besides at most provenance.
    pub(super) fn is_bare(self) -> bool {
        self.entry.bare
    }

    /// Two entries that are one but for their uids: source, inserter, matcher and mm are equal, and neither says
    /// anything else.
    pub(super) fn groups_with(self, other: Self) -> bool {
        self.is_bare()
            && other.is_bare()
            && self.provenance() == other.provenance()
            && self.has_source_of(other)
    }

    /// Numbers are found as strings too.
    fn provenance(self) -> [Option<&'a [u8]>; 3] {
        let said = |span: Span| {
            let said = span.of(self.body);
            said.strip_prefix(b"\"").and_then(|said| said.strip_suffix(b"\"")).unwrap_or(said)
        };
        self.entry.provenance.map(|span| span.map(said))
    }

    fn id_texts(self) -> &'a [Text] {
        let Range { start, end } = self.entry.ids;
        self.lists.ids.get(start as usize..end as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::{Kind, Limits, Scanner};
    use super::*;

    fn read(user: &str, ext: &str) -> (Vec<u8>, EidLists) {
        let body = format!("[{user},{ext}]").into_bytes();
        let mut lists = EidLists::default();
        let mut scanner = Scanner::new(&body, Limits::default()).unwrap();
        scanner.kind().unwrap();
        let mut array = scanner.array().unwrap();
        for place in Place::ALL {
            assert!(scanner.next_element(&mut array).unwrap());
            assert_eq!(scanner.kind().unwrap(), Kind::Array);
            assert_eq!(lists.read(place, &mut scanner, 256).unwrap(), Extent::Whole);
        }
        (body, lists)
    }

    #[test]
    fn entries_are_read_in_both_places() {
        let (body, lists) = read(
            r#"[{"uids":[{"atype":3,"id":"a\u0062"},{"id":"c"}],"source":"UIDAPI.com"}]"#,
            r#"[ {"source":"euid.eu"} , 7 ]"#,
        );
        let eids = Eids { body: &body, lists: &lists };
        assert!(eids.any());
        assert!(eids.has_source("uidapi.com") && eids.has_source("EUID.eu"));
        assert!(!eids.has_source("example.com"));
        let first = eids.of(Place::User).next().unwrap();
        assert_eq!(first.source().unwrap(), "UIDAPI.com");
        assert_eq!(first.ids().collect::<Vec<_>>(), ["ab", "c"]);
        assert!(first.only_id().is_none(), "two uids");
        let raw: Vec<_> = eids.of(Place::Ext).map(Eid::raw).collect();
        assert_eq!(raw, [br#"{"source":"euid.eu"}"#.as_slice(), b"7"]);
    }

    #[test]
    fn unreadable_entries_are_opaque() {
        let (body, lists) = read(r#"[{},{"source":5},null,"x",{"source":null,"uids":{}}]"#, "[]");
        let eids = Eids { body: &body, lists: &lists };
        assert_eq!(eids.of(Place::User).count(), 5);
        assert!(eids.of(Place::User).all(|eid| eid.source().is_none() && eid.ids().next().is_none()));
    }

    #[test]
    fn sameness_is_source_provenance_and_ids() {
        let base = r#"{"source":"a.example","mm":3,"uids":[{"id":"1","atype":1}]}"#;
        for (other, same) in [
            (r#"{"uids":[{"id":"\u0031","atype":3}],"mm":3,"source":"A.EXAMPLE","inserter":null}"#, true),
            (r#"{"source":"a.example","mm":2,"uids":[{"id":"1"}]}"#, false),
            (r#"{"source":"a.example","mm":3,"inserter":"i","uids":[{"id":"1"}]}"#, false),
            (r#"{"source":"a.example","mm":3,"uids":[{"id":"2"}]}"#, false),
            (r#"{"source":"a.example","mm":3,"uids":[{"id":"1"},{}]}"#, false),
            (r#"{"source":"b.example","mm":3,"uids":[{"id":"1"}]}"#, false),
            ("{}", false),
        ] {
            let (body, lists) = read(&format!("[{base}]"), &format!("[{other}]"));
            let eids = Eids { body: &body, lists: &lists };
            let [mine, theirs] = Place::ALL.map(|place| eids.nth(place, 0).unwrap());
            assert_eq!(mine.same_as(theirs), same, "{other}");
            let state = std::hash::RandomState::new();
            assert_eq!(mine.digest(&state).whole == theirs.digest(&state).whole, same, "{other}");
        }
    }

    #[test]
    fn a_member_of_an_entry_may_stand_only_once() {
        for text in [r#"[{"source":"a","source":"b"}]"#, r#"[{"uids":[{"id":"1","\u0069d":"2"}]}]"#] {
            let mut scanner = Scanner::new(text.as_bytes(), Limits::default()).unwrap();
            scanner.kind().unwrap();
            assert!(EidLists::default().read(Place::User, &mut scanner, 256).is_err(), "{text}");
        }
    }
}
