//! What a token claims before its signature is looked at: how it is signed, by which key, and from whom it is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::Refusal;
use super::claims::Audience;

/// What a signature may be made with. Never `none`, and never a secret shared with the caller.
const ALGORITHMS: [(&str, Algorithm); 3] =
    [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256), ("EdDSA", Algorithm::EdDSA)];

/// What counts of a token's header.
pub(super) struct Head {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

/// Whom a token claims to be from, and for. Others than the strings it is looked for by are left for later.
#[derive(Deserialize)]
pub(super) struct Claim {
    pub(super) iss: String,
    pub(super) aud: Audience,
}

#[derive(Deserialize)]
struct RawHead {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

/// Both, of a token whose form is that of a signed JWT.
pub(super) fn read(token: &str) -> Result<(Head, Claim), Refusal> {
    let mut parts = token.split('.');
    let (Some(head), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Malformed);
    };
    let head: RawHead = json(head)?;
    if head.crit.is_some() {
        // An extension that must be understood (RFC 7515 §4.1.11): none is.
        return Err(Refusal::Malformed);
    }
    if !head.typ.as_deref().is_none_or(is_plain) {
        return Err(Refusal::Type);
    }
    let known = ALGORITHMS.iter().find(|(name, _)| *name == head.alg);
    let (_, algorithm) = known.ok_or(Refusal::Algorithm)?;
    Ok((Head { algorithm: *algorithm, kid: head.kid }, json(claims)?))
}

/// A provider's access tokens (`at+jwt`, RFC 9068), logout tokens and the like are signed with the same keys: RFC 8725 §3.11
/// tells kinds apart by `typ`. An ID token has none, or `JWT`, as a media type with or without `application/`.
fn is_plain(typ: &str) -> bool {
    ["JWT", "application/jwt"].iter().any(|plain| typ.eq_ignore_ascii_case(plain))
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
}
