//! The path with given answers in the place of the network: what benches measure, since all else of it is ours.

use http::Request;

use super::fanout::Replied;
use super::inject::OutgoingLeg;
use super::outcome::{Outcome, Reject};
use super::{Gateway, Inbound};
use crate::net::body::Segments;
use crate::ssp::SspReply;

impl Gateway {
    /// As [`Gateway::handle`], but no SSP is asked: `reply` gets each request as it would leave, and answers it.
    pub async fn rehearse<F>(&self, inbound: Inbound, mut reply: F) -> Result<Outcome, Reject>
    where
        F: FnMut(Request<Segments>) -> SspReply,
    {
        let (prepared, outgoing) = self.prepare(inbound).await?;
        let replies = outgoing.legs.into_iter().filter_map(|leg| self.rehearsed(leg, &mut reply)).collect();
        Ok(self.conclude(prepared, replies))
    }

    fn rehearsed(
        &self,
        leg: OutgoingLeg,
        reply: &mut impl FnMut(Request<Segments>) -> SspReply,
    ) -> Option<Replied> {
        let OutgoingLeg { ssp, result, call, .. } = leg;
        let (target, call) = (self.legs.get(ssp)?, call?);
        let reply = reply(target.client.request(call.headers, call.body));
        Some(Replied { ssp, result, called: true, reply, verdict: None })
    }
}
