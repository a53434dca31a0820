//! Replies → answer. One routed SSP passes through; several are merged (OpenRTB 2.6 §4.2; one currency, raw slices).

use bytes::Bytes;
use http::HeaderMap;

use super::Leg;
use super::admit::Admitted;
use super::fanout::Replied;
use crate::openrtb::response::{self, Candidate, Glance, MergeContext, ReplyVerdict};
use crate::ssp::SspOutcome;

/// An answer whose coding is still open.
#[derive(Debug)]
pub(super) enum Draft {
    /// One routed SSP answered 2xx.
    Passed {
        status: u16,
        headers: HeaderMap,
        body: Bytes,
        /// The body as it came, if that was gzip.
        packed: Option<Bytes>,
        bid: bool,
    },
    /// A response of our own.
    Written { body: Bytes, bid: bool },
    /// A valid request without a bid.
    NoBid,
}

/// Turns what came back into one answer. Every reply gets its verdict and its final outcome, and is counted.
pub(super) fn answer(admitted: &Admitted, legs: &[Leg], replies: &mut [Replied]) -> Draft {
    let draft = if admitted.publisher.settings.ssps.len() == 1 {
        replies.first_mut().map_or(Draft::NoBid, passed)
    } else {
        merged(admitted, legs, replies)
    };
    for replied in replies {
        count(legs, replied);
    }
    draft
}

/// One SSP: a 2xx answer passes byte for byte, an empty one too; anything else is no bid.
fn passed(replied: &mut Replied) -> Draft {
    if !replied.reply.passes() {
        return Draft::NoBid;
    }
    if replied.reply.outcome == SspOutcome::Bid {
        // What cannot be read passes all the same, but the SSP is not counted as healthy.
        replied.judged(match response::glance(&replied.reply.body) {
            Some(Glance { bids: 0, nbr, .. }) => ReplyVerdict::NoBid { nbr },
            Some(Glance { bids, .. }) => {
                ReplyVerdict::Bid { bids, dropped: 0, id_missing: false, typed_error: false }
            }
            None => ReplyVerdict::Invalid("json"),
        });
    }
    let reply = &mut replied.reply;
    Draft::Passed {
        status: reply.status,
        headers: std::mem::take(&mut reply.headers),
        body: reply.body.clone(),
        packed: reply.packed.take(),
        bid: reply.outcome == SspOutcome::Bid,
    }
}

/// Several SSPs: accepted seatbids in configured order, whatever order the answers arrived in.
fn merged(admitted: &Admitted, legs: &[Leg], replies: &mut [Replied]) -> Draft {
    let mut bidding: Vec<&mut Replied> =
        replies.iter_mut().filter(|replied| replied.reply.outcome == SspOutcome::Bid).collect();
    if bidding.is_empty() {
        return Draft::NoBid;
    }
    let imp_ids = admitted.request.imp_ids();
    let cur = admitted.request.first_cur();
    let id_raw = admitted.request.id_raw();
    let context = MergeContext { id_raw, imp_ids: &imp_ids, cur: cur.as_deref() };
    let candidates: Vec<Candidate<'_>> = bidding
        .iter()
        .map(|replied| Candidate {
            body: &replied.reply.body,
            max_bids: legs.get(replied.ssp).map_or(0, |leg| leg.settings.max_bids),
        })
        .collect();
    let merged = response::merge(&context, &candidates);
    for (replied, verdict) in bidding.iter_mut().zip(merged.verdicts) {
        replied.judged(verdict);
    }
    merged.body.map_or(Draft::NoBid, |body| Draft::Written { body, bid: true })
}

fn count(legs: &[Leg], replied: &mut Replied) {
    let Some(leg) = legs.get(replied.ssp) else { return };
    let (outcome, understood) = (replied.reply.outcome, replied.is_understood());
    match replied.asked.take() {
        Some(asked) => asked.settle(outcome, understood),
        None => leg.client.metrics().count(outcome, replied.reply.elapsed),
    }
    if let Some(ReplyVerdict::Bid { dropped: dropped @ 1.., .. }) = replied.verdict {
        leg.client.metrics().bids_dropped(dropped);
    }
}
