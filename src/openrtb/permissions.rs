//! `ext.prebid.data.eidpermissions`: which bidders may get the EIDs of which sources (Prebid's convention).
//!
//! A list of `{"source": …, "bidders": […]}`. A source that nobody names is for all. Where the list cannot be understood
//! the strictest reading counts: an entry whose `bidders` is no list of strings permits nobody, and a list that is none,
//! that has an entry without a source, or that is longer than we read, permits nothing to anybody.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::error::ScanError;
use super::request::BidRequest;
use super::scan::{Kind, Known, Limits, Scanner, Table, known, table};

/// Names of bidders read, per entry allowed.
const NAMES_PER_ENTRY: usize = 16;

const ENTRY: Table<[Known; 2]> = table([known("source", "source"), known("bidders", "bidders")]);

/// The permissions of a request.
pub struct EidPermissions<'a> {
    /// Per source, in lower case.
    sources: Vec<(String, Bidders<'a>)>,
    /// All of the list was understood.
    understood: bool,
}

/// Whom a source is for.
#[derive(Default)]
struct Bidders<'a> {
    all: bool,
    names: Vec<Cow<'a, str>>,
}

/// What one bidder may not get.
#[derive(Debug, PartialEq, Eq)]
pub enum Forbidden<'a> {
    /// EIDs of these sources.
    Sources(SmallVec<[&'a str; 2]>),
    /// Any EID.
    All,
}

impl BidRequest {
    /// Its EID permissions, if it has any. At most [`Limits::max_eids`] entries are read, and 16 times as many names.
    pub fn eid_permissions(&self) -> Option<EidPermissions<'_>> {
        let value = self.layout.eid_permissions.filter(|value| value.kind != Kind::Null)?;
        let mut permissions = EidPermissions { sources: Vec::new(), understood: false };
        let understood = permissions.read(value.span.of(self.body()), self.limits);
        permissions.understood = understood.unwrap_or(false);
        Some(permissions)
    }
}

