//! Every row of the table, for both identities, through the public functions.

use std::borrow::Cow;

use super::rules;
use crate::privacy::fixture::{Tc, Vendors, gpp, us_section};
use crate::privacy::{
    Gvl, OnDoubt, OnSignal, Policy, Reason, Regime, Rules, Signals, StripScope, StripWhat, Verdict, judge,
    judge_by_row, judge_login, judge_stored,
};

fn text<'a>(value: impl Into<Cow<'a, str>>) -> [Option<Cow<'a, str>>; 2] {
    [None, Some(value.into())]
}

/// Outside GDPR by its flag: everything else may speak.
pub(super) fn us<'a>() -> Signals<'a> {
    Signals { gdpr: Some(false), ..Signals::default() }
}

/// Inside GDPR with everything EUID needs.
fn eu<'a>() -> Signals<'a> {
    Signals { gdpr: Some(true), tc_strings: text(Tc::default().text()), ..Signals::default() }
}

/// What a row must say to (UID2, EUID), and its number.
#[track_caller]
fn check_under(policy: &Policy, signals: &Signals<'_>, uid2: (u8, &str), euid: (u8, &str)) {
    for (regime, expected) in [(Regime::Uid2, uid2), (Regime::Euid, euid)] {
        let gvl = Gvl::default();
        let (verdict, row) = judge_by_row(signals, Rules { policy, gvl: &gvl }, regime);
        assert_eq!((row, show(verdict).as_str()), expected, "{regime:?} {signals:?}");
    }
}

#[track_caller]
pub(super) fn check(signals: &Signals<'_>, uid2: (u8, &str), euid: (u8, &str)) {
    check_under(&Policy::default(), signals, uid2, euid);
}

fn show(verdict: Verdict) -> String {
    match verdict {
        Verdict::Inject(_) => String::from("inject"),
        Verdict::Pass(reason) => format!("pass {}", reason.as_str()),
        Verdict::Strip(what, reason) => format!("strip {what:?} {}", reason.as_str()),
    }
}

#[test]
fn row_1_coppa() {
    let expected = (1, "strip All coppa");
    check(&Signals { coppa: true, ..us() }, expected, expected);
    check(&Signals { coppa: true, ..eu() }, expected, expected);
}

#[test]
fn row_2_known_child() {
    let expected = (2, "strip All child");
    let string = gpp(&[(8, &us_section(1, &[(36, 2, 1)]))]);
    check(&Signals { gpp: text(string.as_str()), ..us() }, expected, expected);
    check(&Signals { gpp: text(string.as_str()), gpp_sid: [&[8], &[]], ..us() }, expected, expected);
    // A section that does not apply says nothing …
    let two = gpp(&[(7, &us_section(2, &[])), (8, &us_section(1, &[(36, 2, 1)]))]);
    let beside = Signals { gpp: text(two.as_str()), gpp_sid: [&[], &[7]], ..us() };
    check(&beside, (17, "inject"), (17, "pass disabled"));
    // … but only the list beside a string can say so.
    check(&Signals { gpp: text(two.as_str()), gpp_sid: [&[7], &[]], ..us() }, expected, expected);
    check(&Signals { gpp: text(two), gpp_sid: [&[7], &[0]], ..us() }, expected, expected);
}

#[test]
fn row_3_lmt_and_att() {
    let lmt = (3, "strip All lmt");
    check(&Signals { lmt: true, ..us() }, lmt, lmt);
    check(&Signals { lmt: true, ..eu() }, lmt, lmt);
    for status in [1, 2] {
        let att = (3, "strip All att");
        check(&Signals { atts: Some(status), ios_app: true, ..us() }, att, att);
    }
    let undetermined = (3, "pass att");
    check(&Signals { atts: Some(0), ios_app: true, ..us() }, undetermined, undetermined);
    check(&Signals { atts: Some(0), ios_app: true, ..eu() }, (4, "strip Uid2Only gdpr"), undetermined);
    check(&Signals { atts: Some(3), ios_app: true, ..us() }, (17, "inject"), (17, "pass disabled"));
    check(&Signals { atts: Some(2), ios_app: false, ..us() }, (17, "inject"), (17, "pass disabled"));
    // What withholds never hides what strips.
    let opted_out = Signals { atts: Some(0), ios_app: true, us_privacy: text("1YYN"), ..us() };
    check(&opted_out, (9, "strip All us_privacy"), undetermined);
}

