//! The identity that a browser brings: what its cookies say, and the token in them while it is valid.
//!
//! It is used as it comes: nothing is stored, and nothing is asked of the operator. The environment of its token cannot
//! be told from the cookie; the publisher whose page wrote it has one pair of credentials, so it is theirs.

use std::sync::Arc;

use super::{Absence, How, Identities, Injectable, Publisher, Resolution, Subject};
use crate::privacy::Consent;
use crate::uid2::Phase;
use crate::uid2::cookie::{self, Claim};

impl Identities {
    /// What the `Cookie` headers of one request say of the publisher's scope.
    pub fn browser<'a>(
        &self,
        publisher: &Publisher,
        headers: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Claim> {
        cookie::read(headers, publisher.scope(), self.0.clock.now())
    }

    /// What may be sent of the subject's own cookie. Only a judged request comes here: it has a consent to show.
    pub fn brought(&self, subject: &Subject, _: Consent) -> Resolution {
        let Some(Claim::Held(held)) = &subject.browser else { return Resolution::Absent(Absence::NoHint) };
        let how = match held.times.phase(self.0.clock.now(), self.0.settings.expiry_margin_ms) {
            Phase::Fresh => How::Fresh,
            Phase::Due => How::Due,
            Phase::Lapsed => return Resolution::Absent(Absence::Lapsed),
            Phase::Dead => return Resolution::Absent(Absence::Dead),
        };
        let token = Arc::new(held.advertising_token.clone());
        Resolution::Token(Injectable { token, said: None, noticed: true, how })
    }
}
