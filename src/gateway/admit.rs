//! Bytes → a request we understand: publisher, subject, privacy verdict, time budget.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;

use super::directory::{Hint, Publisher, UserIdFrom};
use super::outcome::{Reject, RejectKind};
use super::{Shared, headers, signals};
use crate::identity::Subject;
use crate::openrtb::BidRequest;
use crate::privacy::{self, Verdict};
use crate::uid2::Scope;

/// An ad request as the server hands it over: body read whole and inflated.
#[derive(Debug)]
pub struct Inbound {
    /// The caller's headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When its first byte was read.
    pub started: Instant,
    /// Who sent it.
    pub peer: Peer,
}

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub ip: IpAddr,
    /// It stands in `server.trusted_proxies`, so it counts as authenticated.
    pub trusted: bool,
}

/// A request that will be forwarded.
#[derive(Debug)]
pub(super) struct Admitted {
    pub publisher: Arc<Publisher>,
    pub request: BidRequest,
    pub subject: Subject,
    /// What the publisher's own scope allows.
    pub verdict: Verdict,
    /// What the table of the other scope says of entries of that scope, when there are any.
    pub other: Option<Verdict>,
    /// The request already holds an entry of the publisher's own scope.
    pub theirs: bool,
    /// Key and `match` rule name different publishers.
    pub mismatch: bool,
    /// Headers that every SSP gets.
    pub headers: HeaderMap,
    /// The caller's headers, for `ssp.forward_headers`.
    pub inbound: HeaderMap,
    pub started: Instant,
}

impl Admitted {
    /// An entry of the other scope stands in the request and may stay: never both UID2 and EUID.
    pub(super) fn other_stays(&self) -> bool {
        self.other.is_some_and(|verdict| !matches!(verdict, Verdict::Strip(..)))
    }

    pub(super) fn scope(&self) -> Scope {
        self.publisher.settings.identity.scope()
    }
}

/// Scans the body, finds the publisher and judges privacy.
pub(super) fn admit(shared: &Shared, inbound: Inbound) -> Result<Admitted, Reject> {
    let Inbound { headers: inbound, body, started, peer } = inbound;
    let key = headers::bearer(&inbound).map_err(Reject::early)?;
    let request = BidRequest::parse(body, &shared.limits).map_err(|fault| {
        let publisher = key.and_then(|k| shared.directory.by_key(k)).map(|p| p.index);
        Reject { publisher, kind: RejectKind::BadRequest(fault) }
    })?;
    let host = headers::host(&inbound);
    let found = shared.directory.find(key, &request, host, shared.require_key).map_err(Reject::early)?;
    let publisher = Arc::clone(found.publisher);
    let mismatch = found.by_key
        && shared.directory.by_match(&request, host).is_some_and(|named| named.index != publisher.index);
    let subject = if found.by_key || peer.trusted {
        subject(shared, &publisher, &request, &inbound)
    } else {
        Subject::default()
    };
    let scope = publisher.settings.identity.scope();
    let has = |scope: Scope| request.eids().has_source(scope.source());
    let theirs = has(scope);
    let (verdict, other) = {
        let signals = signals::of_request(&request, headers::sec_gpc(&inbound));
        let judge = |scope| privacy::judge(&signals, &publisher.settings.policy, signals::regime(scope));
        (judge(scope), has(scope.other()).then(|| judge(scope.other())))
    };
    let headers = headers::forwarded(&inbound);
    Ok(Admitted { publisher, request, subject, verdict, other, theirs, mismatch, headers, inbound, started })
}

/// The user that an authenticated caller names: the first place of `user_id_from` that holds something.
fn subject(shared: &Shared, publisher: &Publisher, request: &BidRequest, inbound: &HeaderMap) -> Subject {
    let settings = &publisher.settings;
    if !settings.hints.contains(&Hint::User) {
        return Subject::default();
    }
    let key = |id: &[u8]| shared.identities.user_key(&settings.identity, id);
    let user = settings.user_id_from.iter().find_map(|place| match place {
        UserIdFrom::Header => headers::publisher_user_id(inbound).map(key),
        UserIdFrom::Ext => request.publisher_user_id().map(|id| key(id.as_bytes())),
        UserIdFrom::UserId => request.user_id().map(|id| key(id.as_bytes())),
    });
    Subject { user }
}
