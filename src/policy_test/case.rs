//! The table spread out: each signal in each place with each value, under each choice of `[privacy]`, with each list of
//! EIDs that can stand in the request already.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::table::{Choices, Extent, Instead, Members, Outcome, Table};
use crate::privacy::{OnDoubt, OnSignal, Policy, StripScope};
use crate::uid2::Scope;

/// One thing that a request can say.
#[derive(Debug)]
pub(super) struct Case<'a> {
    /// The signal, or what several members together are about.
    pub(super) signal: &'a str,
    /// Where it stands, or `together`.
    pub(super) place: &'a str,
    /// Its value as JSON, or all members.
    pub(super) value: String,
    /// Web or app.
    pub(super) request: &'a Value,
    /// Everything the request says.
    pub(super) set: Members,
    pub(super) extent: Extent,
    pub(super) uid2: &'a Outcome,
    pub(super) euid: &'a Outcome,
    pub(super) instead: &'a [Instead],
}

impl Case<'_> {
    /// Whether publishers of this scope are tried with everything that can stand in a request. EUIDs go out only where
    /// vendors are asked for.
    pub(super) fn concerns(&self, scope: Scope) -> bool {
        scope == Scope::Uid2 || self.euid.vendors.is_some()
    }
}

/// A publisher to test: its scope and its choices.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// For people: the choices, or the publisher's id in the file they came from.
    pub(super) name: String,
    pub(super) scope: Scope,
    pub(super) policy: Policy,
}

/// An EID that stands in a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// Its bytes.
    pub(super) raw: String,
    /// Its source, decoded, in lower case.
    pub(super) source: String,
    /// Its ids, decoded.
    pub(super) ids: Vec<String>,
}

/// The lists of EIDs of a request.
#[derive(Clone, Debug)]
pub(super) struct Lists<'a> {
    pub(super) name: &'a str,
    pub(super) user: Option<Vec<Entry>>,
    pub(super) ext: Option<Vec<Entry>>,
    pub(super) brief: bool,
}

impl Lists<'_> {
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.user.iter().chain(&self.ext).flatten()
    }

    /// The entries that this takes away.
    pub(super) fn without(&self, goes: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.entries().filter(|entry| goes(entry)).cloned().collect()
    }
}

/// Every case of a table.
pub(super) fn cases(table: &Table) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    for signal in &table.signals {
        for values in &signal.values {
            for place in &signal.places {
                cases.extend(values.each.iter().map(|value| {
                    let mut set = signal.besides.clone();
                    set.extend(values.with.clone());
                    set.insert(place.clone(), value.clone());
                    Case {
                        signal: &signal.name,
                        place,
                        value: value.to_string(),
                        request: &table.requests[&signal.request],
                        set,
                        extent: signal.standing,
                        uid2: &values.uid2,
                        euid: &values.euid,
                        instead: &values.instead,
                    }
                }));
            }
        }
    }
    cases.extend(table.together.iter().map(|together| Case {
        signal: &together.case,
        place: "together",
        value: json!(together.set).to_string(),
        request: &table.requests[&together.request],
        set: together.set.clone(),
        extent: Extent::Whole,
        uid2: &together.uid2,
        euid: &together.euid,
        instead: &together.instead,
    }));
    cases
}

/// Everything that can stand in a request already.
pub(super) fn standing(table: &Table) -> Vec<Lists<'_>> {
    let entry = |name: &String| Entry::of(table.entries[name].get());
    let list = |names: &Option<Vec<String>>| names.as_ref().map(|names| names.iter().map(entry).collect());
    table
        .standing
        .iter()
        .map(|s| Lists {
            name: &s.name,
            user: list(&s.user),
            ext: list(&s.ext),
            brief: table.brief.contains(&s.name),
        })
        .collect()
}

impl Entry {
    fn of(raw: &str) -> Self {
        let value: Value = serde_json::from_str(raw).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let uids = value["uids"].as_array().map(Vec::as_slice).unwrap_or_default();
        Self {
            raw: raw.to_owned(),
            source: text(&value["source"]).to_ascii_lowercase(),
            ids: uids.iter().map(|uid| text(&uid["id"])).collect(),
        }
    }
}

/// A policy in the words of `[privacy]`.
pub(super) fn choices(policy: &Policy) -> Choices {
    let on_signal = |on| if on == OnSignal::Strip { "strip" } else { "pass" };
    let on_doubt = |on| if on == OnDoubt::Inject { "inject" } else { "pass" };
    let countries: Vec<String> =
        policy.countries.iter().map(|code| String::from_utf8_lossy(code).into_owned()).collect();
    BTreeMap::from([
        ("strip_scope".into(), json!(if policy.strip_scope == StripScope::All { "all" } else { "uid" })),
        ("us_optout".into(), json!(on_signal(policy.us_optout))),
        ("dnt".into(), json!(on_signal(policy.dnt))),
        ("unknown_scope".into(), json!(on_doubt(policy.unknown_scope))),
        ("test".into(), json!(on_doubt(policy.test))),
        ("fill_gpc".into(), json!(policy.fill_gpc)),
        ("euid_strip_others".into(), json!(policy.euid_strip_others)),
        ("countries".into(), json!(countries)),
    ])
}
