//! Reload: the files are read again, and what they say is taken over whole or not at all. Caches, the store, connections to
//! unchanged SSPs and all counters stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntGauge, IntGaugeVec};

use super::generation::Lasting;
use crate::config::{Config, Faults, Resolved};
use crate::server::{Configured, Live, ReloadFault};
use crate::telemetry::{Registry, RegistryError};

/// Reads the configuration again.
pub type Source = Box<dyn Fn() -> Result<Config, Faults> + Send + Sync>;

/// Keeps the configuration of a running gateway.
pub struct Reloader {
    source: Option<Source>,
    lasting: Lasting,
    live: Live,
    metrics: Metrics,
    began: Stamps,
    /// Held through a reload: one at a time. Files are read under it, so nobody else waits for it.
    turn: Mutex<()>,
    kept: Mutex<Kept>,
}

struct Kept {
    resolved: Resolved,
    files: BTreeSet<PathBuf>,
}

/// Files by how they were when they were looked at; `None`: not there.
pub(super) type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

impl Reloader {
    pub(super) fn new(lasting: Lasting, live: Live, metrics: Metrics, start: Start) -> Self {
        metrics.tell(&start.resolved, None);
        let files = start.stamps.keys().cloned().collect();
        let (began, kept) = (start.stamps, Mutex::new(Kept { resolved: start.resolved, files }));
        Self { source: start.source, lasting, live, metrics, began, turn: Mutex::default(), kept }
    }

    /// Looks at the files every `pause`, and reloads once a change of them has come to rest.
    pub(super) async fn watch(self: Arc<Self>, pause: Duration) {
        // As they were when the process began: a change while it started is one, too.
        let mut loaded = self.began.clone();
        let mut seen = loaded.clone();
        loop {
            tokio::time::sleep(pause).await;
            let now = self.look().await;
            if now != loaded && now == seen {
                Arc::clone(&self).reload_now().await;
                // Files that are new in the list as they are now, the others as they were before they were read.
                loaded = self.look().await;
                loaded.extend(now);
                seen.clone_from(&loaded);
                continue;
            }
            seen = now;
        }
    }

    /// Files may hang: not on a thread that refreshes and logins run on.
    async fn look(self: &Arc<Self>) -> Stamps {
        let own = Arc::clone(self);
        tokio::task::spawn_blocking(move || own.stamps()).await.unwrap_or_default()
    }

    /// Reloads and logs what came of it.
    pub async fn reload_now(self: Arc<Self>) {
        // Files are read: not on a thread that refreshes and logins run on.
        drop(tokio::task::spawn_blocking(move || self.reload()).await);
    }

    fn stamps(&self) -> Stamps {
        let files = self.kept().files.clone();
        stamps(files)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempt(&self, before: &Resolved) -> Result<Vec<String>, ReloadFault> {
        let source = self.source.as_ref().ok_or(ReloadFault::NoFile)?;
        let config = source().map_err(|faults| {
            // What may mend the faults is watched, too.
            self.kept().files.extend(faults.files().iter().cloned());
            ReloadFault::Faulty(faults.into_vec().iter().map(ToString::to_string).collect())
        })?;
        let changed = before.changed_to(&config.resolved);
        let restart = Resolved::needing_restart(&changed);
        if !restart.is_empty() {
            return Err(ReloadFault::Restart(restart));
        }
        let (resolved, files) = (config.resolved.clone(), config.files.iter().cloned().collect());
        if !changed.is_empty() {
            let next = self.lasting.generation(config, Some(&self.live.current()));
            self.live.replace(next.map_err(|fault| ReloadFault::Unusable(format!("{fault:#}")))?);
        }
        *self.kept() = Kept { resolved, files };
        Ok(changed)
    }
}

impl Configured for Reloader {
    fn shown(&self) -> serde_json::Value {
        self.kept().resolved.to_json()
    }

    fn reload(&self) -> Result<Vec<String>, ReloadFault> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.kept().resolved.clone();
        let result = self.attempt(&before);
        match &result {
            Ok(changed) => {
                tracing::info!(changed = %changed.join(", "), "configuration reloaded");
                self.metrics.tell(&self.kept().resolved, Some(&before));
            }
            Err(fault) => {
                tracing::error!(error = %fault, "configuration not reloaded, nothing changed");
                self.metrics.successful.set(0);
            }
        }
        result
    }
}

/// What a reloader begins with.
pub(super) struct Start {
    pub(super) source: Option<Source>,
    pub(super) resolved: Resolved,
    pub(super) stamps: Stamps,
}

/// Looks at files.
pub(super) fn stamps(files: impl IntoIterator<Item = PathBuf>) -> Stamps {
    files.into_iter().map(|path| (path.clone(), Stamp::of(&path))).collect()
}

/// A file as it was: a rename over it changes the inode, a write the rest.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Stamp(u64, i64, i64, u64);

impl Stamp {
    fn of(path: &PathBuf) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self(found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
    }
}

/// What is told of reloads.
pub(super) struct Metrics {
    successful: IntGauge,
    hash: IntGaugeVec,
}

impl Metrics {
    /// Registers the families. Once per registry.
    pub(super) fn register(registry: &Registry) -> Result<Self, RegistryError> {
        Ok(Self {
            successful: registry.gauge(
                "config_last_reload_successful",
                "1 when the files were last taken over, 0 when they were refused.",
            )?,
            hash: registry.gauges(
                "config_hash_info",
                "Always 1; the label names the configuration in force, the same on every machine that has it.",
                &["hash"],
            )?,
        })
    }

    fn tell(&self, now: &Resolved, before: Option<&Resolved>) {
        if let Some(before) = before {
            // Of a configuration that is not there it is fine that it is not there.
            self.hash.remove_label_values(&[&before.hash()]).ok();
        }
        self.hash.with_label_values(&[&now.hash()]).set(1);
        self.successful.set(1);
    }
}
