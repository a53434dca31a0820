//! The DII guard on the path: what the request brings as a hint, what is looked for, and what becomes of a find.

use http::HeaderMap;
use smallvec::SmallVec;

use super::Shared;
use super::directory::{DiiGuard, Publisher};
use super::headers;
use super::outcome::RejectKind;
use crate::openrtb::BidRequest;
use crate::openrtb::guard::{Found, Watch, inspect};
use crate::uid2::{DiiError, DiiHash, DiiKind, Email, Phone, Scope};

/// Under these sources an id must be a token.
const TOKENS_OF: [&str; 2] = [Scope::Uid2.source(), Scope::Euid.source()];

/// The request without the DII and raw UID2s under `user`, or the refusal of it.
///
/// A raw UID2 is no DII, and never leaves whatever the guard is set to.
pub(super) fn guarded(
    shared: &Shared,
    publisher: &Publisher,
    request: BidRequest,
    own: &[DiiHash],
) -> Result<BidRequest, RejectKind> {
    let Some(found) = found(publisher, &request, own) else { return Ok(request) };
    let guard = publisher.settings.dii_guard;
    let dii = found.hits().iter().find(|hit| !hit.raw).filter(|_| guard == DiiGuard::Reject);
    if let Some(hit) = dii {
        return Err(RejectKind::Dii { member: hit.spot.path(), offset: hit.offset });
    }
    for hit in found.hits() {
        shared.metrics.dii_stripped(hit.spot);
    }
    Ok(found.cleaned(&request)?)
}

/// What this publisher's requests may not hold.
pub(super) fn found(publisher: &Publisher, request: &BidRequest, own: &[DiiHash]) -> Option<Found> {
    let own: SmallVec<[[u8; 32]; 2]> = own.iter().map(|hash| *hash.digest()).collect();
    let dii = publisher.settings.dii_guard != DiiGuard::Off;
    inspect(request, &Watch { dii, own: &own, tokens_of: &TOKENS_OF })
}

/// Hashes of what the request names as the user's e-mail address or phone number, in headers and in
/// `user.ext.uid2`. What is no valid hint is none; who the caller is does not matter here.
pub(super) fn own(request: &BidRequest, inbound: &HeaderMap) -> SmallVec<[DiiHash; 2]> {
    let in_headers = headers::dii_hashes(inbound).map(|(kind, text)| DiiHash::parse(kind, text));
    let hints = request.dii_hints();
    let in_body = hints.iter().filter_map(|(name, value)| of_hint(name, value.trim()));
    in_headers.chain(in_body).flatten().collect()
}

fn of_hint(name: &str, value: &str) -> Option<Result<DiiHash, DiiError>> {
    Some(match name {
        "email" => Email::parse(value).map(|email| DiiHash::of_email(&email)),
        "phone" => Phone::parse(value).map(|phone| DiiHash::of_phone(&phone)),
        "email_hash" => DiiHash::parse(DiiKind::Email, value),
        "phone_hash" => DiiHash::parse(DiiKind::Phone, value),
        _ => return None,
    })
}
