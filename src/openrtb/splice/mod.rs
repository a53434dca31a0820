//! Edits as splices: which bytes of the inbound request an SSP gets to see otherwise.
//!
//! What is not edited is not copied, let alone re-written: a [`Plan`] is a list of byte ranges and their replacements,
//! and [`Plan::segments`] gives slices of the inbound body around them. A plan without changes gives the body itself.
//!
//! The two places of EIDs are one list to us (a 2.6 reader drops `user.ext.eids` when `user.eids` exists, so writing
//! one place alone can lose the publisher's ids): both are joined, edited, and written as the SSP's dialect wants it.
//! But only when an identifier comes or goes; otherwise the lists stay where they stand.

mod entry;
mod fate;
mod gpc;
mod grouping;
mod lists;

use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

pub use self::entry::{RtiPartner, RtiPlace};
use self::fate::Fate;
use super::changes::{Change, Changes};
use super::request::{BidRequest, Container, Member};

/// Where an SSP looks for EIDs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// `user.ext.eids`.
    V25,
    /// `user.eids`.
    V26,
    /// Both, with the same list. An entry that was in both keeps the spelling it had in each.
    Both,
    /// Each place keeps its own list; what is new goes where the publisher wrote one, else to `user.eids`.
    AsReceived,
}

/// What is wanted for one SSP.
#[derive(Clone, Copy)]
pub struct Edit<'a> {
    /// Where the SSP looks for EIDs.
    pub dialect: Dialect,
    /// EIDs to remove.
    pub strip: Strip<'a>,
    /// The EID to add. Left out when an entry of its source stays and `replace` is off.
    pub add: Option<NewEid<'a>>,
    /// Whether `user.id` goes.
    pub remove_user_id: bool,
    /// Whether `regs.ext.gpc` is written where it is absent.
    pub fill_gpc: bool,
}

/// Which EIDs are removed, in both places. An `eids` that is no array, or longer than we read
/// ([`Limits::max_eids`](super::Limits::max_eids)), and an entry without a readable source can be anything: they go with
/// any of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strip<'a> {
    /// None.
    Nothing,
    /// Those of these sources, however they are spelled ([`SourceName`](super::SourceName)).
    Sources(&'a [&'a str]),
    /// All, the unreadable included.
    All,
}

/// An EID to be written.
#[derive(Clone, Copy)]
pub struct NewEid<'a> {
    /// `source`.
    pub source: &'a str,
    /// The id of its only uid, with `atype` 3 (person-based).
    pub id: &'a str,
    /// `inserter`, written with `mm` 3 (authenticated) where 2.6 is read.
    pub inserter: Option<&'a str>,
    /// `rtiPartner`, for SSPs that ask for it.
    pub rti_partner: Option<RtiPartner<'a>>,
    /// Put the id into the entry of this source that is there, instead of leaving that entry alone.
    pub replace: bool,
}

/// Ids are never logged.
impl fmt::Debug for NewEid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEid").field("source", &self.source).finish_non_exhaustive()
    }
}

/// The changes for one SSP, or for several that want the same.
#[derive(Clone, Default)]
pub struct Plan {
    changes: Changes,
}

/// Bodies are never logged: only the number of changes shows.
impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("changes", &self.changes.as_slice().len()).finish()
    }
}

/// Plans an edit. Our hints `user.ext.uid2` and `user.ext.publisher_user_id` always go.
///
/// To a request with a member of a wrong type or too long a list ([`BidRequest::wrong_type`]) nothing is added, and its lists stay in
/// their places.
pub fn plan(request: &BidRequest, edit: &Edit<'_>) -> Plan {
    let mut draft = Draft { request, text: request.body(), changes: Changes::default() };
    let fates = lists::fates(request, edit);
    let ext = draft.ext(fates.ext);
    draft.user(fates.user, ext, edit.remove_user_id);
    if edit.fill_gpc {
        gpc::fill(request, &mut draft.changes);
    }
    draft.changes.sort();
    Plan { changes: draft.changes }
}

impl Plan {
    /// Nothing changes but, possibly, `tmax`.
    pub fn is_noop(&self) -> bool {
        self.changes.is_empty()
    }

