//! What is shared while a configuration is read: the environment, what was read so far, and what is wrong with it.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::faults::{Fault, Faults, Warning};
use super::reader::At;
use super::resolved::Resolved;

/// What all sections share: the environment, and what was found wrong so far.
pub(super) struct Context<'a> {
    env: &'a BTreeMap<String, String>,
    used: RefCell<BTreeSet<String>>,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Warning>>,
    resolved: RefCell<Resolved>,
    /// Files that were read besides the main one.
    files: RefCell<Vec<PathBuf>>,
}

/// Prefix of environment variables that override a scalar: `UID2GW_SECTION__KEY`.
pub(super) const OVERRIDE: &str = "UID2GW_";

impl<'a> Context<'a> {
    pub(super) fn new(env: &'a BTreeMap<String, String>) -> Self {
        Self {
            env,
            used: RefCell::default(),
            faults: RefCell::default(),
            warnings: RefCell::default(),
            resolved: RefCell::default(),
            files: RefCell::default(),
        }
    }

    pub(super) fn env(&self, name: &str) -> Option<&'a str> {
        self.env.get(name).map(String::as_str)
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }

    pub(super) fn warning(&self, warning: Warning) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Notes that an environment variable stood in for a key.
    pub(super) fn overridden(&self, name: &str) {
        self.used.borrow_mut().insert(name.to_owned());
    }

    pub(super) fn resolved(&self) -> RefMut<'_, Resolved> {
        self.resolved.borrow_mut()
    }

    /// Notes a file, or a folder, whose change means another configuration.
    pub(super) fn depends_on(&self, path: impl Into<PathBuf>) {
        self.files.borrow_mut().push(path.into());
    }

    pub(super) fn take_files(&self) -> Vec<PathBuf> {
        self.files.take()
    }

    pub(super) fn is_clean(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    pub(super) fn into_faults(self) -> Faults {
        Faults::new(self.faults.into_inner(), self.files.into_inner())
    }

    pub(super) fn into_warnings(self) -> Vec<Warning> {
        self.warnings.into_inner()
    }

    /// An override that nothing read is a typing error.
    pub(super) fn unused_overrides(&self) {
        let used = self.used.borrow();
        for name in self.env.keys() {
            let is_override = name.strip_prefix(OVERRIDE).is_some_and(|rest| rest.contains("__"));
            if is_override && !used.contains(name) {
                let at = At::Env(name.clone());
                self.fault(at.fault("", "overrides no known key"));
            }
        }
    }
}
