//! The identity that a browser brings: what its cookies say, and what may be sent of it.
//!
//! A token is used as it comes while it is valid. The cookie that the publisher configured ([`Attributes`]) is its own:
//! that one is renewed, see [`renewals`](super::renewals), and the answer to a request that still brings the old one
//! carries the new. The environment of a token cannot be told from a cookie; the publisher whose page wrote it has one
//! pair of credentials, so it is theirs.

use std::sync::Arc;
use std::time::Duration;

use super::renewals::Present;
use super::ticket::Ticket;
use super::{Absence, Denial, How, Identities, Injectable, Inner, Publisher, Resolution, Subject};
use crate::privacy::Consent;
use crate::store::{Purpose, RecordKey, Sealed};
use crate::time::UnixMillis;
use crate::uid2::cookie::write::{self, Attributes};
use crate::uid2::cookie::{self, Claim, Held, Opens, Own};
use crate::uid2::{AdvertisingToken, Identity, Phase};

/// The publisher's own cookie, as a browser brought it.
#[derive(Clone, Debug)]
pub struct OwnCookie {
    /// Stands for its refresh token.
    pub(super) refresh: RecordKey,
    /// Stands for its advertising token.
    pub(super) token: RecordKey,
    /// Whose it is, when a login of ours made it.
    pub(super) ticket: Option<Ticket>,
    /// Its token is over: somebody has to look for a newer one.
    lapsed: bool,
}

impl OwnCookie {
    /// Keys under which its end may be remembered.
    pub fn keys(&self) -> impl Iterator<Item = RecordKey> {
        [self.refresh, self.token].into_iter().chain(self.ticket.as_ref().map(Ticket::key))
    }

    /// The key of its user under the publisher's other scope, where that is known.
    pub fn other(&self) -> Option<RecordKey> {
        self.ticket.as_ref().and_then(Ticket::other)
    }

    /// The user whom it names, when a login of ours made it.
    pub fn user(&self) -> Option<RecordKey> {
        self.ticket.as_ref().map(Ticket::key)
    }

    /// Whether memory alone cannot tell what it is worth.
    pub fn is_asked_for(&self) -> bool {
        self.lapsed || self.ticket.is_some()
    }
}

impl Identities {
    /// What the `Cookie` headers of one request say of the publisher's scope, and of the publisher's own cookie, when
    /// that is what counts, what takes it further. One that claims to be of a login of ours and is not, is not believed.
    pub fn browser<'a>(
        &self,
        publisher: &Publisher,
        headers: impl Iterator<Item = &'a [u8]>,
    ) -> (Option<Claim>, Option<Box<OwnCookie>>) {
        let (inner, now) = (&self.0, self.0.clock.now());
        let Some(attributes) = publisher.cookie.as_deref() else {
            return (cookie::read(headers, (publisher.scope(), None), now), None);
        };
        let open = |value: &[u8]| inner.store.open_for(&sealed(publisher), value);
        let open: &Opens<'_> = &open;
        let own = Own { name: &attributes.name, open: attributes.sealed.then_some(open) };
        let claim = cookie::read(headers, (publisher.scope(), Some(own)), now);
        let Some(Claim::Held(Held { advertising_token, times, renewal: Some(renewal) })) = &claim else {
            return (claim, None);
        };
        let ticket = match &renewal.ticket {
            None => None,
            Some(text) => {
                let opened = inner.opened_ticket(publisher, Purpose::Ticket, text.expose().as_bytes());
                match opened.filter(|ticket| ticket.scope == publisher.scope()) {
                    None => return (None, None),
                    ticket => ticket,
                }
            }
        };
        let own = OwnCookie {
            refresh: inner.cookie_key(publisher, renewal.refresh_token.expose()),
            token: inner.cookie_key(publisher, advertising_token.as_str()),
            ticket,
            lapsed: matches!(inner.phase(times), Phase::Lapsed | Phase::Dead),
        };
        (claim, Some(Box::new(own)))
    }

    /// What may be sent of the subject's cookie as far as memory tells. Only a judged request comes here: it has a consent
    /// to show.
    pub fn brought(&self, publisher: &Publisher, subject: &Subject, _: Consent) -> Resolution {
        let Some(Claim::Held(held)) = &subject.browser else { return Resolution::Absent(Absence::NoHint) };
        match subject.cookie.as_deref() {
            Some(own) => self.0.renewed_so_far(publisher, held, own).resolution,
            None => token_in(&held.advertising_token, self.0.phase(&held.times)),
        }
    }

    /// Renews beside the request what it was answered with, when that is due.
    pub fn renew(&self, publisher: &Publisher, subject: &Subject, consent: Consent) {
        let (Some(Claim::Held(held)), Some(own)) = (&subject.browser, subject.cookie.as_deref()) else {
            return;
        };
        if let Some(job) = self.0.renewed_so_far(publisher, held, own).job {
            self.0.renew_beside(publisher, job, consent);
        }
    }

    /// The same, and waits for what memory does not tell: no longer than `patience` and `identity.wait_ms`.
    pub async fn of_cookie(
        &self,
        publisher: &Publisher,
        subject: &Subject,
        consent: Consent,
        patience: impl Fn() -> Duration,
    ) -> Resolution {
        let (Some(Claim::Held(held)), Some(own)) = (&subject.browser, subject.cookie.as_deref()) else {
            return self.brought(publisher, subject, consent);
        };
        if let Some(ticket) = &own.ticket {
            return match self.of_ticket(publisher, ticket, consent, &patience).await {
                // The browser's copy is an old one.
                Resolution::Token(token) if *token.token != held.advertising_token => {
                    let renewed = self.0.copy(own.refresh, ticket.key, (&token.token, patience())).await;
                    Resolution::Token(Injectable { renewed, ..token })
                }
                resolution => resolution,
            };
        }
        match self.0.renewed_so_far(publisher, held, own) {
            Present { resolution: Resolution::Absent(Absence::Lapsed), job: Some(job) } => {
                self.0.renew_in_time(publisher, job, consent, patience()).await
            }
            Present { resolution, job } => {
                if let Some(job) = job {
                    self.0.renew_beside(publisher, job, consent);
                }
                resolution
            }
        }
    }

    /// The `Set-Cookie` that the answer to a request is to have: the renewed cookie when its token was `sent`, or what tells
    /// the browser that it has come to its end.
    pub fn cookie_after(
        &self,
        publisher: &Publisher,
        subject: &Subject,
        sent: Option<&Injectable>,
    ) -> Option<String> {
        let (attributes, own) = (publisher.cookie.as_deref()?, subject.cookie.as_deref()?);
        // First who left, be it while the SSPs were asked: their cookie is not given back to them.
        let now = self.0.clock.now();
        if own.other().is_some_and(|key| self.0.store.opted_out(&key, now)) {
            return self.0.opted_out_cookie(publisher, attributes);
        }
        match own.keys().find_map(|key| self.0.marker(&key, now)) {
            Some(Denial::OptedOut) => return self.0.opted_out_cookie(publisher, attributes),
            Some(Denial::LoggedOut) => return Some(attributes.removed()),
            Some(Denial::Privacy(_) | Denial::Notice) => return None,
            None => {}
        }
        let identity = sent.and_then(|token| token.renewed.as_deref())?;
        let Some(Claim::Held(Held { renewal: Some(renewal), .. })) = &subject.browser else { return None };
        let ticket = renewal.ticket.as_ref().map(|text| text.expose().as_str());
        self.0.written(publisher, attributes, (identity, ticket, renewal.others.expose()))
    }

    /// The `Set-Cookie` of a login; `None` where the publisher has no cookie.
    pub fn cookie_of_login(
        &self,
        publisher: &Publisher,
        (key, other): (RecordKey, Option<RecordKey>),
        identity: &Identity,
    ) -> Option<String> {
        let attributes = publisher.cookie.as_deref()?;
        let (login, until) = (self.0.clock.now(), UnixMillis(i64::MAX));
        let ticket = Ticket { scope: publisher.scope(), key, other, login, until };
        let ticket = self.0.sealed_ticket(publisher, Purpose::Ticket, &ticket).ok()?;
        self.0.written(publisher, attributes, (identity, Some(ticket.expose()), ""))
    }

    /// The `Set-Cookie` of a login of somebody who opted out.
    pub fn cookie_of_opt_out(&self, publisher: &Publisher) -> Option<String> {
        self.0.opted_out_cookie(publisher, publisher.cookie.as_deref()?)
    }
}

