//! Slots: how many connections there may be, and those who wait for one. All on one thread: no locks, no atomics.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::oneshot;

/// All slots of a pool.
#[derive(Debug)]
pub(super) struct Slots(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    free: Cell<usize>,
    /// In the order they came; some may have gone away.
    queue: RefCell<VecDeque<oneshot::Sender<Slot>>>,
}

/// The right to one connection; dropping it passes it on to the first who waits.
#[derive(Debug)]
pub(super) struct Slot(Rc<Inner>);

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self(Rc::new(Inner { free: Cell::new(count), queue: RefCell::default() }))
    }

    /// A free one. Nobody waits while there is one.
    pub(super) fn take(&self) -> Option<Slot> {
        let left = self.0.free.get().checked_sub(1)?;
        self.0.free.set(left);
        Some(Slot(Rc::clone(&self.0)))
    }

    /// The next that becomes free, after all who wait already. Without an end where there are no slots at all.
    pub(super) async fn wait(&self) -> Slot {
        loop {
            let (sender, receiver) = oneshot::channel();
            self.0.queue.borrow_mut().push_back(sender);
            if let Ok(slot) = receiver.await {
                return slot;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.0.free.get()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        loop {
            let next = self.0.queue.borrow_mut().pop_front();
            match next {
                // Who goes away with the slot in hand drops it, and so passes it on.
                Some(waiting) if !waiting.is_closed() => {
                    drop(waiting.send(Self(Rc::clone(&self.0))));
                    return;
                }
                Some(_gone) => {}
                None => break,
            }
        }
        self.0.free.set(self.0.free.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn as_many_as_there_are_and_no_more() {
        let slots = Slots::new(2);
        let (one, two) = (slots.take().unwrap(), slots.take().unwrap());
        assert!(slots.take().is_none());
        drop(one);
        assert_eq!(slots.free(), 1);
        drop(two);
        assert_eq!(slots.free(), 2);
        assert!(Slots::new(0).take().is_none());
    }

    #[test]
    fn who_waits_gets_them_in_turn() {
        let slots = Slots::new(1);
        let held = slots.take().unwrap();
        let (mut first, mut second) = (Box::pin(slots.wait()), Box::pin(slots.wait()));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        drop(held);
        assert!(slots.take().is_none(), "it belongs to the first");
        assert!(second.as_mut().now_or_never().is_none());
        let held = first.now_or_never().unwrap();
        drop(held);
        drop(second.now_or_never().unwrap());
        assert_eq!(slots.free(), 1);
    }

    #[test]
    fn who_goes_away_is_passed_over_and_loses_none() {
        let slots = Slots::new(1);
        let held = slots.take().unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(slots.wait())).collect();
        assert!(waiting.iter_mut().all(|wait| wait.as_mut().now_or_never().is_none()));
        drop(waiting.remove(0));
        drop(held);
        // The second has it by now, though it was not told; it goes away, too.
        drop(waiting.remove(0));
        drop(waiting.remove(0).now_or_never().unwrap());
        assert_eq!(slots.free(), 1);
    }
}
