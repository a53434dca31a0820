//! One thread's part of a load: which request is next, which connection is free, what has come of the rest.
//!
//! ```text
//!  timer rings   → dispatch   every due request goes out over a free connection, or waits in the schedule
//!  answer whole  → finished   counted; the connection takes the next request that is due, or becomes free
//! ```
//! What waits needs no queue: the schedule knows what is due, so that nothing overflows and nothing is lost. A request
//! is written in the same call that finds it due, without a change of tasks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

use super::super::numbers::Answered;
use super::super::recorder::Fault;
use super::super::requests::Requests;
use super::super::schedule::Ticket;
use super::link::Link;
use super::tally::{Tally, Times};
use super::timer::Timer;
use crate::time::Clock;

/// A thread's lane, shared by its tasks.
pub(super) struct Shared {
    lane: RefCell<Lane>,
    pub(super) timer: Timer,
    /// Rings when nothing is left to do.
    pub(super) over: Notify,
}

/// Tickets of one thread.
pub(super) type Tickets = Box<dyn Iterator<Item = Ticket> + Send>;

pub(super) struct Lane {
    requests: Arc<Requests>,
    start: Instant,
    tickets: Peekable<Tickets>,
    /// The same tickets, to count what became due in each second.
    due: Peekable<Tickets>,
    slots: Vec<Slot>,
    idle: VecDeque<usize>,
    /// Requests without an answer yet.
    pending: usize,
    /// The last attempt to connect failed.
    refused: bool,
    /// When the timer is set to ring.
    alarm: Option<Duration>,
    begun: bool,
    /// Nothing further is due after this.
    end: Duration,
    warmup: Duration,
    timeout: Duration,
    /// How long after the end requests that wait for a connection still go out.
    grace: Duration,
    answered: Option<Answered>,
    /// Numbers and status, not handed over yet.
    answers: Vec<(u64, u16)>,
    tally: Tally,
    tallies: Sender<Tally>,
    cpu: Duration,
    ending: Ending,
}

/// How a lane's part of a load ended.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Ending {
    /// Since the start, if requests were still to become due.
    pub(super) stopped: Option<Duration>,
    /// When the last counted request went out, since the start.
    pub(super) last_sent: Duration,
}

/// A place for one request at a time: a connection, or a stream of one.
#[derive(Default)]
struct Slot {
    link: Option<Link>,
    pending: Option<Pending>,
}

#[derive(Clone, Copy)]
struct Pending {
    number: u64,
    times: Times,
    counted: bool,
    late: bool,
}

/// What a lane begins with.
pub(super) struct Beginning {
    pub(super) requests: Arc<Requests>,
    pub(super) tickets: Tickets,
    pub(super) due: Tickets,
    pub(super) warmup: Duration,
    /// Nothing is due after this.
    pub(super) end: Duration,
    pub(super) timeout: Duration,
    /// How long after the end requests that wait for a connection still go out.
    pub(super) grace: Duration,
    /// Takes which requests were answered.
    pub(super) answered: Option<Answered>,
    pub(super) tallies: Sender<Tally>,
}

impl Shared {
    pub(super) fn new(beginning: Beginning, slots: usize, timer: Timer) -> Self {
        let Beginning { requests, tickets, due, warmup, end, timeout, grace, answered, tallies } = beginning;
        let lane = Lane {
            requests,
            start: Clock::monotonic(),
            tickets: tickets.peekable(),
            due: due.peekable(),
            slots: (0..slots).map(|_| Slot::default()).collect(),
            idle: VecDeque::new(),
            pending: 0,
            refused: false,
            alarm: None,
            begun: false,
            end,
            warmup,
            timeout,
            grace,
            answered,
            answers: Vec::new(),
            tally: Tally::new(0),
            tallies,
            cpu: Duration::ZERO,
            ending: Ending::default(),
        };
        Self { lane: RefCell::new(lane), timer, over: Notify::new() }
    }

    /// Begins: requests are due from `start` on.
    pub(super) fn begin(&self, start: Instant) {
        let mut lane = self.lane.borrow_mut();
        (lane.start, lane.begun, lane.cpu) = (start, true, thread_cpu());
        self.timer.set(start.saturating_duration_since(Clock::monotonic()));
    }

