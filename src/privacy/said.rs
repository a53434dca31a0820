//! Privacy settings as a login passes them, kept with the identity they were said of.

use std::borrow::Cow;

use super::{Reason, Regime, Signals};

/// Privacy settings as a login passes them (the identity API's `privacy` object). All absent means: nothing said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
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
    /// The publisher asserts that the user was told about the exchange; `None`: it did not say.
    pub notice: Option<bool>,
}

impl Said {
    /// The same signals in the vocabulary of the table.
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

    /// Whether nothing was said that a judgement goes by.
    pub fn is_silent(&self) -> bool {
        *self == Self { notice: self.notice, ..Self::default() }
    }

    /// What stays said of a user until they log in again, whatever else becomes of their identity: COPPA, and GPC where it
    /// forbids this identity.
    pub fn sticking(&self, regime: Regime) -> Option<Reason> {
        if self.coppa {
            return Some(Reason::Coppa);
        }
        (self.gpc && regime == Regime::Uid2).then_some(Reason::Gpc)
    }

    /// The signals of a request, with what it does not say filled in from what was said at login; COPPA and GPC count
    /// wherever they are said. `None` when that changes nothing.
    ///
    /// A GPP string and its list of sections are one signal, and may hold a TC string.
    pub fn fill<'a>(&'a self, request: &Signals<'a>) -> Option<Signals<'a>> {
        let own = self.signals();
        let mut filled = request.clone();
        let sid_speaks = request.gpp_sid.iter().any(|ids| ids.iter().any(|id| *id > 0));
        let says_gpp = sid_speaks || request.gpp.iter().any(Option::is_some);
        let says_tc = says_gpp || request.tc_strings.iter().flatten().any(|text| !text.is_empty());
        let mut changes = false;
        let mut fill = |silent: bool, has: bool| {
            changes |= silent && has;
            silent && has
        };
        if fill(request.gdpr.is_none() && !sid_speaks, own.gdpr.is_some()) {
            filled.gdpr = own.gdpr;
        }
        if fill(!says_tc, self.consent.is_some()) {
            filled.tc_strings = own.tc_strings;
        }
        if fill(request.us_privacy.iter().all(Option::is_none), self.us_privacy.is_some()) {
            filled.us_privacy = own.us_privacy;
        }
        if fill(!says_gpp, self.gpp.is_some() || self.gpp_sid.is_some()) {
            (filled.gpp, filled.gpp_sid) = (own.gpp, own.gpp_sid);
        }
        filled.coppa |= fill(!request.coppa, self.coppa);
        filled.gpc |= fill(!request.gpc, self.gpc);
        changes.then_some(filled)
    }
}
