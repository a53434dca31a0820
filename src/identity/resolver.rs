//! The data plane's question, and the flight that answers it when the hot cache cannot.

use std::sync::Arc;

use super::cache::{Entry, Token, What};
use super::flight::{Boarding, Pilot};
use super::metrics::Found;
use super::refresher::is_spent;
use super::{Absence, Denial, How, Identities, Injectable, Inner, Publisher, Resolution, Subject};
use crate::privacy::Consent;
use crate::store::{Record, RecordKey, State};
use crate::time::UnixMillis;
use crate::uid2::Phase;

/// Life of a negative entry, milliseconds, before jitter. Short: a login elsewhere must be seen soon.
const NEGATIVE_MS: i64 = 10_000;

impl Identities {
    /// Whether the subject must not be represented, as far as memory tells. Never waits.
    pub fn markers(&self, subject: &Subject) -> Option<Denial> {
        let inner = &*self.0;
        let key = subject.user.as_ref().filter(|key| inner.known.contains(key))?;
        let now = inner.clock.now();
        if inner.store.opted_out(key, now) {
            return Some(Denial::OptedOut);
        }
        match &inner.cache.find(key)?.what {
            What::Denied { why, until } if now < *until => Some(*why),
            What::Token(token) => inner.dii_opted_out(token.dii.as_ref(), now).then_some(Denial::OptedOut),
            What::Denied { .. } | What::Nothing { .. } => None,
        }
    }

    /// What may be sent for the subject. Never fails and never waits longer than `identity.wait_ms`; what could not
    /// be answered in time goes on and is there for the next request.
    pub async fn resolve(&self, publisher: &Publisher, subject: &Subject, consent: Consent) -> Resolution {
        let inner = &self.0;
        let Some(key) = subject.user else { return Resolution::Absent(Absence::NoHint) };
        if !inner.known.contains(&key) {
            return Resolution::Absent(Absence::UnknownUser);
        }
        let now = inner.clock.now();
        if inner.store.opted_out(&key, now) {
            return Resolution::Denied(Denial::OptedOut);
        }
        match inner.hot(publisher, &key, now) {
            Hot::Answer(resolution) => resolution,
            Hot::Due(resolution) => {
                inner.start(publisher, key, consent);
                resolution
            }
            Hot::Ask(found) => inner.wait_for(publisher, key, consent, found).await,
        }
    }
}

/// What the hot cache says.
enum Hot {
    /// This, and nothing is to be done.
    Answer(Resolution),
    /// This, and a refresh is to be started.
    Due(Resolution),
    /// Somebody must look further; the look-up counts as this unless it joins another.
    Ask(Found),
}

impl Inner {
    fn hot(&self, publisher: &Publisher, key: &RecordKey, now: UnixMillis) -> Hot {
        let Some(entry) = self.cache.find(key) else { return Hot::Ask(Found::Miss) };
        match &entry.what {
            What::Token(token) => self.hot_token(publisher, token, now),
            What::Denied { why, until } if now < *until => self.negative(Resolution::Denied(*why)),
            What::Nothing { why, until } if now < *until => self.negative(Resolution::Absent(*why)),
            What::Denied { .. } | What::Nothing { .. } => Hot::Ask(Found::Miss),
        }
    }

    fn negative(&self, resolution: Resolution) -> Hot {
        self.metrics.found(Found::Negative);
        Hot::Answer(resolution)
    }

    fn hot_token(&self, publisher: &Publisher, token: &Token, now: UnixMillis) -> Hot {
        if self.dii_opted_out(token.dii.as_ref(), now) {
            return self.negative(Resolution::Denied(Denial::OptedOut));
        }
        if token.environment != publisher.environment() {
            self.metrics.found(Found::Hit);
            return Hot::Answer(Resolution::Absent(Absence::Environment));
        }
        match token.times.phase(now, self.settings.expiry_margin_ms) {
            Phase::Fresh => {
                self.metrics.found(Found::Hit);
                Hot::Answer(token_of(token, How::Fresh))
            }
            Phase::Due => {
                self.metrics.found(Found::Due);
                let answer = token_of(token, How::Due);
                if token.take_refresh(now) { Hot::Due(answer) } else { Hot::Answer(answer) }
            }
            Phase::Lapsed | Phase::Dead => Hot::Ask(Found::Lapsed),
        }
    }

    /// Whether the identifier behind a record opted out, through whichever user that became known.
    pub(super) fn dii_opted_out(&self, dii: Option<&RecordKey>, now: UnixMillis) -> bool {
        dii.is_some_and(|dii| self.store.opted_out(dii, now))
    }

    /// Starts the flight of a key without waiting for it. When there is no room the next request tries again.
    pub(super) fn start(self: &Arc<Self>, publisher: &Publisher, key: RecordKey, consent: Consent) {
        match self.flights.board(key) {
            Boarding::First(pilot, _) => self.fly(pilot, publisher, key, consent),
            Boarding::Joined(_) => {}
            Boarding::Full => {
                if let Some(What::Token(token)) = self.cache.find(&key).as_deref().map(|entry| &entry.what) {
                    token.put_off(self.clock.now());
                }
            }
        }
    }

    async fn wait_for(
        self: &Arc<Self>,
        publisher: &Publisher,
        key: RecordKey,
        consent: Consent,
        found: Found,
    ) -> Resolution {
        let boarding = self.flights.board(key);
        self.metrics.found(if matches!(boarding, Boarding::Joined(_)) { Found::Coalesced } else { found });
        let answer = match boarding {
            Boarding::First(pilot, answer) => {
                self.fly(pilot, publisher, key, consent);
                answer
            }
            Boarding::Joined(answer) => answer,
            Boarding::Full => return Resolution::Absent(Absence::Busy),
        };
        match tokio::time::timeout(self.settings.wait, answer).await {
            Ok(Ok(resolution)) => resolution,
            Ok(Err(_)) => Resolution::Absent(Absence::Store),
            Err(_) => Resolution::Absent(Absence::Wait),
        }
    }

