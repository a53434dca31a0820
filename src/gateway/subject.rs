//! Whom a request is about: everybody it names, and who of them may yield an identity.

use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use smallvec::SmallVec;

use super::directory::{Hint, PublisherSettings, UserIdFrom};
use super::{Shared, claimed, dii, headers};
use crate::identity::{OwnCookie, Subject};
use crate::openrtb::BidRequest;
use crate::store::RecordKey;
use crate::uid2::Scope;
use crate::uid2::cookie::Claim;

/// Everybody whom a request names, whoever calls.
pub(super) struct Named {
    /// By the publisher's own ids, in the order of `user_id_from`, and where.
    users: SmallVec<[(UserIdFrom, RecordKey); 3]>,
    /// By what is told to be the hash of their e-mail address or phone number.
    pub dii: dii::Own,
    /// The same people under the publisher's other scope, where it has both.
    elsewhere: SmallVec<[RecordKey; 2]>,
    /// A hint with an e-mail address or phone number is there that is not valid.
    invalid: bool,
}

impl Named {
    /// Reads a request as it came. A user id is text; a number counts as it is written.
    pub(super) fn by(
        shared: &Shared,
        (settings, scope): (&PublisherSettings, Scope),
        (request, inbound): (&BidRequest, &HeaderMap),
    ) -> Self {
        let (tenant, mut users, mut elsewhere) = (settings.tenant(scope), SmallVec::new(), SmallVec::new());
        for &place in &settings.user_id_from {
            let mut add = |id: &[u8]| {
                if !id.is_empty() {
                    users.push((place, shared.identities.user_key(tenant, id)));
                    elsewhere
                        .extend(settings.others(scope).map(|other| shared.identities.user_key(other, id)));
                }
            };
            match place {
                UserIdFrom::Header => headers::publisher_user_ids(inbound).for_each(add),
                UserIdFrom::Ext => request.publisher_user_id().iter().for_each(|id| add(id.as_bytes())),
                UserIdFrom::UserId => request.user_id().iter().for_each(|id| add(id.as_bytes())),
            }
        }
        let (dii, invalid) = dii::own_and_more(request, inbound);
        for other in settings.others(scope) {
            elsewhere.extend(dii.iter().map(|hash| shared.identities.dii_key(other, hash)));
        }
        Self { users, dii, elsewhere, invalid }
    }

    /// Whether somebody is named by an e-mail address, a phone number, a hash of one or an ID token, valid or not.
    pub(super) fn by_identifier(&self, inbound: &HeaderMap) -> bool {
        self.invalid || !self.dii.is_empty() || headers::has_id_token(inbound)
    }

    /// Only an authenticated caller's word yields an identity (or anybody's, where the publisher says so), and of it the first user id that the DII guard left; but
    /// markers count for whoever is named, wherever, by whom: that only tightens.
    pub(super) fn subject(
        self,
        shared: &Shared,
        (settings, scope): (&PublisherSettings, Scope),
        (guarded, inbound): (&BidRequest, &HeaderMap),
        authenticated: bool,
    ) -> Subject {
        let believed = settings.believes(Hint::User, authenticated);
        let left = |place| match place {
            UserIdFrom::Header => true,
            UserIdFrom::Ext => guarded.publisher_user_id().is_some(),
            UserIdFrom::UserId => guarded.user_id().is_some(),
        };
        let user = self.users.iter().find(|(place, _)| left(*place)).map(|(_, key)| *key);
        let tenant = settings.tenant(scope);
        let owners = self.dii.iter().map(|hash| shared.identities.dii_key(tenant, hash));
        let mut subject = Subject {
            user: user.filter(|_| believed),
            claimed: claimed::claimed(
                shared,
                (settings, scope),
                (guarded, inbound),
                (authenticated, self.dii.first(), self.invalid),
            ),
            named: self.users.iter().map(|(_, key)| *key).chain(owners).collect(),
            elsewhere: self.elsewhere,
            ..Subject::default()
        };
        add_browser(shared, (settings, scope), inbound, &mut subject);
        add_session(shared, (settings, scope), inbound, &mut subject);
        subject
    }
}

/// What the browser's cookies say. An opt-out counts always; the identity in them only where the publisher
/// wants it, and never from another site's page, unless `server.cors_origins` has it.
fn add_browser(
    shared: &Shared,
    (settings, scope): (&PublisherSettings, Scope),
    inbound: &HeaderMap,
    subject: &mut Subject,
) {
    if !inbound.contains_key(COOKIE) {
        return;
    }
    let believed = settings.hints.contains(&Hint::Cookie) && shared.origins.trusts(inbound);
    for tenant in settings.tenants() {
        let own = tenant.scope() == scope;
        if !own && tenant.cookie().is_none() {
            continue;
        }
        let cookies = inbound.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        let (claim, cookie) = shared.identities.browser(tenant, cookies);
        let opted_out = claim == Some(Claim::OptedOut);
        if own && subject.browser.is_none() {
            subject.browser = claim.filter(|_| believed || opted_out);
            // Whom it names is looked for among those who left, whether it is believed or not.
            subject.named.extend(cookie.iter().flat_map(|cookie| cookie.keys()));
            subject.elsewhere.extend(cookie.as_deref().and_then(OwnCookie::other));
            subject.cookie = cookie.filter(|_| believed);
        } else if opted_out {
            subject.browser = claim;
        } else {
            // Who left under the other scope is not represented under this one either.
            subject.elsewhere.extend(cookie.iter().flat_map(|cookie| cookie.keys()));
        }
    }
}

/// Whoever session tokens name. Of several none yields an identity: nobody could say whose it is.
fn add_session(
    shared: &Shared,
    (settings, scope): (&PublisherSettings, Scope),
    inbound: &HeaderMap,
    subject: &mut Subject,
) {
    if !settings.hints.contains(&Hint::Session) {
        return;
    }
    let mut sent = 0;
    for text in headers::sessions(inbound) {
        sent += 1;
        let Some(ticket) = shared.identities.session_of(&settings.identity, text) else { continue };
        let (here, there) = if ticket.scope() == scope {
            (Some(ticket.key()), ticket.other())
        } else {
            (ticket.other(), Some(ticket.key()))
        };
        subject.named.extend(here);
        subject.elsewhere.extend(there);
        subject.session = (ticket.scope() == scope).then(|| Box::new(ticket));
    }
    if sent > 1 {
        subject.session = None;
    }
}
