//! The rules of an edit, done to a tree: OpenRTB 2.6 EIDs and their 2.5 place, as the `openrtb` module promises.
//!
//! * Both lists are one: `user.eids`, then those of `user.ext.eids` that it does not hold. Two entries are the same when
//!   source (case does not count), uids' ids and the text of inserter, matcher and mm are; entries without a source when
//!   they are written the same.
//! * Strip, then keep theirs, or put the new id into the first of its source, or append the new entry.
//! * Write where the dialect reads; as received: each list by itself, a new entry where they wrote one, else `user.eids`.
//! * Nothing stripped and nothing added: nothing moves.
//! * A wrong type, or more entries than are read: nothing is added, and what cannot be read goes with any strip.
//! * Our hints go, `user.id` and `tmax` as asked.

use uid2_gateway::openrtb::{Dialect, NewEid, Strip};

use super::Wish;
use super::tree::{Node, Tree};

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
}

/// What is wanted, once it is known what is possible.
struct Edit {
    dialect: Dialect,
    strip: Strip<'static>,
    add: Option<NewEid<'static>>,
}

/// The tree as it has to leave.
pub(crate) fn edited(input: &Tree, dialect: Dialect, wish: Wish) -> Tree {
    let mut tree = input.clone();
    let lists = lists(input, wish.max_eids);
    let wrong = wrong_type(input) || lists.iter().any(|list| matches!(list, List::Unreadable));
    let (dialect, add) = if wrong { (Dialect::AsReceived, None) } else { (dialect, wish.add) };
    let mut edit = Edit { dialect, strip: wish.strip, add: None };
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
    tree
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

impl Edit {
    fn strips(&self, entry: &Tree) -> bool {
        match self.strip {
            Strip::Nothing => false,
            Strip::All => true,
            Strip::Sources(sources) => sources.iter().any(|source| is_of(entry, source)),
        }
    }

    fn each_by_itself(&self, tree: &mut Tree, lists: &[List; 2]) {
        for (place, list) in PLACES.into_iter().zip(lists) {
            match list {
                List::None => {}
                List::Unreadable if self.strip != Strip::Nothing => remove(tree, place),
                List::Unreadable => {}
                List::Entries(own) => {
                    let own = own.iter().map(|entry| Entry::at(place, entry)).collect();
                    if let Some(entries) = self.applied(own) {
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
        let Some(entries) = self.applied(united(lists)) else { return };
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
            entries.push(Entry { user: None, ext: None });
            return Some(entries);
        };
        let mut nth = 0;
        entries.retain(|entry| {
            nth += 1;
            nth - 1 <= first || !is_of(entry.any(), add.source)
        });
        // Where the id cannot go into theirs, ours takes its place.
        let swapped = |entry: &Option<Tree>| entry.as_ref().and_then(|entry| swapped(entry, add.id));
        entries[first] = Entry { user: swapped(&entries[first].user), ext: swapped(&entries[first].ext) };
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
        let provenance = match add.inserter {
            Some(inserter) if place == Place::User || self.dialect == Dialect::Both => {
                format!(r#","inserter":{},"mm":3"#, text(inserter))
            }
            _ => String::new(),
        };
        let (source, id) = (text(add.source), text(add.id));
        Tree::parse(&format!(r#"{{"source":{source},"uids":[{{"id":{id},"atype":3}}]{provenance}}}"#))
    }
}

impl Entry {
    fn at(place: Place, entry: &Tree) -> Self {
        match place {
            Place::User => Self { user: Some(entry.clone()), ext: None },
            Place::Ext => Self { user: None, ext: Some(entry.clone()) },
        }
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
        own.as_ref().or(other.as_ref()).cloned()
    }
}

/// `user.eids`, then what only `user.ext.eids` holds.
fn united(lists: &[List; 2]) -> Vec<Entry> {
    let of = |list: &List| list.entries().cloned().unwrap_or_default();
    let mut entries: Vec<Entry> = of(&lists[0]).iter().map(|entry| Entry::at(Place::User, entry)).collect();
    let theirs = entries.len();
    for entry in of(&lists[1]) {
        let twin = entries[..theirs].iter_mut().find(|e| e.user.as_ref().is_some_and(|u| same(u, &entry)));
        match twin {
            Some(twin) => {
                twin.ext.get_or_insert(entry);
            }
            None => entries.push(Entry::at(Place::Ext, &entry)),
        }
    }
    entries
}

fn source(entry: &Tree) -> Option<String> {
    entry.get("source").and_then(Tree::string).map(|source| source.to_ascii_lowercase())
}

fn is_of(entry: &Tree, wanted: &str) -> bool {
    source(entry).is_some_and(|source| source == wanted.to_ascii_lowercase())
}

/// The readable ids, and how many uids there are.
fn ids(entry: &Tree) -> (Vec<String>, usize) {
    let uids = entry.get("uids").and_then(Tree::items).map(Vec::as_slice).unwrap_or_default();
    let ids = uids.iter().filter_map(|uid| uid.get("id")?.string());
    (ids.collect(), uids.len())
}

fn same(a: &Tree, b: &Tree) -> bool {
    let said = |entry: &Tree| {
        ["inserter", "matcher", "mm"]
            .map(|name| entry.get(name).and_then(Tree::unless_null).map(|v| v.written.clone()))
    };
    match (source(a), source(b)) {
        (Some(x), Some(y)) => x == y && said(a) == said(b) && ids(a) == ids(b),
        (None, None) => a.written == b.written,
        _ => false,
    }
}

/// The entry with the new id over its only one; `None` unless it has one uid, with an id.
fn swapped(entry: &Tree, id: &str) -> Option<Tree> {
    let mut entry = entry.clone();
    let Some(Node::Array(uids)) = entry.get_mut("uids").map(|uids| &mut uids.node) else { return None };
    let [uid] = uids.as_mut_slice() else { return None };
    if !uid.get("id")?.is_string() {
        return None;
    }
    uid.set("id", Tree::parse(&serde_json::to_string(id).unwrap()));
    Some(entry)
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
