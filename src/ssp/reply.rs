//! What an SSP said, or why it said nothing.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Response, StatusCode};

use crate::net::TransportError;
use crate::net::gzip::{self, InflateError};
use crate::net::pool::PoolError;

/// How asking one SSP ended: the label of `ssp_requests_total`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SspOutcome {
    /// At least one bid. From the client only: a 2xx with a body, not looked into.
    Bid,
    /// 204, or a 2xx without a body.
    NoBid,
    /// No complete answer by the deadline.
    Timeout,
    /// No connection.
    Connect,
    /// Status 400 to 499.
    Http4xx,
    /// Status 500 to 599.
    Http5xx,
    /// A reset, bytes that are not HTTP, a status that has no place here: 1xx, 3xx (a bid request is not sent
    /// elsewhere because somebody says so), 600 and up; or a content coding other than gzip, or gzip that is none.
    Invalid,
    /// A body over the limit, as it came or inflated.
    TooLarge,
    /// Not asked: its circuit breaker is open.
    Open,
    /// Not asked: too much in flight, or no connection free by the deadline.
    Limit,
}

impl SspOutcome {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 10] = [
        Self::Bid,
        Self::NoBid,
        Self::Timeout,
        Self::Connect,
        Self::Http4xx,
        Self::Http5xx,
        Self::Invalid,
        Self::TooLarge,
        Self::Open,
        Self::Limit,
    ];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bid => "bid",
            Self::NoBid => "nobid",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Open => "open",
            Self::Limit => "limit",
        }
    }

    /// Whether the SSP was asked at all.
    pub const fn was_asked(self) -> bool {
        !matches!(self, Self::Open | Self::Limit)
    }

    fn of_answer(status: StatusCode, empty: bool) -> Self {
        match status.as_u16() {
            204 => Self::NoBid,
            200..=299 if empty => Self::NoBid,
            200..=299 => Self::Bid,
            400..=499 => Self::Http4xx,
            500..=599 => Self::Http5xx,
            _ => Self::Invalid,
        }
    }

    fn of_failure(error: &PoolError) -> Self {
        match error {
            PoolError::Limit => Self::Limit,
            PoolError::Failed(TransportError::Connect(_)) => Self::Connect,
            PoolError::Failed(TransportError::Timeout) => Self::Timeout,
            PoolError::Failed(TransportError::TooLarge) => Self::TooLarge,
            PoolError::Failed(TransportError::Broken(_)) => Self::Invalid,
        }
    }
}

/// The whole answer of one SSP.
#[derive(Clone, Debug)]
pub struct SspReply {
    /// How it ended, as far as can be told without looking into the body.
    pub outcome: SspOutcome,
    /// The HTTP status; 0 without an answer.
    pub status: u16,
    /// `content-type` and `x-openrtb-version` of the answer, nothing else.
    pub headers: HeaderMap,
    /// The body, inflated if it came as gzip; empty without an answer.
    pub body: Bytes,
    /// The body as it came, if that was gzip.
    pub packed: Option<Bytes>,
    /// From being asked to the last byte.
    pub elapsed: Duration,
}

const KEPT_HEADERS: [HeaderName; 2] = [CONTENT_TYPE, HeaderName::from_static("x-openrtb-version")];

impl SspReply {
    /// A reply that holds nothing but how it ended.
    pub fn without_answer(outcome: SspOutcome, elapsed: Duration) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { outcome, status: 0, headers, body, packed: None, elapsed }
    }

    /// Whether it is a 2xx answer that can be used as it is.
    pub fn passes(&self) -> bool {
        matches!(self.outcome, SspOutcome::Bid | SspOutcome::NoBid) && self.status != 0
    }

    /// `limit`: the longest body there may be, which counts once more when it is inflated.
    pub(super) fn of(exchanged: Result<Response<Bytes>, PoolError>, elapsed: Duration, limit: usize) -> Self {
        match exchanged {
            Ok(answer) => Self::of_answer(answer, elapsed, limit),
            Err(error) => Self::without_answer(SspOutcome::of_failure(&error), elapsed),
        }
    }

    fn of_answer(answer: Response<Bytes>, elapsed: Duration, limit: usize) -> Self {
        let (mut head, body) = answer.into_parts();
        let mut outcome = SspOutcome::of_answer(head.status, body.is_empty());
        let (mut body, mut packed) = (body, None);
        if outcome == SspOutcome::Bid {
            match plain(&head.headers, &body, limit) {
                Ok(None) => {}
                Ok(Some(inflated)) => packed = Some(std::mem::replace(&mut body, inflated)),
                Err(fault) => (outcome, body) = (fault, Bytes::new()),
            }
        }
        let mut headers = HeaderMap::with_capacity(KEPT_HEADERS.len());
        for name in KEPT_HEADERS {
            if let Some(value) = head.headers.remove(&name) {
                headers.insert(name, value);
            }
        }
        Self { outcome, status: head.status.as_u16(), headers, body, packed, elapsed }
    }
}

