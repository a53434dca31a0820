//! UID2 and EUID side by side: what a login under one scope means for the same user under the other.

use std::sync::Arc;

use super::cache::{Entry, What};
use super::resolver::jittered;
use super::{Absence, How, Identities, Inner, LoginError, Publisher};
use crate::store::{Draft, Expect, Record, RecordKey, State, StoreError, Written};
use crate::uid2::DiiHash;

/// How long it is remembered that there is nothing, milliseconds, before jitter.
const NOTHING_MS: i64 = 10_000;

impl Identities {
    /// Whether the operator of this scope said that a user, or their identifier, opted out; as memory knows it.
    pub fn has_opted_out(&self, publisher: &Publisher, (user, dii): (RecordKey, &DiiHash)) -> bool {
        let keys = [user, self.dii_key(publisher, dii)];
        let (store, now) = (&self.0.store, self.0.clock.now());
        keys.iter().any(|key| store.opted_out(key, now) && !store.opted_out_at_site(key, now))
    }

    /// The tombstone of a user who left, by its generation; to be taken before a login under the other scope begins.
    pub async fn left(&self, key: RecordKey) -> Result<Option<u64>, LoginError> {
        let inner = Arc::clone(&self.0);
        self.on_control(async move { Ok(inner.tombstone(key).await?.map(|record| record.generation)) }).await
    }

    /// A user who left logged in again, under the other scope: the tombstone from before that login says nothing any more.
    /// A later one does.
    pub async fn readmit(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        tombstone: u64,
    ) -> Result<(), LoginError> {
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        self.on_control(async move { inner.readmit(&publisher, key, tombstone).await }).await
    }
}

impl Inner {
    async fn tombstone(&self, key: RecordKey) -> Result<Option<Record>, StoreError> {
        if !self.known.contains(&key) {
            return Ok(None);
        }
        Ok(self.store.read(key).await?.filter(|record| record.state == State::LoggedOut))
    }

    async fn readmit(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        generation: u64,
    ) -> Result<(), LoginError> {
        let now = self.clock.now();
        let tombstone = self.tombstone(key).await?.filter(|record| record.generation == generation);
        // Of a user whom a provider did not make it stays: that one is for the publisher.
        let Some(record) = tombstone.filter(|record| publisher.may_touch(record).is_ok()) else {
            return Ok(());
        };
        let ended = Draft { keep_until: now, ..record.into() };
        // A lost write means that somebody else's was stored, and that one counts.
        if let Written::Stored { generation } =
            self.store.write(key, Expect::Generation(generation), ended).await?
        {
            let what = What::Nothing { why: Absence::UnknownUser, until: now.plus(jittered(NOTHING_MS)) };
            self.insert(key, Entry { generation, what }, How::Fresh);
        }
        Ok(())
    }
}
