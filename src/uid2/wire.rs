//! The operator's JSON: what we ask, what it answers, and its faults (uid2-protocol §1.3, §1.6, §1.7).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::envelope::EnvelopeKey;
use super::hash::DiiHash;
use super::scope::DiiKind;
use super::token::{AdvertisingToken, Identity, Times, TokenError};
use crate::secret::Secret;
use crate::time::UnixMillis;

/// Longest refresh token accepted; today's have 388 characters.
pub const MAX_REFRESH_TOKEN_CHARS: usize = 4_096;

/// 9999-12-31T23:59:59.999Z: a time beyond is not one.
const MAX_MILLIS: i64 = 253_402_300_799_999;

/// Longest status or message kept of an operator's fault, in characters.
const MAX_FAULT_CHARS: usize = 256;

/// The request JSON of `/v2/token/generate`.
#[derive(Serialize)]
struct GenerateBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    email_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_hash: Option<&'a str>,
    /// Old operators hand out a token for an opted-out user without it; new ones ignore it.
    optout_check: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcf_consent_string: Option<&'a str>,
}

/// The payload of a generate request. `tcf` is for EUID; UID2 operators ignore it.
pub fn generate_body(hash: &DiiHash, tcf: Option<&str>) -> Vec<u8> {
    let text = hash.to_base64();
    let body = GenerateBody {
        email_hash: (hash.kind() == DiiKind::Email).then_some(&text),
        phone_hash: (hash.kind() == DiiKind::Phone).then_some(&text),
        optout_check: 1,
        tcf_consent_string: tcf,
    };
    serde_json::to_vec(&body).expect("strings and numbers always serialise")
}

/// What an opened answer with HTTP status 200 says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A token.
    Success(Identity),
    /// The user opted out of UID2. Final.
    OptOut,
    /// EUID: the TCF string lacks a purpose. Final for this string.
    InsufficientConsent,
}

