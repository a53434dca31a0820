//! Opt-outs that the disk did not take: in force in this process, and written again until they are durable. They
//! cannot be asked for again, so they are never given up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use super::cache::{Entry, What};
use super::resolver::random;
use super::{Inner, LoginError};
use crate::net::backoff::full_jitter;
use crate::store::{RecordKey, Store, StoreError};
use crate::time::UnixMillis;

/// First pause before a write is tried again; it doubles.
const BACKOFF_BASE: Duration = Duration::from_secs(1);
const BACKOFF_CAP: Duration = Duration::from_mins(1);

/// What is to be remembered.
#[derive(Clone)]
struct OptOut {
    keys: Vec<RecordKey>,
    at: UnixMillis,
    until: UnixMillis,
}

/// Opt-outs that wait to be written; `None` when nobody is at it. One task writes them all, so that a disk that is
/// full for hours is asked once a minute, not once a minute and user.
#[derive(Clone, Default)]
pub(super) struct Unkept(Arc<Mutex<Option<VecDeque<OptOut>>>>);

impl Inner {
    /// Measures how long after an opt-out became known the token that the cache `held` until then was last given to a
    /// request; to be called once the opt-out is in force in this process.
    pub(super) fn measure_last_use(&self, held: Option<&Entry>, known: UnixMillis) {
        if let Some(What::Token(token)) = held.map(|entry| &entry.what) {
            let late = Duration::from_millis(token.used_after(known));
            self.metrics.optout_last_use.observe(late.as_secs_f64());
        }
    }

    /// What a caller is told of an opt-out: it is in force here and written until it is durable; but in a fleet the others may
    /// not have heard of it.
    pub(super) fn acknowledged(&self, kept: Result<(), StoreError>) -> Result<(), LoginError> {
        match kept {
            Err(fault) if self.fleet.is_some() => Err(fault.into()),
            _ => Ok(()),
        }
    }

    /// Opts keys out: in force at once, durable when this returns unless the store refuses; then that is the answer, and it is
    /// written later.
    pub(super) async fn remember_opt_out(
        &self,
        keys: Vec<RecordKey>,
        at: UnixMillis,
        until: UnixMillis,
    ) -> Result<(), StoreError> {
        self.known.extend(&keys);
        let kept = self.store.opt_out(keys.clone(), at, until).await;
        // And last: a filter that was rebuilt between the two may have missed them.
        self.known.extend(&keys);
        if let Err(fault) = &kept {
            self.unkept.add(OptOut { keys, at, until }, fault, (&self.control, &self.store));
        }
        kept
    }
}

impl Unkept {
    fn add(&self, opt_out: OptOut, fault: &StoreError, (control, store): (&Handle, &Store)) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = &mut *waiting {
            waiting.push_back(opt_out);
            return;
        }
        tracing::error!(
            error = %fault,
            "opt-outs could not be made durable; they are in force in this process, and written again until they are"
        );
        if *fault != StoreError::Closed {
            *waiting = Some(VecDeque::from([opt_out]));
            control.spawn(write_again(self.clone(), store.clone()));
        }
    }

    /// The next to be written; when there is none, the work has ended.
    fn next(&self) -> Option<OptOut> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = waiting.as_ref().and_then(|waiting| waiting.front().cloned());
        if next.is_none() {
            *waiting = None;
        }
        next
    }

    fn done(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_mut().map(VecDeque::pop_front);
    }
}

async fn write_again(unkept: Unkept, store: Store) {
    let mut failures = 1_u32; // the one that brought us here
    while let Some(OptOut { keys, at, until }) = unkept.next() {
        if let Some(attempt) = failures.checked_sub(1) {
            tokio::time::sleep(full_jitter(attempt, BACKOFF_BASE, BACKOFF_CAP, random())).await;
        }
        match store.opt_out(keys, at, until).await {
            Ok(()) => {
                unkept.done();
                failures = 0;
            }
            Err(StoreError::Closed) => return,
            Err(fault) => {
                tracing::debug!(error = %fault, "opt-outs are still not durable");
                failures = failures.saturating_add(1);
            }
        }
    }
    tracing::info!("all opt-outs are durable now");
}

#[cfg(test)]
impl Unkept {
    /// Whether something is still to be written.
    pub(super) fn is_busy(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}
