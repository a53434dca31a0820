//! The walk over a bid request: which members are read, and what each has to be.

mod context;
mod imps;

use super::eid::{Extent, Place};
use super::error::{ScanError, ScanReason};
use super::request::{Container, Found, Member, Tmax};
use super::scan::{Key, Kind, Known, Limits, Scanner, Table, Value, known, table};
use super::signals;
use super::text::{Span, Text};

const ROOT: Table<[Known; 12]> = table([
    known("id", "id"),
    known("imp", "imp"),
    known("user", "user"),
    known("device", "device"),
    known("site", "site"),
    known("app", "app"),
    known("dooh", "dooh"),
    known("regs", "regs"),
    known("tmax", "tmax"),
    known("cur", "cur"),
    known("test", "test"),
    known("ext", "ext"),
]);

const USER: Table<[Known; 5]> = table([
    known("id", "user.id"),
    known("eids", "user.eids"),
    known("consent", "user.consent"),
    known("geo", "user.geo"),
    known("ext", "user.ext"),
]);

const USER_EXT: Table<[Known; 4]> = table([
    known("eids", "user.ext.eids"),
    known("consent", "user.ext.consent"),
    known("uid2", "user.ext.uid2"),
    known("publisher_user_id", "user.ext.publisher_user_id"),
]);

/// Reads a whole request into `found`, which is empty.
pub(super) fn request(body: &[u8], limits: Limits, found: &mut Found) -> Result<(), ScanError> {
    let scanner = Scanner::new(body, limits)?;
    let mut reader = Reader { scanner, max_eids: limits.max_eids, found };
    reader.root()?;
    let Reader { scanner, found, .. } = reader;
    let end = scanner.position() as usize;
    scanner.finish()?;
    let missing = |member| Err(ScanError { member, offset: end, reason: ScanReason::Missing });
    if found.names.id.is_none() {
        return missing("id");
    }
    if found.names.imps == 0 {
        return missing("imp");
    }
    Ok(())
}

struct Reader<'a> {
    scanner: Scanner<'a>,
    max_eids: usize,
    found: &'a mut Found,
}

