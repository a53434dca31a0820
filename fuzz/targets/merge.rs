//! Invariant: merging whatever SSPs answer never panics; a merged body is JSON with the request's id, and every reply
//! has a verdict.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use uid2_gateway::openrtb::response::{MergeContext, ReplyVerdict, has_bids, merge};

fuzz_target!(|data: &[u8]| {
    // Two replies, parted by the first zero byte.
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let replies = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()];
    let ids = [Cow::Borrowed("1"), Cow::Borrowed("2")];
    let context = MergeContext { id_raw: b"\"r\"", imp_ids: &ids, cur: None };
    let merged = merge(&context, &replies);
    assert_eq!(merged.verdicts.len(), replies.len());
    for (body, verdict) in replies.iter().zip(&merged.verdicts) {
        assert_eq!(has_bids(body).is_none(), *verdict == ReplyVerdict::Invalid("json"));
        assert_eq!(has_bids(body) == Some(false), *verdict == ReplyVerdict::NoBid);
    }
    if let Some(body) = merged.body {
        match serde_json::from_slice::<Value>(&body) {
            Ok(tree) => assert_eq!(tree["id"], "r"),
            // Numbers beyond f64 are legal JSON and beyond this reader.
            Err(fault) => assert!(fault.to_string().contains("number out of range"), "{fault}"),
        }
    }
});
