//! Who is this, and may we say so: verdict, hints and markers become one decision with one reason.

use std::time::Duration;

use super::Shared;
use super::admit::Admitted;
use super::directory::Hint;
use super::hints;
use super::inject::{Outgoing, OutgoingLeg};
use crate::identity::{Absence, Denial, How, Injectable, Marked, Resolution};
use crate::openrtb::{BidRequest, Strip};
use crate::privacy::{self, Consent, StripWhat, Verdict};
use crate::time::Clock;
use crate::uid2::Scope;

/// `result` of the identity metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResultLabel {
    /// Ours was added.
    Injected,
    /// Ours took the place of theirs.
    Replaced,
    /// Theirs stayed.
    Kept,
    /// Nothing was added.
    Absent,
    /// Nothing may be sent; what was there is removed.
    Denied,
}

impl ResultLabel {
    /// Every label, in metric order.
    pub const ALL: [Self; 5] = [Self::Injected, Self::Replaced, Self::Kept, Self::Absent, Self::Denied];

    /// An identifier of the user leaves.
    pub(super) fn sends(self) -> bool {
        matches!(self, Self::Injected | Self::Replaced | Self::Kept)
    }

    /// The label's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Replaced => "replaced",
            Self::Kept => "kept",
            Self::Absent => "absent",
            Self::Denied => "denied",
        }
    }
}

macro_rules! reasons {
    ($($variant:ident $text:literal $($result:ident)+;)+) => {
        /// `reason` of `identity_reason_total`: a closed list, each with the results it explains.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[expect(missing_docs, reason = "the texts are the documentation; the contract lists them")]
        pub enum Reason { $($variant),+ }

        impl Reason {
            /// Every reason, in metric order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The label's text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Whether the pair can happen.
            pub fn belongs_to(self, result: ResultLabel) -> bool {
                match self { $(Self::$variant => [$(ResultLabel::$result),+].contains(&result)),+ }
            }
        }
    };
}

reasons! {
    Fresh "fresh" Injected Replaced;
    Due "due" Injected Replaced;
    Refreshed "refreshed" Injected Replaced;
    Generated "generated" Injected Replaced;
    Theirs "theirs" Kept;
    NoHint "no_hint" Absent;
    UnknownUser "unknown_user" Absent;
    Lapsed "lapsed" Absent;
    Dead "dead" Absent;
    Wait "wait" Absent;
    Operator "operator" Absent;
    Store "store" Absent;
    Busy "busy" Absent;
    DiiInvalid "dii_invalid" Absent;
    Environment "environment" Absent;
    Holdout "holdout" Absent;
    UnknownScope "unknown_scope" Absent;
    Unparsable "unparsable" Absent;
    Dnt "dnt" Absent Denied;
    Test "test" Absent;
    Disabled "disabled" Absent;
    WrongType "wrong_type" Absent;
    Coppa "coppa" Denied;
    Child "child" Denied;
    Lmt "lmt" Denied;
    Att "att" Absent Denied;
    Gdpr "gdpr" Denied;
    TcfMissing "tcf_missing" Denied;
    TcfInvalid "tcf_invalid" Denied;
    TcfPurpose "tcf_purpose" Denied;
    UsPrivacy "us_privacy" Absent Denied;
    Gpp "gpp" Absent Denied;
    Gpc "gpc" Absent Denied;
    Optout "optout" Denied;
    LoggedOut "logged_out" Denied;
    Notice "notice" Denied;
}

