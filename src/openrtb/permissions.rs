//! `ext.prebid.data.eidpermissions`: which bidders may get which EIDs (Prebid's convention).
//!
//! A list of `{"source": …, "inserter": …, "matcher": …, "mm": …, "bidders": […]}`. An entry restricts the EIDs that
//! match all it states of the first four, and every EID if it states none; what nobody restricts is for all. Where one
//! EID of a source may not go, no other of that source goes either.
//!
//! Where the list cannot be understood the strictest reading counts: an entry whose `bidders` is no list of strings
//! permits nobody, and a list that is none, that has an entry stating something else than strings and numbers, or that
//! is longer than we read, permits nothing to anybody.

use std::borrow::Cow;
use std::collections::HashMap;

use smallvec::SmallVec;

use super::eid::{Eids, Place, decoded, said};
use super::error::ScanError;
use super::request::BidRequest;
use super::scan::{Kind, Known, Limits, Scanner, Table, known, table};
use super::source::SourceName;

/// Names of bidders read, per entry allowed.
const NAMES_PER_ENTRY: usize = 16;

const ENTRY: Table<[Known; 5]> = table([
    known("source", "source"),
    known("inserter", "inserter"),
    known("matcher", "matcher"),
    known("mm", "mm"),
    known("bidders", "bidders"),
]);

/// The permissions of a request, for its EIDs.
pub struct EidPermissions<'a> {
    /// Sources of the EIDs, in lower case.
    sources: Vec<String>,
    rules: Vec<Rule<'a>>,
    /// All of the list was understood.
    understood: bool,
}

/// Whom some EIDs are for.
struct Rule<'a> {
    stated: Stated,
    bidders: Bidders<'a>,
    /// Indices of the sources of which an EID matches.
    sources: Vec<usize>,
}

/// Source, inserter, matcher and mm, each as its number among all [`Terms`].
type Stated = [Option<usize>; 4];

/// What is stated, in lower case, so that every text is looked at once however many EIDs and rules there are.
type Terms = HashMap<String, usize>;

/// The bidders of a rule.
#[derive(Default)]
struct Bidders<'a> {
    all: bool,
    names: Vec<Cow<'a, str>>,
}

/// The EID that is going to be added.
#[derive(Clone, Copy)]
pub struct Ours<'a> {
    /// Its `source`.
    pub source: &'a str,
    /// Its `inserter`; with one it has an `mm` of 3.
    pub inserter: Option<&'a str>,
}

