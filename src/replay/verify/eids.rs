//! EIDs: the lists that were sent, of both places, against those that arrived. Each entry that arrived is one of theirs,
//! one of theirs with others' uids, or ours; each that was sent arrived, or something says why not.

use std::collections::BTreeSet;

use super::content::{Change, Finding};
use super::diff::{Diff, EIDS};
use super::dii::accountable;
use super::path::Path;
use super::token::{self, OURS};
use super::tree::{Member, Tree};
use super::{Dialect, Expect};

/// Besides the sources of tokens, the one that carries them under another name: what privacy takes out even where others
/// stay.
const COUSIN: &str = "adserver.org";

/// One EID.
pub(super) struct Eid<'t> {
    /// Index into [`EIDS`], and in the list there.
    pub(super) place: (usize, usize),
    pub(super) tree: &'t Tree<'t>,
    /// In lower case, without what does not count.
    pub(super) source: Option<String>,
}

/// Where an entry that arrived comes from.
enum Origin {
    /// It is the first of these, with uids of the others.
    Theirs(Vec<usize>),
    /// One of theirs, with our id.
    Swapped(usize),
    /// We made it.
    New,
    /// Nobody's.
    Nowhere,
}

/// The comparison of the lists.
struct Lists<'t, 'd, 'r> {
    diff: &'d mut Diff<'r>,
    /// Of both places, in order.
    sent: Vec<Eid<'t>>,
    /// Which of them arrived, per place.
    arrived: [BTreeSet<usize>; 2],
    /// Entries of ours, per place.
    ours: [usize; 2],
}

/// Judges both places; whether a token arrived.
pub(super) fn judge(before: &Tree<'_>, after: &Tree<'_>, expect: Expect, diff: &mut Diff<'_>) -> bool {
    let (was, is) = (EIDS.map(|place| before.at(place)), EIDS.map(|place| after.at(place)));
    let (sent, received) = (entries(was), entries(is));
    let has_token = token::judge(&sent, &received, expect, diff);
    if was.map(|list| list.map(|list| list.text)) == is.map(|list| list.map(|list| list.text)) {
        return has_token;
    }
    let mut lists = Lists { diff, sent, arrived: [BTreeSet::new(), BTreeSet::new()], ours: [0; 2] };
    for (place, (was, is)) in was.into_iter().zip(is).enumerate() {
        lists.shape(place, was, is);
        let own = received.iter().filter(|eid| eid.place.0 == place);
        lists.list(place, own.collect());
    }
    lists.our_place(was.map(|list| list.is_some()));
    lists.lost(&received, has_token, before);
    has_token
}

impl Eid<'_> {
    /// Whether this is its source.
    pub(super) fn is_of(&self, source: &str) -> bool {
        self.source.as_deref() == Some(source)
    }

    /// Whether it is UID2 or EUID.
    pub(super) fn is_ours(&self) -> bool {
        OURS.iter().any(|source| self.is_of(source))
    }

    pub(super) fn uids(&self) -> &[Tree<'_>] {
        self.tree.get("uids").and_then(Tree::items).unwrap_or_default()
    }

    /// Ids as text.
    pub(super) fn ids(&self) -> impl Iterator<Item = String> {
        self.uids().iter().filter_map(|uid| uid.get("id")?.string())
    }

    /// Everything but the uids, as it is written.
    fn frame(&self) -> impl Iterator<Item = (&str, &str)> {
        let members = self.tree.members().unwrap_or_default().iter().filter(|member| !member.is("uids"));
        members.map(|Member { written, value, .. }| (*written, value.text))
    }

    /// Calls `then` with where it stands.
    pub(super) fn at<T>(&self, then: impl FnOnce(&Path<'_>) -> T) -> T {
        at(self.place.0, |list| then(&list.item(self.place.1)))
    }
}