/// The sources of ours; removed for a user who opted out or logged out, whoever wrote them.
const OURS: &[&str] = &["uidapi.com", "euid.eu"];
const FAMILY: &[&str] = &["uidapi.com", "euid.eu", "adserver.org"];
const UID2: &[&str] = &["uidapi.com"];
const EUID: &[&str] = &["euid.eu"];

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
    /// Time spent waiting for identity.
    pub waited: Duration,
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
    if let Some(denial) = shared.identities.markers(&admitted.subject) {
        return denied(denial, admitted.verdict);
    }
    match admitted.verdict {
        Verdict::Strip(what, reason) => Decision::stripped(strip_of(what), reason_of(reason)),
        Verdict::Pass(_) if admitted.theirs || admitted.other_stays() => theirs(shared, admitted).await,
        Verdict::Pass(reason) => absent(reason_of(reason)),
        Verdict::Inject(consent) => identify(shared, admitted, consent).await,
    }
}

async fn identify(shared: &Shared, admitted: &Admitted, consent: Consent) -> Decision {
    if admitted.other_stays() || (admitted.theirs && hints::ours(admitted).next().is_none()) {
        return theirs(shared, admitted).await;
    }
    let bar = match admitted.request.wrong_type() {
        Some(_) => Some(Reason::WrongType),
        None => admitted.publisher.denies(&admitted.request).then_some(Reason::Disabled),
    };
    if let Some(reason) = bar {
        return if admitted.theirs { theirs(shared, admitted).await } else { absent(reason) };
    }
    let asked = Clock::monotonic();
    let cookie = hints::cookie(shared, admitted, consent);
    let decision = if hints::asks_user(admitted, cookie.as_ref()) {
        of_user(shared, admitted, consent, cookie).await
    } else {
        let tenant = &admitted.publisher.settings.identity;
        let marked = shared.identities.denial(tenant, &admitted.subject, admitted.budget.patience()).await;
        unless(marked, admitted, without_user(admitted, cookie, Absence::NoHint))
    };
    Decision { waited: Clock::monotonic().saturating_duration_since(asked), ..decision }
}

/// The publisher's own user first, and what is there besides when they have no token.
async fn of_user(
    shared: &Shared,
    admitted: &Admitted,
    consent: Consent,
    cookie: Option<Resolution>,
) -> Decision {
    let (tenant, patience) = (&admitted.publisher.settings.identity, admitted.budget.patience());
    // Whoever else the request names is looked up beside the user, in the same time.
    let others = admitted.others();
    let (marked, resolution) = futures_util::future::join(
        shared.identities.denial(tenant, &others, patience),
        shared.identities.resolve(tenant, &admitted.subject, consent, patience),
    )
    .await;
    let next = match resolution {
        Resolution::Denied(denial) => return denied(denial, admitted.verdict),
        Resolution::Token(token) => injected(token, Hint::User, admitted.theirs),
        Resolution::Absent(absence) => without_user(admitted, cookie, absence),
    };
    let decision = unless(marked, admitted, next);
    if decision.source.is_none_or(|source| source == Hint::User) {
        return decision;
    }
    // An identity that is not the user's own goes only once it is known that they did not leave. No second wait: what
    // is not told by now is unknown.
    unless(shared.identities.denial(tenant, &admitted.subject, Duration::ZERO).await, admitted, decision)
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
    let asked = Clock::monotonic();
    let tenant = &admitted.publisher.settings.identity;
    let marked = shared.identities.denial(tenant, &admitted.subject, admitted.budget.patience()).await;
    let decision = unless(marked, admitted, Decision::kept());
    Decision { waited: Clock::monotonic().saturating_duration_since(asked), ..decision }
}

