//! Invariant: masking never panics; what it makes of a request is a request again, as long, on one line, the same each
//! time; and an id of the user's that can be told apart stands nowhere in it, in no form.
#![cfg_attr(not(test), no_main)]

use std::fmt::Write as _;

use bytes::Bytes;
use uid2_gateway::openrtb::mask::Mask;
use uid2_gateway::openrtb::{BidRequest, Limits};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let limits = Limits::default();
    let body = Bytes::copy_from_slice(data);
    let Ok(request) = BidRequest::parse(body.clone(), &limits) else { return };
    let mask = Mask::new(&mixed, limits);
    let Ok(masked) = mask.request(&body, &[]) else { return };
    assert_eq!(masked.len(), body.len(), "another length");
    assert!(!masked.contains(&b'\n') && !masked.contains(&b'\r'), "more than one line");
    assert_eq!(mask.request(&body, &[]).expect("as before"), masked, "another mask under the same key");
    let parsed = BidRequest::parse(masked.clone(), &limits).expect("a request again");
    assert_eq!(parsed.tmax(), request.tmax());
    let ids = [request.user_id(), request.publisher_user_id()];
    for id in ids.into_iter().flatten().filter(|id| tells(&request, id)) {
        let hex = id.bytes().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes all");
            hex
        });
        for form in [id.as_ref(), &hex, &hex.to_ascii_uppercase()] {
            assert!(!masked.windows(form.len()).any(|part| part == form.as_bytes()), "{form:?} survives");
        }
    }
}

/// Long enough to be no part of something else, and not what the publisher is found by.
fn tells(request: &BidRequest, id: &str) -> bool {
    let digits = id.bytes().filter(|byte| (b'1'..=b'9').contains(byte)).count();
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let known = [request.publisher_id(), request.site_domain(), request.app_bundle()];
    plain && digits >= 6 && id.len() >= 12 && !known.iter().flatten().any(|known| known.contains(id))
}

/// A stand-in for a keyed function.
fn mixed(text: &[u8]) -> [u8; 32] {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut step = |byte: u8| {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        state
    };
    for byte in text {
        step(*byte);
    }
    std::array::from_fn(|_| step(0x5a).to_le_bytes()[5])
}
