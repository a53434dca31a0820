//! Login and logout: what changes who a user is. All of it runs on the control plane.

use std::sync::Arc;

use super::refresher::DAY_MS;
use super::{Denial, How, Identities, Inner, Origin, Publisher};
use crate::operator::{Fault, Minted};
use crate::privacy::{Consent, Said};
use crate::sso::Refusal;
use crate::store::{Draft, Expect, Record, RecordKey, State, StoreError, Written};
use crate::uid2::{DiiHash, Identity, Scope};

/// So often a login that meets others of the same user tries to be the one after them; then it just writes.
const LOGIN_TRIES: u32 = 3;

/// A user logs in.
#[derive(Debug)]
pub struct Login {
    /// Under which key the user is kept.
    pub key: RecordKey,
    /// The hashed e-mail address or phone number.
    pub dii: DiiHash,
    /// What was said of the user's privacy; it is kept with the identity, and of EUID the TC string goes to the operator.
    pub said: Said,
    /// How the login came about.
    pub origin: Origin,
    /// The identity provider on whose word it is made.
    pub provider: Option<Arc<str>>,
}

/// What a login gave.
#[derive(Debug)]
pub enum LoginAnswer {
    /// An identity, durable.
    Active(Identity),
    /// The user opted out; remembered, and the operator is not asked again.
    OptedOut,
    /// The publisher opted the user out, and did not take it back.
    OptedOutAtSite,
    /// EUID: the TCF string lacks a purpose.
    InsufficientConsent,
    /// What was said at login forbids it now.
    Denied(Denial),
}

