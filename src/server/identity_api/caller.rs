//! Who calls, and for which publisher: the publisher itself, an identity provider that it authorised, or a page or app
//! without a key, which may do no more than log its own user in with an ID token.

use std::borrow::Cow;
use std::sync::Arc;

use ::http::HeaderMap;

use super::Fault;
use crate::gateway::{Certified, Directory, ProviderSettings, Publisher, bearer};
use crate::identity;
use crate::uid2::Scope;

/// Which of its publishers a provider means, where it serves several.
const PUBLISHER: &str = "x-publisher-id";

/// A caller.
pub(super) enum Caller<'a> {
    /// The publisher itself.
    Publisher(&'a Arc<Publisher>),
    /// A provider, for a publisher that authorised it.
    Provider(&'a ProviderSettings, &'a Arc<Publisher>),
    /// Nobody we know, on this publisher's host.
    Nobody(&'a Arc<Publisher>),
}

impl<'a> Caller<'a> {
    /// Whoever presents a key or a certificate; without either only where that is `allowed`.
    pub(super) fn of(
        directory: &'a Directory,
        (headers, certified): (&HeaderMap, Option<&Certified>),
        allowed: bool,
    ) -> Result<Self, Fault> {
        let Some(key) = bearer(headers).map_err(|_| Fault::Unauthorized)? else {
            if let Some(certified) = certified {
                let publisher = directory.by_certificate(certified);
                return publisher.map(Self::Publisher).ok_or(Fault::Unauthorized);
            }
            let publisher = allowed.then(|| directory.by_host(headers)).flatten();
            return publisher.map(Self::Nobody).ok_or(Fault::Unauthorized);
        };
        if let Some(publisher) = directory.by_key(key) {
            return Ok(Self::Publisher(publisher));
        }
        let provider = directory.provider_by_key(key).ok_or(Fault::Unauthorized)?;
        let named = match headers.get(PUBLISHER) {
            Some(named) => Some(named.to_str().map_err(|_| Fault::NotAuthorised)?),
            None => match provider.publishers.as_slice() {
                [only] => Some(only.as_str()),
                _ => return Err(Fault::bad("X-Publisher-Id", "must name one of the provider's publishers")),
            },
        };
        // Of a publisher that did not authorise it, a provider does not even learn that it is there.
        let own = named.filter(|named| provider.publishers.iter().any(|id| id == named));
        let publisher = own.and_then(|id| directory.by_id(id)).ok_or(Fault::NotAuthorised)?;
        Ok(Self::Provider(provider, publisher))
    }

    /// Whose users it is about.
    pub(super) fn publisher(&self) -> &'a Arc<Publisher> {
        match self {
            Self::Publisher(publisher) | Self::Provider(_, publisher) | Self::Nobody(publisher) => publisher,
        }
    }

    /// The provider that calls, if one does.
    pub(super) fn provider(&self) -> Option<&'a Arc<str>> {
        match self {
            Self::Provider(provider, _) => Some(&provider.id),
            Self::Publisher(_) | Self::Nobody(_) => None,
        }
    }

    /// A tenant of the publisher, as this caller acts for it: a provider touches only what it made itself.
    pub(super) fn acting(&self, tenant: &'a identity::Publisher) -> Cow<'a, identity::Publisher> {
        match self.provider() {
            Some(provider) => Cow::Owned(tenant.acted_for_by(provider)),
            None => Cow::Borrowed(tenant),
        }
    }

    /// The publisher's tenants, so acted for.
    pub(super) fn tenants(&self) -> impl Iterator<Item = Cow<'a, identity::Publisher>> {
        self.publisher().settings.tenants().map(|tenant| self.acting(tenant))
    }

    /// Those of other scopes than this, so acted for.
    pub(super) fn others(&self, scope: Scope) -> impl Iterator<Item = Cow<'a, identity::Publisher>> {
        self.publisher().settings.others(scope).map(|tenant| self.acting(tenant))
    }
}
