//! What privacy costs an ad request: reading a consent string, judging by it, and what remembering the answer would cost
//! instead (a map keyed by the whole string, full of strings that differ late).

use std::borrow::Cow;
use std::collections::HashMap;
use std::hint::black_box;

use criterion::Criterion;
use uid2_gateway::privacy::gpp::Gpp;
use uid2_gateway::privacy::tcf::TcString;
use uid2_gateway::privacy::{Gvl, Policy, Regime, Rules, Signals, judge, judge_leg};

/// Other strings that a memo would hold.
const REMEMBERED: usize = 4096;

const TC: [(&str, &str); 2] = [
    ("bit field", include_str!("../../fuzz/seeds/tcf/typical-bit-field")),
    ("ranges", include_str!("../../fuzz/seeds/tcf/typical-ranges")),
];
const GPP: [(&str, &str); 2] = [
    ("two US sections", include_str!("../../fuzz/seeds/gpp/typical-us")),
    ("TCF, US Privacy and four states", include_str!("../../fuzz/seeds/gpp/typical-eu-and-us")),
];

pub(super) fn tc(c: &mut Criterion) {
    let (policy, gvl) = (Policy::default(), Gvl::default());
    let rules = Rules { policy: &policy, gvl: &gvl };
    for (name, text) in TC {
        let mut group = c.benchmark_group(format!("TC string, {name} ({} B)", text.len()));
        let tc_strings = [Some(Cow::Borrowed(text)), None];
        let signals = Signals { gdpr: Some(true), tc_strings, ..Signals::default() };
        group.bench_function("decode", |b| b.iter(|| TcString::parse(black_box(text)).is_ok()));
        group.bench_function("judge", |b| b.iter(|| judge(black_box(&signals), rules, Regime::Euid)));
        let verdict = judge(&signals, rules, Regime::Euid);
        group.bench_function("judge one SSP", |b| {
            b.iter(|| judge_leg(verdict, black_box(&signals), rules, Some(76)));
        });
        let memo = memo(text);
        group.bench_function("memo hit", |b| b.iter(|| memo.get(black_box(text))));
        group.finish();
    }
}

pub(super) fn gpp(c: &mut Criterion) {
    let (policy, gvl) = (Policy::default(), Gvl::default());
    let rules = Rules { policy: &policy, gvl: &gvl };
    for (name, text) in GPP {
        let mut group = c.benchmark_group(format!("GPP string, {name} ({} B)", text.len()));
        let gpp = [Some(Cow::Borrowed(text)), None];
        let signals = Signals { gdpr: Some(false), gpp, gpp_sid: [&[8], &[]], ..Signals::default() };
        group.bench_function("decode", |b| b.iter(|| Gpp::parse(black_box(text)).is_ok()));
        group.bench_function("judge", |b| b.iter(|| judge(black_box(&signals), rules, Regime::Uid2)));
        let memo = memo(text);
        group.bench_function("memo hit", |b| b.iter(|| memo.get(black_box(text))));
        group.finish();
    }
}

fn memo(text: &str) -> HashMap<Box<str>, u64> {
    let others = (0..REMEMBERED).map(|i| format!("{text}{i}").into_boxed_str());
    others.chain([Box::from(text)]).zip(0..).collect()
}
