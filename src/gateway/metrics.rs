//! The families of the data path. Children are bound per publisher and SSP when the configuration is applied, so
//! that a request only increments.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::admit::Admitted;
use super::decision::Decision;
use super::directory::Hint;
use super::inject::Outgoing;
use super::outcome::{Outcome, Reject};
use super::reason::{Reason, ResultLabel};
use crate::openrtb::guard::Spot;
use crate::telemetry::{Registry, RegistryError, buckets};
use crate::uid2::Scope;

/// `outcome` of `requests_total`: every request ends in exactly one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutcomeLabel {
    /// Answered with at least one bid.
    Bid,
    /// Answered without a bid.
    NoBid,
    /// Not a bid request.
    BadRequest,
    /// No or an unknown credential.
    Unauthorized,
    /// Known, but not allowed.
    Forbidden,
    /// No such publisher or path.
    NotFound,
    /// Wrong method.
    Method,
    /// Wrong media type or coding.
    Unsupported,
    /// Body over a limit.
    TooLarge,
    /// The body did not arrive in time.
    Timeout,
    /// Publisher over its rate.
    RateLimited,
    /// Refused under overload.
    Shed,
    /// The caller went away.
    Cancelled,
    /// Our own failure.
    Error,
}

impl OutcomeLabel {
    /// Every label, in metric order.
    pub const ALL: [Self; 14] = [
        Self::Bid,
        Self::NoBid,
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Method,
        Self::Unsupported,
        Self::TooLarge,
        Self::Timeout,
        Self::RateLimited,
        Self::Shed,
        Self::Cancelled,
        Self::Error,
    ];

    /// The label's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bid => "bid",
            Self::NoBid => "nobid",
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::Unsupported => "unsupported",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::Shed => "shed",
            Self::Cancelled => "cancelled",
            Self::Error => "error",
        }
    }
}

/// The label of requests whose publisher was never found.
const NO_PUBLISHER: &str = "none";

/// The label of publishers beyond `metrics.publishers`.
const OTHER: &str = "other";

/// `reason` of `leg_eids_withheld_total`: `ssp.scopes`, and the EID permissions of the request.
const NARROWED: [&str; 2] = ["scope", "permission"];

/// Names that become labels.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Publisher ids in configuration order.
    pub publishers: Vec<String>,
    /// SSP ids in configuration order.
    pub ssps: Vec<String>,
    /// Publishers beyond this many share the label `other`.
    pub max_publishers: usize,
}

/// The families of the data path.
#[derive(Clone, Debug)]
pub struct Families {
    requests: IntCounterVec,
    identity: IntCounterVec,
    reasons: IntCounterVec,
    legs: IntCounterVec,
    sources: IntCounterVec,
    stripped: IntCounterVec,
    narrowed: IntCounterVec,
    dii: IntCounterVec,
    request_duration: Histogram,
    self_duration: Histogram,
    inflight: IntGauge,
    shed: IntCounter,
    key_mismatch: IntCounter,
}

/// Their children for the publishers and SSPs of one configuration.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Vec<Vec<IntCounter>>,
    request_duration: Histogram,
    self_duration: Histogram,
    identity: Vec<Vec<IntCounter>>,
    reasons: Vec<Vec<IntCounter>>,
    legs: Vec<Vec<IntCounter>>,
    sources: [IntCounter; Hint::ALL.len()],
    stripped: Vec<IntCounter>,
    narrowed: Vec<Vec<IntCounter>>,
    dii_stripped: [IntCounter; Spot::ALL.len()],
    inflight: IntGauge,
    shed: IntCounter,
    key_mismatch: IntCounter,
}

impl Families {
    /// Registers the families. Once per registry.
    pub fn register(registry: &Registry) -> Result<Self, RegistryError> {
        let counters = |name, help, labels: &[&str]| registry.counters(name, help, labels);
        let histogram = |name, help| registry.histogram(name, help, buckets::REQUEST);
        Ok(Self {
            requests: counters("requests_total", "Ad requests by outcome.", &["publisher", "outcome"])?,
            identity: counters("identity_total", "Identity results by publisher.", &["publisher", "result"])?,
            reasons: counters(
                "identity_reason_total",
                "Why an identity was or was not sent.",
                &["scope", "result", "reason"],
            )?,
            legs: counters("identity_leg_total", "Identity results by SSP leg.", &["ssp", "result"])?,
            sources: counters("identity_source_total", "Hint that named the user.", &["source"])?,
            stripped: counters("eids_stripped_total", "Requests with EIDs removed.", &["reason"])?,
            narrowed: counters(
                "leg_eids_withheld_total",
                "Requests of which an SSP got fewer EIDs than others, by what withheld them.",
                &["ssp", "reason"],
            )?,
            dii: counters(
                "dii_stripped_total",
                "E-mail addresses, phone numbers, hashes of them and raw UID2s removed, by member of user.",
                &["place"],
            )?,
            request_duration: histogram(
                "request_duration_seconds",
                "First byte of an ad request to its answer.",
            )?,
            self_duration: histogram(
                "self_duration_seconds",
                "The part of a request not spent waiting for identity or SSPs.",
            )?,
            inflight: registry.gauge("inflight_requests", "Ad requests being worked on.")?,
            shed: registry.counter("shed_total", "Ad requests refused under overload.")?,
            key_mismatch: registry.counter(
                "key_match_mismatch_total",
                "Requests whose key and match rule name different publishers.",
            )?,
        })
    }

