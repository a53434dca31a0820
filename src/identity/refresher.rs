//! Refresh: new token, new refresh token, new key, written as one. A late answer loses against whoever was faster.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cache::{Entry, What};
use super::resolver::random;
use super::{Absence, Denial, How, Inner, Publisher, Resolution};
use crate::net::backoff::full_jitter;
use crate::operator::Minted;
use crate::privacy::Consent;
use crate::store::{Draft, Expect, Record, RecordKey, State, Written};
use crate::time::UnixMillis;
use crate::uid2::Identity;

/// First pause after a failed refresh; it doubles.
const BACKOFF_BASE: Duration = Duration::from_secs(1);
const BACKOFF_CAP: Duration = Duration::from_mins(1);

/// A day, milliseconds.
pub(super) const DAY_MS: i64 = 86_400_000;

/// How a refresh ended.
pub(super) enum Refreshed {
    /// The record was replaced.
    Renewed(Record),
    /// Somebody else was faster; what is there now counts.
    Overtaken,
    /// The user opted out meanwhile.
    OptedOut,
    /// This refresh token is spent: it will never be answered.
    Rejected,
    /// The operator failed; later.
    Failed,
}

impl Inner {
    /// The token is valid and goes on being used; the refresh happens beside it.
    pub(super) async fn refresh_due(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        record: Record,
        consent: Consent,
    ) -> Resolution {
        let present = self.keep(key, &record, How::Due);
        let generation = record.generation;
        match self.refresh(publisher, key, record, consent).await {
            Refreshed::Renewed(renewed) => self.keep(key, &renewed, How::Refreshed),
            Refreshed::OptedOut => Resolution::Denied(Denial::OptedOut),
            Refreshed::Overtaken => {
                self.put_off(&key, generation, self.clock.now());
                present
            }
            Refreshed::Rejected => {
                self.put_off(&key, generation, UnixMillis(i64::MAX));
                present
            }
            Refreshed::Failed => {
                self.back_off(&key, generation);
                present
            }
        }
    }

    /// The token is not valid any more: no token without a refresh.
    pub(super) async fn refresh_lapsed(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        record: Record,
        consent: Consent,
    ) -> Resolution {
        let generation = record.generation;
        match self.refresh(publisher, key, record, consent).await {
            Refreshed::Renewed(renewed) => self.keep(key, &renewed, How::Refreshed),
            Refreshed::OptedOut => Resolution::Denied(Denial::OptedOut),
            Refreshed::Overtaken => Resolution::Absent(Absence::Lapsed),
            Refreshed::Rejected => self.nothing(key, generation, Absence::Dead),
            Refreshed::Failed => self.nothing(key, generation, Absence::Operator),
        }
    }

    /// One call to the operator, and its outcome made durable. Whoever calls holds the key's flight.
    pub(super) async fn refresh(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        record: Record,
        _consent: Consent,
    ) -> Refreshed {
        let State::Active(identity) = &record.state else { return Refreshed::Overtaken };
        let minted = match self.operator.refresh(&publisher.credentials, identity).await {
            Ok(minted) => minted,
            Err(error) => {
                tracing::debug!(fault = error.fault.as_str(), "refresh failed");
                return if error.fault.is_final() { Refreshed::Rejected } else { Refreshed::Failed };
            }
        };
        match minted {
            Minted::Identity(renewed) => self.renew(key, record, renewed).await,
            Minted::OptedOut => self.opt_out(key, record).await,
            Minted::InsufficientConsent => Refreshed::Rejected,
        }
    }

    async fn renew(&self, key: RecordKey, record: Record, renewed: Identity) -> Refreshed {
        let now = self.clock.now();
        if let State::Active(old) = &record.state {
            self.observe(old, record.written, now);
        }
        let expected = Expect::Generation(record.generation);
        let keep_until = renewed.times.refresh_expires;
        let draft = Draft { state: State::Active(renewed), keep_until, ..record.into() };
        match self.store.write(key, expected, draft.clone()).await {
            Ok(Written::Stored { generation }) => Refreshed::Renewed(record_of(draft, generation, now)),
            Ok(Written::Lost { .. }) => Refreshed::Overtaken,
            Err(fault) => {
                // The old refresh token lives on in the store, so nothing is lost; this process tries again later.
                tracing::warn!(error = %fault, "a refreshed identity could not be stored");
                Refreshed::Failed
            }
        }
    }

    /// The operator says that the user opted out: the record becomes a marker, and user and DII are remembered.
    async fn opt_out(&self, key: RecordKey, record: Record) -> Refreshed {
        let now = self.clock.now();
        let until = now.plus(i64::from(self.settings.optout_days) * DAY_MS);
        let generation = record.generation;
        // In this process first: from here on no request sends the token, whatever the disk does.
        self.cache.insert(key, Entry { generation, what: What::Denied(Denial::OptedOut) });
        let keys = std::iter::once(key).chain(record.dii).collect();
        self.remember_opt_out(keys, now, until).await;
        let draft = Draft { state: State::OptedOut, keep_until: until, ..record.into() };
        match self.store.write(key, Expect::Generation(generation), draft).await {
            Ok(Written::Stored { generation }) => {
                self.cache.insert(key, Entry { generation, what: What::Denied(Denial::OptedOut) });
            }
            Ok(Written::Lost { .. }) => {} // a newer login: its own generate asked the operator, and the opt-out set decides
            Err(fault) => tracing::error!(error = %fault, "an opt-out marker could not be stored"),
        }
        Refreshed::OptedOut
    }

    pub(super) async fn remember_opt_out(&self, keys: Vec<RecordKey>, at: UnixMillis, until: UnixMillis) {
        for key in &keys {
            self.known.insert(key);
        }
        if let Err(fault) = self.store.opt_out(keys, at, until).await {
            tracing::error!(error = %fault, "an opt-out could not be made durable; it is in force in this process");
        }
    }

    fn back_off(&self, key: &RecordKey, generation: u64) {
        let Some(entry) = self.cache.find(key) else { return };
        let What::Token(token) = &entry.what else { return };
        let failures = token.failures.fetch_add(1, Ordering::AcqRel);
        let pause = full_jitter(failures, BACKOFF_BASE, BACKOFF_CAP, random());
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        self.put_off(key, generation, self.clock.now().plus(pause));
    }

    fn put_off(&self, key: &RecordKey, generation: u64, then: UnixMillis) {
        let Some(entry) = self.cache.find(key).filter(|entry| entry.generation == generation) else { return };
        if let What::Token(token) = &entry.what {
            token.put_off(then);
        }
    }

    fn observe(&self, old: &Identity, written: UnixMillis, now: UnixMillis) {
        let seconds = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64();
        self.metrics.refresh_lag.observe(seconds(now.since(old.times.refresh_from)));
        self.metrics.token_age.observe(seconds(now.since(written)));
        self.metrics.token_ttl_left.observe(seconds(old.times.identity_expires.since(now)));
    }
}

/// The record that a stored draft has become.
pub(super) fn record_of(draft: Draft, generation: u64, written: UnixMillis) -> Record {
    let Draft { publisher, scope, environment, dii, origin, created, keep_until, state } = draft;
    Record { generation, publisher, scope, environment, dii, origin, created, written, keep_until, state }
}
