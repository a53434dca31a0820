//! Bid responses: judged bid by bid, merged from raw slices.
//!
//! Several SSPs answer one request; the caller gets one response: one id, one currency, and the seatbids of every
//! SSP, byte for byte, in the order the SSPs are configured in (OpenRTB 2.6 §4.2). A seatbid is re-written only where
//! a bid in it has to go. Two seatbids of one seat stay two: their `group` and `ext` differ.
//!
//! What an SSP sends is bounded by its length, by how many seatbids and bids are judged, and by the scanner's own depth:
//! how deep callers may nest says nothing about SSPs.

mod annex;
mod judge;
mod reply;

use std::borrow::Cow;

use bytes::Bytes;

pub use self::annex::with_ext_member;
use self::judge::{Accepted, Judge};
use self::reply::{Currency, Reply};
use super::scan::{DEEPEST, Limits};

/// Bounds of the scan; a response has no EIDs.
const LIMITS: Limits = Limits { max_depth: DEEPEST, max_eids: 0 };

/// What the replies answer to.
#[derive(Clone, Copy)]
pub struct MergeContext<'a> {
    /// The request's `id` as it stands there, with its quotes.
    pub id_raw: &'a [u8],
    /// The ids of its imps.
    pub imp_ids: &'a [Cow<'a, str>],
    /// The first of its `cur`; the response is in it, else in USD.
    pub cur: Option<&'a str>,
}

/// A reply to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The whole body.
    pub body: &'a [u8],
    /// Most seatbids and bids together; with one more none of them is taken.
    pub max_bids: usize,
}

/// What a reply is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyVerdict {
    /// It bids.
    Bid {
        /// Bids accepted.
        bids: usize,
        /// Bids refused: no object, a member twice, unknown imp, no id, no price of 0 or more, a duplicate, or a group not
        /// whole. A seatbid that is none counts as one.
        dropped: usize,
        /// It does not say which request it answers; taken at its word all the same.
        id_missing: bool,
        /// Valid JSON, but not of OpenRTB's types; judged by what we need alone.
        typed_error: bool,
    },
    /// It has no bids.
    NoBid {
        /// Its reason (OpenRTB list "No-Bid Reason Codes"), if it gives one.
        nbr: Option<i32>,
    },
    /// It cannot be used: `json`, `id`, `cur` or `bids` (every bid was refused).
    Invalid(&'static str),
    /// It has more than [`Candidate::max_bids`].
    TooLarge,
}

/// The merged answer.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// The response; `None` when there is no bid (204).
    pub body: Option<Bytes>,
    /// One per reply, in order.
    pub verdicts: Vec<ReplyVerdict>,
}

/// What stands in a response, whatever it is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glance<'a> {
    /// Bids, however many.
    pub bids: usize,
    /// `nbr`, if it is an integer.
    pub nbr: Option<i32>,
    /// `bidid` as written, if it is a string.
    pub bidid: Option<&'a [u8]>,
}

/// Looks into a response that is not judged; `None` when it is not readable, or has nothing but seatbids that are none.
pub fn glance(body: &[u8]) -> Option<Glance<'_>> {
    let reply = Reply::read(body, 0).ok()?;
    let readable = reply.bids > 0 || reply.odd == 0;
    readable.then(|| Glance { bids: reply.bids, nbr: reply.nbr(), bidid: reply.bidid() })
}

/// Merges the replies, given in the order their seatbids are to have.
pub fn merge(context: &MergeContext<'_>, replies: &[Candidate<'_>]) -> Merged {
    let judge = Judge::new(context);
    let mut verdicts = Vec::with_capacity(replies.len());
    let mut bidding = Vec::with_capacity(replies.len());
    for Candidate { body, max_bids } in replies {
        let Ok(reply) = Reply::read(body, *max_bids) else {
            verdicts.push(ReplyVerdict::Invalid("json"));
            continue;
        };
        let (verdict, accepted) = judge.judge(&reply);
        verdicts.push(verdict);
        if matches!(verdict, ReplyVerdict::Bid { .. }) {
            bidding.push((reply, accepted));
        }
    }
    let body = (!bidding.is_empty()).then(|| Bytes::from(written(context, &bidding)));
    Merged { body, verdicts }
}

fn written(context: &MergeContext<'_>, bidding: &[(Reply<'_>, Accepted)]) -> Vec<u8> {
    let size: usize = bidding.iter().map(|(reply, _)| reply.body.len()).sum();
    let mut out = Vec::with_capacity(size + 256);
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(context.id_raw);
    let target = target_currency(context);
    if target != DEFAULT_CURRENCY || bidding.iter().any(|(reply, _)| reply.cur() != Currency::Unsaid) {
        let mut cur = String::with_capacity(8);
        super::text::push_json_string(&mut cur, target);
        push_member(&mut out, "cur", cur.as_bytes());
    }
    // AUCTION_BID_ID is expanded from it: with bids of several replies it would be wrong for some.
    if let [(reply, _)] = bidding
        && let Some(bidid) = reply.bidid()
    {
        push_member(&mut out, "bidid", bidid);
    }
    let mut customdata = bidding.iter().filter_map(|(reply, _)| reply.customdata());
    if let (Some(only), None) = (customdata.next(), customdata.next()) {
        push_member(&mut out, "customdata", only);
    }
    out.extend_from_slice(b",\"seatbid\":[");
    let mut first = true;
    for seat in bidding.iter().flat_map(|(reply, accepted)| accepted.seats(reply)) {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(&seat);
    }
    out.extend_from_slice(b"]}");
    out
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
}

/// The currency of a response that names none.
const DEFAULT_CURRENCY: &str = "USD";

fn target_currency<'a>(context: &MergeContext<'a>) -> &'a str {
    context.cur.filter(|cur| !cur.is_empty()).unwrap_or(DEFAULT_CURRENCY)
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
