//! The body that was sent against the one that arrived, member by member: each difference is meant, or a finding.
//!
//! EID lists are left out here: they are judged as a whole, by [`eids`](super::eids).

use std::collections::BTreeSet;

use super::content::{Change, Finding};
use super::dii::{accountable, is_hash, may_be_cut};
use super::judge::Rules;
use super::path::Path;
use super::signals::Signals;
use super::tree::{Member, Node, Tree};

/// Where EIDs stand, and where they are private members.
pub(super) const EIDS: [&[&str]; 2] = [&["user", "eids"], &["user", "ext", "eids"]];
pub(super) const HINTS: [&[&str]; 2] = [&["user", "ext", "uid2"], &["user", "ext", "publisher_user_id"]];
/// Objects that are made where something has to be written into them.
const MADE: [&[&str]; 4] = [&["user"], &["user", "ext"], &["regs"], &["regs", "ext"]];
const GPC: &[&str] = &["regs", "ext", "gpc"];

/// What a comparison has come to so far.
pub(super) struct Diff<'r> {
    pub(super) rules: &'r Rules,
    pub(super) signals: Signals,
    /// Each with its place.
    pub(super) findings: Vec<(Finding, String)>,
    pub(super) changes: BTreeSet<Change>,
    /// Differences seen, meant or not.
    differences: usize,
}

impl<'r> Diff<'r> {
    pub(super) const fn new(rules: &'r Rules, signals: Signals) -> Self {
        Self { rules, signals, findings: Vec::new(), changes: BTreeSet::new(), differences: 0 }
    }

    /// Something is wrong.
    pub(super) fn find(&mut self, finding: Finding, path: &Path<'_>) {
        self.differences += 1;
        if path.is_one_of(&self.rules.allow) {
            self.changes.insert(Change::Allowed);
        } else {
            self.findings.push((finding, path.to_string()));
        }
    }

    /// Something is wrong that no flag allows.
    pub(super) fn insist(&mut self, finding: Finding, path: &Path<'_>) {
        self.differences += 1;
        self.findings.push((finding, path.to_string()));
    }

    /// Something is meant to be so.
    pub(super) fn meant(&mut self, change: Change) {
        self.differences += 1;
        self.changes.insert(change);
    }

    /// Compares two values that stand in the same place.
    pub(super) fn compare(&mut self, sent: &Tree<'_>, received: &Tree<'_>, path: &Path<'_>) {
        if sent.text == received.text || EIDS.iter().any(|eids| path.is(eids)) {
            self.differences += usize::from(sent.text != received.text);
            return;
        }
        let before = self.differences;
        match (&sent.node, &received.node) {
            (Node::Object(members), Node::Object(others)) => {
                // When the last member went, it took the white space on one side with it.
                let stays =
                    members.last().is_none_or(|last| others.iter().any(|o| o.written == last.written));
                if stays && sent.tail != received.tail {
                    self.find(Finding::Spacing, path);
                }
                self.members(members, others, path);
            }
            (Node::Scalar, Node::Object(made)) if sent.is_null() && is_made(path) => {
                self.members(&[], made, path);
            }
            (Node::Array(sent), Node::Array(received)) => self.items(sent, received, path),
            _ => self.changed(sent, received, path),
        }
        if self.differences == before {
            self.find(Finding::Spacing, path);
        }
    }

    fn members(&mut self, sent: &[Member<'_>], received: &[Member<'_>], path: &Path<'_>) {
        let pairs = paired(sent, received);
        let mut last = None;
        for (index, (member, found)) in sent.iter().zip(&pairs).enumerate() {
            let here = path.member(member.written);
            let Some(found) = *found else {
                self.removed(member, sent, &here);
                continue;
            };
            if last.is_some_and(|last| found < last) {
                self.find(Finding::Reordered, &here);
            }
            last = Some(found);
            let Some(other) = received.get(found) else { continue };
            let neighbours = match (index.checked_sub(1), found.checked_sub(1)) {
                (None, None) => true,
                (Some(index), Some(found)) => pairs.get(index) == Some(&Some(found)),
                _ => false,
            };
            if member.colon != other.colon || (neighbours && member.gap != other.gap) {
                self.find(Finding::Spacing, &here);
            }
            self.compare(&member.value, &other.value, &here);
        }
        let added = (0..received.len()).filter(|index| !pairs.contains(&Some(*index)));
        added.filter_map(|index| received.get(index)).for_each(|member| {
            self.added(member, &path.member(member.written));
        });
    }

