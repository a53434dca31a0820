//! `/v2/token/validate` (uid2-protocol §1.8).

use serde_json::{Value, json};

use super::super::clients::Admitted;
use super::super::reply::Refusal;
use super::super::sealed::Payload;
use super::super::token;
use super::{Exchange, one_identifier};

/// Whether the token stands for the identifier, under the current salts. Neither expiry nor opt-out matter.
pub(super) fn answer(x: &mut Exchange<'_>, client: &Admitted, payload: &Payload) -> Result<Value, Refusal> {
    let identifier = one_identifier(payload)?;
    let keys = x.operator.key_ring();
    let text = payload.get("token").and_then(Value::as_str).unwrap_or_default();
    let token = token::open(text, &keys).map_err(|_| Refusal::client("Invalid token"))?;
    let keyset = keys.find(token.site_key).and_then(|key| keys.keyset(key.keyset));
    if keyset.is_none_or(|keyset| keyset.site != client.site) {
        return Err(Refusal::client("Unauthorised to validate token"));
    }
    let expected = x.raw_uid(&x.first_level_hash(&identifier), identifier.kind());
    let same = token.claims.raw_uid.to_base64() == expected;
    Ok(json!({ "status": "success", "body": same }))
}
