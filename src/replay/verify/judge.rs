//! One request, as it was sent and as one SSP received it: everything that is wrong with it, and what was meant.

use http::HeaderMap;

use super::content::{Change, Finding};
use super::diff::{Diff, HINTS};
use super::dii::{Known, looks_like_dii};
use super::path::Path;
use super::signals::Signals;
use super::tree::{Node, Tree};
use super::{Dialect, Expect, eids};

/// What holds for every request of a load.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// Where the SSPs look for EIDs; `None`: each place will do.
    pub(super) dialect: Option<Dialect>,
    /// Places that may differ.
    pub(super) allow: Vec<String>,
    /// What must not arrive.
    pub(super) known: Known,
}

/// Headers and body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// What a comparison came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Judgement {
    /// Each with its member.
    pub(super) findings: Vec<(Finding, String)>,
    pub(super) changes: Vec<Change>,
    /// Byte for byte the same.
    pub(super) unchanged: bool,
    /// There is a UID2 or EUID token in it.
    pub(super) has_token: bool,
}

/// Compares.
pub(super) fn judge(sent: Message<'_>, received: Message<'_>, expect: Expect, rules: &Rules) -> Judgement {
    let mut judgement = Judgement { unchanged: sent.body == received.body, ..Judgement::default() };
    let (Some(before), Some(after)) = (Tree::parse(sent.body), Tree::parse(received.body)) else {
        // What is no JSON is none of the gateway's, and may only pass as it is.
        if !judgement.unchanged {
            judgement.findings.push((Finding::Unreadable, String::new()));
        }
        return judgement;
    };
    let mut diff = Diff::new(rules, Signals::of(&before, sent.headers));
    if margins(sent.body) != margins(received.body) {
        diff.find(Finding::Spacing, &Path::ROOT);
    }
    diff.compare(&before, &after, &Path::ROOT);
    judgement.has_token = eids::judge(&before, &after, expect, &mut diff);
    for hint in HINTS.iter().filter(|hint| after.at(hint).is_some()) {
        diff.findings.push((Finding::HintLeft, hint.join(".")));
    }
    dii(&after, &Path::ROOT, &mut diff);
    headers(sent.headers, received.headers, &mut diff);
    judgement.findings = diff.findings;
    judgement.changes = diff.changes.into_iter().collect();
    judgement
}

/// The places in which two bodies differ.
pub(super) fn differing(one: &[u8], other: &[u8]) -> Vec<String> {
    let (Some(one), Some(other)) = (Tree::parse(one), Tree::parse(other)) else { return Vec::new() };
    let rules = Rules::default();
    let mut diff = Diff::new(&rules, Signals::default());
    diff.compare(&one, &other, &Path::ROOT);
    diff.findings.into_iter().map(|(_, place)| place).collect()
}

/// White space around the document.
fn margins(body: &[u8]) -> (&[u8], &[u8]) {
    let (start, end) = (body.trim_ascii_start(), body.trim_ascii_end());
    (body.get(..body.len() - start.len()).unwrap_or_default(), body.get(end.len()..).unwrap_or_default())
}

/// Looks for DII: that of the users everywhere, what looks like it under `user`.
fn dii(tree: &Tree<'_>, path: &Path<'_>, diff: &mut Diff<'_>) {
    let says = |text: &str, diff: &Diff<'_>| {
        diff.rules.known.is_in(text) || (path.is_under_user() && looks_like_dii(text))
    };
    match &tree.node {
        Node::Scalar => {
            let string = tree.string();
            if says(string.as_deref().unwrap_or(tree.text), diff) {
                diff.insist(Finding::Dii, path);
            }
        }
        Node::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| dii(item, &path.item(index), diff));
        }
        Node::Object(members) => members.iter().for_each(|member| {
            let here = path.member(member.written);
            if says(&member.name().unwrap_or_default(), diff) {
                diff.insist(Finding::Dii, &here);
            }
            dii(&member.value, &here, diff);
        }),
    }
}

/// Headers for the gateway alone must not have been passed on, and none may hold DII.
fn headers(sent: &HeaderMap, received: &HeaderMap, diff: &mut Diff<'_>) {
    const PRIVATE: [&str; 5] =
        ["authorization", "cookie", "proxy-authorization", "x-ads-cert-auth", "x-publisher-user-id"];
    for (name, value) in received {
        let name = name.as_str();
        let private = PRIVATE.contains(&name) || name.starts_with("x-uid2-");
        // An SSP may have a header of this name of its own; it may not have ours.
        if private && sent.get_all(name).iter().any(|sent| sent == value) {
            diff.findings.push((Finding::HeaderLeft, format!("header {name}")));
        }
        if diff.rules.known.is_in(&String::from_utf8_lossy(value.as_bytes())) {
            diff.findings.push((Finding::Dii, format!("header {name}")));
        }
    }
}