/// What one bidder may not get.
#[derive(Debug, PartialEq, Eq)]
pub enum Forbidden<'a> {
    /// EIDs of these sources, each named once; there are such EIDs, or may be.
    Sources(SmallVec<[&'a str; 2]>),
    /// Any EID.
    All,
}

impl BidRequest {
    /// Its EID permissions, if it has any. At most [`Limits::max_eids`] entries are read, and 16 times as many names.
    pub fn eid_permissions(&self, ours: Option<Ours<'_>>) -> Option<EidPermissions<'_>> {
        let value = self.found.layout.eid_permissions.filter(|value| value.kind != Kind::Null)?;
        let mut reader = Reader { terms: Terms::new(), nth: HashMap::new(), rules: Vec::new() };
        let understood = reader.read(value.span.of(self.body()), self.limits).unwrap_or(false);
        let Reader { terms, rules, .. } = reader;
        let mut permissions = EidPermissions { sources: Vec::new(), rules, understood };
        if understood {
            permissions.resolve(self.eids(), ours, &terms);
        }
        Some(permissions)
    }
}

impl EidPermissions<'_> {
    /// What a bidder of this name may not get; case does not count.
    pub fn forbidden(&self, bidder: &str) -> Forbidden<'_> {
        let mut denied = vec![false; self.sources.len()];
        for rule in self.rules.iter().filter(|rule| !rule.bidders.permit(bidder)) {
            if rule.stated == Stated::default() {
                return Forbidden::All;
            }
            for source in &rule.sources {
                if let Some(denied) = denied.get_mut(*source) {
                    *denied = true;
                }
            }
        }
        if !self.understood {
            return Forbidden::All;
        }
        let sources = self.sources.iter().zip(denied).filter(|(_, denied)| *denied);
        Forbidden::Sources(sources.map(|(source, _)| source.as_str()).collect())
    }

    /// Finds out which sources each rule is about.
    fn resolve(&mut self, eids: Eids<'_>, ours: Option<Ours<'_>>, terms: &Terms) {
        let mut nth: HashMap<String, usize> = HashMap::new();
        let mut of = |sources: &mut Vec<String>, source: String| {
            *nth.entry(source.clone()).or_insert_with(|| {
                sources.push(source);
                sources.len() - 1
            })
        };
        for eid in Place::ALL.into_iter().flat_map(|place| eids.of(place)) {
            let Some(name) = eid.name() else { continue };
            let said = [0, 1, 2].map(|nth| eid.said(nth));
            let [inserter, matcher, mm] = &said;
            let held = [
                Some(name.folded()),
                term(inserter.as_deref()),
                term(matcher.as_deref()),
                mm.as_deref().map(number),
            ];
            self.hit(&held, terms, |sources| of(sources, name.folded()));
        }
        if let Some(Ours { source, inserter }) = ours {
            let name = SourceName::new(source).folded();
            let mm = inserter.map(|_| "3".to_owned());
            let inserter = inserter.map(|inserter| SourceName::new(inserter).folded());
            self.hit(&[Some(name.clone()), inserter, None, mm], terms, |sources| of(sources, name));
        }
        if eids.is_unclear() {
            self.hit_unclear(terms, |sources, source| of(sources, source));
        }
    }

    /// Notes the source with every rule that an EID of this source, inserter, matcher and mm matches.
    fn hit(
        &mut self,
        held: &[Option<String>; 4],
        terms: &Terms,
        index: impl FnOnce(&mut Vec<String>) -> usize,
    ) {
        let index = index(&mut self.sources);
        let held: Stated = held.each_ref().map(|said| terms.get(said.as_ref()?).copied());
        let matched = |rule: &&mut Rule<'_>| {
            rule.stated.iter().zip(held).all(|(stated, held)| stated.is_none() || *stated == held)
        };
        for rule in self.rules.iter_mut().filter(matched) {
            if rule.sources.last() != Some(&index) {
                rule.sources.push(index);
            }
        }
    }

    /// What we cannot read can match any rule. It goes with every source, be it one that no EID has.
    fn hit_unclear(&mut self, terms: &Terms, mut index: impl FnMut(&mut Vec<String>, String) -> usize) {
        let names: HashMap<usize, &String> = terms.iter().map(|(text, nth)| (*nth, text)).collect();
        for rule in &mut self.rules {
            let source = rule.stated.first().copied().flatten().and_then(|nth| names.get(&nth));
            let index = index(&mut self.sources, source.map(|source| (*source).clone()).unwrap_or_default());
            rule.sources.push(index);
        }
    }
}

/// A text as it is compared.
fn term(text: Option<&str>) -> Option<String> {
    text.map(|text| SourceName::new(text).folded())
}

/// A number as it is compared: 3.0 is 3.
fn number(text: &str) -> String {
    let text = text.trim();
    text.parse::<f64>().map_or_else(|_| SourceName::new(text).folded(), |number| number.to_string())
}

/// Reads the list.
struct Reader<'a> {
    terms: Terms,
    /// Which rule states this.
    nth: HashMap<Stated, usize>,
    rules: Vec<Rule<'a>>,
}

