//! The requests of one HTTP/2 connection: those under way, how far their answers have got, and those taken back.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::http::Response;
use http_body_util::Either;
use tokio::sync::Notify;

use super::super::growing::{Answer, Content, Parts};
use super::super::reply;
use super::sending::{self, Sending};
use crate::gateway::{Reject, RejectKind};
use crate::time::Clock;

/// Bytes of answers that may wait for one caller to read them. One answer may be longer.
const MAX_UNSENT: usize = 16 * 1024 * 1024;
/// Requests that a caller may take back before they are answered, more than it lets be answered. A caller who runs out of
/// time does so now and then; one who does nothing else makes work for the SSPs that nobody pays for.
const MAX_TAKEN_BACK: usize = 200;

/// What a connection has to do.
#[derive(Debug)]
pub(super) struct Streams {
    /// Requests whose answer is being made.
    making: Cell<usize>,
    /// Answers that have not gone out whole, with the time when each last moved.
    sending: RefCell<BTreeMap<u64, Instant>>,
    /// Answers that began to be sent.
    begun: Cell<u64>,
    /// Bytes of these answers.
    unsent: Cell<usize>,
    /// Since when there is nothing to do, if so.
    idle_since: Cell<Instant>,
    taken_back: Cell<usize>,
    too_many: Notify,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            making: Cell::new(0),
            sending: RefCell::default(),
            begun: Cell::new(0),
            unsent: Cell::new(0),
            idle_since: Cell::new(Clock::monotonic()),
            taken_back: Cell::new(0),
            too_many: Notify::new(),
        }
    }

    /// How much longer the connection may stay as it is; `None` when it was idle, or one of its answers has not moved, for
    /// `patience`. What other requests do meanwhile does not help an answer that nobody reads. A request whose answer is
    /// being made has its own limits.
    pub(super) fn left(&self, patience: Duration) -> Option<Duration> {
        let since = match self.sending.borrow().values().min() {
            Some(oldest) => *oldest,
            None if self.making.get() > 0 => return Some(patience),
            None => self.idle_since.get(),
        };
        let still = Clock::monotonic().saturating_duration_since(since);
        patience.checked_sub(still).filter(|left| !left.is_zero())
    }

    /// Returns each time that too many requests more were taken back.
    pub(super) async fn taken_back(&self) {
        self.too_many.notified().await;
    }

    /// Whether an answer of so many bytes may wait here, too.
    fn has_room(&self, bytes: usize) -> bool {
        let before = self.unsent.get();
        before == 0 || before.saturating_add(bytes) <= MAX_UNSENT
    }

    /// An answer begins to be sent; its number.
    pub(super) fn begin(&self, bytes: usize) -> u64 {
        let number = self.begun.get();
        self.begun.set(number + 1);
        self.unsent.set(self.unsent.get() + bytes);
        self.moved(number);
        number
    }

    /// A part of it has gone out.
    pub(super) fn moved(&self, number: u64) {
        self.sending.borrow_mut().insert(number, Clock::monotonic());
    }

    /// All of it has, or nobody wants the rest.
    pub(super) fn end(&self, number: u64, bytes: usize) {
        self.sending.borrow_mut().remove(&number);
        self.unsent.set(self.unsent.get().saturating_sub(bytes));
        self.idle_since.set(Clock::monotonic());
    }
}

/// A request until its answer is made. Dropped before, it was taken back.
pub(super) struct Asked {
    streams: Rc<Streams>,
    answered: bool,
}

impl Asked {
    pub(super) fn new(streams: &Rc<Streams>) -> Self {
        streams.making.set(streams.making.get() + 1);
        Self { streams: Rc::clone(streams), answered: false }
    }

    /// The answer as it is to be sent, or 503 in its place where too much waits to be read already.
    pub(super) fn answered(mut self, answer: Answer) -> Response<Either<Sending, Parts>> {
        self.answered = true;
        let (head, content) = answer.into_parts();
        let reply = match content {
            Content::Whole(body) => Response::from_parts(head, body),
            // It is being made until its last part is.
            Content::Growing(growing) => {
                return Response::from_parts(head, Either::Right(growing.start(self)));
            }
        };
        let (mut head, mut body) = sending::taken_apart(reply);
        if !self.streams.has_room(body.len()) {
            tracing::debug!("an HTTP/2 caller does not read its answers");
            (head, body) = sending::taken_apart(reply::auction(Err(Reject::early(RejectKind::Overload))));
        }
        Response::from_parts(head, Either::Left(Sending::new(body, &self.streams)))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let streams = &self.streams;
        streams.making.set(streams.making.get().saturating_sub(1));
        streams.idle_since.set(Clock::monotonic());
        let before = streams.taken_back.get();
        streams.taken_back.set(match (self.answered, before + 1) {
            (true, _) => before.saturating_sub(1),
            (false, MAX_TAKEN_BACK..) => {
                streams.too_many.notify_one();
                0
            }
            (false, more) => more,
        });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt as _;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn reply(bytes: usize) -> Answer {
        Response::new(Content::Whole(Full::new(Bytes::from(vec![b'x'; bytes]))))
    }

    fn streams() -> Rc<Streams> {
        Rc::new(Streams::new())
    }

    #[test]
    fn answers_wait_up_to_the_limit_and_not_past_it() {
        for (second, status) in [(MAX_UNSENT - 1_000, 200), (MAX_UNSENT - 999, 503)] {
            let streams = streams();
            let first = Asked::new(&streams).answered(reply(1_000));
            assert_eq!(first.status(), 200);
            assert_eq!(Asked::new(&streams).answered(reply(second)).status(), status);
            // What is gone makes room.
            drop(first);
            assert_eq!(streams.unsent.get(), 0);
            assert_eq!(Asked::new(&streams).answered(reply(MAX_UNSENT + 1)).status(), 200, "alone");
        }
    }

    #[test]
    fn an_answer_that_does_not_move_is_not_helped_by_others() {
        let streams = streams();
        let stuck = Asked::new(&streams).answered(reply(100_000));
        let since = Clock::monotonic();
        let mut other = Asked::new(&streams).answered(reply(100_000)).into_body();
        while Clock::monotonic() == since {}
        assert!(other.frame().now_or_never().flatten().is_some());
        let _made = Asked::new(&streams);
        let spent = since.elapsed();
        assert!(streams.left(LONG).is_some_and(|left| left + spent / 2 < LONG), "of the one that is stuck");
        assert_eq!(streams.left(spent / 2), None);
        drop((stuck, other));
        assert_eq!(streams.left(Duration::from_nanos(1)), Some(Duration::from_nanos(1)), "one is being made");
    }

    #[test]
    fn nothing_to_do_is_idle() {
        let streams = streams();
        let asked = Asked::new(&streams);
        assert_eq!(streams.left(Duration::ZERO), Some(Duration::ZERO));
        drop(asked.answered(reply(0)));
        assert_eq!(streams.left(Duration::ZERO), None);
        assert!(streams.left(LONG).is_some_and(|left| left <= LONG));
    }

    #[test]
    fn as_many_may_be_taken_back_as_allowed_and_no_more() {
        let streams = streams();
        let told = || streams.taken_back().now_or_never().is_some();
        for _ in 0..2 {
            for _ in 1..MAX_TAKEN_BACK {
                drop(Asked::new(&streams));
            }
            // One that is answered makes up for one that is not.
            drop(Asked::new(&streams).answered(reply(1)));
            drop(Asked::new(&streams));
            assert!(!told());
            drop(Asked::new(&streams));
            assert!(told() && !told());
        }
    }
}
