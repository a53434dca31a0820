//! Property: a merged answer parses, and holds each seatbid that the oracle accepts, verbatim and in order.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::generate::{Style, array, mutated, object_of, spelled, string, value};
use super::oracle::{Case, Verdict, expected};
use super::*;

const EXOTIC: Style = Style { exotic: true };

fn of(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    select(texts).prop_map(str::to_owned).boxed()
}

fn bid() -> BoxedStrategy<String> {
    let ids =
        prop_oneof![spelled("b1"), spelled("b2"), of(&[r#""b3""#, r#""""#, "7", "null", r#""\ud800""#])];
    let imps = prop_oneof![5 => spelled("1"), 5 => spelled("2"), 1 => spelled("3"), 1 => of(&["1", "null"])];
    let prices = of(&[
        "0",
        "1.10",
        "2.5e0",
        "1E+2",
        "0.0000001",
        "-0",
        "12345678901234567890123",
        "1.0",
        "3",
        "4",
        "-0.01",
        "1e999",
        "\"1\"",
        "null",
        "[1]",
    ]);
    let whole = object_of(
        EXOTIC,
        vec![
            ("id", ids.boxed(), true),
            ("impid", imps.boxed(), true),
            ("price", prices, true),
            ("adm", string(EXOTIC).boxed(), false),
            ("w", of(&["300", "-1", "\"x\""]), false),
            ("ext", value(EXOTIC), false),
        ],
    );
    let odd = of(&[
        "5",
        "null",
        "[]",
        "{}",
        r#"["b9","1",1.0]"#,
        r#"{"id":"b9","impid":"1"}"#,
        r#"{"id":"b9","price":1}"#,
        r#"{"id":"b9","impid":"1","price":1,"price":2}"#,
        r#"{"id":"b9","\u0069d":"b8","impid":"1","price":1,"ext":{"id":1,"id":2}}"#,
        r#"{"id":"b9","impid":"1","price":1,"w":1,"w":2}"#,
    ]);
    prop_oneof![12 => whole, 2 => odd].boxed()
}

fn seat() -> BoxedStrategy<String> {
    let bids = prop_oneof![30 => array(vec(bid(), 0..4)), 1 => of(&["null", "{}", "[{}]"])];
    let seat = object_of(
        EXOTIC,
        vec![
            ("bid", bids.boxed(), true),
            ("seat", string(EXOTIC).boxed(), false),
            ("group", of(&["0", "1", "1.0", "1e0", "2", "true", "\"1\""]), false),
            ("ext", value(EXOTIC), false),
        ],
    );
    let odd = of(&[
        "null",
        "{}",
        "5",
        r#"[[{"id":"b9","impid":"1","price":1}]]"#,
        r#"{"bid":{"id":"b9","impid":"1","price":1}}"#,
        r#"{"bid":[{"id":"b9","impid":"1","price":1}],"\u0062id":[]}"#,
        r#"{"group":0,"bid":[{"id":"b9","impid":"1","price":1,"id":"b9"}],"group":0}"#,
    ]);
    prop_oneof![20 => seat, 1 => odd].boxed()
}

/// A body, readable when a case fails.
#[derive(Clone)]
struct Body(Vec<u8>);

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(&self.0))
    }
}

fn reply() -> BoxedStrategy<Body> {
    let ids = prop_oneof![30 => spelled("r1"), 1 => spelled("r2"), 1 => of(&["null", "1"])];
    let reply = object_of(
        EXOTIC,
        vec![
            ("id", ids.boxed(), true),
            ("seatbid", prop_oneof![12 => array(vec(seat(), 0..4)), 1 => of(&["null", "{}"])].boxed(), true),
            (
                "cur",
                prop_oneof![9 => spelled("USD"), 2 => spelled("EUR"), 1 => of(&["null", "\"\"", "5"])]
                    .boxed(),
                false,
            ),
            ("bidid", prop_oneof![string(EXOTIC), of(&["5", "null"])].boxed(), false),
            ("customdata", prop_oneof![string(EXOTIC), of(&["{}"])].boxed(), false),
            ("nbr", of(&["0", "2", "-1", "1.5", "\"2\""]), false),
            ("ext", value(EXOTIC), false),
        ],
    );
    prop_oneof![9 => reply.clone().prop_map(|text| Body(text.into_bytes())), 1 => mutated(reply).prop_map(Body)].boxed()
}

fn plain(verdict: ReplyVerdict) -> Verdict {
    match verdict {
        ReplyVerdict::Bid { bids, dropped, .. } => Verdict::Bid(bids, dropped),
        ReplyVerdict::NoBid { .. } => Verdict::NoBid,
        ReplyVerdict::Invalid(_) => Verdict::Invalid,
        ReplyVerdict::TooLarge => Verdict::TooMany,
    }
}

fn check((cur, max_bids): (Option<&str>, usize), replies: &[Body]) -> usize {
    let replies: Vec<&[u8]> = replies.iter().map(|body| body.0.as_slice()).collect();
    let imp_ids = [Cow::Borrowed("1"), Cow::Borrowed("2")];
    let context = MergeContext { id_raw: br#""\u00721""#, imp_ids: &imp_ids, cur };
    let candidates: Vec<_> = replies.iter().map(|body| Candidate { body, max_bids }).collect();
    let merged = merge(&context, &candidates);
    let expected =
        expected(&Case { id_raw: r#""\u00721""#, imps: &["1", "2"], cur, replies: &replies, max_bids });
    let verdicts: Vec<Verdict> = merged.verdicts.iter().copied().map(plain).collect();
    assert_eq!(verdicts, expected.verdicts, "{:?}", merged.verdicts);
    expected.holds(merged.body.as_deref());
    verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Bid(..))).count()
}

#[test]
fn what_the_oracle_accepts_is_there_verbatim_and_in_order() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let bidding = std::cell::Cell::new(0);
    let currencies = select(vec![None, None, Some("USD"), Some("EUR"), Some("")]);
    let cases = (currencies, prop_oneof![3 => Just(1_000), 1 => 0_usize..8], vec(reply(), 1..5));
    let run = runner.run(&cases, |(cur, max_bids, replies)| {
        bidding.set(bidding.get() + check((cur, max_bids), &replies));
        // The same replies in another configured order.
        let turned: Vec<_> = replies.into_iter().rev().collect();
        check((cur, max_bids), &turned);
        Ok(())
    });
    run.unwrap_or_else(|fault| panic!("{fault}"));
    assert!(bidding.get() > 300, "only {} replies with bids were generated", bidding.get());
}