/// What a sealed cookie is bound to.
fn sealed(publisher: &Publisher) -> Sealed<'_> {
    Sealed { purpose: Purpose::Cookie, publisher: &publisher.id, scope: Some(publisher.scope()) }
}

/// What a token is worth in this phase.
pub(super) fn token_in(token: &AdvertisingToken, phase: Phase) -> Resolution {
    let how = match phase {
        Phase::Fresh => How::Fresh,
        Phase::Due => How::Due,
        Phase::Lapsed => return Resolution::Absent(Absence::Lapsed),
        Phase::Dead => return Resolution::Absent(Absence::Dead),
    };
    let (token, login) = (Arc::new(token.clone()), UnixMillis(0));
    Resolution::Token(Injectable { token, said: None, noticed: true, login, renewed: None, how })
}

impl Inner {
    pub(super) fn cookie_key(&self, publisher: &Publisher, token: &str) -> RecordKey {
        self.store.keys().cookie(&publisher.tenant(), token.as_bytes())
    }

    pub(super) fn phase(&self, times: &crate::uid2::Times) -> Phase {
        times.phase(self.clock.now(), self.settings.expiry_margin_ms)
    }

    /// A cookie with this identity. Members that nobody knows stay as long as browsers keep what comes of it.
    fn written(
        &self,
        publisher: &Publisher,
        attributes: &Attributes,
        (identity, ticket, others): (&Identity, Option<&str>, &str),
    ) -> Option<String> {
        let value =
            |others| self.value(publisher, attributes, write::text(identity, ticket, others).expose());
        let whole = value(others)?;
        let value = if attributes.fits(&whole) { whole } else { value("")? };
        Some(attributes.set(&value, identity.times.refresh_expires))
    }

    fn opted_out_cookie(&self, publisher: &Publisher, attributes: &Attributes) -> Option<String> {
        let (text, until) = write::opt_out(self.clock.now());
        Some(attributes.set(&self.value(publisher, attributes, &text)?, until))
    }

    /// `None`: there were no random bytes to seal with, so there is no cookie this time.
    fn value(&self, publisher: &Publisher, attributes: &Attributes, text: &str) -> Option<String> {
        if !attributes.sealed {
            return Some(write::readable(text));
        }
        self.store.seal_for(&sealed(publisher), text.as_bytes()).ok()
    }
}
