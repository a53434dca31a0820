//! What a login or logout hands out for the user's own device: the publisher's cookie, and a session token.

use super::user_id::Who;
use super::{Answer, Fault};
use crate::gateway::Publisher;
use crate::identity;
use crate::secret::Secret;
use crate::server::live::Room;
use crate::store::RecordKey;
use crate::uid2::Identity;
use crate::uid2::cookie::write::Attributes;

/// What a login asks for besides its answer.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) cookie: bool,
    pub(super) session: bool,
}

/// An answer with the cookies that go with it, as values of `Set-Cookie`.
#[derive(Debug)]
pub(in crate::server) struct Handed {
    /// The answer.
    pub(in crate::server) answer: Answer,
    /// The cookies.
    pub(in crate::server) cookies: Vec<Secret<String>>,
}

impl Wanted {
    /// Nobody is logged in who asks for what there is not.
    pub(super) fn checked(self, publisher: &Publisher) -> Result<Self, Fault> {
        let keeps = publisher.settings.identity.cookie().is_some();
        if self.cookie && !keeps {
            return Err(Fault::bad("set_cookie", "needs publisher.cookie in the configuration"));
        }
        Ok(self)
    }

    /// A session token for who has just logged in.
    pub(super) async fn session(
        self,
        room: &Room,
        (publisher, tenant): (&Publisher, &identity::Publisher),
        who: &Who,
    ) -> Result<Option<Secret<String>>, Fault> {
        if !self.session {
            return Ok(None);
        }
        let identities = &room.gateway().shared().identities;
        let (key, other) = keys(room, (publisher, tenant), who);
        Ok(identities.session(tenant, key, other).await?)
    }

    /// The answer to a login that gave an identity, with the cookie that holds it.
    pub(super) fn kept(
        self,
        room: &Room,
        (publisher, tenant): (&Publisher, &identity::Publisher),
        (who, identity): (&Who, &Identity),
        answer: Answer,
    ) -> Answer {
        let of_login = || {
            let keys = keys(room, (publisher, tenant), who);
            room.gateway().shared().identities.cookie_of_login(tenant, keys, identity)
        };
        with(answer, self.cookie.then(of_login).flatten())
    }

    /// The answer to a login of somebody who opted out, with the cookie that says so.
    pub(super) fn opted_out(self, room: &Room, tenant: &identity::Publisher) -> Answer {
        let identities = &room.gateway().shared().identities;
        with(Answer::OptedOut, self.cookie.then(|| identities.cookie_of_opt_out(tenant)).flatten())
    }
}

/// An answer that takes the publisher's cookies away.
pub(super) fn without_cookies(publisher: &Publisher, answer: Answer) -> Answer {
    let removed = |tenant: &identity::Publisher| tenant.cookie().map(Attributes::removed);
    with(answer, publisher.settings.tenants().filter_map(removed))
}

fn with(answer: Answer, cookies: impl IntoIterator<Item = String>) -> Answer {
    let cookies: Vec<_> = cookies.into_iter().map(Secret::new).collect();
    if cookies.is_empty() { answer } else { Answer::Handed(Box::new(Handed { answer, cookies })) }
}

/// The user's key here, and under the publisher's other scope.
fn keys(
    room: &Room,
    (publisher, tenant): (&Publisher, &identity::Publisher),
    who: &Who,
) -> (RecordKey, Option<RecordKey>) {
    let identities = &room.gateway().shared().identities;
    let other = publisher.settings.others(tenant.scope()).next();
    (who.key(identities, tenant), other.map(|other| who.key(identities, other)))
}
