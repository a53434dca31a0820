//! What was said at login against what a request says: every signal, said by one, by the other, by both.

use std::borrow::Cow;

use super::super::*;

/// The Trade Desk has what it needs, and lacks purpose 1.
const SUFFICIENT: &str = "CPehNtWPehNtWABAMBFRACBoALAAAEJAAIYgAKwAQAKgArABAAqAAA";
const INSUFFICIENT: &str = "CPehXK9PehXK9ABAMBFRACBoADAAAEJAAIYgAKwAQAKgArABAAqAAA";

fn text(text: &str) -> Places<'_> {
    [Some(Cow::Borrowed(text)), None]
}

fn judged(said: &Said, request: &Signals<'_>, regime: Regime) -> String {
    let (policy, gvl) = (Policy::default(), Gvl::default());
    let rules = Rules { policy: &policy, gvl: &gvl };
    let filled = said.fill(request);
    match judge(filled.as_ref().unwrap_or(request), rules, regime) {
        Verdict::Inject(_) => "inject".into(),
        Verdict::Pass(reason) => format!("pass {}", reason.as_str()),
        Verdict::Strip(_, reason) => format!("strip {}", reason.as_str()),
    }
}

#[test]
fn the_request_counts_where_it_speaks_and_the_login_where_it_is_silent() {
    let said = |change: fn(&mut Said)| {
        let mut said = Said::default();
        change(&mut said);
        said
    };
    let us = || Signals { countries: text("USA"), ..Signals::default() };
    let eu = |tc| Signals { gdpr: Some(true), tc_strings: text(tc), ..Signals::default() };
    let silent = Signals::default;
    let (uid2, euid) = (Regime::Uid2, Regime::Euid);
    #[rustfmt::skip]
    let table = [
        // said at login                                             request               regime  together
        (said(|_| ()),                                               silent(),             uid2,   "pass unknown_scope"),
        (said(|s| s.gdpr = Some(false)),                             silent(),             uid2,   "inject"),
        (said(|s| s.gdpr = Some(true)),                              silent(),             uid2,   "strip gdpr"),
        (said(|s| s.gdpr = Some(true)),                              us(),                 uid2,   "strip gdpr"),
        (said(|s| s.gdpr = Some(true)),  Signals { gdpr: Some(false), ..silent() },        uid2,   "inject"),
        (said(|s| s.gdpr = Some(true)),  Signals { gpp_sid: [&[6], &[]], us_privacy: text("1YNN"), ..silent() }, uid2, "inject"),
        (said(|s| s.gdpr = Some(false)), Signals { gdpr: Some(true), ..silent() },         uid2,   "strip gdpr"),
        (said(|s| s.us_privacy = Some("1YYN".into())),               us(),                 uid2,   "strip us_privacy"),
        (said(|s| s.us_privacy = Some("1YYN".into())), Signals { us_privacy: text("1YNN"), ..us() }, uid2, "inject"),
        (said(|s| s.us_privacy = Some("1YNN".into())), Signals { us_privacy: text("1YYN"), ..us() }, uid2, "strip us_privacy"),
        (said(|s| s.us_privacy = Some("1YNN".into())),               silent(),             uid2,   "inject"),
        (said(|s| s.gpp = Some("broken".into())),                    us(),                 uid2,   "pass unparsable"),
        (said(|s| s.gpp = Some("broken".into())), Signals { gpp_sid: [&[6], &[]], us_privacy: text("1YNN"), ..us() }, uid2, "inject"),
        (said(|s| s.gpp_sid = Some(vec![2])),                        us(),                 uid2,   "strip gdpr"),
        (said(|s| s.coppa = true),                                   us(),                 uid2,   "strip coppa"),
        (said(|s| s.coppa = true),                                   eu(SUFFICIENT),       euid,   "strip coppa"),
        (said(|s| s.gpc = true),                                     us(),                 uid2,   "strip gpc"),
        (said(|s| s.gpc = true),                                     eu(SUFFICIENT),       euid,   "inject"),
        (said(|_| ()),                   Signals { coppa: true, ..us() },                  uid2,   "strip coppa"),
        (said(|_| ()),                   Signals { gpc: true, ..us() },                    uid2,   "strip gpc"),
        (said(|s| s.consent = Some(INSUFFICIENT.into())),            eu(SUFFICIENT),       euid,   "inject"),
        (said(|s| s.consent = Some(SUFFICIENT.into())),              eu(INSUFFICIENT),     euid,   "strip tcf_purpose"),
        (said(|s| s.consent = Some(INSUFFICIENT.into())),            eu(""),               euid,   "strip tcf_purpose"),
        (said(|s| s.notice = Some(false)),                           us(),                 uid2,   "inject"),
    ];
    for (nth, (said, request, regime, expected)) in table.into_iter().enumerate() {
        assert_eq!(judged(&said, &request, regime), expected, "row {nth}: {said:?}");
    }
}

#[test]
fn what_adds_nothing_is_told_so() {
    let said = Said { gdpr: Some(true), consent: Some(SUFFICIENT.into()), ..Said::default() };
    let request = Signals { gdpr: Some(true), tc_strings: text(INSUFFICIENT), ..Signals::default() };
    assert!(said.fill(&request).is_none(), "the usual EUID request says all of it itself");
    assert!(said.fill(&Signals::default()).is_some());
    assert!(Said::default().fill(&Signals::default()).is_none());
    assert!(Said { notice: Some(true), ..Said::default() }.is_silent() && !said.is_silent());
}

#[test]
fn coppa_sticks_to_either_identity_and_gpc_to_uid2() {
    let (coppa, gpc) = (Said { coppa: true, ..Said::default() }, Said { gpc: true, ..Said::default() });
    for (said, regime, expected) in [
        (&coppa, Regime::Uid2, Some(Reason::Coppa)),
        (&coppa, Regime::Euid, Some(Reason::Coppa)),
        (&gpc, Regime::Uid2, Some(Reason::Gpc)),
        (&gpc, Regime::Euid, None),
        (&Said::default(), Regime::Uid2, None),
    ] {
        assert_eq!(said.sticking(regime), expected);
    }
}

#[test]
fn gdpr_picks_euid_and_everything_else_uid2() {
    for (signals, expected) in [
        (Signals::default(), Regime::Uid2),
        (Signals { gdpr: Some(true), ..Signals::default() }, Regime::Euid),
        (Signals { gdpr: Some(false), countries: text("DEU"), ..Signals::default() }, Regime::Uid2),
        (Signals { countries: text("DEU"), ..Signals::default() }, Regime::Euid),
        (Signals { gpp_sid: [&[], &[2]], ..Signals::default() }, Regime::Euid),
    ] {
        assert_eq!(regime_for(&signals), expected, "{signals:?}");
    }
}
