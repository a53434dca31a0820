//! Whatever order SSPs answer in, the merged answer is the same, and holds what the oracle accepts, verbatim, in the order
//! in which the SSPs are configured: over sockets, through the real fan-out.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::sync::watch;

use crate::seeds::merge::oracle::{Case, Verdict, expected};
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

const REQUEST: &str =
    r#"{"id":"r\u002d1","imp":[{"id":"1"},{"id":"2"}],"device":{"geo":{"country":"USA"}},"tmax":5000}"#;

/// In the order of configuration, which is not that of the alphabet.
const IDS: [&str; 3] = ["zeta", "alpha", "mid"];

/// Every order of three.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

fn of(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    select(texts)
}

fn bid() -> impl Strategy<Value = String> {
    let id = of(&[r#""b1""#, r#""b2""#, r#""\u0062\u0031""#, r#""b3""#, r#""""#]);
    let imp = of(&[r#""1""#, r#""2""#, r#""\u0031""#, r#""3""#]);
    let price = of(&["1.10", "0", "2.5e0", "1E+2", "12345678901234567890", "1e999", "-1", r#""1""#]);
    let rest =
        of(&["", r#","adm":"<a href=\"\u0026\/\">é😀""#, ",\n \"ext\" : {\"n\":[1.0,{}]}", r#","w":-1"#]);
    (id, imp, price, rest, of(&["", " ", "\r\n\t"])).prop_map(|(id, imp, price, rest, s)| {
        format!(r#"{{{s}"id"{s}:{id},"impid":{s}{imp},"price":{price}{rest}{s}}}"#)
    })
}

fn seat() -> impl Strategy<Value = String> {
    let odd = of(&["5", r#"{"id":"b1","impid":"1","price":1,"id":"b2"}"#]);
    let bids = prop::collection::vec(prop_oneof![9 => bid(), 1 => odd.prop_map(str::to_owned)], 0..4);
    let rest = of(&["", r#","seat":"s""#, r#","group":1"#, r#","group":1.0,"ext":{"\u0062id":1}"#]);
    let seat = (bids, rest, of(&["", " ", "\n"])).prop_map(|(bids, rest, s)| {
        format!(r#"{{"bid"{s}:[{s}{}{s}]{rest}}}"#, bids.join(&format!("{s},{s}")))
    });
    let odd = of(&["null", r#"{"bid":{}}"#, r#"{"bid":[],"bid":[]}"#]);
    prop_oneof![15 => seat, 1 => odd.prop_map(str::to_owned)]
}

fn reply() -> impl Strategy<Value = String> {
    let members = of(&[
        r#""id":"r-1","#,
        r#""id":"r-1","cur":"USD","#,
        r#""bidid":"x\/y","id":"\u0072-1","customdata":"c","#,
        r#""nbr":2,"#,
        r#""id":"r-2","#,
        r#""id":"r-1","cur":"EUR","#,
    ]);
    let whole = (members, prop::collection::vec(seat(), 0..4), of(&["", " ", "\n\t"])).prop_map(
        |(members, seats, s)| format!(r#"{s}{{{s}{members}"seatbid":[{s}{}{s}]}}{s}"#, seats.join(",")),
    );
    let broken = of(&["{}", "[]", "{", r#"{"id":"r-1","seatbid":[],"seatbid":[]}"#, "null"]);
    prop_oneof![8 => whole, 1 => broken.prop_map(str::to_owned)]
}

/// The answer when the SSPs answer in this order; `None` for 204.
async fn answer(
    stack: &Stack,
    ssps: &[ScriptedSsp],
    (replies, order): (&[String], [usize; 3]),
) -> Option<String> {
    let (turn, _) = watch::channel(0);
    for (mine, &ssp) in order.iter().enumerate() {
        let body = replies[ssp].clone().into();
        ssps[ssp].set(Script { status: 200, body, turn: Some((turn.clone(), mine)), ..Script::default() });
    }
    let answer = stack.http.post(stack.data, "/openrtb2/auction", &[AUTH], REQUEST).await;
    assert!([200, 204].contains(&answer.status.as_u16()), "{answer:?}");
    (answer.status == 200).then(|| answer.text())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_answers_does_not_matter() {
    const CASES: usize = 60;
    let mut ssps = Vec::new();
    let mut plan = Plan::default();
    for id in IDS {
        let ssp = ScriptedSsp::start(Script::default()).await;
        plan.ssps.push((id.into(), ssp.address, "timeout_ms = 5000".into()));
        ssps.push(ssp);
    }
    let stack = Stack::start(&plan).await;
    let mut runner = TestRunner::deterministic();
    let mut merged = 0;
    // Per SSP: how often it bid, had no bid, could not be used.
    let mut outcomes = [[0.0_f64; 3]; 3];
    for _ in 0..CASES {
        let replies: Vec<String> = (0..3).map(|_| reply().new_tree(&mut runner).unwrap().current()).collect();
        let first = answer(&stack, &ssps, (&replies, ORDERS[0])).await;
        let bodies: Vec<&[u8]> = replies.iter().map(String::as_bytes).collect();
        let case =
            Case { id_raw: r#""r\u002d1""#, imps: &["1", "2"], cur: None, replies: &bodies, max_bids: 1_000 };
        let expected = expected(&case);
        expected.holds(first.as_deref().map(str::as_bytes));
        for (ssp, verdict) in expected.verdicts.iter().enumerate() {
            let outcome = match verdict {
                Verdict::Bid(..) => 0,
                Verdict::NoBid => 1,
                Verdict::Invalid | Verdict::TooMany => 2,
            };
            outcomes[ssp][outcome] += 6.0;
        }
        for order in &ORDERS[1..] {
            assert_eq!(answer(&stack, &ssps, (&replies, *order)).await, first, "{order:?} {replies:?}");
        }
        merged += usize::from(first.is_some());
    }
    assert!(merged > CASES / 5, "only {merged} of {CASES} had bids");
    for (id, counts) in IDS.iter().zip(outcomes) {
        for (outcome, expected) in ["bid", "nobid", "invalid"].iter().zip(counts) {
            let series = format!("uid2gw_ssp_requests_total{{outcome=\"{outcome}\",ssp=\"{id}\"}}");
            let counted = stack.metric(&series).await;
            assert!((counted - expected).abs() < f64::EPSILON, "{series} {counted}, not {expected}");
        }
    }
    stack.stop().await;
}
