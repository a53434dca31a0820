//! Invariant: merging whatever SSPs answer never panics, and comes to what the oracle says, which reads JSON with serde_json
//! and knows nothing of spans: the same verdict on every reply, and an answer that parses and holds each accepted
//! seatbid verbatim and in order. A member put into the `ext` of any of them leaves the rest as it was.
#![cfg_attr(not(test), no_main)]

#[path = "../../src/openrtb/response/oracle.rs"]
pub(crate) mod oracle;

use std::borrow::Cow;

use oracle::{Case, Verdict, expected};
use uid2_gateway::openrtb::response::{
    Candidate, MergeContext, ReplyVerdict, glance, merge, with_ext_member,
};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    // A byte for the request's currency and how many bids a reply may have, then up to four replies, parted by zero bytes.
    let Some((first, rest)) = data.split_first() else { return };
    let cur = [None, Some("USD"), Some("EUR"), Some("")][usize::from(first & 3)];
    let max_bids = if first & 8 == 0 { 1_000 } else { 5 };
    let replies: Vec<&[u8]> = rest.splitn(4, |byte| *byte == 0).collect();
    let ids = [Cow::Borrowed("1"), Cow::Borrowed("2")];
    let context = MergeContext { id_raw: b"\"r\"", imp_ids: &ids, cur };
    let candidates: Vec<_> = replies.iter().map(|body| Candidate { body, max_bids }).collect();
    let merged = merge(&context, &candidates);
    let expected = expected(&Case { id_raw: "\"r\"", imps: &["1", "2"], cur, replies: &replies, max_bids });
    let verdicts: Vec<Verdict> = merged.verdicts.iter().map(plain).collect();
    assert_eq!(verdicts, expected.verdicts, "{:?}", merged.verdicts);
    expected.holds(merged.body.as_deref());
    for (body, verdict) in replies.iter().zip(&merged.verdicts) {
        let usable = matches!(verdict, ReplyVerdict::Bid { .. } | ReplyVerdict::NoBid { .. });
        assert!(glance(body).is_some() || !usable);
        assert!(glance(body).is_none() || *verdict != ReplyVerdict::Invalid("json"));
        annex(body);
    }
    if let Some(body) = merged.body {
        assert!(annex(&body), "an answer of ours has no ext yet");
    }
}

fn plain(verdict: &ReplyVerdict) -> Verdict {
    match verdict {
        ReplyVerdict::Bid { bids, dropped, .. } => Verdict::Bid(*bids, *dropped),
        ReplyVerdict::NoBid { .. } => Verdict::NoBid,
        ReplyVerdict::Invalid(_) => Verdict::Invalid,
        ReplyVerdict::TooLarge => Verdict::TooMany,
    }
}

/// Whether there was a place for a member in `ext`; taking it out again must give the body.
fn annex(body: &[u8]) -> bool {
    let Some(out) = with_ext_member(body, ("uid2gw", "{\"a\":[]}")) else { return false };
    assert!(glance(&out).is_some() || glance(body).is_none());
    let text = std::str::from_utf8(&out).expect("UTF-8");
    let ways = [
        ("\"uid2gw\":{\"a\":[]}", ""),
        (",\"uid2gw\":{\"a\":[]}", ""),
        ("\"ext\":{\"uid2gw\":{\"a\":[]}}", ""),
        (",\"ext\":{\"uid2gw\":{\"a\":[]}}", ""),
        ("{\"uid2gw\":{\"a\":[]}}", "null"),
    ];
    let undone = |(new, old): (&str, &str)| {
        text.match_indices(new).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + new.len()..]);
            [before, old, after].concat().as_bytes() == body
        })
    };
    assert!(ways.into_iter().any(undone), "more than one member changed");
    true
}
