//! The guard under `user`: directly identifying information (DII) and raw UID2s do not leave.
//!
//! What is DII: a plain e-mail address anywhere in a string or in the name of a member, also in JSON or per cent encoding
//! inside of it (up to two layers of each); a phone number, `+` and 10 to 15 digits, as a whole string, name or keyword; a
//! hash that is the hash of the request's own hint, or stands under a name that says so (`email_hash`, `hem`, …; under
//! `email`, `mobile` and their like only SHA-256 does). The name may be that of a member, of a segment or its data entry,
//! of the `stype` of a uid, or stand in the same string: `x=1&hem=<hash>`. Numbers and other hashes are none: many
//! legitimate ids look like hashes. What goes with it is the smallest thing that has meaning of its own: the member, the
//! array element, the one keyword, the uid.
//!
//! A string may need decoding to be judged; in one request at most 4 MiB are decoded, in at most 2,048 layers, and what is
//! still encoded then counts as DII. So does a JSON document that is nested deeper than a request may be.
//!
//! Not seen: an address in base64, HTML entities or more layers than two, or in parts in different strings; a phone
//! number in another notation, or in a text that is no list of keywords and no JSON; a hash under a name that is not
//! [known](keys), or whose name is the value of a member beside it in an object that is no segment and no uid, or further
//! out than the object it stands in; a hash in base64 that is neither SHA-256 nor SHA-512; the second hash of a list in a
//! text that is no JSON; a hash of the own address or number by anything but SHA-256.
//!
//! The guard works before everything else: what it finds is cut out of the body, and what is left is read again as if
//! it had come so. So no other edit can overlap with it, DII names no user, and a raw UID2 is nobody's entry.

mod eids;
mod keys;
mod layers;
mod shape;
mod sieve;
mod walk;
mod wording;

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;

use self::keys::Named;
use self::shape::is_raw_uid2;
use self::walk::Walk;
use self::wording::Wording;
use super::changes::Changes;
use super::cursor::Cursor;
use super::eid::Place;
use super::error::ScanError;
use super::request::BidRequest;
use super::scan::{Kind, Limits};

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// DII of any kind; without it, only raw UID2s.
    pub dii: bool,
    /// SHA-256 of the DII that the request brings as a hint for us.
    pub own: &'a [[u8; 32]],
    /// EID sources whose ids must be tokens.
    pub tokens_of: &'a [&'a str],
}

/// Where something was found: the member of `user`, or `user` itself for any other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is named after its member")]
pub enum Spot {
    User,
    Id,
    Buyeruid,
    Keywords,
    Kwarray,
    Customdata,
    Data,
    Eids,
    Ext,
}

impl Spot {
    /// Every spot, in metric order.
    pub const ALL: [Self; 9] = [
        Self::User,
        Self::Id,
        Self::Buyeruid,
        Self::Keywords,
        Self::Kwarray,
        Self::Customdata,
        Self::Data,
        Self::Eids,
        Self::Ext,
    ];

    /// The name of the member, under `user`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Id => "id",
            Self::Buyeruid => "buyeruid",
            Self::Keywords => "keywords",
            Self::Kwarray => "kwarray",
            Self::Customdata => "customdata",
            Self::Data => "data",
            Self::Eids => "eids",
            Self::Ext => "ext",
        }
    }

    /// The member with its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Id => "user.id",
            Self::Buyeruid => "user.buyeruid",
            Self::Keywords => "user.keywords",
            Self::Kwarray => "user.kwarray",
            Self::Customdata => "user.customdata",
            Self::Data => "user.data",
            Self::Eids => "user.eids",
            Self::Ext => "user.ext",
        }
    }
}

/// One thing found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hit {
    /// In which member.
    pub spot: Spot,
    /// Byte offset of the string it stands in.
    pub offset: usize,
    /// It is a raw UID2 and no DII.
    pub raw: bool,
}

