//! Bid request, headers and login bodies → `privacy::Signals`. The one place that knows both vocabularies.

use std::borrow::Cow;

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

/// Privacy settings as a login passes them (contract §2.3). All absent means: nothing said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginPrivacy {
    /// GDPR applies.
    pub gdpr: Option<bool>,
    /// TC string.
    pub consent: Option<String>,
    /// US Privacy string.
    pub us_privacy: Option<String>,
    /// GPP string.
    pub gpp: Option<String>,
    /// Applicable GPP sections.
    pub gpp_sid: Option<Vec<i32>>,
    /// Directed at children.
    pub coppa: bool,
    /// Global Privacy Control.
    pub gpc: bool,
}

impl LoginPrivacy {
    /// The same signals in the vocabulary of `privacy`.
    pub fn signals(&self) -> Signals<'_> {
        Signals {
            coppa: self.coppa,
            gdpr: self.gdpr,
            tc_strings: [self.consent.as_deref().map(Cow::Borrowed), None],
            us_privacy: [self.us_privacy.as_deref().map(Cow::Borrowed), None],
            gpp: [self.gpp.as_deref().map(Cow::Borrowed), None],
            gpp_sid: [self.gpp_sid.as_deref().unwrap_or_default(), &[]],
            gpc: self.gpc,
            ..Signals::default()
        }
    }
}