    /// Sends what is due, as far as there are connections, and sets the timer for what comes next.
    pub(super) fn dispatch(&self) {
        let mut lane = self.lane.borrow_mut();
        lane.alarm = None;
        let now = lane.now();
        lane.dispatch(now);
        self.settle(&mut lane, now);
    }

    /// A connection is open: its `slots` take requests.
    pub(super) fn opened(&self, slots: impl Iterator<Item = (usize, Link)>) {
        let mut lane = self.lane.borrow_mut();
        let now = lane.now();
        lane.refused = false;
        for (index, link) in slots {
            lane.slots[index].link = Some(link);
            lane.free(index, now);
        }
        self.settle(&mut lane, now);
    }

    /// No connection could be opened.
    pub(super) fn refused(&self) {
        let mut lane = self.lane.borrow_mut();
        lane.refused = true;
        let now = lane.now();
        lane.dispatch(now);
        self.settle(&mut lane, now);
    }

    /// A slot's connection is gone, with what was pending on it.
    pub(super) fn closed(&self, index: usize) {
        self.finished(index, Err(Fault::Broken), false);
    }

    /// The answer of a slot has come, or will not come. The slot takes the next request when its connection stays.
    pub(super) fn finished(&self, index: usize, result: Result<(u16, u64), Fault>, keep: bool) {
        let mut lane = self.lane.borrow_mut();
        let now = lane.now();
        lane.finish(index, result, now);
        if keep && lane.slots[index].link.is_some() {
            lane.free(index, now);
        } else {
            lane.slots[index].link = None;
        }
        self.settle(&mut lane, now);
    }

    /// What is done from time to time: gives up late answers, hands over finished seconds, and ends.
    pub(super) fn tick(&self, stopped: bool) {
        let mut lane = self.lane.borrow_mut();
        let now = lane.now();
        if stopped {
            lane.stop(now);
        }
        lane.give_up_late(now);
        lane.turn_over(now);
        if now > lane.end.saturating_add(lane.grace) {
            lane.drop_rest();
        }
        self.settle(&mut lane, now);
    }

    /// Nothing is left to send or to wait for.
    pub(super) fn is_over(&self) -> bool {
        let mut lane = self.lane.borrow_mut();
        lane.begun && lane.pending == 0 && lane.next_due().is_none()
    }

    /// Hands over the last second.
    pub(super) fn conclude(&self) -> Ending {
        let mut lane = self.lane.borrow_mut();
        let next = lane.tally.index + 1;
        lane.hand_over(Duration::MAX, next);
        lane.ending
    }

    fn settle(&self, lane: &mut Lane, now: Duration) {
        let next = lane.next_due();
        if next.is_none() && lane.pending == 0 && lane.begun {
            self.over.notify_one();
        }
        // What is due already goes out when a connection becomes free.
        let Some(due) = next.filter(|due| *due > now && lane.alarm != Some(*due)) else { return };
        lane.alarm = Some(due);
        // Not from `now`: sending took its time since.
        self.timer.set(due.saturating_sub(lane.now()));
    }
}

impl Lane {
    fn now(&self) -> Duration {
        Clock::monotonic().saturating_duration_since(self.start)
    }

    /// Nothing further becomes due, and what waits does not go out any more.
    fn stop(&mut self, now: Duration) {
        self.grace = Duration::ZERO;
        if now < self.end {
            // Stopped in the wait for the last answers, a load is whole all the same.
            self.ending.stopped = self.tickets.peek().filter(|ticket| ticket.due <= self.end).map(|_| now);
            self.end = now;
        }
    }

    /// When the next request is due; `None` before the beginning and after the last.
    fn next_due(&mut self) -> Option<Duration> {
        let due = self.tickets.peek()?.due;
        (self.begun && due <= self.end).then_some(due)
    }

    /// The next request, if it is due.
    fn draw(&mut self, now: Duration) -> Option<Ticket> {
        if self.next_due()? <= now { self.tickets.next() } else { None }
    }

    fn dispatch(&mut self, now: Duration) {
        while self.next_due().is_some_and(|due| due <= now) {
            if let Some(index) = self.unused() {
                let Some(ticket) = self.draw(now) else { return };
                self.send(index, ticket, true);
            } else if self.refused && self.slots.iter().all(|slot| slot.link.is_none()) {
                // Nobody there: a caller would know at once.
                let Some(ticket) = self.draw(now) else { return };
                self.fail(ticket.counted, Fault::Connect);
            } else {
                return;
            }
        }
    }

