//! Invariant: reading a bid request never panics, and what is accepted is JSON for an independent reader, too.
#![cfg_attr(not(test), no_main)]

use bytes::Bytes;
use serde_json::value::RawValue;
use uid2_gateway::openrtb::{BidRequest, Limits};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    if let Ok(request) = BidRequest::parse(Bytes::copy_from_slice(data), &Limits::default()) {
        assert!(serde_json::from_slice::<&RawValue>(data).is_ok(), "accepted what is no JSON");
        // Everything that is decoded late must hold up, too.
        let texts = [request.publisher_id(), request.site_domain(), request.app_bundle(), request.user_id()];
        let lists = [request.consents(), request.us_privacies(), request.gpps(), request.countries()];
        let read = texts.iter().flatten().count()
            + lists.iter().flatten().flatten().count()
            + request.imp_ids().len();
        assert!(read < usize::MAX && !request.id().is_empty());
    }
}
