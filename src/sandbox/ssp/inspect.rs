//! What an endpoint understands of a bid request, and everything it finds wrong with it.
//!
//! The request is never read as `openrtb::current::BidRequest`, which refuses most real requests (no `user.eids`,
//! mandatory `at` and `tmax`, boolean `lmt`). Its `Imp` and `SupplyChain` fit and are used.

use std::borrow::Cow;

use openrtb::current::{Imp, SupplyChain};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::members::members;

/// A fault found in a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    /// Where, as a path: `imp[1]`, `user.ext.eids[0]`.
    pub member: String,
    /// What is wrong, cut to a readable length.
    pub what: String,
}

impl Problem {
    pub(super) fn new(member: impl Into<String>, what: &(impl ToString + ?Sized)) -> Self {
        const READABLE: usize = 200;
        Self { member: member.into(), what: what.to_string().chars().take(READABLE).collect() }
    }
}

/// Which of the two places of an OpenRTB 2.x request an EID stood in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Place {
    /// `user.eids`, OpenRTB 2.6.
    #[serde(rename = "user.eids")]
    Eids,
    /// `user.ext.eids`, OpenRTB 2.5.
    #[serde(rename = "user.ext.eids")]
    ExtEids,
}

/// Who made a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum Source {
    /// UID2.
    #[serde(rename = "uidapi.com")]
    Uid2,
    /// EUID.
    #[serde(rename = "euid.eu")]
    Euid,
}

impl Source {
    fn named(name: &str) -> Option<Self> {
        let is = |source: &str| name.eq_ignore_ascii_case(source);
        if is("uidapi.com") { Some(Self::Uid2) } else { is("euid.eu").then_some(Self::Euid) }
    }
}

/// An advertising token that reached the endpoint.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Token {
    /// The EID's source.
    pub source: Source,
    /// `uids[].id`, as it would go to a bidder.
    pub id: String,
}

/// A request as far as a bidder needs it.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) id: String,
    /// The impressions that can be bid on.
    pub(super) imps: Vec<Imp>,
    /// The first of `cur`, else USD.
    pub(super) currency: String,
    pub(super) tokens: Vec<(Place, Token)>,
    pub(super) problems: Vec<Problem>,
}

/// Reads a request. The error is what makes it unusable: no JSON object, or no impression.
pub(super) fn inspect(body: &[u8]) -> Result<Seen, Problem> {
    let found = members(body, ["id", "imp", "cur", "tmax", "user", "source", "ext"]);
    let [id, imp, cur, tmax, user, source, ext] = found.map_err(|e| Problem::new("", &e))?;
    let mut seen = Seen::default();
    seen.read_id(id);
    seen.read_imps(imp)?;
    seen.read_scalars(cur, tmax);
    if let Some(user) = user {
        seen.read_user(user);
    }
    seen.read_chains(source, ext);
    Ok(seen)
}

/// The UID2 and EUID tokens in a request, of both places, whatever else is wrong with it.
pub fn tokens_in(body: &[u8]) -> Vec<Token> {
    let mut seen = Seen::default();
    if let Ok([Some(user)]) = members(body, ["user"]) {
        seen.read_user(user);
    }
    seen.tokens.into_iter().map(|(_, token)| token).collect()
}

impl Seen {
    fn complain(&mut self, member: impl Into<String>, what: &(impl ToString + ?Sized)) {
        self.problems.push(Problem::new(member, what));
    }

    /// `json` as a `T`; a misfit is a problem of `member`.
    fn typed<'a, T: Deserialize<'a>>(&mut self, member: &str, json: &'a RawValue) -> Option<T> {
        // From a slice, not from a value: some of the crate's types read borrowed text only.
        serde_json::from_slice(json.get().as_bytes()).map_err(|e| self.complain(member, &e)).ok()
    }

    fn read_id(&mut self, id: Option<&RawValue>) {
        match id {
            None => self.complain("id", "missing"),
            Some(id) => self.id = self.typed("id", id).unwrap_or_default(),
        }
    }

