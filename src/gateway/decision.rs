//! Who is this, and may we say so: verdict, hints and markers become one decision with one reason.

use std::time::Duration;

use super::Shared;
use super::admit::Admitted;
use super::directory::Hint;
use super::hints;
use super::inject::{Outgoing, OutgoingLeg};
use super::reason::{Reason, ResultLabel, reason_of, reason_of_absence};
use super::removal::{EUID, FAMILY, OURS, UID2, both, strip_of};
use super::stored;
use crate::identity::{Absence, Claimed, Denial, How, Injectable, Marked, Resolution, Seen};
use crate::openrtb::{BidRequest, Strip};
use crate::privacy::{Consent, StripWhat, Verdict};
use crate::time::Deadline;
use crate::uid2::Scope;

/// What one request's identity came to.
#[derive(Debug)]
pub struct Decision {
    /// The result.
    pub result: ResultLabel,
    /// Its one reason.
    pub reason: Reason,
    /// Hint that named the user, when one did.
    pub source: Option<Hint>,
    /// The token to write.
    pub token: Option<Injectable>,
    /// Entries to remove.
    pub strip: Strip<'static>,
    /// Why entries of the other scope are removed, when they are.
    pub other: Option<Reason>,
}

/// Decides. Never fails; every fault of identity ends as an absence with its reason.
pub(super) async fn decide(shared: &Shared, admitted: &Admitted) -> Decision {
    let decision = judged(shared, admitted).await;
    // Entries of the other scope stand under its own table: UID2 never where GDPR applies, EUID only with consent.
    match admitted.other {
        Some(Verdict::Strip(_, reason)) => {
            let theirs = match admitted.scope() {
                Scope::Uid2 => EUID,
                Scope::Euid => UID2,
            };
            let strip = both(decision.strip, Strip::Sources(theirs));
            Decision { strip, other: Some(reason_of(reason)), ..decision }
        }
        _ => decision,
    }
}

async fn judged(shared: &Shared, admitted: &Admitted) -> Decision {
    // Markers come before anything is ranked: an opted-out user is never represented, whoever wrote the entry.
    let seen = shared.identities.see(&admitted.subject);
    if let Some(denial) = seen.denial() {
        return denied(shared, admitted, denial);
    }
    // One wait for all that such a request has looked up.
    let claim = admitted.subject.claimed.as_deref();
    let claim = claim.map(|claimed| (claimed, Deadline::within(shared.identities.wait())));
    if let Some((claimed, deadline)) = claim {
        let patience = || admitted.budget.patience().min(deadline.remaining());
        match shared.identities.token_marker(admitted.tenant(), claimed, patience).await {
            Marked::Clear => {}
            marked => return unless(shared, marked, admitted, absent(Reason::Wait)),
        }
    }
    let verdict = stored::settled(shared, admitted, &seen).await.unwrap_or(admitted.verdict);
    match verdict {
        Verdict::Strip(what, reason) => Decision::stripped(strip_of(what), reason_of(reason)),
        Verdict::Pass(_) if admitted.theirs || admitted.other_stays() => theirs(shared, admitted).await,
        Verdict::Pass(reason) => unadded(shared, admitted, reason_of(reason)).await,
        Verdict::Inject(consent) => identify(shared, admitted, (consent, seen), claim).await,
    }
}

async fn identify(
    shared: &Shared,
    admitted: &Admitted,
    (consent, seen): (Consent, Seen),
    claim: Option<(&Claimed, Deadline)>,
) -> Decision {
    if admitted.other_stays() || (admitted.theirs && hints::ours(admitted).next().is_none()) {
        return theirs(shared, admitted).await;
    }
    let bar = match admitted.request.wrong_type() {
        Some(_) => Some(Reason::WrongType),
        None => admitted.publisher.denies(&admitted.request).then_some(Reason::Disabled),
    };
    if let Some(reason) = bar {
        return if admitted.theirs {
            theirs(shared, admitted).await
        } else {
            unadded(shared, admitted, reason).await
        };
    }
    if let Some(claim) = claim {
        return ranked(shared, admitted, consent, claim).await;
    }
    if hints::must_be_ranked(admitted) {
        let deadline = Deadline::within(shared.identities.wait());
        return ranked(shared, admitted, consent, (&Claimed::default(), deadline)).await;
    }
    let cookie = hints::cookie(shared, admitted, consent);
    let decision = if hints::asks_user(admitted, cookie.as_ref()) {
        of_user(shared, admitted, (consent, seen), cookie).await
    } else {
        staying(shared, admitted, without_user(admitted, cookie, Absence::NoHint)).await
    };
    if decision.source == Some(Hint::Cookie) {
        shared.identities.renew(admitted.tenant(), &admitted.subject, consent);
    }
    decision
}

