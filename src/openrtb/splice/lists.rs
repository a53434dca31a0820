//! What becomes of the two EID lists.

use std::collections::HashSet;
use std::hash::RandomState;

use smallvec::{SmallVec, smallvec};

use super::super::changes::Changes;
use super::super::eid::{Digest, Eid, Eids, Place};
use super::super::request::{BidRequest, Container, Member};
use super::super::scan::Kind;
use super::super::source::SourceName;
use super::fate::{Fate, Fates, Written};
use super::{Dialect, Edit, NewEid, Strip, entry, grouping};

/// Decides for both.
pub(super) fn fates(request: &BidRequest, edit: &Edit<'_>) -> Fates {
    let mut lists = Lists::of(request, edit);
    if lists.strip == Strip::Nothing && lists.add.is_none() {
        return Fates { user: Fate::Keep, ext: Fate::Keep };
    }
    match lists.dialect {
        Dialect::AsReceived => {
            let [user, ext] = Place::ALL.map(|place| lists.as_received(place));
            Fates { user, ext }
        }
        _ => lists.joined(),
    }
}

/// The lists of a request, and what is wanted of them.
struct Lists<'a> {
    request: &'a BidRequest,
    eids: Eids<'a>,
    dialect: Dialect,
    strip: Strip<'a>,
    /// The sources of the strip, when they are many.
    doomed: HashSet<SourceName<'a>>,
    add: Option<NewEid<'a>>,
    /// Entries of `user.ext.eids` whose uids go into one of `user.eids`: its index, and theirs.
    merged: Vec<(usize, usize)>,
    /// What the entries of `user.eids` are grouped by, as digests.
    groups: Vec<u64>,
}

/// An entry of the list to be written.
#[derive(Clone, Copy)]
enum Item {
    /// One that is there, by its index in either place, and whether the new id goes into it.
    Theirs { at: [Option<usize>; 2], swap: bool },
    /// The new one.
    Ours,
}

type Items = SmallVec<[Item; 8]>;

impl<'a> Lists<'a> {
    fn of(request: &'a BidRequest, edit: &Edit<'a>) -> Self {
        let (dialect, add) = match request.wrong_type() {
            Some(_) => (Dialect::AsReceived, None),
            None => (edit.dialect, edit.add),
        };
        let eids = request.eids();
        let (strip, doomed) = match edit.strip {
            Strip::Sources([]) => (Strip::Nothing, HashSet::new()),
            Strip::Sources(sources) if sources.len() > FEW_SOURCES => {
                (edit.strip, sources.iter().map(|source| SourceName::new(source)).collect())
            }
            strip => (strip, HashSet::new()),
        };
        let (merged, groups) = (Vec::new(), Vec::new());
        let mut lists = Self { request, eids, dialect, strip, doomed, add, merged, groups };
        lists.add = add.filter(|add| add.replace || !lists.stays(add.source));
        lists
    }

    /// Whether an entry of this source survives the strip.
    fn stays(&self, source: &str) -> bool {
        let mut eids = Place::ALL.into_iter().flat_map(|place| self.eids.of(place));
        eids.any(|eid| eid.is_of(source) && !self.strips(eid))
    }

    fn strips(&self, eid: Eid<'_>) -> bool {
        match self.strip {
            Strip::Nothing => false,
            Strip::Sources(sources) => match eid.name() {
                None => true,
                Some(name) if self.doomed.is_empty() => {
                    sources.iter().any(|source| name == SourceName::new(source))
                }
                Some(name) => self.doomed.contains(&name),
            },
            Strip::All => true,
        }
    }

    /// Both lists are one, and written as the dialect wants it.
    fn joined(&mut self) -> Fates {
        let (items, changed) = self.edited(&Place::ALL);
        if !changed {
            return Fates { user: Fate::Keep, ext: Fate::Keep };
        }
        let write = |place| self.written(place, &items);
        match self.dialect {
            Dialect::V25 => Fates { user: self.removed(Place::User), ext: write(Place::Ext) },
            Dialect::V26 => Fates { user: write(Place::User), ext: self.removed(Place::Ext) },
            Dialect::Both | Dialect::AsReceived => Fates { user: write(Place::User), ext: write(Place::Ext) },
        }
    }

