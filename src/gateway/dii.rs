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

/// Hashes of the request's own hints: two in headers and four in the body at most.
pub(super) type Own = SmallVec<[DiiHash; 6]>;

/// The names of hints in the body.
const HINTS: [&str; 4] = ["email", "phone", "email_hash", "phone_hash"];

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
    let own: SmallVec<[[u8; 32]; 6]> = own.iter().map(|hash| *hash.digest()).collect();
    let dii = publisher.settings.dii_guard != DiiGuard::Off;
    inspect(request, &Watch { dii, own: &own, tokens_of: &TOKENS_OF })
}

/// Hashes of what the request names as the user's e-mail address or phone number, in headers and in
/// `user.ext.uid2`. What is no valid hint is none; who the caller is does not matter here.
///
/// The first of each name counts in each place: every digest is looked for in every string, and a body may repeat a
/// name as often as it likes.
pub(super) fn own(request: &BidRequest, inbound: &HeaderMap) -> Own {
    own_and_more(request, inbound).0
}

/// The same, and whether there is a hint that is not valid.
pub(super) fn own_and_more(request: &BidRequest, inbound: &HeaderMap) -> (Own, bool) {
    let mut in_headers = [None; 2];
    for (kind, text) in headers::dii_hashes(inbound) {
        let slot = &mut in_headers[usize::from(kind == DiiKind::Phone)];
        *slot = slot.or(Some((kind, text)));
    }
    let (mut own, mut invalid) = (Own::new(), false);
    let mut take = |hash: Result<DiiHash, DiiError>| match hash {
        Ok(hash) => own.push(hash),
        Err(_) => invalid = true,
    };
    let in_headers = in_headers.into_iter().flatten();
    in_headers.for_each(|(kind, text)| take(DiiHash::parse(kind, text)));
    let hints = request.dii_hints();
    for wanted in HINTS {
        if let Some((name, value)) = hints.iter().find(|(name, _)| *name == wanted) {
            of_hint(name, value.trim()).into_iter().for_each(&mut take);
        }
    }
    (own, invalid)
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::openrtb::Limits;

    #[test]
    fn a_repeated_hint_adds_no_digest() {
        let many: Vec<String> = (0..5_000).map(|i| format!(r#""email":"u{i}@example.com""#)).collect();
        let body = format!(
            r#"{{"id":"r","imp":[{{}}],"user":{{"ext":{{"uid2":{{{},"phone":"+15551234567"}}}}}}}}"#,
            many.join(",")
        );
        let request = BidRequest::parse(body.into(), &Limits::default()).unwrap();
        let mut inbound = HeaderMap::new();
        for i in 0..100 {
            let hash = HeaderValue::try_from(format!("{i:064x}")).unwrap();
            inbound.append("x-uid2-email-hash", hash);
        }
        let own = own(&request, &inbound);
        let first = DiiHash::of_email(&Email::parse("u0@example.com").unwrap());
        let phone = DiiHash::of_phone(&Phone::parse("+15551234567").unwrap());
        let header = DiiHash::parse(DiiKind::Email, &"0".repeat(64)).unwrap();
        assert_eq!(own.as_slice(), [header, first, phone]);
    }
}