    /// A slot with a connection and nothing pending.
    fn unused(&mut self) -> Option<usize> {
        loop {
            let index = self.idle.pop_front()?;
            if self.is_unused(index) {
                return Some(index);
            }
        }
    }

    /// Of an idle slot: a connection may have closed, and another one opened, since it became free.
    fn is_unused(&self, index: usize) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.link.is_some() && slot.pending.is_none())
    }

    /// The slot sends the next request that is due, or waits for one.
    fn free(&mut self, index: usize, now: Duration) {
        match self.draw(now) {
            Some(ticket) => {
                // With another slot unused, it was the timer that came late, and not a connection.
                let prompt = self.idle.iter().any(|other| self.is_unused(*other));
                self.send(index, ticket, prompt);
            }
            None => self.idle.push_back(index),
        }
    }

    fn send(&mut self, index: usize, ticket: Ticket, prompt: bool) {
        let sent = Clock::monotonic().saturating_duration_since(self.start);
        let times = Times { due: ticket.due, sent };
        let slot = &mut self.slots[index];
        slot.pending = Some(Pending { number: ticket.number, times, counted: ticket.counted, late: false });
        self.pending += 1;
        if ticket.counted {
            self.ending.last_sent = sent;
            self.tally.sent(times, prompt);
        }
        if let Some(link) = &mut slot.link {
            link.send(&self.requests, ticket.number);
        }
    }

    fn finish(&mut self, index: usize, result: Result<(u16, u64), Fault>, now: Duration) {
        let Some(pending) = self.slots[index].pending.take() else { return };
        self.pending -= 1;
        if let (Ok((status, _)), Some(_), false) = (result, &self.answered, pending.late) {
            self.answers.push((pending.number, status));
        }
        match result {
            // Whatever came of it: what ends because it was given up can look like a whole answer.
            _ if pending.late => self.fail(pending.counted, Fault::Timeout),
            Ok(answer) if pending.counted => self.tally.answered(pending.times, now, answer),
            Ok(_) => {}
            Err(fault) => self.fail(pending.counted, fault),
        }
    }

    fn fail(&mut self, counted: bool, fault: Fault) {
        self.tally.failed(fault, u64::from(counted));
    }

    fn give_up_late(&mut self, now: Duration) {
        for slot in &mut self.slots {
            let Some(pending) = slot.pending.as_mut().filter(|pending| !pending.late) else { continue };
            if now.saturating_sub(pending.times.sent) > self.timeout {
                pending.late = true;
                slot.link.take_if(|link| !link.give_up());
            }
        }
    }

    /// No more requests go out: those that wait have failed.
    fn drop_rest(&mut self) {
        let end = self.end;
        let mut unsent = 0;
        while let Some(ticket) = self.tickets.next_if(|ticket| ticket.due <= end) {
            unsent += u64::from(ticket.counted);
        }
        self.tally.failed(Fault::Unsent, unsent);
    }

    /// Hands over the tally when its second is past.
    fn turn_over(&mut self, now: Duration) {
        let Some(counted) = now.checked_sub(self.warmup) else {
            self.cpu = thread_cpu();
            return;
        };
        if counted.as_secs() > self.tally.index {
            self.hand_over(self.warmup + Duration::from_secs(self.tally.index + 1), counted.as_secs());
        }
    }

    /// Hands over the tally with what was due before `until`, and begins the second `next`.
    fn hand_over(&mut self, until: Duration, next: u64) {
        let end = self.end;
        while let Some(ticket) = self.due.next_if(|ticket| ticket.due < until && ticket.due <= end) {
            self.tally.second.due += u64::from(ticket.counted);
        }
        if let Some(answered) = &self.answered {
            answered.take(&mut self.answers);
        }
        let cpu = thread_cpu();
        self.tally.cpu = cpu.saturating_sub(self.cpu);
        self.cpu = cpu;
        let done = std::mem::replace(&mut self.tally, Tally::new(next));
        if self.tallies.send(done).is_err() {
            tracing::debug!("replay: nobody collects");
        }
    }
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
