//! Exchanges that go on past their deadline, and those that wait for a slot.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

/// Exchanges that go on past their deadline, by age.
#[derive(Debug, Default)]
pub(super) struct Drains {
    running: RefCell<BTreeMap<u64, AbortHandle>>,
    begun: Cell<u64>,
}

impl Drains {
    /// Lets an exchange go on for `late`, in a task of its own: nobody else polls it any more.
    pub(super) fn begin(self: &Rc<Self>, late: Duration, exchange: impl Future<Output = ()> + 'static) {
        let number = self.begun.get();
        self.begun.set(number + 1);
        let drains = Rc::clone(self);
        let task = spawn_local(async move {
            drop(timeout(late, exchange).await);
            drains.running.borrow_mut().remove(&number);
        });
        self.running.borrow_mut().insert(number, task.abort_handle());
    }

    /// Drops the oldest, which closes its connection and frees its slot.
    pub(super) fn end_oldest(&self) {
        if let Some((_, oldest)) = self.running.borrow_mut().pop_first() {
            oldest.abort();
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.running.borrow().len()
    }
}

/// One of those that wait for a slot.
pub(super) struct Waiting<'a>(&'a Cell<usize>);

impl<'a> Waiting<'a> {
    pub(super) fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
