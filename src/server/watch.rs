//! What a connection has to be told: that the process drains, and that it was slow or idle for too long.
//!
//! A task beside the connection waits for both and wakes it. Waiting in the connection's own task would mean to ask a
//! timer and a channel at each of its polls, which is at least twice per request.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use tokio::task::{AbortHandle, spawn_local};

use super::connection::Hall;
use super::drain::Stage;
use super::io::Activity;

/// What is said to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// End after the request under way.
    Finish,
    /// Close without a word.
    Leave,
}

/// Where the word for one connection is left.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    word: Cell<Option<Word>>,
    /// The connection's task.
    waker: RefCell<Option<Waker>>,
}

/// Ends the watching task when it is dropped.
pub(super) struct Watching(AbortHandle);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// What was said since it was asked last. The task of `cx`, always the same one, is woken for more.
    pub(super) fn heed(&self, cx: &Context<'_>) -> Option<Word> {
        if self.0.waker.borrow().is_none() {
            *self.0.waker.borrow_mut() = Some(cx.waker().clone());
        }
        self.0.word.take()
    }

    /// Begins to watch.
    pub(super) fn keep(&self, hall: Hall, activity: Activity) -> Watching {
        let watch = self.clone();
        Watching(spawn_local(async move { watch.wait(&hall, &activity).await }).abort_handle())
    }

    async fn wait(&self, hall: &Hall, activity: &Activity) {
        let mut closing = pin!(hall.seat().plane.drain.reached(Stage::Closing));
        let (head, idle) = {
            let room = hall.room();
            (room.settings().header_timeout, room.settings().keep_alive)
        };
        let mut told = false;
        while let Some(next) = activity.next_look(head, idle) {
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = &mut closing, if !told => {
                    told = true;
                    self.say(Word::Finish);
                }
            }
        }
        self.say(Word::Leave); // too slow, or idle for too long
    }

    fn say(&self, word: Word) {
        self.0.word.set(Some(word));
        if let Some(waker) = &*self.0.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}
