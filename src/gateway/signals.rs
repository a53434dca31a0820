//! Bid request and headers → `privacy::Signals`. The one place that knows both vocabularies.

use smallvec::SmallVec;

use crate::openrtb::BidRequest;
use crate::privacy::{Regime, Signals};
use crate::uid2::Scope;

/// The regime whose table decides for a scope.
pub const fn regime(scope: Scope) -> Regime {
    match scope {
        Scope::Uid2 => Regime::Uid2,
        Scope::Euid => Regime::Euid,
    }
}

/// Every signal of a bid request and of the `Sec-GPC` header; where places disagree the stricter value counts.
pub(super) fn of_request(request: &BidRequest, sec_gpc: bool) -> Signals<'_> {
    let raw = request.signals();
    Signals {
        coppa: raw.coppa,
        gdpr: strictest(raw.gdpr),
        tc_strings: request.consents(),
        us_privacy: request.us_privacies(),
        gpp: request.gpps(),
        gpp_sid: raw.gpp_sid.each_ref().map(SmallVec::as_slice),
        gpc: raw.gpc || sec_gpc,
        lmt: raw.lmt,
        dnt: raw.dnt,
        atts: raw.atts,
        // Only Apple's systems send `atts`, and `os` is spelled in many ways: what is said counts.
        ios_app: raw.ios || raw.is_app,
        countries: request.countries(),
        test: request.test(),
        malformed: raw.malformed,
    }
}

fn strictest(flags: [Option<bool>; 2]) -> Option<bool> {
    match flags {
        [Some(true), _] | [_, Some(true)] => Some(true),
        [Some(false), _] | [_, Some(false)] => Some(false),
        [None, None] => None,
    }
}
