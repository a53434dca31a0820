//! The publisher's own opt-out: nothing is generated, refreshed or sent for this user until the publisher takes it back.
//! It is not told to the operator, and has nothing to do with what the operator says of the user's identifier.

use std::sync::Arc;

use super::consent::STICKS_MS;
use super::{Identities, Inner, LoginError, Publisher};
use crate::store::{Record, RecordKey};

impl Identities {
    /// Opts a user out at this publisher, durable when this returns, and forgets their tokens. Idempotent.
    pub async fn opt_out_at_site(&self, publisher: &Publisher, user_id: &[u8]) -> Result<(), LoginError> {
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        let key = self.user_key(&publisher, user_id);
        self.on_control(async move {
            if publisher.is_acted_for() {
                return inner.site_opt_out_of_own(&publisher, key).await;
            }
            inner.site_opt_out(&publisher, key).await
        })
        .await
    }

    /// Takes that back: the user may log in again; nothing is restored. Idempotent.
    pub async fn opt_in_at_site(&self, publisher: &Publisher, user_id: &[u8]) -> Result<(), LoginError> {
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        let key = self.user_key(&publisher, user_id);
        self.on_control(async move {
            inner.admit(&publisher, key, false).await?;
            inner.site_opt_in(key).await
        })
        .await
    }
}

impl Inner {
    async fn site_opt_out(&self, publisher: &Publisher, key: RecordKey) -> Result<(), LoginError> {
        self.known.insert(&key);
        let (held, now) = (self.cache.find(&key), self.clock.now());
        // In this process from here on, whatever the store does next: no request sends the token, no login writes one.
        let kept = self.store.site_opt_out(key, now).await;
        // And last: a filter that was rebuilt between the two may have missed it.
        self.known.insert(&key);
        kept?;
        self.measure_last_use(held.as_deref(), now);
        let before = self.store.read(key).await.ok().flatten();
        self.bury(publisher, key, None).await?;
        // Whoever only knows the address has to find the user, for as long as that says no.
        if let Some(record) = before
            && let Some(dii) = record.dii
        {
            let sticking = Record { keep_until: now.plus(STICKS_MS), ..record };
            self.alias_of_opted_out((dii, key), &sticking).await;
        }
        Ok(())
    }

    /// The same for a provider. Opt-outs have no generation to compare, so the record is ended first, and looked at again
    /// when the opt-out is there: of a user who became another's in between it is taken back.
    async fn site_opt_out_of_own(&self, publisher: &Publisher, key: RecordKey) -> Result<(), LoginError> {
        self.admit(publisher, key, false).await?;
        self.bury(publisher, key, None).await?;
        // Also where memory has it already: it may be there alone, of an attempt that the store refused.
        let before = self.store.opted_out_at_site(&key, self.clock.now());
        self.site_opt_out(publisher, key).await?;
        let still = self.admit(publisher, key, false).await;
        if still.is_err() && !before {
            self.site_opt_in(key).await?;
        }
        still
    }

    async fn site_opt_in(&self, key: RecordKey) -> Result<(), LoginError> {
        let now = self.clock.now();
        // In a fleet also where nothing is known of it: another gateway may have been told just now.
        if self.fleet.is_some() || self.store.opted_out_at_site(&key, now) {
            self.store.site_opt_in(key, now).await?;
        }
        Ok(())
    }
}
