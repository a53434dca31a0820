//! Privacy settings as a login passes them, kept with the identity they were said of.

use std::borrow::Cow;

use super::Signals;

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
}
