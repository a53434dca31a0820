//! The path with given answers in the place of the network: what benches measure, since all else of it is ours.

use super::fanout::Replied;
use super::inject::OutgoingLeg;
use super::outcome::{Outcome, Reject};
use super::{Gateway, Inbound};
use crate::net::body::Segments;
use crate::ssp::SspReply;

impl Gateway {
    /// As [`Gateway::handle`], but no SSP is asked: `reply` gets each body as it would leave, and answers it.
    pub async fn rehearse<F>(&self, inbound: Inbound, mut reply: F) -> Result<Outcome, Reject>
    where
        F: FnMut(Segments) -> SspReply,
    {
        let (prepared, outgoing) = self.prepare(inbound).await?;
        let replies = outgoing.legs.into_iter().filter_map(|leg| rehearsed(leg, &mut reply)).collect();
        Ok(self.conclude(prepared, replies))
    }
}

fn rehearsed(leg: OutgoingLeg, reply: &mut impl FnMut(Segments) -> SspReply) -> Option<Replied> {
    let OutgoingLeg { ssp, result, call, .. } = leg;
    let reply = reply(call?.body);
    Some(Replied { ssp, result, called: true, reply, asked: None, verdict: None })
}
