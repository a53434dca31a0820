//! Extended identifiers (OpenRTB 2.6 §3.2.27): the entries of `user.eids` and of its 2.5 place, `user.ext.eids`.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Range;

use super::error::ScanError;
use super::scan::{Kind, Known, Scanner, Table, known, table};
use super::text::{Span, Text, offset};

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

/// One entry. Without a readable `source` it is opaque: copied and kept, never understood.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub span: Span,
    pub source: Option<Text>,
    /// `inserter`, `matcher`, `mm`, as written.
    provenance: [Option<Span>; 3],
    /// See [`Eid::is_bare`].
    bare: bool,
    /// How many uids, readable or not.
    pub uids: u32,
    /// The readable ids, in [`EidLists::ids`].
    ids: Range<u32>,
}

/// Whether a list is known as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Extent {
    /// Every entry is.
    #[default]
    Whole,
    /// It is longer than we read.
    Cut,
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

const ENTRY: Table<[Known; 5]> = table([
    known("source", "eids.source"),
    known("uids", "eids.uids"),
    known("inserter", "eids.inserter"),
    known("matcher", "eids.matcher"),
    known("mm", "eids.mm"),
]);

const UID: Table<[Known; 1]> = table([known("id", "eids.uids.id")]);

impl EidLists {
    /// Reads a list, whose `[` has been seen, until both places together have `max` entries; the others are checked alike and forgotten. Memory and work of every
    /// edit are bounded by that, however long the body is.
    pub(super) fn read(
        &mut self,
        place: Place,
        scanner: &mut Scanner<'_>,
        max: usize,
    ) -> Result<Extent, ScanError> {
        let mut extent = Extent::Whole;
        let mut array = scanner.array()?;
        while scanner.next_element(&mut array)? {
            let ids = self.ids.len();
            let entry = self.entry(scanner)?;
            if self.user.len() + self.ext.len() >= max {
                self.ids.truncate(ids);
                extent = Extent::Cut;
                continue;
            }
            match place {
                Place::User => self.user.push(entry),
                Place::Ext => self.ext.push(entry),
            }
        }
        match place {
            Place::User => self.user_extent = extent,
            Place::Ext => self.ext_extent = extent,
        }
        Ok(extent)
    }

    fn entry(&mut self, scanner: &mut Scanner<'_>) -> Result<Entry, ScanError> {
        let from = offset(self.ids.len());
        let mut entry = Entry {
            source: None,
            span: Span::default(),
            provenance: [None; 3],
            bare: false,
            uids: 0,
            ids: from..from,
        };
        let (mut known, mut listed) = (0, false);
        if scanner.kind()? != Kind::Object {
            entry.span = scanner.value()?.span;
            return Ok(entry);
        }
        let start = scanner.position();
        let mut object = scanner.object()?;
        while let Some(key) = scanner.next_member(&mut object, &ENTRY)? {
            known += 1;
            match key.path {
                "eids.source" => entry.source = scanner.value()?.text(),
                "eids.uids" => {
                    listed = scanner.kind()? == Kind::Array;
                    entry.uids = self.uids(scanner)?;
                }
                "eids.inserter" => entry.provenance[0] = said(scanner)?,
                "eids.matcher" => entry.provenance[1] = said(scanner)?,
                _ => entry.provenance[2] = said(scanner)?,
            }
        }
        entry.span = Span { start, end: scanner.position() };
        entry.ids.end = offset(self.ids.len());
        entry.bare = listed && known == object.count;
        Ok(entry)
    }

    fn uids(&mut self, scanner: &mut Scanner<'_>) -> Result<u32, ScanError> {
        if scanner.kind()? != Kind::Array {
            return scanner.value().map(|_| 0);
        }
        let mut array = scanner.array()?;
        while scanner.next_element(&mut array)? {
            if scanner.kind()? != Kind::Object {
                scanner.value()?;
                continue;
            }
            let mut object = scanner.object()?;
            while scanner.next_member(&mut object, &UID)?.is_some() {
                self.ids.extend(scanner.value()?.text());
            }
        }
        Ok(array.count)
    }
}

