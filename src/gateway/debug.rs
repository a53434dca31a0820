//! What a caller is told besides bids, when `[debug]` allows it: where the identity came from, what each SSP did, and when.
//!
//! Never a user id, a token or a body. Whoever may not see it gets nothing that shows it exists, and costs nothing.

use std::collections::BTreeSet;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Leg;
use super::admit::Admitted;
use super::answer::Draft;
use super::decision::Decision;
use super::fanout::Replied;
use super::nobid;
use crate::openrtb::response::{self, ReplyVerdict};
use crate::time::Clock;

/// `debug.allow`: whose authenticated callers are told.
#[derive(Clone, Debug, Default)]
pub enum DebugAllow {
    /// Nobody's.
    #[default]
    Nobody,
    /// Everybody's.
    Everybody,
    /// Those of these publishers, by id.
    Publishers(BTreeSet<String>),
}

impl DebugAllow {
    /// Whether callers of this publisher may be told.
    pub(super) fn admits(&self, publisher: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Publishers(ids) => ids.contains(publisher),
        }
    }
}

/// `x-uid2gw-debug: 1`: a request without bids is to be answered with a body that says why.
const WISH: HeaderName = HeaderName::from_static("x-uid2gw-debug");

/// The moments of one request, noted only for a caller who may see them.
pub(super) struct Trace(Option<Moments>);

struct Moments {
    started: Instant,
    admitted: Instant,
    decided: Instant,
    /// The SSPs are asked.
    sent: Instant,
    /// The last of them has answered or is late.
    answered: Instant,
}

/// What there is to tell of a request that has been answered.
pub(super) struct Story<'a> {
    pub admitted: &'a Admitted,
    pub decision: &'a Decision,
    pub legs: &'a [Leg],
    pub replies: &'a [Replied],
}

impl Trace {
    /// `started`: the first byte of the request.
    pub(super) fn begin(admitted: &Admitted, started: Instant) -> Self {
        Self(admitted.debug.then(|| {
            let now = Clock::monotonic();
            Moments { started, admitted: now, decided: now, sent: now, answered: now }
        }))
    }

    /// The identity is decided.
    pub(super) fn decided(&mut self) {
        if let Some(moments) = &mut self.0 {
            moments.decided = Clock::monotonic();
        }
    }

    /// The requests are ready to leave.
    pub(super) fn sent(&mut self) {
        if let Some(moments) = &mut self.0 {
            moments.sent = Clock::monotonic();
        }
    }

    /// All SSPs have answered or are late.
    pub(super) fn answered(&mut self) {
        if let Some(moments) = &mut self.0 {
            moments.answered = Clock::monotonic();
        }
    }

    /// The answer with what may be told, and the value of `x-uid2gw-result`.
    pub(super) fn tell(self, draft: Draft, story: &Story<'_>) -> (Draft, Option<HeaderValue>) {
        let Some(moments) = self.0 else { return (draft, None) };
        let told = serde_json::to_string(&Told::of(&moments, story)).unwrap_or_default();
        (with_told(draft, &told, story), result_header(story.decision))
    }
}

/// `injected;reason=fresh;source=user`
fn result_header(decision: &Decision) -> Option<HeaderValue> {
    let mut text = format!("{};reason={}", decision.result.as_str(), decision.reason.as_str());
    if let Some(source) = decision.source {
        text.push_str(";source=");
        text.push_str(source.as_str());
    }
    HeaderValue::from_str(&text).ok()
}

fn with_told(draft: Draft, told: &str, story: &Story<'_>) -> Draft {
    let spliced = |body: &[u8]| response::with_ext_member(body, ("uid2gw", told));
    let wished = wishes_a_body(&story.admitted.inbound);
    match draft {
        Draft::Written { body, bid } => Draft::Written { body: spliced(&body).unwrap_or(body), bid },
        Draft::Passed { ref body, .. } if body.is_empty() && wished => nobid::written(told, story),
        Draft::Passed { status, headers, body, packed, bid } => match spliced(&body) {
            Some(body) => Draft::Passed { status, headers, body, packed: None, bid },
            None => Draft::Passed { status, headers, body, packed, bid },
        },
        Draft::NoBid if wished => nobid::written(told, story),
        Draft::NoBid => Draft::NoBid,
    }
}

fn wishes_a_body(inbound: &HeaderMap) -> bool {
    inbound.get(WISH).is_some_and(|value| value.as_bytes() == b"1")
}

/// `ext.uid2gw`.
#[derive(Serialize)]
struct Told<'a> {
    result: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    ssps: Vec<Leaf<'a>>,
    timeline: Timeline,
}

/// Microseconds since the first byte of the request.
#[derive(Serialize)]
struct Timeline {
    admitted: u64,
    decided: u64,
    sent: u64,
    answered: u64,
    written: u64,
}

/// One SSP.
#[derive(Serialize)]
struct Leaf<'a> {
    ssp: &'a str,
    outcome: &'static str,
    /// Milliseconds.
    ms: f64,
    bids: usize,
    dropped: usize,
    result: &'static str,
    /// What `AUCTION_BID_ID` stands for in this SSP's notices: a merged answer has one `bidid` at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    bidid: Option<Box<RawValue>>,
    /// It bids, but not quite as OpenRTB says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
}

impl<'a> Told<'a> {
    fn of(moments: &Moments, story: &Story<'a>) -> Self {
        let micros = |moment: Instant| {
            u64::try_from(moment.saturating_duration_since(moments.started).as_micros()).unwrap_or(u64::MAX)
        };
        Self {
            result: story.decision.result.as_str(),
            reason: story.decision.reason.as_str(),
            source: story.decision.source.map(super::Hint::as_str),
            ssps: story.replies.iter().filter_map(|replied| Leaf::of(replied, story)).collect(),
            timeline: Timeline {
                admitted: micros(moments.admitted),
                decided: micros(moments.decided),
                sent: micros(moments.sent),
                answered: micros(moments.answered),
                written: micros(Clock::monotonic()),
            },
        }
    }
}

impl<'a> Leaf<'a> {
    fn of(replied: &Replied, story: &Story<'a>) -> Option<Self> {
        let micros = u32::try_from(replied.reply.elapsed.as_micros()).unwrap_or(u32::MAX);
        let mut leaf = Self {
            ssp: &story.legs.get(replied.ssp)?.settings.id,
            outcome: replied.reply.outcome.as_str(),
            ms: f64::from(micros) / 1e3,
            bids: 0,
            dropped: 0,
            result: replied.result.as_str(),
            bidid: None,
            warnings: Vec::new(),
        };
        if let Some(ReplyVerdict::Bid { bids, dropped, id_missing, typed_error }) = replied.verdict {
            (leaf.bids, leaf.dropped) = (bids, dropped);
            let glance = response::glance(&replied.reply.body);
            let bidid = glance.and_then(|glance| std::str::from_utf8(glance.bidid?).ok());
            leaf.bidid = bidid.and_then(|bidid| RawValue::from_string(bidid.to_owned()).ok());
            leaf.warnings.extend(id_missing.then_some("id_missing"));
            // A missing id is not of OpenRTB's types either: said once.
            leaf.warnings.extend((typed_error && !id_missing).then_some("types"));
        }
        Some(leaf)
    }
}
