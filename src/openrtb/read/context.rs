//! The context of the impression: regulations, device, and where the ad will stand.

use super::super::error::{ScanError, ScanReason};
use super::super::request::{Container, Member};
use super::super::scan::{Key, Kind, Known, Table, known, table};
use super::super::text::{Span, Text};
use super::Reader;

const REGS: Table<[Known; 6]> = table([
    known("coppa", "regs.coppa"),
    known("gdpr", "regs.gdpr"),
    known("us_privacy", "regs.us_privacy"),
    known("gpp", "regs.gpp"),
    known("gpp_sid", "regs.gpp_sid"),
    known("ext", "regs.ext"),
]);

const REGS_EXT: Table<[Known; 6]> = table([
    known("coppa", "regs.ext.coppa"),
    known("gdpr", "regs.ext.gdpr"),
    known("us_privacy", "regs.ext.us_privacy"),
    known("gpp", "regs.ext.gpp"),
    known("gpp_sid", "regs.ext.gpp_sid"),
    known("gpc", "regs.ext.gpc"),
]);

const DEVICE: Table<[Known; 5]> = table([
    known("lmt", "device.lmt"),
    known("dnt", "device.dnt"),
    known("os", "device.os"),
    known("geo", "device.geo"),
    known("ext", "device.ext"),
]);

const DEVICE_EXT: Table<[Known; 1]> = table([known("atts", "device.ext.atts")]);
const DEVICE_GEO: Table<[Known; 1]> = table([known("country", "device.geo.country")]);
const USER_GEO: Table<[Known; 1]> = table([known("country", "user.geo.country")]);
const SITE: Table<[Known; 2]> = table([known("publisher", "site.publisher"), known("domain", "site.domain")]);
const APP: Table<[Known; 2]> = table([known("publisher", "app.publisher"), known("bundle", "app.bundle")]);
const DOOH: Table<[Known; 1]> = table([known("publisher", "dooh.publisher")]);
const PUBLISHER: Table<[Known; 1]> = table([known("id", "publisher.id")]);

const EXT: Table<[Known; 1]> = table([known("prebid", "ext.prebid")]);
const PREBID: Table<[Known; 1]> = table([known("data", "ext.prebid.data")]);
const PREBID_DATA: Table<[Known; 1]> = table([known("eidpermissions", "ext.prebid.data.eidpermissions")]);

