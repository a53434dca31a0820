//! The identity API: login, state, token, logout. Publisher API key on every call; never echoes DII.

mod batch;
mod body;
mod caller;
mod fault;
mod handed;
mod lines;
mod login;
mod said;
mod stored;
mod tenants;
mod user_id;

use ::http::{Method, Request};
use hyper::body::Incoming;

use super::growing::{self, Content};
use super::live::Room;
use super::reply::{self, Reply};
use crate::gateway::{Peer, Publisher, denial_label, regime};
use crate::identity::Status;
use crate::privacy::{self, Consent, Regime, Rules, Said, Signals};
use crate::secret::Secret;
use crate::time::UnixMillis;
use crate::uid2::{AdvertisingToken, Identity, Scope};

use caller::Caller;
pub(super) use fault::Fault;
pub(super) use handed::Handed;
use user_id::UserId;

const BASE: &str = "/v1/identity";

/// What a call answers, without statuses.
#[derive(Debug)]
pub(super) enum Answer {
    /// A login that gave an identity.
    LoggedIn {
        /// UID2 or EUID.
        scope: Scope,
        /// The identity.
        identity: Box<Identity>,
        /// The caller asked for the six-field body.
        return_identity: bool,
        /// A session token, when it asked for one.
        session: Option<Secret<String>>,
    },
    /// Any other answer, and cookies with it.
    Handed(Box<Handed>),
    /// The user opted out of UID2 or EUID.
    OptedOut,
    /// Privacy forbids it; the operator was not asked.
    Denied(&'static str),
    /// State of a record, without secrets.
    Status {
        /// The one that counts.
        status: Status,
        /// That of the other scope, for a publisher that has both.
        other: Option<Status>,
    },
    /// The current advertising token.
    Token {
        /// The token.
        token: AdvertisingToken,
        /// When it dies.
        identity_expires: UnixMillis,
    },
    /// Logged out, opted out or stored (also when there was nothing to do).
    Done,
}

/// One call.
pub(super) async fn call(room: &Room, request: Request<Incoming>, peer: Peer) -> Reply {
    reply::identity(attempt(room, request, peer).await)
}

/// Where many log in at once.
pub(super) const BATCH: &str = "/v1/identity/batch";

/// Many logins in one call, answered as they come.
pub(super) async fn batch(room: &Room, request: Request<Incoming>, peer: Peer) -> growing::Answer {
    match batch::begin(room, request, peer).await {
        Ok(answers) => reply::lines(answers),
        Err(fault) => reply::identity(Err(fault)).map(Content::Whole),
    }
}

async fn attempt(room: &Room, request: Request<Incoming>, peer: Peer) -> Result<Answer, Fault> {
    if !peer.is_private(room.settings().insecure_identity) {
        return Err(Fault::TlsRequired);
    }
    let by_friend = room.gateway().shared().origins.trusts(request.headers());
    let answer = routed(room, request).await?;
    Ok(match answer {
        // A page of somebody else's site keeps nothing of ours.
        Answer::Handed(handed) if !by_friend => handed.answer,
        answer => answer,
    })
}

async fn routed(room: &Room, request: Request<Incoming>) -> Result<Answer, Fault> {
    let directory = &room.gateway().shared().directory;
    let is_login = request.uri().path() == BASE && request.method() == Method::POST;
    let caller = Caller::of(directory, (request.headers(), request.extensions().get()), is_login)?;
    let rest = request.uri().path().strip_prefix(BASE).unwrap_or_default();
    if rest.is_empty() {
        return match *request.method() {
            Method::POST => login::login(room, &caller, request).await,
            _ => Err(Fault::Method("POST")),
        };
    }
    let mut parts = rest.strip_prefix('/').unwrap_or(rest).splitn(2, '/');
    let user = UserId::from_path(parts.next().unwrap_or_default())?;
    let part = parts.next();
    match (part, request.method()) {
        (None, &Method::GET) => stored::status(room, &caller, &user).await,
        (None, &Method::PUT) => stored::import(room, &caller, &user, request).await,
        (None, &Method::DELETE) => stored::logout(room, &caller, &user).await,
        (None, _) => Err(Fault::Method("GET, PUT, DELETE")),
        (Some("token"), &Method::GET) => stored::token(room, &caller, &user, request.uri().query()).await,
        (Some("token"), _) => Err(Fault::Method("GET")),
        (Some("refresh"), &Method::POST) => stored::refresh(room, &caller, &user).await,
        (Some("refresh"), _) => Err(Fault::Method("POST")),
        (Some("optout"), &Method::PUT) => stored::opt_out(room, &caller, &user).await,
        (Some("optout"), &Method::DELETE) => stored::opt_in(room, &caller, &user).await,
        (Some("optout"), _) => Err(Fault::Method("PUT, DELETE")),
        (Some(_), _) => Err(Fault::NoPath),
    }
}

/// May this publisher ask for this user, as far as what was said at login tells?
fn consent(
    room: &Room,
    (publisher, scope): (&Publisher, Scope),
    said: &Said,
    judge: Judge,
) -> Result<Consent, &'static str> {
    let settings = &publisher.settings;
    let gvl = room.gateway().shared().vendors.current();
    let rules = Rules { policy: &settings.policy, gvl: &gvl };
    judge(&said.signals(), rules, regime(scope)).map_err(denial_label)
}

type Judge = fn(&Signals<'_>, Rules<'_>, Regime) -> Result<Consent, privacy::Reason>;