    fn fly(self: &Arc<Self>, pilot: Pilot, publisher: &Publisher, key: RecordKey, consent: Consent) {
        let (inner, publisher) = (Arc::clone(self), publisher.clone());
        self.control.spawn(async move {
            let resolution = inner.look_up(&pilot, &publisher, key, consent).await;
            pilot.land(&resolution);
        });
    }

    /// The record, brought up to date as far as its phase asks for.
    async fn look_up(
        &self,
        pilot: &Pilot,
        publisher: &Publisher,
        key: RecordKey,
        consent: Consent,
    ) -> Resolution {
        let record = match self.store.read(key).await {
            Ok(Some(record)) => record,
            Ok(None) => return self.gone(key),
            Err(fault) => {
                tracing::warn!(error = %fault, "an identity record could not be read");
                return self.nothing(key, 0, Absence::Store);
            }
        };
        let State::Active(identity) = &record.state else { return self.take_in(key, &record) };
        if self.dii_opted_out(record.dii.as_ref(), self.clock.now()) {
            return self.denied(key, &record, Denial::OptedOut);
        }
        if record.environment != publisher.environment() {
            return self.nothing(key, record.generation, Absence::Environment);
        }
        match identity.times.phase(self.clock.now(), self.settings.expiry_margin_ms) {
            Phase::Fresh => self.keep(key, &record, How::Fresh),
            Phase::Due => {
                // The token is usable: nobody waits for its refresh.
                let present = self.keep(key, &record, How::Due);
                pilot.tell(&present);
                if is_spent(&record) {
                    present
                } else {
                    self.refreshed(publisher, key, record, consent).await
                }
            }
            Phase::Lapsed => self.refreshed(publisher, key, record, consent).await,
            Phase::Dead => self.nothing(key, record.generation, Absence::Dead),
        }
    }

    async fn refreshed(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        record: Record,
        consent: Consent,
    ) -> Resolution {
        let generation = record.generation;
        let refreshed = self.refresh(publisher, key, record, consent).await;
        self.settle(key, generation, &refreshed).await
    }

    /// Caches a record as it was read, and says what it says.
    pub(super) fn take_in(&self, key: RecordKey, record: &Record) -> Resolution {
        match &record.state {
            State::OptedOut => self.denied(key, record, Denial::OptedOut),
            State::LoggedOut => self.denied(key, record, Denial::LoggedOut),
            State::Active(_) => self.keep(key, record, How::Fresh),
        }
    }

    /// Caches an active record; what the cache holds afterwards is the answer (it may be newer).
    pub(super) fn keep(&self, key: RecordKey, record: &Record, how: How) -> Resolution {
        let State::Active(identity) = &record.state else { return Resolution::Absent(Absence::Store) };
        let text = identity.advertising_token.clone();
        let token = Token::new(text, identity.times, record.environment, record.dii);
        if is_spent(record) {
            token.put_off(UnixMillis(i64::MAX));
        }
        self.insert(key, Entry { generation: record.generation, what: What::Token(token) }, how)
    }

    pub(super) fn denied(&self, key: RecordKey, record: &Record, why: Denial) -> Resolution {
        let what = What::Denied { why, until: record.keep_until };
        self.insert(key, Entry { generation: record.generation, what }, How::Fresh);
        Resolution::Denied(why)
    }

    /// Remembers for a short while that there is nothing, so that the next requests do not ask again.
    pub(super) fn nothing(&self, key: RecordKey, generation: u64, why: Absence) -> Resolution {
        let until = self.clock.now().plus(jittered(NEGATIVE_MS));
        self.insert(key, Entry { generation, what: What::Nothing { why, until } }, How::Fresh)
    }

    /// The store has no record: it died, or there never was one.
    pub(super) fn gone(&self, key: RecordKey) -> Resolution {
        let had_token = self.cache.find(&key).is_some_and(|entry| matches!(entry.what, What::Token(_)));
        self.nothing(key, 0, if had_token { Absence::Dead } else { Absence::UnknownUser })
    }

    fn insert(&self, key: RecordKey, entry: Entry, how: How) -> Resolution {
        let now = self.clock.now();
        let present = self.cache.insert(key, entry, now);
        self.said(&present, how, now)
    }

    /// What an entry comes to at `now`; never a token past its end, however it got there.
    pub(super) fn said(&self, entry: &Entry, how: How, now: UnixMillis) -> Resolution {
        match &entry.what {
            What::Token(_) if self.cache.is_over(entry, now) => Resolution::Absent(Absence::Lapsed),
            What::Token(token) => token_of(token, how),
            What::Denied { why, .. } => Resolution::Denied(*why),
            What::Nothing { why, .. } => Resolution::Absent(*why),
        }
    }
}

fn token_of(token: &Token, how: How) -> Resolution {
    Resolution::Token(Injectable { token: Arc::clone(&token.text), how })
}

/// Half of `ms` up to all of it, so that entries made together do not end together.
pub(super) fn jittered(ms: i64) -> i64 {
    let half = ms / 2;
    half + i64::try_from(random() >> 1).unwrap_or_default() % (half + 1)
}

/// Without random bytes there is no jitter, and nothing else is lost.
pub(super) fn random() -> u64 {
    getrandom::u64().unwrap_or_default()
}
