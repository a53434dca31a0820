//! Signals and policy boiled down to the yes-or-no facts that the table asks for.

use super::applicable::{GppStrings, SectionIds};
use super::country::{alpha3, is_european};
use super::gvl::{Declared, Gvl, TRADE_DESK};
use super::policy::{Policy, Rules};
use super::signals::{Places, Regime, Signals};
use super::tcf::TcString;
use super::us_privacy::UsPrivacy;
use super::us_section::UsSection;

/// The facts of one request under one policy, each already the strictest over all places.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, one for each condition of the table")]
pub(super) struct Facts<'a> {
    pub(super) signals: &'a Signals<'a>,
    pub(super) policy: &'a Policy,
    /// GDPR, UK GDPR or the Swiss law applies.
    pub(super) gdpr: bool,
    /// Something says which law applies: a GDPR flag, `gpp_sid`, a country, a US signal.
    pub(super) scope_known: bool,
    /// Outside the configured countries.
    pub(super) country_refused: bool,
    /// Countries are configured and the request names none.
    pub(super) country_unknown: bool,
    pub(super) tcf: Tcf,
    pub(super) us: Us,
}

/// What the TC strings allow The Trade Desk; read only when EUID is asked for under GDPR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tcf {
    NotAsked,
    Missing,
    Invalid,
    Insufficient,
    Sufficient,
}

/// US Privacy and GPP together.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Us {
    /// A US signal is there.
    pub(super) signal: bool,
    /// US Privacy, in its own members or in GPP section 6, says opted out.
    pub(super) sale_opt_out: bool,
    /// A US Privacy string is malformed or a GPP header broken.
    pub(super) malformed: bool,
    /// What the applicable GPP sections say together. One that is named and not there is unreadable.
    pub(super) gpp: UsSection,
}

impl<'a> Facts<'a> {
    pub(super) fn gather(signals: &'a Signals<'a>, rules: Rules<'a>, regime: Regime) -> Self {
        let policy = rules.policy;
        let gpp = GppStrings::read(signals);
        let us = Us::gather(signals, &gpp);
        let mut countries = signals.countries.iter().flatten().filter_map(|code| alpha3(code));
        let gdpr = gdpr_applies(signals);
        let says_no = |country| !policy.countries.contains(&country);
        let has_country = countries.clone().next().is_some();
        let tcf = match regime {
            Regime::Euid if gdpr => trade_desk(signals, &gpp, rules.gvl),
            _ => Tcf::NotAsked,
        };
        Self {
            signals,
            policy,
            gdpr,
            scope_known: signals.gdpr.is_some()
                || sid_speaks(signals)
                || has_country
                || us.signal
                || signals.gpc,
            country_refused: !policy.countries.is_empty() && countries.any(says_no),
            country_unknown: !policy.countries.is_empty() && !has_country,
            tcf,
            us,
        }
    }
}

/// Whether GDPR, UK GDPR or the Swiss law applies. A country counts only where neither a flag nor `gpp_sid` speaks.
pub(super) fn gdpr_applies(signals: &Signals<'_>) -> bool {
    let by_country = || {
        let silent = signals.gdpr.is_none() && !sid_speaks(signals);
        silent && signals.countries.iter().flatten().filter_map(|code| alpha3(code)).any(is_european)
    };
    signals.gpp_sid.iter().any(|ids| ids.contains(&2)) || signals.gdpr == Some(true) || by_country()
}

fn sid_speaks(signals: &Signals<'_>) -> bool {
    signals.gpp_sid.iter().any(|ids| SectionIds::of(ids).speaks())
}

/// The texts of a signal, each once: most senders write the same string in both places.
fn distinct<'a>(places: &'a Places<'_>) -> impl Iterator<Item = &'a str> {
    let [first, second] = places;
    let second = second.as_deref().filter(|text| first.as_deref() != Some(text));
    first.as_deref().into_iter().chain(second)
}

impl Us {
    fn gather<'a>(signals: &Signals<'_>, gpp: &GppStrings<'a>) -> Self {
        let mut us = Self { malformed: gpp.broken(), signal: gpp.broken(), ..Self::default() };
        for text in distinct(&signals.us_privacy) {
            us.add_us_privacy(text);
        }
        let has_us_privacy = signals.us_privacy.iter().any(Option::is_some);
        // TCF and US Privacy have members of their own.
        let elsewhere: &[i32] = if has_us_privacy { &[2, 6] } else { &[2] };
        let lacks = gpp.applicable(signals.gpp_sid, elsewhere, |id, text: &'a str| us.add_section(id, text));
        us.gpp.unreadable |= lacks;
        us
    }

