//! Replies → answer. One routed SSP passes through; several are merged (OpenRTB 2.6 §4.2; one currency, raw slices).

use std::time::Duration;

use super::Leg;
use super::admit::Admitted;
use super::fanout::Replied;
use super::outcome::{Answer, Outcome};
use crate::openrtb::response::{self, MergeContext, ReplyVerdict};
use crate::ssp::{SspOutcome, SspReply};

/// Turns what came back into one answer and counts every leg's outcome.
pub(super) fn answer(admitted: &Admitted, legs: &[Leg], replies: Vec<Replied>, waited: Duration) -> Outcome {
    let publisher = admitted.publisher.index;
    let answer = if admitted.publisher.settings.ssps.len() == 1 {
        replies.into_iter().next().map_or(Answer::NoBid, |replied| passed(legs, replied))
    } else {
        merged(admitted, legs, &replies)
    };
    Outcome { publisher, answer, waited }
}

/// One SSP: a 2xx answer passes byte for byte, anything else is no bid.
fn passed(legs: &[Leg], replied: Replied) -> Answer {
    let Replied { ssp, reply } = replied;
    if reply.outcome != SspOutcome::Bid {
        count(legs, ssp, reply.outcome, &reply);
        return Answer::NoBid;
    }
    // What cannot be read passes all the same, but the SSP is not counted as healthy.
    let outcome = match response::has_bids(&reply.body) {
        Some(true) => SspOutcome::Bid,
        Some(false) => SspOutcome::NoBid,
        None => SspOutcome::Invalid,
    };
    count(legs, ssp, outcome, &reply);
    let bid = outcome == SspOutcome::Bid;
    Answer::Passed { status: reply.status, headers: reply.headers, body: reply.body, bid }
}

/// Several SSPs: accepted seatbids in configured order, whatever order the answers arrived in.
fn merged(admitted: &Admitted, legs: &[Leg], replies: &[Replied]) -> Answer {
    let bidding: Vec<&Replied> = replies.iter().filter(|r| r.reply.outcome == SspOutcome::Bid).collect();
    for replied in replies.iter().filter(|r| r.reply.outcome != SspOutcome::Bid) {
        count(legs, replied.ssp, replied.reply.outcome, &replied.reply);
    }
    if bidding.is_empty() {
        return Answer::NoBid;
    }
    let imp_ids = admitted.request.imp_ids();
    let cur = admitted.request.first_cur();
    let context = MergeContext { id_raw: admitted.request.id_raw(), imp_ids: &imp_ids, cur: cur.as_deref() };
    let bodies: Vec<&[u8]> = bidding.iter().map(|r| r.reply.body.as_ref()).collect();
    let merged = response::merge(&context, &bodies);
    for (replied, verdict) in bidding.iter().zip(&merged.verdicts) {
        let outcome = match verdict {
            ReplyVerdict::Bid { .. } => SspOutcome::Bid,
            ReplyVerdict::NoBid => SspOutcome::NoBid,
            ReplyVerdict::Invalid(_) => SspOutcome::Invalid,
        };
        count(legs, replied.ssp, outcome, &replied.reply);
    }
    merged.body.map_or(Answer::NoBid, Answer::Merged)
}

fn count(legs: &[Leg], ssp: usize, outcome: SspOutcome, reply: &SspReply) {
    if let Some(leg) = legs.get(ssp) {
        leg.client.metrics().count(outcome, reply.elapsed);
    }
}
