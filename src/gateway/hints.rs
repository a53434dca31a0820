//! The order in which a publisher's hints count (contract §2.2), as far as it can be told before anybody is asked.

use super::Shared;
use super::admit::Admitted;
use super::directory::{Hint, Mode};
use crate::identity::{OwnCookie, Resolution};
use crate::privacy::Consent;

/// Our own hints that count for a request, in order: with an entry of theirs to be kept, those that come before it.
pub(super) fn ours(admitted: &Admitted) -> impl Iterator<Item = Hint> {
    let settings = &admitted.publisher.settings;
    let ends = admitted.theirs && settings.mode == Mode::Keep;
    let before = settings.hints.iter().copied().take_while(move |hint| !ends || *hint != Hint::Request);
    before.filter(|hint| *hint != Hint::Request)
}

/// What the browser brings, where its cookie counts.
pub(super) fn cookie(shared: &Shared, admitted: &Admitted, consent: Consent) -> Option<Resolution> {
    let counts = ours(admitted).any(|hint| hint == Hint::Cookie);
    counts.then(|| shared.identities.brought(admitted.tenant(), &admitted.subject, consent))
}

/// Whether memory alone cannot tell what a request brings besides its user, so that every hint is asked in its order.
pub(super) fn must_be_ranked(admitted: &Admitted) -> bool {
    let subject = &admitted.subject;
    subject.session.is_some() || subject.cookie.as_deref().is_some_and(OwnCookie::is_asked_for)
}

/// Whether the user has to be looked up: no cookie with a token comes before them.
pub(super) fn asks_user(admitted: &Admitted, cookie: Option<&Resolution>) -> bool {
    let brings = matches!(cookie, Some(Resolution::Token(_)));
    let counts = |hint: &Hint| *hint == Hint::User || (brings && *hint == Hint::Cookie);
    ours(admitted).find(counts) == Some(Hint::User)
}
