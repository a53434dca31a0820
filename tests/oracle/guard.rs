//! The DII guard as a tree: what it leaves is what came in, without parts under `user` that hold DII; a second look finds
//! nothing.
//!
//! Here nobody knows what exactly has to go with a find: that is tested in the product. But whatever is gone held one of
//! the planted texts, and whatever stays is there as it was written, in its order.

use std::cell::Cell;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use uid2_gateway::openrtb::guard::{Watch, inspect};
use uid2_gateway::openrtb::{BidRequest, Limits};

use super::generate;
use super::tree::{Member, Node, Tree};

const CASES: u32 = 5_000;
const HEX: &str = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";
const RAW: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// What is put over harmless texts of a request, each as it is written in JSON.
const PLANTED: [(&str, &str); 6] = [
    (r#""t1""#, r#""joe@example.com""#),
    (r#""t2""#, r#""AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=""#),
    (r#""zz""#, r#""+15551234567""#),
    (r#""é""#, r#""joe%40example.com,b""#),
    (r#""EIDS":0"#, r#""hem":"b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514""#),
    (r#""consent""#, r#""keywords""#),
];
/// A text that holds one of these may go.
const SIGNS: [&str; 5] = ["joe@", "%40", "+1555", HEX, RAW];
fn holds_sign(text: &str) -> bool {
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// Whether there is DII in a value, be it written with escapes.
fn accountable(tree: &Tree) -> bool {
    match &tree.node {
        Node::Scalar(text) => holds_sign(&tree.string().unwrap_or_else(|| text.clone())),
        Node::Array(items) => items.iter().any(accountable),
        Node::Object(members) => members.iter().any(member_accountable),
    }
}

/// Whether there is DII in the name or the value of a member.
fn member_accountable(member: &Member) -> bool {
    member.says().is_some_and(|name| holds_sign(&name)) || accountable(&member.value)
}

/// Whether `after` is `before` without parts that may go.
fn is_left(before: &Tree, after: &Tree) -> bool {
    match (&before.node, &after.node) {
        (Node::Array(before), Node::Array(after)) => in_order(before, after, is_left, accountable),
        (Node::Object(before), Node::Object(after)) => members_left(before, after),
        _ => before == after,
    }
}

fn members_left(before: &[Member], after: &[Member]) -> bool {
    let same = |before: &Member, after: &Member| {
        before.named_as(after)
            && (is_left(&before.value, &after.value)
                || (before.is("keywords") && keywords_left(&before.value, &after.value)))
    };
    in_order(before, after, same, member_accountable)
}

/// A string of keywords without some; white space around one may go with its neighbour.
fn keywords_left(before: &Tree, after: &Tree) -> bool {
    let (Node::Scalar(before), Node::Scalar(after)) = (&before.node, &after.node) else { return false };
    let words =
        |text: &str| text.trim_matches('"').split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>();
    let may_go = |word: &String| holds_sign(word);
    in_order(&words(before), &words(after), PartialEq::eq, may_go)
}

/// Whether `after` is `before`, but for those that may go.
fn in_order<T>(
    before: &[T],
    after: &[T],
    same: impl Fn(&T, &T) -> bool,
    may_go: impl Fn(&T) -> bool,
) -> bool {
    // The lengths of what can be left of `before` so far: one that may go may also have stayed in part.
    let mut lengths = vec![0];
    for there in before {
        let stays = lengths.iter().filter(|at| after.get(**at).is_some_and(|left| same(there, left)));
        let mut next: Vec<usize> = stays.map(|at| at + 1).collect();
        if may_go(there) {
            next.extend(&lengths);
        }
        next.sort_unstable();
        next.dedup();
        lengths = next;
    }
    lengths.contains(&after.len())
}

fn check(text: &str) -> Result<bool, TestCaseError> {
    // A name of ours that stands twice now is refused.
    let Ok(request) = BidRequest::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default()) else {
        return Ok(false);
    };
    let watch = Watch { dii: true, own: &[], tokens_of: &["uidapi.com", "euid.eu"] };
    let Some(found) = inspect(&request, &watch) else { return Ok(false) };
    let cleaned = found.cleaned(&request).map_err(|fault| TestCaseError::fail(format!("{fault}: {text}")))?;
    let out = String::from_utf8(cleaned.body().to_vec()).unwrap();
    let (before, after) = (Tree::parse(text), Tree::parse(&out));
    let said = format!("\n in {text}\nout {out}");
    prop_assert!(inspect(&cleaned, &watch).is_none(), "a second look finds something {}", said);
    prop_assert!(before != after, "found, but not removed {}", said);
    let same = |before: &Member, after: &Member| {
        before.named_as(after)
            && (before.value == after.value || (before.is("user") && is_left(&before.value, &after.value)))
    };
    let may_go = |member: &Member| member.is("user") && accountable(&member.value);
    let left = in_order(before.members().unwrap(), after.members().unwrap(), same, may_go);
    prop_assert!(left, "something else is gone {}", said);
    Ok(true)
}

#[test]
fn what_the_guard_leaves_is_the_input_without_dii() {
    let config = Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(super::SEED),
        failure_persistence: None,
        ..Config::default()
    };
    let found = Cell::new(0);
    let outcome = TestRunner::new(config).run(&(vec(any::<u8>(), 0..500), 0..64_usize), |(tape, planted)| {
        let mut text = generate::request(tape);
        for (at, (harmless, planted_text)) in PLANTED.iter().enumerate() {
            if planted >> at & 1 == 1 {
                text = text.replace(harmless, planted_text);
            }
        }
        found.set(found.get() + u32::from(check(&text)?));
        Ok(())
    });
    outcome.unwrap();
    let share = found.get() * 100 / CASES;
    println!("the guard found something in {share} % of the requests");
    assert!(share >= 20, "{share} %");
}
