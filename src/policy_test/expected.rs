//! What must come out of one case: the table's words, and what they mean for the lists of EIDs and for each dialect.
//! Written from the table's own `reading`, without the code that decides or edits.

use super::case::{Case, Entry, Lists, Setting, choices};
use super::node::Node;
use super::table::{Choices, Outcome, Removed, Said};
use crate::privacy::alpha3;
use crate::uid2::Scope;

/// What must come out of one request, whatever the dialect.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Expected {
    pub(super) row: u8,
    pub(super) result: &'static str,
    pub(super) reason: String,
    pub(super) removed: Removed,
    /// Ids that may not reach anybody.
    pub(super) forbidden: Vec<String>,
    gone: Vec<Entry>,
}

/// The sources that `strip_scope = uid` names.
const FAMILY: [&str; 3] = ["uidapi.com", "euid.eu", "adserver.org"];

/// The `tmax` that an SSP gets is a number of the moment.
pub(super) const TMAX: &str = "<tmax>";

impl Expected {
    pub(super) fn of(case: &Case<'_>, lists: &Lists<'_>, setting: &Setting) -> Self {
        let choices = choices(&setting.policy);
        let (scope, other) = (setting.scope, setting.scope.other());
        let (own, others) = (column(case, scope, &choices), column(case, other, &choices));
        let gone: Vec<Entry> = lists
            .entries()
            .filter(|entry| {
                let theirs = others.result == Said::Denied && entry.source == other.source();
                theirs || goes(entry, own.removed, &choices)
            })
            .cloned()
            .collect();
        let stays = lists.entries().any(|entry| {
            let ours = entry.source == scope.source() || entry.source == other.source();
            ours && !gone.contains(entry)
        });
        let (result, reason) = match own.result {
            Said::Denied => ("denied", own.reason),
            _ if stays => ("kept", "theirs".into()),
            Said::Injected => ("injected", own.reason),
            Said::Absent => ("absent", own.reason),
        };
        let forbidden = gone.iter().flat_map(|entry| entry.ids.clone()).collect();
        Self { row: own.row, result, reason, removed: own.removed, forbidden, gone }
    }

    /// Whether our token is to be sent.
    pub(super) fn injects(&self) -> bool {
        self.result == "injected"
    }

    /// The body an SSP of this dialect must get, with [`TMAX`] for the value of `tmax`.
    pub(super) fn body(&self, inbound: &Node, lists: &Lists<'_>, dialect: &str, new: &str) -> String {
        let mut body = inbound.clone();
        body.set(&["tmax"], Node::Text(TMAX.into()));
        let new = self.injects().then_some(new);
        if let Some((user, ext)) = self.lists(lists, dialect, new) {
            write(&mut body, &["user", "eids"], user);
            write(&mut body, &["user", "ext", "eids"], ext);
        }
        body.text()
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
        let mut all: Vec<String> = Vec::new();
        for raw in lists.user.iter().chain(&lists.ext).flat_map(|entries| kept(entries)) {
            if !all.contains(&raw) {
                all.push(raw);
            }
        }
        all.extend(new.map(str::to_owned));
        let all = Some(all).filter(|all| !all.is_empty());
        Some(match dialect {
            "2.5" => (None, all),
            "2.6" => (all, None),
            _ => (all.clone(), all),
        })
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
        return Outcome { row: 15, result, reason, removed: Removed::None };
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
