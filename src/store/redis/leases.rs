//! One refresh of a record at a time in the whole fleet: a lease that ends by itself. Best effort: two refreshes of one record do
//! no harm, so nobody waits for a Redis that does not answer.

use std::sync::Weak;
use std::time::Duration;

use super::super::error::StoreError;
use super::super::key::RecordKey;
use super::{Shared, names};

/// How long a lease lasts that nobody gives back: longer than a refresh takes, short enough that a gateway which dies with it
/// does not hold the record up.
const LEASE: Duration = Duration::from_secs(15);

/// How asking for a lease ended.
#[derive(Debug)]
pub enum Lease {
    /// It is ours, until this is dropped.
    Taken(Holding),
    /// Another gateway has it.
    Elsewhere,
    /// The record is not the one any more that was to be refreshed.
    Outdated,
}

/// A lease that is held. Dropping it gives it back.
#[derive(Default)]
pub struct Holding(Option<Held>);

struct Held {
    shared: Weak<Shared>,
    runtime: tokio::runtime::Handle,
    name: String,
    token: [u8; 16],
}

impl std::fmt::Debug for Holding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[lease]")
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let Some(Held { shared, runtime, name, token }) = self.0.take() else { return };
        runtime.spawn(async move {
            let Some(shared) = shared.upgrade() else { return };
            let (keys, arguments) = ([name.as_str()], [token.as_slice()]);
            let run = |wire| shared.scripts.release.run::<u64>(wire, &keys, &arguments);
            // It ends by itself where it cannot be given back.
            shared.main.call(shared.timeout, run).await.map(drop).unwrap_or_default();
        });
    }
}

impl Shared {
    /// Asks for the lease on the record under `key` while it is of `generation`.
    pub(super) async fn lease(
        self: std::sync::Arc<Self>,
        key: RecordKey,
        generation: u64,
    ) -> Result<Lease, StoreError> {
        let mut token = [0; 16];
        getrandom::fill(&mut token)?;
        let (record, name) = (names::record(&key), names::lease(&key));
        let (generation, life) = (generation.to_le_bytes(), LEASE.as_millis().to_string());
        let (keys, arguments) = ([record.as_str(), &name], [generation.as_slice(), &token, life.as_bytes()]);
        let run = |wire| self.scripts.lease.run::<i64>(wire, &keys, &arguments);
        let answer = self.main.call(self.timeout, run).await?;
        Ok(match answer {
            1 => {
                let runtime = tokio::runtime::Handle::current();
                let shared = std::sync::Arc::downgrade(&self);
                Lease::Taken(Holding(Some(Held { shared, runtime, name, token })))
            }
            0 => Lease::Elsewhere,
            _ => Lease::Outdated,
        })
    }
}
