//! A demand endpoint to run against: it checks what it receives, bids like a bidder, fails like one when told to, and
//! keeps what it received for inspection.
//!
//! ```text
//!  wire      Request        → Received                     any path; gzip understood
//!    inspect  bytes         → Seen | Problem               id, imps, eids, schain: by the `openrtb` types where they fit
//!    faults   –             → Option<Fault>                first rule that strikes
//!    bidder   Seen          → Offer                        bid or one of three forms of no-bid
//!  wire      Reply          → bytes, or the lack of them
//! ```

pub mod faults;

mod bidder;
mod body;
mod control;
mod inspect;
mod journal;
mod members;
mod received;
mod settings;
mod wire;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use self::bidder::{Offer, Twist};
use self::faults::{Fault, Faults, Rule};
use self::inspect::Seen;
pub use self::inspect::{Place, Problem, Source, Token, tokens_in};
use self::journal::{Bounds, Deed, Journal};
pub use self::journal::{Page, Received, Stats};
pub use self::settings::{Price, Settings};
pub use self::wire::serve;
pub use super::latency::Latency;
use crate::sandbox::random::Random;
use crate::time::Clock;

/// One demand endpoint. Plain mutexes: each is held for a few copies and never across an await.
#[derive(Debug)]
pub struct Ssp {
    settings: Settings,
    arrivals: AtomicU64,
    faults: Mutex<Faults>,
    latency: Mutex<Latency>,
    journal: Mutex<Journal>,
}

/// What is sent back, and how.
#[derive(PartialEq, Debug)]
enum Reply {
    /// 204.
    NoContent,
    /// A whole body with this status.
    Json(u16, Bytes),
    /// An empty body with this status.
    Bare(u16),
    /// 302 to somewhere else.
    Redirect,
    /// Nothing, for ever.
    Hang,
    /// A reset instead of an answer.
    Reset,
    /// Half of this body, then a reset.
    Half(Bytes),
    /// This body, then white space without end in sight.
    Padded(Bytes),
    /// This body, byte by byte.
    Dripped(Bytes),
}

impl Ssp {
    /// An endpoint that has received nothing yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        let bounds = Bounds {
            requests: settings.keep_requests,
            bytes: settings.keep_bytes,
            tokens: settings.keep_tokens,
        };
        Arc::new(Self {
            arrivals: AtomicU64::new(0),
            faults: Mutex::new(Faults::new(settings.faults.clone(), Clock::monotonic())),
            latency: Mutex::new(settings.latency),
            journal: Mutex::new(Journal::new(bounds)),
            settings,
        })
    }

    /// The kept requests, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.last(usize::MAX)
    }

    /// The last `count` kept requests, oldest first.
    pub fn last(&self, count: usize) -> Vec<Received> {
        held(&self.journal).last(count)
    }

    /// The kept requests from number `since` on that `wanted` takes: at most `bounds.0` of them, and no more after the
    /// one with which their bodies pass `bounds.1` bytes.
    pub fn since(&self, since: u64, bounds: (usize, usize), wanted: impl Fn(&Received) -> bool) -> Page {
        held(&self.journal).since(since, bounds, wanted)
    }

    /// The different UID2 and EUID tokens received, in order of first arrival.
    pub fn tokens(&self) -> Vec<Token> {
        held(&self.journal).tokens()
    }

    /// Counts since the start or the last reset.
    pub fn stats(&self) -> Stats {
        held(&self.journal).stats()
    }

    /// The fault rules in force, with what is left of their `next`.
    pub fn faults(&self) -> Vec<Rule> {
        held(&self.faults).rules().to_vec()
    }

    /// Replaces all fault rules; their time windows begin now.
    pub fn set_faults(&self, rules: Vec<Rule>) {
        *held(&self.faults) = Faults::new(rules, Clock::monotonic());
    }

    /// Replaces the delay before answers.
    pub fn set_latency(&self, latency: Latency) {
        *held(&self.latency) = latency;
    }

    /// Back to the start: nothing received, faults, latency and random numbers as in the settings.
    pub fn reset(&self) {
        self.set_faults(self.settings.faults.clone());
        self.set_latency(self.settings.latency);
        self.arrivals.store(0, Ordering::Relaxed);
        held(&self.journal).reset();
    }

    /// Decides about one request: what to answer, and after which delay. `body` is `None` when it was too large.
    fn decide(&self, received: Received, body: Option<&[u8]>) -> (Duration, Reply) {
        // Each request draws from its own stream, so answers depend on its number alone.
        let number = self.arrivals.fetch_add(1, Ordering::Relaxed);
        let mut random = Random::stream(self.settings.seed, number);
        let delay = held(&self.latency).draw(&mut random);
        let fault = held(&self.faults).draw(Clock::monotonic(), &mut random);
        let seen = body.ok_or_else(|| Problem::new("", "body too large")).and_then(inspect::inspect);
        let (deed, reply) = match (&seen, fault) {
            (Ok(seen), Some(fault)) => (Deed::Fault(fault), self.fail(fault, seen, &mut random)),
            (Ok(seen), None) => self.offer(seen, &mut random),
            (Err(_), _) => (Deed::Refused, Reply::Bare(if body.is_some() { 400 } else { 413 })),
        };
        let mut journal = held(&self.journal);
        journal.receive(received);
        match seen {
            Ok(seen) => journal.found(&seen),
            Err(problem) => journal.complain(problem),
        }
        journal.count(deed);
        (delay, reply)
    }

    fn offer(&self, seen: &Seen, random: &mut Random) -> (Deed, Reply) {
        match bidder::offer(&self.settings, seen, random) {
            Offer::Bid(body) => (Deed::Bid, Reply::Json(200, body.into())),
            Offer::Nothing(body) => (Deed::NoBid, Reply::Json(200, body.into())),
            Offer::Silence => (Deed::NoBid, Reply::NoContent),
        }
    }

    fn fail(&self, fault: Fault, seen: &Seen, random: &mut Random) -> Reply {
        let mut bid = |twist| Bytes::from(bidder::bid(&self.settings, seen, twist, random));
        match fault {
            Fault::Hang => Reply::Hang,
            Fault::Reset => Reply::Reset,
            Fault::ResetBody => Reply::Half(bid(Twist::Straight)),
            Fault::ServerError => Reply::Bare(500),
            Fault::BadRequest => Reply::Bare(400),
            Fault::Redirect => Reply::Redirect,
            Fault::HugeBody => Reply::Padded(bid(Twist::Straight)),
            Fault::Slow => Reply::Dripped(bid(Twist::Straight)),
            Fault::InvalidJson => {
                let whole = bid(Twist::Straight);
                Reply::Json(200, whole.slice(..whole.len() / 2))
            }
            Fault::WrongId => Reply::Json(200, bid(Twist::WrongId)),
            Fault::WrongCurrency => Reply::Json(200, bid(Twist::WrongCurrency)),
        }
    }
}

/// The guard, also after another holder panicked: each of these values is whole between any two statements.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
