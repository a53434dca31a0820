//! What was said of a user's privacy at login, for as long as the identity lives: judged again before a refresh and before
//! a token is handed out, and of COPPA and GPC more than that: they stay until the user logs in again.
//!
//! An auction is judged by its own signals first; what it does not say is filled in from here by whoever asks for the token.

use std::sync::Arc;

use super::logout::nobody;
use super::refresher::DAY_MS;
use super::session::Stands;
use super::{Denial, Identities, Inner, LoginError, Notice, Publisher, Resolution};
use crate::privacy::{Consent, Regime, Rules, Said, judge_login, judge_stored};
use crate::store::{Draft, Record, RecordKey, State};
use crate::time::UnixMillis;
use crate::uid2::{DiiHash, Scope};

/// What sticks has no end but a login; this is ten years.
pub(super) const STICKS_MS: i64 = 3_650 * DAY_MS;

impl Identities {
    /// A login that privacy forbids: ends what earlier logins made. COPPA and GPC are kept until the user logs in again.
    pub async fn refuse(&self, publisher: &Publisher, key: RecordKey, said: &Said) -> Result<(), LoginError> {
        let (inner, publisher, said) = (Arc::clone(&self.0), publisher.clone(), said.clone());
        self.on_control(async move { inner.refuse(&publisher, key, said).await }).await
    }

    /// The same of a login with this identifier: what is kept is found by whoever knows that alone, too.
    pub async fn refuse_with(
        &self,
        publisher: &Publisher,
        (key, dii): (RecordKey, &DiiHash),
        said: &Said,
    ) -> Result<(), LoginError> {
        let (inner, publisher, said) = (Arc::clone(&self.0), publisher.clone(), said.clone());
        let dii = self.dii_key(&publisher, dii);
        self.on_control(async move {
            inner.refuse(&publisher, key, said.clone()).await?;
            inner.refuse_identifier(&publisher, (dii, key), &said).await
        })
        .await
    }
}

impl Inner {
    async fn refuse(&self, publisher: &Publisher, key: RecordKey, said: Said) -> Result<(), LoginError> {
        self.admit(publisher, key, true).await?;
        let sticks = said.sticking(publisher.regime()).is_some();
        let opted_out = || self.store.opted_out(&key, self.clock.now());
        if !sticks && (!self.known.contains(&key) || opted_out()) {
            return Ok(());
        }
        self.known.insert(&key);
        self.bury(publisher, key, Some(said)).await
    }

    /// Keeps under an identifier what sticks.
    async fn refuse_identifier(
        &self,
        publisher: &Publisher,
        (dii, user): (RecordKey, RecordKey),
        said: &Said,
    ) -> Result<(), LoginError> {
        if said.sticking(publisher.regime()).is_none() {
            return Ok(());
        }
        let now = self.clock.now();
        let (said, keep_until) = lasting(publisher.scope(), said, now, now);
        self.bury_identifier(publisher, (dii, user), Draft { said, keep_until, ..nobody(publisher, now) })
            .await
    }

    /// Why an identity made elsewhere may not be taken: nobody asserts notice with it, or the last login said something that
    /// stays.
    pub(super) async fn barred(
        &self,
        publisher: &Publisher,
        key: RecordKey,
    ) -> Result<Option<Denial>, LoginError> {
        if publisher.notice == Notice::PerLogin {
            return Ok(Some(Denial::Notice));
        }
        let record = match self.stands(key).await? {
            Stands::Record(record) if record.state == State::LoggedOut => record,
            _ => return Ok(None),
        };
        Ok(Some(why_left(&record)).filter(|denial| *denial != Denial::LoggedOut))
    }

    /// Whether what was said at login still allows to keep an identity, to renew it and to hand it to its publisher.
    ///
    /// An EUID was made on consent, so that consent has to be there; of one that was made elsewhere nothing is known.
    pub(super) fn allowed(&self, publisher: &Publisher, record: &Record) -> Result<Consent, Denial> {
        if publisher.notice == Notice::PerLogin && record.said.notice != Some(true) {
            return Err(Denial::Notice);
        }
        let gvl = (self.vendors)();
        let rules = Rules { policy: &publisher.policy, gvl: &gvl };
        let judge = if record.said.is_silent() { judge_stored } else { judge_login };
        judge(&record.said.signals(), rules, publisher.regime()).map_err(Denial::Privacy)
    }
}

/// A token of somebody of whom the publisher had to assert notice, and did not, is none.
pub(super) fn noticed(publisher: &Publisher, resolution: Resolution) -> Resolution {
    match resolution {
        Resolution::Token(token) if publisher.notice == Notice::PerLogin && !token.noticed => {
            Resolution::Denied(Denial::Notice)
        }
        other => other,
    }
}

/// Why a user who left must not be represented.
pub(super) fn why_left(record: &Record) -> Denial {
    record.said.sticking(regime(record.scope)).map_or(Denial::LoggedOut, Denial::Privacy)
}

/// What of `said` goes into a tombstone, and until when it stands; anything else is forgotten with the identity.
pub(super) fn lasting(
    scope: Scope,
    said: &Said,
    otherwise: UnixMillis,
    now: UnixMillis,
) -> (Said, UnixMillis) {
    let lasting = Said { coppa: said.coppa, gpc: said.gpc, ..Said::default() };
    let sticks = said.sticking(regime(scope)).is_some();
    (lasting, if sticks { now.plus(STICKS_MS) } else { otherwise })
}

/// The regime whose table decides for a scope.
pub(super) const fn regime(scope: Scope) -> Regime {
    match scope {
        Scope::Uid2 => Regime::Uid2,
        Scope::Euid => Regime::Euid,
    }
}