    fn read_imps(&mut self, imp: Option<&RawValue>) -> Result<(), Problem> {
        let imp = imp.ok_or_else(|| Problem::new("imp", "missing"))?;
        let list: Vec<&RawValue> = serde_json::from_str(imp.get()).map_err(|e| Problem::new("imp", &e))?;
        if list.is_empty() {
            return Err(Problem::new("imp", "empty"));
        }
        for (i, json) in list.into_iter().enumerate() {
            let member = format!("imp[{i}]");
            let Some(imp) = self.typed::<Imp>(&member, json) else { continue };
            if imp.banner.is_none() && imp.video.is_none() && imp.audio.is_none() && imp.native.is_none() {
                self.complain(member, "offers no banner, video, audio or native");
            } else if self.imps.iter().any(|other| other.id == imp.id) {
                self.complain(member, "has the id of another impression");
            } else {
                self.imps.push(imp);
            }
        }
        Ok(())
    }

    fn read_scalars(&mut self, cur: Option<&RawValue>, tmax: Option<&RawValue>) {
        let currencies: Option<Vec<String>> = cur.and_then(|cur| self.typed("cur", cur));
        self.currency = currencies.into_iter().flatten().next().unwrap_or_else(|| "USD".to_owned());
        if let Some(tmax) = tmax {
            self.typed::<u64>("tmax", tmax);
        }
    }

    fn read_user(&mut self, user: &RawValue) {
        let Some([eids, ext]) = self.object("user", user, ["eids", "ext"]) else { return };
        self.read_eids(Place::Eids, "user.eids", eids);
        let Some(ext) = ext else { return };
        let Some([eids]) = self.object("user.ext", ext, ["eids"]) else { return };
        self.read_eids(Place::ExtEids, "user.ext.eids", eids);
    }

    fn read_eids(&mut self, place: Place, member: &str, eids: Option<&RawValue>) {
        let list: Option<Vec<&RawValue>> = eids.and_then(|eids| self.typed(member, eids));
        let mut sources = Vec::new();
        for (i, json) in list.into_iter().flatten().enumerate() {
            let member = format!("{member}[{i}]");
            let Some(eid) = self.typed::<Eid<'_>>(&member, json) else { continue };
            let Some(source) = Source::named(&eid.source) else { continue };
            if eid.uids.iter().all(|uid| uid.id.is_empty()) {
                self.complain(&member, "has no id");
            }
            if sources.contains(&source) {
                self.complain(&member, "repeats a source");
            }
            sources.push(source);
            let ids = eid.uids.into_iter().map(|uid| uid.id.into_owned()).filter(|id| !id.is_empty());
            self.tokens.extend(ids.map(|id| (place, Token { source, id })));
        }
    }

    fn read_chains(&mut self, source: Option<&RawValue>, ext: Option<&RawValue>) {
        let [chain, source_ext] =
            source.and_then(|s| self.object("source", s, ["schain", "ext"])).unwrap_or_default();
        let [ext_chain] =
            source_ext.and_then(|e| self.object("source.ext", e, ["schain"])).unwrap_or_default();
        let [old_chain] = ext.and_then(|e| self.object("ext", e, ["schain"])).unwrap_or_default();
        let places = [("source.schain", chain), ("source.ext.schain", ext_chain), ("ext.schain", old_chain)];
        for (member, chain) in places {
            let Some(chain) = chain.and_then(|chain| self.typed::<SupplyChain>(member, chain)) else {
                continue;
            };
            if chain.nodes.is_empty() {
                self.complain(member, "has no node");
            }
        }
    }

    fn object<'a, const N: usize>(
        &mut self,
        member: &str,
        json: &'a RawValue,
        names: [&'static str; N],
    ) -> Option<[Option<&'a RawValue>; N]> {
        members(json.get().as_bytes(), names).map_err(|e| self.complain(member, &e)).ok()
    }
}

#[derive(Deserialize)]
struct Eid<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, default)]
    uids: Vec<Uid<'a>>,
}