    /// One list by itself.
    fn as_received(&mut self, place: Place) -> Fate {
        let Some(member) = self.member(place).filter(|member| member.kind != Kind::Null) else {
            let other = match place {
                Place::User => self.member(Place::Ext).filter(|member| member.kind != Kind::Null),
                Place::Ext => return Fate::Keep,
            };
            let (items, _) = self.edited(&[]);
            return if other.is_none() && self.add.is_some() {
                self.written(place, &items)
            } else {
                Fate::Keep
            };
        };
        // What we cannot read to its end can hold anything.
        if member.kind != Kind::Array || self.eids.is_cut(place) {
            return if self.strip == Strip::Nothing { Fate::Keep } else { Fate::Remove };
        }
        match self.edited(&[place]) {
            (items, true) => self.written(place, &items),
            (_, false) => Fate::Keep,
        }
    }

    /// The list these places make together, stripped and added to; and whether an identifier came or went.
    fn edited(&mut self, places: &[Place]) -> (Items, bool) {
        let mut items = self.union(places);
        let before = items.len();
        items.retain(|item| !self.entry(*item).is_some_and(|eid| self.strips(eid)));
        let stripped = items.len() != before;
        let Some(add) = self.add else { return (items, stripped) };
        let is_of = |item: &Item| self.entry(*item).is_some_and(|eid| eid.is_of(add.source));
        match items.iter().position(is_of) {
            Some(first) => {
                if let Some(Item::Theirs { swap, .. }) = items.get_mut(first) {
                    *swap = true;
                }
                let mut nth = 0;
                items.retain(|item| {
                    nth += 1;
                    nth - 1 <= first || !is_of(item)
                });
            }
            // Where each place keeps its own list, the id may have gone into an entry of the other.
            None if self.stays(add.source) => return (items, stripped),
            None => items.push(Item::Ours),
        }
        (items, true)
    }

    /// `user.eids`, then those of `user.ext.eids` that it does not hold; of those that it holds with other uids, only
    /// the uids.
    fn union(&mut self, places: &[Place]) -> Items {
        let mut items = Items::new();
        if places.contains(&Place::User) {
            let indices = 0..self.eids.entries(Place::User).len();
            items.extend(indices.map(|index| Item::Theirs { at: [Some(index), None], swap: false }));
        }
        if places.contains(&Place::Ext) {
            self.join(&mut items);
        }
        items
    }

