//! What a user has: the state of the record, and the current token. Runs on the control plane.

use std::sync::Arc;
use std::time::Duration;

use super::cache::What;
use super::flight::Boarding;
use super::refresher::{Refreshed, is_spent};
use super::{Denial, How, Identities, Inner, LoginAnswer, LoginError, Origin, Publisher};
use crate::operator::Fault;
use crate::privacy::Consent;
use crate::store::{Record, RecordKey, State};
use crate::time::UnixMillis;
use crate::uid2::{self, AdvertisingToken, Identity, Scope, Times};

/// A record written so lately is the freshest there is: asking again would give the same, milliseconds.
const JUST_WRITTEN_MS: i64 = 60_000;

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
    /// When the user came to be what they are.
    pub created: UnixMillis,
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
    /// What was said at login forbids it now.
    Denied(Denial),
}

impl Identities {
    /// State of a user, `None` when nobody knows them.
    pub async fn status(&self, publisher: &Publisher, user_id: &[u8]) -> Result<Option<Status>, LoginError> {
        let inner = Arc::clone(&self.0);
        let (key, publisher) = (self.user_key(publisher, user_id), publisher.clone());
        self.on_control(async move { inner.status(&publisher, key).await }).await
    }

    /// The current token, refreshed first when less than `min_ttl` of its life is left. Where a refresh gives less than
    /// that, or the token was made just now, it is the freshest there is.
    pub async fn token(
        &self,
        publisher: &Publisher,
        user_id: &[u8],
        min_ttl: Option<Duration>,
        consent: Consent,
    ) -> Result<TokenAnswer, LoginError> {
        let inner = Arc::clone(&self.0);
        let key = self.user_key(publisher, user_id);
        let min_ttl = min_ttl.map_or(0, |ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        let wish = Wish { publisher: publisher.clone(), key, min_ttl, consent };
        self.on_control(async move { inner.token(&wish).await }).await
    }
}

/// Somebody wants a token that lives so long.
pub(super) struct Wish {
    pub(super) publisher: Publisher,
    pub(super) key: RecordKey,
    /// Milliseconds.
    pub(super) min_ttl: i64,
    pub(super) consent: Consent,
}

/// What a record gives now.
pub(super) enum Held {
    /// An end: no refresh would change it.
    Final(TokenAnswer),
    /// A token that may be sent, and a record that could give a longer one.
    Usable(TokenAnswer, Record),
    /// Nothing unless it is refreshed.
    Lapsed(Record),
}

impl Inner {
    async fn status(&self, publisher: &Publisher, key: RecordKey) -> Result<Option<Status>, LoginError> {
        self.admit(publisher, key, true).await?;
        let Some(record) = self.store.read(key).await? else { return Ok(None) };
        publisher.may_touch(&record)?;
        if self.store.opted_out(&key, self.clock.now()) {
            let Record { scope, origin, created, .. } = record;
            return Ok(Some(Status { phase: Phase::OptedOut, scope, origin, times: None, created }));
        }
        let (phase, times) = match &record.state {
            State::Alias(_) => return Ok(None),
            State::OptedOut => (Phase::OptedOut, None),
            State::LoggedOut => (Phase::LoggedOut, None),
            State::Active(_) if self.record_opted_out(key, &record) => (Phase::OptedOut, None),
            State::Active(identity) => (self.record_phase(&record).into(), Some(identity.times)),
        };
        let Record { scope, origin, created, .. } = record;
        Ok(Some(Status { phase, scope, origin, times, created }))
    }

    async fn token(self: &Arc<Self>, wish: &Wish) -> Result<TokenAnswer, LoginError> {
        let record = match self.held(wish).await? {
            Held::Final(answer) => return Ok(answer),
            Held::Usable(answer, record) if self.will_do(&record, wish.min_ttl) => {
                self.refresh_beside(wish, &record);
                return Ok(answer);
            }
            Held::Usable(_, record) | Held::Lapsed(record) => record,
        };
        let (held, fault) = match self.freshen(wish, record.generation).await? {
            // Not read again: the store may not have taken it.
            Some(Refreshed::Renewed(record)) => (self.hold(wish, record), None),
            Some(Refreshed::Failed(_, fault)) => (self.held(wish).await?, Some(fault)),
            _ => (self.held(wish).await?, None),
        };
        match held {
            Held::Final(answer) | Held::Usable(answer, _) => Ok(answer),
            Held::Lapsed(_) => Err(LoginError::Operator(fault.unwrap_or(Fault::Throttled))),
        }
    }

