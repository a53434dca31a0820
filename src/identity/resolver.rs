//! The data plane's question, and the flight that answers it when the hot cache cannot.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::ahead::due_at;
use super::cache::{Entry, Token, What};
use super::consent::{noticed, why_left};
use super::flight::{Boarding, Pilot};
use super::marked::{Seen, Sight};
use super::metrics::Found;
use super::refresher::is_spent;
use super::{Absence, Denial, How, Identities, Injectable, Inner, Publisher, Resolution, Subject};
use crate::privacy::Consent;
use crate::store::{Record, RecordKey, State, StoreError};
use crate::time::UnixMillis;
use crate::uid2::{Phase, Times};

/// Life of a negative entry, milliseconds, before jitter. Short: a login elsewhere must be seen soon.
const NEGATIVE_MS: i64 = 10_000;

impl Identities {
    /// What may be sent for the subject's user, of whom memory has been [asked](Identities::see) just now. Never fails and
    /// never waits longer than `patience` and `identity.wait_ms`; what could not be answered in time goes on and is there
    /// for the next request.
    pub async fn resolve(
        &self,
        publisher: &Publisher,
        (subject, seen): (&Subject, Seen),
        consent: Consent,
        patience: impl FnOnce() -> Duration,
    ) -> Resolution {
        let inner = &self.0;
        let Some(key) = subject.user else { return Resolution::Absent(Absence::NoHint) };
        let (sight, now) = seen.into_user();
        let sight = sight.unwrap_or_else(|| inner.sight(&key, now));
        let hot = inner.hot(publisher, &sight, now);
        drop(sight);
        let resolution = match hot {
            Hot::Answer(resolution) => resolution,
            Hot::Due(resolution) => {
                inner.start(publisher, key, consent);
                resolution
            }
            Hot::Ask(found) => match inner.ask(publisher, key, consent, found) {
                Some(answer) => inner.wait_for(key, answer, patience()).await,
                None => Resolution::Absent(Absence::Busy),
            },
        };
        noticed(publisher, resolution)
    }
}

/// What the hot cache says.
pub(super) enum Hot {
    /// This, and nothing is to be done.
    Answer(Resolution),
    /// This, and a refresh is to be started.
    Due(Resolution),
    /// Somebody must look further; the look-up counts as this unless it joins another.
    Ask(Found),
}

