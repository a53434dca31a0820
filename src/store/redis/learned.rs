//! What this gateway knows of opt-outs besides that they hold: which it learned lately, to say them again when a fail-over may have
//! lost them, and in which order a publisher said of a user that they left and that they did not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::key::RecordKey;
use super::super::optout_log::Entry;
use crate::time::Clock;

/// What was learned so lately is said again after a fail-over.
const RECENT: Duration = Duration::from_mins(15);

/// And no more than this.
const RECENT_MOST: usize = 100_000;

/// An opt-out, or one that was taken back, with the stamp by which the publisher's own is ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Noted {
    pub(super) entry: Entry,
    /// 0 for the operator's.
    pub(super) stamp: i64,
}

/// What this gateway learned lately, and the stamps of what publishers said.
#[derive(Default)]
pub(super) struct Learned {
    /// By key and kind.
    recent: Mutex<HashMap<(RecordKey, u8), (Instant, Noted)>>,
    stamps: Mutex<HashMap<RecordKey, i64>>,
}

impl Learned {
    pub(super) fn add(&self, noted: Noted) {
        let now = Clock::monotonic();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= RECENT_MOST {
            recent.retain(|_, (at, _)| is_recent(*at, now));
        }
        if recent.len() < RECENT_MOST {
            recent.insert((noted.entry.key, noted.entry.kind as u8), (now, noted));
        }
    }

    pub(super) fn recent(&self) -> Vec<Noted> {
        let now = Clock::monotonic();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|_, (at, _)| is_recent(*at, now));
        recent.values().map(|(_, noted)| *noted).collect()
    }

    /// Whether a stamp is the newest that was heard of a key; then it is remembered.
    pub(super) fn is_newest(&self, key: RecordKey, stamp: i64) -> bool {
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        let known = stamps.entry(key).or_insert(stamp);
        let newest = stamp >= *known;
        *known = stamp.max(*known);
        newest
    }

    pub(super) fn stamp(&self, key: &RecordKey) -> Option<i64> {
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) <= RECENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_publisher_counts() {
        let learned = Learned::default();
        let key = RecordKey::from_bytes([1; 32]);
        assert!(learned.is_newest(key, 5) && learned.is_newest(key, 5));
        assert!(!learned.is_newest(key, 4));
        assert_eq!(learned.stamp(&key), Some(5));
    }
}
