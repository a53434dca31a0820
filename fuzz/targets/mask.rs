//! Invariant: masking never panics; what it makes of a request is a request again, as long, on one line, the same each
//! time; an id of the user's that can be told apart stands nowhere in it; and a secret that was planted in any of the
//! listed places, beside whatever the input is, stands nowhere in it either, in no form that ids are looked for in.
#![cfg_attr(not(test), no_main)]

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::value::RawValue;
use uid2_gateway::openrtb::mask::Mask;
use uid2_gateway::openrtb::{BidRequest, Limits};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    plant(data);
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
        is_gone(&masked, &id);
    }
}

/// Where a secret may stand, which is `SECRET`.
const PLACES: [&str; 18] = [
    r#""user":{"id":"SECRET"}"#,
    r#""user":{"ext":{"v":["SECRET"]}}"#,
    r#""user":{"ext":{"SECRET":{}}}"#,
    r#""user":{"ext":{"userIds":{"SECRET":1}}}"#,
    r#""user":{"ext":{"data":{"name":"SECRET"}}}"#,
    r#""user":{"ext":{"source":{"x":"SECRET"}}}"#,
    r#""user":{"data":[{"name":"SECRET","segment":[{"id":"1"}]}]}"#,
    r#""user":{"data":[{"segment":[{"name":"SECRET","value":"x"}]}]}"#,
    r#""user":{"data":[{"segment":[{"name":"n","value":"SECRET"}]}]}"#,
    r#""user":{"keywords":"cars,crm=SECRET"}"#,
    r#""user":{"keywords":"a\/b,crm:SECRET,c"}"#,
    r#""user":{"kwarray":["crm=SECRET"]}"#,
    r#""device":{"ifa":"SECRET"}"#,
    r#""device":{"SECRET":0}"#,
    r#""device":{"ext":{"vendor":{"SECRET":["SECRET"]}}}"#,
    r#""source":{"ext":{"schain":{"nodes":[{"rid":"SECRET"}]}}}"#,
    r#""regs":{"ext":{"client_id":"SECRET"}}"#,
    r#""regs":{"ext":{"uids":{"SECRET":"x"}}}"#,
];

/// A secret in each place in turn, in one of its forms, and in another form where nobody looks for it; beside the input.
fn plant(data: &[u8]) {
    let rest = serde_json::from_slice::<&RawValue>(data).map_or("0", RawValue::get);
    let chance = mixed(data);
    let secret = format!("Secret7-{:016x}", u64::from_le_bytes(std::array::from_fn(|at| chance[at])));
    for (at, place) in PLACES.iter().enumerate() {
        let draw = |from: &[String; 7], nth: usize| from[usize::from(chance[8 + at]) / nth % 7].clone();
        let written = draw(&forms(&secret), 1);
        let echoed = draw(&forms(&written), 7);
        let place = place.replace("SECRET", &written);
        let body = format!(r#"{{"id":"r","imp":[{{"id":"1"}}],{place},"x":{rest},"y":"/a {echoed}?"}}"#);
        let Ok(masked) = Mask::new(&mixed, Limits::default()).request(&Bytes::from(body), &[]) else {
            continue;
        };
        is_gone(&masked, &written);
    }
}

fn is_gone(masked: &[u8], id: &str) {
    for form in forms(id) {
        assert!(!masked.windows(form.len()).any(|part| part == form.as_bytes()), "{form:?} survives");
    }
}

/// How an id may be written, as far as ids are looked for.
fn forms(id: &str) -> [String; 7] {
    let hex = id.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all");
        hex
    });
    [
        id.to_owned(),
        id.to_ascii_lowercase(),
        id.to_ascii_uppercase(),
        hex.to_ascii_uppercase(),
        hex,
        STANDARD_NO_PAD.encode(id),
        URL_SAFE_NO_PAD.encode(id),
    ]
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