/// Why a login, or another identity call, failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The operator does not take this hash.
    #[error("the operator refused the identifier")]
    InvalidDii,
    /// The operator failed.
    #[error("the operator call failed: {}", .0.as_str())]
    Operator(Fault),
    /// The store failed; nothing was promised.
    #[error("the identity store failed")]
    Store(#[from] StoreError),
    /// The ID token is not believed.
    #[error("id_token: {0}")]
    IdToken(#[from] Refusal),
    /// A logout that came after this login began; nothing was stored.
    #[error("the user logged out meanwhile")]
    Overtaken,
    /// The record is not one that the provider which acts made.
    #[error("the identity provider is not authorised for this")]
    NotTheirs,
    /// The process is ending.
    #[error("the gateway is stopping")]
    Stopped,
}

impl Identities {
    /// Logs a user in: generate, store durably, return. A user or identifier that opted out is not asked for again.
    pub async fn login(
        &self,
        publisher: &Publisher,
        login: Login,
        consent: Consent,
    ) -> Result<LoginAnswer, LoginError> {
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        self.on_control(async move { inner.login(&publisher, login, consent).await }).await
    }
}

/// What stands under a key.
#[expect(clippy::large_enum_variant, reason = "lives for one call")]
pub(super) enum Stands {
    Record(Record),
    Nothing,
    /// Something that does not open or does not read.
    Unreadable,
}

/// Whether a login may write, and over what.
pub(super) enum Before {
    Write(Expect),
    OptedOut,
}

impl Inner {
    async fn login(
        &self,
        publisher: &Publisher,
        login: Login,
        _consent: Consent,
    ) -> Result<LoginAnswer, LoginError> {
        let key = login.key;
        let dii = self.store.keys().dii(&publisher.tenant(), login.dii.digest(), login.dii.kind());
        let draft = |state, keep_until| Draft {
            publisher: publisher.id.to_string(),
            scope: publisher.scope(),
            environment: publisher.environment(),
            dii: Some(dii),
            origin: login.origin,
            provider: login.provider.as_deref().map(str::to_owned),
            said: if state == State::OptedOut { Said::default() } else { login.said.clone() },
            created: self.clock.now(),
            keep_until,
            state,
        };
        let now = self.clock.now();
        self.admit(publisher, key, true).await?;
        if self.store.opted_out_at_site(&key, now) {
            return Ok(LoginAnswer::OptedOutAtSite);
        }
        if self.store.opted_out(&key, now) {
            // Nothing is written: what this user claims next may be somebody else's, and the period stays as it is.
            return Ok(LoginAnswer::OptedOut);
        }
        let until = now.plus(i64::from(self.settings.optout_days) * DAY_MS);
        if self.store.opted_out(&dii, now) {
            self.opted_out_at_login(publisher, (key, dii), draft(State::OptedOut, until)).await?;
            return Ok(LoginAnswer::OptedOut);
        }
        // Before the operator is asked, and until the record is there: a logout from here on finds the user known, even when the
        // filter is rebuilt meanwhile, and what it writes is newer.
        let _known = self.known.hold(key);
        let Before::Write(before) = self.before(publisher, key, false).await? else {
            return Ok(LoginAnswer::OptedOut);
        };
        let operator = self.operators.of(&publisher.credentials);
        let tcf = login.said.consent.as_deref().filter(|_| publisher.scope() == Scope::Euid);
        match operator.generate(&publisher.credentials, &login.dii, tcf).await? {
            Minted::Identity(identity) => {
                let draft = draft(State::Active(identity.clone()), identity.times.refresh_expires);
                let Some(record) = self.replace(publisher, key, before, draft).await? else {
                    return Ok(LoginAnswer::OptedOut);
                };
                self.keep(key, &record, How::Generated);
                self.alias_of_login(publisher, (dii, key), &record).await;
                // An opt-out that was learned while the operator made this token is the newer truth.
                let opted_out = self.opted_out(&key, Some(&dii), self.clock.now());
                Ok(if opted_out { LoginAnswer::OptedOut } else { LoginAnswer::Active(identity) })
            }
            Minted::OptedOut => {
                self.opted_out_at_login(publisher, (key, dii), draft(State::OptedOut, until)).await?;
                Ok(LoginAnswer::OptedOut)
            }
            Minted::InsufficientConsent => Ok(LoginAnswer::InsufficientConsent),
        }
    }

    /// What a login finds; `again`: it has looked before, so a logout is one that came since.
    pub(super) async fn before(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        again: bool,
    ) -> Result<Before, LoginError> {
        let record = match self.stands(key).await? {
            Stands::Record(record) => record,
            Stands::Nothing => return Ok(Before::Write(Expect::Generation(0))),
            Stands::Unreadable => {
                return publisher.may_touch_unread().map(|()| Before::Write(Expect::Any));
            }
        };
        publisher.may_touch(&record)?;
        match record.state {
            State::OptedOut => {
                self.take_in(key, &record);
                Ok(Before::OptedOut)
            }
            State::LoggedOut if again => {
                self.take_in(key, &record);
                Err(LoginError::Overtaken)
            }
            State::LoggedOut | State::Active(_) | State::Alias(_) => {
                Ok(Before::Write(Expect::Generation(record.generation)))
            }
        }
    }

    /// Writes what a login gave, unless the user left since `before`; of several logins the last to write counts.
    /// `None`: opted out meanwhile.
    pub(super) async fn replace(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        mut before: Expect,
        draft: Draft,
    ) -> Result<Option<Record>, LoginError> {
        for tried in 0..LOGIN_TRIES {
            // What could not be read has no generation to compare: somebody may have replaced it.
            if tried > 0 || before == Expect::Any {
                match self.before(publisher, key, true).await? {
                    Before::Write(now) => before = now,
                    Before::OptedOut => return Ok(None),
                }
            }
            if before == Expect::Any {
                // Its generation may be unreadable too, and counting begin anew: what is cached must not win by it.
                self.cache.forget(&key);
            }
            if let Some(record) = self.put(key, before, draft.clone()).await? {
                return Ok(Some(record));
            }
        }
        // Always overtaken by other logins: the last to write counts, unless the user left in the end.
        match self.before(publisher, key, true).await? {
            Before::OptedOut => Ok(None),
            Before::Write(now) => self.put_at_last(publisher, key, now, draft).await,
        }
    }

    pub(super) async fn stands(&self, key: RecordKey) -> Result<Stands, StoreError> {
        match self.store.read(key).await {
            Ok(Some(record)) => Ok(Stands::Record(record)),
            Ok(None) => Ok(Stands::Nothing),
            Err(fault @ (StoreError::Sealed(_) | StoreError::Record(_))) => {
                tracing::warn!(error = %fault, "an identity record is unreadable and will be replaced");
                Ok(Stands::Unreadable)
            }
            Err(fault) => Err(fault),
        }
    }

    /// `opted_out` are opted out from now on, as long as the marker in `draft`.
    pub(super) async fn mark_opted_out(
        &self,
        key: RecordKey,
        opted_out: &[RecordKey],
        draft: Draft,
    ) -> Result<(), LoginError> {
        let (held, now) = (self.cache.find(&key), self.clock.now());
        let kept = self.remember_opt_out(opted_out.to_vec(), now, draft.keep_until).await;
        self.measure_last_use(held.as_deref(), now);
        if let Some(record) = self.put(key, Expect::Any, draft).await? {
            self.denied(key, &record, Denial::OptedOut);
        }
        self.acknowledged(kept)
    }

    /// Writes durably if `expect` holds; what was written.
    pub(super) async fn put(
        &self,
        key: RecordKey,
        expect: Expect,
        draft: Draft,
    ) -> Result<Option<Record>, LoginError> {
        let now = self.clock.now();
        // Known first: a request between the two finds the old record or none, never "unknown" after the answer.
        self.known.insert(&key);
        let written = self.store.write(key, expect, draft.clone()).await?;
        let Written::Stored { generation } = written else { return Ok(None) };
        // And last: a filter that was rebuilt between the two may have missed both.
        self.known.insert(&key);
        Ok(Some(draft.into_record(generation, now)))
    }
}
