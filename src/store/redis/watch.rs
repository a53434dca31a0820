//! Looks at Redis once a second: whether it answers, whether it would evict what we rely on, and whether it is still the
//! one it was. After a fail-over or a restart what may be lost is said again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::cmd;
use tokio::time::MissedTickBehavior;

use super::super::error::StoreError;
use super::changes::News;
use super::info::field;
use super::wire::{Node, Wire};
use super::{Shared, index};
use crate::secret::Secret;

const EVERY: Duration = Duration::from_secs(1);

/// What a look at Redis found.
pub(super) struct Look {
    /// Who the primaries are, in this run of theirs: another value means a fail-over or a restart.
    pub(super) identity: String,
    /// Why this Redis cannot be relied on.
    unfit: Option<String>,
}

impl Look {
    fn of(answers: &[(Node, String)]) -> Self {
        let mut runs: Vec<&str> = answers.iter().filter_map(|(_, info)| field(info, "run_id")).collect();
        runs.sort_unstable();
        let policies = answers.iter().filter_map(|(_, info)| field(info, "maxmemory_policy"));
        let evicting = policies.into_iter().find(|policy| *policy != "noeviction");
        let unfit = evicting.map(|policy| {
            format!("redis: maxmemory-policy is {policy}: identities and opt-outs could be evicted; set noeviction")
        });
        Self { identity: runs.join(" "), unfit }
    }
}

impl Shared {
    /// One look.
    pub(super) async fn look(&self) -> Result<Look, StoreError> {
        let work = |mut wire: Wire| async move { wire.ask_primaries(cmd("INFO")).await };
        match self.main.call(self.timeout, work).await {
            Ok(answers) => Ok(Look::of(&answers)),
            // Somebody may be allowed everything but this.
            Err(StoreError::Redis(reason)) if reason.contains("NOPERM") => {
                if !self.blind.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "Redis does not show INFO to this user: an evicting maxmemory-policy and fail-overs are not noticed"
                    );
                }
                self.main.ask::<String>(&cmd("PING")).await?;
                Ok(Look { identity: String::new(), unfit: None })
            }
            Err(fault) => Err(fault),
        }
    }

    /// `foreign`: why this Redis is none of ours.
    pub(super) fn judge(&self, look: &Look, foreign: Option<&str>) {
        let reason = look.unfit.as_deref().or(foreign);
        if let Some(reason) = reason
            && self.unfit.load().is_none()
        {
            tracing::error!("{reason}");
        }
        self.unfit.store(reason.map(|reason| Arc::new(reason.to_owned())));
    }
}

/// Watches for as long as the runtime lives. `identity`: of the Redis that was loaded.
pub(super) async fn watch(shared: Arc<Shared>, mut identity: String, index_key: Secret<[u8; 32]>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut foreign: Option<String> = None;
    loop {
        ticks.tick().await;
        let look = match shared.look().await {
            Ok(look) => look,
            Err(fault) => {
                if shared.up.get() == 1 {
                    tracing::warn!(error = %fault, "the identity store does not answer; auctions go on from memory");
                }
                shared.up.set(0);
                continue;
            }
        };
        if shared.up.get() == 0 {
            tracing::info!("the identity store answers again");
        }
        shared.up.set(1);
        shared.judge(&look, foreign.as_deref());
        let owed = shared.owed.swap(false, Ordering::AcqRel);
        if owed || look.identity != identity {
            if look.identity != identity {
                tracing::warn!("Redis failed over or was restarted; opt-outs are said again");
            }
            match restore(&shared, &index_key).await {
                Ok(()) => (identity, foreign) = (look.identity.clone(), None),
                Err(fault) => {
                    tracing::warn!(error = %fault, "the identity store could not be brought up to date; trying on");
                    foreign = is_foreign(&fault).then(|| fault.to_string());
                    shared.owed.store(true, Ordering::Release);
                }
            }
            shared.judge(&look, foreign.as_deref());
        }
    }
}

/// Whether this Redis belongs to another store.
fn is_foreign(fault: &StoreError) -> bool {
    matches!(fault, StoreError::IndexKeyChanged(_) | StoreError::WrongKey(_))
}

/// Brings a Redis that may have lost something, and a memory that may have missed something, to the same state.
async fn restore(shared: &Shared, index_key: &Secret<[u8; 32]>) -> Result<(), StoreError> {
    index::assure(shared, index_key).await?;
    shared.reconcile().await?;
    shared.hear(News::Missed).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(run: &str, policy: &str) -> (Node, String) {
        (Node::Only, format!("# Server\r\nrun_id:{run}\r\n# Memory\r\nmaxmemory_policy:{policy}\r\n"))
    }

    #[test]
    fn an_evicting_policy_anywhere_is_unfit() {
        assert_eq!(Look::of(&[info("a", "noeviction")]).unfit, None);
        for policy in ["allkeys-lru", "volatile-ttl"] {
            let look = Look::of(&[info("a", "noeviction"), info("b", policy)]);
            assert!(look.unfit.is_some_and(|reason| reason.contains(policy)), "{policy}");
        }
    }

    #[test]
    fn primaries_are_known_by_their_runs_in_any_order() {
        let look = |runs: &[&str]| {
            Look::of(&runs.iter().map(|run| info(run, "noeviction")).collect::<Vec<_>>()).identity
        };
        assert_eq!(look(&["a", "b"]), look(&["b", "a"]));
        assert_ne!(look(&["a", "b"]), look(&["a", "c"]));
    }
}