/// The decision, unless somebody in the request left.
fn unless(marked: Marked, admitted: &Admitted, decision: Decision) -> Decision {
    match marked {
        Marked::Clear => decision,
        Marked::Denied(denial) => denied(denial, admitted.verdict),
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
            Strip::Sources(sources) => sources.iter().any(|source| eids.has_source(source)),
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
    Decision { result, reason, source: None, token: None, strip, other: None, waited: Duration::ZERO }
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

/// A marker wins over every verdict, except that a verdict may remove more.
fn denied(denial: Denial, verdict: Verdict) -> Decision {
    let strip = match verdict {
        Verdict::Strip(StripWhat::All, _) => Strip::All,
        Verdict::Strip(StripWhat::UidFamily, _) => Strip::Sources(FAMILY),
        _ => Strip::Sources(OURS),
    };
    let reason = match denial {
        Denial::OptedOut => Reason::Optout,
        Denial::LoggedOut => Reason::LoggedOut,
    };
    Decision::stripped(strip, reason)
}

/// Everything that either removes.
pub(super) fn both(a: Strip<'static>, b: Strip<'static>) -> Strip<'static> {
    match (a, b) {
        (Strip::Nothing, only) | (only, Strip::Nothing) => only,
        (Strip::All, _) | (_, Strip::All) => Strip::All,
        (Strip::Sources(a), Strip::Sources(b)) => {
            let widest = if a.len() >= b.len() { a } else { b };
            Strip::Sources(if a.len() == 1 && b.len() == 1 && a != b { OURS } else { widest })
        }
    }
}

pub(super) fn strip_of(what: StripWhat) -> Strip<'static> {
    match what {
        StripWhat::All => Strip::All,
        StripWhat::UidFamily => Strip::Sources(FAMILY),
        StripWhat::Uid2Only => Strip::Sources(UID2),
        StripWhat::EuidOnly => Strip::Sources(EUID),
    }
}

fn reason_of_absence(absence: Absence) -> Reason {
    match absence {
        Absence::NoHint => Reason::NoHint,
        Absence::UnknownUser => Reason::UnknownUser,
        Absence::Lapsed => Reason::Lapsed,
        Absence::Dead => Reason::Dead,
        Absence::Wait => Reason::Wait,
        Absence::Operator => Reason::Operator,
        Absence::Store => Reason::Store,
        Absence::Busy => Reason::Busy,
        Absence::Environment => Reason::Environment,
    }
}

/// The label of a privacy reason, for answers that name one.
pub fn denial_label(reason: privacy::Reason) -> &'static str {
    reason_of(reason).as_str()
}

/// The metric reason of a privacy reason.
pub(super) fn reason_of(reason: privacy::Reason) -> Reason {
    use crate::privacy::Reason as P;
    match reason {
        P::Coppa => Reason::Coppa,
        P::Child => Reason::Child,
        P::Lmt => Reason::Lmt,
        P::Att => Reason::Att,
        P::Gdpr => Reason::Gdpr,
        P::TcfMissing => Reason::TcfMissing,
        P::TcfInvalid => Reason::TcfInvalid,
        P::TcfPurpose => Reason::TcfPurpose,
        P::UsPrivacy => Reason::UsPrivacy,
        P::Gpp => Reason::Gpp,
        P::Gpc => Reason::Gpc,
        P::UnknownScope => Reason::UnknownScope,
        P::Unparsable => Reason::Unparsable,
        P::Dnt => Reason::Dnt,
        P::Test => Reason::Test,
        P::Disabled => Reason::Disabled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_removals_together_remove_what_either_does() {
        let all = [
            Strip::Nothing,
            Strip::Sources(UID2),
            Strip::Sources(EUID),
            Strip::Sources(OURS),
            Strip::Sources(FAMILY),
        ];
        let sources = |strip: Strip<'static>| match strip {
            Strip::Sources(sources) => sources.to_vec(),
            Strip::Nothing | Strip::All => Vec::new(),
        };
        for a in all {
            for b in all {
                let union = sources(both(a, b));
                let mut expected = [sources(a), sources(b)].concat();
                expected.sort_unstable();
                expected.dedup();
                assert!(
                    expected.iter().all(|s| union.contains(s)) && union.len() == expected.len(),
                    "{a:?} {b:?}"
                );
            }
            assert_eq!(both(a, Strip::All), Strip::All);
        }
    }

    #[test]
    fn every_reason_explains_a_result() {
        for reason in Reason::ALL {
            assert!(ResultLabel::ALL.iter().any(|result| reason.belongs_to(*result)), "{}", reason.as_str());
        }
    }
}