impl Inner {
    pub(super) fn hot(&self, publisher: &Publisher, sight: &Sight, now: UnixMillis) -> Hot {
        let entry = match sight {
            Sight::Stranger => return Hot::Answer(Resolution::Absent(Absence::UnknownUser)),
            Sight::OptedOut => return Hot::Answer(Resolution::Denied(Denial::OptedOut)),
            Sight::Forgotten => return Hot::Ask(Found::Miss),
            Sight::Entry(entry) => entry,
        };
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
                Hot::Answer(token_of(token, How::Fresh, now))
            }
            Phase::Due => {
                self.metrics.found(Found::Due);
                let answer = token_of(token, How::Due, now);
                if token.take_refresh(now) { Hot::Due(answer) } else { Hot::Answer(answer) }
            }
            Phase::Lapsed | Phase::Dead => Hot::Ask(Found::Lapsed),
        }
    }

    /// Whether the identifier behind a record opted out, through whichever user that became known.
    pub(super) fn dii_opted_out(&self, dii: Option<&RecordKey>, now: UnixMillis) -> bool {
        dii.is_some_and(|dii| self.store.opted_out(dii, now))
    }

    /// Whether a user opted out, or the identifier behind their record.
    pub(super) fn opted_out(&self, key: &RecordKey, dii: Option<&RecordKey>, now: UnixMillis) -> bool {
        self.store.opted_out(key, now) || self.dii_opted_out(dii, now)
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

    /// Joins the flight of a key, or starts it; `None`: too much is under way.
    pub(super) fn ask(
        self: &Arc<Self>,
        publisher: &Publisher,
        key: RecordKey,
        consent: Consent,
        found: Found,
    ) -> Option<oneshot::Receiver<Resolution>> {
        let boarding = self.flights.board(key);
        self.metrics.found(if matches!(boarding, Boarding::Joined(_)) { Found::Coalesced } else { found });
        match boarding {
            Boarding::First(pilot, answer) => {
                self.fly(pilot, publisher, key, consent);
                Some(answer)
            }
            Boarding::Joined(answer) => Some(answer),
            Boarding::Full => None,
        }
    }

    pub(super) async fn wait_for(
        &self,
        key: RecordKey,
        answer: oneshot::Receiver<Resolution>,
        patience: Duration,
    ) -> Resolution {
        let resolution = match tokio::time::timeout(self.settings.wait.min(patience), answer).await {
            Ok(Ok(resolution)) => resolution,
            Ok(Err(_)) => Resolution::Absent(Absence::Store),
            Err(_) => Resolution::Absent(Absence::Wait),
        };
        // An opt-out or logout that was learned meanwhile is the newer truth, whatever the flight brings.
        self.marker(&key, self.clock.now()).map_or(resolution, Resolution::Denied)
    }

    fn fly(self: &Arc<Self>, pilot: Pilot, publisher: &Publisher, key: RecordKey, consent: Consent) {
        let (inner, publisher) = (Arc::clone(self), publisher.clone());
        self.control.spawn(async move {
            let resolution = inner.look_up(&pilot, &publisher, key, consent).await;
            pilot.land(&resolution);
        });
    }

    /// The record, brought up to date as far as its phase asks for.
    pub(super) async fn look_up(
        &self,
        pilot: &Pilot,
        publisher: &Publisher,
        key: RecordKey,
        consent: Consent,
    ) -> Resolution {
        let record = match self.usable_record(publisher, key).await {
            Ok(record) => record,
            Err(resolution) => return resolution,
        };
        match self.record_phase(&record) {
            Phase::Fresh => self.keep(key, &record, How::Fresh),
            Phase::Due => {
                // The token is usable: nobody waits for its refresh.
                let present = self.keep(key, &record, How::Due);
                pilot.tell(&present);
                if is_spent(&record) || !self.is_due(&key, &record) {
                    present
                } else {
                    self.refreshed(publisher, key, record, consent).await
                }
            }
            Phase::Lapsed => self.refreshed(publisher, key, record, consent).await,
            Phase::Dead => self.nothing(key, record.generation, Absence::Dead),
        }
    }

    /// The record of an identity that this publisher may use; in any other case what the look-up has come to, cached.
    pub(super) async fn usable_record(
        &self,
        publisher: &Publisher,
        key: RecordKey,
    ) -> Result<Record, Resolution> {
        let record = match self.store.read(key).await {
            Ok(Some(record)) => record,
            Ok(None) => return Err(self.gone(key)),
            Err(fault) => return Err(self.unread(key, &fault)),
        };
        if !matches!(record.state, State::Active(_)) {
            return Err(self.take_in(key, &record));
        }
        if self.dii_opted_out(record.dii.as_ref(), self.clock.now()) {
            return Err(self.denied(key, &record, Denial::OptedOut));
        }
        if record.environment != publisher.environment() {
            return Err(self.nothing(key, record.generation, Absence::Environment));
        }
        Ok(record)
    }

    /// The phase of a record's identity; without one it is dead.
    pub(super) fn record_phase(&self, record: &Record) -> Phase {
        match &record.state {
            State::Active(identity) => identity.times.phase(self.clock.now(), self.settings.expiry_margin_ms),
            State::OptedOut | State::LoggedOut | State::Alias(_) => Phase::Dead,
        }
    }

    fn due_at(&self, key: &RecordKey, times: &Times) -> UnixMillis {
        due_at(key, times, self.settings.refresh_jitter_ms)
    }

    /// Whether the moment of the record's refresh has come, jitter included.
    fn is_due(&self, key: &RecordKey, record: &Record) -> bool {
        matches!(&record.state, State::Active(it) if self.due_at(key, &it.times) <= self.clock.now())
    }

    async fn refreshed(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        record: Record,
        consent: Consent,
    ) -> Resolution {
        let refreshed = self.refresh(publisher, key, record, consent).await;
        self.settle(key, &refreshed).await
    }

    /// Caches a record as it was read, and says what it says.
    pub(super) fn take_in(&self, key: RecordKey, record: &Record) -> Resolution {
        match &record.state {
            State::OptedOut => self.denied(key, record, Denial::OptedOut),
            State::LoggedOut => self.denied(key, record, why_left(record)),
            State::Active(_) => self.keep(key, record, How::Fresh),
            State::Alias(user) if self.store.opted_out(user, self.clock.now()) => {
                // For a while: the publisher may take it back.
                let until = self.clock.now().plus(jittered(NEGATIVE_MS));
                let what = What::Denied { why: Denial::OptedOut, until };
                self.insert(key, Entry { generation: record.generation, what }, How::Fresh)
            }
            State::Alias(_) => self.nothing(key, record.generation, Absence::UnknownUser),
        }
    }

    /// Caches an active record; what the cache holds afterwards is the answer (it may be newer).
    pub(super) fn keep(&self, key: RecordKey, record: &Record, how: How) -> Resolution {
        let State::Active(identity) = &record.state else { return Resolution::Absent(Absence::Store) };
        let text = identity.advertising_token.clone();
        let token = Token::new(text, identity.times, record.environment, record.dii);
        let token = token.of_whom(&record.said).since(record.created);
        token.put_off(if is_spent(record) {
            UnixMillis(i64::MAX)
        } else {
            self.due_at(&key, &identity.times)
        });
        self.insert(key, Entry { generation: record.generation, what: What::Token(token) }, how)
    }

    pub(super) fn denied(&self, key: RecordKey, record: &Record, why: Denial) -> Resolution {
        let what = What::Denied { why, until: record.keep_until };
        self.insert(key, Entry { generation: record.generation, what }, How::Fresh);
        Resolution::Denied(why)
    }

    /// Remembers for a short while that there is nothing, so that the next requests do not ask again.
    pub(super) fn nothing(&self, key: RecordKey, generation: u64, why: Absence) -> Resolution {
        self.nothing_until(key, generation, (why, self.clock.now().plus(jittered(NEGATIVE_MS))))
    }

    /// Remembers until then that there is nothing.
    pub(super) fn nothing_until(
        &self,
        key: RecordKey,
        generation: u64,
        (why, until): (Absence, UnixMillis),
    ) -> Resolution {
        self.insert(key, Entry { generation, what: What::Nothing { why, until } }, How::Fresh)
    }

    /// The store has no record: it died, or there never was one.
    pub(super) fn gone(&self, key: RecordKey) -> Resolution {
        let had_token = self.cache.find(&key).is_some_and(|entry| matches!(entry.what, What::Token(_)));
        self.nothing(key, 0, if had_token { Absence::Dead } else { Absence::UnknownUser })
    }

    /// The store could not be asked. A full queue is no news of this key: the next request may have more luck.
    pub(super) fn unread(&self, key: RecordKey, fault: &StoreError) -> Resolution {
        if *fault == StoreError::Busy {
            return Resolution::Absent(Absence::Busy);
        }
        log_fault(fault, "an identity record could not be read");
        self.nothing(key, 0, Absence::Store)
    }

    pub(super) fn insert(&self, key: RecordKey, entry: Entry, how: How) -> Resolution {
        let now = self.clock.now();
        let present = self.cache.insert(key, entry, now);
        if self.is_outdated(&key, &present) {
            // Another gateway has written since this was read: the next request reads it.
            self.cache.forget(&key);
            return Resolution::Absent(Absence::Wait);
        }
        self.said(&key, &present, how, now)
    }

    /// What an entry comes to at `now`; never a token past its end, and none of a user who opted out meanwhile,
    /// however it got there.
    fn said(&self, key: &RecordKey, entry: &Entry, how: How, now: UnixMillis) -> Resolution {
        match &entry.what {
            What::Token(token) if self.opted_out(key, token.dii.as_ref(), now) => {
                Resolution::Denied(Denial::OptedOut)
            }
            What::Token(_) if self.cache.is_over(entry, now) => Resolution::Absent(Absence::Lapsed),
            What::Token(token) => token_of(token, how, now),
            What::Denied { why, .. } => Resolution::Denied(*why),
            What::Nothing { why, .. } => Resolution::Absent(*why),
        }
    }
}

fn token_of(token: &Token, how: How, now: UnixMillis) -> Resolution {
    token.used(now);
    let (text, said) = (Arc::clone(&token.text), token.said.clone());
    let (noticed, login) = (token.noticed, token.login);
    Resolution::Token(Injectable { token: text, said, noticed, login, renewed: None, how })
}

/// Logs what the store did not do for one record; when it does nothing for any, that is told once already.
pub(super) fn log_fault(fault: &StoreError, what: &'static str) {
    if fault.is_outage() {
        tracing::debug!(error = %fault, "{what}");
    } else {
        tracing::warn!(error = %fault, "{what}");
    }
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
