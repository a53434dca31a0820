//! TC strings: against published samples, against another decoder, and at the borders of each length.

use iab_gpp::sections::tcfeuv2::TcfEuV2;
use proptest::prelude::*;

use crate::privacy::fixture::{Restricted, Tc, Vendors};
use crate::privacy::tcf::{Restriction, TcString, TcfError};

/// `fixtures/privacy/tcf.json`: published strings and what they say.
#[derive(serde::Deserialize)]
struct Sample {
    about: String,
    tc: String,
    consents: Vec<u8>,
    interests: Vec<u8>,
    vendor: u16,
    vendor_consent: bool,
    vendor_interest: bool,
    disclosed: Option<bool>,
    valid: bool,
}

#[test]
fn published_strings_read_as_documented() {
    let samples: Vec<Sample> =
        serde_json::from_str(include_str!("../../../fixtures/privacy/tcf.json")).unwrap();
    for sample in &samples {
        let tc = TcString::parse(&sample.tc).unwrap();
        let purposes = |has: &dyn Fn(u8) -> bool| (1..=24).filter(|&p| has(p)).collect::<Vec<_>>();
        assert_eq!(purposes(&|p| tc.purpose_consent(p)), sample.consents, "{}", sample.about);
        assert_eq!(purposes(&|p| tc.purpose_interest(p)), sample.interests, "{}", sample.about);
        assert_eq!(tc.vendor_consent(sample.vendor), sample.vendor_consent, "{}", sample.about);
        assert_eq!(tc.vendor_interest(sample.vendor), sample.vendor_interest, "{}", sample.about);
        assert_eq!(tc.disclosed(sample.vendor), sample.disclosed, "{}", sample.about);
        assert_eq!(tc.check_validity().is_ok(), sample.valid, "{}", sample.about);
    }
}

fn vendors() -> impl Strategy<Value = Vendors> {
    let ids = prop::collection::btree_set(1_u16..120, 0..12);
    let field = ids.prop_map(|ids| Vendors::field(&ids.into_iter().collect::<Vec<_>>()));
    let ranges = ranges().prop_map(|ranges| Vendors::Ranges {
        max: ranges.iter().map(|r| r.1).max().unwrap_or(0).max(40),
        ranges,
    });
    prop_oneof![field, ranges]
}

fn ranges() -> impl Strategy<Value = Vec<(u16, u16)>> {
    // Disjoint and ascending, as a CMP writes them.
    prop::collection::vec((1_u16..9, 0_u16..6), 0..6).prop_map(|steps| {
        let mut at = 0;
        let mut list = Vec::new();
        for (gap, width) in steps {
            list.push((at + gap, at + gap + width));
            at += gap + width + 1;
        }
        list
    })
}

fn restrictions() -> impl Strategy<Value = Vec<Restricted>> {
    prop::collection::vec((1_u8..11, 0_u8..4, ranges()), 0..4)
}

fn tc() -> impl Strategy<Value = Tc> {
    let purposes = || prop::collection::vec(1_u8..25, 0..12);
    (
        purposes(),
        purposes(),
        vendors(),
        vendors(),
        restrictions(),
        prop::option::of(vendors()),
        0_u64..1 << 34,
    )
        .prop_map(
            |(consents, interests, vendors, vendor_interests, restrictions, disclosed, created)| Tc {
                created,
                consents,
                interests,
                vendors,
                vendor_interests,
                restrictions,
                disclosed,
                ..Tc::default()
            },
        )
}

