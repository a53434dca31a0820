//! Connections without an exchange: the newest is used first, and what nobody uses is closed in time.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::task::spawn_local;
use tokio::time::sleep_until;

use super::Connection;
use crate::time::Clock;

/// The idle connections of a pool.
///
/// As long as there are any, a task watches them: it closes those whose time is over, and those that the peer has closed.
/// Who puts a connection here leaves the task's word with it, so that taking and returning one costs no wake-up.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// Oldest first.
    kept: RefCell<Vec<Kept>>,
    keeper: RefCell<Option<Waker>>,
}

#[derive(Debug)]
struct Kept {
    connection: Box<Connection>,
    until: Instant,
}

impl Idle {
    /// The newest that is not past its time at `now`.
    pub(super) fn take(&self, now: Instant) -> Option<Box<Connection>> {
        let mut kept = self.kept.borrow_mut();
        while let Some(Kept { connection, until }) = kept.pop() {
            if until > now {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection until then, unless it is closed already.
    pub(super) fn put(self: &Rc<Self>, mut connection: Box<Connection>, until: Instant) {
        let mut keeper = self.keeper.borrow_mut();
        let waker = keeper.get_or_insert_with(|| {
            spawn_local(keep(Rc::downgrade(self)));
            Waker::noop().clone() // until it runs, which is soon, and looks at all there is
        });
        if connection.line.is_quiet(&mut Context::from_waker(waker)) {
            self.kept.borrow_mut().push(Kept { connection, until });
        }
    }

    /// Closes what is due or closed by the peer; says when to come again, if at all.
    fn tidy(&self, cx: &mut Context<'_>) -> Option<Instant> {
        let now = Clock::monotonic();
        let mut kept = self.kept.borrow_mut();
        kept.retain_mut(|idle| idle.until > now && idle.connection.line.is_quiet(cx));
        let next = kept.iter().map(|idle| idle.until).min();
        *self.keeper.borrow_mut() = next.map(|_| cx.waker().clone());
        next
    }

    /// Lets what is put here next go unwatched.
    #[cfg(test)]
    pub(super) fn unwatched(&self) {
        *self.keeper.borrow_mut() = Some(Waker::noop().clone());
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.kept.borrow().len()
    }

    /// Whether a task watches.
    #[cfg(test)]
    pub(super) fn is_kept(&self) -> bool {
        self.keeper.borrow().is_some()
    }
}

/// Watches until there is nothing to watch.
async fn keep(idle: Weak<Idle>) {
    let mut timer = pin!(sleep_until(Clock::monotonic().into()));
    poll_fn(|cx| {
        loop {
            let Some(next) = idle.upgrade().and_then(|idle| idle.tidy(cx)) else { return Poll::Ready(()) };
            timer.as_mut().reset(next.into());
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}
