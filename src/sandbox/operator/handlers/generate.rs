//! `/v2/token/generate` (uid2-protocol §1.6).

use serde_json::Value;

use super::super::clients::Admitted;
use super::super::mint::Chain;
use super::super::reply::Refusal;
use super::super::sealed::Payload;
use super::super::token::PRIVACY_LEGACY;
use super::{Exchange, consent, one_identifier, opted_out};

/// A first identity, unless the user opted out.
pub(super) fn answer(x: &mut Exchange<'_>, client: &Admitted, payload: &Payload) -> Result<Value, Refusal> {
    let identifier = one_identifier(payload)?;
    if let Some(answer) = consent::lacking(x.operator.realm.scope, payload)? {
        return Ok(answer);
    }
    let first_level_hash = x.first_level_hash(&identifier);
    let kind = identifier.kind();
    if x.is_opted_out(&first_level_hash, kind) {
        return Ok(opted_out());
    }
    let established = x.issue().0;
    let chain =
        Chain { kind, site: client.site, privacy_bits: PRIVACY_LEGACY, established, first_level_hash };
    x.success(&chain, false)
}
