//! The data path: one ad request in, one answer out. `Gateway::handle` is the whole of it.
//!
//! One `Gateway` lives on each data-plane thread with its own connections to the SSPs; what all of them share
//! (publishers, identities, metrics) is behind one [`Shared`].

mod admit;
mod answer;
mod budget;
mod certified;
mod claimed;
mod coding;
mod cookie;
mod debug;
mod decision;
mod denied;
mod dii;
mod directory;
mod explain;
mod fanout;
mod headers;
mod hints;
mod inject;
mod leg;
mod metrics;
mod nobid;
mod origins;
mod outcome;
mod reason;
mod rehearsal;
mod removal;
mod scopes;
mod signals;
mod stored;
mod subject;
mod tap;
mod vendors;
mod waiting;

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use self::admit::Admitted;
use self::coding::Terms;
use self::debug::{Story, Trace};
use self::fanout::Replied;
use self::inject::Outgoing;
use crate::identity::Identities;
use crate::net::gzip::Deflater;
use crate::openrtb;
use crate::ssp;
use crate::time::Clock;

pub use admit::{Caller, Inbound, Peer};
pub use certified::Certified;
pub use debug::DebugAllow;
pub use decision::Decision;
pub use directory::{
    DiiGuard, Directory, DirectoryError, Hint, KeyDigest, Match, Mode, ProviderSettings, Publisher,
    PublisherSettings, UserIdFrom,
};
pub use explain::{Brought, ExplainedCall, ExplainedLeg, Explanation, Found, Guarded, Someone};
pub use headers::bearer;
pub use metrics::{Families, Labels, Metrics, OutcomeLabel};
pub use origins::{Origin, OriginError, Origins};
pub use outcome::{Answer as OutcomeAnswer, Outcome, Reject, RejectKind};
pub use reason::{Reason, ResultLabel, denial_label};
pub use signals::regime;
pub use tap::{Recording, Sample, Tap};
pub use vendors::{VendorFault, VendorSettings, Vendors};

/// What every data-plane thread shares.
pub struct Shared {
    /// Who sends us requests, and where they go.
    pub directory: Directory,
    /// Who the users are.
    pub identities: Identities,
    /// Families of this module.
    pub metrics: Metrics,
    /// Limits of the one-pass scan.
    pub limits: openrtb::Limits,
    /// What vendors declare.
    pub vendors: Arc<Vendors>,
    /// `server.insecure_identity`: strangers may name users by e-mail address, phone number or ID token over plain HTTP.
    pub insecure_identity: bool,
    /// A request without a known key is refused, even when `match` would find its publisher.
    pub require_key: bool,
    /// Whose pages may call from a browser.
    pub origins: Origins,
    /// Where requests are recorded.
    pub tap: Arc<Tap>,
    /// Whose callers are told what happened to their requests.
    pub debug: DebugAllow,
    /// Length in bytes from which an answer of our own is packed for a caller who takes gzip; 0 = never.
    pub gzip_min_bytes: usize,
}

/// One SSP as one data-plane thread sees it. Clones share its connections.
#[derive(Clone)]
pub struct Leg {
    /// Its configuration.
    pub settings: Arc<ssp::Settings>,
    /// This thread's connections to it.
    pub client: ssp::Client,
}

/// The data path of one thread. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
    legs: Rc<[Leg]>,
    deflater: Rc<Deflater>,
}

impl Gateway {
    /// `legs` stand in the order of `[[ssp]]` in the configuration; publishers name them by index.
    pub fn new(shared: Arc<Shared>, legs: Vec<Leg>) -> Self {
        Self { shared, legs: legs.into(), deflater: Rc::default() }
    }

    /// One ad request, from bytes to answer. An error means that nothing was forwarded.
    pub async fn handle(&self, inbound: Inbound) -> Result<Outcome, Reject> {
        let (prepared, mut outgoing) = self.prepare(inbound).await?;
        let replies = fanout::fanout(&self.legs, &mut outgoing, Clock::monotonic()).await;
        Ok(self.conclude(prepared, replies))
    }

    /// Everything up to the moment at which bytes leave.
    async fn prepare(&self, inbound: Inbound) -> Result<(Prepared, Outgoing), Reject> {
        let started = inbound.started;
        self.shared.tap.offer(&inbound);
        let admitted = admit::admit(&self.shared, &self.legs, inbound)?;
        let mut trace = Trace::begin(&admitted, started);
        let (decision, waited) = {
            let deciding = pin!(decision::decide(&self.shared, &admitted));
            waiting::timed(deciding).await
        };
        trace.decided();
        let mut outgoing = inject::inject(&admitted, &decision, &self.legs);
        let decision = decision.confirmed(&outgoing);
        self.shared.metrics.decided(&admitted, &decision, &outgoing);
        coding::pack(&self.legs, &mut outgoing, &self.deflater);
        trace.sent();
        Ok((Prepared { admitted, decision, waited, trace }, outgoing))
    }

    /// Everything from the last reply on.
    fn conclude(&self, prepared: Prepared, mut replies: Vec<Replied>) -> Outcome {
        let Prepared { admitted, decision, waited, mut trace } = prepared;
        trace.answered();
        // All SSPs are asked at once.
        let waited = waited + replies.iter().map(|replied| replied.reply.elapsed).max().unwrap_or_default();
        let draft = answer::answer(&admitted, &self.legs, &mut replies);
        let story = Story { admitted: &admitted, decision: &decision, legs: &self.legs, replies: &replies };
        let (draft, result) = trace.tell(draft, &story);
        let terms = Terms {
            inbound: &admitted.inbound,
            min_bytes: self.shared.gzip_min_bytes,
            deflater: &self.deflater,
        };
        let answer = coding::coded(draft, &terms);
        let cookie = cookie::after(&self.shared, &admitted, &decision);
        Outcome { publisher: admitted.publisher.index, answer, result, cookie, waited }
    }

    /// What all threads share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The SSP of exactly these settings, with its connections.
    pub fn leg(&self, settings: &Arc<ssp::Settings>) -> Option<Leg> {
        self.legs.iter().find(|leg| Arc::ptr_eq(&leg.settings, settings)).cloned()
    }
}

/// A request whose SSPs are asked.
struct Prepared {
    admitted: Admitted,
    decision: Decision,
    /// Time spent waiting for identity.
    waited: Duration,
    trace: Trace,
}

/// `Duration` as fractional milliseconds, floored to whole ones, for `tmax`.
fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
