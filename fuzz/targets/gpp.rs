//! Invariant: reading a GPP string never panics and gives the sections that a naive reader of bits gives; GPC in a
//! subsection always counts; and a section less never lets through less, whatever the sections hold.
#![cfg_attr(not(test), no_main)]

use std::borrow::Cow;

use uid2_gateway::privacy::gpp::Gpp;
use uid2_gateway::privacy::us_section::UsSection;
use uid2_gateway::privacy::{Gvl, MAX_TEXT, Policy, Regime, Rules, Signals, Verdict, judge};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = Gpp::parse(text).ok().map(|gpp| gpp.sections().collect::<Vec<_>>());
    let naive = if text.len() > MAX_TEXT { None } else { naive(text) };
    assert_eq!(read, naive);
    let Some(sections) = read else { return };
    for (id, section) in &sections {
        let said = UsSection::parse(*id, section);
        let with_gpc = UsSection::parse(*id, &format!("{section}.YA"));
        assert_eq!(with_gpc, UsSection { opted_out: said.opted_out || (7..=23).contains(id), ..said });
    }
    if injects(text, &[]) {
        for (id, _) in sections.iter().filter(|(id, _)| *id != 2) {
            assert!(
                injects(text, &[i32::from(*id)]),
                "section {id} alone stopped what all of them let through"
            );
        }
    }
    // Nor does a place more: an opt-out in the other place counts, whatever stands in this one.
    let opted_out = ["DBABTA~1YYN", "DBABL~BAAEAAAAAAA"];
    for other in opted_out {
        let places = [Some(Cow::Borrowed(text)), Some(Cow::Borrowed(other))];
        assert!(!matches!(verdict(&Signals { gpp: places, ..outside_gdpr() }), Verdict::Inject(_)));
    }
}

fn outside_gdpr<'a>() -> Signals<'a> {
    Signals { gdpr: Some(false), ..Signals::default() }
}

fn injects(text: &str, gpp_sid: &[i32]) -> bool {
    let gpp = [Some(Cow::Borrowed(text)), None];
    matches!(verdict(&Signals { gpp, gpp_sid: [gpp_sid, &[]], ..outside_gdpr() }), Verdict::Inject(_))
}

fn verdict(signals: &Signals<'_>) -> Verdict {
    let (policy, gvl) = (Policy::default(), Gvl::default());
    judge(signals, Rules { policy: &policy, gvl: &gvl }, Regime::Uid2)
}

/// All ids of the header, then the sections beside them.
fn naive(text: &str) -> Option<Vec<(u16, &str)>> {
    let mut parts = text.split('~');
    let mut bits = Vec::new();
    for c in parts.next()?.bytes() {
        let value = ALPHABET.iter().position(|known| *known == c)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    let sections: Vec<&str> = parts.collect();
    let mut bits = bits.into_iter();
    if number(&mut bits, 6)? != 3 || number(&mut bits, 6)? != 1 {
        return None;
    }
    let (mut ids, mut last) = (Vec::new(), 0_u64);
    for _ in 0..number(&mut bits, 12)? {
        let is_group = bits.next()?;
        last += fibonacci(&mut bits)?;
        ids.push(last);
        let more = if is_group { fibonacci(&mut bits)? } else { 0 };
        for _ in 0..more {
            last += 1;
            ids.push(last);
            if ids.len() > sections.len() {
                return None;
            }
        }
    }
    let fits = ids.len() == sections.len() && !bits.any(|bit| bit);
    let ids: Option<Vec<u16>> = ids.into_iter().map(|id| u16::try_from(id).ok()).collect();
    ids.filter(|_| fits).map(|ids| ids.into_iter().zip(sections).collect())
}

fn number(bits: &mut impl Iterator<Item = bool>, count: usize) -> Option<u64> {
    (0..count).try_fold(0, |n, _| Some(n * 2 + u64::from(bits.next()?)))
}

fn fibonacci(bits: &mut impl Iterator<Item = bool>) -> Option<u64> {
    let (mut term, mut following, mut sum, mut last) = (1_u64, 2_u64, 0_u64, false);
    loop {
        let one = bits.next()?;
        if one && last {
            return Some(sum);
        }
        // Beyond the ids there are.
        if term > 1 << 40 {
            return None;
        }
        sum += if one { term } else { 0 };
        last = one;
        (term, following) = (following, term + following);
    }
}