impl<'a> EidPermissions<'a> {
    /// What a bidder of this name may not get; case does not count.
    pub fn forbidden(&self, bidder: &str) -> Forbidden<'_> {
        if !self.understood {
            return Forbidden::All;
        }
        let denied = self.sources.iter().filter(|(_, bidders)| !bidders.permit(bidder));
        Forbidden::Sources(denied.map(|(source, _)| source.as_str()).collect())
    }

    /// Whether the list was understood to its end.
    fn read(&mut self, text: &'a [u8], limits: Limits) -> Result<bool, ScanError> {
        let mut scanner = Scanner::new(text, limits)?;
        if scanner.kind()? != Kind::Array {
            return Ok(false);
        }
        let mut names = limits.max_eids.saturating_mul(NAMES_PER_ENTRY);
        let mut array = scanner.array()?;
        while scanner.next_element(&mut array)? {
            let within = array.count as usize <= limits.max_eids;
            if !within || scanner.kind()? != Kind::Object || !self.entry(&mut scanner, &mut names)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn entry(&mut self, scanner: &mut Scanner<'a>, names: &mut usize) -> Result<bool, ScanError> {
        let (mut source, mut bidders) = (None, Bidders::default());
        let mut object = scanner.object()?;
        while let Some(key) = scanner.next_member(&mut object, &ENTRY)? {
            if key.path == "source" {
                source = scanner.value()?.text().map(|text| text.decode(scanner.text()));
            } else {
                bidders = Bidders::read(scanner)?;
            }
        }
        let Some(left) = names.checked_sub(bidders.names.len()) else { return Ok(false) };
        *names = left;
        let Some(source) = source else { return Ok(false) };
        let source = source.to_ascii_lowercase();
        match self.sources.iter_mut().find(|(known, _)| *known == source) {
            Some((_, known)) => {
                known.all |= bidders.all;
                known.names.append(&mut bidders.names);
            }
            None => self.sources.push((source, bidders)),
        }
        Ok(true)
    }
}

impl<'a> Bidders<'a> {
    /// A list of strings; anything else permits nobody.
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, ScanError> {
        let nobody = Self::default();
        if scanner.kind()? != Kind::Array {
            return scanner.value().map(|_| nobody);
        }
        let mut bidders = Self::default();
        let mut strings = true;
        let mut array = scanner.array()?;
        while scanner.next_element(&mut array)? {
            match scanner.value()?.text() {
                Some(name) => bidders.names.push(name.decode(scanner.text())),
                None => strings = false,
            }
        }
        bidders.all = bidders.names.iter().any(|name| name == "*");
        Ok(if strings { bidders } else { nobody })
    }

    fn permit(&self, bidder: &str) -> bool {
        self.all || self.names.iter().any(|name| name.eq_ignore_ascii_case(bidder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(ext: &str, max_eids: usize) -> BidRequest {
        let body = format!(r#"{{"id":"r","imp":[{{}}],"ext":{ext}}}"#);
        BidRequest::parse(body.into(), &Limits { max_eids, ..Limits::default() }).unwrap()
    }

    /// What alpha may not get; `*` is everything, `-` is that there are no permissions.
    fn forbidden(permissions: &str, max_eids: usize) -> String {
        let request =
            request(&format!(r#"{{"prebid":{{"data":{{"eidpermissions":{permissions}}}}}}}"#), max_eids);
        match request.eid_permissions().map(|p| match p.forbidden("alpha") {
            Forbidden::Sources(sources) => sources.join(" "),
            Forbidden::All => "*".to_owned(),
        }) {
            Some(forbidden) => forbidden,
            None => "-".to_owned(),
        }
    }

    #[test]
    fn a_source_goes_only_to_those_listed() {
        for (permissions, expected) in [
            ("null", "-"),
            ("[]", ""),
            (r#"[{"source":"a","bidders":["ALPHA"]}]"#, ""),
            (r#"[{"source":"a","bidders":["*"]}]"#, ""),
            (r#"[{"source":"A","bidders":["b\u0065ta"]}, {"source":"b","bidders":["\u0061lpha"]}]"#, "a"),
            (r#"[{"source":"a","bidders":["x"]},{"bidders":["alpha"],"source":"A"}]"#, ""),
            (r#"[{"source":"a","bidders":[]},{"source":"b"},{"source":"c","bidders":"alpha"}]"#, "a b c"),
            (r#"[{"source":"a","bidders":["alpha",7]},{"source":"b","bidders":{"alpha":1}}]"#, "a b"),
        ] {
            assert_eq!(forbidden(permissions, 256), expected, "{permissions}");
        }
    }

    #[test]
    fn what_cannot_be_understood_permits_nothing() {
        for permissions in [
            "{}",
            "7",
            r#"["a"]"#,
            r#"[{"bidders":["alpha"]}]"#,
            r#"[{"source":7,"bidders":["alpha"]}]"#,
            r#"[{"source":"a","source":"b","bidders":["alpha"]}]"#,
        ] {
            assert_eq!(forbidden(permissions, 256), "*", "{permissions}");
        }
    }

    #[test]
    fn lists_are_read_up_to_the_limit() {
        let entry = r#"{"source":"a","bidders":["alpha"]}"#;
        let list = |count: usize| format!("[{}]", vec![entry; count].join(","));
        assert_eq!(forbidden(&list(3), 3), "");
        assert_eq!(forbidden(&list(4), 3), "*");
        let names = |count: usize| {
            format!(r#"[{{"source":"a","bidders":[{}]}}]"#, vec![r#""alpha""#; count].join(","))
        };
        assert_eq!(forbidden(&names(32), 2), "");
        assert_eq!(forbidden(&names(33), 2), "*");
    }

    #[test]
    fn anything_on_the_way_that_is_no_object_holds_no_permissions() {
        for ext in
            ["null", "7", "{}", r#"{"prebid":[]}"#, r#"{"prebid":{"data":"x"}}"#, r#"{"prebid":{"data":{}}}"#]
        {
            assert!(request(ext, 256).eid_permissions().is_none(), "{ext}");
        }
    }

    #[test]
    fn every_table_finds_its_names_and_no_others() {
        let tables: [&Table; 1] = [&ENTRY];
        tables.into_iter().for_each(Table::assert_finds_its_own);
    }
}
