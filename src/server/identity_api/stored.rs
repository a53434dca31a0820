//! Calls about a user who is known already: state, token, import, refresh, opt-out, logout.

use ::http::Request;
use hyper::body::Incoming;

use super::caller::Caller;
use super::user_id::UserId;
use super::{Answer, Fault, body, consent, handed, said, tenants};
use crate::identity::{Imported, LoginAnswer, TokenAnswer, Unfit};
use crate::privacy::{self, Said};
use crate::server::live::Room;
use crate::uid2::wire;

/// Largest identity handed over, bytes: the three strings of one are below 2 KiB.
const MAX_IMPORT_BYTES: usize = 16 * 1024;

pub(super) async fn status(room: &Room, caller: &Caller<'_>, user: &UserId) -> Result<Answer, Fault> {
    let mut known = tenants::states(room, caller, user).await?.into_iter().map(|(_, status)| status);
    let status = known.next().ok_or(Fault::NotFound)?;
    Ok(Answer::Status { status, other: known.next() })
}

pub(super) async fn logout(room: &Room, caller: &Caller<'_>, user: &UserId) -> Result<Answer, Fault> {
    let identities = &room.gateway().shared().identities;
    for tenant in caller.tenants() {
        identities.logout(&tenant, user.as_bytes()).await?;
    }
    Ok(handed::without_cookies(caller.publisher(), Answer::Done))
}

pub(super) async fn opt_out(room: &Room, caller: &Caller<'_>, user: &UserId) -> Result<Answer, Fault> {
    let identities = &room.gateway().shared().identities;
    tenants::each(caller, async |tenant| identities.opt_out_at_site(tenant, user.as_bytes()).await).await?;
    Ok(Answer::Done)
}

pub(super) async fn opt_in(room: &Room, caller: &Caller<'_>, user: &UserId) -> Result<Answer, Fault> {
    let identities = &room.gateway().shared().identities;
    tenants::each(caller, async |tenant| identities.opt_in_at_site(tenant, user.as_bytes()).await).await?;
    Ok(Answer::Done)
}

pub(super) async fn token(
    room: &Room,
    caller: &Caller<'_>,
    user: &UserId,
    query: Option<&str>,
) -> Result<Answer, Fault> {
    let min_ttl = min_ttl(query)?;
    // What the user consented to was asked at login; every auction asks for itself.
    let tenant = tenants::current(room, caller, user).await?;
    let consent =
        match consent(room, (caller.publisher(), tenant.scope()), &Said::default(), privacy::judge_stored) {
            Ok(consent) => consent,
            Err(reason) => return Ok(Answer::Denied(reason)),
        };
    let identities = &room.gateway().shared().identities;
    let answer = identities.token(&tenant, user.as_bytes(), min_ttl, consent).await;
    match answer? {
        TokenAnswer::Token { token, identity_expires } => Ok(Answer::Token { token, identity_expires }),
        TokenAnswer::NotFound => Err(Fault::NotFound),
        TokenAnswer::OptedOut => Err(Fault::OptedOut),
        TokenAnswer::Denied(denial) => Ok(Answer::Denied(said::told(denial))),
    }
}

/// `min_ttl=SECONDS`; other parameters are refused, so that a typing error is seen.
fn min_ttl(query: Option<&str>) -> Result<Option<std::time::Duration>, Fault> {
    let Some(query) = query.filter(|q| !q.is_empty()) else { return Ok(None) };
    match query.split_once('=') {
        Some(("min_ttl", seconds)) => seconds
            .parse()
            .map(|s| Some(std::time::Duration::from_secs(s)))
            .map_err(|_| Fault::bad("min_ttl", "must be a whole number of seconds")),
        _ => Err(Fault::bad("query", "only min_ttl is known")),
    }
}

pub(super) async fn refresh(room: &Room, caller: &Caller<'_>, user: &UserId) -> Result<Answer, Fault> {
    let tenant = tenants::current(room, caller, user).await?;
    let consent =
        match consent(room, (caller.publisher(), tenant.scope()), &Said::default(), privacy::judge_stored) {
            Ok(consent) => consent,
            Err(reason) => return Ok(Answer::Denied(reason)),
        };
    let identities = &room.gateway().shared().identities;
    match identities.refresh_now(&tenant, user.as_bytes(), consent).await? {
        Some(LoginAnswer::Active(identity)) => Ok(Answer::LoggedIn {
            scope: tenant.scope(),
            identity: Box::new(identity),
            return_identity: false,
            session: None,
        }),
        Some(LoginAnswer::Denied(denial)) => Ok(Answer::Denied(said::told(denial))),
        Some(_) => Ok(Answer::OptedOut),
        None => Err(Fault::NotFound),
    }
}

pub(super) async fn import(
    room: &Room,
    caller: &Caller<'_>,
    user: &UserId,
    request: Request<Incoming>,
) -> Result<Answer, Fault> {
    let own = caller.acting(&caller.publisher().settings.identity);
    room.gateway().shared().identities.may_ask(&own, user.as_bytes(), false).await?;
    let bytes = body::read(room, request, (&["application/json"], MAX_IMPORT_BYTES)).await?;
    let unfit = |reason| Fault::Unprocessable { member: "body", code: "identity_unfit", reason };
    if serde_json::from_slice::<serde::de::IgnoredAny>(bytes.expose()).is_err() {
        return Err(Fault::bad("body", "is not JSON"));
    }
    let identity = wire::parse_identity(bytes.expose()).map_err(|fault| {
        let text = fault.to_string();
        let told = text.strip_prefix("answer ").or_else(|| text.strip_prefix("answer's ")).unwrap_or(&text);
        unfit(told.to_owned().into())
    })?;
    let token = &identity.advertising_token;
    let settings = &caller.publisher().settings;
    let tenant = settings.tenants().find(|tenant| token.looks_made_for(tenant.scope()));
    let tenant = caller.acting(tenant.unwrap_or(&settings.identity));
    let consent =
        match consent(room, (caller.publisher(), tenant.scope()), &Said::default(), privacy::judge_stored) {
            Ok(consent) => consent,
            Err(reason) => return Ok(Answer::Denied(reason)),
        };
    let identities = &room.gateway().shared().identities;
    match identities.import(&tenant, user.as_bytes(), identity, consent).await? {
        Imported::Stored => Ok(Answer::Done),
        Imported::OptedOut => Err(Fault::OptedOutBefore),
        Imported::Denied(denial) => Err(Fault::Unprocessable {
            member: "user_id",
            code: said::told(denial),
            reason: "only a login may give this user an identity".into(),
        }),
        Imported::Unfit(why) => Err(unfit(match why {
            Unfit::Scope => "advertising_token is not one of this publisher's scope".into(),
            Unfit::Dead => "refresh_expires has passed".into(),
            Unfit::TooLong => "identity_expires or refresh_expires is later than operators issue".into(),
        })),
    }
}
