//! gzip: of bid requests to SSPs that want it, of answers to callers who take it.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};

use super::Leg;
use super::answer::Draft;
use super::inject::Outgoing;
use super::outcome::Answer;
use crate::net::body::Segments;
use crate::net::gzip::Deflater;

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const BY_CODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Packs the bodies of SSPs that want gzip. SSPs that get the same bytes share the work.
pub(super) fn pack(legs: &[Leg], outgoing: &mut Outgoing, deflater: &Deflater) {
    let mut done: Vec<(Bytes, Bytes)> = Vec::new();
    for leg in &mut outgoing.legs {
        let wants = legs.get(leg.ssp).is_some_and(|target| target.settings.gzip);
        let Some(call) = leg.call.as_mut().filter(|_| wants) else { continue };
        call.headers.insert(ACCEPT_ENCODING, GZIP);
        let plain = call.body.to_bytes();
        let known = done.iter().find(|(body, _)| *body == plain).map(|(_, packed)| packed.clone());
        let Some(packed) = known.or_else(|| deflater.deflate(&plain)) else { continue };
        call.headers.insert(CONTENT_ENCODING, GZIP);
        call.body = Segments::from(packed.clone());
        done.push((plain, packed));
    }
}

/// How a caller gets an answer.
pub(super) struct Terms<'a> {
    /// The caller's headers.
    pub inbound: &'a HeaderMap,
    /// Length from which our own answers are packed, 0 = never.
    pub min_bytes: usize,
    pub deflater: &'a Deflater,
}

/// Gives an answer its coding. What an SSP packed passes as it came to a caller who takes it; what it did not pack is not
/// packed here, either.
pub(super) fn coded(draft: Draft, terms: &Terms<'_>) -> Answer {
    match draft {
        Draft::NoBid => Answer::NoBid,
        Draft::Passed { status, mut headers, mut body, packed, bid } => {
            if let Some(packed) = packed {
                headers.insert(VARY, BY_CODING);
                if accepts_gzip(terms.inbound) {
                    headers.insert(CONTENT_ENCODING, GZIP);
                    body = packed;
                }
            }
            Answer::Passed { status, headers, body, bid }
        }
        Draft::Written { mut body, bid } => {
            let mut headers = HeaderMap::with_capacity(6);
            headers.insert(CONTENT_TYPE, JSON);
            if terms.min_bytes > 0 && body.len() >= terms.min_bytes {
                headers.insert(VARY, BY_CODING);
                let wanted = accepts_gzip(terms.inbound);
                if let Some(packed) = wanted.then(|| terms.deflater.deflate(&body)).flatten() {
                    headers.insert(CONTENT_ENCODING, GZIP);
                    body = packed;
                }
            }
            Answer::Written { headers, body, bid }
        }
    }
}

/// Whether `Accept-Encoding` takes gzip (RFC 9110 §12.5.3): named, or covered by `*`, and not with weight 0. Without the
/// header nothing is assumed.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut named, mut any) = (None, None);
    for item in headers.get_all(ACCEPT_ENCODING).iter().flat_map(items) {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let weighs = parts.all(|parameter| !is_zero_weight(parameter));
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            named = Some(named.unwrap_or(false) || weighs);
        } else if coding == "*" {
            any = Some(weighs);
        }
    }
    named.or(any).unwrap_or(false)
}

fn items(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim)
}

/// `q=0`, `q=0.000`. What is no number is no weight.
fn is_zero_weight(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim();
    name.trim().eq_ignore_ascii_case("q")
        && value.starts_with('0')
        && value.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn accept_encoding_is_read_as_written() {
        for (values, expected) in [
            (&[][..], false),
            (&[""], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["deflate, gzip;q=0.5, br"], true),
            (&["deflate", "gzip"], true),
            (&["gzip;q=0"], false),
            (&["gzip ; Q = 0.000"], false),
            (&["gzip;q=0.001"], true),
            (&["gzip;q=1.000"], true),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["*, gzip;q=0"], false),
            (&["*;q=0, gzip"], true),
            (&["identity"], false),
            (&["gzipped, notgzip, br"], false),
            (&["gzip;q=x"], true),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(accepts_gzip(&headers), expected, "{values:?}");
        }
    }

    fn check(min_bytes: usize, length: usize, accept: &'static str) -> (bool, bool) {
        let mut inbound = HeaderMap::new();
        inbound.insert(ACCEPT_ENCODING, HeaderValue::from_static(accept));
        let plain = Bytes::from(vec![b' '; length]);
        let terms = Terms { inbound: &inbound, min_bytes, deflater: &Deflater::default() };
        let Answer::Written { headers, body, .. } =
            coded(Draft::Written { body: plain.clone(), bid: true }, &terms)
        else {
            panic!("written stays written")
        };
        let has = |name: HeaderName| headers.contains_key(name);
        assert_eq!(has(CONTENT_ENCODING), body != plain);
        assert!(body == plain || crate::net::gzip::inflate(&body, length).unwrap() == plain);
        (has(CONTENT_ENCODING), has(VARY))
    }

    #[test]
    fn answers_of_our_own_are_packed_from_the_limit_on() {
        assert_eq!(check(1024, 1023, "gzip"), (false, false));
        assert_eq!(check(1024, 1024, "gzip"), (true, true));
        assert_eq!(check(1024, 1024, "br"), (false, true));
        assert_eq!(check(0, 100_000, "gzip"), (false, false));
        assert_eq!(check(1, 1, "gzip"), (true, true));
    }
}