impl<'a> Reader<'a> {
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
        let (mut stated, mut bidders) = (Stated::default(), Bidders::default());
        let mut object = scanner.object()?;
        while let Some(key) = scanner.next_member(&mut object, &ENTRY)? {
            let nth = match key.path {
                "source" => 0,
                "inserter" => 1,
                "matcher" => 2,
                "mm" => 3,
                _ => {
                    bidders = Bidders::read(scanner)?;
                    continue;
                }
            };
            let readable = match scanner.kind()? {
                Kind::String | Kind::Null => true,
                Kind::Number => nth == 3,
                _ => false,
            };
            let Some(value) = said(scanner)? else { continue };
            if !readable {
                return Ok(false);
            }
            let text = decoded(value, scanner.text());
            let text = if nth == 3 { number(&text) } else { SourceName::new(&text).folded() };
            let next = self.terms.len();
            if let Some(said) = stated.get_mut(nth) {
                *said = Some(*self.terms.entry(text).or_insert(next));
            }
        }
        let Some(left) = names.checked_sub(bidders.names.len()) else { return Ok(false) };
        *names = left;
        self.unite(stated, bidders);
        Ok(true)
    }

    /// A rule is for the bidders of all entries that state the same.
    fn unite(&mut self, stated: Stated, mut bidders: Bidders<'a>) {
        let nth = *self.nth.entry(stated).or_insert(self.rules.len());
        match self.rules.get_mut(nth) {
            Some(rule) => {
                rule.bidders.all |= bidders.all;
                rule.bidders.names.append(&mut bidders.names);
            }
            None => self.rules.push(Rule { stated, bidders, sources: Vec::new() }),
        }
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
        with_eids(
            &["a", "b", "c"].map(|source| format!(r#"{{"source":"{source}"}}"#)).join(","),
            ext,
            max_eids,
        )
    }

    fn with_eids(eids: &str, ext: &str, max_eids: usize) -> BidRequest {
        let body = format!(r#"{{"id":"r","imp":[{{}}],"user":{{"eids":[{eids}]}},"ext":{ext}}}"#);
        BidRequest::parse(body.into(), &Limits { max_eids, ..Limits::default() }).unwrap()
    }

    /// What alpha may not get; `*` is everything, `-` is that there are no permissions.
    fn forbidden(permissions: &str, max_eids: usize) -> String {
        told(&request(&ext(permissions), max_eids), None)
    }

    fn ext(permissions: &str) -> String {
        format!(r#"{{"prebid":{{"data":{{"eidpermissions":{permissions}}}}}}}"#)
    }

    fn told(request: &BidRequest, ours: Option<Ours<'_>>) -> String {
        match request.eid_permissions(ours).map(|p| match p.forbidden("alpha") {
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
    fn an_entry_restricts_what_matches_all_that_it_states() {
        let eids = r#"{"source":"a","inserter":"\u0069","mm":3},{"source":"b","matcher":"M","mm":"3"},
            {"source":"c","inserter":"other","mm":2.0}"#;
        for (entry, expected) in [
            (r#""inserter":"I""#, "a"),
            (r#""mm":3.0"#, "a b"),
            (r#""mm":"2","inserter":null"#, "c"),
            (r#""mm":3,"matcher":"m""#, "b"),
            (r#""mm":3,"matcher":"m","source":"a""#, ""),
            (r#""source":"A. ","inserter":"i","mm":3"#, "a"),
            (r#""inserter":"nobody""#, ""),
            (r#""x":1"#, "*"),
        ] {
            let list = |bidders: &str| format!(r#"[{{{entry},"bidders":["x"{bidders}]}}]"#);
            assert_eq!(told(&with_eids(eids, &ext(&list("")), 256), None), expected, "{entry}");
            assert_eq!(told(&with_eids(eids, &ext(&list(r#","alpha""#)), 256), None), "", "{entry}");
        }
        let united =
            r#"[{"mm":3,"bidders":["x"]},{"bidders":["alpha"],"mm":"3"},{"inserter":"i","bidders":[]}]"#;
        assert_eq!(told(&with_eids(eids, &ext(united), 256), None), "a");
    }

    #[test]
    fn what_we_are_to_add_is_restricted_as_if_it_were_there() {
        let ours = |inserter| Some(Ours { source: "uidapi.com", inserter });
        for (entry, with, without) in [
            (r#""source":"uidapi.com""#, "uidapi.com", "uidapi.com"),
            (r#""mm":3"#, "uidapi.com", ""),
            (r#""inserter":"Pub""#, "uidapi.com", ""),
            (r#""inserter":"other""#, "", ""),
            (r#""matcher":"m""#, "", ""),
        ] {
            let request = with_eids("", &ext(&format!(r#"[{{{entry},"bidders":["x"]}}]"#)), 256);
            assert_eq!(told(&request, ours(Some("pub"))), with, "{entry}");
            assert_eq!(told(&request, ours(None)), without, "{entry}");
            assert_eq!(told(&request, None), "", "{entry}");
        }
    }

    #[test]
    fn what_cannot_be_read_matches_every_entry() {
        for eids in ["7", r#"{"source":["a"]}"#, r#"{"source":"z"},{"source":"z"},{"source":"a"}"#] {
            let told = |entry: &str| {
                told(&with_eids(eids, &ext(&format!(r#"[{{{entry},"bidders":["x"]}}]"#)), 2), None)
            };
            assert_eq!(told(r#""source":"a""#), "a", "{eids}");
            assert_eq!(told(r#""source":"a","mm":3"#), "a", "{eids}");
            let request = with_eids(eids, &ext(r#"[{"mm":3,"bidders":["x"]}]"#), 2);
            let permissions = request.eid_permissions(None).unwrap();
            assert_eq!(permissions.forbidden("alpha"), Forbidden::Sources(SmallVec::from_slice(&[""])));
        }
    }

    #[test]
    fn what_cannot_be_understood_permits_nothing() {
        for permissions in [
            "{}",
            "7",
            r#"["a"]"#,
            r#"[{"source":"a","inserter":{},"bidders":["alpha"]}]"#,
            r#"[{"source":"a","mm":[3],"bidders":["alpha"]}]"#,
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
        assert_eq!(forbidden(&names(48), 3), "");
        assert_eq!(forbidden(&names(49), 3), "*");
    }

    #[test]
    fn anything_on_the_way_that_is_no_object_holds_no_permissions() {
        for ext in
            ["null", "7", "{}", r#"{"prebid":[]}"#, r#"{"prebid":{"data":"x"}}"#, r#"{"prebid":{"data":{}}}"#]
        {
            assert!(request(ext, 256).eid_permissions(None).is_none(), "{ext}");
        }
    }

    #[test]
    fn every_table_finds_its_names_and_no_others() {
        let tables: [&Table; 1] = [&ENTRY];
        tables.into_iter().for_each(Table::assert_finds_its_own);
    }

    /// Every source is read once, and looked up once for every SSP: not compared with every other, nor decoded again.
    #[test]
    fn the_work_grows_with_the_lists_and_not_with_their_product() {
        use super::super::source::work::{COMPARED, UNESCAPED};

        const EIDS: usize = 255;
        let source = |nth: usize| format!("{}{nth}", r"\u0061".repeat(100));
        let eids: Vec<String> = (0..EIDS)
            .map(|nth| format!(r#"{{"source":"{}","uids":[{{"id":"{nth}"}}]}}"#, source(nth)))
            .collect();
        let rules: Vec<String> =
            (0..EIDS).map(|nth| format!(r#"{{"source":"p{nth}","bidders":["s{nth}"]}}"#)).collect();
        let (compared, unescaped) = (COMPARED.get(), UNESCAPED.get());
        let request = with_eids(&eids.join(","), &ext(&format!("[{}]", rules.join(","))), 256);
        let permissions = request.eid_permissions(None).unwrap();
        for nth in 0..10 {
            assert!(
                matches!(permissions.forbidden(&format!("s{nth}")), Forbidden::Sources(sources) if sources.len() < EIDS)
            );
        }
        let (compared, unescaped) = (COMPARED.get() - compared, UNESCAPED.get() - unescaped);
        assert!(compared <= 20 * EIDS, "{compared} comparisons");
        assert!(unescaped <= 4 * EIDS * source(0).len(), "{unescaped} bytes decoded");
    }
}
