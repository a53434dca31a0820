//! A circuit breaker: who fails nearly always is not asked for a while, then a few times, then again as usual.
//!
//! ```text
//!            enough failed                       its time is over
//!   Closed ────────────────► Open ◄──────────┐ ────────────────────► Trying
//!     ▲                       (each time twice as long)  too many failed │
//!     └──────────────────────────────────────┴───────────────────────────┘
//!                          1, 2, 4, 8 and 16 have succeeded
//! ```
//!
//! One breaker serves all threads. While it is closed, as nearly always, a request costs one read of a word that nobody
//! writes and, at its end, one counter. The lock is for those who ask while it is being tried out.

mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntGauge;

use self::window::Window;

/// When a [`Breaker`] opens, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakerSettings {
    /// How far back is looked.
    pub window: Duration,
    /// With fewer in the window it stays closed.
    pub min_requests: u64,
    /// It opens when so many of a hundred failed, or more.
    pub failure_percent: u64,
    /// How long it is open at first; twice as long each time that trying fails.
    pub open: Duration,
    /// Never longer than this.
    pub max_open: Duration,
}

/// The state of one partner.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    born: Instant,
    /// [`CLOSED`], [`TRYING`], or the millisecond until which it is open.
    shut: AtomicU64,
    /// The millisecond of the last closing. What was begun before tells nothing about now.
    closed_at: AtomicU64,
    window: Window,
    /// Held for a few instructions, by those who find it not closed, and never across an await.
    trial: Mutex<Trial>,
    gauge: IntGauge,
}

const CLOSED: u64 = 0;
const TRYING: u64 = 1;
/// Milliseconds are counted from here, so that none looks like one of the states.
const FIRST: u64 = 2;
/// Most requests under way at once while it is tried out; those who succeeded as one group let the next double.
const LAST_GROUP: u64 = 16;

/// Trying out, group by group.
#[derive(Debug, Default)]
struct Trial {
    /// How often it has opened since it was last closed.
    openings: u32,
    /// Tells an answer to this group from one to an earlier group.
    number: u64,
    size: u64,
    admitted: u64,
    good: u64,
    bad: u64,
}

/// How something that was let through ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// The partner did what it should.
    Good,
    /// It failed.
    Bad,
    /// It tells nothing about the partner.
    Unknown,
}

/// What an end has changed, for a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is open for so long.
    Opened(Duration),
    /// It is closed again.
    Closed,
}

/// The right to ask; to be given back with [`Breaker::settle`]. Dropped, it tells nothing.
#[derive(Debug)]
#[must_use = "what nobody settles is never counted"]
pub struct Pass {
    /// The millisecond in which it was given.
    at: u64,
    probe: Option<Probe>,
}

/// One of those who try.
#[derive(Debug)]
struct Probe {
    breaker: Arc<Breaker>,
    number: u64,
}

impl Drop for Probe {
    /// Another may try instead. After its end was told there is nothing left to give back: see [`Breaker::tried`].
    fn drop(&mut self) {
        let mut trial = self.breaker.trial();
        if trial.number == self.number {
            trial.admitted = trial.admitted.saturating_sub(1);
        }
    }
}

impl Breaker {
    /// A closed one. `gauge` follows its state: 0 closed, 1 being tried out, 2 open.
    pub fn new(settings: BreakerSettings, born: Instant, gauge: IntGauge) -> Arc<Self> {
        gauge.set(0);
        let window = Window::new(millis(settings.window));
        let (shut, closed_at) = (AtomicU64::new(CLOSED), AtomicU64::new(0));
        Arc::new(Self { settings, born, shut, closed_at, window, trial: Mutex::default(), gauge })
    }

