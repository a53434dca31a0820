//! Invariant: reading a bid request never panics. What is accepted is JSON for an independent reader, too; what is
//! refused for its grammar is none for that reader either; and whatever is said to stand somewhere stands there as a
//! whole value.
//!
//! Only the grammar is compared. Rules of ours that JSON does not have: depth and length, members that stand twice, imp
//! ids that repeat, more than one of site, app and dooh, and what has to be there with which type.
#![cfg_attr(not(test), no_main)]

use bytes::Bytes;
use serde_json::value::RawValue;
use uid2_gateway::openrtb::{BidRequest, Limits, Place, ScanReason, Text};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    match BidRequest::parse(Bytes::copy_from_slice(data), &Limits::default()) {
        Ok(request) => {
            assert!(is_json(data), "accepted what is no JSON");
            spans(&request);
            decoded(&request);
        }
        Err(error) => {
            assert!(error.offset <= data.len());
            if of_grammar(error.reason) {
                assert!(!is_json(data), "refused JSON: {error}");
            }
        }
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

fn of_grammar(reason: ScanReason) -> bool {
    use ScanReason::{ControlCharacter, Escape, Number, TrailingData, UnexpectedByte, UnexpectedEnd, Utf8};
    matches!(
        reason,
        UnexpectedEnd | UnexpectedByte | Utf8 | Number | Escape | ControlCharacter | TrailingData
    )
}

/// Every span is one whole value, without the white space around it.
fn spans(request: &BidRequest) {
    let body = request.body();
    let value = |bytes: &[u8]| {
        assert!(is_json(bytes), "no value: {}", bytes.escape_ascii());
        assert!(!bytes[0].is_ascii_whitespace() && !bytes[bytes.len() - 1].is_ascii_whitespace());
    };
    let string = |bytes: &[u8]| {
        value(bytes);
        assert_eq!(bytes[0], b'"');
    };
    string(request.id_raw());
    let eids = request.eids();
    for eid in Place::ALL.into_iter().flat_map(|place| eids.of(place)) {
        assert!(eid.span().range().end <= body.len());
        value(eid.raw());
    }
    let signals = request.signals();
    let texts = [signals.consent, signals.us_privacy, signals.gpp, signals.countries];
    texts.into_iter().flatten().flatten().for_each(|text: Text| string(text.quoted(body)));
}

/// Everything that is decoded late must hold up, too.
fn decoded(request: &BidRequest) {
    let texts = [request.publisher_id(), request.site_domain(), request.app_bundle(), request.user_id()];
    let lists = [request.consents(), request.us_privacies(), request.gpps(), request.countries()];
    let read = texts.iter().flatten().count() + lists.iter().flatten().flatten().count();
    assert!(read < usize::MAX && !request.id().is_empty());
    let mut ids = request.imp_ids();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "an imp id repeats");
}
