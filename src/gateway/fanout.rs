//! All routed SSPs at once, each under its own deadline; returns when the last has answered or is late.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::Leg;
use super::inject::{Call, Outgoing, OutgoingLeg};
use super::reason::ResultLabel;
use crate::openrtb::response::ReplyVerdict;
use crate::ssp::{Asked, SspOutcome, SspReply};

/// One SSP's reply.
#[derive(Debug)]
pub(super) struct Replied {
    /// Index of the SSP.
    pub ssp: usize,
    /// What it got to know of the user.
    pub result: ResultLabel,
    /// It was called.
    pub called: bool,
    /// What it answered.
    pub reply: SspReply,
    /// The request, until it is counted; `None` when there was none.
    pub asked: Option<Asked>,
    /// What its body is worth, once that has been looked into.
    pub verdict: Option<ReplyVerdict>,
}

impl Replied {
    /// Notes what the body is worth; the outcome follows from it.
    pub(super) fn judged(&mut self, verdict: ReplyVerdict) {
        self.reply.outcome = match verdict {
            ReplyVerdict::Bid { .. } => SspOutcome::Bid,
            ReplyVerdict::NoBid { .. } => SspOutcome::NoBid,
            ReplyVerdict::Invalid(_) => SspOutcome::Invalid,
            ReplyVerdict::TooLarge => SspOutcome::TooLarge,
        };
        self.verdict = Some(verdict);
    }

    /// Its answer is well-formed and to this request, and merely of no use for it.
    pub(super) fn is_understood(&self) -> bool {
        matches!(self.verdict, Some(ReplyVerdict::Invalid("cur" | "bids") | ReplyVerdict::TooLarge))
    }
}

/// Calls every leg on this thread, at `now`. One leg is awaited in place: no list, no extra wake-ups.
pub(super) async fn fanout(legs: &[Leg], outgoing: &mut Outgoing, now: Instant) -> Vec<Replied> {
    match outgoing.legs.as_mut_slice() {
        [call] => vec![one(legs, call, now).await],
        calls => join_all(calls.iter_mut().map(|call| one(legs, call, now))).await,
    }
}

async fn one(legs: &[Leg], leg: &mut OutgoingLeg, now: Instant) -> Replied {
    let (asked, reply) = match (legs.get(leg.ssp), &mut leg.call) {
        (Some(target), Some(call)) => ask(target, call, now).await,
        // Too little time was left to ask at all.
        _ => (None, SspReply::without_answer(SspOutcome::Limit, Duration::ZERO)),
    };
    Replied { ssp: leg.ssp, result: leg.result, called: leg.call.is_some(), reply, asked, verdict: None }
}

/// An SSP that was asked is counted, even when the caller goes away before it answers.
async fn ask(target: &Leg, call: &mut Call, now: Instant) -> (Option<Asked>, SspReply) {
    let Some(mut asked) = target.client.ask(now) else {
        return (None, SspReply::without_answer(SspOutcome::Open, Duration::ZERO));
    };
    let reply = target.client.bid(&call.headers, &mut call.body, (now, call.deadline)).await;
    asked.answered(&reply);
    (Some(asked), reply)
}
