//! All record keys, from every primary in turn: what the filter of known users is filled from, and what tools go through.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};

use redis::cmd;

use super::super::error::StoreError;
use super::super::key::RecordKey;
use super::super::record::Record;
use super::wire::{Node, Wire};
use super::{Redis, Shared, names};

/// Names a primary looks at for one answer.
const STRIDE: usize = 5_000;

/// Records that are read at once when all are.
const READS: usize = 512;

/// A record as it opens, or why it does not.
type Read = Result<Record, StoreError>;

/// Some keys, or why there are no more.
type Part = Result<Vec<RecordKey>, StoreError>;

/// All record keys, as they were first asked for.
pub(super) enum Found {
    Not,
    Once(Vec<RecordKey>),
    Used,
}

impl Redis {
    /// Visits the keys of all records, of those that ended less than a minute ago too. Blocks the calling thread.
    ///
    /// At a start they are asked for twice, to count and to take in. The second time they are those of the first: what was
    /// written since is told.
    pub(in crate::store) fn for_each_key(&self, visit: &mut dyn FnMut(RecordKey)) -> Result<u64, StoreError> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = match std::mem::replace(&mut *found, Found::Used) {
            Found::Not => {
                let mut keys = Vec::new();
                self.scan(&mut |key| keys.push(key))?;
                for key in &keys {
                    visit(*key);
                }
                let visits = keys.len() as u64;
                *found = Found::Once(keys);
                return Ok(visits);
            }
            Found::Once(keys) => keys,
            Found::Used => return self.scan(visit),
        };
        for key in &keys {
            visit(*key);
        }
        Ok(keys.len() as u64)
    }

    fn scan(&self, visit: &mut dyn FnMut(RecordKey)) -> Result<u64, StoreError> {
        let (sender, found) = std::sync::mpsc::sync_channel(2);
        let shared = Arc::clone(&self.shared);
        // On a thread that may block: whoever takes the keys may be slower than Redis.
        let runtime = self.handle()?.clone();
        runtime.clone().spawn_blocking(move || runtime.block_on(shared.scan(&sender)));
        let mut visits = 0;
        for keys in found {
            let keys = keys?;
            visits += keys.len() as u64;
            keys.into_iter().for_each(&mut *visit);
        }
        Ok(visits)
    }

    /// Visits all live records, each as it opens or why it does not. Blocks the calling thread.
    pub(in crate::store) fn for_each_record(
        &self,
        visit: &mut dyn FnMut(RecordKey, Read),
    ) -> Result<u64, StoreError> {
        let mut keys = Vec::new();
        self.scan(&mut |key| keys.push(key))?;
        keys.sort_unstable();
        keys.dedup();
        let mut visits = 0;
        for some in keys.chunks(READS) {
            let some = some.to_vec();
            let read = self.wait_for(move |shared| async move { Ok(shared.read_each(some).await) })?;
            for (key, record) in read {
                visits += 1;
                visit(key, record);
            }
        }
        Ok(visits)
    }

    /// Does something and blocks the calling thread until it is done, inside a runtime or not.
    pub(super) fn wait_for<T, F, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        W: FnOnce(Arc<Shared>) -> F,
    {
        let (sender, done) = std::sync::mpsc::sync_channel(1);
        let work = work(Arc::clone(&self.shared));
        self.handle()?.spawn(async move { drop(sender.send(work.await)) });
        done.recv().unwrap_or(Err(StoreError::Broken("its task failed")))
    }
}

impl Shared {
    /// Sends all record keys to `found`, in parts; a key may come twice.
    async fn scan(&self, found: &SyncSender<Part>) {
        if let Err(fault) = self.scan_all(found).await {
            // Whoever asked is gone: nobody to tell.
            found.send(Err(fault)).unwrap_or_default();
        }
    }

    async fn scan_all(&self, found: &SyncSender<Part>) -> Result<(), StoreError> {
        for node in self.primaries().await? {
            let mut cursor = String::from("0");
            loop {
                let (next, keys) = self.scan_some(&node, &cursor).await?;
                if found.send(Ok(keys)).is_err() {
                    return Ok(());
                }
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(())
    }

    async fn scan_some(&self, node: &Node, cursor: &str) -> Result<(String, Vec<RecordKey>), StoreError> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(names::RECORDS).arg("COUNT").arg(STRIDE);
        let work = |mut wire: Wire| async move { wire.ask_node(node, scan).await };
        let (next, names): (String, Vec<Vec<u8>>) = self.main.call(self.timeout, work).await?;
        Ok((next, names.iter().filter_map(|name| names::record_key(name)).collect()))
    }

    async fn primaries(&self) -> Result<Vec<Node>, StoreError> {
        let work = |mut wire: Wire| async move { wire.ask_primaries(cmd("PING")).await };
        Ok(self.main.call(self.timeout, work).await?.into_iter().map(|(node, _)| node).collect())
    }
}
