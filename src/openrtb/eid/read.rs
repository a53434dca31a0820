//! Reading a list of EIDs, entry by entry.

use std::borrow::Cow;

use super::super::error::ScanError;
use super::super::scan::{Kind, Known, Scanner, Table, Value, known, table};
use super::super::text::{Span, offset, unescape};
use super::{EidLists, Entry, Extent, Place};

const ENTRY: Table<[Known; 5]> = table([
    known("source", "eids.source"),
    known("uids", "eids.uids"),
    known("inserter", "eids.inserter"),
    known("matcher", "eids.matcher"),
    known("mm", "eids.mm"),
]);

const UID: Table<[Known; 1]> = table([known("id", "eids.uids.id")]);

impl EidLists {
    /// Reads a list, whose `[` has been seen, until both places together have `max` entries; the others are checked
    /// alike and forgotten. Memory and work of every edit are bounded by that, however long the body is.
    pub(in super::super) fn read(
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
        self.set_extent(place, extent);
        Ok(extent)
    }

    /// Something else stands where the list should.
    pub(in super::super) fn is_no_list(&mut self, place: Place) {
        self.set_extent(place, Extent::NoList);
    }

    fn set_extent(&mut self, place: Place, extent: Extent) {
        match place {
            Place::User => self.user_extent = extent,
            Place::Ext => self.ext_extent = extent,
        }
    }

    fn entry(&mut self, scanner: &mut Scanner<'_>) -> Result<Entry, ScanError> {
        let from = offset(self.ids.len());
        let mut entry = Entry {
            source: None,
            decoded: None,
            span: Span::default(),
            provenance: [None; 3],
            bare: false,
            uids: 0,
            ids: from..from,
            odd_uids: None,
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
                "eids.source" => {
                    entry.source = scanner.value()?.text();
                    let escaped = entry.source.filter(|source| source.escaped);
                    entry.decoded = escaped.map(|source| source.decode(scanner.text()).into());
                }
                "eids.uids" => {
                    let value;
                    (value, entry.uids) = self.uids(scanner)?;
                    listed = value.kind == Kind::Array;
                    let readable = listed && offset(self.ids.len()) - from == entry.uids;
                    entry.odd_uids = (!readable && value.kind != Kind::Null).then_some(value.span);
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

    /// The value, and how many uids it has.
    fn uids(&mut self, scanner: &mut Scanner<'_>) -> Result<(Value, u32), ScanError> {
        if scanner.kind()? != Kind::Array {
            return scanner.value().map(|value| (value, 0));
        }
        let start = scanner.position();
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
        let span = Span { start, end: scanner.position() };
        Ok((Value { span, kind: Kind::Array, escaped: false }, array.count))
    }
}

/// A value as written; null is absent.
pub(in super::super) fn said(scanner: &mut Scanner<'_>) -> Result<Option<Span>, ScanError> {
    let value = scanner.value()?;
    Ok((value.kind != Kind::Null).then_some(value.span))
}

/// What a value says: a string decoded, anything else as written.
pub(in super::super) fn decoded(value: Span, body: &[u8]) -> Cow<'_, str> {
    let raw = std::str::from_utf8(value.of(body)).unwrap_or_default();
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        Some(raw) if raw.contains('\\') => Cow::Owned(unescape(raw)),
        Some(raw) => Cow::Borrowed(raw),
        None => Cow::Borrowed(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_finds_its_names_and_no_others() {
        let tables: [&Table; 2] = [&ENTRY, &UID];
        tables.into_iter().for_each(Table::assert_finds_its_own);
    }
}
