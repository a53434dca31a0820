//! All routed SSPs at once, each under its own deadline; returns when the last has answered or is late.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::Leg;
use super::inject::{Call, Outgoing, OutgoingLeg};
use super::reason::ResultLabel;
use crate::openrtb::response::ReplyVerdict;
use crate::ssp::{SspOutcome, SspReply};
use crate::time::Clock;

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
}

/// Calls every leg on this thread, at `now`. One leg is awaited in place: no list, no extra wake-ups.
pub(super) async fn fanout(legs: &[Leg], outgoing: &mut Outgoing, now: Instant) -> Vec<Replied> {
    match outgoing.legs.as_mut_slice() {
        [call] => vec![one(legs, call, now).await],
        calls => join_all(calls.iter_mut().map(|call| one(legs, call, now))).await,
    }
}

async fn one(legs: &[Leg], leg: &mut OutgoingLeg, now: Instant) -> Replied {
    let reply = match (legs.get(leg.ssp), &mut leg.call) {
        (Some(target), Some(call)) => ask(target, call, now).await,
        // Too little time was left to ask at all.
        _ => SspReply::without_answer(SspOutcome::Limit, Duration::ZERO),
    };
    Replied { ssp: leg.ssp, result: leg.result, called: leg.call.is_some(), reply, verdict: None }
}

/// An SSP that was asked is counted, even when the caller goes away before it answers.
async fn ask(target: &Leg, call: &mut Call, now: Instant) -> SspReply {
    let mut asked = Asked { target, since: now, answered: false };
    let reply = target.client.bid(&call.headers, &mut call.body, (now, call.deadline)).await;
    asked.answered = true;
    reply
}

struct Asked<'a> {
    target: &'a Leg,
    since: Instant,
    answered: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let elapsed = Clock::monotonic().saturating_duration_since(self.since);
            self.target.client.metrics().count(SspOutcome::Timeout, elapsed);
        }
    }
}