    /// Binds every child. Names that were bound before go on counting where they were.
    pub fn bind(&self, labels: &Labels) -> Metrics {
        let names = publisher_labels(labels);
        let outcomes = OutcomeLabel::ALL.map(OutcomeLabel::as_str);
        let results = ResultLabel::ALL.map(ResultLabel::as_str);
        Metrics {
            requests: names.iter().map(|p| bind(&self.requests, p, &outcomes)).collect(),
            request_duration: self.request_duration.clone(),
            self_duration: self.self_duration.clone(),
            identity: names.iter().map(|p| bind(&self.identity, p, &results)).collect(),
            reasons: [Scope::Uid2, Scope::Euid].map(|scope| bind_reasons(&self.reasons, scope)).into(),
            legs: labels.ssps.iter().map(|s| bind(&self.legs, s, &results)).collect(),
            sources: Hint::ALL.map(|hint| self.sources.with_label_values(&[hint.as_str()])),
            stripped: Reason::ALL.iter().map(|reason| bind_stripped(&self.stripped, *reason)).collect(),
            narrowed: labels.ssps.iter().map(|s| bind(&self.narrowed, s, &NARROWED)).collect(),
            dii_stripped: Spot::ALL.map(|spot| self.dii.with_label_values(&[spot.as_str()])),
            inflight: self.inflight.clone(),
            shed: self.shed.clone(),
            key_mismatch: self.key_mismatch.clone(),
        }
    }
}

impl Metrics {
    /// Registers the families and binds every child.
    pub fn register(registry: &Registry, labels: &Labels) -> Result<Self, RegistryError> {
        Ok(Families::register(registry)?.bind(labels))
    }

    /// Counts what one request's identity came to, per publisher, reason, source and leg.
    pub(super) fn decided(&self, admitted: &Admitted, decision: &Decision, outgoing: &Outgoing) {
        let (result, reason) = (decision.result, decision.reason);
        inc(&self.identity, admitted.publisher.index, result as usize);
        let scope = usize::from(admitted.scope().bit());
        inc(&self.reasons, scope, pair(result, reason));
        if let Some(source) = decision.source {
            self.sources[source as usize].inc();
        }
        if let Some(counter) =
            decision.removes(&admitted.request).and_then(|why| self.stripped.get(why as usize))
        {
            counter.inc();
        }
        for leg in outgoing.legs.iter().filter(|leg| leg.call.is_some()) {
            inc(&self.legs, leg.ssp, leg.result as usize);
            for (column, narrowed) in [leg.narrowed.scope, leg.narrowed.permission].into_iter().enumerate() {
                if narrowed {
                    inc(&self.narrowed, leg.ssp, column);
                }
            }
        }
        if admitted.mismatch {
            self.key_mismatch.inc();
        }
    }

    /// Counts one thing that the DII guard removed.
    pub(super) fn dii_stripped(&self, spot: Spot) {
        self.dii_stripped[spot as usize].inc();
    }

    /// Counts a finished request and its time.
    pub fn finished(&self, result: &Result<Outcome, Reject>, total: Duration) {
        let (publisher, label) = match result {
            Ok(outcome) => (Some(outcome.publisher), outcome.label()),
            Err(reject) => (reject.publisher, reject.label()),
        };
        self.request_duration.observe(total.as_secs_f64());
        if let Ok(outcome) = result {
            self.self_duration.observe(total.saturating_sub(outcome.waited).as_secs_f64());
        }
        if label == OutcomeLabel::Shed {
            self.shed.inc();
        }
        self.count(publisher, label);
    }

    /// Counts one request under `label`; `None` stands for "publisher never found".
    pub fn count(&self, publisher: Option<usize>, label: OutcomeLabel) {
        let last = self.requests.len().saturating_sub(1);
        inc(&self.requests, publisher.unwrap_or(last), label as usize);
    }

    /// Requests being worked on.
    pub fn inflight(&self) -> &IntGauge {
        &self.inflight
    }
}

/// One label per publisher, then the one for "none". Counters of publishers over the cap are the same child.
fn publisher_labels(labels: &Labels) -> Vec<&str> {
    let capped = labels.publishers.iter().enumerate();
    let named = capped.map(|(i, name)| if i < labels.max_publishers { name.as_str() } else { OTHER });
    named.chain([NO_PUBLISHER]).collect()
}

fn bind(family: &IntCounterVec, first: &str, second: &[&str]) -> Vec<IntCounter> {
    second.iter().map(|label| family.with_label_values(&[first, label])).collect()
}

/// Children of the (result, reason) pairs that can happen; the others share one that is never exported.
fn bind_reasons(family: &IntCounterVec, scope: Scope) -> Vec<IntCounter> {
    let mut bound = Vec::with_capacity(ResultLabel::ALL.len() * Reason::ALL.len());
    for result in ResultLabel::ALL {
        for reason in Reason::ALL {
            let labels = [scope.as_str(), result.as_str(), reason.as_str()];
            bound.push(if reason.belongs_to(result) {
                family.with_label_values(&labels)
            } else {
                unexported()
            });
        }
    }
    bound
}

/// A denial removes what is there, and so does a doubt that could not be settled in time.
fn bind_stripped(family: &IntCounterVec, reason: Reason) -> IntCounter {
    if reason.belongs_to(ResultLabel::Denied) || reason == Reason::Wait {
        family.with_label_values(&[reason.as_str()])
    } else {
        unexported()
    }
}

fn unexported() -> IntCounter {
    IntCounter::new("unexported", "A pair that does not happen.").expect("name and help are valid")
}

fn pair(result: ResultLabel, reason: Reason) -> usize {
    result as usize * Reason::ALL.len() + reason as usize
}

fn inc(table: &[Vec<IntCounter>], row: usize, column: usize) {
    if let Some(counter) = table.get(row).and_then(|r| r.get(column)) {
        counter.inc();
    }
}
