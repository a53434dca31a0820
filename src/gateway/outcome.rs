//! What comes out of the data path: an answer for the caller, or the reason why nothing was forwarded.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::metrics::OutcomeLabel;
use crate::openrtb::ScanError;

/// The answer to a request that was forwarded.
#[derive(Debug)]
pub struct Outcome {
    /// Index of the publisher.
    pub publisher: usize,
    /// What the caller gets.
    pub answer: Answer,
    /// What the identity came to, for a caller who may see it: the value of `x-uid2gw-result`.
    pub result: Option<HeaderValue>,
    /// The cookie that the browser gets with it: the value of `Set-Cookie`.
    pub cookie: Option<HeaderValue>,
    /// Time spent waiting for others (identity, SSPs); the rest of the request was our own.
    pub waited: Duration,
}

/// What the caller gets.
#[derive(Debug)]
pub enum Answer {
    /// One routed SSP answered 2xx: status and body as they came.
    Passed {
        /// The SSP's status.
        status: u16,
        /// Its content headers.
        headers: HeaderMap,
        /// Its body, byte for byte (inflated for a caller who does not take gzip).
        body: Bytes,
        /// It holds at least one bid.
        bid: bool,
    },
    /// A response of our own: bids of several SSPs, or none with the reasons, for a caller who may see them.
    Written {
        /// Its content headers.
        headers: HeaderMap,
        /// The response.
        body: Bytes,
        /// It holds at least one bid.
        bid: bool,
    },
    /// A valid request without a bid.
    NoBid,
}

impl Outcome {
    /// The label under which the request is counted.
    pub fn label(&self) -> OutcomeLabel {
        match &self.answer {
            Answer::Passed { bid: true, .. } | Answer::Written { bid: true, .. } => OutcomeLabel::Bid,
            Answer::Passed { .. } | Answer::Written { .. } | Answer::NoBid => OutcomeLabel::NoBid,
        }
    }
}

/// A request that was refused before anything was forwarded.
#[derive(Debug)]
pub struct Reject {
    /// Index of the publisher, when it was known by then.
    pub publisher: Option<usize>,
    /// Why.
    pub kind: RejectKind,
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum RejectKind {
    /// The body is not a bid request we can read.
    #[error("{0}")]
    BadRequest(#[from] ScanError),
    /// The body is compressed and does not inflate.
    #[error("body is not valid gzip, or of too many members")]
    BadGzip,
    /// A credential was presented and is not known.
    #[error("the API key is not known")]
    UnknownKey,
    /// A client certificate was presented and belongs to no publisher.
    #[error("the client certificate is not known")]
    UnknownCertificate,
    /// No credential, and this listener requires one.
    #[error("an API key is required")]
    KeyRequired,
    /// No credential and no `match` rule fits.
    #[error("no publisher is configured for this request")]
    NoPublisher,
    /// An e-mail address, a phone number, a hash of one or an ID token over plain HTTP from a stranger.
    #[error("e-mail addresses, phone numbers and ID tokens need TLS, a trusted proxy or loopback")]
    TlsRequired,
    /// The media type is neither JSON nor text.
    #[error("content type must be application/json")]
    MediaType,
    /// A content coding other than gzip.
    #[error("content encoding must be gzip or absent")]
    ContentCoding,
    /// More bytes than `server.max_body_bytes`, or `max_inflated_bytes` after inflation.
    #[error("body is larger than {limit} bytes ({what})")]
    TooLarge {
        /// The limit in force.
        limit: usize,
        /// Which one: `compressed` or `inflated`.
        what: &'static str,
    },
    /// The body did not arrive in time.
    #[error("body did not arrive within {0} ms")]
    BodyTimeout(u64),
    /// The caller went away in the middle of the body.
    #[error("body ended early")]
    BodyBroken,
    /// An e-mail address, a phone number or a hash of one under `user`, where the publisher wants none.
    #[error("{member} holds an e-mail address, a phone number or a hash of one, at byte {offset}")]
    Dii {
        /// The member of `user`.
        member: &'static str,
        /// Byte offset into the body.
        offset: usize,
    },
    /// More requests of the publisher than `rate_per_s` and `rate_burst` allow.
    #[error("this publisher sends more requests than it may")]
    RateLimited {
        /// Seconds until one more is taken.
        retry_after_s: u64,
    },
    /// Too many requests at once.
    #[error("too many requests in flight")]
    Overload,
}

impl Reject {
    /// A refusal before the publisher is known.
    pub fn early(kind: RejectKind) -> Self {
        Self { publisher: None, kind }
    }

    /// The label under which the request is counted.
    pub fn label(&self) -> OutcomeLabel {
        match self.kind {
            RejectKind::BadRequest(_) | RejectKind::BadGzip | RejectKind::Dii { .. } => {
                OutcomeLabel::BadRequest
            }
            RejectKind::UnknownKey | RejectKind::UnknownCertificate | RejectKind::KeyRequired => {
                OutcomeLabel::Unauthorized
            }
            RejectKind::TlsRequired => OutcomeLabel::Forbidden,
            RejectKind::NoPublisher => OutcomeLabel::NotFound,
            RejectKind::MediaType | RejectKind::ContentCoding => OutcomeLabel::Unsupported,
            RejectKind::TooLarge { .. } => OutcomeLabel::TooLarge,
            RejectKind::BodyTimeout(_) => OutcomeLabel::Timeout,
            RejectKind::BodyBroken => OutcomeLabel::Cancelled,
            RejectKind::RateLimited { .. } => OutcomeLabel::RateLimited,
            RejectKind::Overload => OutcomeLabel::Shed,
        }
    }
}
