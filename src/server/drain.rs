//! Where the process stands between its first signal and its end.

use tokio::sync::watch;

/// The stages, in order; it never goes back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// Serving and ready.
    Running,
    /// Still serving, but `/readyz` says no, so that load balancers stop sending.
    Draining,
    /// No new connections; what is in flight ends, idle connections are closed.
    Closing,
}

/// A shared, watchable stage.
#[derive(Clone, Debug)]
pub struct Drain {
    stage: watch::Sender<Stage>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { stage: watch::Sender::new(Stage::Running) }
    }
}

impl Drain {
    /// The stage now.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Moves on; an earlier stage than the present one is ignored.
    pub fn enter(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let later = stage > *now;
            if later {
                *now = stage;
            }
            later
        });
    }

    /// Returns once `stage` is reached.
    pub async fn reached(&self, stage: Stage) {
        let mut watch = self.stage.subscribe();
        // The sender lives in `self`, so the channel cannot be closed while we wait.
        drop(watch.wait_for(|now| *now >= stage).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stages_only_move_forward() {
        let drain = Drain::default();
        drain.enter(Stage::Closing);
        drain.enter(Stage::Draining);
        assert_eq!(drain.stage(), Stage::Closing);
        drain.reached(Stage::Draining).await;
    }
}