#[test]
fn row_4_gdpr_in_scope() {
    let uid2 = (4, "strip Uid2Only gdpr");
    let missing = (5, "strip All tcf_missing");
    check(&Signals { gdpr: Some(true), ..Signals::default() }, uid2, missing);
    check(&Signals { gpp_sid: [&[2], &[]], ..Signals::default() }, uid2, missing);
    for country in ["DEU", "de", "GBR", "UK", "CHE", "ISL"] {
        check(&Signals { countries: text(country), ..Signals::default() }, uid2, missing);
    }
    // One European country among two is enough, and so is one flag against another signal.
    let two = [Some(Cow::from("USA")), Some(Cow::from("FRA"))];
    check(&Signals { countries: two, ..Signals::default() }, uid2, missing);
    check(&Signals { gpp_sid: [&[2], &[]], ..us() }, uid2, missing);
    check(&Signals { gpp_sid: [&[7, 2], &[]], ..us() }, uid2, missing);
}

#[test]
fn a_country_counts_only_where_no_flag_and_no_gpp_sid_speak() {
    check(&Signals { countries: text("DEU"), ..us() }, (17, "inject"), (17, "pass disabled"));
    let national = gpp(&[(7, &us_section(2, &[]))]);
    let signals =
        Signals { countries: text("DEU"), gpp: text(national), gpp_sid: [&[7], &[]], ..Signals::default() };
    check(&signals, (17, "inject"), (17, "pass disabled"));
    for none_applies in [[-1], [0]] {
        let signals = Signals { countries: text("DEU"), gpp_sid: [&none_applies, &[]], ..Signals::default() };
        check(&signals, (4, "strip Uid2Only gdpr"), (5, "strip All tcf_missing"));
    }
}

#[test]
fn row_5_tc_string_missing_or_invalid() {
    let uid2 = (4, "strip Uid2Only gdpr");
    let with = |tc: &Tc| Signals { tc_strings: text(tc.text()), ..eu() };
    check(&Signals { tc_strings: text(""), ..eu() }, uid2, (5, "strip All tcf_missing"));
    check(&Signals { tc_strings: text("CPX"), ..eu() }, uid2, (5, "strip All tcf_invalid"));
    let invalid = (5, "strip All tcf_invalid");
    check(&with(&Tc { version: 1, ..Tc::default() }), uid2, invalid);
    check(&with(&Tc { service_specific: false, ..Tc::default() }), uid2, invalid);
    check(&with(&Tc { policy: 3, ..Tc::default() }), uid2, invalid);
    check(&with(&Tc { disclosed: None, ..Tc::default() }), uid2, invalid);
    // A good string in one place does not make up for a bad one in the other.
    let both = [Some(Cow::from(Tc::default().text())), Some(Cow::from("CPX"))];
    check(&Signals { tc_strings: both, ..eu() }, uid2, invalid);
}

#[test]
fn rows_5_and_6_at_their_dates() {
    let old =
        Tc { created: 16_961_183_999, updated: 17_723_231_999, policy: 2, disclosed: None, ..Tc::default() };
    let euid = |tc: &Tc| {
        let signals = Signals { tc_strings: text(tc.text()), ..eu() };
        show(judge(&signals, rules(), Regime::Euid))
    };
    assert_eq!(euid(&old), "inject");
    assert_eq!(euid(&Tc { created: 16_961_184_000, ..old.clone() }), "strip All tcf_invalid");
    assert_eq!(euid(&Tc { created: 16_961_184_000, policy: 4, ..old.clone() }), "inject");
    assert_eq!(euid(&Tc { updated: 17_723_232_000, ..old }), "strip All tcf_invalid");
}

#[test]
fn row_6_everything_euid_needs() {
    check(&eu(), (4, "strip Uid2Only gdpr"), (6, "inject"));
    let in_gpp = gpp(&[(2, &Tc::default().text())]);
    let signals = Signals { gpp: text(in_gpp), gpp_sid: [&[2], &[]], ..Signals::default() };
    check(&signals, (4, "strip Uid2Only gdpr"), (6, "inject"));
    let all_by_consent = Tc { consents: vec![1, 2, 3, 4, 7, 10], interests: vec![], ..Tc::default() };
    let signals = Signals { tc_strings: text(all_by_consent.text()), ..eu() };
    check(&signals, (4, "strip Uid2Only gdpr"), (6, "inject"));
}

