//! Bytes → a request we understand: publisher, subject, privacy verdict, time budget.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use smallvec::SmallVec;

use super::budget::Budget;
use super::certified::Certified;
use super::directory::Publisher;
use super::outcome::{Reject, RejectKind};
use super::subject::Named;
use super::{Leg, Shared, dii, headers, signals};
use crate::identity::{self, Subject};
use crate::openrtb::BidRequest;
use crate::privacy::{self, Regime, Rules, StripWhat, Verdict};
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

/// Whom a presented key or certificate belongs to; nobody when none was presented. Made from the head alone, so that a stranger's body
/// is not even read where a key is required.
#[derive(Clone, Debug)]
pub struct Caller(pub(super) Option<Arc<Publisher>>);

impl Caller {
    /// Looks at `Authorization`, then at the connection's certificate. One that was presented and is not known is refused,
    /// never ignored.
    pub fn of(shared: &Shared, headers: &HeaderMap, certified: Option<&Certified>) -> Result<Self, Reject> {
        match headers::bearer(headers).map_err(Reject::early)? {
            Some(key) => {
                let publisher =
                    shared.directory.by_key(key).ok_or(RejectKind::UnknownKey).map_err(Reject::early)?;
                Ok(Self(Some(Arc::clone(publisher))))
            }
            None if certified.is_some() => {
                let publisher = certified.and_then(|certified| shared.directory.by_certificate(certified));
                let publisher = publisher.ok_or(RejectKind::UnknownCertificate).map_err(Reject::early)?;
                Ok(Self(Some(Arc::clone(publisher))))
            }
            None if shared.require_key => Err(Reject::early(RejectKind::KeyRequired)),
            None => Ok(Self(None)),
        }
    }

    /// Counts the request of a publisher that is known by now; any other is counted once its body names the publisher.
    pub fn count_one(&self, now: Instant) -> Result<(), Reject> {
        self.0.as_ref().map_or(Ok(()), |publisher| publisher.count_one(now))
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
    /// The connection is TLS, and ours to the end.
    pub tls: bool,
}

impl Peer {
    /// Nobody between us reads along: TLS, or plain HTTP from loopback, from a trusted proxy, or where it was allowed.
    pub fn is_private(self, insecure: bool) -> bool {
        insecure || self.tls || self.trusted || self.ip.is_loopback()
    }
}

/// A request that will be forwarded.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked for by another stage")]
pub(super) struct Admitted {
    pub publisher: Arc<Publisher>,
    pub request: BidRequest,
    pub subject: Subject,
    /// The scope that the request is about: the publisher's own, or the one of its two that the request asks for.
    pub scope: Scope,
    /// What the table of that scope says.
    pub verdict: Verdict,
    /// What the table of the other scope says of entries of that scope, when there are any or may be.
    pub other: Option<Verdict>,
    /// Routed SSPs (by index) that may get no EUID though the user may be known to others, and what goes there.
    pub unconsented: SmallVec<[(usize, StripWhat); 4]>,
    /// `Sec-GPC: 1` came with the request, and is to be written into it.
    pub fill_gpc: bool,
    /// The request already holds an entry of that scope.
    pub theirs: bool,
    /// Key and `match` rule name different publishers.
    pub mismatch: bool,
    /// The caller may be told what happened.
    pub debug: bool,
    /// The caller's headers.
    pub inbound: HeaderMap,
    pub budget: Budget,
}

impl Admitted {
    /// Everybody the request names besides the user.
    pub(super) fn others(&self) -> Subject {
        let named = self.subject.named.iter().filter(|key| Some(**key) != self.subject.user);
        Subject { named: named.copied().collect(), ..Subject::default() }
    }

    /// An entry of the other scope stands in the request and may stay: never both UID2 and EUID.
    pub(super) fn other_stays(&self) -> bool {
        let there = self.request.eids().has_source(self.scope().other().source());
        there && self.other.is_some_and(|verdict| !matches!(verdict, Verdict::Strip(..)))
    }

