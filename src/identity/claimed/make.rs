//! Tokens for identifiers: found under their keys, or made by the operator and kept there.

use std::sync::Arc;

use super::super::refresher::DAY_MS;
use super::super::resolver::log_fault;
use super::super::{Absence, Denial, How, Inner, Notice, Origin, Publisher, Resolution};
use crate::identity::metrics::Found;
use crate::operator::{Fault, Minted};
use crate::privacy::{Consent, Said};
use crate::secret::Secret;
use crate::store::{Draft, Expect, Record, RecordKey, State, Written};
use crate::uid2::DiiHash;

/// An identifier that may be turned into a token.
pub(super) struct Maker {
    pub(super) key: RecordKey,
    pub(super) hash: DiiHash,
    pub(super) tcf: Option<String>,
    pub(super) origin: Origin,
    pub(super) provider: Option<Arc<str>>,
}

impl Inner {
    /// The token of the user of an ID token.
    pub(super) async fn of_token(
        self: &Arc<Self>,
        publisher: &Publisher,
        (key, token): (RecordKey, &Secret<String>),
        tcf: Option<String>,
        consent: Consent,
    ) -> Resolution {
        let (dii, verified) = match self.vouched(publisher, (key, token)).await {
            Ok(vouched) => vouched,
            Err(resolution) => return resolution,
        };
        let provider = Some(verified.provider);
        let maker = Maker { key: dii, hash: verified.dii, tcf, origin: Origin::IdToken, provider };
        self.made(publisher, maker, consent).await
    }

    /// The token of an identifier: that of its record, of the user it leads to, or a new one.
    pub(super) async fn made(
        self: &Arc<Self>,
        publisher: &Publisher,
        maker: Maker,
        consent: Consent,
    ) -> Resolution {
        let key = maker.key;
        if self.store.opted_out(&key, self.clock.now()) {
            return Resolution::Denied(Denial::OptedOut);
        }
        let record = match self.store.read(key).await {
            Ok(Some(record)) => record,
            Ok(None) => return self.make(publisher, maker, 0).await,
            Err(fault) => return self.unread(key, &fault),
        };
        let generation = record.generation;
        let found = match record.state {
            State::OptedOut | State::LoggedOut => return self.take_in(key, &record),
            State::Alias(user) if self.store.opted_out(&user, self.clock.now()) => {
                return self.take_in(key, &record);
            }
            State::Alias(user) if self.has_given_up(user, key).await => {
                Resolution::Absent(Absence::UnknownUser)
            }
            State::Alias(user) => {
                self.pointers.set(key, user, self.clock.now());
                self.looked_up(publisher, user, consent).await
            }
            State::Active(_) => self.looked_up(publisher, key, consent).await,
        };
        match found {
            Resolution::Absent(Absence::UnknownUser | Absence::Dead) => {
                self.pointers.forget(&key);
                self.make(publisher, maker, generation).await
            }
            found => found,
        }
    }

    /// Whether a user has an identity made of another identifier than this by now.
    async fn has_given_up(&self, user: RecordKey, key: RecordKey) -> bool {
        let record = self.store.read(user).await.ok().flatten();
        record.is_some_and(|record| matches!(record.state, State::Active(_)) && record.dii != Some(key))
    }

    /// The user's own flight: one refresh at a time, whichever hint it is for.
    async fn looked_up(
        self: &Arc<Self>,
        publisher: &Publisher,
        key: RecordKey,
        consent: Consent,
    ) -> Resolution {
        match self.ask(publisher, key, consent, Found::Miss) {
            Some(answer) => answer.await.unwrap_or(Resolution::Absent(Absence::Store)),
            None => Resolution::Absent(Absence::Busy),
        }
    }

    /// Has a token made, and keeps it under the identifier's own key.
    async fn make(&self, publisher: &Publisher, maker: Maker, generation: u64) -> Resolution {
        if publisher.notice == Notice::PerLogin {
            // Nobody asserted it for this user.
            return Resolution::Denied(Denial::Notice);
        }
        let Maker { key, hash, tcf, origin, provider } = maker;
        let Some(_permit) = self.refreshes.try_take() else { return Resolution::Absent(Absence::Busy) };
        // Before the operator is asked: a logout or opt-out from here on finds the identifier known.
        self.known.insert(&key);
        let operator = self.operators.of(&publisher.credentials);
        let minted = operator.generate(&publisher.credentials, &hash, tcf.as_deref()).await;
        let now = self.clock.now();
        let draft = |state, keep_until| Draft {
            publisher: publisher.id.to_string(),
            scope: publisher.scope(),
            environment: publisher.environment(),
            dii: Some(key),
            origin,
            provider: provider.as_deref().map(str::to_owned),
            said: Said { consent: tcf.clone(), ..Said::default() },
            created: now,
            keep_until,
            state,
        };
        match minted {
            Ok(Minted::Identity(identity)) => {
                let until = identity.times.refresh_expires;
                self.store_made(key, generation, draft(State::Active(identity), until)).await
            }
            Ok(Minted::OptedOut) => {
                let until = now.plus(i64::from(self.settings.optout_days) * DAY_MS);
                if let Err(fault) = self.mark_opted_out(key, &[key], draft(State::OptedOut, until)).await {
                    tracing::warn!(error = %fault, "the marker of an opt-out could not be stored");
                }
                Resolution::Denied(Denial::OptedOut)
            }
            Err(error) if error.fault == Fault::InvalidDii => {
                let until = now.plus(self.settings.dii_error_ttl_ms);
                self.nothing_until(key, generation, (Absence::DiiInvalid, until))
            }
            Ok(Minted::InsufficientConsent) | Err(_) => self.nothing(key, generation, Absence::Operator),
        }
    }

    async fn store_made(&self, key: RecordKey, generation: u64, draft: Draft) -> Resolution {
        let now = self.clock.now();
        match self.store.write(key, Expect::Generation(generation), draft.clone()).await {
            Ok(Written::Stored { generation }) => {
                self.known.insert(&key);
                self.keep(key, &draft.into_record(generation, now), How::Generated)
            }
            Ok(Written::Lost { .. }) => self.read_again(key).await,
            Err(fault) => {
                // This process sends it all the same; it is made again after a restart.
                log_fault(&fault, "a new identity could not be stored");
                self.keep(key, &draft.into_record(generation, now), How::Generated)
            }
        }
    }

    /// Notes under the identifier's key whose identity it is, so that a request with the identifier alone finds it.
    pub(in crate::identity) async fn alias(&self, dii: RecordKey, user: RecordKey, of: &Record) {
        self.point(Expect::Any, (dii, user), of).await;
    }

    /// The same, over what is expected there.
    pub(in crate::identity) async fn point(
        &self,
        before: Expect,
        (dii, user): (RecordKey, RecordKey),
        of: &Record,
    ) {
        let mut draft = Draft::from(of.clone());
        draft.dii = None;
        draft.state = State::Alias(user);
        self.known.insert(&dii);
        match self.store.write(dii, before, draft).await {
            Ok(Written::Lost { .. }) => {}
            Ok(Written::Stored { .. }) => {
                self.known.insert(&dii);
                // A marker or an identity of its own that stood here gave way to the login.
                self.cache.forget(&dii);
                self.pointers.set(dii, user, self.clock.now());
            }
            Err(fault) => log_fault(&fault, "the alias of a login could not be stored"),
        }
    }
}