#[test]
fn row_7_each_lack() {
    let base = Tc::default;
    let without = |list: &[u8], lack: u8| list.iter().copied().filter(|&p| p != lack).collect::<Vec<_>>();
    let mut lacking: Vec<Tc> = Vec::new();
    for purpose in [1, 3, 4] {
        lacking.push(Tc { consents: without(&[1, 3, 4], purpose), ..base() });
        // Legitimate interest is no basis for them.
        let interests = vec![2, 7, 10, purpose];
        lacking.push(Tc { consents: without(&[1, 3, 4], purpose), interests, ..base() });
        lacking.push(Tc { restrictions: vec![(purpose, 0, vec![(21, 21)])], ..base() });
        lacking.push(Tc { restrictions: vec![(purpose, 2, vec![(1, 40)])], ..base() });
    }
    for purpose in [2, 7, 10] {
        lacking.push(Tc { interests: without(&[2, 7, 10], purpose), ..base() });
        lacking.push(Tc { restrictions: vec![(purpose, 0, vec![(20, 22)])], ..base() });
        lacking.push(Tc { restrictions: vec![(purpose, 1, vec![(21, 21)])], ..base() });
    }
    lacking.push(Tc { vendors: Vendors::field(&[20, 22]), ..base() });
    lacking.push(Tc { vendor_interests: Vendors::field(&[20, 22]), ..base() });
    lacking.push(Tc { disclosed: Some(Vendors::field(&[76])), ..base() });
    for tc in lacking {
        let signals = Signals { tc_strings: text(tc.text()), ..eu() };
        check(&signals, (4, "strip Uid2Only gdpr"), (7, "strip EuidOnly tcf_purpose"));
        let others = Policy { euid_strip_others: true, ..Policy::default() };
        check_under(&others, &signals, (4, "strip Uid2Only gdpr"), (7, "strip All tcf_purpose"));
    }
}

#[test]
fn restrictions_of_others_do_not_count() {
    let restrictions = vec![
        (1, 0, vec![(20, 20), (22, 40)]),
        (5, 0, vec![(21, 21)]),
        (3, 3, vec![(21, 21)]),
        (2, 2, vec![(21, 21)]),
    ];
    let signals = Signals { tc_strings: text(Tc { restrictions, ..Tc::default() }.text()), ..eu() };
    check(&signals, (4, "strip Uid2Only gdpr"), (6, "inject"));
}

#[test]
fn row_8_unknown_scope() {
    let unknown = (8, "pass unknown_scope");
    check(&Signals::default(), unknown, unknown);
    check(&Signals { countries: text("ZZZ"), ..Signals::default() }, unknown, unknown);
    check(&Signals { gpp_sid: [&[-1], &[]], ..Signals::default() }, unknown, unknown);
    check(&Signals { gpp: text("DBAA"), ..Signals::default() }, unknown, unknown);
    let dared = Policy { unknown_scope: OnDoubt::Inject, ..Policy::default() };
    check_under(&dared, &Signals::default(), (17, "inject"), (17, "pass disabled"));
}

#[test]
fn row_9_us_privacy() {
    let euid = (17, "pass disabled");
    check(&Signals { us_privacy: text("1YYN"), ..us() }, (9, "strip All us_privacy"), euid);
    check(&Signals { us_privacy: text("1YYN"), ..Signals::default() }, (9, "strip All us_privacy"), euid);
    let in_gpp = gpp(&[(6, "1NYN")]);
    let signals = Signals { gpp: text(in_gpp.as_str()), gpp_sid: [&[6], &[]], ..Signals::default() };
    check(&signals, (9, "strip All us_privacy"), euid);
    let split = [Some(Cow::from("1YNN")), Some(Cow::from("1YYN"))];
    check(&Signals { us_privacy: split, ..us() }, (9, "strip All us_privacy"), euid);
    let lenient = Policy { us_optout: OnSignal::Pass, ..Policy::default() };
    check_under(&lenient, &Signals { us_privacy: text("1YYN"), ..us() }, (9, "pass us_privacy"), euid);
}

#[test]
fn row_10_gpp_opt_outs() {
    let euid = (17, "pass disabled");
    for fields in [(12, 2, 1), (14, 2, 1), (44, 2, 1)] {
        let string = gpp(&[(8, &us_section(1, &[fields]))]);
        check(&Signals { gpp: text(string.as_str()), ..us() }, (10, "strip All gpp"), euid);
        let signals = Signals { gpp: text(string), gpp_sid: [&[8], &[]], ..Signals::default() };
        check(&signals, (10, "strip All gpp"), euid);
    }
    let gpc = gpp(&[(7, &(us_section(1, &[]) + ".YA"))]);
    check(&Signals { gpp: text(gpc), ..us() }, (10, "strip All gpp"), euid);
    // Every applicable section counts, and each place.
    let second = gpp(&[(7, &us_section(2, &[])), (9, &us_section(1, &[(14, 2, 1)]))]);
    check(&Signals { gpp: text(second), gpp_sid: [&[7, 9], &[]], ..us() }, (10, "strip All gpp"), euid);
    let clean = gpp(&[(7, &us_section(2, &[]))]);
    let opted = gpp(&[(7, &us_section(2, &[(22, 2, 1)]))]);
    let split = [Some(Cow::from(clean)), Some(Cow::from(opted))];
    check(&Signals { gpp: split, ..us() }, (10, "strip All gpp"), euid);
}

