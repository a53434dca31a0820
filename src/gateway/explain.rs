//! One request through the stages of [`Gateway::handle`](super::Gateway::handle) up to the point where bytes would
//! leave, with what each stage came to. For people who want to know why; nothing is sent and nothing is counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use smallvec::SmallVec;

use super::admit::{Admitted, admit};
use super::decision::{Decision, decide};
use super::directory::{Publisher, UserIdFrom};
use super::inject::{OutgoingLeg, inject};
use super::outcome::Reject;
use super::reason::ResultLabel;
use super::{Caller, Gateway, Inbound, RejectKind, coding, dii, headers, signals};
use crate::net::gzip::Deflater;
use crate::openrtb::BidRequest;
use crate::openrtb::guard::Hit;
use crate::privacy::{Rules, Verdict, judge_by_row};
use crate::ssp::Settings;
use crate::store::RecordKey;
use crate::time::UnixMillis;
use crate::uid2::Scope;
use crate::uid2::cookie::Claim;

/// What the path makes of one request.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each told in a line of its own")]
pub struct Explanation {
    /// Whose request it is.
    pub publisher: Arc<Publisher>,
    /// The request as it came.
    pub request: BidRequest,
    /// What the DII guard made of it, when it found something.
    pub guarded: Option<Guarded>,
    /// How the publisher was found.
    pub found: Found,
    /// A key and a `match` rule named different publishers; the key won.
    pub mismatch: bool,
    /// The caller is believed about users.
    pub authenticated: bool,
    /// The scope that the request is about: the publisher's own, or the one of its two that the request asks for.
    pub scope: Scope,
    /// The request holds an entry of that scope: the hint `request`.
    pub theirs: bool,
    /// Places that name the publisher's own user, in the order in which they count.
    pub users: Vec<UserIdFrom>,
    /// The one that may yield an identity: the first, of a caller who is believed.
    pub user: Option<UserIdFrom>,
    /// The request claims a valid address, and brings an ID token, that count.
    pub claimed: [bool; 2],
    /// It brings a session token of the publisher's.
    pub session: bool,
    /// What the browser's cookies say, where they are listened to.
    pub browser: Option<Brought>,
    /// What the table says for that scope, and the number of its row.
    pub verdict: (Verdict, u8),
    /// What it says of entries of the other scope, when there are any.
    pub other: Option<(Verdict, u8)>,
    /// What all of it came to.
    pub decision: Decision,
    /// What would leave, in the publisher's order.
    pub legs: Vec<ExplainedLeg>,
}

/// How a publisher was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// By an API key, or because the one who asks named it.
    Key,
    /// By what the request says of its site, app or host.
    Match,
    /// Nothing else fitted: the default.
    Default,
}

/// A request that the DII guard cut something out of. Everything later is done to what is left.
#[derive(Debug)]
pub struct Guarded {
    /// What was cut, in the order of the body as it came.
    pub hits: Vec<Hit>,
    /// What is left, as slices of the body as it came.
    pub pieces: Vec<Bytes>,
    /// The same as one body.
    pub body: Bytes,
}

/// Somebody who would be looked up.
#[derive(Clone, Copy, Debug)]
pub struct Someone {
    /// Under this key.
    pub key: RecordKey,
    /// Their login was then, as far as the request tells.
    pub login: Option<UnixMillis>,
}

/// What the cookies of a browser say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Brought {
    /// An identity.
    Identity,
    /// That its user opted out.
    OptOut,
}

/// What one SSP would get.
#[derive(Debug)]
pub struct ExplainedLeg {
    /// The SSP.
    pub ssp: Arc<Settings>,
    /// What it gets to know of the user.
    pub result: ResultLabel,
    /// Row 7: it lacks consent of its own for an EUID.
    pub unconsented: bool,
    /// The request, unless too little time is left for it.
    pub call: Option<ExplainedCall>,
}

/// A request that would leave.
#[derive(Debug)]
pub struct ExplainedCall {
    /// All its headers but those that frame the message (`Content-Length`); values from the configuration are marked
    /// sensitive.
    pub headers: HeaderMap,
    /// Its body: slices of the body as the guard left it, and what is new between them.
    pub body: SmallVec<[Bytes; 8]>,
    /// It leaves as gzip. `body` is what it holds.
    pub packed: bool,
    /// How long its answer would be waited for.
    pub left: Duration,
}

impl Gateway {
    /// Whose request it is and of which scope, and who would be looked up for it.
    pub fn user_of(&self, inbound: Inbound) -> Result<(Arc<Publisher>, Scope, Option<Someone>), Reject> {
        let admitted = admit(&self.shared, &self.legs, inbound)?;
        let subject = &admitted.subject;
        let someone = |key| Someone { key, login: None };
        let dii = || subject.claimed.as_ref().and_then(|claimed| claimed.dii).map(|(key, _)| someone(key));
        let session = || {
            let ticket = subject.session.as_deref()?;
            Some(Someone { key: ticket.key(), login: Some(ticket.login()) })
        };
        let cookie = || subject.cookie.as_ref().and_then(|cookie| cookie.user()).map(someone);
        let user = subject.user.map(someone).or_else(dii).or_else(session).or_else(cookie);
        Ok((admitted.publisher, admitted.scope, user))
    }

