//! Login, logout, state, token: what the identity API asks. All of it runs on the control plane.

use std::sync::Arc;
use std::time::Duration;

use super::refresher::{DAY_MS, Refreshed, record_of};
use super::{Denial, How, Identities, Inner, Origin, Publisher};
use crate::operator::{Fault, Minted};
use crate::privacy::Consent;
use crate::store::{Draft, Expect, Record, RecordKey, State, StoreError, Written};
use crate::time::UnixMillis;
use crate::uid2::{self, AdvertisingToken, DiiHash, Identity, Scope, Times};

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

/// State of a stored user, as the API names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Usable.
    Fresh,
    /// Usable, a refresh is due.
    Due,
    /// Not usable until refreshed.
    Lapsed,
    /// Neither usable nor refreshable.
    Dead,
    /// Opted out.
    OptedOut,
    /// Logged out.
    LoggedOut,
}

/// State of a record, without secrets.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where it stands.
    pub phase: Phase,
    /// UID2 or EUID.
    pub scope: Scope,
    /// How it came to be.
    pub origin: Origin,
    /// Its times, while it has an identity.
    pub times: Option<Times>,
}

/// The current token.
#[derive(Debug)]
pub enum TokenAnswer {
    /// This one.
    Token {
        /// The token.
        token: AdvertisingToken,
        /// When it dies.
        identity_expires: UnixMillis,
    },
    /// No usable identity.
    NotFound,
    /// The user opted out.
    OptedOut,
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
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        let key = self.user_key(&publisher, user_id);
        self.on_control(async move { inner.logout(&publisher, key).await }).await
    }

    /// State of a user, `None` when nobody knows them.
    pub async fn status(&self, publisher: &Publisher, user_id: &[u8]) -> Result<Option<Status>, LoginError> {
        let inner = Arc::clone(&self.0);
        let key = self.user_key(publisher, user_id);
        self.on_control(async move { inner.status(key).await }).await
    }

    /// The current token, refreshed first when less than `min_ttl` of its life is left. A refresh that gives less
    /// than that returns the freshest there is.
    pub async fn token(
        &self,
        publisher: &Publisher,
        user_id: &[u8],
        min_ttl: Option<Duration>,
        consent: Consent,
    ) -> Result<TokenAnswer, LoginError> {
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        let key = self.user_key(&publisher, user_id);
        self.on_control(async move { inner.token(&publisher, key, min_ttl, consent).await }).await
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
        let now = self.clock.now();
        if self.store.opted_out(&key, now) || self.store.opted_out(&dii, now) {
            self.mark_opted_out(publisher, key, dii, claim.origin).await?;
            return Ok(LoginAnswer::OptedOut);
        }
        match self.operator.generate(&publisher.credentials, &claim.dii, claim.tcf.as_deref()).await? {
            Minted::Identity(identity) => {
                let keep_until = identity.times.refresh_expires;
                let state = State::Active(identity.clone());
                let record = self.put(publisher, key, Some(dii), (claim.origin, state, keep_until)).await?;
                self.keep(key, &record, How::Generated);
                // An opt-out that was learned while the operator made this token is the newer truth.
                let opted_out = [&key, &dii].iter().any(|k| self.store.opted_out(k, self.clock.now()));
                Ok(if opted_out { LoginAnswer::OptedOut } else { LoginAnswer::Active(identity) })
            }
            Minted::OptedOut => {
                self.mark_opted_out(publisher, key, dii, claim.origin).await?;
                Ok(LoginAnswer::OptedOut)
            }
            Minted::InsufficientConsent => Ok(LoginAnswer::InsufficientConsent),
        }
    }

    /// The user and the identifier are opted out from now on; answered when that is durable.
    async fn mark_opted_out(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        dii: RecordKey,
        origin: Origin,
    ) -> Result<(), LoginError> {
        let now = self.clock.now();
        let until = now.plus(i64::from(self.settings.optout_days) * DAY_MS);
        self.known.insert(&key);
        self.known.insert(&dii);
        self.store.opt_out(vec![key, dii], now, until).await?;
        let record = self.put(publisher, key, Some(dii), (origin, State::OptedOut, until)).await?;
        self.denied(key, &record, Denial::OptedOut);
        Ok(())
    }

    async fn logout(&self, publisher: &Publisher, key: RecordKey) -> Result<(), LoginError> {
        let now = self.clock.now();
        if !self.known.contains(&key) || self.store.opted_out(&key, now) {
            return Ok(());
        }
        let origin = match self.store.read(key).await? {
            Some(Record { state: State::OptedOut, .. }) | None => return Ok(()),
            Some(record) => record.origin,
        };
        let record = self.put(publisher, key, None, (origin, State::LoggedOut, now.plus(DAY_MS))).await?;
        self.denied(key, &record, Denial::LoggedOut);
        Ok(())
    }

    /// Writes over whatever is there, durably.
    async fn put(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        dii: Option<RecordKey>,
        (origin, state, keep_until): (Origin, State, UnixMillis),
    ) -> Result<Record, LoginError> {
        let now = self.clock.now();
        let draft = Draft {
            publisher: publisher.id.to_string(),
            scope: publisher.scope(),
            environment: publisher.environment(),
            dii,
            origin,
            created: now,
            keep_until,
            state,
        };
        // Known first: a request between the two finds the old record or none, never "unknown" after the answer.
        self.known.insert(&key);
        let generation = match self.store.write(key, Expect::Any, draft.clone()).await? {
            Written::Stored { generation } => generation,
            Written::Lost { current } => current, // cannot happen with `Any`; the newer record then counts
        };
        Ok(record_of(draft, generation, now))
    }

    async fn status(&self, key: RecordKey) -> Result<Option<Status>, LoginError> {
        let Some(record) = self.store.read(key).await? else { return Ok(None) };
        let now = self.clock.now();
        let (phase, times) = match &record.state {
            State::OptedOut => (Phase::OptedOut, None),
            State::LoggedOut => (Phase::LoggedOut, None),
            State::Active(_) if self.store.opted_out(&key, now) => (Phase::OptedOut, None),
            State::Active(identity) => {
                (Phase::from(identity.times.phase(now, self.settings.expiry_margin_ms)), Some(identity.times))
            }
        };
        Ok(Some(Status { phase, scope: record.scope, origin: record.origin, times }))
    }

    async fn token(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        min_ttl: Option<Duration>,
        consent: Consent,
    ) -> Result<TokenAnswer, LoginError> {
        let now = self.clock.now();
        if self.store.opted_out(&key, now) {
            return Ok(TokenAnswer::OptedOut);
        }
        let Some(record) = self.store.read(key).await? else { return Ok(TokenAnswer::NotFound) };
        let (identity, phase) = match &record.state {
            State::OptedOut => return Ok(TokenAnswer::OptedOut),
            State::LoggedOut => return Ok(TokenAnswer::NotFound),
            State::Active(identity) => {
                (identity.clone(), identity.times.phase(now, self.settings.expiry_margin_ms))
            }
        };
        let wanted = min_ttl.map_or(0, |ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let enough = identity.times.identity_expires.since(now) >= wanted;
        match phase {
            uid2::Phase::Fresh | uid2::Phase::Due if enough => Ok(answer(&identity)),
            uid2::Phase::Dead => Ok(TokenAnswer::NotFound),
            usable => self.fresher(publisher, key, record, (usable, consent)).await,
        }
    }

    /// Refreshes now; when that fails, what is still usable is better than nothing.
    async fn fresher(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        record: Record,
        (phase, consent): (uid2::Phase, Consent),
    ) -> Result<TokenAnswer, LoginError> {
        let present = match &record.state {
            State::Active(identity) if phase != uid2::Phase::Lapsed => Some(answer(identity)),
            _ => None,
        };
        match self.refresh(publisher, key, record, consent).await {
            Refreshed::Renewed(renewed) => {
                self.keep(key, &renewed, How::Refreshed);
                match &renewed.state {
                    State::Active(identity) => Ok(answer(identity)),
                    _ => Ok(TokenAnswer::NotFound),
                }
            }
            Refreshed::OptedOut => Ok(TokenAnswer::OptedOut),
            Refreshed::Rejected => Ok(present.unwrap_or(TokenAnswer::NotFound)),
            Refreshed::Overtaken | Refreshed::Failed => present.ok_or(LoginError::Operator(Fault::Connect)),
        }
    }
}

fn answer(identity: &Identity) -> TokenAnswer {
    TokenAnswer::Token {
        token: identity.advertising_token.clone(),
        identity_expires: identity.times.identity_expires,
    }
}

impl From<uid2::Phase> for Phase {
    fn from(phase: uid2::Phase) -> Self {
        match phase {
            uid2::Phase::Fresh => Self::Fresh,
            uid2::Phase::Due => Self::Due,
            uid2::Phase::Lapsed => Self::Lapsed,
            uid2::Phase::Dead => Self::Dead,
        }
    }
}
