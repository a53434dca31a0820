//! The corpus of realistic requests: every one is read, and leaves untouched unless something is to be edited.

use std::fs;

use bytes::Bytes;

use super::{BidRequest, Dialect, Edit, Limits, NewEid, Strip, plan};

pub(super) fn corpus() -> Vec<(String, Bytes)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/openrtb");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut corpus: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap().into())
        })
        .collect();
    corpus.sort();
    corpus
}

const DIALECTS: [Dialect; 4] = [Dialect::V25, Dialect::V26, Dialect::Both, Dialect::AsReceived];

#[test]
fn every_request_is_read_and_a_plan_without_changes_gives_its_very_bytes() {
    let corpus = corpus();
    assert!(corpus.len() >= 24, "{}", corpus.len());
    for (name, body) in corpus {
        let request =
            BidRequest::parse(body.clone(), &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(request.wrong_type(), None, "{name}");
        assert!(!request.signals().malformed, "{name}");
        assert!(!request.imp_ids().is_empty(), "{name}");
        for dialect in DIALECTS {
            let plan = plan(
                &request,
                &Edit { dialect, strip: Strip::Nothing, add: None, remove_user_id: false, fill_gpc: false },
            );
            assert!(plan.is_noop(), "{name}");
            let segments = plan.segments(&request, None);
            assert_eq!(segments.as_slice(), std::slice::from_ref(&body), "{name}");
            assert_eq!(segments[0].as_ptr(), body.as_ptr(), "{name}: shared, not copied");
        }
    }
}

#[test]
fn an_identifier_can_be_added_to_every_request() {
    for (name, body) in corpus() {
        let request = BidRequest::parse(body, &Limits::default()).unwrap();
        for dialect in DIALECTS {
            let add = NewEid {
                source: "new.example",
                id: "TOKEN",
                inserter: None,
                rti_partner: None,
                replace: false,
            };
            let edit = Edit {
                dialect,
                strip: Strip::Nothing,
                add: Some(add),
                remove_user_id: false,
                fill_gpc: false,
            };
            let out = plan(&request, &edit).segments(&request, Some(7)).concat();
            let out =
                BidRequest::parse(out.into(), &Limits::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(out.eids().has_source("new.example"), "{name} {dialect:?}");
            assert_eq!(out.tmax(), request.tmax().map(|_| 7), "{name}");
        }
    }
}
