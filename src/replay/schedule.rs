//! When each request is due. The load is open: a request is due at its time, however slow the answers are, and its
//! latency counts from then, so that a target that stalls cannot hide it.
//!
//! The pacer is a thread of its own: the runtime's timers have a grain of one millisecond, a sleeping thread one of
//! some 60 µs, and that difference would show in the latencies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::sync::Semaphore;

use crate::time::Clock;

/// How fast requests become due.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    /// So many a second, evenly, from the first moment.
    PerSecond(f64),
    /// Closed loop: each connection sends again as soon as it has its answer.
    Closed,
}

/// A request to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket {
    /// Numbered from 0 without gaps.
    pub(super) number: u64,
    /// When it was due; in a closed loop, when it was drawn.
    pub(super) due: Instant,
}

/// Hands out tickets to any number of connections.
#[derive(Debug)]
pub(super) struct Schedule {
    next: AtomicU64,
    total: u64,
    start: Instant,
    /// Closed loop only; an open one is bounded by `total`.
    end: Option<Instant>,
    /// Open loop only: the time from one request to the next, and one permit for each request that is due.
    paced: Option<(Duration, Arc<Semaphore>)>,
}

impl Schedule {
    /// Begins now. Ends after `requests` or `duration`, whichever comes first; with neither it does not end.
    pub(super) fn start(pace: Pace, requests: Option<u64>, duration: Option<Duration>) -> io::Result<Self> {
        let start = Clock::monotonic();
        let mut schedule = Self {
            next: AtomicU64::new(0),
            total: requests.unwrap_or(u64::MAX),
            start,
            end: None,
            paced: None,
        };
        match pace {
            Pace::Closed => schedule.end = duration.map(|duration| start + duration),
            Pace::PerSecond(rate) => {
                let gap = Duration::try_from_secs_f64(1.0 / rate)
                    .unwrap_or(Duration::MAX)
                    .max(Duration::from_nanos(1));
                let fit = duration.map_or(u128::MAX, |duration| duration.as_nanos().div_ceil(gap.as_nanos()));
                schedule.total = schedule.total.min(u64::try_from(fit).unwrap_or(u64::MAX));
                let due = Arc::new(Semaphore::new(0));
                pace_in_thread(start, gap, schedule.total, Arc::downgrade(&due))?;
                schedule.paced = Some((gap, due));
            }
        }
        Ok(schedule)
    }

    /// The next ticket, as soon as it is due; `None` after the last.
    pub(super) async fn ticket(&self) -> Option<Ticket> {
        let Some((gap, due)) = &self.paced else { return self.drawn() };
        due.acquire().await.ok()?.forget();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.total).then(|| Ticket { number, due: self.start + offset(*gap, number) })
    }

    fn drawn(&self) -> Option<Ticket> {
        let due = Clock::monotonic();
        if self.end.is_some_and(|end| due >= end) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.total).then_some(Ticket { number, due })
    }
}

/// `gap` times `number`, saturating.
fn offset(gap: Duration, number: u64) -> Duration {
    let nanos = gap.as_nanos().saturating_mul(u128::from(number));
    u64::try_from(nanos).map_or(Duration::from_nanos(u64::MAX), Duration::from_nanos)
}

/// Gives out one permit per due request, then more than anybody can use, so that nobody waits for a ticket that never
/// comes. Ends early when nobody listens any more.
fn pace_in_thread(start: Instant, gap: Duration, total: u64, due: Weak<Semaphore>) -> io::Result<()> {
    /// Longest sleep, so that a slow pace does not outlive its listeners by much.
    const NAP: Duration = Duration::from_millis(100);
    let pace = move || {
        let mut given = 0;
        while given < total {
            let Some(semaphore) = due.upgrade() else { return };
            let wait = (start + offset(gap, given)).saturating_duration_since(Clock::monotonic());
            if wait.is_zero() {
                semaphore.add_permits(1);
                given += 1;
            } else {
                drop(semaphore);
                thread::sleep(wait.min(NAP));
            }
        }
        // Not closed: that would take back the permits of waiters that have not run yet.
        if let Some(semaphore) = due.upgrade() {
            semaphore.add_permits(Semaphore::MAX_PERMITS / 2);
        }
    };
    thread::Builder::new().name("replay-pacer".to_owned()).spawn(pace).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tickets(schedule: &Schedule) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        while let Some(ticket) = schedule.ticket().await {
            tickets.push(ticket);
        }
        tickets
    }

    #[tokio::test]
    async fn an_open_loop_is_due_evenly_whenever_it_is_asked() {
        let schedule =
            Schedule::start(Pace::PerSecond(2_000.0), None, Some(Duration::from_millis(10))).unwrap();
        let tickets = tickets(&schedule).await;
        let offsets: Vec<Duration> = tickets.iter().map(|t| t.due - schedule.start).collect();
        let expected: Vec<Duration> = (0..20).map(|n| Duration::from_micros(500) * n).collect();
        assert_eq!(offsets, expected);
        assert_eq!(tickets.last().unwrap().number, 19);
    }

    #[tokio::test]
    async fn no_ticket_comes_before_it_is_due() {
        let schedule = Schedule::start(Pace::PerSecond(200.0), Some(3), None).unwrap();
        while let Some(ticket) = schedule.ticket().await {
            assert!(Clock::monotonic() >= ticket.due);
        }
        assert!(schedule.start.elapsed() >= Duration::from_millis(10));
    }

    #[tokio::test]
    async fn requests_and_duration_both_bound_the_load() {
        let few = Schedule::start(Pace::PerSecond(1e6), Some(7), Some(Duration::from_mins(1))).unwrap();
        assert_eq!(tickets(&few).await.len(), 7);
        let short = Schedule::start(Pace::PerSecond(1e3), Some(7), Some(Duration::from_millis(3))).unwrap();
        assert_eq!(tickets(&short).await.len(), 3);
        let none = Schedule::start(Pace::PerSecond(1e3), Some(0), None).unwrap();
        assert_eq!(tickets(&none).await.len(), 0);
        let closed = Schedule::start(Pace::Closed, Some(5), None).unwrap();
        assert_eq!(tickets(&closed).await.len(), 5);
        let over = Schedule::start(Pace::Closed, None, Some(Duration::ZERO)).unwrap();
        assert_eq!(tickets(&over).await.len(), 0);
    }
}
