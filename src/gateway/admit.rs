//! Bytes → a request we understand: publisher, subject, privacy verdict, time budget.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use smallvec::SmallVec;

use super::budget::Budget;
use super::directory::{Hint, Publisher, UserIdFrom};
use super::outcome::{Reject, RejectKind};
use super::{Leg, Shared, headers, signals};
use crate::identity::Subject;
use crate::openrtb::BidRequest;
use crate::privacy::{self, Verdict};
use crate::store::RecordKey;
use crate::uid2::Scope;

/// An ad request as the server hands it over: body read whole and inflated.
#[derive(Debug)]
pub struct Inbound {
    /// The caller's headers.
    pub headers: HeaderMap,
    /// Whom the caller's key proved it to be.
    pub caller: Caller,
    /// The body.
    pub body: Bytes,
    /// When its first byte was read.
    pub started: Instant,
    /// Who sent it.
    pub peer: Peer,
}

/// Whom a presented key belongs to; nobody when none was presented. Made from the head alone, so that a stranger's body
/// is not even read where a key is required.
#[derive(Clone, Debug)]
pub struct Caller(Option<Arc<Publisher>>);

impl Caller {
    /// Looks at `Authorization`. A presented but unknown key is refused, never ignored.
    pub fn of(shared: &Shared, headers: &HeaderMap) -> Result<Self, Reject> {
        match headers::bearer(headers).map_err(Reject::early)? {
            Some(key) => {
                let publisher =
                    shared.directory.by_key(key).ok_or(RejectKind::UnknownKey).map_err(Reject::early)?;
                Ok(Self(Some(Arc::clone(publisher))))
            }
            None if shared.require_key => Err(Reject::early(RejectKind::KeyRequired)),
            None => Ok(Self(None)),
        }
    }

    /// Index of the publisher.
    pub fn publisher(&self) -> Option<usize> {
        self.0.as_ref().map(|publisher| publisher.index)
    }
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
    pub budget: Budget,
}

impl Admitted {
    /// Everybody the request names besides the user.
    pub(super) fn others(&self) -> Subject {
        let named = self.subject.named.iter().filter(|key| Some(**key) != self.subject.user);
        Subject { user: None, named: named.copied().collect() }
    }

    /// An entry of the other scope stands in the request and may stay: never both UID2 and EUID.
    pub(super) fn other_stays(&self) -> bool {
        self.other.is_some_and(|verdict| !matches!(verdict, Verdict::Strip(..)))
    }

    pub(super) fn scope(&self) -> Scope {
        self.publisher.settings.identity.scope()
    }
}

/// Scans the body, finds the publisher and judges privacy.
pub(super) fn admit(shared: &Shared, legs: &[Leg], inbound: Inbound) -> Result<Admitted, Reject> {
    let Inbound { headers: inbound, caller, body, started, peer } = inbound;
    let request = BidRequest::parse(body, &shared.limits)
        .map_err(|fault| Reject { publisher: caller.publisher(), kind: RejectKind::BadRequest(fault) })?;
    let named = shared.directory.by_match(&request, headers::host(&inbound));
    let mismatch = caller.publisher().is_some_and(|own| named.is_some_and(|named| named.index != own));
    let by_key = caller.0.is_some();
    let publisher = match caller.0.as_ref().or(named).or(shared.directory.fallback()) {
        Some(publisher) => Arc::clone(publisher),
        None => return Err(Reject::early(RejectKind::NoPublisher)),
    };
    let subject = subject(shared, &publisher, (&request, &inbound), by_key || peer.trusted);
    let scope = publisher.settings.identity.scope();
    let has = |scope: Scope| request.eids().has_source(scope.source());
    let theirs = has(scope);
    let (verdict, other) = {
        let signals = signals::of_request(&request, headers::sec_gpc(&inbound));
        let judge = |scope| privacy::judge(&signals, &publisher.settings.policy, signals::regime(scope));
        (judge(scope), has(scope.other()).then(|| judge(scope.other())))
    };
    let budget =
        Budget::new(started, request.tmax(), publisher.settings.ssps.iter().filter_map(|&ssp| legs.get(ssp)));
    let headers = headers::forwarded(&inbound);
    Ok(Admitted { publisher, request, subject, verdict, other, theirs, mismatch, headers, inbound, budget })
}

/// Everybody the request names. Only an authenticated caller's word yields an identity, and of it the first place of
/// `user_id_from` that holds something; but markers count for whoever is named, wherever, by whom: that only tightens.
fn subject(
    shared: &Shared,
    publisher: &Publisher,
    (request, inbound): (&BidRequest, &HeaderMap),
    authenticated: bool,
) -> Subject {
    let settings = &publisher.settings;
    let key = |id: &[u8]| (!id.is_empty()).then(|| shared.identities.user_key(&settings.identity, id));
    let named: SmallVec<[RecordKey; 3]> = settings
        .user_id_from
        .iter()
        .filter_map(|place| match place {
            UserIdFrom::Header => headers::publisher_user_id(inbound).and_then(key),
            UserIdFrom::Ext => request.publisher_user_id().and_then(|id| key(id.as_bytes())),
            UserIdFrom::UserId => request.user_id().and_then(|id| key(id.as_bytes())),
        })
        .collect();
    let believed = authenticated && settings.hints.contains(&Hint::User);
    Subject { user: named.first().copied().filter(|_| believed), named }
}
