//! `/v2/identity/map` and `/v3/identity/map`: raw UIDs for advertisers (uid2-protocol §1.10).

use serde_json::{Map, Value, json};

use super::super::clients::Admitted;
use super::super::identifier::Identifier;
use super::super::reply::Refusal;
use super::super::salts::Bucket;
use super::super::sealed::Payload;
use super::{Exchange, IDENTIFIERS, exactly_one, identifier};
use crate::time::UnixMillis;

const DAY_MS: i64 = 86_400_000;
/// How long the previous raw UID is told.
const PREVIOUS_DAYS: i64 = 90;
const BAD_FORMAT: &str = "Incorrect request format";
const MISSING: &str =
    "Required Parameter Missing: one or more of [email, email_hash, phone, phone_hash] must be specified";

/// Every member an array; the answer has all four, in the order of the request.
pub(super) fn v3(x: &mut Exchange<'_>, _: &Admitted, payload: &Payload) -> Result<Value, Refusal> {
    if !IDENTIFIERS.iter().any(|member| payload.get(*member).is_some_and(|value| !value.is_null())) {
        return Err(Refusal::client(MISSING));
    }
    let mut body = Map::new();
    for member in IDENTIFIERS {
        let texts = texts(payload.get(member).unwrap_or(&Value::Null))?;
        let items = texts.iter().map(|text| item_v3(x, identifier(member, text)));
        body.insert(member.to_owned(), items.collect());
    }
    Ok(json!({ "status": "success", "body": body }))
}

fn item_v3(x: &Exchange<'_>, identifier: Option<Identifier>) -> Value {
    let Some(identifier) = identifier else { return json!({ "e": "invalid identifier" }) };
    let (hash, kind) = (x.first_level_hash(&identifier), identifier.kind());
    if x.is_opted_out(&hash, kind) {
        return json!({ "e": "optout" });
    }
    let bucket = x.operator.salts.bucket_of(&hash.0);
    let young = x.now.since(bucket.last_updated) < PREVIOUS_DAYS * DAY_MS;
    let previous = bucket.previous.as_ref().filter(|_| young);
    let previous = previous.map(|material| hash.raw_uid_with(kind, x.operator.realm, material).to_base64());
    json!({ "u": x.raw_uid(&hash, kind), "p": previous, "r": refresh_seconds(bucket, x.now) })
}

/// When the raw UID changes, in seconds; the next midnight when that is past.
fn refresh_seconds(bucket: &Bucket, now: UnixMillis) -> i64 {
    let midnight = now.0.div_euclid(DAY_MS).saturating_add(1).saturating_mul(DAY_MS);
    let at = if bucket.refresh_from > now { bucket.refresh_from.0 } else { midnight };
    at.div_euclid(1_000)
}

/// Exactly one member, an array.
pub(super) fn v2(x: &mut Exchange<'_>, _: &Admitted, payload: &Payload) -> Result<Value, Refusal> {
    let (member, value) = exactly_one(payload)?;
    let (mut mapped, mut unmapped) = (Vec::new(), Vec::new());
    for text in texts(value)? {
        match item_v2(x, member, text) {
            Ok(item) => mapped.push(item),
            Err(reason) => unmapped.push(json!({ "identifier": text, "reason": reason })),
        }
    }
    let mut body = json!({ "mapped": mapped });
    if !unmapped.is_empty() {
        body["unmapped"] = unmapped.into();
    }
    Ok(json!({ "status": "success", "body": body }))
}

fn item_v2(x: &Exchange<'_>, member: &str, text: &str) -> Result<Value, &'static str> {
    let identifier = identifier(member, text).ok_or("invalid identifier")?;
    let (hash, kind) = (x.first_level_hash(&identifier), identifier.kind());
    if x.is_opted_out(&hash, kind) {
        return Err("optout");
    }
    let salts = &x.operator.salts;
    Ok(json!({
        "identifier": text,
        "advertising_id": x.raw_uid(&hash, kind),
        "bucket_id": salts.bucket_id(salts.bucket_of(&hash.0)),
    }))
}

/// An array of strings; `null` is an empty one.
fn texts(value: &Value) -> Result<Vec<&str>, Refusal> {
    let items = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        _ => return Err(Refusal::client(BAD_FORMAT)),
    };
    items.iter().map(|item| item.as_str().ok_or_else(|| Refusal::client(BAD_FORMAT))).collect()
}
