//! Identities made elsewhere and handed to us, and a refresh that a publisher asks for. Runs on the control plane.

use std::sync::Arc;

use super::current::{Held, Wish};
use super::refresher::{DAY_MS, Refreshed};
use super::session::Before;
use super::{Denial, Identities, Inner, LoginAnswer, LoginError, Origin, Publisher};
use crate::privacy::{Consent, Said};
use crate::store::{Draft, RecordKey, State};
use crate::uid2::Identity;
use crate::uid2::cookie::MAX_LIFE_MS;

/// A refresh token that claims to live longer is not believed: operators issue 30 days at most, with some slack.
const MAX_REFRESH_DAYS: i64 = 366;

/// Why an identity made elsewhere is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// The advertising token is not one of the publisher's scope.
    Scope,
    /// Neither token lives any more.
    Dead,
    /// It claims to live longer than operators let tokens live.
    TooLong,
}

/// How an import ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Imported {
    /// Stored, durable.
    Stored,
    /// The user opted out, at the operator or at this publisher; nothing was stored.
    OptedOut,
    /// Not taken.
    Unfit(Unfit),
    /// Only a login may give this user an identity.
    Denied(Denial),
}

impl Identities {
    /// Stores an identity that was made elsewhere, durable when this returns. It replaces what the user had.
    pub async fn import(
        &self,
        publisher: &Publisher,
        user_id: &[u8],
        identity: Identity,
        consent: Consent,
    ) -> Result<Imported, LoginError> {
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        let key = self.user_key(&publisher, user_id);
        self.on_control(async move { inner.import(&publisher, key, identity, consent).await }).await
    }

    /// Refreshes a user's identity now, however fresh it is, unless it was made in the last minute. `None`: there is none.
    pub async fn refresh_now(
        &self,
        publisher: &Publisher,
        user_id: &[u8],
        consent: Consent,
    ) -> Result<Option<LoginAnswer>, LoginError> {
        let (inner, key) = (Arc::clone(&self.0), self.user_key(publisher, user_id));
        let wish = Wish { publisher: publisher.clone(), key, min_ttl: i64::MAX, consent };
        self.on_control(async move { inner.refresh_now(&wish).await }).await
    }
}

impl Inner {
    async fn import(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        identity: Identity,
        _consent: Consent,
    ) -> Result<Imported, LoginError> {
        self.admit(publisher, key, false).await?;
        let now = self.clock.now();
        if !identity.advertising_token.looks_made_for(publisher.scope()) {
            return Ok(Imported::Unfit(Unfit::Scope));
        }
        let times = identity.times;
        if times.refresh_expires <= now {
            return Ok(Imported::Unfit(Unfit::Dead));
        }
        let too_long = times.identity_expires.since(now) > MAX_LIFE_MS
            || times.refresh_expires.since(now) > MAX_REFRESH_DAYS * DAY_MS;
        if too_long {
            return Ok(Imported::Unfit(Unfit::TooLong));
        }
        if self.store.opted_out(&key, now) {
            return Ok(Imported::OptedOut);
        }
        let draft = Draft {
            publisher: publisher.id.to_string(),
            scope: publisher.scope(),
            environment: publisher.environment(),
            dii: None,
            origin: Origin::Import,
            provider: publisher.actor.as_deref().map(str::to_owned),
            said: Said::default(),
            created: now,
            keep_until: times.refresh_expires,
            state: State::Active(identity),
        };
        self.known.insert(&key);
        if let Some(denial) = self.barred(publisher, key).await? {
            return Ok(Imported::Denied(denial));
        }
        let Before::Write(before) = self.before(publisher, key, false).await? else {
            return Ok(Imported::OptedOut);
        };
        let stored = self.replace(publisher, key, before, draft).await?;
        let Some(record) = stored else { return Ok(Imported::OptedOut) };
        self.keep(key, &record, super::How::Fresh);
        // An opt-out that was learned meanwhile is the newer truth.
        Ok(if self.store.opted_out(&key, self.clock.now()) { Imported::OptedOut } else { Imported::Stored })
    }

    async fn refresh_now(self: &Arc<Self>, wish: &Wish) -> Result<Option<LoginAnswer>, LoginError> {
        let record = match self.held(wish).await? {
            Held::Final(answer) => return Ok(answer.into()),
            Held::Usable(_, record) if self.will_do(&record, wish.min_ttl) => {
                return Ok(active(record.state));
            }
            Held::Usable(_, record) | Held::Lapsed(record) => record,
        };
        let (held, fault) = match self.freshen(wish, record.generation).await? {
            Some(Refreshed::Renewed(record)) => return Ok(active(record.state)),
            Some(Refreshed::Failed(_, fault)) => (self.held(wish).await?, Some(fault)),
            _ => (self.held(wish).await?, None),
        };
        match (held, fault) {
            (Held::Final(answer), _) => Ok(answer.into()),
            // The caller wants to know that nothing was renewed, though the old token is still good.
            (_, Some(fault)) => Err(LoginError::Operator(fault)),
            (Held::Usable(_, record) | Held::Lapsed(record), None) => Ok(active(record.state)),
        }
    }
}

fn active(state: State) -> Option<LoginAnswer> {
    match state {
        State::Active(identity) => Some(LoginAnswer::Active(identity)),
        State::OptedOut => Some(LoginAnswer::OptedOut),
        State::LoggedOut | State::Alias(_) => None,
    }
}
