//! Invariant: merging whatever SSPs answer never panics, and comes to what the oracle says, which reads JSON with serde_json
//! and knows nothing of spans: the same verdict on every reply, and an answer that parses and holds each accepted
//! seatbid verbatim and in order. A member put into the `ext` of any of them leaves the rest as it was.
#![cfg_attr(not(test), no_main)]

#[path = "../../src/openrtb/response/oracle.rs"]
pub(crate) mod oracle;

use std::borrow::Cow;

use oracle::{Case, Verdict, expected};
use uid2_gateway::openrtb::Limits;
use uid2_gateway::openrtb::response::{MergeContext, ReplyVerdict, glance, merge, with_ext_member};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    // A byte for the request's currency, then up to four replies, parted by zero bytes.
    let Some((first, rest)) = data.split_first() else { return };
    let cur = [None, Some("USD"), Some("EUR"), Some("")][usize::from(first & 3)];
    let replies: Vec<&[u8]> = rest.splitn(4, |byte| *byte == 0).collect();
    let ids = [Cow::Borrowed("1"), Cow::Borrowed("2")];
    let limits = Limits::default();
    let context = MergeContext { id_raw: b"\"r\"", imp_ids: &ids, cur, limits };
    let merged = merge(&context, &replies);
    let expected = expected(&Case { id_raw: "\"r\"", imps: &["1", "2"], cur, replies: &replies });
    let verdicts: Vec<Verdict> = merged.verdicts.iter().map(plain).collect();
    assert_eq!(verdicts, expected.verdicts, "{:?}", merged.verdicts);
    expected.holds(merged.body.as_deref());
    for (body, verdict) in replies.iter().zip(&merged.verdicts) {
        assert_eq!(glance(body, limits).is_none(), *verdict == ReplyVerdict::Invalid("json"));
        annex(body, limits);
    }
    if let Some(body) = merged.body {
        assert!(annex(&body, limits), "an answer of ours has no ext yet");
    }
}

fn plain(verdict: &ReplyVerdict) -> Verdict {
    match verdict {
        ReplyVerdict::Bid { bids, dropped, .. } => Verdict::Bid(*bids, *dropped),
        ReplyVerdict::NoBid { .. } => Verdict::NoBid,
        ReplyVerdict::Invalid(_) => Verdict::Invalid,
    }
}

/// Whether there was a place for a member in `ext`; taking it out again must give the body.
fn annex(body: &[u8], limits: Limits) -> bool {
    let Some(out) = with_ext_member(body, ("uid2gw", "{\"a\":[]}"), limits) else { return false };
    assert!(glance(&out, limits).is_some() || glance(body, limits).is_none());
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
