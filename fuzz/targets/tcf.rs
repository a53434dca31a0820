//! Invariant: reading a TC string never panics and looks at no more than its limit; it accepts what a naive reader of bits
//! accepts, and says the same of every purpose, vendor and restriction; and taking consent away never makes an EUID
//! possible that was not.
#![cfg_attr(not(test), no_main)]

use std::borrow::Cow;
use std::collections::BTreeSet;

use uid2_gateway::privacy::tcf::{Restriction, TcString};
use uid2_gateway::privacy::{Gvl, MAX_TEXT, Policy, Regime, Rules, Signals, Verdict, judge, judge_leg};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = TcString::parse(text);
    let naive = if text.len() > MAX_TEXT { None } else { Naive::read(text) };
    assert_eq!(read.is_ok(), naive.is_some(), "{read:?}");
    let (Ok(tc), Some(naive)) = (read, naive) else { return };
    let flag = |at: usize| naive.core[at];
    for purpose in 1..=24_u8 {
        assert_eq!(tc.purpose_consent(purpose), flag(151 + usize::from(purpose)));
        assert_eq!(tc.purpose_interest(purpose), flag(175 + usize::from(purpose)));
    }
    let mut vendors: Vec<u16> = vec![1, 21, u16::MAX];
    vendors.extend(data.chunks_exact(2).take(8).map(|pair| u16::from_le_bytes([pair[0], pair[1]]).max(1)));
    vendors.extend(naive.consents.iter().chain(&naive.interests).take(8));
    for vendor in vendors {
        assert_eq!(tc.vendor_consent(vendor), naive.consents.contains(&vendor));
        assert_eq!(tc.vendor_interest(vendor), naive.interests.contains(&vendor));
        assert_eq!(tc.disclosed(vendor), naive.disclosed.as_ref().map(|list| list.contains(&vendor)));
        for purpose in [1, 2, 4, data[0] % 32] {
            assert_eq!(tc.restriction(purpose, vendor), naive.restriction(purpose, vendor));
        }
    }
    // One purpose less: neither for the user nor for one SSP may that open anything.
    let weaker = without_purpose(text, usize::from(data[data.len() - 1]) % 24);
    assert!(!allows(&weaker) || allows(text), "less consent allowed more");
}

/// Whether an EUID may go to vendor 76 on the word of this string.
fn allows(text: &str) -> bool {
    let signals =
        Signals { gdpr: Some(true), tc_strings: [Some(Cow::Borrowed(text)), None], ..Signals::default() };
    let (policy, gvl) = (Policy::default(), Gvl::default());
    let rules = Rules { policy: &policy, gvl: &gvl };
    let verdict = judge(&signals, rules, Regime::Euid);
    matches!(judge_leg(verdict, &signals, rules, Some(76)), Verdict::Inject(_))
}

/// The string with the consent and the interest of one purpose cleared.
fn without_purpose(text: &str, purpose: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for bit in [152 + purpose, 176 + purpose] {
        let value = ALPHABET.iter().position(|c| *c == bytes[bit / 6]).expect("it was accepted");
        bytes[bit / 6] = ALPHABET[value & !(32 >> (bit % 6))];
    }
    String::from_utf8(bytes).expect("ASCII for ASCII")
}

/// First and last vendor of each.
type Ranges = Vec<(u16, u16)>;

/// Sets instead of scans.
struct Naive {
    core: Vec<bool>,
    consents: BTreeSet<u16>,
    interests: BTreeSet<u16>,
    restrictions: Vec<(u64, u64, Ranges)>,
    disclosed: Option<BTreeSet<u16>>,
}

impl Naive {
    fn read(text: &str) -> Option<Self> {
        let mut segments = text.split('.');
        let core = bits(segments.next()?)?;
        let mut at = 0;
        if number(&core, &mut at, 6)? != 2 {
            return None;
        }
        at = 213;
        let consents = vendors(&core, &mut at)?;
        let interests = vendors(&core, &mut at)?;
        let mut restrictions = Vec::new();
        for _ in 0..number(&core, &mut at, 12)? {
            let (purpose, kind) = (number(&core, &mut at, 6)?, number(&core, &mut at, 2)?);
            restrictions.push((purpose, kind, ranges(&core, &mut at)?));
        }
        let mut disclosed = None;
        for segment in segments {
            let (bits, mut at) = (bits(segment)?, 0);
            if number(&bits, &mut at, 3)? == 1 && disclosed.replace(vendors(&bits, &mut at)?).is_some() {
                return None;
            }
        }
        Some(Self { core, consents, interests, restrictions, disclosed })
    }

    fn restriction(&self, purpose: u8, vendor: u16) -> Restriction {
        let mut found = Restriction::default();
        for (of, kind, ranges) in &self.restrictions {
            if *of == u64::from(purpose) && ranges.iter().any(|(a, b)| (*a..=*b).contains(&vendor)) {
                found.forbidden |= *kind == 0;
                found.consent_only |= *kind == 1;
                found.interest_only |= *kind == 2;
            }
        }
        found
    }
}

fn bits(text: &str) -> Option<Vec<bool>> {
    let mut bits = Vec::new();
    for c in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == c)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    Some(bits)
}

fn number(bits: &[bool], at: &mut usize, count: usize) -> Option<u64> {
    let found = bits.get(*at..*at + count)?;
    *at += count;
    Some(found.iter().fold(0, |n, bit| n * 2 + u64::from(*bit)))
}

fn vendors(bits: &[bool], at: &mut usize) -> Option<BTreeSet<u16>> {
    let max = u16::try_from(number(bits, at, 16)?).ok()?;
    if number(bits, at, 1)? == 0 {
        let field = bits.get(*at..*at + usize::from(max))?;
        *at += usize::from(max);
        return Some((1..=max).zip(field).filter(|(_, held)| **held).map(|(id, _)| id).collect());
    }
    let ranges = ranges(bits, at)?;
    // A few wide ranges would make millions of entries; that costs this reader, not ours.
    let inside = ranges.iter().all(|(_, end)| *end <= max);
    inside.then(|| ranges.into_iter().flat_map(|(start, end)| start..=end).collect())
}

fn ranges(bits: &[bool], at: &mut usize) -> Option<Ranges> {
    let mut ranges = Vec::new();
    for _ in 0..number(bits, at, 12)? {
        let is_range = number(bits, at, 1)? == 1;
        let start = u16::try_from(number(bits, at, 16)?).ok()?;
        let end = if is_range { u16::try_from(number(bits, at, 16)?).ok()? } else { start };
        if start == 0 || end < start {
            return None;
        }
        ranges.push((start, end));
    }
    Some(ranges)
}
