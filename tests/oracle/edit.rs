//! The rules of an edit, done to a tree: OpenRTB 2.6 EIDs and their 2.5 place, as the `openrtb` module promises.
//!
//! * Both lists are one: `user.eids`, then those of `user.ext.eids` that it does not hold. Two entries are the same when
//!   source (case does not count), uids' ids and the text of inserter, matcher and mm are (a number is the same in
//!   quotes); entries without a source when they are written the same.
//! * Of the others, an entry of `user.ext.eids` with the source, inserter, matcher and mm of one of `user.eids` gives its
//!   uids to it, if each says nothing but that and its uids, however it is spelled; an id that is there is not repeated.
//! * Strip, then keep theirs, or put the new id into the first of its source, or append the new entry. `rtiPartner` is
//!   written with the new id, beside it or in the `ext` of uid or entry; an `ext` that is no object stays.
//! * Write where the dialect reads; as received: each list by itself, a new entry where they wrote one, else `user.eids`.
//! * Nothing stripped and nothing added: nothing moves.
//! * A wrong type, or more entries than are read: nothing is added, and what cannot be read goes with any strip.
//! * Our hints go, `user.id` and `tmax` as asked. `regs.ext.gpc` is written where it is missing or null, unless something
//!   is of a wrong type.

use std::cell::Cell;

use uid2_gateway::openrtb::{Dialect, NewEid, RtiPlace, Strip};

use super::Wish;
use super::tree::{Member, Node, Tree};

/// `user.eids`, `user.ext.eids`.
const PLACES: [Place; 2] = [Place::User, Place::Ext];

#[derive(Clone, Copy, PartialEq)]
enum Place {
    User,
    Ext,
}

/// One of the two members.
enum List {
    /// Missing or null.
    None,
    Entries(Vec<Tree>),
    /// No array, or one that is too long.
    Unreadable,
}

/// An entry, as each place spells it.
#[derive(Clone)]
struct Entry {
    user: Option<Tree>,
    ext: Option<Tree>,
    /// Uids that it takes over.
    more: Vec<Tree>,
}

/// Which of the seldom rules decided something.
#[derive(Default)]
pub(crate) struct Seen {
    /// A uid went into another entry.
    pub(crate) grouped: Cell<bool>,
    /// `rtiPartner` was written into the new entry.
    pub(crate) rti_ours: Cell<bool>,
    /// `rtiPartner` was written into one of theirs.
    pub(crate) rti_theirs: Cell<bool>,
    /// `gpc` was written.
    pub(crate) gpc: Cell<bool>,
}

/// What is wanted, once it is known what is possible.
struct Edit<'s> {
    dialect: Dialect,
    strip: Strip<'static>,
    add: Option<NewEid<'static>>,
    seen: &'s Seen,
}

/// The tree as it has to leave.
pub(crate) fn edited(input: &Tree, dialect: Dialect, wish: Wish, seen: &Seen) -> Tree {
    let mut tree = input.clone();
    let lists = lists(input, wish.max_eids);
    let wrong = wrong_type(input) || lists.iter().any(|list| matches!(list, List::Unreadable));
    let (dialect, add) = if wrong { (Dialect::AsReceived, None) } else { (dialect, wish.add) };
    let mut edit = Edit { dialect, strip: wish.strip, add: None, seen };
    let theirs_stays = |add: &NewEid<'_>| {
        let mut entries = lists.iter().filter_map(List::entries).flatten();
        entries.any(|entry| is_of(entry, add.source) && !edit.strips(entry))
    };
    edit.add = add.filter(|add| add.replace || !theirs_stays(add));
    if dialect == Dialect::AsReceived {
        edit.each_by_itself(&mut tree, &lists);
    } else {
        edit.both_as_one(&mut tree, &lists);
    }
    clean(&mut tree, wish);
    if wish.fill_gpc && !wrong {
        fill_gpc(&mut tree, seen);
    }
    tree
}

