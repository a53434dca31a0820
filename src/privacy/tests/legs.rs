//! Row 6 for each SSP by itself: its own consent, a basis for purpose 2, and what the vendor list says of it.

use std::borrow::Cow;

use super::rules;
use crate::privacy::fixture::{Tc, Vendors};
use crate::privacy::{
    Gvl, Policy, Reason, Regime, Rules, Signals, StripScope, StripWhat, Verdict, judge, judge_leg,
};

fn text<'a>(value: String) -> [Option<Cow<'a, str>>; 2] {
    [None, Some(Cow::from(value))]
}

fn us<'a>() -> Signals<'a> {
    Signals { gdpr: Some(false), ..Signals::default() }
}

fn eu<'a>() -> Signals<'a> {
    Signals { gdpr: Some(true), tc_strings: text(Tc::default().text()), ..Signals::default() }
}

fn injects(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Inject(_))
}

#[test]
fn an_euid_leg_needs_the_ssp_s_own_consent() {
    let signals = eu();
    let verdict = judge(&signals, rules(), Regime::Euid);
    let leg = |gvl_id| judge_leg(verdict, &signals, rules(), gvl_id);
    assert!(injects(leg(Some(76))), "consented, purpose 2 by interest");
    let refused = Verdict::Strip(StripWhat::EuidOnly, Reason::TcfPurpose);
    assert_eq!(leg(Some(52)), refused, "no consent");
    assert_eq!(leg(None), refused);
    // Theirs goes from such a leg too, where it would have stayed.
    let passed = Verdict::Pass(Reason::Dnt);
    assert_eq!(judge_leg(passed, &signals, rules(), Some(52)), refused);
    assert_eq!(judge_leg(passed, &signals, rules(), Some(76)), passed);
    let stripped = Verdict::Strip(StripWhat::All, Reason::Coppa);
    assert_eq!(judge_leg(stripped, &signals, rules(), None), stripped);
    // Outside GDPR nobody asks.
    assert_eq!(judge_leg(passed, &us(), rules(), None), passed);
    let others = Policy { euid_strip_others: true, strip_scope: StripScope::Uid, ..Policy::default() };
    let wide = judge_leg(verdict, &signals, Rules { policy: &others, ..rules() }, None);
    assert_eq!(wide, Verdict::Strip(StripWhat::UidFamily, Reason::TcfPurpose));
}

#[test]
fn an_euid_leg_needs_a_basis_for_purpose_2() {
    let tc = Tc { vendor_interests: Vendors::field(&[21]), ..Tc::default() };
    let signals = Signals { tc_strings: text(tc.text()), ..eu() };
    let verdict = judge(&signals, rules(), Regime::Euid);
    assert!(injects(verdict));
    let leg = judge_leg(verdict, &signals, rules(), Some(76));
    assert_eq!(leg, Verdict::Strip(StripWhat::EuidOnly, Reason::TcfPurpose));
}

/// With a list from a file, a basis that the vendor does not declare is none, and neither is that of an unlisted vendor.
#[test]
fn a_vendor_list_says_which_basis_counts() {
    let gvl = Gvl::from_json(include_bytes!("../../../fixtures/privacy/gvl.json")).unwrap();
    let rules = Rules { gvl: &gvl, ..rules() };
    let all = || Vendors::field(&[21, 52, 76, 99, 100]);
    let by_interest = Tc { vendors: all(), vendor_interests: all(), ..Tc::default() };
    let by_consent = Tc { consents: vec![1, 2, 3, 4, 7, 10], interests: vec![], ..by_interest.clone() };
    for (tc, allowed) in [(by_interest, [76]), (by_consent, [52])] {
        let signals = Signals { tc_strings: text(tc.text()), ..eu() };
        let verdict = judge(&signals, rules, Regime::Euid);
        assert!(injects(verdict));
        for vendor in [52, 76, 99, 100] {
            let leg = judge_leg(verdict, &signals, rules, Some(vendor));
            assert_eq!(injects(leg), allowed.contains(&vendor), "{vendor}");
        }
    }
}