    /// What row 6 of the privacy table takes from this one SSP, for the consent it asks of each.
    pub(super) fn leg_strip(&self, ssp: usize) -> Option<StripWhat> {
        self.unconsented.iter().find(|(index, _)| *index == ssp).map(|(_, what)| *what)
    }

    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    /// The publisher as a tenant of that scope.
    pub(super) fn tenant(&self) -> &identity::Publisher {
        self.publisher.settings.tenant(self.scope)
    }
}

/// Scans the body, finds the publisher and judges privacy.
pub(super) fn admit(shared: &Shared, legs: &[Leg], inbound: Inbound) -> Result<Admitted, Reject> {
    let Inbound { headers: inbound, caller, body, started, peer } = inbound;
    let request = BidRequest::parse(body, &shared.limits)
        .map_err(|fault| Reject { publisher: caller.publisher(), kind: RejectKind::BadRequest(fault) })?;
    let matched = shared.directory.by_match(&request, headers::host(&inbound));
    let mismatch = caller.publisher().is_some_and(|own| matched.is_some_and(|other| other.index != own));
    let by_key = caller.0.is_some();
    let publisher = match caller.0.as_ref().or(matched).or(shared.directory.fallback()) {
        Some(publisher) => Arc::clone(publisher),
        None => return Err(Reject::early(RejectKind::NoPublisher)),
    };
    if !by_key {
        publisher.count_one(started)?;
    }
    let sec_gpc = headers::sec_gpc(&inbound);
    let scope = publisher.settings.scope_for(|| signals::of_request(&request, sec_gpc));
    // First who is named, in the request as it came: whom the guard cuts may have left all the same. Then the guard. Last
    // who of them may yield an identity: nobody whom it cut.
    let named = Named::by(shared, (&publisher.settings, scope), (&request, &inbound));
    if !peer.is_private(shared.insecure_identity) && named.by_identifier(&inbound) {
        return Err(Reject { publisher: Some(publisher.index), kind: RejectKind::TlsRequired });
    }
    let request = dii::guarded(shared, &publisher, request, &named.dii)
        .map_err(|kind| Reject { publisher: Some(publisher.index), kind })?;
    let authenticated = by_key || peer.trusted;
    let debug = authenticated && shared.debug.admits(&publisher.settings.id);
    let subject = named.subject(shared, (&publisher.settings, scope), (&request, &inbound), authenticated);
    let theirs = request.eids().has_source(scope.source());
    let other = request.eids().may_have_source(scope.other().source()).then(|| scope.other());
    let Judged { verdict, other, unconsented } = {
        let gvl = shared.vendors.current();
        let rules = Rules { policy: &publisher.settings.policy, gvl: &gvl };
        judged(&signals::of_request(&request, sec_gpc), rules, (scope, other), (&publisher, legs))
    };
    let fill_gpc = sec_gpc && publisher.settings.policy.fill_gpc;
    let budget =
        Budget::new(started, request.tmax(), publisher.settings.ssps.iter().filter_map(|&ssp| legs.get(ssp)));
    Ok(Admitted {
        publisher,
        request,
        subject,
        scope,
        verdict,
        other,
        unconsented,
        fill_gpc,
        theirs,
        mismatch,
        debug,
        inbound,
        budget,
    })
}

/// What the privacy table says of one request.
struct Judged {
    verdict: Verdict,
    other: Option<Verdict>,
    unconsented: SmallVec<[(usize, StripWhat); 4]>,
}

/// Judges the scope of the request, the other one where it matters, and each SSP where an EUID may go.
fn judged(
    signals: &privacy::Signals<'_>,
    rules: Rules<'_>,
    (scope, other): (Scope, Option<Scope>),
    (publisher, legs): (&Publisher, &[Leg]),
) -> Judged {
    let judge = |scope| (privacy::judge(signals, rules, signals::regime(scope)), signals::regime(scope));
    let (own, other) = (judge(scope), other.map(judge));
    let euid = [Some(own), other].into_iter().flatten().find(|(_, regime)| *regime == Regime::Euid);
    let unconsented = |&ssp: &usize| {
        let (verdict, _) = euid.filter(|(verdict, _)| !matches!(verdict, Verdict::Strip(..)))?;
        match privacy::judge_leg(verdict, signals, rules, legs.get(ssp)?.settings.gvl_id) {
            Verdict::Strip(what, _) => Some((ssp, what)),
            Verdict::Inject(_) | Verdict::Pass(_) => None,
        }
    };
    let unconsented = publisher.settings.ssps.iter().filter_map(unconsented).collect();
    Judged { verdict: own.0, other: other.map(|(verdict, _)| verdict), unconsented }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_private_from_near_or_trusted_peers_alone() {
        let peer = |ip: &str, trusted, tls| Peer { ip: ip.parse().unwrap(), trusted, tls };
        assert!(!peer("203.0.113.9", false, false).is_private(false));
        assert!(peer("203.0.113.9", false, true).is_private(false), "TLS");
        assert!(peer("203.0.113.9", true, false).is_private(false), "a trusted proxy");
        for near in ["127.0.0.1", "::1"] {
            assert!(peer(near, false, false).is_private(false), "{near}");
        }
        assert!(peer("203.0.113.9", false, false).is_private(true), "allowed");
    }
}
