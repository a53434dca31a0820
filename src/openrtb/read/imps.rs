//! The impressions: each an object, and no two with the same id.

use super::super::error::{ScanError, ScanReason};
use super::super::scan::{Kind, Known, Table, known, table};
use super::super::text::Text;
use super::Reader;

const IMP: Table<[Known; 1]> = table([known("id", "imp.id")]);

impl Reader<'_> {
    pub(super) fn imp(&mut self) -> Result<(), ScanError> {
        match self.scanner.kind()? {
            Kind::Array => {}
            Kind::Null => return self.pass(),
            _ => return Err(self.scanner.fault(ScanReason::WrongType)),
        }
        let empty = self.scanner.fault(ScanReason::Empty);
        let mut imps = self.scanner.array()?;
        while self.scanner.next_element(&mut imps)? {
            if self.scanner.kind()? != Kind::Object {
                return Err(self.scanner.fault(ScanReason::WrongType));
            }
            let mut imp = self.scanner.object()?;
            while self.scanner.next_member(&mut imp, &IMP)?.is_some() {
                let id = self.text()?;
                self.found.names.imp_ids.extend(id);
            }
        }
        if imps.count == 0 {
            return Err(empty);
        }
        self.found.names.imps = imps.count;
        match repeated(self.scanner.text(), &self.found.names.imp_ids) {
            Some(id) => {
                let offset = id.quoted_span().start as usize;
                Err(ScanError { member: "imp.id", offset, reason: ScanReason::NotUnique })
            }
            None => Ok(()),
        }
    }
}

/// So many ids are compared each with each; more are sorted.
const FEW: usize = 8;

/// The first id that an earlier one equals in value.
fn repeated(body: &[u8], ids: &[Text]) -> Option<Text> {
    if ids.len() <= FEW {
        let earlier = |nth: usize| ids.get(..nth).unwrap_or_default();
        let same = |(nth, id): &(usize, &Text)| earlier(*nth).iter().any(|other| other.is_same(body, **id));
        return ids.iter().enumerate().find(same).map(|(_, id)| *id);
    }
    let mut sorted: Vec<_> = ids.iter().map(|id| (id.value(body), id.content.start, *id)).collect();
    sorted.sort_unstable_by(|(a, at, _), (b, other, _)| a.cmp(b).then(at.cmp(other)));
    let pairs = sorted.iter().zip(sorted.iter().skip(1));
    let repeats = pairs.filter(|((a, ..), (b, ..))| a == b).map(|(_, (_, at, id))| (*at, *id));
    repeats.min_by_key(|(at, _)| *at).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_finds_its_names_and_no_others() {
        let tables: [&Table; 1] = [&IMP];
        tables.into_iter().for_each(Table::assert_finds_its_own);
    }
}
