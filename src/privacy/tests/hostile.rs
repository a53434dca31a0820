//! Strings made to hurt: nothing panics, nothing is injected on their word, and the work stays small.

use std::borrow::Cow;

use proptest::prelude::*;

use super::rules;
use crate::privacy::fixture::{BitWriter, Tc, Vendors, fibonacci, gpp};
use crate::privacy::gpp::{Gpp, work};
use crate::privacy::tcf::{TcString, TcfError};
use crate::privacy::us_section::UsSection;
use crate::privacy::{MAX_TEXT, Regime, Signals, Verdict, judge, judge_by_row};

#[test]
fn hundreds_of_overlapping_ranges_are_only_walked() {
    let ranges = vec![(1, u16::MAX); 600];
    let tc = Tc { vendors: Vendors::Ranges { max: u16::MAX, ranges }, ..Tc::default() }.text();
    assert!(tc.len() < MAX_TEXT);
    let tc = TcString::parse(&tc).unwrap();
    assert!(tc.vendor_consent(21) && tc.vendor_consent(u16::MAX));
}

#[test]
fn lengths_are_capped_before_anything_is_read() {
    let padded = |length: usize| {
        let text = Tc::default().text() + ".YAAA";
        let fill = length - text.len();
        text + &"A".repeat(fill)
    };
    assert!(TcString::parse(&padded(MAX_TEXT)).is_ok());
    assert_eq!(TcString::parse(&padded(MAX_TEXT + 1)).map(|_| ()), Err(TcfError::TooLong));
}

#[test]
fn counts_that_do_not_fit_are_refused() {
    // 4095 ranges claimed, none there.
    let mut tc =
        Tc { vendors: Vendors::Ranges { max: 9, ranges: vec![] }, disclosed: None, ..Tc::default() }.text();
    // Bits 230..242 hold the count; characters 39 and 40 lie wholly or partly inside.
    tc.replace_range(39..40, "_");
    assert!(TcString::parse(&tc).is_err());
}

#[test]
fn many_sections_are_walked_once() {
    let sections: Vec<(u16, &str)> = (7..700).map(|id| (id, "A")).collect();
    let string = gpp(&sections);
    let signals = Signals { gdpr: Some(false), gpp: [Some(Cow::from(string)), None], ..Signals::default() };
    assert!(!matches!(judge(&signals, rules(), Regime::Uid2), Verdict::Inject(_)));
}

#[test]
fn a_long_gpp_sid_does_not_multiply_the_work() {
    const SECTIONS: usize = 4001;
    // One group from 1 on: as many ids as there is room for, each with an empty section.
    let mut bits = BitWriter::default();
    bits.put(3, 6).put(1, 6).put(1, 12).put(1, 1).put(0b11, 2);
    fibonacci(&mut bits, SECTIONS as u64 - 1);
    let long = bits.text() + &"~".repeat(SECTIONS);
    let other = format!("{long}A");
    assert!(other.len() < MAX_TEXT && Gpp::parse(&other).unwrap().sections().count() == SECTIONS);
    let ids: Vec<i32> = (1..=100_000).collect();
    let steps = |gpp_sid: [&[i32]; 2]| {
        let gpp = [Some(Cow::from(long.as_str())), Some(Cow::from(other.as_str()))];
        let signals = Signals { gdpr: Some(false), gpp, gpp_sid, ..Signals::default() };
        work::of(|| assert!(!matches!(judge(&signals, rules(), Regime::Uid2), Verdict::Inject(_))))
    };
    let (none, all) = (steps([&[], &[]]), steps([&ids, &ids]));
    assert_eq!(all, none, "the lists add nothing");
    // Each string is checked once and its sections are asked for once.
    assert!((2 * SECTIONS..=2 * 2 * SECTIONS + 4).contains(&all), "{all} ids decoded");
}

fn base64url() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_.~-]{0,120}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_reader_panic(tail in base64url(), any in "\\PC{0,40}", id in 0_u16..40) {
        for text in [format!("C{tail}"), format!("DBA{tail}"), format!("B{tail}"), any] {
            if let Ok(tc) = TcString::parse(&text) {
                tc.check_validity().ok();
                tc.restriction(1, 21);
            }
            if let Ok(gpp) = Gpp::parse(&text) {
                prop_assert!(gpp.sections().count() <= text.len());
            }
            UsSection::parse(id, &text);
        }
    }

    #[test]
    fn a_stranger_s_text_never_grants_uid2_under_gdpr(tc in base64url(), gpp in base64url(), usp in ".{0,6}") {
        let signals = Signals {
            gdpr: Some(true),
            tc_strings: [Some(Cow::from(tc.as_str())), None],
            gpp: [Some(Cow::from(gpp.as_str())), None],
            us_privacy: [Some(Cow::from(usp.as_str())), None],
            ..Signals::default()
        };
        let (verdict, row) = judge_by_row(&signals, rules(), Regime::Uid2);
        prop_assert!(!matches!(verdict, Verdict::Inject(_)));
        prop_assert!(matches!(row, 2 | 4));
        prop_assert!(!matches!(judge(&signals, rules(), Regime::Euid), Verdict::Inject(_)));
    }
}