/// All that was found in one request.
pub struct Found {
    removals: Changes,
    hits: SmallVec<[Hit; 2]>,
}

/// Looks through `user`. Mostly that is one pass over its bytes and allocates nothing. With an own hint, an `@`, a per
/// cent sign or an escape under `user`, or a name that hashes go by beside something of a hash's length, every string is
/// looked at, and those with escapes or per cent encoding are decoded.
pub fn inspect(request: &BidRequest, watch: &Watch<'_>) -> Option<Found> {
    let user = request.found.layout.user?;
    let text: &[u8] = request.body();
    let look = watch.dii && (!watch.own.is_empty() || sieve::suspicious(user.value.of(text)));
    if !look && !may_hold_raw(request, watch) {
        return None;
    }
    let wording = Wording::new(watch.own);
    let mut walk = Walk::new(text, user.value.start, (watch, &wording, request.limits));
    if walk.user() {
        walk.removals = Changes::default();
        walk.removals.remove(text, [(user.span, user.index)]);
    }
    let Walk { mut removals, hits, .. } = walk;
    removals.sort();
    (!hits.is_empty()).then_some(Found { removals, hits })
}

/// Whether an id of a source that takes tokens is none. A list that was not read to its end may hold one.
fn may_hold_raw(request: &BidRequest, watch: &Watch<'_>) -> bool {
    let eids = request.eids();
    Place::ALL.into_iter().any(|place| {
        eids.is_cut(place)
            || eids.of(place).any(|eid| {
                watch.tokens_of.iter().any(|source| eid.is_of(source)) && eid.ids().any(|id| is_raw_uid2(&id))
            })
    })
}

/// Whether a text, taken by itself, is or holds DII, also under up to two layers of encoding.
pub(super) fn holds_dii(text: &str) -> bool {
    let (watch, wording) = (Watch { dii: true, own: &[], tokens_of: &[] }, Wording::new(&[]));
    Walk::new(b"", 0, (&watch, &wording, Limits::default())).is_dii(text, Named::Nothing)
}

/// Whether a name says that what stands under it is an e-mail address, a phone number or the hash of one.
pub(super) fn names_dii(name: &str) -> bool {
    Named::of(name) != Named::Nothing
}

impl Found {
    /// What was found, in the order of the body.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }

    /// The body without it, as slices of the body.
    pub fn pieces(&self, request: &BidRequest) -> Vec<Bytes> {
        let body = request.body();
        let starts = std::iter::once(0).chain(self.removals.as_slice().iter().map(|gone| gone.span.end));
        let ends = self.removals.as_slice().iter().map(|gone| gone.span.start as usize);
        let kept = starts.zip(ends.chain([body.len()]));
        kept.map(|(start, end)| body.slice(start as usize..end)).collect()
    }

    /// The request without it.
    ///
    /// What made the request one to which nothing is added still does, and where a consent string or a country went,
    /// the signals count as malformed: without it nobody can say what it allowed.
    pub fn cleaned(&self, request: &BidRequest) -> Result<BidRequest, ScanError> {
        let body = Bytes::from(self.removals.applied(request.body(), request.body_span()));
        let mut cleaned = BidRequest::parse(body, &request.limits)?;
        cleaned.inherit(request);
        Ok(cleaned)
    }
}

impl BidRequest {
    /// The strings of the hint `user.ext.uid2` with their names, as they stand: `email`, `phone`, `email_hash`,
    /// `phone_hash`, and whatever else is there.
    pub fn dii_hints(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        let mut hints = Vec::new();
        let Some(member) = self.found.layout.ext_uid2.filter(|member| member.kind == Kind::Object) else {
            return hints;
        };
        let body: &[u8] = self.body();
        let mut cursor = Cursor::new(body, member.value.start);
        cursor.open();
        while cursor.next() {
            let key = cursor.key();
            if let Some(text) = cursor.skip() {
                hints.push((key.decode(body), text.decode(body)));
            }
        }
        hints
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
