//! What a login says of privacy: whether there may be an identity, and what becomes of those that earlier logins made, of
//! this scope and of the other.

use super::caller::Caller;
use super::user_id::Who;
use super::{Answer, Fault, tenants};
use crate::gateway::{denial_label, regime};
use crate::identity::{self, Denial, LoginError, Notice};
use crate::privacy::Said;
use crate::server::live::Room;
use crate::uid2::{DiiHash, Scope};

/// Most sections that a `gpp_sid` may name: a record keeps no more.
pub(super) const MAX_SECTIONS: usize = 255;

/// Whether the login lacks the assertion that the user was told.
pub(super) fn lacks_notice(tenant: &identity::Publisher, said: &Said) -> bool {
    tenant.notice() == Notice::PerLogin && said.notice != Some(true)
}

/// There is no identity for what the user says now, and what earlier logins made ends, of either scope.
pub(super) async fn refused(
    room: &Room,
    caller: &Caller<'_>,
    (who, dii): (&Who, &DiiHash),
    (said, reason): (&Said, &'static str),
) -> Result<Answer, Fault> {
    let identities = &room.gateway().shared().identities;
    let refuse = async |tenant: &identity::Publisher| {
        identities.refuse_with(tenant, (who.key(identities, tenant), dii), said).await
    };
    tenants::each(caller, refuse).await?;
    Ok(Answer::Denied(reason))
}

/// The tombstone under the other scope than this, for a publisher that has both: taken before a login begins.
pub(super) async fn left(
    room: &Room,
    caller: &Caller<'_>,
    who: &Who,
    scope: Scope,
) -> Result<Option<u64>, Fault> {
    let identities = &room.gateway().shared().identities;
    match caller.others(scope).next() {
        Some(other) => Ok(identities.left(who.key(identities, &other)).await?),
        None => Ok(None),
    }
}

/// A login gave an identity of this scope. Under the other the user is no longer one who left before it, unless what they
/// say forbids that one until they log in again.
pub(super) async fn beside(
    room: &Room,
    caller: &Caller<'_>,
    (who, dii): (&Who, &DiiHash),
    (said, scope, left): (&Said, Scope, Option<u64>),
) -> Result<(), Fault> {
    let identities = &room.gateway().shared().identities;
    for other in caller.others(scope) {
        let key = who.key(identities, &other);
        let done = match (said.sticking(regime(other.scope())), left) {
            (Some(_), _) => identities.refuse_with(&other, (key, dii), said).await,
            (None, Some(tombstone)) => identities.readmit(&other, key, tombstone).await,
            (None, None) => Ok(()),
        };
        match done {
            // The login stands; under the other scope the user is not the provider's.
            Ok(()) | Err(LoginError::NotTheirs) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(())
}

/// Why nothing is handed out.
pub(super) fn told(denial: Denial) -> &'static str {
    match denial {
        Denial::Privacy(reason) => denial_label(reason),
        Denial::Notice => "notice",
        Denial::OptedOut => "optout",
        Denial::LoggedOut => "logged_out",
    }
}
