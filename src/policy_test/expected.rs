//! What must come out of one case: the table's words, and what they mean for the lists of EIDs and for each dialect.
//! Written from the table's own `reading`, without the code that decides or edits.

use super::case::{Case, Entry, Lists, Setting, choices};
use super::node::Node;
use super::table::{Choices, Demand, Outcome, Removed, Said};
use crate::privacy::alpha3;
use crate::uid2::Scope;

/// What must come out of one request.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) row: u8,
    pub(super) result: &'static str,
    pub(super) reason: String,
    pub(super) removed: Removed,
    scope: Scope,
    gone: Vec<Entry>,
    /// What SSPs without consent of their own do not get; `None`: nobody asks for it.
    unconsented: Option<Unconsented>,
    fill_gpc: bool,
}

#[derive(PartialEq, Eq, Debug)]
struct Unconsented {
    /// Vendors that have consent.
    vendors: Vec<u16>,
    gone: Vec<Entry>,
}

/// What one SSP must get.
#[derive(Debug)]
pub(super) struct Leg {
    /// Our token is to be sent.
    pub(super) injects: bool,
    gone: Vec<Entry>,
}

/// The sources that `strip_scope = uid` names.
const FAMILY: [&str; 3] = ["uidapi.com", "euid.eu", "adserver.org"];

/// The `tmax` that an SSP gets is a number of the moment.
pub(super) const TMAX: &str = "<tmax>";

impl Expected {
    pub(super) fn of(case: &Case<'_>, lists: &Lists<'_>, setting: &Setting, ssps: &[Demand]) -> Self {
        let choices = choices(&setting.policy);
        let (scope, other) = (setting.scope, setting.scope.other());
        let (own, others) = (column(case, scope, &choices), column(case, other, &choices));
        let gone = lists.without(|entry| {
            let theirs = others.result == Said::Denied && entry.source == other.source();
            theirs || goes(entry, own.removed, &choices)
        });
        let stays = lists.entries().any(|entry| {
            let ours = entry.source == scope.source() || entry.source == other.source();
            ours && !gone.contains(entry)
        });
        let (result, reason) = match own.result {
            Said::Denied => ("denied", own.reason.clone()),
            _ if stays => ("kept", "theirs".into()),
            Said::Injected => ("injected", own.reason.clone()),
            Said::Absent => ("absent", own.reason.clone()),
        };
        let euid = if scope == Scope::Euid { &own } else { &others };
        let asked = scope == Scope::Euid || lists.entries().any(|e| e.source == Scope::Euid.source());
        let unconsented = euid.vendors.clone().filter(|_| asked).map(|vendors| {
            let width = if choices["euid_strip_others"] == true { Removed::All } else { Removed::Euid };
            Unconsented { vendors, gone: lists.without(|entry| goes(entry, width, &choices)) }
        });
        let removed = own.removed;
        let fill_gpc =
            choices["fill_gpc"] == true && case.set.get("header Sec-GPC").is_some_and(|v| v == "1");
        let mut expected = Self { row: own.row, result, reason, removed, scope, gone, unconsented, fill_gpc };
        let sends = matches!(expected.result, "injected" | "kept");
        if sends && !ssps.iter().any(|ssp| expected.consented(ssp)) {
            (expected.row, expected.removed) = (7, Removed::Euid);
            (expected.result, expected.reason) = ("denied", "tcf_purpose".into());
        }
        expected
    }

    /// Whether anything but the number of the row is another.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let outcome = |e: &Self| (e.result, e.reason.clone(), e.fill_gpc);
        outcome(self) != outcome(other) || self.gone != other.gone || self.unconsented != other.unconsented
    }

    fn consented(&self, ssp: &Demand) -> bool {
        let Some(unconsented) = &self.unconsented else { return true };
        ssp.gvl_id.is_some_and(|id| unconsented.vendors.contains(&id))
    }

    /// What this means for one SSP.
    pub(super) fn leg(&self, ssp: &Demand) -> Leg {
        let consented = self.consented(ssp);
        let mut gone = self.gone.clone();
        if let Some(unconsented) = self.unconsented.as_ref().filter(|_| !consented) {
            gone.extend(unconsented.gone.clone());
        }
        Leg { injects: self.result == "injected" && (self.scope == Scope::Uid2 || consented), gone }
    }

    /// The body an SSP must get, with [`TMAX`] for the value of `tmax`; `new` is the entry that is added.
    pub(super) fn body(
        &self,
        inbound: &Node,
        lists: &Lists<'_>,
        (ssp, leg): (&Demand, &Leg),
        new: &str,
    ) -> String {
        let mut body = inbound.clone();
        body.set(&["tmax"], Node::Text(TMAX.into()));
        if let Some((user, ext)) = leg.lists(lists, &ssp.openrtb, leg.injects.then_some(new)) {
            write(&mut body, &["user", "eids"], user);
            write(&mut body, &["user", "ext", "eids"], ext);
        }
        let gpc = ["regs", "ext", "gpc"];
        if self.fill_gpc && body.at(&gpc).is_none_or(|there| *there == Node::Text("null".into())) {
            body.set(&gpc, Node::Text("\"1\"".into()));
        }
        body.text()
    }
}

