//! `/v2/token/refresh`: the 388-character token as the body, the answer under its own response key (uid2-protocol §1.7).

use ::http::StatusCode;
use serde_json::Value;

use super::super::mint::Chain;
use super::super::refresh_token::{self, Claims, OUTER_CHARS, OuterFault};
use super::super::reply::{NOT_BASE64, Refusal, Reply};
use super::super::sealed;
use super::{Exchange, opted_out, outcome, transported};
use crate::time::UnixMillis;
use crate::uid2::EnvelopeKey;
use crate::uid2::envelope::seal_bare;

/// 2021-03-08T17:00:00Z: chains established before are answered as opted out.
const ESTABLISHED_CUTOFF: UnixMillis = UnixMillis(1_615_222_800_000);

/// A new identity for an old one. Authorization only makes the errors more telling.
pub(super) fn answer(x: &mut Exchange<'_>) -> Result<Reply, Refusal> {
    let text = std::str::from_utf8(x.body).map_err(|_| Refusal::client(NOT_BASE64))?;
    if text.len() != OUTER_CHARS {
        let answer = refreshed(x, text, true)?;
        return Ok(Reply { outcome: outcome(&answer), ..Reply::json(StatusCode::OK, &answer) });
    }
    let outer = refresh_token::open_outer(text, &x.operator.key_ring()).map_err(Refusal::from)?;
    let answer = refreshed(x, &outer.inner, false)?;
    let key = x.sealing(&EnvelopeKey::from_bytes(&outer.response_key));
    let wire = seal_bare(&key, x.random.bytes(), answer.to_string().as_bytes());
    Ok(transported(wire, sealed::is_binary(x.headers), outcome(&answer)))
}

fn refreshed(x: &mut Exchange<'_>, inner: &str, legacy: bool) -> Result<Value, Refusal> {
    let claims = refresh_token::open_inner(inner, &x.operator.key_ring());
    let claims = claims.filter(|claims| claims.scope == x.operator.realm.scope);
    let claims = claims.ok_or_else(|| told(x, "invalid_token", "Invalid Token presented"))?;
    if claims.established < ESTABLISHED_CUTOFF {
        return Ok(opted_out());
    }
    if claims.expires < x.now {
        return Err(told(x, "expired_token", "Expired Token presented"));
    }
    if x.is_opted_out_at_refresh(&claims.first_level_hash, claims.kind) {
        return Ok(opted_out());
    }
    x.success(&chain(&claims), legacy)
}

/// What is wrong, to those who have a key; the others learn nothing.
fn told(x: &Exchange<'_>, state: &'static str, message: &str) -> Refusal {
    match x.client() {
        Some(_) => Refusal::bad(state, message),
        None => Refusal::bad("error", "Error refreshing token"),
    }
}

fn chain(claims: &Claims) -> Chain {
    Chain {
        kind: claims.kind,
        site: claims.site,
        privacy_bits: claims.privacy_bits,
        established: claims.established,
        first_level_hash: claims.first_level_hash,
    }
}

impl From<OuterFault> for Refusal {
    fn from(fault: OuterFault) -> Self {
        match fault {
            OuterFault::Base64 => Self::client(NOT_BASE64),
            OuterFault::UnknownKey(id) => Self::client(&format!(
                "Invalid key: Generator of this token (Key ID: {}) does not exist.",
                id.cast_signed()
            )),
            OuterFault::Sealed => Self::client("Invalid data: Check encryption method and encryption key."),
            OuterFault::Format => {
                Self::client("Invalid format: Payload is not valid json or missing required data.")
            }
        }
    }
}