/// A value as written; null is absent.
fn said(scanner: &mut Scanner<'_>) -> Result<Option<Span>, ScanError> {
    let value = scanner.value()?;
    Ok((value.kind != Kind::Null).then_some(value.span))
}

/// The EIDs of a request.
#[derive(Clone, Copy)]
pub struct Eids<'a> {
    pub(super) body: &'a [u8],
    pub(super) lists: &'a EidLists,
}

impl<'a> Eids<'a> {
    /// Whether there is any entry in either place.
    pub fn any(self) -> bool {
        Place::ALL.into_iter().any(|place| self.is_cut(place) || !self.entries(place).is_empty())
    }

    /// Whether an entry in either place has this `source` (ASCII case does not count), or may have it: among the
    /// entries past [`Limits::max_eids`](super::Limits::max_eids) anything can be.
    pub fn has_source(self, source: &str) -> bool {
        Place::ALL.into_iter().any(|place| self.is_cut(place) || self.of(place).any(|eid| eid.is_of(source)))
    }

    /// Whether the list of this place is longer than we read.
    pub(super) fn is_cut(self, place: Place) -> bool {
        let extent = match place {
            Place::User => self.lists.user_extent,
            Place::Ext => self.lists.ext_extent,
        };
        extent == Extent::Cut
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

    /// Whether that is its source (ASCII case does not count).
    pub fn is_of(self, source: &str) -> bool {
        self.entry.source.is_some_and(|text| text.is_ignoring_case(self.body, source))
    }

    /// The ids of its readable uids.
    pub fn ids(self) -> impl Iterator<Item = Cow<'a, str>> {
        self.id_texts().iter().map(move |id| id.decode(self.body))
    }

    /// The id, if the entry has exactly one uid.
    pub(super) fn only_id(self) -> Option<Text> {
        match self.id_texts() {
            [id] if self.entry.uids == 1 => Some(*id),
            _ => None,
        }
    }

    /// The same identity said twice: source, inserter, matcher, mm and uids are equal. Opaque entries are compared
    /// byte by byte.
    pub(super) fn same_as(self, other: Self) -> bool {
        let body = self.body;
        match (self.entry.source, other.entry.source) {
            (Some(mine), Some(theirs)) => {
                let (ids, others) = (self.id_texts(), other.id_texts());
                mine.is_same_ignoring_case(body, theirs)
                    && self.provenance() == other.provenance()
                    && self.entry.uids == other.entry.uids
                    && ids.len() == others.len()
                    && ids.iter().zip(others).all(|(id, other)| id.is_same(body, *other))
            }
            (None, None) => self.raw() == other.raw(),
            _ => false,
        }
    }

    /// Equal for entries that are the [same](Self::same_as) or that [group](Self::groups_with), and for hardly any
    /// others.
    pub(super) fn digest(self, state: &impl BuildHasher) -> Digest {
        let mut hasher = state.build_hasher();
        let Some(mut source) = self.source() else {
            self.raw().hash(&mut hasher);
            return Digest { whole: hasher.finish(), group: hasher.finish() };
        };
        if source.bytes().any(|byte| byte.is_ascii_uppercase()) {
            source.to_mut().make_ascii_lowercase();
        }
        source.hash(&mut hasher);
        self.provenance().hash(&mut hasher);
        let group = hasher.finish();
        self.entry.uids.hash(&mut hasher);
        self.ids().for_each(|id| id.hash(&mut hasher));
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
            && match (self.source(), other.source()) {
                (Some(mine), Some(theirs)) => mine.eq_ignore_ascii_case(&theirs),
                _ => false,
            }
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
    use super::super::scan::Limits;
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

    #[test]
    fn every_table_finds_its_names_and_no_others() {
        let tables: [&Table; 2] = [&ENTRY, &UID];
        tables.into_iter().for_each(Table::assert_finds_its_own);
    }
}
