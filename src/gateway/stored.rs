//! What was said of a user's privacy at login, against one ad request: it fills in what the request does not say.
//!
//! The request is judged by its own signals first, and what they forbid stays forbidden. Then, where something was said at
//! login, the signals of both together are judged, and a token goes only if they allow it too. One doubt is settled by a
//! login: where the request says nothing of which law applies (row 8 of the table), what was said at login does, for UID2.
//! Not for EUID: its consent has to travel with the request, or no SSP could rely on it.

use std::time::Duration;

use super::Shared;
use super::admit::Admitted;
use super::{headers, signals};
use crate::identity::{Injectable, Seen};
use crate::privacy::{self, Reason, Rules, Said, Signals, Verdict};
use crate::uid2::Scope;

/// What is said at login against a token that the request alone would allow; `None`: nothing.
pub(super) fn against(shared: &Shared, admitted: &Admitted, token: &Injectable) -> Option<Verdict> {
    filled(shared, admitted, token.said()?).filter(|verdict| !matches!(verdict, Verdict::Inject(_)))
}

/// What the table says once COPPA or GPC of the last login counts as said by the request.
pub(super) fn sticking(shared: &Shared, admitted: &Admitted, reason: Reason) -> Option<Verdict> {
    let said = Said { coppa: reason == Reason::Coppa, gpc: reason == Reason::Gpc, ..Said::default() };
    filled(shared, admitted, &said)
}

/// The verdict of a request that says nothing of which law applies, by what its user said at login. What memory forgot is
/// read beside the request, for the next one.
pub(super) async fn settled(shared: &Shared, admitted: &Admitted, seen: &Seen) -> Option<Verdict> {
    let doubt = matches!(admitted.verdict, Verdict::Pass(Reason::UnknownScope));
    if !doubt || admitted.scope() != Scope::Uid2 || admitted.subject.user.is_none() {
        return None;
    }
    if seen.forgot_user() {
        shared.identities.denial(admitted.tenant(), &admitted.subject, || Duration::ZERO).await;
        return None;
    }
    filled(shared, admitted, seen.said()?)
}

fn filled(shared: &Shared, admitted: &Admitted, said: &Said) -> Option<Verdict> {
    let request: Signals<'_> = signals::of_request(&admitted.request, headers::sec_gpc(&admitted.inbound));
    let filled = said.fill(&request)?;
    let gvl = shared.vendors.current();
    let rules = Rules { policy: &admitted.publisher.settings.policy, gvl: &gvl };
    Some(privacy::judge(&filled, rules, signals::regime(admitted.scope())))
}
