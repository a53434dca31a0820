//! Which sections count where GPP strings and lists stand in two places.

use std::borrow::Cow;

use super::rows::{check, us};
use crate::privacy::Signals;
use crate::privacy::fixture::{gpp, us_section};

#[test]
fn a_section_applies_by_the_list_beside_it_or_by_either_name() {
    let clean = gpp(&[(7, &us_section(2, &[]))]);
    let opted = gpp(&[(8, &us_section(1, &[(12, 2, 1)]))]);
    let child = gpp(&[(8, &us_section(1, &[(36, 2, 1)]))]);
    let euid = (17, "pass disabled");
    let places =
        |ours: &str, other: &str| [Some(Cow::from(ours.to_owned())), Some(Cow::from(other.to_owned()))];
    for ids in [[&[7][..], &[]], [&[7], &[-1]], [&[7, 8], &[9, 7]], [&[7], &[8]]] {
        let [a, b] = ids;
        for (gpp, gpp_sid) in [(places(&clean, &opted), [a, b]), (places(&opted, &clean), [b, a])] {
            check(&Signals { gpp, gpp_sid, ..us() }, (10, "strip All gpp"), euid);
        }
        let signals = Signals { gpp: places(&clean, &child), gpp_sid: ids, ..us() };
        check(&signals, (2, "strip All child"), (2, "strip All child"));
    }
    // Both lists name 7 alone: what else stands in either string does not apply.
    let both = Signals { gpp: places(&clean, &opted), gpp_sid: [&[7], &[7]], ..us() };
    check(&both, (17, "inject"), euid);
    // The same string in both places, a list beside one of them.
    let same = gpp(&[(7, &us_section(2, &[])), (8, &us_section(1, &[(12, 2, 1)]))]);
    check(&Signals { gpp: places(&same, &same), gpp_sid: [&[7], &[]], ..us() }, (10, "strip All gpp"), euid);
    check(&Signals { gpp: places(&same, &same), gpp_sid: [&[7], &[7]], ..us() }, (17, "inject"), euid);
}
