//! Invariant: opening and reading whatever an operator or caller sends never panics; what was sealed opens to what went
//! in, byte for byte the same when it is sealed again; and a sealed text with one bit changed never opens.
#![cfg_attr(not(test), no_main)]

use uid2_gateway::time::UnixMillis;
use uid2_gateway::uid2::envelope::{
    open_bare, open_request, open_response, seal_bare, seal_request, seal_response,
};
use uid2_gateway::uid2::wire::{identity_body, parse_answer, parse_fault};
use uid2_gateway::uid2::{Answer, EnvelopeKey, Freshness};

/// The client secret of `fixtures/uid2/envelope.json`, so that its envelopes open.
const SECRET: &str = "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=";

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let key = EnvelopeKey::from_base64(SECRET).expect("the key of the fixtures");
    stranger(&key, data);
    answer(data);
    let (fresh, json) = parts(data);
    let request = seal_request(&key, &fresh, json);
    let opened = open_request(&key, &request).expect("what was sealed opens");
    assert_eq!((opened.at, opened.nonce, opened.json.as_slice()), (fresh.at, fresh.nonce, json));
    every_bit(&request, |wire| open_request(&key, wire).is_ok());
    let response = seal_response(&key, &fresh, json);
    let opened = open_response(&key, &response, fresh.nonce).expect("what was sealed opens");
    assert_eq!((opened.at, opened.json.as_slice()), (fresh.at, json));
    every_bit(&response, |wire| open_response(&key, wire, fresh.nonce).is_ok());
    let bare = seal_bare(&key, fresh.iv, json);
    assert_eq!(open_bare(&key, &bare).as_deref(), Ok(json));
    every_bit(&bare, |wire| open_bare(&key, wire).is_ok());
}

/// Bytes as they come: what opens is what its parts give when they are sealed.
fn stranger(key: &EnvelopeKey, data: &[u8]) {
    if let Ok(opened) = open_request(key, data) {
        let iv = data[1..13].try_into().expect("an envelope has an iv");
        let fresh = Freshness { at: opened.at, iv, nonce: opened.nonce };
        assert_eq!(seal_request(key, &fresh, &opened.json), data);
        answer(&opened.json);
    }
    // The nonce of the fixtures, which a response has to repeat.
    if let Ok(opened) = open_response(key, data, [1, 2, 3, 4, 5, 6, 7, 8]) {
        let iv = data[..12].try_into().expect("an envelope has an iv");
        let fresh = Freshness { at: opened.at, iv, nonce: opened.nonce };
        assert_eq!(seal_response(key, &fresh, &opened.json), data);
        answer(&opened.json);
    }
    if let Ok(plain) = open_bare(key, data) {
        assert_eq!(seal_bare(key, data[..12].try_into().expect("an envelope has an iv"), &plain), data);
    }
}

/// The JSON of an answer, or what should be one: an identity that is read reads back from what we hand on.
fn answer(json: &[u8]) {
    let fault = parse_fault(json);
    assert!(!fault.status.is_empty() && fault.message.chars().count() <= 256);
    if let Ok(Answer::Success(identity)) = parse_answer(json) {
        let again = serde_json::json!({"status": "success", "body": identity_body(&identity)});
        assert_eq!(parse_answer(again.to_string().as_bytes()), Ok(Answer::Success(identity)));
    }
}

/// Time, iv and nonce from the first bytes (zeros where there are none), the payload from the rest.
fn parts(data: &[u8]) -> (Freshness, &[u8]) {
    let mut head = [0; 28];
    let (given, json) = data.split_at(data.len().min(28));
    head[..given.len()].copy_from_slice(given);
    let (at, rest) = head.split_first_chunk::<8>().expect("28 bytes");
    let (iv, rest) = rest.split_first_chunk::<12>().expect("20 bytes");
    let (nonce, _) = rest.split_first_chunk::<8>().expect("8 bytes");
    (Freshness { at: UnixMillis(i64::from_be_bytes(*at)), iv: *iv, nonce: *nonce }, json)
}

/// Changes one bit after the other; of a long text, as many spread over it.
fn every_bit(sealed: &[u8], opens: impl Fn(&[u8]) -> bool) {
    let bits = sealed.len() * 8;
    let mut wire = sealed.to_vec();
    for bit in (0..bits).step_by(bits / 512 + 1) {
        wire[bit / 8] ^= 1 << (bit % 8);
        assert!(!opens(&wire), "bit {bit} may change");
        wire[bit / 8] ^= 1 << (bit % 8);
    }
}