    /// Explains a request. An error is what the caller would be answered, with nothing forwarded.
    pub async fn explain(&self, inbound: Inbound) -> Result<Explanation, Reject> {
        let keyed = inbound.caller.publisher().is_some();
        let trusted = inbound.peer.trusted;
        let as_came = inbound.body.clone();
        let admitted = admit(&self.shared, &self.legs, inbound)?;
        let decision = decide(&self.shared, &admitted).await;
        let mut outgoing = inject(&admitted, &decision, &self.legs);
        let decision = decision.confirmed(&outgoing);
        let plain: Vec<_> = outgoing.legs.iter().map(plain).collect();
        coding::pack(&self.legs, &mut outgoing, &Deflater::default());
        let request = BidRequest::parse(as_came, &self.shared.limits)
            .map_err(|fault| Reject::early(RejectKind::BadRequest(fault)))?;
        let scope = admitted.scope();
        let named = self.shared.directory.by_match(&admitted.request, headers::host(&admitted.inbound));
        let found = match named {
            _ if keyed => Found::Key,
            Some(_) => Found::Match,
            None => Found::Default,
        };
        let legs = outgoing.legs.into_iter().zip(plain);
        Ok(Explanation {
            guarded: guarded(&admitted, &request),
            request,
            found,
            mismatch: admitted.mismatch,
            authenticated: keyed || trusted,
            scope,
            theirs: admitted.theirs,
            user: admitted.subject.user.and_then(|_| users(&admitted).first().copied()),
            users: users(&admitted),
            claimed: admitted
                .subject
                .claimed
                .as_ref()
                .map_or([false; 2], |claimed| [claimed.dii.is_some(), claimed.id_token.is_some()]),
            session: admitted.subject.session.is_some(),
            browser: admitted.subject.browser.as_ref().map(|claim| match claim {
                Claim::Held(_) => Brought::Identity,
                Claim::OptedOut => Brought::OptOut,
            }),
            verdict: self.judged(&admitted, scope),
            other: admitted.other.map(|_| self.judged(&admitted, scope.other())),
            decision,
            legs: legs.filter_map(|(leg, plain)| self.explained(&admitted, leg, plain)).collect(),
            publisher: admitted.publisher,
        })
    }

    fn explained(
        &self,
        admitted: &Admitted,
        leg: OutgoingLeg,
        body: SmallVec<[Bytes; 8]>,
    ) -> Option<ExplainedLeg> {
        let target = self.legs.get(leg.ssp)?;
        let call = leg.call.map(|call| ExplainedCall {
            left: call.deadline.remaining(),
            packed: call.headers.contains_key(CONTENT_ENCODING),
            body,
            headers: target.client.headers(&call.headers),
        });
        let unconsented = admitted.leg_strip(leg.ssp).is_some();
        Some(ExplainedLeg { ssp: Arc::clone(&target.settings), result: leg.result, unconsented, call })
    }

    fn judged(&self, admitted: &Admitted, scope: Scope) -> (Verdict, u8) {
        let signals = signals::of_request(&admitted.request, headers::sec_gpc(&admitted.inbound));
        let gvl = self.shared.vendors.current();
        let rules = Rules { policy: &admitted.publisher.settings.policy, gvl: &gvl };
        judge_by_row(&signals, rules, signals::regime(scope))
    }
}

impl Caller {
    /// A caller who is believed to be this publisher: for whoever runs the gateway and asks in its name.
    pub fn of_publisher(publisher: Arc<Publisher>) -> Self {
        Self(Some(publisher))
    }
}

/// The body of a leg before it is packed.
fn plain(leg: &OutgoingLeg) -> SmallVec<[Bytes; 8]> {
    leg.call.iter().flat_map(|call| call.body.pieces()).cloned().collect()
}

fn guarded(admitted: &Admitted, request: &BidRequest) -> Option<Guarded> {
    let own = dii::own(request, &admitted.inbound);
    let found = dii::found(&admitted.publisher, request, &own)?;
    let (hits, pieces) = (found.hits().to_vec(), found.pieces(request));
    Some(Guarded { hits, pieces, body: admitted.request.body().clone() })
}

/// The places of `user_id_from` that hold something.
fn users(admitted: &Admitted) -> Vec<UserIdFrom> {
    let request = &admitted.request;
    let holds = |place: &UserIdFrom| match place {
        UserIdFrom::Header => headers::publisher_user_ids(&admitted.inbound).next().is_some(),
        UserIdFrom::Ext => request.publisher_user_id().is_some_and(|id| !id.is_empty()),
        UserIdFrom::UserId => request.user_id().is_some_and(|id| !id.is_empty()),
    };
    admitted.publisher.settings.user_id_from.iter().copied().filter(holds).collect()
}
