//! What can go wrong with an operator, and whose fault it is (uid2-protocol §3.7).

use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};

use super::metrics::Op;
use crate::net::TransportError;
use crate::uid2::wire;

/// An operator that asks for more is asked again all the same: tokens would lapse.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// The class of a fault; it decides what the caller does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The operator refuses the identifier: mark it, do not ask again.
    InvalidDii,
    /// The operator refuses the refresh token: use the advertising token to its end, then a new login is needed.
    RefreshRejected,
    /// The API key is unknown, disabled or lacks the role.
    Unauthorized,
    /// Secret, URL or request shape is wrong: the operator will refuse every call alike.
    Misconfigured,
    /// Our clock and the operator's differ too much.
    Clock,
    /// The operator, or our own limit, says: slower.
    Throttled,
    /// No answer in time.
    Timeout,
    /// No connection, no TLS, or one that broke.
    Connect,
    /// HTTP 5xx.
    Server,
    /// An answer that does not open, does not parse, belongs to another request, or is dead on arrival.
    Garbage,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 10] = [
        Self::InvalidDii,
        Self::RefreshRejected,
        Self::Unauthorized,
        Self::Misconfigured,
        Self::Clock,
        Self::Throttled,
        Self::Timeout,
        Self::Connect,
        Self::Server,
        Self::Garbage,
    ];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidDii => "invalid_dii",
            Self::RefreshRejected => "refresh_rejected",
            Self::Unauthorized => "unauthorized",
            Self::Misconfigured => "misconfigured",
            Self::Clock => "clock",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Server => "server",
            Self::Garbage => "garbage",
        }
    }

    /// The operator has spoken about this identifier or refresh token; asking again cannot help.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::InvalidDii | Self::RefreshRejected)
    }

    /// Nobody's token can be had until someone mends key, secret, URL or clock: raise an alarm, keep what is cached.
    pub const fn is_configuration(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Misconfigured | Self::Clock)
    }

    /// A later try may work.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Timeout | Self::Connect | Self::Server | Self::Garbage)
    }

    /// The base URL itself is in trouble; another one may not be.
    pub(super) const fn moves_on(self) -> bool {
        matches!(self, Self::Timeout | Self::Connect | Self::Server)
    }
}

/// A failed generate or refresh. Its text is safe to log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("operator: {}: {detail}", fault.as_str())]
pub struct OperatorError {
    /// What to do about it.
    pub fault: Fault,
    /// For people: the operator's or the transport's own words, shortened.
    detail: String,
    /// The operator's own word on when to come back.
    retry_after: Option<Duration>,
}

impl OperatorError {
    pub(super) fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into(), retry_after: None }
    }

    /// For so long the operator wants to be left alone, when it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Reads an answer with any HTTP status other than 200. `Retry-After` counts where a later try may help, in seconds; the form
    /// with a date does not: it would compare two clocks.
    pub(super) fn of_answer(op: Op, answer: &Response<Bytes>) -> Self {
        let error = Self::of_status(op, answer.status(), answer.body());
        let said =
            answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = said.filter(|_| error.fault.is_transient()).map(Duration::from_secs);
        Self { retry_after: retry_after.map(|it| it.min(LONGEST_REST)), ..error }
    }

    fn of_status(op: Op, status: StatusCode, body: &[u8]) -> Self {
        let said = wire::parse_fault(body);
        let fault = match status.as_u16() {
            // An expired, foreign or broken refresh token: whatever the words, it will not get better.
            400 if op == Op::Refresh => Fault::RefreshRejected,
            400 => of_bad_request(&said.message),
            401 | 403 => Fault::Unauthorized,
            408 => Fault::Timeout,
            429 => Fault::Throttled,
            500..=599 => Fault::Server,
            201..=299 => Fault::Garbage,
            _ => Fault::Misconfigured,
        };
        // A refusal of an identifier might repeat it, so its words are not kept.
        let words = if fault.is_final() { String::new() } else { format!(": {}", said.message) };
        Self::new(fault, format!("HTTP {}, {}{words}", status.as_u16(), said.status))
    }
}

impl From<TransportError> for OperatorError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Connect(why) => Self::new(Fault::Connect, why),
            TransportError::Broken(why) => Self::new(Fault::Connect, format!("connection broke: {why}")),
            TransportError::Timeout => Self::new(Fault::Timeout, "no answer in time"),
            TransportError::TooLarge => Self::new(Fault::Garbage, "answer is too large"),
        }
    }
}

/// Operators of different age end these messages differently; only the beginnings are stable.
fn of_bad_request(message: &str) -> Fault {
    const BEGINNINGS: [(&str, Fault); 3] = [
        ("Invalid timestamp", Fault::Clock),
        ("Invalid Identifier", Fault::InvalidDii),
        ("Required Parameter Missing", Fault::InvalidDii),
    ];
    let known = BEGINNINGS.iter().find(|(beginning, _)| message.starts_with(beginning));
    known.map_or(Fault::Misconfigured, |(_, fault)| *fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_of_exactly_one_kind() {
        for fault in Fault::ALL {
            let kinds = [fault.is_final(), fault.is_configuration(), fault.is_transient()];
            assert_eq!(kinds.iter().filter(|kind| **kind).count(), 1, "{fault:?}");
        }
    }

    #[test]
    fn the_text_never_repeats_what_is_said_about_an_identifier() {
        let body = br#"{"status":"client_error","message":"Invalid Identifier test@example.com"}"#;
        let error = OperatorError::of_status(Op::Generate, StatusCode::BAD_REQUEST, body);
        assert_eq!(error.to_string(), "operator: invalid_dii: HTTP 400, client_error");
        let body =
            br#"{"status":"client_error","message":"Invalid body: Check encryption key (ClientSecret)."}"#;
        let error = OperatorError::of_status(Op::Generate, StatusCode::BAD_REQUEST, body);
        assert!(
            error.to_string().ends_with("client_error: Invalid body: Check encryption key (ClientSecret).")
        );
    }

    #[test]
    fn retry_after_counts_in_seconds_up_to_a_minute_and_only_where_a_later_try_may_help() {
        let of = |status: u16, value: &str| {
            let answer = Response::builder().status(status).header("retry-after", value).body(Bytes::new());
            OperatorError::of_answer(Op::Refresh, &answer.unwrap()).retry_after().map(|it| it.as_secs())
        };
        assert_eq!(
            (of(429, "7"), of(503, " 0 "), of(503, "60"), of(429, "61")),
            (Some(7), Some(0), Some(60), Some(60))
        );
        assert_eq!((of(400, "7"), of(401, "7")), (None, None));
        assert_eq!(
            (of(429, "-1"), of(429, "Wed, 21 Oct 2026 07:28:00 GMT"), of(429, "")),
            (None, None, None)
        );
    }
}
