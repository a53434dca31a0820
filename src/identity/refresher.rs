//! Refresh: new token, new refresh token, new key, written as one. A late answer loses against whoever was faster.

use std::time::Duration;

use super::cache::{Entry, What};
use super::resolver::{jittered, log_fault, random};
use super::{Absence, Denial, How, Inner, Publisher, Resolution};
use crate::operator::{Fault, Minted};
use crate::privacy::{Consent, Said};
use crate::store::{Draft, Expect, Record, RecordKey, State, Written};
use crate::time::UnixMillis;
use crate::uid2::{Identity, Phase};

/// A day, milliseconds.
pub(super) const DAY_MS: i64 = 86_400_000;

/// So long a refresh that privacy forbids is not thought of again, milliseconds, before jitter: policy and vendor list change
/// rarely.
const FORBIDDEN_MS: i64 = 60_000;

/// How a refresh ended.
pub(super) enum Refreshed {
    /// The record was replaced.
    Renewed(Record),
    /// Somebody else was faster; what is there now counts.
    Overtaken,
    /// The user opted out meanwhile.
    OptedOut,
    /// This refresh token is spent: it will never be answered. The record as it stands now.
    Rejected(Record),
    /// Too many refreshes are under way; later. The record is as it was.
    Busy(Record),
    /// The operator failed; later. The record is as it was.
    Failed(Record, Fault),
    /// What was said at login does not allow it any more: nobody was asked. The record is as it was.
    Forbidden(Record, Denial),
}

/// Whether a record's refresh token was rejected. Such a record is kept no longer than its token can be sent, so that
/// neither a restart nor an empty cache asks with it again.
pub(super) fn is_spent(record: &Record) -> bool {
    matches!(&record.state, State::Active(identity) if record.keep_until < identity.times.refresh_expires)
}

impl Inner {
    /// One call to the operator, and its outcome made durable. Whoever calls holds the key's flight.
    pub(super) async fn refresh(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        record: Record,
        _consent: Consent,
    ) -> Refreshed {
        let State::Active(identity) = &record.state else { return Refreshed::Overtaken };
        if let Err(denial) = self.allowed(publisher, &record) {
            return Refreshed::Forbidden(record, denial);
        }
        let Some(_lease) = self.may_refresh(key, &record).await else { return Refreshed::Overtaken };
        let Some(_permit) = self.refreshes.try_take() else { return Refreshed::Busy(record) };
        match self.operators.of(&publisher.credentials).refresh(&publisher.credentials, identity).await {
            Ok(Minted::Identity(renewed)) => self.renew(key, record, renewed).await,
            Ok(Minted::OptedOut) => self.opt_out(key, record).await,
            Ok(Minted::InsufficientConsent) => self.spend(key, record).await,
            Err(error) => {
                tracing::debug!(fault = error.fault.as_str(), "refresh failed");
                if error.fault.is_final() {
                    self.spend(key, record).await
                } else {
                    Refreshed::Failed(record, error.fault)
                }
            }
        }
    }

    /// What a refresh means for requests, cached.
    pub(super) async fn settle(&self, key: RecordKey, refreshed: &Refreshed) -> Resolution {
        match refreshed {
            Refreshed::Renewed(record) => match self.keep(key, record, How::Refreshed) {
                // Dead on arrival by our margin: the next request need not ask for another such token.
                Resolution::Absent(Absence::Lapsed) => self.nothing(key, record.generation, Absence::Lapsed),
                present => present,
            },
            Refreshed::OptedOut => Resolution::Denied(Denial::OptedOut),
            Refreshed::Overtaken => self.read_again(key).await,
            Refreshed::Rejected(record) => self.spent(key, record),
            Refreshed::Busy(record) => self.later(key, record, Absence::Busy),
            Refreshed::Failed(record, _) => self.later(key, record, Absence::Operator),
            Refreshed::Forbidden(record, denial) => self.forbidden(key, record, *denial),
        }
    }

    async fn renew(&self, key: RecordKey, record: Record, renewed: Identity) -> Refreshed {
        let now = self.clock.now();
        if let State::Active(old) = &record.state {
            self.observe(old, record.written, now);
        }
        let generation = record.generation;
        let keep_until = renewed.times.refresh_expires;
        let draft = Draft { state: State::Active(renewed), keep_until, ..record.into() };
        match self.store.write(key, Expect::Generation(generation), draft.clone()).await {
            Ok(Written::Stored { generation }) => Refreshed::Renewed(draft.into_record(generation, now)),
            Ok(Written::Lost { .. }) => Refreshed::Overtaken,
            Err(fault) => {
                // This process sends the new token all the same. The old refresh token lives on in the store.
                log_fault(&fault, "a refreshed identity could not be stored");
                Refreshed::Renewed(draft.into_record(generation, now))
            }
        }
    }