    /// Whether the partner may be asked at `now`.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Option<Pass> {
        let at = self.millis(now);
        match self.shut.load(Ordering::Acquire) {
            CLOSED => Some(Pass { at, probe: None }),
            until if until > at => None,
            _ => self.admit_probe(at),
        }
    }

    /// Counts how it ended, at `now`.
    pub fn settle(&self, pass: Pass, health: Health, now: Instant) -> Option<Change> {
        let Pass { at, probe } = pass;
        match (probe, health) {
            (Some(probe), _) => self.tried(&probe, health, now),
            (None, Health::Unknown) => None,
            (None, Health::Good) => {
                self.window.count(self.millis(now), false);
                None
            }
            (None, Health::Bad) if at < self.closed_at.load(Ordering::Relaxed) => None,
            (None, Health::Bad) => {
                // By its end: one that hangs for longer than the window is no less of a failure.
                self.window.count(self.millis(now), true);
                self.open_if_due(now)
            }
        }
    }

    fn admit_probe(self: &Arc<Self>, at: u64) -> Option<Pass> {
        let mut trial = self.trial();
        // Another thread may have been here since.
        match self.shut.load(Ordering::Acquire) {
            CLOSED => return Some(Pass { at, probe: None }),
            TRYING => {}
            until if until > at => return None,
            _ => {
                trial.group(1);
                self.enter(TRYING);
            }
        }
        if trial.admitted == trial.size {
            return None;
        }
        trial.admitted += 1;
        Some(Pass { at, probe: Some(Probe { breaker: Arc::clone(self), number: trial.number }) })
    }

    fn tried(&self, probe: &Probe, health: Health, now: Instant) -> Option<Change> {
        let mut trial = self.trial();
        if trial.number != probe.number || health == Health::Unknown {
            return None; // dropping the probe lets another try
        }
        // What ended stays admitted; the drop of the probe will take one off.
        trial.admitted += 1;
        trial.good += u64::from(health == Health::Good);
        trial.bad += u64::from(health == Health::Bad);
        if self.is_too_much(trial.bad, trial.size) {
            return Some(self.open(&mut trial, now));
        }
        if trial.good + trial.bad < trial.size {
            return None;
        }
        if trial.size < LAST_GROUP {
            let size = trial.size * 2;
            trial.group(size);
            return None;
        }
        trial.group(0);
        trial.openings = 0;
        self.window.clear();
        self.closed_at.store(self.millis(now), Ordering::Relaxed);
        self.enter(CLOSED);
        Some(Change::Closed)
    }

    fn open_if_due(&self, now: Instant) -> Option<Change> {
        let (all, bad) = self.window.sums(self.millis(now));
        if all < self.settings.min_requests || !self.is_too_much(bad, all) {
            return None;
        }
        let mut trial = self.trial();
        (self.shut.load(Ordering::Acquire) == CLOSED).then(|| self.open(&mut trial, now))
    }

    fn open(&self, trial: &mut Trial, now: Instant) -> Change {
        let doubled =
            2_u32.checked_pow(trial.openings).and_then(|times| self.settings.open.checked_mul(times));
        let time = doubled.unwrap_or(Duration::MAX).min(self.settings.max_open);
        trial.openings = trial.openings.saturating_add(1);
        trial.group(0);
        self.enter(self.millis(now).saturating_add(millis(time)));
        Change::Opened(time)
    }

    fn enter(&self, shut: u64) {
        self.shut.store(shut, Ordering::Release);
        self.gauge.set(match shut {
            CLOSED => 0,
            TRYING => 1,
            _ => 2,
        });
    }

    /// Whether `bad` of `all` are so many that nobody else need be asked.
    fn is_too_much(&self, bad: u64, all: u64) -> bool {
        bad * 100 >= self.settings.failure_percent * all
    }

    /// The guard, also after another holder panicked: each value is whole between any two statements.
    fn trial(&self) -> MutexGuard<'_, Trial> {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.born)).saturating_add(FIRST)
    }
}

impl Trial {
    /// Begins with the next group; who is still under way from the one before does not count.
    fn group(&mut self, size: u64) {
        self.number += 1;
        (self.size, self.admitted, self.good, self.bad) = (size, 0, 0, 0);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