/// Why an opened answer is not usable. Never holds the answer's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// Not a JSON object of the expected shape.
    #[error("answer is not the JSON expected")]
    Json,
    /// A `status` we do not know.
    #[error("answer has an unknown status")]
    Status,
    /// A member is missing or null.
    #[error("answer lacks {0}")]
    Missing(&'static str),
    /// The advertising token cannot be sent.
    #[error("answer's {0}")]
    Token(#[from] TokenError),
    /// Empty, too long, or not printable ASCII.
    #[error("answer's refresh token is not usable")]
    RefreshToken,
    /// Not base64 of 32 bytes.
    #[error("answer's refresh response key is not base64 of 32 bytes")]
    ResponseKey,
    /// Out of range, or not in the order refresh, identity, refresh expiry.
    #[error("answer's times are out of range or order")]
    Times,
}

#[derive(Deserialize)]
struct RawAnswer<'a> {
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    // Read only on success: whatever stands here must not hide an opt-out.
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawIdentity {
    advertising_token: Option<String>,
    refresh_token: Option<String>,
    refresh_response_key: Option<String>,
    identity_expires: Option<i64>,
    refresh_from: Option<i64>,
    refresh_expires: Option<i64>,
}

/// Reads the JSON of an opened answer. Unknown members are ignored; a missing one is an error.
pub fn parse_answer(json: &[u8]) -> Result<Answer, WireError> {
    let raw: RawAnswer<'_> = serde_json::from_slice(json).map_err(|_| WireError::Json)?;
    match raw.status.as_deref().ok_or(WireError::Missing("status"))? {
        "success" => identity(raw.body.ok_or(WireError::Missing("body"))?).map(Answer::Success),
        "optout" => Ok(Answer::OptOut),
        "insufficient_user_consent" => Ok(Answer::InsufficientConsent),
        _ => Err(WireError::Status),
    }
}

/// Reads the six members that the UID2 SDKs take as an identity: what [`identity_body`] writes. Unknown members are ignored.
pub fn parse_identity(json: &[u8]) -> Result<Identity, WireError> {
    identity(serde_json::from_slice(json).map_err(|_| WireError::Json)?)
}

fn identity(body: &RawValue) -> Result<Identity, WireError> {
    let raw: RawIdentity = serde_json::from_str(body.get()).map_err(|_| WireError::Json)?;
    let token = raw.advertising_token.ok_or(WireError::Missing("advertising_token"))?;
    let refresh_token = Secret::new(raw.refresh_token.ok_or(WireError::Missing("refresh_token"))?);
    let response_key =
        Secret::new(raw.refresh_response_key.ok_or(WireError::Missing("refresh_response_key"))?);
    let times = times(
        raw.refresh_from.ok_or(WireError::Missing("refresh_from"))?,
        raw.identity_expires.ok_or(WireError::Missing("identity_expires"))?,
        raw.refresh_expires.ok_or(WireError::Missing("refresh_expires"))?,
    )?;
    if !is_refresh_token(refresh_token.expose()) {
        return Err(WireError::RefreshToken);
    }
    EnvelopeKey::from_base64(response_key.expose()).map_err(|_| WireError::ResponseKey)?;
    Ok(Identity {
        advertising_token: AdvertisingToken::parse(&token)?,
        refresh_token,
        refresh_response_key: response_key,
        times,
    })
}

/// Three times that are in range and in order.
pub(super) fn times(
    refresh_from: i64,
    identity_expires: i64,
    refresh_expires: i64,
) -> Result<Times, WireError> {
    let in_range = (1..=MAX_MILLIS).contains(&refresh_from) && refresh_expires <= MAX_MILLIS;
    if !in_range || refresh_from > identity_expires || identity_expires > refresh_expires {
        return Err(WireError::Times);
    }
    Ok(Times {
        refresh_from: UnixMillis(refresh_from),
        identity_expires: UnixMillis(identity_expires),
        refresh_expires: UnixMillis(refresh_expires),
    })
}

/// It is sent back as a request body, so it must be one word of text.
pub(super) fn is_refresh_token(text: &str) -> bool {
    (1..=MAX_REFRESH_TOKEN_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// What the operator says went wrong, with any HTTP status other than 200. Never sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorFault {
    /// Such as `client_error` or `unauthorized`; `unknown` when there is none.
    pub status: String,
    /// For people; may be empty. At most 256 characters, none of them a control character.
    pub message: String,
}

/// Reads a fault's body, whatever it is: 401 has no message, 413 and 500 may not be JSON.
pub fn parse_fault(body: &[u8]) -> OperatorFault {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| json.get(key).and_then(Value::as_str).map(printable);
    OperatorFault {
        status: text("status").filter(|status| !status.is_empty()).unwrap_or_else(|| "unknown".into()),
        message: text("message").unwrap_or_default(),
    }
}

fn printable(text: &str) -> String {
    text.chars().take(MAX_FAULT_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The six members that the UID2 SDKs take as an identity. Holds secrets: for the publisher's eyes only.
pub fn identity_body(identity: &Identity) -> Value {
    serde_json::json!({
        "advertising_token": identity.advertising_token.as_str(),
        "refresh_token": identity.refresh_token.expose(),
        "identity_expires": identity.times.identity_expires.0,
        "refresh_from": identity.times.refresh_from.0,
        "refresh_expires": identity.times.refresh_expires.0,
        "refresh_response_key": identity.refresh_response_key.expose(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::dii::{Email, Phone};
    use super::*;

    /// The JSON of the generate response vector.
    fn success() -> Value {
        let vectors: Value = serde_json::from_str(include_str!("../../fixtures/uid2/envelope.json")).unwrap();
        serde_json::from_str(vectors["responses"][0]["json"].as_str().unwrap()).unwrap()
    }

    fn parse(json: &Value) -> Result<Answer, WireError> {
        parse_answer(json.to_string().as_bytes())
    }

    #[test]
    fn generate_asks_with_exactly_one_hash_and_the_opt_out_check() {
        let email = DiiHash::of_email(&Email::parse("test@example.com").unwrap());
        let text = String::from_utf8(generate_body(&email, None)).unwrap();
        assert_eq!(text, r#"{"email_hash":"lz3+Rj7IV4X1+Vr1ujkG7tstkxwk5pgkqJ6mXbpOgTs=","optout_check":1}"#);
        let phone = DiiHash::of_phone(&Phone::parse("+12345678901").unwrap());
        let body: Value = serde_json::from_slice(&generate_body(&phone, Some("CP\"x"))).unwrap();
        let expected = serde_json::json!({
            "phone_hash": "EObwtHBUqDNZR33LNSMdtt5cafsYFuGmuY4ZLenlue4=",
            "optout_check": 1,
            "tcf_consent_string": "CP\"x",
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_success_carries_the_six_members_and_ignores_others() {
        let mut json = success();
        json["body"]["privacy_bits"] = 1.into();
        json["trace"] = "x".into();
        let Answer::Success(identity) = parse(&json).unwrap() else { panic!("no identity") };
        assert_eq!(identity.times.refresh_from, UnixMillis(1_768_479_300_000));
        assert_eq!(identity_body(&identity), success()["body"]);
    }

    #[test]
    fn an_answer_lacking_a_member_is_an_error_that_names_it() {
        for member in success()["body"].as_object().unwrap().keys() {
            let mut lacking = success();
            lacking["body"].as_object_mut().unwrap().remove(member);
            assert!(matches!(parse(&lacking), Err(WireError::Missing(name)) if name == member), "{member}");
            lacking["body"][member] = Value::Null;
            assert!(matches!(parse(&lacking), Err(WireError::Missing(name)) if name == member), "{member}");
        }
        let of = |text: &str| parse_answer(text.as_bytes());
        assert_eq!(of(r#"{"status":"success"}"#), Err(WireError::Missing("body")));
        assert_eq!(of("{}"), Err(WireError::Missing("status")));
        assert_eq!(of(r#"{"status":"fine"}"#), Err(WireError::Status));
        assert_eq!(of("[]"), Err(WireError::Json));
        assert_eq!(of("{"), Err(WireError::Json));
    }

    #[test]
    fn the_two_refusals_need_no_body_and_no_body_hides_them() {
        for body in ["", r#","body":true"#, r#","body":{"identity_expires":"x"}"#] {
            let of = |status| parse_answer(format!(r#"{{"status":"{status}"{body}}}"#).as_bytes());
            assert_eq!(of("optout"), Ok(Answer::OptOut));
            assert_eq!(of("insufficient_user_consent"), Ok(Answer::InsufficientConsent));
        }
    }

    #[test]
    fn members_of_unusable_values_are_refused() {
        let with = |member: &str, value: Value| {
            let mut json = success();
            json["body"][member] = value;
            parse(&json)
        };
        assert_eq!(with("advertising_token", "a b".into()), Err(WireError::Token(TokenError::Alphabet)));
        assert_eq!(with("refresh_token", "".into()), Err(WireError::RefreshToken));
        assert_eq!(with("refresh_token", "a\n".into()), Err(WireError::RefreshToken));
        assert!(with("refresh_token", "a".repeat(4_096).into()).is_ok());
        assert_eq!(with("refresh_token", "a".repeat(4_097).into()), Err(WireError::RefreshToken));
        assert_eq!(with("refresh_response_key", "AAAA".into()), Err(WireError::ResponseKey));
        assert_eq!(with("identity_expires", "1768482000000".into()), Err(WireError::Json));
        assert_eq!(with("identity_expires", 1.5.into()), Err(WireError::Json));
    }

    #[test]
    fn times_must_be_in_range_and_order() {
        assert!(times(1, 1, 1).is_ok());
        assert!(times(1, 2, MAX_MILLIS).is_ok());
        assert_eq!(times(0, 1, 1), Err(WireError::Times));
        assert_eq!(times(2, 1, 3), Err(WireError::Times));
        assert_eq!(times(1, 3, 2), Err(WireError::Times));
        assert_eq!(times(1, 2, MAX_MILLIS + 1), Err(WireError::Times));
    }

    #[test]
    fn faults_are_read_leniently() {
        let of = |body: &str| {
            let fault = parse_fault(body.as_bytes());
            (fault.status, fault.message)
        };
        let pair = |status: &str, message: &str| (status.to_owned(), message.to_owned());
        assert_eq!(of(r#"{"status":"client_error","message":"a\nb"}"#), pair("client_error", "a b"));
        assert_eq!(of(r#"{"status":"unauthorized"}"#), pair("unauthorized", ""));
        assert_eq!(of(r#"{"status":7,"message":[]}"#), pair("unknown", ""));
        assert_eq!(of("Internal Server Error"), pair("unknown", ""));
        assert_eq!(of(""), pair("unknown", ""));
        assert_eq!(of(&format!(r#"{{"message":"{}"}}"#, "é".repeat(300))).1.chars().count(), 256);
    }

    #[test]
    fn debug_text_of_an_answer_shows_no_secret() {
        let text = format!("{:?}", parse(&success()).unwrap());
        let body = &success()["body"];
        for member in ["advertising_token", "refresh_token", "refresh_response_key"] {
            assert!(!text.contains(body[member].as_str().unwrap()), "{member}");
        }
    }
}