    /// Elements in their order. Under `user`, those with DII may be gone.
    fn items(&mut self, sent: &[Tree<'_>], received: &[Tree<'_>], path: &Path<'_>) {
        let mut at = 0;
        for (index, item) in sent.iter().enumerate() {
            let here = path.item(index);
            let other = received.get(at);
            let spare = sent.len() - index > received.len().saturating_sub(at);
            let same = other.is_some_and(|other| other.text == item.text);
            if !same && spare && path.is_under_user() && accountable(&path.to_string(), item) {
                self.meant(Change::DiiCut);
                continue;
            }
            match other {
                Some(other) => self.compare(item, other, &here),
                None => self.find(Finding::Removed, &here),
            }
            at += 1;
        }
        (at..received.len()).for_each(|index| self.find(Finding::Added, &path.item(index)));
    }

    /// `beside`: the members of the object it stood in.
    fn removed(&mut self, member: &Member<'_>, beside: &[Member<'_>], path: &Path<'_>) {
        if HINTS.iter().any(|hint| path.is(hint)) {
            self.meant(Change::HintRemoved);
        } else if EIDS.iter().any(|eids| path.is(eids)) && !member.value.is_null() {
            self.differences += 1;
        } else if path.is_under_user() && self.is_dii(member, beside, path) {
            self.meant(Change::DiiCut);
        } else {
            self.find(Finding::Removed, path);
        }
    }

    fn is_dii(&self, member: &Member<'_>, beside: &[Member<'_>], path: &Path<'_>) -> bool {
        let name = member.name().unwrap_or_default();
        // A segment says in one member what the other holds: `{"name":"email_hash","value":…}`.
        let beside = beside.iter().filter(|other| other.is("name") || other.is("stype") || other.is("type"));
        let called = beside.filter_map(|other| other.value.string());
        let place = called.fold(path.to_string(), |place, called| place + " " + &called);
        let text = member.value.string().unwrap_or_default();
        may_be_cut("", &name)
            || accountable(&place, &member.value)
            || self.rules.known.is_in(&text)
            || (self.signals.hints && is_hash(&text))
    }

    fn added(&mut self, member: &Member<'_>, path: &Path<'_>) {
        if EIDS.iter().any(|eids| path.is(eids)) {
            self.differences += 1;
        } else if self.signals.gpc_header && path.is(GPC) && member.value.text == "\"1\"" {
            self.meant(Change::GpcFilled);
        } else {
            match member.value.members() {
                Some(made) if is_made(path) && !made.is_empty() => self.members(&[], made, path),
                _ => self.find(Finding::Added, path),
            }
        }
    }

    fn changed(&mut self, sent: &Tree<'_>, received: &Tree<'_>, path: &Path<'_>) {
        if path.is(&["tmax"]) {
            match (sent.number(), received.number()) {
                (Some(sent), Some(received)) if received <= sent => self.meant(Change::TmaxLowered),
                _ => self.find(Finding::TmaxRaised, path),
            }
        } else if path.is(GPC) && sent.is_null() && self.signals.gpc_header && received.text == "\"1\"" {
            self.meant(Change::GpcFilled);
        } else if path.is_under_user() && fewer_words(sent, received) {
            self.meant(Change::DiiCut);
        } else {
            self.find(Finding::Changed, path);
        }
    }
}

fn is_made(path: &Path<'_>) -> bool {
    MADE.iter().any(|made| path.is(made))
}

/// For each member that was sent, the one that arrived: the first of its name that is not taken.
fn paired(sent: &[Member<'_>], received: &[Member<'_>]) -> Vec<Option<usize>> {
    let mut taken = vec![false; received.len()];
    let pair = |member: &Member<'_>| {
        let mut others = received.iter().zip(&mut taken).enumerate();
        let (index, (_, taken)) =
            others.find(|(_, (other, taken))| !**taken && other.written == member.written)?;
        *taken = true;
        Some(index)
    };
    sent.iter().map(pair).collect()
}

/// Whether `received` is the list of words `sent`, but for some that may be cut.
fn fewer_words(sent: &Tree<'_>, received: &Tree<'_>) -> bool {
    let (Some(sent), Some(received)) = (sent.string(), received.string()) else { return false };
    let mut left = received.split(',').map(str::trim).peekable();
    let stays = sent.split(',').map(str::trim).all(|word| {
        let same = left.peek() == Some(&word);
        if same {
            left.next();
        }
        same || may_be_cut("", word)
    });
    stays && left.all(str::is_empty)
}
