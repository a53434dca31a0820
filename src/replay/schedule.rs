//! When each request is due. The load is open: a request is due at its time, however slow the answers are, and its
//! latency counts from then, so that a target that stalls cannot hide it.
//!
//! A schedule is a function of its settings and knows no clock: any number of threads read the same one, each takes
//! every n-th request, and no list of what is due has to be kept, hence none can overflow.

use std::time::Duration;

use super::pace::{Arrivals, Pace};
use super::random::Random;

/// What makes a schedule.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Schedule {
    pub(super) pace: Pace,
    pub(super) arrivals: Arrivals,
    /// Runs before the first counted request, at the pace's first rate.
    pub(super) warmup: Duration,
    /// Length of the counted part; `None` when only `requests` bounds it.
    pub(super) duration: Option<Duration>,
    /// Most requests of the counted part.
    pub(super) requests: Option<u64>,
}

/// A request to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket {
    /// Numbered from 0 without gaps, those of the warm-up first.
    pub(super) number: u64,
    /// When it is due, since the start.
    pub(super) due: Duration,
    /// Whether it counts: not part of the warm-up.
    pub(super) counted: bool,
}

impl Schedule {
    /// Every `threads`-th ticket, beginning with the one of number `thread`.
    pub(super) fn share(
        &self,
        thread: usize,
        threads: usize,
    ) -> impl Iterator<Item = Ticket> + Clone + use<> {
        self.tickets().skip(thread).step_by(threads.max(1))
    }

    /// All tickets in order.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> + Clone + use<> {
        let warm = Times {
            pace: Pace::Constant(self.pace.first_rate()),
            marks: Marks::new(Arrivals::Even),
            duration: self.warmup.as_secs_f64(),
            left: u64::MAX,
        };
        let counted = Times {
            pace: self.pace.clone(),
            marks: Marks::new(if matches!(self.pace, Pace::Recorded(_)) {
                Arrivals::Even
            } else {
                self.arrivals
            }),
            duration: self.duration.map_or(f64::INFINITY, |duration| duration.as_secs_f64()),
            left: self.requests.unwrap_or(u64::MAX),
        };
        let warmup = self.warmup;
        let warm = warm.map(|at| (at, false));
        let counted = counted.map(move |at| (warmup.saturating_add(at), true));
        warm.chain(counted).zip(0..).map(|((due, counted), number)| Ticket { number, due, counted })
    }
}

/// Times at which requests of one pace are due.
#[derive(Clone, Debug)]
struct Times {
    pace: Pace,
    marks: Marks,
    duration: f64,
    left: u64,
}

impl Iterator for Times {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let at = self.pace.at(self.marks.next(), self.duration)?;
        Some(Duration::try_from_secs_f64(at).unwrap_or(Duration::MAX))
    }
}

/// 0, 1, 2 … or a Poisson process of rate one.
#[derive(Clone, Debug)]
struct Marks {
    next: f64,
    random: Option<Random>,
}

impl Marks {
    fn new(arrivals: Arrivals) -> Self {
        let mut random = match arrivals {
            Arrivals::Even => None,
            Arrivals::Poisson(seed) => Some(Random::new(seed)),
        };
        Self { next: random.as_mut().map_or(0.0, Random::exponential), random }
    }

