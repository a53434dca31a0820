//! A timer that wakes a task to within some microseconds. The runtime's own timers have a grain of one millisecond,
//! which would show in every latency.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One alarm at a time. Belongs to the runtime it was made on.
#[derive(Debug)]
pub(super) struct Timer(AsyncFd<OwnedFd>);

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(deprecated, reason = "an OwnedFd is the same descriptor for as long as it is watched")]
        AsyncFd::with_interest(fd, Interest::READABLE).map(Self)
    }

    /// Rings after `wait`, and not at the time that was set before.
    pub(super) fn set(&self, wait: Duration) {
        /// Longer than a load lasts; the kernel takes no more seconds than fit its clock.
        const LONGEST: Duration = Duration::from_hours(24 * 365);
        // Zero would turn it off.
        let wait = wait.clamp(Duration::from_nanos(1), LONGEST);
        let nanos = i64::from(wait.subsec_nanos());
        let value = Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX), tv_nsec: nanos };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = Itimerspec { it_interval: zero, it_value: value };
        if let Err(fault) = timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &spec) {
            tracing::warn!(%fault, "replay: the timer cannot be set");
        }
    }

    /// Returns when it has rung since the last call.
    pub(super) async fn rung(&self) {
        match self.0.readable().await {
            // Not read: setting it anew takes the event back, and the next one is an edge again.
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Clock;

    #[tokio::test]
    async fn it_rings_once_for_each_time_it_is_set_and_not_early() {
        let timer = Timer::new().unwrap();
        for micros in [300, 0, 2_500] {
            let wait = Duration::from_micros(micros);
            let start = Clock::monotonic();
            timer.set(Duration::from_hours(9_999_999));
            timer.set(wait);
            timer.rung().await;
            assert!(start.elapsed() >= wait);
        }
        timer.set(Duration::from_hours(1));
        assert!(tokio::time::timeout(Duration::from_millis(5), timer.rung()).await.is_err());
    }
}
