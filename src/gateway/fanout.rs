//! All routed SSPs at once, each under its own deadline; returns when the last has answered or is late.

use std::time::Duration;

use futures_util::future::join_all;

use super::Leg;
use super::inject::{Outgoing, OutgoingLeg};
use crate::ssp::{SspOutcome, SspReply};

/// One SSP's reply.
#[derive(Debug)]
pub(super) struct Replied {
    /// Index of the SSP.
    pub ssp: usize,
    /// What it answered.
    pub reply: SspReply,
}

/// Calls every leg on this thread. One leg is awaited in place: no list, no extra wake-ups.
pub(super) async fn fanout(legs: &[Leg], outgoing: Outgoing) -> Vec<Replied> {
    let mut calls: Vec<OutgoingLeg> = outgoing.legs;
    if calls.len() == 1 {
        return match calls.pop() {
            Some(call) => vec![one(legs, call).await],
            None => Vec::new(),
        };
    }
    join_all(calls.into_iter().map(|call| one(legs, call))).await
}

async fn one(legs: &[Leg], leg: OutgoingLeg) -> Replied {
    let reply = match (legs.get(leg.ssp), leg.call) {
        (Some(target), Some(call)) => target.client.bid(call.headers, call.body, call.deadline).await,
        // Too little time was left to ask at all.
        _ => SspReply::without_answer(SspOutcome::Timeout, Duration::ZERO),
    };
    Replied { ssp: leg.ssp, reply }
}