/// What the entries say of a purpose and vendor.
fn restriction_of(entries: &[Restricted], purpose: u8, vendor: u16) -> Restriction {
    let mut found = Restriction::default();
    for (of_purpose, kind, ranges) in entries {
        let named =
            *of_purpose == purpose && ranges.iter().any(|&(start, end)| (start..=end).contains(&vendor));
        match kind {
            0 => found.forbidden |= named,
            1 => found.consent_only |= named,
            2 => found.interest_only |= named,
            _ => {}
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_decoder_reads_the_same(tc in tc()) {
        // The other decoder expects a vendor list with its own maximum in a restriction, which TCF does not have.
        let text = Tc { restrictions: Vec::new(), ..tc }.text();
        let ours = TcString::parse(&text).unwrap();
        let oracle: TcfEuV2 = text.parse().unwrap();
        prop_assert_eq!(ours.created() / 10, oracle.core.created);
        prop_assert_eq!(ours.last_updated() / 10, oracle.core.last_updated);
        for purpose in 1..=24_u8 {
            let id = u16::from(purpose);
            prop_assert_eq!(ours.purpose_consent(purpose), oracle.core.purpose_consents.contains(&id));
            prop_assert_eq!(ours.purpose_interest(purpose), oracle.core.purpose_legitimate_interests.contains(&id));
        }
        for vendor in 1..=130 {
            prop_assert_eq!(ours.vendor_consent(vendor), oracle.core.vendor_consents.contains(&vendor));
            prop_assert_eq!(ours.vendor_interest(vendor), oracle.core.vendor_legitimate_interests.contains(&vendor));
            let disclosed = oracle.disclosed_vendors.as_ref().map(|list| list.contains(&vendor));
            prop_assert_eq!(ours.disclosed(vendor), disclosed);
        }
    }

    #[test]
    fn restrictions_read_as_written(tc in tc()) {
        let text = tc.text();
        let ours = TcString::parse(&text).unwrap();
        for (purpose, vendor) in (1..=11).flat_map(|p| (1..=60).map(move |v| (p, v))) {
            let expected = restriction_of(&tc.restrictions, purpose, vendor);
            prop_assert_eq!(ours.restriction(purpose, vendor), expected);
        }
    }
}

fn parse(tc: &Tc) -> Result<(), TcfError> {
    TcString::parse(&tc.text()).map(|_| ())
}

#[test]
fn impossible_ranges_are_refused() {
    let with =
        |max, ranges: Vec<(u16, u16)>| Tc { vendors: Vendors::Ranges { max, ranges }, ..Tc::default() };
    assert_eq!(parse(&with(40, vec![(1, 40)])), Ok(()));
    assert_eq!(parse(&with(40, vec![(1, 41)])), Err(TcfError::Range), "leaves its list");
    assert_eq!(parse(&with(40, vec![(0, 4)])), Err(TcfError::Range), "starts at 0");
    assert_eq!(parse(&with(40, vec![(9, 4)])), Err(TcfError::Range), "backwards");
    let restricted = Tc { restrictions: vec![(1, 0, vec![(9, 4)])], ..Tc::default() };
    assert_eq!(parse(&restricted), Err(TcfError::Range));
}

#[test]
fn a_string_cut_anywhere_is_refused() {
    let whole = Tc { disclosed: None, restrictions: vec![(1, 0, vec![(2, 9)])], ..Tc::default() }.text();
    assert!(TcString::parse(&whole).is_ok());
    for end in 0..whole.len() {
        let cut: String = whole.chars().take(end).collect();
        assert!(TcString::parse(&cut).is_err(), "cut at {end}");
    }
}

#[test]
fn segments_come_in_any_order_but_once() {
    let text = Tc::default().text();
    let (core, disclosed) = text.split_once('.').unwrap();
    let publisher = "YAAAAAAAAAA"; // type 3
    for text in [format!("{core}.{publisher}.{disclosed}"), format!("{core}.{disclosed}.{publisher}")] {
        assert_eq!(TcString::parse(&text).unwrap().disclosed(21), Some(true));
    }
    let twice = TcString::parse(&format!("{text}.{disclosed}")).map(|_| ());
    assert_eq!(twice, Err(TcfError::Segment));
    assert_eq!(TcString::parse(&format!("{core}.")).map(|_| ()), Err(TcfError::Truncated));
    assert_eq!(TcString::parse(&format!("{core}.$")).map(|_| ()), Err(TcfError::Alphabet));
}

#[test]
fn vendor_ids_at_their_borders() {
    let tc = Tc { vendors: Vendors::Field { max: 21, ids: vec![1, 21] }, ..Tc::default() }.text();
    let tc = TcString::parse(&tc).unwrap();
    assert!(tc.vendor_consent(1) && tc.vendor_consent(21));
    assert!(
        !tc.vendor_consent(0)
            && !tc.vendor_consent(2)
            && !tc.vendor_consent(22)
            && !tc.vendor_consent(u16::MAX)
    );
    assert!(!tc.purpose_consent(0) && !tc.purpose_consent(25) && !tc.purpose_consent(255));
}