/// Every hint in its order, all within one wait: the way of requests that claim an address, or bring an ID token, a session
/// token or a cookie that somebody has to look after.
async fn ranked(
    shared: &Shared,
    admitted: &Admitted,
    consent: Consent,
    (claimed, deadline): (&Claimed, Deadline),
) -> Decision {
    let (identities, tenant) = (&shared.identities, admitted.tenant());
    let patience = || admitted.budget.patience().min(deadline.remaining());
    match identities.denial(tenant, &admitted.subject, patience).await {
        Marked::Clear => {}
        marked => return unless(shared, marked, admitted, absent(Reason::Wait)),
    }
    let mut why = Absence::NoHint;
    for hint in hints::ours(admitted) {
        let resolution = match hint {
            Hint::Request => continue,
            Hint::IdToken => identities.of_id_token(tenant, claimed, consent, patience).await,
            Hint::User => {
                let seen = identities.see(&admitted.subject);
                identities.resolve(tenant, (&admitted.subject, seen), consent, patience).await
            }
            Hint::Dii => identities.of_dii(tenant, claimed, consent, patience).await,
            Hint::Session => identities.of_session(tenant, &admitted.subject, consent, patience).await,
            Hint::Cookie => identities.of_cookie(tenant, &admitted.subject, consent, patience).await,
        };
        match resolution {
            Resolution::Token(token) => match stored::against(shared, admitted, &token) {
                Some(verdict) => return forbidden(admitted, verdict),
                None => return injected(token, hint, admitted.theirs),
            },
            Resolution::Denied(denial) => return denied(shared, admitted, denial),
            // The first hint that has something to say says it.
            Resolution::Absent(absence) if why == Absence::NoHint => why = absence,
            Resolution::Absent(_) => {}
        }
    }
    without_user(admitted, None, why)
}

/// The publisher's own user first, and what is there besides when they have no token.
async fn of_user(
    shared: &Shared,
    admitted: &Admitted,
    (consent, seen): (Consent, Seen),
    cookie: Option<Resolution>,
) -> Decision {
    let (tenant, patience) = (admitted.tenant(), || admitted.budget.patience());
    let others_are_clear = seen.others_are_clear();
    let resolving = shared.identities.resolve(tenant, (&admitted.subject, seen), consent, patience);
    let (marked, resolution) = if others_are_clear {
        (Marked::Clear, resolving.await)
    } else {
        // Whoever else the request names is looked up beside the user, in the same time.
        let others = admitted.others();
        futures_util::future::join(shared.identities.denial(tenant, &others, patience), resolving).await
    };
    let next = match resolution {
        Resolution::Denied(denial) => return denied(shared, admitted, denial),
        Resolution::Token(token) => match stored::against(shared, admitted, &token) {
            Some(verdict) => return forbidden(admitted, verdict),
            None => injected(token, Hint::User, admitted.theirs),
        },
        Resolution::Absent(absence) => without_user(admitted, cookie, absence),
    };
    let decision = unless(shared, marked, admitted, next);
    if decision.source.is_none_or(|source| source == Hint::User) {
        return decision;
    }
    // An identity that is not the user's own goes only once it is known that they did not leave. No second wait: what
    // is not told by now is unknown.
    unless(
        shared,
        shared.identities.denial(tenant, &admitted.subject, || Duration::ZERO).await,
        admitted,
        decision,
    )
}

/// What is there besides the user: the cookie's token, else theirs, else nothing.
fn without_user(admitted: &Admitted, cookie: Option<Resolution>, absence: Absence) -> Decision {
    match (cookie, absence) {
        (Some(Resolution::Token(token)), _) => injected(token, Hint::Cookie, admitted.theirs),
        _ if admitted.theirs => Decision::kept(),
        (Some(Resolution::Absent(absence)), Absence::NoHint) | (_, absence) => {
            absent(reason_of_absence(absence))
        }
    }
}

/// Theirs is to stay. It may, once it is known that nobody named in the request opted out or logged out: what memory
/// does not hold is looked up within the budget, and what stays unknown is treated as a no.
async fn theirs(shared: &Shared, admitted: &Admitted) -> Decision {
    staying(shared, admitted, Decision::kept()).await
}

/// Nothing is added, and nothing of theirs was found; but where a member is of a wrong type, or a list is too long, it may
/// hold an entry of theirs that stays with it.
async fn unadded(shared: &Shared, admitted: &Admitted, reason: Reason) -> Decision {
    match admitted.request.wrong_type() {
        Some(_) => staying(shared, admitted, absent(reason)).await,
        None => absent(reason),
    }
}

/// The decision, once it is known that nobody in the request left.
async fn staying(shared: &Shared, admitted: &Admitted, decision: Decision) -> Decision {
    let (tenant, patience) = (admitted.tenant(), || admitted.budget.patience());
    let marked = shared.identities.denial(tenant, &admitted.subject, patience).await;
    unless(shared, marked, admitted, decision)
}

/// The decision, unless somebody in the request left.
fn unless(shared: &Shared, marked: Marked, admitted: &Admitted, decision: Decision) -> Decision {
    match marked {
        Marked::Clear => decision,
        Marked::Denied(denial) => denied(shared, admitted, denial),
        Marked::Unknown => untold(),
    }
}

