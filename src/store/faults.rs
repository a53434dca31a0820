//! Faults on demand, for tests: the next operations of a kind fail as they are told to.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::Store;
use super::error::StoreError;
use super::metrics::Op;

/// Which operation fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fails {
    Read,
    Write,
    OptOut,
}

/// Faults that are still to come, in order.
#[derive(Default)]
pub(super) struct Faults(Mutex<VecDeque<(Fails, StoreError)>>);

impl Faults {
    /// Fails when the next fault is one of `op`'s.
    pub(super) fn strike(&self, op: Op) -> Result<(), StoreError> {
        let kind = match op {
            Op::Read => Fails::Read,
            Op::Write => Fails::Write,
            Op::OptOut => Fails::OptOut,
            Op::Sweep => return Ok(()),
        };
        let mut coming = self.0.lock().unwrap();
        let at = coming.iter().position(|(fails, _)| *fails == kind);
        at.and_then(|at| coming.remove(at)).map_or(Ok(()), |(_, fault)| Err(fault))
    }
}

impl Store {
    /// The next `times` operations of a kind end with this fault instead of being done.
    pub(crate) fn fail(&self, fails: Fails, fault: &StoreError, times: usize) {
        let mut coming = self.0.faults.0.lock().unwrap();
        coming.extend(std::iter::repeat_n((fails, fault.clone()), times));
    }

    /// Faults that were not met yet.
    pub(crate) fn faults_left(&self) -> usize {
        self.0.faults.0.lock().unwrap().len()
    }
}
