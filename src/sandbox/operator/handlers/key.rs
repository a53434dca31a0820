//! `/v2/key/bidstream` and `/v2/key/sharing`: what DSPs decrypt with (uid2-protocol §1.10). Times are Unix seconds.

use serde_json::{Value, json};

use super::super::clients::{Admitted, Role};
use super::super::keys::{Key, MASTER_KEYSET};
use super::super::reply::Refusal;
use super::super::sealed::Payload;
use super::super::{ALLOW_CLOCK_SKEW_SECONDS, LIFETIME_TOLERANCE_SECONDS};
use super::Exchange;
use crate::uid2::Scope;

/// What the outside calls keyset -1.
const PUBLIC_MASTER_KEYSET: i32 = 9_999_999;
/// Life of a sharing token: 30 days.
const SHARING_SECONDS: i64 = 2_592_000;

/// The keys for tokens in the bid stream.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every handler")]
pub(super) fn bidstream(x: &mut Exchange<'_>, client: &Admitted, _: &Payload) -> Result<Value, Refusal> {
    let ring = x.operator.key_ring();
    let mut body = common(x, ring.readable_by(client.site, true).map(key));
    body["max_bidstream_lifetime_seconds"] = x.operator.max_lifetime_seconds().into();
    Ok(json!({ "status": "success", "body": body }))
}

/// The keys for sharing.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every handler")]
pub(super) fn sharing(x: &mut Exchange<'_>, client: &Admitted, _: &Payload) -> Result<Value, Refusal> {
    let ring = x.operator.key_ring();
    let own = ring.keyset_of_site(client.site).map(|keyset| keyset.id);
    let reads_ids = client.has_any(&[Role::IdReader]);
    let keys = ring.readable_by(client.site, reads_ids).map(|each| {
        let mut value = key(each);
        if each.keyset == MASTER_KEYSET {
            value["keyset_id"] = PUBLIC_MASTER_KEYSET.into();
        } else if Some(each.keyset) == own {
            value["keyset_id"] = each.keyset.into();
        }
        value
    });
    let mut body = common(x, keys);
    body["caller_site_id"] = client.site.into();
    body["master_keyset_id"] = PUBLIC_MASTER_KEYSET.into();
    body["token_expiry_seconds"] = SHARING_SECONDS.to_string().into();
    if let Some(own) = own {
        body["default_keyset_id"] = own.into();
    }
    if client.has_any(&[Role::Sharer]) {
        body["max_sharing_lifetime_seconds"] = (SHARING_SECONDS + LIFETIME_TOLERANCE_SECONDS).into();
    }
    Ok(json!({ "status": "success", "body": body }))
}

fn common(x: &Exchange<'_>, keys: impl Iterator<Item = Value>) -> Value {
    let scope = match x.operator.realm.scope {
        Scope::Uid2 => "UID2",
        Scope::Euid => "EUID",
    };
    let mut body = json!({
        "identity_scope": scope,
        "allow_clock_skew_seconds": ALLOW_CLOCK_SKEW_SECONDS,
        "keys": keys.collect::<Value>(),
    });
    if !x.operator.key_pairs.is_empty() {
        let site = |site: &super::super::sites::Site| json!({ "id": site.id, "domain_names": site.names() });
        body["site_data"] = x.operator.sites.iter().map(site).collect();
    }
    body
}

fn key(key: &Key) -> Value {
    json!({
        "id": key.id,
        "created": key.created,
        "activates": key.activates,
        "expires": key.expires,
        "secret": key.secret_base64(),
    })
}