    pub(super) async fn held(&self, wish: &Wish) -> Result<Held, LoginError> {
        self.admit(&wish.publisher, wish.key, true).await?;
        if self.store.opted_out(&wish.key, self.clock.now()) {
            return Ok(Held::Final(TokenAnswer::OptedOut));
        }
        let record = self.store.read(wish.key).await?;
        if let Some(record) = &record {
            wish.publisher.may_touch(record)?;
        }
        Ok(record.map_or(Held::Final(TokenAnswer::NotFound), |record| self.hold(wish, record)))
    }

    /// What a record gives.
    fn hold(&self, wish: &Wish, record: Record) -> Held {
        let identity = match &record.state {
            State::LoggedOut | State::Alias(_) => return Held::Final(TokenAnswer::NotFound),
            State::Active(identity) if !self.record_opted_out(wish.key, &record) => identity,
            State::OptedOut | State::Active(_) => return Held::Final(TokenAnswer::OptedOut),
        };
        if let Err(denial) = self.allowed(&wish.publisher, &record) {
            return Held::Final(TokenAnswer::Denied(denial));
        }
        match self.record_phase(&record) {
            uid2::Phase::Fresh | uid2::Phase::Due => Held::Usable(answer(identity), record),
            uid2::Phase::Lapsed => Held::Lapsed(record),
            uid2::Phase::Dead => Held::Final(TokenAnswer::NotFound),
        }
    }

    /// Refreshes the record of `generation`, and what came of it; `None`: somebody else did, or is at it.
    pub(super) async fn freshen(
        &self,
        wish: &Wish,
        generation: u64,
    ) -> Result<Option<Refreshed>, LoginError> {
        // Twice: the flight that is joined first may only have read.
        for _ in 0..2 {
            let boarding = self.flights.board(wish.key);
            let pilot = match boarding {
                Boarding::First(pilot, _) => Some(pilot),
                Boarding::Joined(flight) => {
                    drop(flight.await);
                    None
                }
                Boarding::Full => return Ok(None),
            };
            let record = self.store.read(wish.key).await?;
            let same = record.filter(|record| record.generation == generation);
            match (pilot, same) {
                (Some(pilot), Some(record)) => {
                    let refreshed = self.refresh(&wish.publisher, wish.key, record, wish.consent).await;
                    pilot.land(&self.settle(wish.key, &refreshed).await);
                    return Ok(Some(refreshed));
                }
                (Some(pilot), None) => {
                    pilot.land(&self.read_again(wish.key).await);
                    return Ok(None);
                }
                (None, None) => return Ok(None),
                (None, Some(_)) => {}
            }
        }
        Ok(None)
    }

    /// A token that is handed out here may never be part of an auction that would refresh it.
    fn refresh_beside(self: &Arc<Self>, wish: &Wish, record: &Record) {
        self.keep(wish.key, record, How::Due);
        let Some(entry) = self.cache.find(&wish.key) else { return };
        let now = self.clock.now();
        if let What::Token(token) = &entry.what
            && token.times.refresh_from <= now
            && token.take_refresh(now)
        {
            self.start(&wish.publisher, wish.key, wish.consent);
        }
    }

    fn record_opted_out(&self, key: RecordKey, record: &Record) -> bool {
        self.opted_out(&key, record.dii.as_ref(), self.clock.now())
    }

    /// The token lives long enough, or no refresh would give a longer one.
    pub(super) fn will_do(&self, record: &Record, min_ttl: i64) -> bool {
        let now = self.clock.now();
        let lives = matches!(
            &record.state,
            State::Active(identity) if identity.times.identity_expires.since(now) >= min_ttl
        );
        lives || is_spent(record) || now.since(record.written) < JUST_WRITTEN_MS
    }
}

fn answer(identity: &Identity) -> TokenAnswer {
    TokenAnswer::Token {
        token: identity.advertising_token.clone(),
        identity_expires: identity.times.identity_expires,
    }
}

impl From<TokenAnswer> for Option<LoginAnswer> {
    fn from(answer: TokenAnswer) -> Self {
        match answer {
            TokenAnswer::OptedOut => Some(LoginAnswer::OptedOut),
            TokenAnswer::Denied(denial) => Some(LoginAnswer::Denied(denial)),
            TokenAnswer::NotFound | TokenAnswer::Token { .. } => None,
        }
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