#[derive(Deserialize)]
struct Uid<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMP: &str = r#""imp":[{"id":"1","banner":{"w":300,"h":250}}]"#;

    fn problems(request: &str) -> Vec<String> {
        let seen = inspect(request.as_bytes()).unwrap();
        seen.problems.into_iter().map(|p| p.member).collect()
    }

    #[test]
    fn a_sound_request_is_understood() {
        let request = r#"{"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250},"bidfloor":0.5}],"cur":["EUR","USD"],"tmax":120,
            "user":{"id":"u","eids":[{"source":"UIDAPI.com","uids":[{"id":"A4AA","atype":3}]},{"source":"x.com","uids":[]}],
            "ext":{"consent":"","eids":[{"source":"euid.eu","uids":[{"id":"E4"}]}]}},
            "source":{"ext":{"schain":{"ver":"1.0","complete":1,"nodes":[{"asi":"a.com","sid":"1","hp":1}]}}}}"#;
        let seen = inspect(request.as_bytes()).unwrap();
        assert_eq!(seen.problems, []);
        assert_eq!((seen.id.as_str(), seen.currency.as_str(), seen.imps.len()), ("r", "EUR", 1));
        let uid2 = (Place::Eids, Token { source: Source::Uid2, id: "A4AA".into() });
        let euid = (Place::ExtEids, Token { source: Source::Euid, id: "E4".into() });
        assert_eq!(tokens_in(request.as_bytes()), [uid2.1.clone(), euid.1.clone()]);
        assert_eq!(tokens_in(request.replace("\"imp\"", "\"pmi\"").as_bytes()).len(), 2);
        assert_eq!(tokens_in(b"[]"), []);
        assert_eq!(seen.tokens, [uid2, euid]);
    }

    #[test]
    fn every_part_is_judged_by_itself() {
        for (request, member) in [
            (format!("{{{IMP}}}"), "id"),
            (format!(r#"{{"id":7,{IMP}}}"#), "id"),
            (r#"{"id":"r","imp":[{"banner":{}}]}"#.to_owned(), "imp[0]"),
            (r#"{"id":"r","imp":[{"id":"1","video":{}}]}"#.to_owned(), "imp[0]"),
            (r#"{"id":"r","imp":[{"id":"1"}]}"#.to_owned(), "imp[0]"),
            (r#"{"id":"r","imp":[{"id":"1","audio":{}},{"id":"1","audio":{}}]}"#.to_owned(), "imp[1]"),
            (format!(r#"{{"id":"r",{IMP},"tmax":-1}}"#), "tmax"),
            (format!(r#"{{"id":"r",{IMP},"cur":"USD"}}"#), "cur"),
            (format!(r#"{{"id":"r",{IMP},"user":[]}}"#), "user"),
            (format!(r#"{{"id":"r",{IMP},"user":{{"eids":{{}}}}}}"#), "user.eids"),
            (
                format!(r#"{{"id":"r",{IMP},"user":{{"ext":{{"eids":[{{"uids":[]}}]}}}}}}"#),
                "user.ext.eids[0]",
            ),
            (format!(r#"{{"id":"r",{IMP},"user":{{"eids":[{{"source":"uidapi.com"}}]}}}}"#), "user.eids[0]"),
            (format!(r#"{{"id":"r",{IMP},"source":{{"schain":{{"complete":1}}}}}}"#), "source.schain"),
            (format!(r#"{{"id":"r",{IMP},"source":{{"ext":{{"schain":1}}}}}}"#), "source.ext.schain"),
            (format!(r#"{{"id":"r",{IMP},"ext":{{"schain":{{"ver":"1.0","nodes":[]}}}}}}"#), "ext.schain"),
        ] {
            assert_eq!(problems(&request), [member], "{request}");
        }
    }

    #[test]
    fn a_repeated_source_is_told_but_both_tokens_count() {
        let eid = r#"{"source":"uidapi.com","uids":[{"id":"A"}]}"#;
        let request = format!(r#"{{"id":"r",{IMP},"user":{{"eids":[{eid},{eid}]}}}}"#);
        assert_eq!(problems(&request), ["user.eids[1]"]);
        assert_eq!(inspect(request.as_bytes()).unwrap().tokens.len(), 2);
    }

    #[test]
    fn only_no_object_and_no_impression_are_unusable() {
        for request in ["", "[]", "{", r#"{"id":"r"}"#, r#"{"id":"r","imp":[]}"#, r#"{"id":"r","imp":{}}"#] {
            assert!(inspect(request.as_bytes()).is_err(), "{request}");
        }
    }
}