fn fill_gpc(tree: &mut Tree, seen: &Seen) {
    let there = tree.get("regs").and_then(|regs| regs.get("ext")?.get("gpc")?.unless_null());
    if there.is_none() {
        tree.object("regs").object("ext").set("gpc", Tree::parse(r#""1""#));
        seen.gpc.set(true);
    }
}

/// Objects of another type, where that forbids an addition.
fn wrong_type(tree: &Tree) -> bool {
    let at = |path: &[&str]| path.iter().try_fold(tree, |tree, name| tree.get(name));
    [&["user"][..], &["user", "ext"], &["regs"], &["regs", "ext"], &["device"]]
        .iter()
        .filter_map(|path| at(path)?.unless_null())
        .any(|value| value.members().is_none())
}

/// Both lists. `max` entries are read of them together, in the order of the text.
fn lists(tree: &Tree, max: usize) -> [List; 2] {
    let mut lists = [List::None, List::None];
    let mut read = 0;
    let mut list = |value: Option<&Tree>| match value.and_then(Tree::unless_null) {
        None => List::None,
        Some(Tree { node: Node::Array(items), .. }) => {
            read += items.len();
            if read > max && !items.is_empty() { List::Unreadable } else { List::Entries(items.clone()) }
        }
        Some(_) => List::Unreadable,
    };
    for member in tree.get("user").and_then(Tree::members).into_iter().flatten() {
        if member.is("eids") {
            lists[0] = list(Some(&member.value));
        } else if member.is("ext") {
            lists[1] = list(member.value.get("eids"));
        }
    }
    lists
}

impl List {
    fn entries(&self) -> Option<&Vec<Tree>> {
        match self {
            Self::Entries(entries) => Some(entries),
            _ => None,
        }
    }
}

impl Edit<'_> {
    fn strips(&self, entry: &Tree) -> bool {
        match self.strip {
            Strip::Nothing => false,
            Strip::All => true,
            // What has no readable source can be of any.
            Strip::Sources(sources) => {
                source(entry).is_none() || sources.iter().any(|source| is_of(entry, source))
            }
        }
    }

    fn each_by_itself(&self, tree: &mut Tree, lists: &[List; 2]) {
        // Theirs of this source stands in one place: it gets the new id there, and the other place nothing new.
        let is_theirs =
            |entry: &Tree| self.add.is_some_and(|add| is_of(entry, add.source)) && !self.strips(entry);
        let mut entries = lists.iter().filter_map(List::entries).flatten();
        let swaps = entries.any(is_theirs);
        for (place, list) in PLACES.into_iter().zip(lists) {
            match list {
                List::None => {}
                List::Unreadable if self.strip != Strip::Nothing => remove(tree, place),
                List::Unreadable => {}
                List::Entries(own) => {
                    let adds = !swaps || own.iter().any(is_theirs);
                    let edit = Edit { add: self.add.filter(|_| adds), ..*self };
                    let own = own.iter().map(|entry| Entry::at(place, entry)).collect();
                    if let Some(entries) = edit.applied(own) {
                        self.write(tree, place, &entries);
                    }
                }
            }
        }
        if let [List::None, List::None] = lists
            && let Some(entries) = self.applied(Vec::new())
        {
            self.write(tree, Place::User, &entries);
        }
    }

    fn both_as_one(&self, tree: &mut Tree, lists: &[List; 2]) {
        let Some(entries) = self.applied(self.united(lists)) else { return };
        if entries.iter().any(|entry| !entry.more.is_empty()) {
            self.seen.grouped.set(true);
        }
        for place in PLACES {
            let (reads, there) = match place {
                Place::User => (self.dialect != Dialect::V25, &lists[0]),
                Place::Ext => (self.dialect != Dialect::V26, &lists[1]),
            };
            let had = there.entries().map(Vec::len);
            match (reads, entries.is_empty()) {
                (true, false) => self.write(tree, place, &entries),
                // An empty list of theirs is no list that we emptied.
                (true, true) if had == Some(0) => {}
                _ if had.is_some() => remove(tree, place),
                _ => {}
            }
        }
    }

    /// The list stripped and added to; `None` when that changes nothing.
    fn applied(&self, mut entries: Vec<Entry>) -> Option<Vec<Entry>> {
        let before = entries.len();
        entries.retain(|entry| !self.strips(entry.any()));
        let Some(add) = self.add else { return (entries.len() != before).then_some(entries) };
        let mut of_source = entries.iter().map(|entry| is_of(entry.any(), add.source));
        let Some(first) = of_source.position(|is| is) else {
            entries.push(Entry::NEW);
            return Some(entries);
        };
        let mut nth = 0;
        entries.retain(|entry| {
            nth += 1;
            nth - 1 <= first || !is_of(entry.any(), add.source)
        });
        // Where the id cannot go into theirs, ours takes its place.
        let swapped = |entry: &Option<Tree>| self.swapped(entry.as_ref()?);
        let Entry { user, ext, .. } = &entries[first];
        entries[first] = Entry { user: swapped(user), ext: swapped(ext), more: Vec::new() };
        Some(entries)
    }

    /// Gives a place its list; an empty one goes.
    fn write(&self, tree: &mut Tree, place: Place, entries: &[Entry]) {
        if entries.is_empty() {
            remove(tree, place);
            return;
        }
        let spelled = |entry: &Entry| entry.spelled(place).unwrap_or_else(|| self.ours(place));
        let list = Tree::array(entries.iter().map(spelled).collect());
        let user = tree.object("user");
        let holder = if place == Place::User { user } else { user.object("ext") };
        holder.set("eids", list);
    }

    /// The new entry. Who put it there is said where 2.6 is read.
    fn ours(&self, place: Place) -> Tree {
        let add = self.add.expect("only asked for when something is added");
        let text = |text: &str| serde_json::to_string(text).unwrap();
        self.seen.rti_ours.set(self.seen.rti_ours.get() || add.rti_partner.is_some());
        let provenance = match add.inserter {
            Some(inserter) if place == Place::User || self.dialect == Dialect::Both => {
                format!(r#","inserter":{},"mm":3"#, text(inserter))
            }
            _ => String::new(),
        };
        let (source, id) = (text(add.source), text(add.id));
        let ours = format!(r#"{{"source":{source},"uids":[{{"id":{id},"atype":3}}]{provenance}}}"#);
        let mut ours = Tree::parse(&ours);
        partnered(&mut ours, &add);
        ours
    }

    /// The entry with the new id over its only one; `None` unless it has one uid, with an id.
    fn swapped(&self, entry: &Tree) -> Option<Tree> {
        let add = self.add?;
        let mut entry = entry.clone();
        let uid = only_uid(&mut entry)?;
        if !uid.get("id")?.is_string() {
            return None;
        }
        uid.set("id", Tree::parse(&serde_json::to_string(add.id).unwrap()));
        let before = entry.clone();
        partnered(&mut entry, &add);
        self.seen.rti_theirs.set(self.seen.rti_theirs.get() || entry != before);
        Some(entry)
    }

    /// `user.eids`, then what only `user.ext.eids` holds.
    fn united(&self, lists: &[List; 2]) -> Vec<Entry> {
        let of = |list: &List| list.entries().cloned().unwrap_or_default();
        let mut entries: Vec<Entry> =
            of(&lists[0]).iter().map(|entry| Entry::at(Place::User, entry)).collect();
        let theirs = entries.len();
        let mut others = Vec::new();
        for entry in of(&lists[1]) {
            let twin = |e: &Entry| e.user.as_ref().is_some_and(|u| same(u, &entry));
            if let Some(single) = entries.iter().position(|e| e.ext.is_none() && twin(e)) {
                entries[single].ext = Some(entry);
            } else if !entries.iter().any(twin) {
                others.push(entry);
            }
        }
        for entry in others {
            let akin: Vec<usize> = (0..theirs)
                .filter(|at| entries[*at].user.as_ref().is_some_and(|u| akin(u, &entry)))
                .collect();
            let Some(into) = akin.iter().find(|at| entries[**at].ext.as_ref().is_none_or(says_no_more))
            else {
                entries.push(Entry::at(Place::Ext, &entry));
                continue;
            };
            for uid in entry.get("uids").and_then(Tree::items).into_iter().flatten() {
                let mut there = akin.iter().flat_map(|at| entries[*at].uids()).filter_map(|uid| id(&uid));
                if id(uid).is_none_or(|id| !there.any(|there| there == id)) {
                    entries[*into].more.push(uid.clone());
                }
            }
        }
        entries
    }
}

impl Entry {
    const NEW: Self = Self { user: None, ext: None, more: Vec::new() };

    fn at(place: Place, entry: &Tree) -> Self {
        match place {
            Place::User => Self { user: Some(entry.clone()), ..Self::NEW },
            Place::Ext => Self { ext: Some(entry.clone()), ..Self::NEW },
        }
    }

    /// Its own and those it takes over.
    fn uids(&self) -> Vec<Tree> {
        let own = self.any().get("uids").and_then(Tree::items).cloned();
        own.unwrap_or_default().into_iter().chain(self.more.iter().cloned()).collect()
    }

    fn any(&self) -> &Tree {
        static NOTHING: std::sync::LazyLock<Tree> = std::sync::LazyLock::new(|| Tree::parse("null"));
        self.user.as_ref().or(self.ext.as_ref()).unwrap_or(&NOTHING)
    }

    /// As this place spells it, else as the other does; `None` for the new one.
    fn spelled(&self, place: Place) -> Option<Tree> {
        let (own, other) = match place {
            Place::User => (&self.user, &self.ext),
            Place::Ext => (&self.ext, &self.user),
        };
        let mut entry = own.as_ref().or(other.as_ref()).cloned()?;
        if let Some(Node::Array(uids)) = entry.get_mut("uids").map(|uids| &mut uids.node) {
            uids.extend(self.more.iter().cloned());
        }
        Some(entry)
    }
}

fn source(entry: &Tree) -> Option<String> {
    let source = entry.get("source").and_then(Tree::string)?.to_ascii_lowercase();
    let name = source.trim_matches([' ', '\t', '\n', '\r']);
    Some(name.strip_suffix('.').unwrap_or(name).to_owned())
}

fn is_of(entry: &Tree, wanted: &str) -> bool {
    source(entry).is_some_and(|source| source == wanted.to_ascii_lowercase())
}

fn id(uid: &Tree) -> Option<String> {
    uid.get("id")?.string()
}

/// Its ids, when every uid has one that can be read.
fn ids(entry: &Tree) -> Option<Vec<String>> {
    match entry.get("uids").and_then(Tree::unless_null) {
        None => Some(Vec::new()),
        Some(uids) => uids.items()?.iter().map(id).collect(),
    }
}

/// The same uids: by their ids, or as they are written where one cannot be read.
fn same_uids(a: &Tree, b: &Tree) -> bool {
    let written = |entry: &Tree| entry.get("uids").map(|uids| uids.written.clone());
    match (ids(a), ids(b)) {
        (Some(a), Some(b)) => a == b,
        _ => written(a) == written(b),
    }
}

/// What is said of how an id came to be.
const PROVENANCE: [&str; 3] = ["inserter", "matcher", "mm"];

fn provenance(entry: &Tree) -> [Option<String>; 3] {
    PROVENANCE.map(|name| {
        let written = &entry.get(name)?.unless_null()?.written;
        let quoted = written.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let number = quoted.filter(|text| text.parse::<serde_json::Number>().is_ok());
        Some(number.unwrap_or(written).to_owned())
    })
}

fn same(a: &Tree, b: &Tree) -> bool {
    match (source(a), source(b)) {
        (Some(x), Some(y)) => x == y && provenance(a) == provenance(b) && same_uids(a, b),
        (None, None) => a.written == b.written,
        _ => false,
    }
}

/// Two that can be one entry with the uids of both.
fn akin(a: &Tree, b: &Tree) -> bool {
    let plain = |entry| says_no_more(entry) && source(entry).is_some();
    plain(a) && plain(b) && source(a) == source(b) && provenance(a) == provenance(b)
}

/// Whether an entry has a list of uids, and nothing besides that and source and provenance.
fn says_no_more(entry: &Tree) -> bool {
    let known = |member: &Member| ["source", "uids"].iter().chain(&PROVENANCE).any(|name| member.is(name));
    entry.get("uids").is_some_and(|uids| uids.items().is_some())
        && entry.members().is_some_and(|members| members.iter().all(known))
}

fn only_uid(entry: &mut Tree) -> Option<&mut Tree> {
    match &mut entry.get_mut("uids")?.node {
        Node::Array(uids) if uids.len() == 1 => uids.first_mut(),
        _ => None,
    }
}

/// Says whose the only id of an entry is, where that was asked for.
fn partnered(entry: &mut Tree, add: &NewEid<'_>) {
    let Some(rti) = add.rti_partner else { return };
    let holder = match rti.place {
        RtiPlace::EidExt => entry,
        RtiPlace::UidExt | RtiPlace::UidFlat => only_uid(entry).expect("the one with the new id"),
    };
    let value = Tree::parse(&serde_json::to_string(rti.value).unwrap());
    if rti.place == RtiPlace::UidFlat {
        holder.set("rtiPartner", value);
    } else if holder.get("ext").and_then(Tree::unless_null).is_none_or(|ext| ext.members().is_some()) {
        holder.object("ext").set("rtiPartner", value);
    }
}

fn remove(tree: &mut Tree, place: Place) {
    let user = tree.get_mut("user");
    let holder = if place == Place::User { user } else { user.and_then(|user| user.get_mut("ext")) };
    if let Some(holder) = holder {
        holder.remove("eids");
    }
}

/// What goes in any case, and what goes as asked.
fn clean(tree: &mut Tree, wish: Wish) {
    if let Some(user) = tree.get_mut("user") {
        if wish.remove_user_id {
            user.remove("id");
        }
        if let Some(ext) = user.get_mut("ext") {
            ext.remove("uid2");
            ext.remove("publisher_user_id");
        }
    }
    let there = tree.get("tmax").and_then(Tree::unless_null).map(|tmax| tmax.written.clone());
    if let (Some(there), Some(wanted)) = (there, wish.tmax) {
        // The same number keeps its text.
        if there.parse() != Ok(wanted) {
            tree.set("tmax", Tree::parse(&wanted.to_string()));
        }
    }
}