    /// The outgoing body, of the request this was planned for. A `tmax` in milliseconds is written over the one that
    /// is there; where none is, none is added.
    pub fn segments(&self, request: &BidRequest, tmax: Option<u64>) -> SmallVec<[Bytes; 8]> {
        let changes = self.changes.as_slice();
        let clock = tmax_change(request, tmax);
        let at =
            clock.as_ref().map_or(0, |clock| changes.partition_point(|c| c.span.start < clock.span.start));
        let (before, after) = changes.split_at_checked(at).unwrap_or_default();
        let mut out = SmallVec::new();
        let mut from = 0;
        for Change { span, with } in before.iter().cloned().chain(clock).chain(after.iter().cloned()) {
            push(&mut out, slice(request.body(), from, span.start as usize));
            push(&mut out, with);
            from = span.end as usize;
        }
        push(&mut out, slice(request.body(), from, request.body().len()));
        out
    }
}

fn tmax_change(request: &BidRequest, tmax: Option<u64>) -> Option<Change> {
    let (there, wanted) = (request.found.layout.tmax?, tmax?);
    (there.millis != wanted).then(|| Change { span: there.span, with: Bytes::from(wanted.to_string()) })
}

fn push(out: &mut SmallVec<[Bytes; 8]>, segment: Bytes) {
    if !segment.is_empty() {
        out.push(segment);
    }
}

/// A slice that cannot panic, should a plan be given another request than its own.
fn slice(body: &Bytes, from: usize, to: usize) -> Bytes {
    let to = to.min(body.len());
    body.slice(from.min(to)..to)
}

/// Changes being gathered.
struct Draft<'a> {
    request: &'a BidRequest,
    text: &'a [u8],
    changes: Changes,
}

impl Draft<'_> {
    /// Edits inside `user.ext`; returns the member to be made when it has to be created.
    fn ext(&mut self, eids: Fate) -> Option<String> {
        let layout = &self.request.found.layout;
        let Some(object) = layout.ext_object else {
            return match eids {
                Fate::Value(list) => Some([r#"{"eids":"#, list.value(), "}"].concat()),
                _ => None,
            };
        };
        let (gone, new) = self.list(layout.ext_eids, eids);
        self.members(object, [gone, layout.ext_uid2, layout.ext_publisher_user_id], new);
        None
    }

    /// Edits inside `user`, creating it if need be. `ext` is the value of an `ext` that has to be created.
    fn user(&mut self, eids: Fate, ext: Option<String>, remove_id: bool) {
        let layout = &self.request.found.layout;
        let (gone, mut new) = self.list(layout.user_eids, eids);
        let id = layout.user_id.filter(|_| remove_id);
        match (ext, layout.user_ext) {
            (Some(ext), Some(null)) => self.changes.replace(null.value, ext),
            (Some(ext), None) => {
                let before = new.as_deref().unwrap_or_default();
                new = Some([before, br#","ext":"#, ext.as_bytes()].concat().into());
            }
            (None, _) => {}
        }
        match (layout.user_object, layout.user) {
            (Some(object), _) => self.members(object, [gone, id, None], new),
            (None, user) => {
                let Some(members) = new.as_deref().and_then(|new| new.get(1..)) else { return };
                if let Some(null) = user {
                    self.changes.replace(null.value, [b"{".as_slice(), members, b"}"].concat());
                } else {
                    let user = [br#","user":{"#.as_slice(), members, b"}"].concat();
                    self.changes.append_led(self.text, layout.root, layout.root.items, user);
                }
            }
        }
    }

    /// Edits a list: the member to be removed, and the one to be made, led by a comma.
    fn list(&mut self, member: Option<Member>, fate: Fate) -> (Option<Member>, Option<Bytes>) {
        match (fate, member) {
            (Fate::Remove, member) => return (member, None),
            (Fate::Value(list), Some(member)) => self.changes.replace(member.value, list.into_value()),
            (Fate::Value(list), None) => return (None, Some(list.into_member())),
            (Fate::Entries(entries), _) => self.changes.extend(entries),
            (Fate::Keep, _) => {}
        }
        (None, None)
    }

    /// Removes members of one object, and appends those that are led by a comma.
    fn members(&mut self, object: Container, doomed: [Option<Member>; 3], new: Option<Bytes>) {
        let mut doomed: SmallVec<[Member; 3]> = doomed.into_iter().flatten().collect();
        doomed.sort_by_key(|member| member.index);
        let gone = u32::try_from(doomed.len()).unwrap_or(u32::MAX);
        self.changes.remove(self.text, doomed.iter().map(|member| (member.span, member.index)));
        if let Some(new) = new {
            self.changes.append_led(self.text, object, object.items.saturating_sub(gone), new);
        }
    }
}

#[cfg(test)]
mod tests;