impl Reader<'_> {
    /// Prebid's `ext.prebid.data.eidpermissions`. Only where it stands: it is read when there is something to permit.
    pub(super) fn ext(&mut self) -> Result<(), ScanError> {
        self.path(&[&EXT, &PREBID, &PREBID_DATA])
    }

    /// Follows members of members, the last of which is the permissions.
    fn path(&mut self, names: &[&'static Table]) -> Result<(), ScanError> {
        let Some((first, rest)) = names.split_first() else {
            self.found.layout.eid_permissions = Some(self.scanner.value()?);
            return Ok(());
        };
        if self.scanner.kind()? != Kind::Object {
            return self.pass();
        }
        let mut object = self.scanner.object()?;
        while self.scanner.next_member(&mut object, first)?.is_some() {
            self.path(rest)?;
        }
        Ok(())
    }

    pub(super) fn regs(&mut self, key: Key) -> Result<(), ScanError> {
        if self.scanner.kind()? != Kind::Object {
            self.found.layout.regs.member = Some(self.member_of_wrong_type(key)?);
            return Ok(());
        }
        let start = self.scanner.position();
        let mut regs = self.scanner.object()?;
        while let Some(key) = self.scanner.next_member(&mut regs, &REGS)? {
            if key.path == "regs.ext" {
                self.regs_ext(key)?;
            } else {
                self.regulation(key)?;
            }
        }
        let span = Span { start, end: self.scanner.position() };
        self.found.layout.regs.object = Some(Container { span, items: regs.count });
        Ok(())
    }

    fn regs_ext(&mut self, key: Key) -> Result<(), ScanError> {
        if self.scanner.kind()? != Kind::Object {
            self.found.layout.regs.ext = Some(self.member_of_wrong_type(key)?);
            return Ok(());
        }
        let start = self.scanner.position();
        let mut ext = self.scanner.object()?;
        while let Some(key) = self.scanner.next_member(&mut ext, &REGS_EXT)? {
            self.regulation(key)?;
        }
        let span = Span { start, end: self.scanner.position() };
        self.found.layout.regs.ext_object = Some(Container { span, items: ext.count });
        Ok(())
    }

    fn regulation(&mut self, key: Key) -> Result<(), ScanError> {
        let Self { scanner, found, .. } = self;
        let signals = &mut found.signals;
        match key.path {
            "regs.coppa" | "regs.ext.coppa" => signals.coppa |= signals.flag(scanner)?.unwrap_or(false),
            "regs.ext.gpc" => {
                let (value, flag) = signals.flag_at(scanner)?;
                signals.gpc |= flag.unwrap_or(false);
                found.layout.regs.gpc = Some(Member::new(key, value));
            }
            "regs.gdpr" => signals.gdpr[0] = signals.flag(scanner)?,
            "regs.ext.gdpr" => signals.gdpr[1] = signals.flag(scanner)?,
            "regs.us_privacy" => signals.us_privacy[0] = signals.text(scanner)?,
            "regs.ext.us_privacy" => signals.us_privacy[1] = signals.text(scanner)?,
            "regs.gpp" => signals.gpp[0] = signals.text(scanner)?,
            "regs.ext.gpp" => signals.gpp[1] = signals.text(scanner)?,
            "regs.gpp_sid" => signals.gpp_sid[0] = signals.sections(scanner)?,
            _ => signals.gpp_sid[1] = signals.sections(scanner)?,
        }
        Ok(())
    }

    pub(super) fn device(&mut self) -> Result<(), ScanError> {
        if !self.container("device")? {
            return Ok(());
        }
        let mut device = self.scanner.object()?;
        while let Some(key) = self.scanner.next_member(&mut device, &DEVICE)? {
            match key.path {
                "device.lmt" => self.found.signals.lmt = self.is_set()?,
                "device.dnt" => self.found.signals.dnt = self.is_set()?,
                "device.os" => {
                    let (os, body) = (self.text()?, self.scanner.text());
                    self.found.signals.ios = os.is_some_and(|os| os.is_ignoring_case(body, "ios"));
                }
                "device.geo" => self.found.signals.countries[0] = self.country(&DEVICE_GEO)?,
                _ => self.device_ext()?,
            }
        }
        Ok(())
    }

    /// A flag that is set.
    fn is_set(&mut self) -> Result<bool, ScanError> {
        Ok(self.found.signals.flag(&mut self.scanner)?.unwrap_or(false))
    }

    fn device_ext(&mut self) -> Result<(), ScanError> {
        if !self.signal_container()? {
            return Ok(());
        }
        let mut ext = self.scanner.object()?;
        while self.scanner.next_member(&mut ext, &DEVICE_EXT)?.is_some() {
            self.found.signals.atts = self.found.signals.small(&mut self.scanner)?;
        }
        Ok(())
    }

    pub(super) fn user_country(&mut self) -> Result<Option<Text>, ScanError> {
        self.country(&USER_GEO)
    }

    fn country(&mut self, known: &'static Table) -> Result<Option<Text>, ScanError> {
        let mut country = None;
        if self.signal_container()? {
            let mut geo = self.scanner.object()?;
            while self.scanner.next_member(&mut geo, known)?.is_some() {
                country = self.found.signals.text(&mut self.scanner)?;
            }
        }
        Ok(country)
    }

    pub(super) fn site(&mut self, key: Key) -> Result<(), ScanError> {
        self.inventory(0, key, &SITE)
    }

    pub(super) fn dooh(&mut self, key: Key) -> Result<(), ScanError> {
        self.inventory(2, key, &DOOH)
    }

    pub(super) fn app(&mut self, key: Key) -> Result<(), ScanError> {
        self.found.signals.is_app = self.scanner.kind()? != Kind::Null;
        self.inventory(1, key, &APP)
    }

    /// `site`, `app` or `dooh`, of which a request has one at most.
    fn inventory(&mut self, nth: usize, key: Key, known: &'static Table) -> Result<(), ScanError> {
        let kind = self.scanner.kind()?;
        if kind != Kind::Null && std::mem::replace(&mut self.found.names.inventory, true) {
            let offset = key.start as usize;
            return Err(ScanError { member: key.path, offset, reason: ScanReason::Conflict });
        }
        if kind != Kind::Object {
            return self.pass();
        }
        let mut inventory = self.scanner.object()?;
        while let Some(key) = self.scanner.next_member(&mut inventory, known)? {
            match key.path {
                "site.domain" => self.found.names.domain = self.text()?,
                "app.bundle" => self.found.names.bundle = self.text()?,
                _ => {
                    let id = self.publisher()?;
                    if let Some(publisher) = self.found.names.publishers.get_mut(nth) {
                        *publisher = id;
                    }
                }
            }
        }
        Ok(())
    }

    fn publisher(&mut self) -> Result<Option<Text>, ScanError> {
        let mut id = None;
        if self.scanner.kind()? == Kind::Object {
            let mut publisher = self.scanner.object()?;
            while self.scanner.next_member(&mut publisher, &PUBLISHER)?.is_some() {
                id = self.text()?;
            }
        } else {
            self.pass()?;
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_finds_its_names_and_no_others() {
        let tables: [&Table; 13] = [
            &REGS,
            &REGS_EXT,
            &DEVICE,
            &DEVICE_EXT,
            &DEVICE_GEO,
            &USER_GEO,
            &SITE,
            &APP,
            &DOOH,
            &PUBLISHER,
            &EXT,
            &PREBID,
            &PREBID_DATA,
        ];
        tables.into_iter().for_each(Table::assert_finds_its_own);
    }
}
