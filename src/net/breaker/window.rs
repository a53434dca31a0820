//! How many of the last requests failed: a ring of counters, each for a tenth of the window, written without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// Parts of a window. The oldest falls away as a whole, so the window is up to a tenth shorter than it says.
const PARTS: usize = 10;

/// Each part is one word, so that it is counted and taken over by a new tenth in one step: which tenth of a window it
/// is (16 bits, they repeat after 6,553 windows), how many ended in it and how many of them failed (24 bits each).
#[derive(Debug)]
pub(super) struct Window {
    /// Milliseconds of one part.
    part: u64,
    parts: [AtomicU64; PARTS],
}

const COUNT_BITS: u32 = 24;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;

/// What one part holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Part {
    tick: u16,
    all: u64,
    bad: u64,
}

impl Part {
    fn of(word: u64) -> Self {
        let tick = u16::try_from(word >> (2 * COUNT_BITS)).unwrap_or(u16::MAX);
        Self { tick, all: (word >> COUNT_BITS) & COUNT_MAX, bad: word & COUNT_MAX }
    }

    fn word(self) -> u64 {
        (u64::from(self.tick) << (2 * COUNT_BITS)) | (self.all << COUNT_BITS) | self.bad
    }

    /// With one more. A full count stays full: 16 million in a tenth of a window tell enough.
    fn and(self, bad: bool) -> Self {
        if self.all == COUNT_MAX {
            return self;
        }
        Self { all: self.all + 1, bad: self.bad + u64::from(bad), ..self }
    }
}

impl Window {
    pub(super) fn new(millis: u64) -> Self {
        Self { part: (millis / PARTS as u64).max(1), parts: Default::default() }
    }

    /// Counts one that ended at `at`, in milliseconds.
    pub(super) fn count(&self, at: u64, bad: bool) {
        let tick = self.tick(at);
        let counted = |word| {
            let part = Part::of(word);
            let current = if part.tick == tick { part } else { Part { tick, all: 0, bad: 0 } };
            Some(current.and(bad).word())
        };
        let Some(part) = self.parts.get(self.place(at)) else { return };
        // Always some value, so it never fails.
        part.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted).ok();
    }

    /// How many there were in the window that ends at `now`, and how many of them failed.
    pub(super) fn sums(&self, now: u64) -> (u64, u64) {
        let recent = |word: &AtomicU64| {
            let part = Part::of(word.load(Ordering::Relaxed));
            let age = self.tick(now).wrapping_sub(part.tick);
            (usize::from(age) < PARTS).then_some((part.all, part.bad))
        };
        self.parts.iter().filter_map(recent).fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for part in &self.parts {
            part.store(0, Ordering::Relaxed);
        }
    }

    fn place(&self, at: u64) -> usize {
        usize::try_from((at / self.part) % PARTS as u64).unwrap_or_default()
    }

    fn tick(&self, at: u64) -> u16 {
        u16::try_from((at / self.part) & u64::from(u16::MAX)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let window = Window::new(1_000);
        for at in [0, 99, 100, 950] {
            window.count(at, at == 99);
        }
        assert_eq!(window.sums(950), (4, 1));
        assert_eq!(window.sums(999), (4, 1));
        assert_eq!(window.sums(1_000), (2, 0), "the first tenth is over");
        assert_eq!(window.sums(1_899), (1, 0));
        assert_eq!(window.sums(1_900), (0, 0));
        window.count(2_050, true);
        assert_eq!(window.sums(2_050), (1, 1), "its place was taken over");
        window.clear();
        assert_eq!(window.sums(2_050), (0, 0));
    }

    #[test]
    fn a_full_count_stays_full() {
        let full = Part { tick: 7, all: COUNT_MAX, bad: COUNT_MAX - 1 };
        assert_eq!(full.and(true), full);
        let nearly = Part { tick: u16::MAX, all: COUNT_MAX - 1, bad: COUNT_MAX - 1 };
        let more = nearly.and(true);
        assert_eq!((more.all, more.bad), (COUNT_MAX, COUNT_MAX));
        assert_eq!(Part::of(more.word()), more);
    }

    #[test]
    fn ticks_that_wrap_are_still_in_order() {
        let window = Window::new(10);
        window.count(65_535, true);
        window.count(65_536, false);
        assert_eq!(window.sums(65_536), (2, 1));
        assert_eq!(window.sums(65_545), (1, 0));
    }

    #[test]
    fn threads_lose_no_count() {
        let window = Window::new(1_000);
        std::thread::scope(|scope| {
            for bad in [true, false, true, false] {
                let window = &window;
                scope.spawn(move || (0..10_000).for_each(|n| window.count(n % 500, bad)));
            }
        });
        assert_eq!(window.sums(500), (40_000, 20_000));
    }
}
