//! Content checks: whether what the SSPs received is what they should have received.
//!
//! ```text
//!  collect    sandbox SSPs        → what arrived          /sandbox/received, page by page while the load runs
//!    Origin   traceparent         → what was sent         the n-th request is a function of n
//!    judge    sent, received      → findings, changes     one request at one SSP
//!      diff   member by member; eids, token: lists as a whole; dii: what must not arrive
//!  lost       request numbers     → findings            arrived twice, or nowhere though answered with a bid
//!  content    all of them         → Content               counts, and examples without values
//! ```
//!
//! What the gateway changes is judged by a reader and a comparison that share no code with what makes the changes: the
//! comparison does not know what the gateway decided. It knows what a gateway may do to a request (write its token,
//! lower `tmax`, take out hints, DII and EIDs, put EIDs where the dialect has them); every other difference is a finding.
//!
//! Requests are paired by `traceparent`, which travels to the SSPs. A request that brings its own is not checked, and
//! counted.

mod collect;
mod content;
mod diff;
mod dii;
mod eids;
mod judge;
mod lost;
mod names;
mod origin;
mod path;
mod signals;
mod token;
mod tree;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::numbers::Answered;

pub use self::content::{Change, Content, Example, Finding, Found, Received};
pub use self::dii::Known;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Whether a token should arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Expect {
    /// One must.
    Token,
    /// None may, not even the publisher's own.
    NoToken,
    /// Both are right.
    #[default]
    Any,
}

/// Where SSPs look for EIDs, as `ssp.openrtb` is configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// `user.ext.eids`.
    V25,
    /// `user.eids`.
    V26,
    /// Both.
    Both,
    /// Where the publisher wrote them.
    AsReceived,
}

/// What is checked, and where.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The sandbox SSPs behind the target; of each address, only scheme, host and port count.
    pub ssps: Vec<Uri>,
    /// One request in so many is checked; 0 counts as 1.
    pub one_in: u64,
    /// For all requests, whatever the corpus says.
    pub expect: Option<Expect>,
    /// The dialect of all these SSPs; without it, each place of a token is right.
    pub dialect: Option<Dialect>,
    /// Members that may differ, as paths: `user.id`, `imp[].ext`.
    pub allow: Vec<String>,
    /// What must not arrive anywhere: DII of the users.
    pub known: Known,
    /// Which requests of the load were answered; what is not there is not missed at the SSPs.
    pub answered: Answered,
    /// Once set, what the SSPs have not told soon after the end of the load is not waited for.
    pub stop: Arc<AtomicBool>,
}

/// Why content cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Not `http://host:port`.
    #[error("{0}: a sandbox SSP is http://host:port")]
    Address(Uri),
    /// None.
    #[error("no SSP to ask")]
    NoSsp,
    /// It does not answer as it should.
    #[error("{ssp}: {fault}")]
    Ssp {
        /// Which.
        ssp: String,
        /// Why.
        fault: String,
    },
    /// No thread or no runtime.
    #[error("content checks cannot start: {0}")]
    System(String),
}

/// Checks that run beside a load.
#[derive(Debug)]
pub struct Verifier {
    ended: Arc<AtomicBool>,
    collector: JoinHandle<collect::Outcome>,
}

/// What knows the requests of a load.
pub trait Origin: Send + Sync {
    /// The number of the request with this `traceparent`; `None` when it is not of this load.
    fn number(&self, traceparent: &HeaderValue) -> Option<u64>;
    /// The trace id of that request; `None` when it brings a `traceparent` of its own, by which it cannot be paired.
    fn trace_id(&self, number: u64) -> Option<String>;
    /// That request.
    fn sent(&self, number: u64) -> Sent;
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The name of the corpus entry.
    pub entry: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The same, made at another time: where both differ, nothing is compared.
    pub body_at_another_time: Bytes,
    /// What the corpus says of it.
    pub expect: Option<Expect>,
    /// It is sent for somebody whom nobody logged in: only a token that it brings can be expected.
    pub stranger: bool,
}

/// An error unless it is the address of a sandbox SSP, as far as can be told without asking.
pub fn check_address(ssp: &Uri) -> Result<(), VerifyError> {
    collect::address(ssp).map(drop)
}

impl Verifier {
    /// Asks every SSP where it stands, and begins to collect. Blocks; not for a runtime's thread.
    pub fn start(settings: Settings, origin: Arc<dyn Origin>) -> Result<Self, VerifyError> {
        if settings.ssps.is_empty() {
            return Err(VerifyError::NoSsp);
        }
        let ended = Arc::new(AtomicBool::new(false));
        let mut collector = collect::Collector::new(settings, origin, Arc::clone(&ended))?;
        collector.start()?;
        let collect = move || collector.run();
        let collector = thread::Builder::new().name("replay-verify".to_owned()).spawn(collect);
        let collector = collector.map_err(|fault| VerifyError::System(fault.to_string()))?;
        Ok(Self { ended, collector })
    }

    /// Looks at what is still there, and sums up. `sent`: how many requests the load had. Blocks.
    pub fn finish(self, sent: u64) -> Content {
        self.ended.store(true, Ordering::Release);
        self.collector.join().expect("the collector does not panic").conclude(sent)
    }
}

impl Expect {
    /// For people and programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::NoToken => "none",
            Self::Any => "any",
        }
    }
}

#[cfg(test)]
mod tests;
