//! The publisher's own user id: 1–256 bytes, opaque, and never an e-mail address or phone number.

use std::sync::Arc;

use super::Fault;
use crate::identity::{Identities, Publisher};
use crate::store::RecordKey;
use crate::uid2::{Email, Phone};

/// Longest user id, bytes.
pub(super) const MAX_USER_ID_BYTES: usize = 256;

/// A user id that may be stored under.
pub(super) struct UserId(Vec<u8>);

/// A user, by whatever names them.
pub(super) enum Who {
    /// The publisher's own id.
    User(UserId),
    /// An identity provider's word alone.
    Subject {
        /// `iss` of the ID token.
        issuer: Arc<str>,
        /// `sub` of the ID token.
        subject: String,
    },
}

impl Who {
    /// Under which key this tenant's record of the user is kept.
    pub(super) fn key(&self, identities: &Identities, tenant: &Publisher) -> RecordKey {
        match self {
            Self::User(user) => identities.user_key(tenant, user.as_bytes()),
            Self::Subject { issuer, subject } => identities.subject_key(tenant, issuer, subject),
        }
    }
}

impl UserId {
    /// From the JSON body of a login.
    pub(super) fn from_body(text: &str) -> Result<Self, Fault> {
        Self::checked(text.as_bytes().to_vec())
    }

    /// From a path segment, percent-decoded once.
    pub(super) fn from_path(segment: &str) -> Result<Self, Fault> {
        let decoded = percent_decode(segment.as_bytes())
            .ok_or_else(|| Fault::bad("user_id", "percent-encoding is not complete"))?;
        Self::checked(decoded)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn checked(bytes: Vec<u8>) -> Result<Self, Fault> {
        if bytes.is_empty() {
            return Err(Fault::bad("user_id", "must not be empty"));
        }
        if bytes.len() > MAX_USER_ID_BYTES {
            return Err(Fault::bad("user_id", "must be at most 256 bytes"));
        }
        if std::str::from_utf8(&bytes).is_ok_and(is_dii) {
            let reason = "must be the publisher's own id, not an e-mail address or phone number".into();
            return Err(Fault::Unprocessable { member: "user_id", code: "user_id_is_dii", reason });
        }
        Ok(Self(bytes))
    }
}

fn is_dii(text: &str) -> bool {
    Email::parse(text).is_ok() || Phone::parse(text).is_ok()
}

fn percent_decode(input: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(input.len());
    let mut rest = input;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        out.push(hex(*high)? << 4 | hex(*low)?);
        rest = tail;
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<UserId, Fault>) -> String {
        match result {
            Ok(id) => format!("ok {}", id.as_bytes().len()),
            Err(fault) => fault.code().map_or_else(|| fault.to_string(), String::from),
        }
    }

    #[test]
    fn lengths_and_escapes_hold_at_their_limits() {
        assert_eq!(code(UserId::from_path("")), "user_id: must not be empty");
        assert_eq!(code(UserId::from_body(&"u".repeat(256))), "ok 256");
        assert_eq!(code(UserId::from_body(&"u".repeat(257))), "user_id: must be at most 256 bytes");
        assert_eq!(code(UserId::from_path("a%2Fb")), "ok 3");
        assert_eq!(code(UserId::from_path("a%252Fb")), "ok 5");
        assert_eq!(code(UserId::from_path("a%2")), "user_id: percent-encoding is not complete");
        assert_eq!(code(UserId::from_path("a%zz")), "user_id: percent-encoding is not complete");
    }

    #[test]
    fn dii_is_refused_in_every_coat() {
        for dii in ["User@Example.com", "%75ser%40example.com", "+12345678901", "%2B12345678901"] {
            assert_eq!(code(UserId::from_path(dii)), "user_id_is_dii", "{dii}");
        }
        assert_eq!(code(UserId::from_path("12345678901")), "ok 11");
        assert_eq!(code(UserId::from_path("user@localhost")), "ok 14");
    }
}
