//! The operator client: one total timeout, up to three tries, each to a base URL that may work.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, sleep, timeout_at};

use super::call::Call;
use super::circuit::Circuit;
use super::failover::Failover;
use super::fault::{Fault, OperatorError};
use super::limits::Gate;
use super::metrics::{Metrics, Op};
use super::{Credentials, Minted, Settings};
use crate::net::{Transport, backoff};
use crate::time::{Clock, Deadline, UnixMillis};
use crate::uid2::{DiiHash, Identity};

/// Tries of one call, the first included.
pub(super) const MAX_TRIES: u32 = 3;

/// Longest first pause between tries; it doubles.
const BACKOFF_BASE: Duration = Duration::from_millis(100);
/// Longest pause between tries.
const BACKOFF_CAP: Duration = Duration::from_secs(1);

/// Talks to UID2 operators on behalf of many publishers. One per process and `[operator]` section; share it in an
/// `Arc`.
pub struct OperatorClient {
    settings: Settings,
    transport: Arc<dyn Transport>,
    clock: Clock,
    metrics: Metrics,
    gate: Gate,
    failover: Failover,
    circuit: Circuit,
}

impl std::fmt::Debug for OperatorClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorClient").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl OperatorClient {
    /// `transport` caps answers at `settings.max_response_bytes`; `clock` dates the envelopes.
    pub fn new(settings: Settings, transport: Arc<dyn Transport>, clock: Clock, metrics: Metrics) -> Self {
        for url in &settings.urls {
            // Until a call shows otherwise.
            metrics.reachable(url, true);
        }
        let gate = Gate::new(settings.max_concurrency, settings.rate_per_s);
        let (failover, circuit) = (Failover::default(), Circuit::default());
        Self { settings, transport, clock, metrics, gate, failover, circuit }
    }

    /// Asks for a new identity. `tcf` is the user's TCF string; it is sent to EUID operators only.
    pub async fn generate(
        &self,
        credentials: &Credentials,
        hash: &DiiHash,
        tcf: Option<&str>,
    ) -> Result<Minted, OperatorError> {
        self.run(&Call::generate(credentials, hash, tcf)).await
    }

    /// Renews an identity with its refresh token; the answer is opened with its response key.
    pub async fn refresh(
        &self,
        credentials: &Credentials,
        identity: &Identity,
    ) -> Result<Minted, OperatorError> {
        self.run(&Call::refresh(credentials, identity)?).await
    }

    /// While an API key is known to be refused, nobody asks with it.
    async fn run(&self, call: &Call<'_>) -> Result<Minted, OperatorError> {
        let key = call.credentials().api_key.expose();
        self.circuit.check(key, self.clock.now())?;
        let result = self.tries(call).await;
        let news = self.circuit.note(key, result.as_ref().err(), self.clock.now());
        if let (true, Err(error)) = (news, &result) {
            let Credentials { scope, environment, .. } = call.credentials();
            tracing::error!(
                %error,
                ?scope,
                ?environment,
                call = call.op().as_str(),
                "the operator refuses our calls: key, secret, URL or clock must be mended; no tokens until then"
            );
        }
        result
    }

    async fn tries(&self, call: &Call<'_>) -> Result<Minted, OperatorError> {
        let until = Instant::now() + self.settings.timeout;
        let class = call.op().class();
        let route = self.failover.route(self.urls(call), self.clock.now());
        let mut tries = Tries::new(route.inspect_err(|e| self.metrics.count(call.op(), &Err(e.clone())))?);
        loop {
            let base = tries.url()?;
            let Ok(place) = self.gate.enter(class, until).await else {
                return Err(tries.last.unwrap_or_else(|| self.too_busy(call.op())));
            };
            let error = match self.attempt(call, base, tries.patience(until)).await {
                Ok(minted) => return Ok(minted),
                Err(error) => error,
            };
            drop(place);
            let retry = tries.after(error.clone())?;
            let pause = backoff::full_jitter(retry, BACKOFF_BASE, BACKOFF_CAP, random());
            let pause = pause.max(tries.rest(&error));
            if Instant::now() + pause >= until {
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    fn urls<'a>(&'a self, call: &Call<'a>) -> &'a [Uri] {
        let own = &call.credentials().urls;
        if own.is_empty() { &self.settings.urls } else { own }
    }

    /// One request, one answer, counted.
    async fn attempt(&self, call: &Call<'_>, base: &Uri, by: Instant) -> Result<Minted, OperatorError> {
        let result = self.exchange(call, base, by).await;
        let error = result.as_ref().err();
        self.failover.note(base, error, (self.clock.now(), random()));
        self.metrics.reachable(base, !error.is_some_and(|error| error.fault.moves_on()));
        self.metrics.count(call.op(), &result);
        result
    }

    async fn exchange(&self, call: &Call<'_>, base: &Uri, by: Instant) -> Result<Minted, OperatorError> {
        let sent = self.clock.now();
        let (request, nonce) = call.seal(base, sent)?;
        let started = Instant::now();
        let deadline = Deadline::after(by.into_std(), Duration::ZERO);
        let answer = timeout_at(by, self.transport.send(request, deadline)).await;
        self.metrics.took(call.op(), started.elapsed());
        let answer = answer.map_err(|_| OperatorError::new(Fault::Timeout, "no answer in time"))??;
        let received = self.clock.now();
        let said = call.open(nonce, &answer, received)?;
        if let Some(theirs) = said.at {
            self.metrics.skewed(theirs.since(midpoint(sent, received)));
        }
        Ok(said.minted)
    }

    fn too_busy(&self, op: Op) -> OperatorError {
        let error = OperatorError::new(Fault::Throttled, "our own limit left no room in time");
        self.metrics.count(op, &Err(error.clone()));
        error
    }
}

/// How far a call has come: which URL is next, how many tries are left, what went wrong last.
struct Tries<'a> {
    order: Vec<&'a Uri>,
    at: usize,
    made: u32,
    clock_retried: bool,
    /// The next try goes to another URL.
    moved: bool,
    last: Option<OperatorError>,
}

impl<'a> Tries<'a> {
    fn new(order: Vec<&'a Uri>) -> Self {
        Self { order, at: 0, made: 0, clock_retried: false, moved: false, last: None }
    }

    fn url(&self) -> Result<&'a Uri, OperatorError> {
        let next = self.order.get(self.at).copied();
        next.ok_or_else(|| OperatorError::new(Fault::Misconfigured, "no operator URL is configured"))
    }

    /// The end of the next try: half of the time left, so that one hanging URL leaves time for another; all of it
    /// for the last try, and where there is no other URL (an operator that is slow today answers no faster when it
    /// is asked twice).
    fn patience(&self, until: Instant) -> Instant {
        if self.made + 1 >= MAX_TRIES || self.order.len() == 1 {
            return until;
        }
        let now = Instant::now();
        now + until.saturating_duration_since(now) / 2
    }

    /// For so long the operator wants to be left alone, where the next try would meet it again.
    fn rest(&self, error: &OperatorError) -> Duration {
        if self.moved { Duration::ZERO } else { error.retry_after().unwrap_or_default() }
    }

    /// Counts a failed try. `Ok(n)`: another may be made, and it is the n-th retry, from 0.
    fn after(&mut self, error: OperatorError) -> Result<u32, OperatorError> {
        self.made += 1;
        // A wrong clock may have been set right meanwhile; once, not three times.
        let clock = error.fault == Fault::Clock && !std::mem::replace(&mut self.clock_retried, true);
        if self.made >= MAX_TRIES || !(error.fault.is_transient() || clock) {
            return Err(error);
        }
        let moves_on = error.fault.moves_on() || error.retry_after().is_some();
        self.moved = moves_on && self.order.len() > 1;
        if moves_on {
            self.at = (self.at + 1) % self.order.len();
        }
        self.last = Some(error);
        Ok(self.made - 1)
    }
}

fn midpoint(sent: UnixMillis, received: UnixMillis) -> UnixMillis {
    sent.plus(received.since(sent) / 2)
}

/// Without random bytes, the longest pause.
fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}