/// The body inflated, if it came as gzip; the outcome if it cannot be understood.
fn plain(headers: &HeaderMap, body: &Bytes, limit: usize) -> Result<Option<Bytes>, SspOutcome> {
    if !is_gzip(headers).ok_or(SspOutcome::Invalid)? {
        return Ok(None);
    }
    gzip::inflate(body, limit).map(Some).map_err(|fault| match fault {
        InflateError::Broken => SspOutcome::Invalid,
        InflateError::TooLarge => SspOutcome::TooLarge,
    })
}

/// Whether gzip was applied, and nothing else; `None` for any other coding (RFC 9110 §8.4).
fn is_gzip(headers: &HeaderMap) -> Option<bool> {
    let mut gzip = false;
    for value in headers.get_all(CONTENT_ENCODING) {
        for coding in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
                if std::mem::replace(&mut gzip, true) {
                    return None; // twice
                }
            } else if !(coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")) {
                return None;
            }
        }
    }
    Some(gzip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct_and_in_order() {
        for (at, outcome) in SspOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
            assert_eq!(SspOutcome::ALL.iter().filter(|o| o.as_str() == outcome.as_str()).count(), 1);
        }
    }

    #[test]
    fn statuses_at_the_edges() {
        for (status, empty, expected) in [
            (199, false, SspOutcome::Invalid),
            (200, false, SspOutcome::Bid),
            (200, true, SspOutcome::NoBid),
            (204, false, SspOutcome::NoBid),
            (299, false, SspOutcome::Bid),
            (300, false, SspOutcome::Invalid),
            (399, true, SspOutcome::Invalid),
            (400, false, SspOutcome::Http4xx),
            (499, true, SspOutcome::Http4xx),
            (500, false, SspOutcome::Http5xx),
            (599, false, SspOutcome::Http5xx),
            (600, false, SspOutcome::Invalid),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(SspOutcome::of_answer(status, empty), expected, "{status} empty: {empty}");
        }
    }

    #[test]
    fn every_failure_has_its_outcome() {
        for (failure, expected) in [
            (PoolError::Limit, SspOutcome::Limit),
            (TransportError::Connect(String::new()).into(), SspOutcome::Connect),
            (TransportError::Timeout.into(), SspOutcome::Timeout),
            (TransportError::TooLarge.into(), SspOutcome::TooLarge),
            (TransportError::Broken(String::new()).into(), SspOutcome::Invalid),
        ] {
            let reply = SspReply::of(Err(failure), Duration::from_millis(7), 10);
            assert_eq!((reply.outcome, reply.status, reply.elapsed.as_millis()), (expected, 0, 7));
        }
    }

    #[test]
    fn gzip_of_more_members_than_allowed_is_invalid() {
        let member = gzip::Deflater::default().deflate(b" ").unwrap();
        for (members, expected) in
            [(gzip::MAX_MEMBERS, SspOutcome::Bid), (gzip::MAX_MEMBERS + 1, SspOutcome::Invalid)]
        {
            let answer = Response::builder().header(CONTENT_ENCODING, "gzip");
            let answer = answer.body(member.repeat(members).into()).unwrap();
            assert_eq!(SspReply::of(Ok(answer), Duration::ZERO, 1_000).outcome, expected, "{members}");
        }
    }

    #[test]
    fn codings_are_read_from_every_header_line() {
        for (values, expected) in [
            (&[][..], Some(false)),
            (&["identity"], Some(false)),
            (&[""], Some(false)),
            (&["gzip"], Some(true)),
            (&["GZip"], Some(true)),
            (&["x-gzip"], Some(true)),
            (&["identity, gzip"], Some(true)),
            (&["gzip", "identity"], Some(true)),
            (&["gzip, gzip"], None),
            (&["gzip", "gzip"], None),
            (&["br"], None),
            (&["gzip, zstd"], None),
            (&["identity", "deflate"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(is_gzip(&headers), expected, "{values:?}");
        }
    }
}
