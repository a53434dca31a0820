//! The breaker on a clock that is moved by hand.

use super::*;
use crate::time::Clock;

struct Bench {
    breaker: Arc<Breaker>,
    start: Instant,
    now: Instant,
}

fn settings() -> BreakerSettings {
    BreakerSettings {
        window: Duration::from_secs(1),
        min_requests: 10,
        failure_percent: 80,
        open: Duration::from_millis(100),
        max_open: Duration::from_millis(350),
    }
}

impl Bench {
    fn new() -> Self {
        let start = Clock::monotonic();
        let gauge = IntGauge::new("state", "State.").unwrap();
        Self { breaker: Breaker::new(settings(), start, gauge), start, now: start }
    }

    /// One that has just opened for the first time.
    fn open() -> Self {
        let bench = Self::new();
        for _ in 0..9 {
            assert_eq!(bench.ends(Health::Bad), None);
        }
        assert_eq!(bench.ends(Health::Bad), Some(Change::Opened(Duration::from_millis(100))));
        bench
    }

    fn after(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self
    }

    fn asks(&self) -> Option<Pass> {
        self.breaker.admit(self.now)
    }

    fn told(&self, pass: Pass, health: Health) -> Option<Change> {
        self.breaker.settle(pass, health, self.now)
    }

    /// One is let through and ends like this.
    fn ends(&self, health: Health) -> Option<Change> {
        let pass = self.asks().expect("it may ask");
        self.told(pass, health)
    }

    /// The next group, whole, succeeds.
    fn group(&self, size: usize) -> Option<Change> {
        let passes: Vec<Pass> = (0..size).map(|_| self.asks().expect("one of the group")).collect();
        assert!(self.asks().is_none(), "more than {size}");
        passes.into_iter().map(|pass| self.told(pass, Health::Good)).last().flatten()
    }

    fn state(&self) -> i64 {
        self.breaker.gauge.get()
    }
}

#[test]
fn it_opens_at_the_share_and_not_below_it() {
    let bench = Bench::new();
    for _ in 0..20 {
        assert_eq!(bench.ends(Health::Good), None);
    }
    for nth in 1..80 {
        assert_eq!(bench.ends(Health::Bad), None, "{nth} of {}", nth + 20);
    }
    assert_eq!(bench.state(), 0);
    assert!(matches!(bench.ends(Health::Bad), Some(Change::Opened(_))), "80 of 100");
    assert_eq!(bench.state(), 2);
    assert!(bench.asks().is_none());
}

#[test]
fn with_too_few_it_stays_closed_and_what_tells_nothing_does_not_count() {
    let mut bench = Bench::new();
    for _ in 0..9 {
        assert_eq!(bench.ends(Health::Bad), None);
    }
    for _ in 0..100 {
        assert_eq!(bench.ends(Health::Unknown), None);
        drop(bench.asks());
    }
    bench.after(1_000);
    for _ in 0..9 {
        assert_eq!(bench.ends(Health::Bad), None, "those before are too old");
    }
    assert!(bench.ends(Health::Bad).is_some());
}

#[test]
fn it_is_tried_out_in_growing_groups_and_closes() {
    let mut bench = Bench::open();
    assert!(bench.after(99).asks().is_none());
    bench.after(1);
    for size in [1, 2, 4, 8] {
        assert_eq!(bench.group(size), None);
        assert_eq!(bench.state(), 1);
    }
    assert_eq!(bench.group(16), Some(Change::Closed));
    assert_eq!(bench.state(), 0);
    for _ in 0..9 {
        assert_eq!(bench.ends(Health::Bad), None, "it has forgotten what was before");
    }
}

#[test]
fn a_failed_try_opens_it_twice_as_long_up_to_the_most() {
    let mut bench = Bench::open();
    for (wait, next) in [(100, 200), (200, 350), (350, 350)] {
        assert!(bench.after(wait - 1).asks().is_none());
        let opened = bench.after(1).ends(Health::Bad);
        assert_eq!(opened, Some(Change::Opened(Duration::from_millis(next))));
    }
    bench.after(350);
    for size in [1, 2, 4, 8, 16] {
        bench.group(size);
    }
    for _ in 0..9 {
        bench.ends(Health::Bad);
    }
    assert_eq!(bench.ends(Health::Bad), Some(Change::Opened(Duration::from_millis(100))), "from the start");
}

#[test]
fn a_group_may_hold_as_many_failures_as_are_tolerated() {
    let mut bench = Bench::open();
    bench.after(100).group(1);
    bench.group(2);
    let passes: Vec<Pass> = (0..4).filter_map(|_| bench.asks()).collect();
    let mut ends = [Health::Bad, Health::Bad, Health::Bad, Health::Good].into_iter();
    for pass in passes {
        assert_eq!(bench.told(pass, ends.next().unwrap()), None, "3 of 4 are under 80 percent");
    }
    let passes: Vec<Pass> = (0..8).filter_map(|_| bench.asks()).collect();
    let changes: Vec<_> = passes.into_iter().map(|pass| bench.told(pass, Health::Bad)).collect();
    assert_eq!(changes.iter().flatten().count(), 1, "the seventh of 8 opens it: {changes:?}");
    assert!(changes[6].is_some());
}

#[test]
fn who_goes_away_leaves_the_try_to_another() {
    let mut bench = Bench::open();
    let first = bench.after(100).asks().unwrap();
    assert!(bench.asks().is_none());
    drop(first);
    assert_eq!(bench.ends(Health::Unknown), None);
    let probe = bench.asks().expect("still the first group");
    assert!(bench.asks().is_none());
    assert_eq!(bench.told(probe, Health::Good), None);
    assert_eq!(bench.group(2), None);
}

#[test]
fn late_answers_to_what_was_asked_before_change_nothing() {
    let mut bench = Bench::new();
    let early: Vec<Pass> = (0..20).filter_map(|_| bench.asks()).collect();
    for _ in 0..10 {
        bench.ends(Health::Bad);
    }
    let mut early = early.into_iter();
    assert_eq!(bench.told(early.next().unwrap(), Health::Bad), None, "it is open");
    let slow = bench.after(100).asks().unwrap();
    assert_eq!(bench.told(early.next().unwrap(), Health::Bad), None, "it is being tried out");
    assert_eq!(bench.state(), 1);
    assert_eq!(bench.told(slow, Health::Good), None);
    for size in [2, 4, 8, 16] {
        bench.group(size);
    }
    for pass in early {
        assert_eq!(bench.told(pass, Health::Bad), None, "it is closed again");
    }
    assert_eq!((bench.state(), bench.now > bench.start), (0, true));
}

#[test]
fn an_answer_to_an_earlier_group_does_not_count_for_a_later_one() {
    let mut bench = Bench::open();
    bench.after(100).group(1);
    let (one, two) = (bench.asks().unwrap(), bench.asks().unwrap());
    assert_eq!(bench.told(one, Health::Bad), None);
    assert!(matches!(bench.told(two, Health::Bad), Some(Change::Opened(_))));
    let mut bench = Bench::open();
    bench.after(100).group(1);
    let (one, late) = (bench.asks().unwrap(), bench.asks().unwrap());
    drop(one);
    let again = bench.asks().unwrap();
    bench.told(again, Health::Bad);
    assert!(bench.told(late, Health::Bad).is_some());
    assert!(bench.asks().is_none());
}

#[test]
fn threads_that_try_at_once_share_one_group() {
    let mut bench = Bench::open();
    bench.after(100);
    let passes: Vec<Pass> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| bench.asks())).collect();
        asking.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(passes.len(), 1);
}
