//! What a request claims of its user by e-mail address, phone number or ID token, as far as its caller is believed.

use http::HeaderMap;

use super::Shared;
use super::directory::{Hint, PublisherSettings};
use super::headers;
use crate::identity::Claimed;
use crate::openrtb::BidRequest;
use crate::secret::Secret;
use crate::uid2::{DiiHash, Scope};

/// `None`: nothing that counts. An address counts only for authenticated callers, because it could be anybody's; an ID token
/// speaks for itself.
pub(super) fn claimed(
    shared: &Shared,
    (settings, scope): (&PublisherSettings, Scope),
    (request, inbound): (&BidRequest, &HeaderMap),
    (authenticated, dii, invalid): (bool, Option<&DiiHash>, bool),
) -> Option<Box<Claimed>> {
    let tenant = settings.tenant(scope);
    let believed = settings.believes(Hint::Dii, authenticated);
    let dii = dii.filter(|_| believed).map(|hash| (shared.identities.dii_key(tenant, hash), *hash));
    let invalid = invalid && believed;
    let trusts = !tenant.trusted().is_empty() && settings.hints.contains(&Hint::IdToken);
    let token = if trusts { headers::id_token(inbound) } else { None };
    // One that is too long is told from none, and nothing of it is kept.
    let oversize = token.is_some_and(|token| token.len() > shared.identities.longest_id_token(tenant));
    let id_token = token.filter(|_| !oversize).map(|token| {
        (shared.identities.id_token_key(tenant, token.as_bytes()), Secret::new(token.to_owned()).into())
    });
    if dii.is_none() && id_token.is_none() && !invalid && !oversize {
        return None;
    }
    let tcf = (scope == Scope::Euid)
        .then(|| request.consents().into_iter().flatten().next().map(std::borrow::Cow::into_owned))
        .flatten();
    Some(Box::new(Claimed { dii, id_token, invalid: invalid || oversize, tcf }))
}
