//! One piece of work per key at a time: the first caller starts it, later ones join. Bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::Resolution;
use crate::store::RecordKey;

type Waiters = HashMap<RecordKey, Vec<oneshot::Sender<Resolution>>>;

/// What is under way. A plain mutex: nothing awaits while it is held, and the hot path does not come here.
pub(super) struct Flights {
    waiters: Arc<Mutex<Waiters>>,
    limit: usize,
}

/// How a caller got on board.
pub(super) enum Boarding {
    /// It is the first and must do the work, then [`Pilot::land`].
    First(Pilot, oneshot::Receiver<Resolution>),
    /// The work is under way.
    Joined(oneshot::Receiver<Resolution>),
    /// Too much is under way.
    Full,
}

/// The right and the duty to do the work of a key. Dropped (the work panicked or was cancelled), the flight ends and
/// its waiters learn that nothing came.
pub(super) struct Pilot {
    key: RecordKey,
    waiters: Arc<Mutex<Waiters>>,
    landed: bool,
}

impl Flights {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiters: Arc::default(), limit }
    }

    /// Starts the flight of `key`, or joins it.
    pub(super) fn board(&self, key: RecordKey) -> Boarding {
        let (sender, receiver) = oneshot::channel();
        let mut waiters = lock(&self.waiters);
        if let Some(others) = waiters.get_mut(&key) {
            others.push(sender);
            return Boarding::Joined(receiver);
        }
        if waiters.len() >= self.limit {
            return Boarding::Full;
        }
        waiters.insert(key, vec![sender]);
        let pilot = Pilot { key, waiters: Arc::clone(&self.waiters), landed: false };
        Boarding::First(pilot, receiver)
    }

    /// How many are under way.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        lock(&self.waiters).len()
    }
}

impl Pilot {
    /// Tells everybody who waits and flies on: the answer is good, but there is more to do.
    pub(super) fn tell(&self, resolution: &Resolution) {
        let waiting = lock(&self.waiters).get_mut(&self.key).map(std::mem::take).unwrap_or_default();
        answer(waiting, resolution);
    }

    /// Ends the flight and tells everybody who waits.
    pub(super) fn land(mut self, resolution: &Resolution) {
        let waiting = lock(&self.waiters).remove(&self.key).unwrap_or_default();
        // From here on the key may have a new flight, which is not ours to end.
        self.landed = true;
        answer(waiting, resolution);
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        if !self.landed {
            lock(&self.waiters).remove(&self.key);
        }
    }
}

/// Those who stopped waiting are nobody's concern.
fn answer(waiting: Vec<oneshot::Sender<Resolution>>, resolution: &Resolution) {
    for waiter in waiting {
        drop(waiter.send(resolution.clone()));
    }
}

fn lock(waiters: &Mutex<Waiters>) -> std::sync::MutexGuard<'_, Waiters> {
    waiters.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Wake, Waker};

    use super::*;
    use crate::identity::Absence;

    fn key(n: u8) -> RecordKey {
        RecordKey::from_bytes([n; 32])
    }

    #[test]
    fn later_callers_join_and_all_hear_the_same() {
        let flights = Flights::new(1);
        let Boarding::First(pilot, mut first) = flights.board(key(1)) else { panic!("not the first") };
        let Boarding::Joined(mut second) = flights.board(key(1)) else { panic!("did not join") };
        assert!(matches!(flights.board(key(2)), Boarding::Full));
        pilot.land(&Resolution::Absent(Absence::Operator));
        for waiter in [&mut first, &mut second] {
            assert!(matches!(waiter.try_recv(), Ok(Resolution::Absent(Absence::Operator))));
        }
        assert!(matches!(flights.board(key(2)), Boarding::First(..)));
    }

    /// Boards the key anew in the moment in which an answer arrives.
    struct Eager(Arc<Flights>, Mutex<Option<Boarding>>);

    impl Wake for Eager {
        fn wake(self: Arc<Self>) {
            *self.1.lock().unwrap() = Some(self.0.board(key(1)));
        }
    }

    #[test]
    fn a_landing_does_not_end_the_next_flight() {
        let flights = Arc::new(Flights::new(1));
        let Boarding::First(pilot, mut waiter) = flights.board(key(1)) else { panic!("not the first") };
        let eager = Arc::new(Eager(Arc::clone(&flights), Mutex::default()));
        let waker = Waker::from(Arc::clone(&eager));
        assert!(Pin::new(&mut waiter).poll(&mut Context::from_waker(&waker)).is_pending());
        pilot.land(&Resolution::Absent(Absence::Operator));
        let next = eager.1.lock().unwrap().take();
        assert!(matches!(next, Some(Boarding::First(..))));
        assert_eq!(flights.under_way(), 1);
        drop(next);
        assert_eq!(flights.under_way(), 0);
    }

    #[test]
    fn a_lost_pilot_ends_the_flight() {
        let flights = Flights::new(1);
        let Boarding::First(pilot, mut waiter) = flights.board(key(1)) else { panic!("not the first") };
        drop(pilot);
        assert!(waiter.try_recv().is_err());
        assert_eq!(flights.under_way(), 0);
    }
}
