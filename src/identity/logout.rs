//! Logout: a tombstone in place of whatever there is, which every late answer loses against. On the control plane.

use std::sync::Arc;

use super::cache::{Entry, What};
use super::consent::{lasting, why_left};
use super::refresher::DAY_MS;
use super::session::Stands;
use super::{Denial, Identities, Inner, LoginError, Origin, Publisher};
use crate::privacy::Said;
use crate::store::{Draft, Expect, Record, RecordKey, State};
use crate::time::UnixMillis;

/// In a fleet: how long the tombstone stays of a user of whom nothing is known here or in the store. Longer than a login at another
/// gateway takes; short, because publishers log out whom nobody logged in. Milliseconds.
const STRANGER_MS: i64 = 60_000;

impl Identities {
    /// Logs a user out, and whoever is just logging in as this user. Idempotent; an opted-out user stays opted out.
    pub async fn logout(&self, publisher: &Publisher, user_id: &[u8]) -> Result<(), LoginError> {
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        let key = self.user_key(&publisher, user_id);
        self.on_control(async move { inner.logout(&publisher, key).await }).await
    }
}

impl Inner {
    /// Leaves a tombstone, also where there is nothing or another tombstone: a login may be under way that began
    /// before. Whoever else writes meanwhile is seen: a marker of an opt-out is never replaced.
    async fn logout(&self, publisher: &Publisher, key: RecordKey) -> Result<(), LoginError> {
        let now = self.clock.now();
        self.admit(publisher, key, true).await?;
        let is_alone = self.fleet.is_none();
        if (is_alone && !self.known.contains(&key)) || self.store.opted_out(&key, now) {
            return Ok(());
        }
        self.bury(publisher, key, None).await
    }

    /// Replaces whatever stands under the key but the marker of an opt-out by a tombstone; what was said of COPPA and GPC,
    /// now or by the login that is ended, stays in it.
    pub(super) async fn bury(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        said: Option<Said>,
    ) -> Result<(), LoginError> {
        let now = self.clock.now();
        let until = now.plus(DAY_MS);
        // Who opts out at the site, or said what sticks, is known by now.
        let nothing_until = if self.known.contains(&key) { until } else { now.plus(STRANGER_MS) };
        let marker = |generation| {
            let what = What::Denied { why: Denial::LoggedOut, until };
            self.cache.insert(key, Entry { generation, what }, now);
        };
        // In this process first: whatever the store does, the token goes out no more. A provider has to show first that it is
        // about its own.
        if !publisher.is_acted_for() {
            marker(self.cache.find(&key).map_or(0, |entry| entry.generation));
        }
        loop {
            let (before, dead, until) = match self.stands(key).await? {
                Stands::Record(record) if record.state == State::OptedOut => {
                    publisher.may_touch(&record)?;
                    self.take_in(key, &record);
                    return Ok(());
                }
                Stands::Record(record) => {
                    publisher.may_touch(&record)?;
                    marker(record.generation);
                    (Expect::Generation(record.generation), record.into(), until)
                }
                Stands::Nothing => (Expect::Generation(0), nobody(publisher, now), nothing_until),
                Stands::Unreadable => {
                    publisher.may_touch_unread()?;
                    self.cache.forget(&key);
                    marker(0);
                    (Expect::Any, nobody(publisher, now), until)
                }
            };
            let last = said.as_ref().unwrap_or(&dead.said);
            let (said, keep_until) = lasting(dead.scope, last, until, now);
            let dii = dead.dii;
            // It remembers the identifier: should the publisher opt the user out after this, that holds for it, too.
            let tombstone = Draft { said, state: State::LoggedOut, keep_until, ..dead };
            // A lost write means that somebody else's was stored, so this ends.
            if let Some(record) = self.put(key, before, tombstone.clone()).await? {
                self.denied(key, &record, why_left(&record));
                return match dii.filter(|dii| *dii != key) {
                    Some(dii) => {
                        let tombstone = Draft { dii: None, ..tombstone };
                        self.bury_identifier(publisher, (dii, key), tombstone).await
                    }
                    None => Ok(()),
                };
            }
        }
    }

    /// Ends what stands under the identifier of a user who left, unless another user has it now. The tombstone is left where
    /// there is nothing, too: an identity of the identifier alone may be on its way.
    pub(super) async fn bury_identifier(
        &self,
        publisher: &Publisher,
        (dii, user): (RecordKey, RecordKey),
        tombstone: Draft,
    ) -> Result<(), LoginError> {
        loop {
            let before = match self.stands(dii).await? {
                Stands::Nothing => Expect::Generation(0),
                Stands::Unreadable if publisher.is_acted_for() => return Ok(()),
                Stands::Unreadable => Expect::Any,
                // What is not the provider's is another user's, whatever it says.
                Stands::Record(record) if publisher.may_touch(&record).is_err() => return Ok(()),
                Stands::Record(Record { state, generation, keep_until, .. }) => match state {
                    State::Alias(other) if other != user => return Ok(()),
                    State::OptedOut => return Ok(()),
                    State::LoggedOut if keep_until >= tombstone.keep_until => return Ok(()),
                    State::Alias(_) | State::Active(_) | State::LoggedOut => Expect::Generation(generation),
                },
            };
            if let Some(record) = self.put(dii, before, tombstone.clone()).await? {
                self.pointers.forget(&dii);
                self.denied(dii, &record, why_left(&record));
                return Ok(());
            }
        }
    }
}

/// A user of whom nothing is known.
pub(super) fn nobody(publisher: &Publisher, now: UnixMillis) -> Draft {
    Draft {
        publisher: publisher.id.to_string(),
        scope: publisher.scope(),
        environment: publisher.environment(),
        dii: None,
        origin: Origin::Login,
        provider: publisher.actor.as_deref().map(str::to_owned),
        said: Said::default(),
        created: now,
        keep_until: now,
        state: State::LoggedOut,
    }
}
