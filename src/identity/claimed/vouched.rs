//! ID tokens: on whose word, and whether their users left.

use std::sync::Arc;
use std::time::Duration;

use super::super::marked::Marked;
use super::super::resolver::jittered;
use super::super::{Absence, Denial, Identities, Inner, LoginError, Publisher, Resolution};
use super::Claimed;
use crate::secret::Secret;
use crate::sso::{Refusal, Verified};
use crate::store::{Record, RecordKey, State};
use crate::time::UnixMillis;

/// So long it is remembered that a token is not believed, milliseconds, before jitter: a new key of its provider counts soon.
const REFUSED_MS: i64 = 10_000;

impl Identities {
    /// Whether the user of an ID token left: asked before anything is ranked, whichever hint would win. Waits no longer than
    /// `patience` and `identity.wait_ms`; a token that is not believed names nobody.
    pub async fn token_marker(
        &self,
        publisher: &Publisher,
        claimed: &Claimed,
        patience: impl FnOnce() -> Duration,
    ) -> Marked {
        let Some((key, token)) = &claimed.id_token else { return Marked::Clear };
        let now = self.0.clock.now();
        let known = self.0.pointers.find(key, now).and_then(|dii| self.0.marker_behind(dii, now));
        if let Some(marked) = known {
            return marked;
        }
        if self.0.pointers.refusal(key, now).is_some() {
            return Marked::Clear;
        }
        let (inner, publisher, token) = (Arc::clone(&self.0), publisher.clone(), Arc::clone(token));
        let key = *key;
        let work = async move { inner.marker_of_token(&publisher, (key, &token)).await };
        match self.0.fly_for(self.0.store.keys().marker(&key), patience(), work).await {
            Resolution::Denied(denial) => Marked::Denied(denial),
            Resolution::Absent(Absence::Wait | Absence::Busy | Absence::Store) => Marked::Unknown,
            Resolution::Absent(_) | Resolution::Token(_) => Marked::Clear,
        }
    }

    /// Verifies an ID token for one of the publisher's users.
    pub async fn verify(&self, publisher: &Publisher, token: Secret<String>) -> Result<Verified, LoginError> {
        let (providers, trusted) = (self.0.providers.clone(), Arc::clone(&publisher.trusted));
        self.on_control(async move { Ok(providers.verify(token.expose(), &trusted).await?) }).await
    }
}

impl Inner {
    /// What memory tells of markers of an identifier and of the user it leads to; `None`: nothing.
    fn marker_behind(&self, dii: RecordKey, now: UnixMillis) -> Option<Marked> {
        let own = self.told(&self.sight(&dii, now), now);
        if let Some(Marked::Denied(_)) = own {
            return own;
        }
        let told = match self.pointers.find(&dii, now) {
            Some(user) => self.told(&self.sight(&user, now), now),
            None => own,
        };
        told.filter(|marked| *marked != Marked::Unknown)
    }

    /// Verifies a token, and reads what stands under its identifier; nothing is asked of the operator.
    async fn marker_of_token(
        &self,
        publisher: &Publisher,
        (key, token): (RecordKey, &Secret<String>),
    ) -> Resolution {
        let dii = match self.vouched(publisher, (key, token)).await {
            Ok((dii, _)) => dii,
            Err(resolution) => return resolution,
        };
        if self.store.opted_out(&dii, self.clock.now()) {
            return Resolution::Denied(Denial::OptedOut);
        }
        match self.store.read(dii).await {
            Ok(Some(Record { state: State::Alias(user), .. })) => {
                self.pointers.set(dii, user, self.clock.now());
                self.read_again(user).await
            }
            Ok(Some(record)) => self.take_in(dii, &record),
            Ok(None) => Resolution::Absent(Absence::UnknownUser),
            Err(fault) => self.unread(dii, &fault),
        }
    }

    /// Verifies a token, and remembers for a short while what came of it: the key of the identifier that it vouches for, or what
    /// a request with it comes to.
    pub(super) async fn vouched(
        &self,
        publisher: &Publisher,
        (key, token): (RecordKey, &Secret<String>),
    ) -> Result<(RecordKey, Verified), Resolution> {
        match self.providers.verify(token.expose(), &publisher.trusted).await {
            Ok(verified) => {
                let tenant = publisher.tenant();
                let dii = self.store.keys().dii(&tenant, verified.dii.digest(), verified.dii.kind());
                self.pointers.vouch(key, (dii, &verified), self.clock.now());
                Ok((dii, verified))
            }
            Err(refusal) => Err(self.refused(key, refusal)),
        }
    }

    /// Remembers for a short while that a token is not believed.
    fn refused(&self, key: RecordKey, refusal: Refusal) -> Resolution {
        let unavailable = refusal == Refusal::Unavailable;
        let why = if unavailable { Absence::Operator } else { Absence::DiiInvalid };
        self.pointers.refuse(key, why, self.clock.now().plus(jittered(REFUSED_MS)));
        Resolution::Absent(why)
    }
}
