//! Login and logout: what changes who a user is. All of it runs on the control plane.

use std::sync::Arc;

use super::refresher::{DAY_MS, record_of};
use super::{Denial, How, Identities, Inner, Origin, Publisher};
use crate::operator::{Fault, Minted};
use crate::privacy::Consent;
use crate::store::{Draft, Expect, Record, RecordKey, State, StoreError, Written};
use crate::uid2::{DiiHash, Identity};

/// A user logs in.
#[derive(Debug)]
pub struct Login<'a> {
    /// The publisher's own id of the user.
    pub user_id: &'a [u8],
    /// The hashed e-mail address or phone number.
    pub dii: DiiHash,
    /// The TCF string, for EUID.
    pub tcf: Option<String>,
    /// How the login came about.
    pub origin: Origin,
}

/// What a login gave.
#[derive(Debug)]
pub enum LoginAnswer {
    /// An identity, durable.
    Active(Identity),
    /// The user opted out; remembered, and the operator is not asked again.
    OptedOut,
    /// EUID: the TCF string lacks a purpose.
    InsufficientConsent,
}

/// Why a login, or another identity call, failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The operator does not take this hash.
    #[error("the operator refused the identifier")]
    InvalidDii,
    /// The operator failed.
    #[error("the operator did not answer: {}", .0.as_str())]
    Operator(Fault),
    /// The store failed; nothing was promised.
    #[error("the identity store failed")]
    Store(#[from] StoreError),
    /// The process is ending.
    #[error("the gateway is stopping")]
    Stopped,
}

impl Identities {
    /// Logs a user in: generate, store durably, return. A user or identifier that opted out is not asked for again.
    pub async fn login(
        &self,
        publisher: &Publisher,
        login: Login<'_>,
        consent: Consent,
    ) -> Result<LoginAnswer, LoginError> {
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        let key = self.user_key(&publisher, login.user_id);
        let Login { dii, tcf, origin, .. } = login;
        self.on_control(
            async move { inner.login(&publisher, key, Claim { dii, tcf, origin }, consent).await },
        )
        .await
    }

    /// Logs a user out. Idempotent; an opted-out user stays opted out.
    pub async fn logout(&self, publisher: &Publisher, user_id: &[u8]) -> Result<(), LoginError> {
        let inner = Arc::clone(&self.0);
        let key = self.user_key(publisher, user_id);
        self.on_control(async move { inner.logout(key).await }).await
    }
}

/// What a login claims.
struct Claim {
    dii: DiiHash,
    tcf: Option<String>,
    origin: Origin,
}

impl Inner {
    async fn login(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        claim: Claim,
        _consent: Consent,
    ) -> Result<LoginAnswer, LoginError> {
        let dii = self.store.keys().dii(&publisher.tenant(), claim.dii.digest(), claim.dii.kind());
        let draft = |state, keep_until| Draft {
            publisher: publisher.id.to_string(),
            scope: publisher.scope(),
            environment: publisher.environment(),
            dii: Some(dii),
            origin: claim.origin,
            created: self.clock.now(),
            keep_until,
            state,
        };
        let now = self.clock.now();
        if self.store.opted_out(&key, now) {
            // Nothing is written: what this user claims next may be somebody else's, and the period stays as it is.
            return Ok(LoginAnswer::OptedOut);
        }
        let until = now.plus(i64::from(self.settings.optout_days) * DAY_MS);
        if self.store.opted_out(&dii, now) {
            self.mark_opted_out(key, &[key], draft(State::OptedOut, until)).await?;
            return Ok(LoginAnswer::OptedOut);
        }
        match self.operator.generate(&publisher.credentials, &claim.dii, claim.tcf.as_deref()).await? {
            Minted::Identity(identity) => {
                let draft = draft(State::Active(identity.clone()), identity.times.refresh_expires);
                let record = self.put(key, draft).await?;
                self.keep(key, &record, How::Generated);
                // An opt-out that was learned while the operator made this token is the newer truth.
                let opted_out = [&key, &dii].iter().any(|k| self.store.opted_out(k, self.clock.now()));
                Ok(if opted_out { LoginAnswer::OptedOut } else { LoginAnswer::Active(identity) })
            }
            Minted::OptedOut => {
                self.mark_opted_out(key, &[key, dii], draft(State::OptedOut, until)).await?;
                Ok(LoginAnswer::OptedOut)
            }
            Minted::InsufficientConsent => Ok(LoginAnswer::InsufficientConsent),
        }
    }

    /// `opted_out` are opted out from now on, as long as the marker in `draft`; answered when that is durable.
    async fn mark_opted_out(
        &self,
        key: RecordKey,
        opted_out: &[RecordKey],
        draft: Draft,
    ) -> Result<(), LoginError> {
        self.store.opt_out(opted_out.to_vec(), self.clock.now(), draft.keep_until).await?;
        self.known.extend(opted_out);
        let record = self.put(key, draft).await?;
        self.denied(key, &record, Denial::OptedOut);
        Ok(())
    }

    /// Whoever else writes meanwhile is seen: a marker of an opt-out is never replaced by a tombstone.
    async fn logout(&self, key: RecordKey) -> Result<(), LoginError> {
        let now = self.clock.now();
        if !self.known.contains(&key) || self.store.opted_out(&key, now) {
            return Ok(());
        }
        loop {
            let Some(record) = self.store.read(key).await? else { return Ok(()) };
            if !matches!(record.state, State::Active(_)) {
                self.take_in(key, &record);
                return Ok(());
            }
            let expected = Expect::Generation(record.generation);
            let tombstone =
                Draft { dii: None, state: State::LoggedOut, keep_until: now.plus(DAY_MS), ..record.into() };
            // A lost write means that somebody else's was stored, so this ends.
            if let Written::Stored { generation } = self.store.write(key, expected, tombstone.clone()).await?
            {
                self.denied(key, &record_of(tombstone, generation, now), Denial::LoggedOut);
                return Ok(());
            }
        }
    }

    /// Writes over whatever is there, durably.
    async fn put(&self, key: RecordKey, draft: Draft) -> Result<Record, LoginError> {
        let now = self.clock.now();
        // Known first: a request between the two finds the old record or none, never "unknown" after the answer.
        self.known.insert(&key);
        let generation = match self.store.write(key, Expect::Any, draft.clone()).await? {
            Written::Stored { generation } => generation,
            Written::Lost { current } => current, // cannot happen with `Any`; the newer record then counts
        };
        // And last: a filter that was rebuilt between the two may have missed both.
        self.known.insert(&key);
        Ok(record_of(draft, generation, now))
    }
}
