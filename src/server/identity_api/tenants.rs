//! The scopes of a publisher as calls about a known user see them: one tenant, or UID2 and EUID side by side.

use std::borrow::Cow;

use super::Fault;
use super::caller::Caller;
use super::user_id::UserId;
use crate::identity::{self, LoginError, Phase, Status};
use crate::server::live::Room;

/// What each tenant knows of the user, the one that counts first: an opt-out, else what can be used, else what is newest.
/// After a logout there is nothing to tell: the marker that makes late answers lose is ours alone.
pub(super) async fn states<'a>(
    room: &Room,
    caller: &Caller<'a>,
    user: &UserId,
) -> Result<Vec<(Cow<'a, identity::Publisher>, Status)>, Fault> {
    let identities = &room.gateway().shared().identities;
    let mut known = Vec::new();
    for tenant in caller.tenants() {
        let status = identities.status(&tenant, user.as_bytes()).await?;
        known.extend(status.filter(|it| it.phase != Phase::LoggedOut).map(|it| (tenant, it)));
    }
    known.sort_by_key(|(_, status)| std::cmp::Reverse(rank(status)));
    Ok(known)
}

/// The tenant that is asked about the user; without credentials of both scopes nothing is read for it.
pub(super) async fn current<'a>(
    room: &Room,
    caller: &Caller<'a>,
    user: &UserId,
) -> Result<Cow<'a, identity::Publisher>, Fault> {
    let settings = &caller.publisher().settings;
    if settings.euid.is_none() {
        return Ok(caller.acting(&settings.identity));
    }
    let first = states(room, caller, user).await?.into_iter().next();
    Ok(first.map_or_else(|| caller.acting(&settings.identity), |(tenant, _)| tenant))
}

fn rank(status: &Status) -> (bool, bool, i64) {
    let is = |phases: &[Phase]| phases.contains(&status.phase);
    (is(&[Phase::OptedOut]), is(&[Phase::Fresh, Phase::Due, Phase::Lapsed]), status.created.0)
}

/// Acts on a user under each scope. A provider may be a stranger under one of them: it is refused where it is under all.
pub(super) async fn each<F>(caller: &Caller<'_>, act: F) -> Result<(), Fault>
where
    F: AsyncFn(&identity::Publisher) -> Result<(), LoginError>,
{
    let (mut done, mut refused) = (false, None);
    for tenant in caller.tenants() {
        match act(&tenant).await {
            Ok(()) => done = true,
            Err(fault @ LoginError::NotTheirs) => refused = Some(fault),
            Err(fault) => return Err(fault.into()),
        }
    }
    match refused {
        Some(fault) if !done => Err(fault.into()),
        _ => Ok(()),
    }
}
