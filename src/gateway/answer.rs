//! Replies → answer. One routed SSP passes through; several are merged (OpenRTB 2.6 §4.2; one currency, raw slices).

use std::time::Duration;

use super::Leg;
use super::admit::Admitted;
use super::fanout::Replied;
use super::outcome::{Answer, Outcome};
use crate::openrtb::response::{self, MergeContext, MergeInput, ReplyVerdict};
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
    let bid = reply.outcome == SspOutcome::Bid && response::has_bids(&reply.body);
    let outcome = if reply.outcome == SspOutcome::Bid && !bid { SspOutcome::NoBid } else { reply.outcome };
    count(legs, ssp, outcome, &reply);
    if !matches!(outcome, SspOutcome::Bid | SspOutcome::NoBid) || reply.body.is_empty() {
        return Answer::NoBid;
    }
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
    let inputs: Vec<MergeInput<'_>> = bidding
        .iter()
        .map(|r| MergeInput { ssp: legs.get(r.ssp).map_or("", |leg| &leg.settings.id), body: &r.reply.body })
        .collect();
    let merged = response::merge(&context, &inputs);
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