/// Whether somebody left could not be told in time: nothing of ours is added and nothing of theirs stays.
fn untold() -> Decision {
    Decision { strip: Strip::Sources(OURS), ..absent(Reason::Wait) }
}

impl Decision {
    /// Why an entry that stands in the request is removed; `None` when none is.
    pub(super) fn removes(&self, request: &BidRequest) -> Option<Reason> {
        let eids = request.eids();
        let hit = match self.strip {
            Strip::Nothing => false,
            Strip::All => eids.any(),
            Strip::Sources(sources) => sources.iter().any(|source| eids.may_have_source(source)),
        };
        hit.then(|| {
            if self.result == ResultLabel::Denied { self.reason } else { self.other.unwrap_or(self.reason) }
        })
    }

    /// The decision as it turned out: a token that no SSP may get, or that no SSP had time for, was not sent, and
    /// neither was an entry of theirs that no SSP may get.
    #[must_use]
    pub(super) fn confirmed(self, outgoing: &Outgoing) -> Self {
        self.consented(outgoing).sent(outgoing)
    }

    /// Row 6 of the privacy table may have taken it from some SSPs, or from all.
    fn consented(self, outgoing: &Outgoing) -> Self {
        let refused = |leg: &OutgoingLeg| leg.result == ResultLabel::Denied;
        if !self.result.sends() || !outgoing.legs.iter().any(refused) {
            return self;
        }
        let other = self.other.or(Some(Reason::TcfPurpose));
        let decision = Self { strip: both(self.strip, Strip::Sources(EUID)), other, ..self };
        if !outgoing.legs.iter().all(refused) {
            return decision;
        }
        let (result, reason) = (ResultLabel::Denied, Reason::TcfPurpose);
        Self { result, reason, source: None, token: None, ..decision }
    }

    /// What every SSP was refused, was not sent.
    fn sent(self, outgoing: &Outgoing) -> Self {
        let ours = self.token.is_some();
        let sent = |leg: &OutgoingLeg| leg.result == self.result && (leg.call.is_some() || !ours);
        let decided = ours || self.result == ResultLabel::Kept;
        if !decided || outgoing.legs.is_empty() || outgoing.legs.iter().any(sent) {
            return self;
        }
        let refusals = || outgoing.legs.iter().filter_map(|leg| leg.refused.map(|why| (leg.result, why)));
        let kept = refusals().find(|(result, _)| *result == ResultLabel::Kept);
        let (result, reason) =
            kept.or_else(|| refusals().next()).unwrap_or((ResultLabel::Absent, Reason::Wait));
        Self { result, reason, source: None, token: None, ..self }
    }

    fn stripped(strip: Strip<'static>, reason: Reason) -> Self {
        Self { result: ResultLabel::Denied, strip, ..absent(reason) }
    }

    /// Theirs stays and nothing is added.
    fn kept() -> Self {
        Self { result: ResultLabel::Kept, source: Some(Hint::Request), ..absent(Reason::Theirs) }
    }
}

fn absent(reason: Reason) -> Decision {
    let (result, strip) = (ResultLabel::Absent, Strip::Nothing);
    Decision { result, reason, source: None, token: None, strip, other: None }
}

fn injected(token: Injectable, source: Hint, theirs: bool) -> Decision {
    let reason = match token.how {
        How::Fresh => Reason::Fresh,
        How::Due => Reason::Due,
        How::Refreshed => Reason::Refreshed,
        How::Generated => Reason::Generated,
    };
    let result = if theirs { ResultLabel::Replaced } else { ResultLabel::Injected };
    Decision { result, source: Some(source), token: Some(token), ..absent(reason) }
}

/// A token that what was said at login forbids.
fn forbidden(admitted: &Admitted, verdict: Verdict) -> Decision {
    match verdict {
        Verdict::Strip(what, reason) => Decision::stripped(strip_of(what), reason_of(reason)),
        Verdict::Pass(_) | Verdict::Inject(_) if admitted.theirs => Decision::kept(),
        Verdict::Pass(reason) => absent(reason_of(reason)),
        Verdict::Inject(_) => absent(Reason::NoHint),
    }
}

/// A marker wins over every verdict, except that a verdict may remove more.
fn denied(shared: &Shared, admitted: &Admitted, denial: Denial) -> Decision {
    let wider = match admitted.verdict {
        Verdict::Strip(StripWhat::All, _) => Strip::All,
        Verdict::Strip(StripWhat::UidFamily, _) => Strip::Sources(FAMILY),
        _ => Strip::Sources(OURS),
    };
    match denial {
        Denial::OptedOut => Decision::stripped(wider, Reason::Optout),
        Denial::LoggedOut => Decision::stripped(wider, Reason::LoggedOut),
        Denial::Notice => Decision::stripped(wider, Reason::Notice),
        // As if the request said it.
        Denial::Privacy(reason) => {
            match stored::sticking(shared, admitted, reason).unwrap_or(admitted.verdict) {
                Verdict::Inject(_) => Decision::stripped(wider, reason_of(reason)),
                verdict => forbidden(admitted, verdict),
            }
        }
    }
}
