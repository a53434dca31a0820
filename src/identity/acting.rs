//! Identity providers that act for a publisher: they touch only what they made themselves.
//!
//! Who acts goes with the tenant to where the record is read that a write compares itself with. A record that became
//! another's in between has another generation: the write is lost, what stands there is looked at again, and refused.

use std::sync::Arc;

use super::session::{Before, Stands};
use super::{Denial, Identities, Inner, LoginError, Publisher};
use crate::store::{Draft, Expect, Record, RecordKey, State, StoreError};

impl Publisher {
    /// The same tenant, as this identity provider acts for it: of its users, only those that the provider logged in.
    #[must_use]
    pub fn acted_for_by(&self, provider: &Arc<str>) -> Self {
        Self { actor: Some(Arc::clone(provider)), ..self.clone() }
    }

    /// Whether a provider acts, and not the publisher itself.
    pub(super) fn is_acted_for(&self) -> bool {
        self.actor.is_some()
    }

    /// Whether whoever acts may touch this record.
    pub(super) fn may_touch(&self, record: &Record) -> Result<(), LoginError> {
        let own = self.actor.as_ref().is_none_or(|actor| record.provider.as_deref() == Some(&**actor));
        if own { Ok(()) } else { Err(LoginError::NotTheirs) }
    }

    /// Whose a record is that does not open cannot be told: nobody's but the publisher's own.
    pub(super) fn may_touch_unread(&self) -> Result<(), LoginError> {
        if self.is_acted_for() { Err(LoginError::NotTheirs) } else { Ok(()) }
    }
}

impl Identities {
    /// Whether whoever acts made this user's record, or, where that will do, nobody has one yet: asked before work that
    /// writes nothing.
    pub async fn may_ask(&self, publisher: &Publisher, user_id: &[u8], new: bool) -> Result<(), LoginError> {
        if !publisher.is_acted_for() {
            return Ok(());
        }
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        let key = self.user_key(&publisher, user_id);
        self.on_control(async move { inner.admit(&publisher, key, new).await }).await
    }
}

impl Inner {
    /// Refuses a provider whose record this is not, before it learns anything; `new`: that nobody has one yet is no hindrance.
    pub(super) async fn admit(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        new: bool,
    ) -> Result<(), LoginError> {
        if !publisher.is_acted_for() {
            return Ok(());
        }
        match self.stands(key).await? {
            Stands::Record(record) => publisher.may_touch(&record),
            Stands::Nothing if new => Ok(()),
            Stands::Nothing | Stands::Unreadable => Err(LoginError::NotTheirs),
        }
    }

    /// The operator says that the identifier of a login opted out, and with it the user: of a provider's login only when the
    /// user's record is its own to the last. The identifier is opted out whoever says so.
    pub(super) async fn opted_out_at_login(
        &self,
        publisher: &Publisher,
        (key, dii): (RecordKey, RecordKey),
        draft: Draft,
    ) -> Result<(), LoginError> {
        if !publisher.is_acted_for() {
            return self.mark_opted_out(key, &[key, dii], draft).await;
        }
        let (held, now, until) = (self.cache.find(&key), self.clock.now(), draft.keep_until);
        let identifier = self.remember_opt_out(vec![dii], now, until).await;
        let Before::Write(before) = self.before(publisher, key, false).await? else {
            return self.acknowledged(identifier);
        };
        let Some(record) = self.replace(publisher, key, before, draft).await? else {
            return self.acknowledged(identifier);
        };
        let user = self.remember_opt_out(vec![key], now, until).await;
        self.measure_last_use(held.as_deref(), now);
        self.denied(key, &record, Denial::OptedOut);
        self.acknowledged(identifier.and(user))
    }

    /// The last try of a login that was always overtaken by others: the publisher's counts, a provider's only over what it
    /// looked at.
    pub(super) async fn put_at_last(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        before: Expect,
        draft: Draft,
    ) -> Result<Option<Record>, LoginError> {
        if !publisher.is_acted_for() {
            return self.put(key, Expect::Any, draft).await;
        }
        match self.put(key, before, draft).await? {
            Some(record) => Ok(Some(record)),
            None => Err(StoreError::Busy.into()),
        }
    }

    /// [`alias`](Self::alias) of a login: a provider's does not take an identifier away from a user whom it did not make.
    pub(super) async fn alias_of_login(
        &self,
        publisher: &Publisher,
        (dii, user): (RecordKey, RecordKey),
        of: &Record,
    ) {
        if !publisher.is_acted_for() {
            return self.alias(dii, user, of).await;
        }
        let before = match self.stands(dii).await {
            Ok(Stands::Nothing) => Expect::Generation(0),
            Ok(Stands::Record(there)) if publisher.may_touch(&there).is_ok() || is_free(&there) => {
                Expect::Generation(there.generation)
            }
            Ok(Stands::Record(_) | Stands::Unreadable) | Err(_) => return,
        };
        self.point(before, (dii, user), of).await;
    }

    /// The same of a user whom the publisher opted out: another user who has the identifier by now keeps it.
    pub(super) async fn alias_of_opted_out(&self, (dii, user): (RecordKey, RecordKey), of: &Record) {
        let before = match self.stands(dii).await {
            Ok(Stands::Nothing) => Expect::Generation(0),
            Ok(Stands::Record(there)) if there.state == State::Alias(user) || is_free(&there) => {
                Expect::Generation(there.generation)
            }
            Ok(Stands::Record(_) | Stands::Unreadable) | Err(_) => return,
        };
        self.point(before, (dii, user), of).await;
    }
}

/// A tombstone under an identifier gives way to the next login, whoever left.
fn is_free(there: &Record) -> bool {
    there.state == State::LoggedOut
}