    fn next(&mut self) -> f64 {
        let mark = self.next;
        self.next += self.random.as_mut().map_or(1.0, Random::exponential);
        mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(pace: Pace, duration: Duration) -> Schedule {
        Schedule {
            pace,
            arrivals: Arrivals::Even,
            warmup: Duration::ZERO,
            duration: Some(duration),
            requests: None,
        }
    }

    fn due(schedule: &Schedule) -> Vec<Duration> {
        schedule.tickets().map(|ticket| ticket.due).collect()
    }

    /// Requests due in each of `parts` equal parts of `whole`.
    fn counts(schedule: &Schedule, whole: Duration, parts: u32) -> Vec<usize> {
        let due = due(schedule);
        assert!(due.is_sorted());
        let within = |n: u32| {
            due.iter().filter(|at| (whole * n / parts..whole * (n + 1) / parts).contains(*at)).count()
        };
        (0..parts).map(within).collect()
    }

    #[test]
    fn a_constant_pace_is_even() {
        let due = due(&schedule(Pace::Constant(2_000.0), Duration::from_millis(10)));
        let expected: Vec<Duration> = (0..20).map(|n| Duration::from_micros(500) * n).collect();
        assert_eq!(due, expected);
    }

    #[test]
    fn a_ramp_rises_and_falls_evenly() {
        // 0 → 200/s over 4 s: 25·t² requests up to t.
        let up = schedule(Pace::Ramp { from: 0.0, to: 200.0 }, 4 * SECOND);
        assert_eq!(counts(&up, 4 * SECOND, 4), [25, 75, 125, 175]);
        let down = schedule(Pace::Ramp { from: 200.0, to: 0.0 }, 4 * SECOND);
        assert_eq!(counts(&down, 4 * SECOND, 4), [175, 125, 75, 25]);
        let flat = schedule(Pace::Ramp { from: 100.0, to: 100.0 }, 4 * SECOND);
        assert_eq!(due(&flat), due(&schedule(Pace::Constant(100.0), 4 * SECOND)));
    }

    #[test]
    fn steps_share_the_duration() {
        let steps = schedule(Pace::Steps([100.0, 0.0, 400.0].into()), 3 * SECOND);
        assert_eq!(counts(&steps, 3 * SECOND, 3), [100, 0, 400]);
        assert_eq!(due(&steps)[100], 2 * SECOND);
    }

    #[test]
    fn a_recording_keeps_its_gaps_and_ends() {
        let times: Vec<Duration> = [0, 3, 3, 900].map(Duration::from_micros).into();
        let mut recorded = schedule(Pace::Recorded(times.clone().into()), SECOND);
        recorded.arrivals = Arrivals::Poisson(1);
        assert_eq!(due(&recorded), times);
        recorded.duration = Some(Duration::from_micros(900));
        assert_eq!(due(&recorded), times[..3], "the end is not part of a duration");
        recorded.duration = None;
        assert_eq!(due(&recorded), times);
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_are_not_even() {
        let poisson =
            |seed, pace| Schedule { arrivals: Arrivals::Poisson(seed), ..schedule(pace, 100 * SECOND) };
        let constant = poisson(7, Pace::Constant(1_000.0));
        let times = due(&constant);
        // The number within 100 s has a standard deviation of √100,000 = 316.
        assert!((98_400..101_600).contains(&times.len()), "{}", times.len());
        // Exponential gaps: as wide as their mean, and 36.8 % are longer than it.
        let gaps: Vec<f64> =
            times.windows(2).map(|two| two[1].abs_diff(two[0]).as_secs_f64() * 1e3).collect();
        let count = f64::from(u32::try_from(gaps.len()).unwrap());
        let variance = gaps.iter().map(|gap| (gap - 1.0).powi(2)).sum::<f64>() / count;
        assert!((0.95..1.05).contains(&variance), "{variance}");
        let longer = f64::from(u32::try_from(gaps.iter().filter(|gap| **gap > 1.0).count()).unwrap()) / count;
        assert!((0.36..0.376).contains(&longer), "{longer}");
        assert_eq!(due(&constant), times, "repeatable");
        assert_ne!(due(&poisson(8, Pace::Constant(1_000.0)))[..10], times[..10]);
        let ramp = counts(&poisson(7, Pace::Ramp { from: 0.0, to: 1_000.0 }), 100 * SECOND, 2);
        assert!((12_100..12_900).contains(&ramp[0]) && (36_900..38_100).contains(&ramp[1]), "{ramp:?}");
    }

    #[test]
    fn requests_and_duration_both_bound_a_load() {
        let some = |requests, ms| {
            let bounded = Schedule {
                requests: Some(requests),
                ..schedule(Pace::Constant(1e3), Duration::from_millis(ms))
            };
            bounded.tickets().count()
        };
        assert_eq!((some(7, 60_000), some(7, 3), some(0, 3), some(7, 0)), (7, 3, 0, 0));
        let endless = Schedule { duration: None, requests: Some(5), ..schedule(Pace::Constant(1e3), SECOND) };
        assert_eq!(endless.tickets().count(), 5);
    }

    #[test]
    fn a_warm_up_comes_first_and_is_not_counted() {
        let warmed = Schedule {
            warmup: 2 * SECOND,
            requests: Some(3),
            ..schedule(Pace::Ramp { from: 5.0, to: 50.0 }, 10 * SECOND)
        };
        let tickets: Vec<Ticket> = warmed.tickets().collect();
        assert_eq!(tickets.iter().filter(|ticket| ticket.counted).count(), 3);
        assert_eq!((tickets[9].due, tickets[9].counted), (Duration::from_millis(1_800), false));
        assert_eq!((tickets[10].due, tickets[10].counted, tickets[10].number), (2 * SECOND, true, 10));
    }

    #[test]
    fn threads_share_all_tickets() {
        let whole = schedule(Pace::Constant(1e3), Duration::from_millis(10));
        let mut shared: Vec<Ticket> = (0..3).flat_map(|thread| whole.share(thread, 3)).collect();
        shared.sort_unstable_by_key(|ticket| ticket.number);
        assert_eq!(shared, whole.tickets().collect::<Vec<_>>());
        assert_eq!(whole.share(1, 3).map(|ticket| ticket.number).collect::<Vec<_>>(), [1, 4, 7]);
    }
}
