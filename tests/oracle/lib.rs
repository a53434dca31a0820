//! Tree oracle: what leaves, read as a tree, is what came in, read as a tree and edited by somebody who knows nothing of
//! bytes.
//!
//! The product edits bytes by spans. Here a request is generated, edited by the product, and compared member by member
//! with [`edit::edited`], a naive implementation of the same rules on a [`tree::Tree`] that keeps the text of every
//! number and string, the order of members, and members that stand twice.
//!
//! `ORACLE_CASES` and `ORACLE_SEED` change how many requests are made and from what; a failure prints the smallest
//! request and edit that still fail.

#![cfg(test)]

mod edit;
mod generate;
mod guard;
mod tree;

use std::cell::Cell;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use uid2_gateway::openrtb::{BidRequest, Dialect, Edit, Limits, NewEid, RtiPartner, RtiPlace, Strip, plan};

use self::edit::Seen;
use self::tree::Tree;

const DIALECTS: [Dialect; 4] = [Dialect::V26, Dialect::V25, Dialect::Both, Dialect::AsReceived];
/// As the gateway strips: its own, one scope, the family, and what nobody has.
const STRIPS: [Strip<'_>; 6] = [
    Strip::Nothing,
    Strip::Sources(&["uidapi.com"]),
    Strip::Sources(&["EUID.eu"]),
    Strip::Sources(&["uidapi.com", "euid.eu", "adserver.org"]),
    Strip::Sources(&["nobody.example"]),
    Strip::All,
];
const CASES: u32 = 20_000;
const SEED: u64 = 20_260_824;

/// What is asked of one request, besides the dialect: all of them are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    strip: Strip<'static>,
    add: Option<NewEid<'static>>,
    remove_user_id: bool,
    fill_gpc: bool,
    tmax: Option<u64>,
    max_eids: usize,
}

impl Wish {
    fn edit(self, dialect: Dialect) -> Edit<'static> {
        Edit {
            dialect,
            strip: self.strip,
            add: self.add,
            remove_user_id: self.remove_user_id,
            fill_gpc: self.fill_gpc,
        }
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let inserter = select(vec![None, Some("pub.example"), Some(r#"a"b\c"#)]);
    let places = vec![None, Some(RtiPlace::UidExt), Some(RtiPlace::UidFlat), Some(RtiPlace::EidExt)];
    let rti = (select(places), select(vec!["UID2", r#""\"#]))
        .prop_map(|(place, value)| Some(RtiPartner { place: place?, value }));
    // What is there mostly stays, and gets the new id: that is where the most can go wrong.
    let replace = proptest::bool::weighted(0.75);
    let add = (select(vec!["uidapi.com", "euid.eu"]), inserter, rti, replace).prop_map(
        |(source, inserter, rti_partner, replace)| NewEid {
            source,
            id: "NewToken+/=-_",
            inserter,
            rti_partner,
            replace,
        },
    );
    let tmax = prop_oneof![Just(None), Just(Some(0)), Just(Some(120))];
    let max_eids = prop_oneof![5 => Just(Limits::default().max_eids), 1 => Just(3), 1 => Just(0)];
    let add = proptest::option::weighted(0.75, add);
    let strip = prop_oneof![Just(Strip::Nothing), select(STRIPS.to_vec())];
    (strip, add, any::<bool>(), any::<bool>(), tmax, max_eids).prop_map(
        |(strip, add, remove_user_id, fill_gpc, tmax, max_eids)| Wish {
            strip,
            add,
            remove_user_id,
            fill_gpc,
            tmax,
            max_eids,
        },
    )
}

/// How often something happened.
#[derive(Default)]
struct Tally {
    /// Outcomes that differ from the input.
    edited: Cell<usize>,
    /// Cases in which a seldom rule decided something.
    seldom: [Cell<usize>; 4],
}

impl Tally {
    fn note(&self, seen: &Seen) {
        let Seen { grouped, rti_ours, rti_theirs, gpc } = seen;
        for (count, seen) in self.seldom.iter().zip([grouped, rti_ours, rti_theirs, gpc]) {
            count.set(count.get() + usize::from(seen.get()));
        }
    }
}

/// Edits with every dialect.
fn check(text: &str, wish: Wish, tally: &Tally) -> Result<(), TestCaseError> {
    let limits = Limits { max_eids: wish.max_eids, ..Limits::default() };
    let request = BidRequest::parse(Bytes::copy_from_slice(text.as_bytes()), &limits);
    let request = request.map_err(|fault| TestCaseError::fail(format!("refused: {fault}")))?;
    let input = Tree::parse(text);
    let seen = Seen::default();
    for dialect in DIALECTS {
        let out = plan(&request, &wish.edit(dialect)).segments(&request, wish.tmax).concat();
        let out = String::from_utf8(out).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        let expected = edit::edited(&input, dialect, wish, &seen);
        let said = format!("{dialect:?}\n     in {text}\nexpected {expected}\n     out {out}");
        prop_assert!(Tree::parse(&out) == expected, "{}", said);
        prop_assert!(expected != input || out == text, "nothing to change, but other bytes: {}", said);
        tally.edited.set(tally.edited.get() + usize::from(out != text));
    }
    tally.note(&seen);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a test is run by hand; the product reads no environment here")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[test]
fn the_output_is_the_input_edited_as_a_tree() {
    let cases = setting("ORACLE_CASES").map_or(CASES, |cases| cases.try_into().unwrap());
    let seed = setting("ORACLE_SEED").unwrap_or(SEED);
    println!("{cases} requests, every dialect, ORACLE_SEED={seed}");
    let config =
        Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    let tally = Tally::default();
    let outcome = TestRunner::new(config).run(&(vec(any::<u8>(), 0..500), wish()), |(tape, wish)| {
        check(&generate::request(tape), wish, &tally)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, (_, wish))) => panic!("ORACLE_SEED={seed}: {wish:?} {reason}"),
        Err(aborted) => panic!("ORACLE_SEED={seed}: {aborted}"),
    }
    // A generator of requests in which nothing can be edited would prove nothing.
    let share = tally.edited.get() * 100 / (DIALECTS.len() * cases as usize);
    println!("{share} % of the outcomes differ from their input");
    assert!(share >= 40, "{share} %");
    for (rule, count) in
        ["grouping", "rtiPartner in ours", "rtiPartner in theirs", "gpc"].into_iter().zip(&tally.seldom)
    {
        let share = count.get() * 100 / cases as usize;
        println!("{rule}: {share} % of the cases ({})", count.get());
        assert!(share >= 2, "{rule}: {share} % of the cases");
    }
}