#[test]
fn row_11_gpc() {
    let euid = (17, "pass disabled");
    check(&Signals { gpc: true, ..us() }, (11, "strip All gpc"), euid);
    check(&Signals { gpc: true, ..Signals::default() }, (11, "strip All gpc"), euid);
    let lenient = Policy { us_optout: OnSignal::Pass, ..Policy::default() };
    check_under(&lenient, &Signals { gpc: true, ..us() }, (11, "pass gpc"), euid);
}

#[test]
fn row_12_unreadable_and_contradictory_sections() {
    let (uid2, euid) = ((12, "pass unparsable"), (17, "pass disabled"));
    for string in [
        gpp(&[(7, "B")]),
        gpp(&[(7, &us_section(3, &[]))]),
        gpp(&[(24, &us_section(1, &[]))]),
        gpp(&[(28, "BAAAAAAAAAAA")]),
        gpp(&[(5, "CAAAAAAAAAAA")]),
        gpp(&[(8, &us_section(1, &[(6, 2, 2)]))]),
        gpp(&[(8, &us_section(1, &[(12, 2, 2)]))]),
    ] {
        check(&Signals { gpp: text(string), ..us() }, uid2, euid);
    }
    // Named, but not there.
    let other = gpp(&[(7, &us_section(2, &[]))]);
    check(&Signals { gpp: text(other), gpp_sid: [&[8], &[]], ..us() }, uid2, euid);
    check(&Signals { gpp_sid: [&[7], &[]], ..us() }, uid2, euid);
    check(&Signals { gpp_sid: [&[27], &[]], ..Signals::default() }, uid2, euid);
}

#[test]
fn rows_2_and_10_count_beside_what_cannot_be_read() {
    let euid = (17, "pass disabled");
    for string in ["DBABL~BAAQAAAAAD", "DBABL~BAAQAAAAAA.", "DBABL~BAAQAAAAAA=", "DBABL~BAAQAAA"] {
        check(&Signals { gpp: text(string), ..us() }, (10, "strip All gpp"), euid);
    }
    let child = (2, "strip All child");
    check(&Signals { gpp: text("DBABL~BAAAAAAAQD"), ..us() }, child, child);
}

#[test]
fn row_13_malformed() {
    let pass = (13, "pass unparsable");
    for string in ["1YN", "1yyn", "2YNN", ""] {
        check(&Signals { us_privacy: text(string), ..us() }, pass, pass);
    }
    check(&Signals { us_privacy: text("junk"), ..Signals::default() }, pass, pass);
    check(&Signals { gpp: text("DBACNY~x"), ..us() }, pass, pass);
    check(&Signals { gpp: text("nonsense"), ..Signals::default() }, pass, pass);
    check(&Signals { malformed: true, ..us() }, pass, pass);
    check(&Signals { malformed: true, ..eu() }, (4, "strip Uid2Only gdpr"), pass);
    // A clear opt-out beside a broken one still strips.
    let split = [Some(Cow::from("junk")), Some(Cow::from("1YYN"))];
    check(&Signals { us_privacy: split, ..us() }, (9, "strip All us_privacy"), pass);
}

#[test]
fn row_14_dnt() {
    check(&Signals { dnt: true, ..us() }, (14, "pass dnt"), (14, "pass dnt"));
    check(&Signals { dnt: true, ..eu() }, (4, "strip Uid2Only gdpr"), (14, "pass dnt"));
    let strict = Policy { dnt: OnSignal::Strip, ..Policy::default() };
    check_under(&strict, &Signals { dnt: true, ..us() }, (14, "strip All dnt"), (14, "strip All dnt"));
}

#[test]
fn row_15_countries() {
    let only_us = Policy { countries: vec![*b"USA"], ..Policy::default() };
    let refused = (15, "pass disabled");
    check_under(&only_us, &Signals { countries: text("CAN"), ..us() }, refused, refused);
    check_under(&only_us, &us(), refused, refused);
    let split = [Some(Cow::from("USA")), Some(Cow::from("CAN"))];
    check_under(&only_us, &Signals { countries: split, ..us() }, refused, refused);
    let inside = Signals { countries: text("USA"), ..us() };
    check_under(&only_us, &inside, (17, "inject"), (17, "pass disabled"));
}