impl Reader<'_> {
    fn root(&mut self) -> Result<(), ScanError> {
        if self.scanner.kind()? != Kind::Object {
            return Err(self.scanner.fault(ScanReason::WrongType));
        }
        let start = self.scanner.position();
        let mut root = self.scanner.object()?;
        while let Some(key) = self.scanner.next_member(&mut root, &ROOT)? {
            match key.path {
                "id" => self.id()?,
                "imp" => self.imp()?,
                "user" => self.user(key)?,
                "device" => self.device()?,
                "site" => self.site(key)?,
                "app" => self.app(key)?,
                "dooh" => self.dooh(key)?,
                "regs" => self.regs(key)?,
                "tmax" => self.tmax()?,
                "cur" => self.cur()?,
                "ext" => self.ext()?,
                _ => self.found.names.test = signals::flag(&mut self.scanner)?.said() == Some(true),
            }
        }
        let span = Span { start, end: self.scanner.position() };
        self.found.layout.root = Container { span, items: root.count };
        Ok(())
    }

    fn id(&mut self) -> Result<(), ScanError> {
        match self.scanner.kind()? {
            Kind::String | Kind::Null => {}
            _ => return Err(self.scanner.fault(ScanReason::WrongType)),
        }
        let empty = self.scanner.fault(ScanReason::Empty);
        let id = self.text()?;
        if id.is_some_and(|id| id.content.start == id.content.end) {
            return Err(empty);
        }
        self.found.names.id = id;
        Ok(())
    }

    fn tmax(&mut self) -> Result<(), ScanError> {
        let value = self.scanner.value()?;
        if value.kind == Kind::Null {
            return Ok(());
        }
        let digits = self.scanner.bytes(value.span);
        if !digits.iter().all(u8::is_ascii_digit) {
            let fault = self.scanner.fault(ScanReason::NotCount);
            return Err(ScanError { offset: value.span.start as usize, ..fault });
        }
        // More than 64 bits of milliseconds is as good as no limit.
        let millis = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).unwrap_or(u64::MAX);
        self.found.layout.tmax = Some(Tmax { span: value.span, millis });
        Ok(())
    }

    fn cur(&mut self) -> Result<(), ScanError> {
        if self.scanner.kind()? != Kind::Array {
            return self.pass();
        }
        let mut array = self.scanner.array()?;
        while self.scanner.next_element(&mut array)? {
            let cur = self.text()?;
            self.found.names.cur = self.found.names.cur.or(cur);
        }
        Ok(())
    }

    fn user(&mut self, key: Key) -> Result<(), ScanError> {
        if self.scanner.kind()? != Kind::Object {
            self.found.layout.user = Some(self.member_of_wrong_type(key)?);
            return Ok(());
        }
        let start = self.scanner.position();
        let mut user = self.scanner.object()?;
        while let Some(key) = self.scanner.next_member(&mut user, &USER)? {
            match key.path {
                "user.id" => {
                    let value = self.scanner.value()?;
                    self.found.names.user_id = user_id(value);
                    self.found.layout.user_id = Some(Member::new(key, value));
                }
                "user.eids" => self.found.layout.user_eids = Some(self.eids(Place::User, key)?),
                "user.consent" => {
                    self.found.signals.consent[0] = self.found.signals.text(&mut self.scanner)?;
                }
                "user.geo" => self.found.signals.countries[1] = self.user_country()?,
                _ => self.user_ext(key)?,
            }
        }
        let span = Span { start, end: self.scanner.position() };
        self.found.layout.user = Some(Member::new(key, object(span)));
        self.found.layout.user_object = Some(Container { span, items: user.count });
        Ok(())
    }

    fn user_ext(&mut self, key: Key) -> Result<(), ScanError> {
        if self.scanner.kind()? != Kind::Object {
            self.found.layout.user_ext = Some(self.member_of_wrong_type(key)?);
            return Ok(());
        }
        let start = self.scanner.position();
        let mut ext = self.scanner.object()?;
        while let Some(key) = self.scanner.next_member(&mut ext, &USER_EXT)? {
            match key.path {
                "user.ext.eids" => self.found.layout.ext_eids = Some(self.eids(Place::Ext, key)?),
                "user.ext.consent" => {
                    self.found.signals.consent[1] = self.found.signals.text(&mut self.scanner)?;
                }
                "user.ext.uid2" => {
                    self.found.layout.ext_uid2 = Some(Member::new(key, self.scanner.value()?));
                }
                _ => {
                    let value = self.scanner.value()?;
                    self.found.names.publisher_user_id = user_id(value);
                    self.found.layout.ext_publisher_user_id = Some(Member::new(key, value));
                }
            }
        }
        let span = Span { start, end: self.scanner.position() };
        self.found.layout.user_ext = Some(Member::new(key, object(span)));
        self.found.layout.ext_object = Some(Container { span, items: ext.count });
        Ok(())
    }

    fn eids(&mut self, place: Place, key: Key) -> Result<Member, ScanError> {
        if self.scanner.kind()? != Kind::Array {
            let member = self.member_of_wrong_type(key)?;
            if member.kind != Kind::Null {
                self.found.eids.is_no_list(place);
            }
            return Ok(member);
        }
        let start = self.scanner.position();
        if self.found.eids.read(place, &mut self.scanner, self.max_eids)? == Extent::Cut {
            self.found.wrong_type.get_or_insert(key.path);
        }
        let span = Span { start, end: self.scanner.position() };
        Ok(Member::new(key, Value { span, kind: Kind::Array, escaped: false }))
    }

    /// A string, or nothing of note.
    fn text(&mut self) -> Result<Option<Text>, ScanError> {
        Ok(self.scanner.value()?.text())
    }

    /// Checks a value that tells us nothing.
    fn pass(&mut self) -> Result<(), ScanError> {
        self.scanner.value().map(|_| ())
    }

    /// Whether an object follows; otherwise the value is consumed, and noted unless null.
    fn container(&mut self, path: &'static str) -> Result<bool, ScanError> {
        let kind = self.scanner.kind()?;
        if kind != Kind::Object {
            self.pass()?;
            if kind != Kind::Null {
                self.found.wrong_type.get_or_insert(path);
            }
        }
        Ok(kind == Kind::Object)
    }

    /// As [`Self::container`], for objects of which we only read signals.
    fn signal_container(&mut self) -> Result<bool, ScanError> {
        let kind = self.scanner.kind()?;
        if kind != Kind::Object {
            self.pass()?;
            self.found.signals.malformed |= kind != Kind::Null;
        }
        Ok(kind == Kind::Object)
    }

    /// Consumes a null, or a value whose type forbids any addition.
    fn member_of_wrong_type(&mut self, key: Key) -> Result<Member, ScanError> {
        let value = self.scanner.value()?;
        if value.kind != Kind::Null {
            self.found.wrong_type.get_or_insert(key.path);
        }
        Ok(Member::new(key, value))
    }
}

/// A string, or a number as it is written: that is how some publishers name their users.
fn user_id(value: Value) -> Option<Text> {
    let number = || (value.kind == Kind::Number).then_some(Text { content: value.span, escaped: false });
    value.text().or_else(number)
}

const fn object(span: Span) -> Value {
    Value { span, kind: Kind::Object, escaped: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_finds_its_names_and_no_others() {
        let tables: [&Table; 3] = [&ROOT, &USER, &USER_EXT];
        tables.into_iter().for_each(Table::assert_finds_its_own);
    }
}