impl Leg {
    /// Ids that may not reach this SSP.
    pub(super) fn forbidden(&self) -> impl Iterator<Item = &str> {
        self.gone.iter().flat_map(|entry| &entry.ids).map(String::as_str)
    }

    /// The lists of both places (`None`: no member), or nothing when no identifier comes or goes.
    fn lists(&self, lists: &Lists<'_>, dialect: &str, new: Option<&str>) -> Option<(List, List)> {
        if self.gone.is_empty() && new.is_none() {
            return None;
        }
        let kept = |entries: &[Entry]| -> Vec<String> {
            entries.iter().filter(|e| !self.gone.contains(e)).map(|e| e.raw.clone()).collect()
        };
        if dialect == "as-received" {
            let wrote_none = lists.user.is_none() && lists.ext.is_none();
            let place = |entries: Option<&Vec<Entry>>, is_default: bool| -> List {
                let mut list = entries.map(|entries| kept(entries));
                if list.is_some() || (wrote_none && is_default) {
                    list.get_or_insert_default().extend(new.map(str::to_owned));
                }
                list.filter(|list| !list.is_empty())
            };
            return Some((place(lists.user.as_ref(), true), place(lists.ext.as_ref(), false)));
        }
        let place = |entries: &Option<Vec<Entry>>| entries.as_deref().map(&kept).unwrap_or_default();
        let mut all = united(place(&lists.user), place(&lists.ext));
        all.extend(new.map(str::to_owned));
        let all = Some(all).filter(|all| !all.is_empty());
        Some(match dialect {
            "2.5" => (None, all),
            "2.6" => (all, None),
            _ => (all.clone(), all),
        })
    }
}

/// Both lists as one: an entry that stands in both is there once, and one of the same source that says nothing else
/// gives its uids to the first (OpenRTB 2.6, an EID object per source).
fn united(mut all: Vec<String>, more: Vec<String>) -> Vec<String> {
    let first = all.len();
    for raw in more.into_iter().filter(|raw| !all[..first].contains(raw)).collect::<Vec<_>>() {
        let same =
            |there: &&mut String| Bare::of(there).zip(Bare::of(&raw)).is_some_and(|(a, b)| a.is_of(&b));
        match all[..first].iter_mut().find(same) {
            Some(there) => there.insert_str(there.len() - "]}".len(), &Bare::uids_of(&raw)),
            None => all.push(raw),
        }
    }
    all
}

/// An entry with nothing but a source and its uids.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Bare<'a> {
    source: String,
    #[serde(borrow)]
    uids: Vec<&'a serde_json::value::RawValue>,
}

impl<'a> Bare<'a> {
    fn of(raw: &'a str) -> Option<Self> {
        serde_json::from_str(raw).ok()
    }

    fn is_of(&self, other: &Bare<'_>) -> bool {
        self.source.eq_ignore_ascii_case(&other.source)
    }

    /// Its uids, each after a comma.
    fn uids_of(raw: &str) -> String {
        let uids = Bare::of(raw).map(|entry| entry.uids).unwrap_or_default();
        uids.iter().flat_map(|uid| [",", uid.get()]).collect()
    }
}

/// The entries of one place, as bytes.
type List = Option<Vec<String>>;

fn write(body: &mut Node, path: &[&str], list: List) {
    match list {
        Some(list) => body.set(path, Node::Text(format!("[{}]", list.join(",")))),
        None => body.remove(path),
    }
}

/// What the column of a scope says under these choices.
fn column(case: &Case<'_>, scope: Scope, choices: &Choices) -> Outcome {
    let mut outcome = if scope == Scope::Uid2 { case.uid2 } else { case.euid };
    for instead in case.instead {
        let fits = instead.privacy.iter().all(|(key, value)| choices.get(key) == Some(value));
        let column = if scope == Scope::Uid2 { &instead.uid2 } else { &instead.euid };
        if let Some(column) = column.as_ref().filter(|_| fits) {
            outcome = column;
        }
    }
    if [6, 16, 17].contains(&outcome.row) && !country_fits(case, choices) {
        let (result, reason) = (Said::Absent, "disabled".into());
        return Outcome { row: 15, result, reason, removed: Removed::None, vendors: outcome.vendors.clone() };
    }
    outcome.clone()
}

/// Row 15: with countries configured, the request names at least one, and none that is not among them.
fn country_fits(case: &Case<'_>, choices: &Choices) -> bool {
    let configured: Vec<&str> =
        choices["countries"].as_array().into_iter().flatten().filter_map(|code| code.as_str()).collect();
    let named: Vec<String> = ["device.geo.country", "user.geo.country"]
        .into_iter()
        .filter_map(|place| alpha3(case.set.get(place)?.as_str()?))
        .map(|code| String::from_utf8_lossy(&code).into_owned())
        .collect();
    configured.is_empty()
        || (!named.is_empty() && named.iter().all(|code| configured.contains(&code.as_str())))
}

fn goes(entry: &Entry, removed: Removed, choices: &Choices) -> bool {
    let wide = choices["strip_scope"] == "all" || FAMILY.contains(&entry.source.as_str());
    match removed {
        Removed::None => false,
        Removed::All => wide,
        Removed::Uid2 => entry.source == Scope::Uid2.source(),
        Removed::Euid => entry.source == Scope::Euid.source(),
    }
}