#[test]
fn row_16_test() {
    check(&Signals { test: true, ..us() }, (16, "pass test"), (16, "pass test"));
    check(&Signals { test: true, ..eu() }, (4, "strip Uid2Only gdpr"), (16, "pass test"));
    let dared = Policy { test: OnDoubt::Inject, ..Policy::default() };
    check_under(&dared, &Signals { test: true, ..us() }, (17, "inject"), (17, "pass disabled"));
    check_under(&dared, &Signals { test: true, ..eu() }, (4, "strip Uid2Only gdpr"), (6, "inject"));
}

#[test]
fn row_17_outside_gdpr() {
    let (uid2, euid) = ((17, "inject"), (17, "pass disabled"));
    check(&us(), uid2, euid);
    check(&Signals { countries: text("USA"), ..Signals::default() }, uid2, euid);
    check(&Signals { countries: text("us"), ..Signals::default() }, uid2, euid);
    for string in ["1YNN", "1---"] {
        check(&Signals { us_privacy: text(string), ..Signals::default() }, uid2, euid);
    }
    let clean = gpp(&[(6, "1YNN"), (7, &us_section(2, &[]))]);
    check(&Signals { gpp: text(clean.as_str()), ..Signals::default() }, uid2, euid);
    check(&Signals { gpp: text(clean), gpp_sid: [&[6, 7], &[]], ..Signals::default() }, uid2, euid);
}

#[test]
fn strip_scope_narrows_what_goes() {
    let narrow = Policy { strip_scope: StripScope::Uid, ..Policy::default() };
    let signals = Signals { coppa: true, ..us() };
    let verdict = judge(&signals, Rules { policy: &narrow, ..rules() }, Regime::Uid2);
    assert_eq!(verdict, Verdict::Strip(StripWhat::UidFamily, Reason::Coppa));
}

#[test]
fn stored_identities_ignore_doubts_about_the_auction() {
    let policy = Policy { countries: vec![*b"USA"], ..Policy::default() };
    let doubtful = Signals { dnt: true, test: true, ..Signals::default() };
    let rules = Rules { policy: &policy, ..rules() };
    assert!(judge_stored(&doubtful, rules, Regime::Uid2).is_ok());
    let doubtful = Signals { dnt: true, test: true, ..eu() };
    assert!(judge_stored(&doubtful, rules, Regime::Euid).is_ok());
    // A TC string alone says that GDPR applies.
    let consent = Signals { tc_strings: text(Tc::default().text()), ..Signals::default() };
    assert!(judge_login(&consent, rules, Regime::Euid).is_ok());
    // What was consented to at login need not be said again.
    assert!(judge_stored(&Signals::default(), rules, Regime::Euid).is_ok());
}

#[test]
fn stored_identities_are_bound_by_everything_else() {
    let policy = Policy { countries: vec![*b"USA"], ..Policy::default() };
    let rules = Rules { policy: &policy, ..rules() };
    let refuse = |signals: &Signals<'_>, regime| judge_login(signals, rules, regime).unwrap_err();
    assert_eq!(refuse(&eu(), Regime::Uid2), Reason::Gdpr);
    assert_eq!(refuse(&us(), Regime::Euid), Reason::Disabled);
    assert_eq!(refuse(&Signals::default(), Regime::Euid), Reason::TcfMissing);
    assert_eq!(refuse(&Signals { coppa: true, ..us() }, Regime::Uid2), Reason::Coppa);
    assert_eq!(refuse(&Signals { us_privacy: text("1YYN"), ..us() }, Regime::Uid2), Reason::UsPrivacy);
    assert_eq!(refuse(&Signals { us_privacy: text("x"), ..us() }, Regime::Uid2), Reason::Unparsable);
    assert_eq!(refuse(&Signals { countries: text("CAN"), ..us() }, Regime::Uid2), Reason::Disabled);
    let poor = Tc { consents: vec![1], ..Tc::default() };
    let signals = Signals { tc_strings: text(poor.text()), ..Signals::default() };
    assert_eq!(refuse(&signals, Regime::Euid), Reason::TcfPurpose);
}

#[test]
fn labels_are_distinct() {
    let mut labels: Vec<_> = Reason::ALL.map(Reason::as_str).to_vec();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), Reason::ALL.len());
}