    /// The refresh token is worth nothing any more: the record ends with its token, which is now if that lapsed.
    async fn spend(&self, key: RecordKey, record: Record) -> Refreshed {
        let State::Active(identity) = &record.state else { return Refreshed::Overtaken };
        let now = self.clock.now();
        let times = identity.times;
        let last_use = times.identity_expires.plus(self.settings.expiry_margin_ms.saturating_neg());
        let last_use = last_use.min(times.refresh_expires.plus(-1));
        let generation = record.generation;
        let draft = Draft { keep_until: last_use.max(now), ..record.into() };
        match self.store.write(key, Expect::Generation(generation), draft.clone()).await {
            Ok(Written::Stored { generation }) => Refreshed::Rejected(draft.into_record(generation, now)),
            Ok(Written::Lost { .. }) => Refreshed::Overtaken,
            Err(fault) => {
                log_fault(&fault, "a rejected refresh could not be noted");
                Refreshed::Rejected(draft.into_record(generation, now))
            }
        }
    }

    fn spent(&self, key: RecordKey, record: &Record) -> Resolution {
        match self.record_phase(record) {
            Phase::Fresh | Phase::Due => {
                let present = self.keep(key, record, How::Due);
                // When the note could not be written, the entry is the old one.
                if let Some(What::Token(token)) = self.cache.find(&key).as_deref().map(|entry| &entry.what) {
                    token.put_off(UnixMillis(i64::MAX));
                }
                present
            }
            Phase::Lapsed | Phase::Dead => self.nothing(key, record.generation, Absence::Dead),
        }
    }

    /// The operator says that the user opted out: the record becomes a marker, and user and DII are remembered.
    async fn opt_out(&self, key: RecordKey, record: Record) -> Refreshed {
        let now = self.clock.now();
        let until = now.plus(i64::from(self.settings.optout_days) * DAY_MS);
        let generation = record.generation;
        let marker = || What::Denied { why: Denial::OptedOut, until };
        let held = self.cache.find(&key);
        // In this process first: from here on no request sends the token, whatever the disk does.
        self.cache.insert(key, Entry { generation, what: marker() }, now);
        let keys = std::iter::once(key).chain(record.dii).collect();
        // What the store refuses is logged, and written again until it is durable.
        drop(self.remember_opt_out(keys, now, until).await);
        self.measure_last_use(held.as_deref(), now);
        let draft =
            Draft { said: Said::default(), state: State::OptedOut, keep_until: until, ..record.into() };
        match self.store.write(key, Expect::Generation(generation), draft).await {
            Ok(Written::Stored { generation }) => {
                self.cache.insert(key, Entry { generation, what: marker() }, now);
            }
            Ok(Written::Lost { .. }) => {} // a newer login: its own generate asked the operator, and the opt-out set decides
            Err(fault) => tracing::error!(error = %fault, "an opt-out marker could not be stored"),
        }
        Refreshed::OptedOut
    }

    /// Somebody wrote while we asked: their record counts.
    pub(super) async fn read_again(&self, key: RecordKey) -> Resolution {
        match self.store.read(key).await {
            Ok(Some(record)) => self.take_in(key, &record),
            Ok(None) => self.gone(key),
            Err(fault) => self.unread(key, &fault),
        }
    }

    /// No refresh this time: a token that is still good goes on being used (the cache may have lost it meanwhile), and
    /// the next try has to wait.
    fn later(&self, key: RecordKey, record: &Record, why: Absence) -> Resolution {
        let answer = match self.record_phase(record) {
            Phase::Fresh | Phase::Due => self.keep(key, record, How::Due),
            Phase::Lapsed | Phase::Dead => self.nothing(key, record.generation, why),
        };
        // A newer token has had no failure yet.
        if let Some(entry) = self.cache.find(&key).filter(|entry| entry.generation == record.generation)
            && let What::Token(token) = &entry.what
        {
            token.back_off(self.clock.now(), random());
        }
        answer
    }

    /// No refresh, by what was said at login: a token that is still good is judged anew with each request that asks for it.
    fn forbidden(&self, key: RecordKey, record: &Record, why: Denial) -> Resolution {
        let until = self.clock.now().plus(jittered(FORBIDDEN_MS));
        if !matches!(self.record_phase(record), Phase::Fresh | Phase::Due) {
            let what = What::Denied { why, until };
            return self.insert(key, Entry { generation: record.generation, what }, How::Fresh);
        }
        let present = self.keep(key, record, How::Due);
        if let Some(What::Token(token)) = self.cache.find(&key).as_deref().map(|entry| &entry.what) {
            token.put_off(until);
        }
        present
    }

    fn observe(&self, old: &Identity, written: UnixMillis, now: UnixMillis) {
        let seconds = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64();
        self.metrics.refresh_lag.observe(seconds(now.since(old.times.refresh_from)));
        self.metrics.token_age.observe(seconds(now.since(written)));
        self.metrics.token_ttl_left.observe(seconds(old.times.identity_expires.since(now)));
    }
}
