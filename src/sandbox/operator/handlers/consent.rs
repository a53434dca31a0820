//! The EUID operator's look at a TC string: six purposes for vendor 21 (uid2-protocol §9).
//!
//! As at the operator, restrictions, special features, age and policy version of the string do not matter here; they do
//! to the gateway, which judges for itself.

use serde_json::{Value, json};

use super::super::reply::{INVALID_CONSENT, Refusal};
use super::super::sealed::Payload;
use crate::privacy::tcf::TcString;
use crate::uid2::Scope;

/// The Trade Desk on the Global Vendor List.
const VENDOR: u16 = 21;
const PURPOSES: [u8; 6] = [1, 2, 3, 4, 7, 10];

/// The answer instead of a token, when consent is not enough; no string, no check.
pub(super) fn lacking(scope: Scope, payload: &Payload) -> Result<Option<Value>, Refusal> {
    let string = payload.get("tcf_consent_string").filter(|value| scope == Scope::Euid && !value.is_null());
    let Some(string) = string else { return Ok(None) };
    let parsed = string.as_str().and_then(|text| TcString::parse(text).ok());
    let parsed = parsed.ok_or_else(|| Refusal::client(INVALID_CONSENT))?;
    let enough = is_enough(&parsed);
    Ok((!enough).then(|| json!({ "status": "insufficient_user_consent" })))
}

/// Each purpose by consent or by legitimate interest, each with the vendor in the same list.
fn is_enough(string: &TcString<'_>) -> bool {
    let (consent, interest) = (string.vendor_consent(VENDOR), string.vendor_interest(VENDOR));
    let has = |purpose: u8| {
        consent && string.purpose_consent(purpose) || interest && string.purpose_interest(purpose)
    };
    PURPOSES.into_iter().all(has)
}
