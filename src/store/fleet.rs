//! What a store that several gateways share offers besides: leases, the news of the others, and whether it can be relied on.
//! A store of one gateway alone has nothing to say here.

use std::time::Duration;

use tokio::sync::mpsc;

use super::error::StoreError;
use super::key::RecordKey;
use super::lane::answer;
use super::redis::{Holding, Lease, News};
use super::{Backend, Store};

impl Store {
    /// Asks for the right to refresh the record of this generation under `key`: one gateway has it at a time.
    pub async fn lease(&self, key: RecordKey, generation: u64) -> Result<Lease, StoreError> {
        let asked = match &*self.backend()? {
            Backend::Memory(_) | Backend::Disk(_) => return Ok(Lease::Taken(Holding::default())),
            Backend::Redis(redis) => redis.lease(key, generation)?,
        };
        answer(asked).await
    }

    /// The generations of the live records under these keys, in their order; 0 where there is none.
    pub async fn generations(&self, keys: Vec<RecordKey>) -> Result<Vec<u64>, StoreError> {
        let asked = match &*self.backend()? {
            Backend::Memory(_) | Backend::Disk(_) => return Ok(Vec::new()),
            Backend::Redis(redis) => redis.generations(keys)?,
        };
        answer(asked).await
    }

    /// What other gateways do with the same store, for the first who asks; `None`: there are none, or somebody asked.
    pub fn take_news(&self) -> Option<mpsc::Receiver<News>> {
        match &*self.backend().ok()? {
            Backend::Memory(_) | Backend::Disk(_) => None,
            Backend::Redis(redis) => redis.take_news(),
        }
    }

    /// How old what is remembered of a record may become; `None`: nobody else changes it.
    pub fn max_stale(&self) -> Option<Duration> {
        match &*self.backend().ok()? {
            Backend::Memory(_) | Backend::Disk(_) => None,
            Backend::Redis(redis) => Some(redis.max_stale()),
        }
    }

    /// Why this store cannot be relied on, though it answers.
    pub fn unfit(&self) -> Option<String> {
        match &*self.backend().ok()? {
            Backend::Memory(_) | Backend::Disk(_) => None,
            Backend::Redis(redis) => redis.unfit(),
        }
    }
}
