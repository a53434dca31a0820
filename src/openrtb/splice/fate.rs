//! What becomes of an EID list, and how a new one is written: once, into one piece of memory.

use bytes::Bytes;

use super::super::changes::Changes;

/// What becomes of `user.eids` and of `user.ext.eids`.
pub(super) struct Fates {
    pub user: Fate,
    pub ext: Fate,
}

/// What becomes of one of them.
pub(super) enum Fate {
    /// It stays as it is.
    Keep,
    /// The member goes.
    Remove,
    /// Its entries change in place.
    Entries(Changes),
    /// This array is its value, whether the member is there or not.
    Value(Written),
}

/// A list as it is written, with what comes before it in an object that has other members: made once, cut to where it
/// goes.
pub(super) struct Written(String);

const LEAD: &str = r#","eids":"#;

impl Written {
    /// Bytes that stand around the items.
    pub(super) const ROOM: usize = LEAD.len() + 2;

    /// Writes a list into an empty string.
    pub(super) fn new(mut room: String, push_items: impl FnOnce(&mut String)) -> Self {
        room.extend([LEAD, "["]);
        push_items(&mut room);
        room.push(']');
        Self(room)
    }

    /// `,"eids":[…]`.
    pub(super) fn into_member(self) -> Bytes {
        self.0.into()
    }

    /// The list alone.
    pub(super) fn into_value(self) -> Bytes {
        Bytes::from(self.0).slice(LEAD.len()..)
    }

    /// The list alone.
    pub(super) fn value(&self) -> &str {
        self.0.get(LEAD.len()..).unwrap_or_default()
    }
}
