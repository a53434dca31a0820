//! What an operator says when it is not a sealed answer, and the shape of everything it says (uid2-protocol §1.3).

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::faults::Reason;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
pub(super) const OCTETS: &str = "application/octet-stream";

/// An answer before it becomes HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// `None`: no such header.
    pub content_type: Option<&'static str>,
    /// The body as it goes out.
    pub body: Bytes,
    /// What the statistics count it as.
    pub outcome: &'static str,
}

/// An error of the API: clear JSON.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) state: &'static str,
    pub(super) message: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, state: &'static str, message: &str) -> Self {
        Self { status, state, message: Some(message.to_owned()) }
    }

    /// 400 `client_error`.
    pub(super) fn client(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "client_error", message)
    }

    /// 400 with another status word.
    pub(super) fn bad(state: &'static str, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, state, message)
    }

    /// 403 with its status word.
    pub(super) fn forbidden(state: &'static str, message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, state, message)
    }

    /// 401, which has no message.
    pub(super) fn unauthorized() -> Self {
        Self { status: StatusCode::UNAUTHORIZED, state: "unauthorized", message: None }
    }

    /// 401 of client-side generation, which has one.
    pub(super) fn pair_disabled() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized")
    }

    /// 500: no key can seal now.
    pub(super) fn no_key() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unknown", "No active encryption key available")
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let mut body = json!({ "status": refusal.state });
        if let Some(message) = refusal.message {
            body["message"] = Value::String(message);
        }
        Self { outcome: refusal.state, ..Self::json(refusal.status, &body) }
    }
}

impl Reply {
    /// Clear JSON.
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        let body = Bytes::from(body.to_string());
        Self { status, content_type: Some(JSON), body, outcome: "success" }
    }

    /// Text.
    pub(super) fn text(status: StatusCode, body: impl Into<Bytes>, outcome: &'static str) -> Self {
        Self { status, content_type: Some(TEXT), body: body.into(), outcome }
    }

    /// Raw bytes.
    pub(super) fn octets(body: Vec<u8>, outcome: &'static str) -> Self {
        Self { status: StatusCode::OK, content_type: Some(OCTETS), body: body.into(), outcome }
    }

    /// Just a status.
    pub(super) fn empty(status: StatusCode, outcome: &'static str) -> Self {
        Self { status, content_type: None, body: Bytes::new(), outcome }
    }

    /// 413: plain text, not JSON.
    pub(super) fn too_large() -> Self {
        Self::text(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large", "too_large")
    }

    /// 500 as an uncaught error gives it.
    pub(super) fn internal_error() -> Self {
        Self::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error", "internal_error")
    }
}

pub(super) const REQUIRED: &str = "Required Parameter Missing: exactly one of [email, email_hash, phone, \
                                   phone_hash] must be specified";
pub(super) const INVALID_IDENTIFIER: &str = "Invalid Identifier";
pub(super) const NOT_BASE64: &str = "Invalid body: Body is not valid base64.";
pub(super) const INVALID_CONSENT: &str = "User consent is invalid";

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::client(match reason {
            Reason::MissingBody => "Invalid body: Body is missing.",
            Reason::NotBase64 => NOT_BASE64,
            Reason::TooShort => "Invalid body: Body too short. Check encryption method.",
            Reason::UnencryptedJson => "Invalid body: The request body is unencrypted JSON.",
            Reason::Version => {
                "Invalid body: Invalid request envelope format version: received 0, must be 1."
            }
            Reason::ClientSecret => "Invalid body: Check encryption key (ClientSecret).",
            Reason::Timestamp => "Invalid timestamp: Request too old or client time drift.",
            Reason::Payload => "Invalid payload in body: Data is not valid json string.",
            Reason::MissingParameter => REQUIRED,
            Reason::InvalidIdentifier => INVALID_IDENTIFIER,
            Reason::InvalidConsent => INVALID_CONSENT,
            Reason::UnknownKey => "Invalid key: Generator of this token (Key ID: 0) does not exist.",
            Reason::InvalidToken => return Self::bad("invalid_token", "Invalid Token presented"),
            Reason::ExpiredToken => return Self::bad("expired_token", "Expired Token presented"),
            Reason::RefreshError => return Self::bad("error", "Error refreshing token"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_401_has_no_message_and_the_others_have_one() {
        let reply = Reply::from(Refusal::unauthorized());
        assert_eq!(reply.body, r#"{"status":"unauthorized"}"#);
        assert_eq!((reply.status, reply.content_type), (StatusCode::UNAUTHORIZED, Some(JSON)));
        let reply = Reply::from(Refusal::from(Reason::InvalidIdentifier));
        assert_eq!(reply.body, r#"{"message":"Invalid Identifier","status":"client_error"}"#);
    }
}