    /// Joins `user.ext.eids` to the items, which are those of `user.eids` or none. Of long lists the entries are
    /// compared by digest before they are compared as they are: every pair of them is looked at.
    fn join(&mut self, items: &mut Items) {
        let few = items.len() * self.eids.entries(Place::Ext).len() <= FEW && self.are_short();
        let state = RandomState::new();
        let digest = |eid: Eid<'_>| if few { Digest::default() } else { eid.digest(&state) };
        let theirs: SmallVec<[(Eid<'_>, Digest); 8]> =
            self.eids.of(Place::User).take(items.len()).map(|eid| (eid, digest(eid))).collect();
        self.groups = theirs.iter().map(|(_, digest)| digest.group).collect();
        let mut others: SmallVec<[(usize, Eid<'_>, u64); 8]> = SmallVec::new();
        for (index, eid) in self.eids.of(Place::Ext).enumerate() {
            let digest = digest(eid);
            let same = |(of, d): &(Eid<'_>, Digest)| d.whole == digest.whole && of.same_as(eid);
            // One that stands twice in both places is two pairs, so that each place keeps its own.
            let single = |(item, theirs): &(&mut Item, &(Eid<'_>, Digest))| {
                own(**item, Place::Ext).is_none() && same(theirs)
            };
            if let Some((Item::Theirs { at: [_, ext], .. }, _)) = items.iter_mut().zip(&theirs).find(single) {
                *ext = Some(index);
            } else if !theirs.iter().any(same) {
                others.push((index, eid, digest.group));
            }
        }
        for (index, eid, group) in others {
            let akin = |(item, (of, d)): (&Item, &(Eid<'_>, Digest))| {
                d.group == group && of.groups_with(eid) && self.takes_uids(*item)
            };
            match items.iter().zip(&theirs).position(akin) {
                Some(into) => self.merged.push((into, index)),
                None => items.push(Item::Theirs { at: [None, Some(index)], swap: false }),
            }
        }
    }

    /// Whether the lists are so short that it does not matter how often their strings are decoded.
    fn are_short(&self) -> bool {
        let size = |place| self.member(place).map_or(0, |list| list.value.range().len());
        Place::ALL.into_iter().map(size).sum::<usize>() <= SHORT
    }

    /// Whether the uids of another entry would be at home in this one also as `user.ext.eids` spells it: there it may
    /// have no list of uids, or say more of them.
    fn takes_uids(&self, item: Item) -> bool {
        own(item, Place::Ext).and_then(|index| self.eids.nth(Place::Ext, index)).is_none_or(Eid::is_bare)
    }

    fn removed(&self, place: Place) -> Fate {
        match self.member(place) {
            Some(member) if member.kind != Kind::Null => Fate::Remove,
            _ => Fate::Keep,
        }
    }

    /// Writes the list to a place: in place if its own entries come first and in their order, else anew.
    fn written(&self, place: Place, items: &Items) -> Fate {
        if items.is_empty() {
            return if self.eids.entries(place).is_empty() { Fate::Keep } else { self.removed(place) };
        }
        let array = self.member(place).filter(|member| member.kind == Kind::Array);
        if let Some(array) = array.filter(|_| comes_first(place, items)) {
            return Fate::Entries(self.in_place(place, array, items));
        }
        Fate::Value(Written::new(self.room_for_ours(), |list| self.push_items(list, place, items.iter())))
    }

    fn in_place(&self, place: Place, array: Member, items: &Items) -> Changes {
        let text = self.request.body();
        let mut changes = Changes::default();
        let mut stays: SmallVec<[bool; 16]> = smallvec![false; self.eids.entries(place).len()];
        for index in items.iter().filter_map(|item| own(*item, place)) {
            if let Some(stays) = stays.get_mut(index) {
                *stays = true;
            }
        }
        let doomed = (0..).zip(self.eids.of(place)).zip(&stays).filter(|(_, stays)| !**stays);
        changes.remove(text, doomed.map(|((index, eid), _)| (eid.span(), index)));
        let mut survivors = 0;
        for item in items {
            let Some(index) = own(*item, place) else { continue };
            survivors += 1;
            let Some(eid) = self.eids.nth(place, index) else { continue };
            match item {
                Item::Theirs { swap: true, .. } => self.swap(&mut changes, place, eid),
                _ => changes.extend(self.grown(*item, eid)),
            }
        }
        if items.len() > survivors {
            let mut new = self.room_for_ours();
            new.push(',');
            self.push_items(&mut new, place, items.iter().filter(|item| own(**item, place).is_none()));
            let container = Container { span: array.value, items: 0 };
            changes.append_led(text, container, u32::from(survivors > 0), new);
        }
        changes
    }

    /// Puts the new id into an entry, or the new entry over one that has no id or several.
    fn swap(&self, changes: &mut Changes, place: Place, eid: Eid<'_>) {
        let Some(add) = self.add else { return };
        if let Some(swapped) = entry::swapped(self.request.body(), eid, &add) {
            changes.extend(swapped);
        } else {
            let mut new = String::new();
            self.push_ours(&mut new, place);
            changes.replace(eid.span(), new);
        }
    }

    /// What an entry takes over from those of the other place.
    fn grown(&self, item: Item, eid: Eid<'a>) -> Changes {
        let Item::Theirs { at: [Some(user), _], .. } = item else { return Changes::default() };
        if !self.merged.iter().any(|(into, _)| *into == user) {
            return Changes::default();
        }
        let group = self.groups.get(user);
        let grouped = self.eids.of(Place::User).zip(&self.groups).filter(|(_, of)| Some(*of) == group);
        let beside = grouped.map(|(other, _)| other).filter(|other| other.groups_with(eid));
        let merged = self.merged.iter().filter(|(into, _)| *into == user);
        let more = merged.filter_map(|(_, ext)| self.eids.nth(Place::Ext, *ext));
        grouping::grown(self.request.body(), eid, beside, more)
    }

    /// Room for the new entry and what stands around it.
    fn room_for_ours(&self) -> String {
        String::with_capacity(self.add.map_or(0, |add| Written::ROOM + entry::room(&add)))
    }

    /// Writes the items as a place has them, separated by commas.
    fn push_items<'i>(&self, out: &mut String, place: Place, items: impl Iterator<Item = &'i Item>) {
        for (nth, item) in items.enumerate() {
            if nth > 0 {
                out.push(',');
            }
            match (self.spelled(place, *item), item) {
                (Some(eid), Item::Theirs { swap: false, .. }) => {
                    out.push_str(as_str(&self.grown(*item, eid).applied(self.request.body(), eid.span())));
                }
                (Some(eid), _) => self.push_swapped(out, place, eid),
                (None, _) => self.push_ours(out, place),
            }
        }
    }

    /// An entry that moves, with the new id in it.
    fn push_swapped(&self, out: &mut String, place: Place, eid: Eid<'_>) {
        let text = self.request.body();
        match self.add.and_then(|add| entry::swapped(text, eid, &add)) {
            Some(swapped) => out.push_str(as_str(&swapped.applied(text, eid.span()))),
            None => self.push_ours(out, place),
        }
    }

    /// The new entry. Its provenance is an addition of 2.6: a reader of 2.5 does not get it, unless it is to get
    /// the very list of `user.eids`.
    fn push_ours(&self, out: &mut String, place: Place) {
        let provenance = place == Place::User || self.dialect == Dialect::Both;
        if let Some(add) = self.add {
            entry::push_ours(out, &add, provenance);
        }
    }

    /// The entry as this place spells it, else as the other does.
    fn spelled(&self, place: Place, item: Item) -> Option<Eid<'a>> {
        own(item, place).and_then(|index| self.eids.nth(place, index)).or_else(|| self.entry(item))
    }

    fn entry(&self, item: Item) -> Option<Eid<'a>> {
        match item {
            Item::Theirs { at: [Some(index), _], .. } => self.eids.nth(Place::User, index),
            Item::Theirs { at: [None, Some(index)], .. } => self.eids.nth(Place::Ext, index),
            Item::Theirs { at: [None, None], .. } | Item::Ours => None,
        }
    }

    fn member(&self, place: Place) -> Option<Member> {
        match place {
            Place::User => self.request.found.layout.user_eids,
            Place::Ext => self.request.found.layout.ext_eids,
        }
    }
}

/// So many comparisons cost less than a digest of every entry, in lists of so many bytes.
const FEW: usize = 64;
const SHORT: usize = 4096;
/// So many sources are compared one by one.
const FEW_SOURCES: usize = 8;

/// Whether the entries of this place come first among the items, in ascending order.
fn comes_first(place: Place, items: &Items) -> bool {
    let mut last = None;
    let mut others = false;
    items.iter().all(|item| {
        let Some(index) = own(*item, place) else {
            others = true;
            return true;
        };
        !others && last.replace(index).is_none_or(|last| last < index)
    })
}

/// The index of an item in a place, if it is one of its entries.
fn own(item: Item, place: Place) -> Option<usize> {
    match (item, place) {
        (Item::Theirs { at: [user, _], .. }, Place::User) => user,
        (Item::Theirs { at: [_, ext], .. }, Place::Ext) => ext,
        (Item::Ours, _) => None,
    }
}

/// The scan has checked the UTF-8 of the whole body, and these slices begin and end at ASCII characters.
fn as_str(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
