//! A request to an SSP from the decision to ask until it is known what the answer is worth.

use std::time::{Duration, Instant};

use super::vitals::{Admitted, End};
use super::{Client, SspOutcome, SspReply};
use crate::time::Clock;

/// Counted exactly once, whatever happens: with its final outcome, with that of its reply when nobody came to look into
/// it, or, when the caller went away before there was one, as a timeout.
#[derive(Debug)]
pub struct Asked {
    client: Client,
    since: Instant,
    /// Until it is counted.
    admitted: Option<Admitted>,
    ended: Option<(SspOutcome, Duration)>,
    understood: bool,
}

impl Asked {
    pub(super) fn new(client: &Client, since: Instant, admitted: Admitted) -> Self {
        Self { client: client.clone(), since, admitted: Some(admitted), ended: None, understood: false }
    }

    /// There is a reply.
    pub fn answered(&mut self, reply: &SspReply) {
        self.ended = Some((reply.outcome, reply.elapsed));
    }

    /// Counts it as this. `understood`: the answer is what an SSP may say, though it may not be of use for this request.
    pub fn settle(mut self, outcome: SspOutcome, understood: bool) {
        if let Some((told, _)) = &mut self.ended {
            *told = outcome;
        }
        self.understood = understood;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(admitted) = self.admitted.take() else { return };
        let gone = || (SspOutcome::Timeout, Clock::monotonic().saturating_duration_since(self.since));
        let (outcome, elapsed) = self.ended.unwrap_or_else(gone);
        let end = End { outcome, since: self.since, elapsed, understood: self.understood };
        self.client.vitals().settle(admitted, &end);
    }
}