    fn add_us_privacy(&mut self, text: &str) {
        self.signal = true;
        match UsPrivacy::parse(text) {
            Some(UsPrivacy::OptedOut) => self.sale_opt_out = true,
            Some(UsPrivacy::NotOptedOut) => {}
            None => self.malformed = true,
        }
    }

    fn add_section(&mut self, id: u16, text: &str) {
        match id {
            // TCF is asked about elsewhere; the header and signal integrity are no law.
            2..=4 => {}
            6 => self.add_us_privacy(text),
            _ => {
                self.signal |= (7..=27).contains(&id);
                self.gpp = self.gpp.and(UsSection::parse(id, text));
            }
        }
    }
}

/// What all TC strings together allow The Trade Desk: the worst of them.
fn trade_desk<'a>(signals: &'a Signals<'_>, gpp: &GppStrings<'a>, gvl: &Gvl) -> Tcf {
    let mut found = Tcf::Missing;
    for text in tc_strings(signals, gpp) {
        let Some(tc) = reliable(text) else { return Tcf::Invalid };
        let worse = found == Tcf::Insufficient || !suffices(&tc, gvl);
        found = if worse { Tcf::Insufficient } else { Tcf::Sufficient };
    }
    found
}

/// Every TC string there is: own members and GPP section 2. An empty one is none.
pub(super) fn tc_strings<'a, 'b>(
    signals: &'a Signals<'_>,
    gpp: &'b GppStrings<'a>,
) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
    let in_gpp = gpp.sections().filter(|&(id, _)| id == 2).map(|(_, text)| text);
    distinct(&signals.tc_strings).chain(in_gpp).filter(|text| !text.is_empty())
}

/// The TC string, when its structure and dates hold.
fn reliable(text: &str) -> Option<TcString<'_>> {
    TcString::parse(text).ok().filter(|tc| tc.check_validity().is_ok())
}

/// Row 6 for The Trade Desk: its purposes each on a basis, its own consent, and the user was shown it.
fn suffices(tc: &TcString<'_>, gvl: &Gvl) -> bool {
    let vendor = Vendor::of(tc, gvl, TRADE_DESK);
    vendor.consent
        && tc.disclosed(TRADE_DESK) != Some(false)
        && [1, 3, 4, 2, 7, 10].into_iter().all(|purpose| vendor.has_basis(purpose))
}

/// Whether every TC string lets an SSP have an identity: vendor consent, and a basis for purpose 2.
pub(super) fn ssp_allowed(signals: &Signals<'_>, gvl: &Gvl, id: u16) -> bool {
    let gpp = GppStrings::read(signals);
    let mut strings = tc_strings(signals, &gpp).peekable();
    let allows = |tc: TcString<'_>| {
        let vendor = Vendor::of(&tc, gvl, id);
        vendor.consent && vendor.has_basis(2)
    };
    strings.peek().is_some() && strings.all(|text| reliable(text).is_some_and(allows))
}

/// One vendor in one TC string; its bits are looked up once, because a list of ranges has to be walked for each.
struct Vendor<'a> {
    tc: &'a TcString<'a>,
    id: u16,
    consent: bool,
    interest: bool,
    declared: Option<Declared>,
}

impl<'a> Vendor<'a> {
    fn of(tc: &'a TcString<'a>, gvl: &Gvl, id: u16) -> Self {
        let (consent, interest) = (tc.vendor_consent(id), tc.vendor_interest(id));
        Self { tc, id, consent, interest, declared: gvl.declared(id) }
    }

    /// Consent or legitimate interest for one purpose, as declared and as the publisher restricts it.
    fn has_basis(&self, purpose: u8) -> bool {
        let restriction = self.tc.restriction(purpose, self.id);
        let declared = self.declared;
        let consent = !restriction.interest_only
            && declared.is_none_or(|d| d.consent.has(purpose) || d.flexible.has(purpose))
            && self.tc.purpose_consent(purpose)
            && self.consent;
        let interest = !restriction.consent_only
            && declared.is_none_or(|d| d.interest.has(purpose) || d.flexible.has(purpose))
            && self.tc.purpose_interest(purpose)
            && self.interest;
        !restriction.forbidden && (consent || interest)
    }
}
