//! `/sandbox/received`: kept requests page by page, bodies exact, so that somebody else can compare them with what was
//! sent.
//!
//! `since=N` begins at that number (0 without it) and `n=N` bounds the page (100 without it, at most 1,000; and no page
//! grows much over 8 MiB). `traceparent=V` takes those with exactly this value, `one_in=N` one in so many, chosen by the
//! trace: the same at every endpoint.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde::Serialize;

use super::{Received, Ssp};

/// Requests on a page that does not say how many.
const USUAL: usize = 100;
/// Most requests on a page.
const MOST: usize = 1_000;
/// With the request that passes this many bytes of bodies, a page ends.
const MOST_BYTES: usize = 8 << 20;

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    /// Number of the oldest request that is still kept.
    pub(super) first: u64,
    /// `since` of the next page.
    pub(super) next: u64,
    /// The requests, oldest first.
    pub(super) received: Vec<Shown>,
}

/// One request.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    /// Its number, from 0.
    pub(super) number: u64,
    /// Path and query.
    pub(super) path: String,
    /// Names and values in their order; what is no UTF-8 in a value is replaced.
    pub(super) headers: Vec<(String, String)>,
    /// The body as it came, in base64.
    pub(super) body_base64: String,
}

/// The page that a query asks for; the error says what is wrong with it.
pub(super) fn page(ssp: &Ssp, query: &str) -> Result<Page, &'static str> {
    let (mut since, mut most, mut one_in, mut trace) = (0, USUAL, 1, None);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "since" => since = value.parse().map_err(|_| "since must be a whole number")?,
            "n" => most = value.parse().map_err(|_| "n must be a whole number")?,
            "one_in" => one_in = value.parse().map_err(|_| "one_in must be a whole number")?,
            "traceparent" => trace = Some(value),
            _ => return Err("since, n, one_in and traceparent are understood"),
        }
    }
    let wanted = |request: &Received| {
        (one_in < 2 || is_chosen(&request.headers, one_in))
            && trace.is_none_or(|trace| traceparent(&request.headers) == Some(trace))
    };
    let page = ssp.since(since, (most.min(MOST), MOST_BYTES), wanted);
    let received = page.received.into_iter().map(|(number, request)| shown(number, request)).collect();
    Ok(Page { first: page.first, next: page.next, received })
}

fn shown(number: u64, request: Received) -> Shown {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Shown {
        number,
        path: request.path,
        headers: request.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body_base64: STANDARD.encode(&request.body),
    }
}

fn traceparent(headers: &HeaderMap) -> Option<&str> {
    headers.get("traceparent")?.to_str().ok()
}

/// Whether the trace is one in so many; a request without one never is.
fn is_chosen(headers: &HeaderMap, one_in: u64) -> bool {
    let id = traceparent(headers).and_then(|trace| trace.split('-').nth(1));
    id.is_some_and(|id| u64::from(crc32fast::hash(id.as_bytes())) % one_in == 0)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::sandbox::ssp::Settings;

    fn ssp() -> std::sync::Arc<Ssp> {
        let ssp = Ssp::new(Settings::default());
        for number in 0..400 {
            let trace = format!("00-{number:032x}-{number:016x}-00");
            let headers = [(
                http::HeaderName::from_static("traceparent"),
                http::HeaderValue::from_str(&trace).unwrap(),
            )];
            let headers = HeaderMap::from_iter(headers);
            let body = Bytes::from(format!("\u{e9}{number}"));
            ssp.decide(Received { path: "/x".into(), headers, body: body.clone() }, Some(&body));
        }
        ssp.decide(
            Received { path: "/x".into(), headers: HeaderMap::new(), body: Bytes::new() },
            Some(b"untraced"),
        );
        ssp
    }

    fn numbers(query: &str) -> Vec<u64> {
        page(&ssp(), query).unwrap().received.iter().map(|r| r.number).collect()
    }

    #[test]
    fn a_query_takes_its_requests() {
        assert_eq!(numbers("").len(), USUAL);
        assert_eq!(numbers("n=2000").len(), 401);
        assert_eq!(numbers("since=1&n=1"), [1]);
        let trace = "traceparent=00-00000000000000000000000000000007-0000000000000007-00";
        assert_eq!(numbers(trace), [7]);
        let few = numbers("one_in=8&n=1000");
        assert!((25..75).contains(&few.len()), "{few:?}");
        assert!(few != (0..50).map(|n| 8 * n).collect::<Vec<_>>(), "not in step with a corpus");
        assert_eq!((few.last() < Some(&400), numbers("one_in=1&n=1000").len()), (true, 401));
        for query in ["since=x", "n=-1", "one_in=x", "m=1"] {
            assert!(page(&ssp(), query).is_err(), "{query}");
        }
    }

    #[test]
    fn pages_follow_each_other() {
        let first = page(&ssp(), "n=300").unwrap();
        assert_eq!((first.first, first.next, first.received.len()), (0, 300, 300));
        let second = page(&ssp(), "n=300&since=300").unwrap();
        assert_eq!((second.next, second.received.len()), (401, 101));
    }

    #[test]
    fn bodies_are_exact() {
        let page = page(&ssp(), "n=1").unwrap();
        assert_eq!(STANDARD.decode(&page.received[0].body_base64).unwrap(), "\u{e9}0".as_bytes());
        assert_eq!(page.received[0].headers[0].0, "traceparent");
    }
}