/// Calls `then` with a place of EIDs.
fn at<T>(place: usize, then: impl FnOnce(&Path<'_>) -> T) -> T {
    let user = Path::ROOT.member("\"user\"");
    let ext = user.member("\"ext\"");
    let holder = if place == 0 { user } else { ext };
    then(&holder.member("\"eids\""))
}

fn entries<'t>(lists: [Option<&'t Tree<'t>>; 2]) -> Vec<Eid<'t>> {
    let of = |(place, list): (usize, Option<&'t Tree<'t>>)| {
        let items = list.and_then(Tree::items).unwrap_or_default();
        let eid = move |(index, tree): (usize, &'t Tree<'t>)| Eid {
            place: (place, index),
            tree,
            source: source(tree),
        };
        items.iter().enumerate().map(eid)
    };
    lists.into_iter().enumerate().flat_map(of).collect()
}

fn source(entry: &Tree<'_>) -> Option<String> {
    let source = entry.get("source")?.string()?.to_ascii_lowercase();
    let name = source.trim_matches([' ', '\t', '\n', '\r']);
    Some(name.strip_suffix('.').unwrap_or(name).to_owned())
}

/// Whether the same stands behind the last entry, unless that is gone.
fn same_tail(was: &Tree<'_>, is: &Tree<'_>) -> bool {
    let last = was.items().and_then(<[Tree<'_>]>::last);
    let stays =
        last.is_none_or(|last| is.items().unwrap_or_default().iter().any(|item| item.text == last.text));
    !stays || was.tail == is.tail
}

/// Whether two entries that stand next to each other in both lists have the same between them.
fn same_gaps(was: &Tree<'_>, is: &Tree<'_>) -> bool {
    let pairs = |list: &Tree<'_>| -> Vec<(String, String, String)> {
        let items = list.items().unwrap_or_default();
        let pair = |(a, b): (&Tree<'_>, &Tree<'_>)| (a.text.to_owned(), b.text.to_owned(), b.gap.to_owned());
        items.iter().zip(items.iter().skip(1)).map(pair).collect()
    };
    let was_pairs = pairs(was);
    pairs(is).into_iter().all(|(a, b, gap)| {
        let mut same = was_pairs.iter().filter(|(x, y, _)| *x == a && *y == b).peekable();
        same.peek().is_none() || same.any(|(.., was)| *was == gap)
    })
}

impl Lists<'_, '_, '_> {
    /// Lists that are none, and white space around entries.
    fn shape(&mut self, place: usize, was: Option<&Tree<'_>>, is: Option<&Tree<'_>>) {
        let items = |list: Option<&Tree<'_>>| list.is_some_and(|list| list.items().is_some());
        let finding = match (was, is) {
            (Some(was), None) if was.items().is_none() => {
                // What cannot be read can be anything: it goes with whatever has to go.
                self.diff.meant(Change::EidsStripped);
                return;
            }
            (Some(was), Some(is)) if was.text == is.text => return,
            (Some(_), Some(_)) if items(was) && items(is) => Finding::Spacing,
            (Some(_) | None, Some(_)) if !items(is) || was.is_some() => Finding::EidChanged,
            _ => return,
        };
        let spaced = was.zip(is).is_some_and(|(was, is)| !same_tail(was, is) || !same_gaps(was, is));
        if finding == Finding::EidChanged || spaced {
            at(place, |path| self.diff.find(finding, path));
        }
    }

    /// The entries that arrived in one place.
    fn list(&mut self, place: usize, received: Vec<&Eid<'_>>) {
        let mut last = 0;
        for eid in received {
            let first = match self.origin(place, eid) {
                Origin::Theirs(from) => {
                    if from.len() > 1 || from.iter().any(|from| self.sent[*from].place.0 != place) {
                        self.diff.meant(Change::EidsMoved);
                    }
                    self.arrived[place].extend(&from);
                    from.first().copied()
                }
                Origin::Swapped(from) => {
                    self.ours[place] += 1;
                    self.diff.meant(Change::TokenReplaced);
                    self.arrived[place].insert(from);
                    Some(from)
                }
                Origin::New => {
                    self.ours[place] += 1;
                    None
                }
                Origin::Nowhere => {
                    eid.at(|path| self.diff.find(self.misfit(eid), path));
                    None
                }
            };
            if first.is_some_and(|first| first < last) {
                eid.at(|path| self.diff.find(Finding::EidOrder, path));
            }
            last = first.unwrap_or(last);
        }
    }

    fn misfit(&self, eid: &Eid<'_>) -> Finding {
        let known = self.sent.iter().any(|sent| sent.source == eid.source && sent.tree.text != eid.tree.text);
        if eid.is_ours() {
            Finding::TokenMalformed
        } else if known {
            Finding::EidChanged
        } else {
            Finding::EidAdded
        }
    }

    fn origin(&self, place: usize, eid: &Eid<'_>) -> Origin {
        let sent = || self.sent.iter().enumerate();
        let same = |(at, sent): &(usize, &Eid<'_>)| {
            sent.tree.text == eid.tree.text && !self.arrived[place].contains(at)
        };
        if let Some((at, _)) = sent().find(same) {
            return Origin::Theirs(vec![at]);
        }
        if let Some(from) = sent().find_map(|(at, sent)| self.grouped(at, sent, eid)) {
            return Origin::Theirs(from);
        }
        let damaged = self.sent.iter().any(|sent| token::is_damaged_copy(sent, eid));
        if eid.is_ours() && self.ours[place] == 0 && !damaged {
            if token::is_new(eid) {
                return Origin::New;
            }
            if let Some((at, _)) = sent().find(|(_, sent)| token::is_swapped(sent, eid, self.diff)) {
                return Origin::Swapped(at);
            }
        }
        let cut = |(_, sent): &(usize, &Eid<'_>)| {
            let mut inside = Diff::new(self.diff.rules, self.diff.signals);
            eid.at(|path| inside.compare(sent.tree, eid.tree, path));
            sent.source == eid.source && sent.tree.text != eid.tree.text && inside.findings.is_empty()
        };
        sent().find(cut).map_or(Origin::Nowhere, |(at, _)| Origin::Theirs(vec![at]))
    }

    /// Whether `eid` is the entry `sent` with uids of others that say the same of themselves.
    fn grouped(&self, at: usize, sent: &Eid<'_>, eid: &Eid<'_>) -> Option<Vec<usize>> {
        let own = sent.uids();
        let more = eid.uids().get(own.len()..)?;
        let begins = own.iter().zip(eid.uids()).all(|(a, b)| a.text == b.text);
        if more.is_empty() || !begins || !sent.frame().eq(eid.frame()) {
            return None;
        }
        let others = self
            .sent
            .iter()
            .enumerate()
            .filter(|(other, theirs)| *other != at && theirs.source == sent.source);
        let mut from = vec![at];
        for (other, theirs) in others {
            if theirs.uids().iter().any(|uid| more.iter().any(|more| more.text == uid.text)) {
                from.push(other);
            }
        }
        let known = |more: &Tree<'_>| {
            let mut others = from.iter().skip(1).flat_map(|other| self.sent[*other].uids());
            others.any(|uid| uid.text == more.text)
        };
        more.iter().all(known).then_some(from)
    }

    /// Whether what we wrote is where the dialect has it. `was`: where they wrote lists.
    fn our_place(&mut self, was: [bool; 2]) {
        let ours = self.ours.map(|count| count > 0);
        if ours == [false; 2] {
            return;
        }
        self.diff.meant(if self.diff.changes.contains(&Change::TokenReplaced) {
            Change::TokenReplaced
        } else {
            Change::TokenAdded
        });
        let right = match self.diff.rules.dialect {
            None => true,
            Some(Dialect::V26) => ours == [true, false],
            Some(Dialect::V25) => ours == [false, true],
            Some(Dialect::Both) => ours == [true, true],
            Some(Dialect::AsReceived) => match was {
                [false, false] => ours == [true, false],
                was => ours.iter().zip(was).all(|(ours, was)| !ours || was),
            },
        };
        if !right {
            let place = usize::from(!ours[0]);
            at(place, |path| self.diff.find(Finding::TokenPlace, path));
        }
    }

    /// What was sent and did not arrive.
    fn lost(&mut self, received: &[Eid<'_>], has_token: bool, before: &Tree<'_>) {
        let held_back = before.at(&["ext", "prebid", "data", "eidpermissions"]).is_some();
        let signals = self.diff.signals;
        let stripped = signals.any && (signals.gdpr || received.iter().all(Eid::is_ours));
        let both = self.diff.rules.dialect == Some(Dialect::Both);
        let each = [Some(0), Some(1)];
        for place in if both { &each[..] } else { &[None] } {
            for at in 0..self.sent.len() {
                let eid = &self.sent[at];
                if self.has_arrived(at, *place, received) {
                    continue;
                }
                let change = if eid.is_ours() || eid.source.is_none() || (eid.is_of(COUSIN) && !has_token) {
                    Change::EidsStripped
                } else if held_back {
                    Change::EidsHeldBack
                } else if stripped {
                    Change::EidsStripped
                } else if accountable("user.eids", eid.tree) {
                    Change::DiiCut
                } else {
                    eid.at(|path| self.diff.find(Finding::EidLost, path));
                    continue;
                };
                self.diff.meant(change);
            }
        }
    }

    /// Whether an entry arrived in a place, or in any: as it was, or in others that say all of its ids.
    fn has_arrived(&self, at: usize, place: Option<usize>, received: &[Eid<'_>]) -> bool {
        let in_place = |number: usize| place.is_none_or(|place| place == number);
        let mut arrived = self.arrived.iter().enumerate();
        let eid = &self.sent[at];
        arrived.any(|(number, arrived)| in_place(number) && arrived.contains(&at)) || {
            let akin: Vec<String> = received
                .iter()
                .filter(|other| in_place(other.place.0) && other.source == eid.source)
                .flat_map(|other| other.ids().collect::<Vec<_>>())
                .collect();
            let mut ids = eid.ids().peekable();
            ids.peek().is_some() && ids.all(|id| akin.contains(&id))
        }
    }
}
