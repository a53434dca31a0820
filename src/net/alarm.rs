//! A timer for many deadlines in turn, most of which are met.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

/// The deadline of whatever is under way on one connection.
///
/// Setting a timer and taking it back costs more than all else that a deadline needs, and nearly every answer is in
/// time. So the timer stays where an earlier exchange has set it, goes off early, and is set anew then: a few times a
/// second and connection instead of once per exchange. The deadline itself is kept as exactly as by a timer of its own.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `deadline` has passed; the task of `cx` is woken for it, and now and then before.
    pub(super) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = deadline.into();
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() == deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_deadline_is_kept_whatever_the_one_before_was() {
        let start = tokio::time::Instant::now();
        let mut alarm = Alarm::default();
        for millis in [50, 200, 210, 211, 5_000] {
            let deadline = (start + Duration::from_millis(millis)).into_std();
            poll_fn(|cx| alarm.poll(deadline, cx)).await;
            let now = start.elapsed();
            let late = now.checked_sub(Duration::from_millis(millis)).expect("not too early");
            assert!(late <= Duration::from_millis(2), "{now:?} for {millis}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn met_deadlines_move_it_only_when_it_goes_off() {
        let start = tokio::time::Instant::now();
        let mut alarm = Alarm::default();
        let mut set = Vec::new();
        for millis in 0..1_000 {
            tokio::time::advance(Duration::from_millis(1)).await;
            let deadline = (start + Duration::from_millis(millis + 200)).into_std();
            let due = poll_fn(|cx| Poll::Ready(alarm.poll(deadline, cx))).await;
            assert!(due.is_pending());
            set.push(alarm.0.as_ref().expect("a timer").deadline());
        }
        set.dedup();
        assert!(set.len() <= 7, "{} times", set.len());
        // An earlier deadline is not forgotten.
        let sooner = (tokio::time::Instant::now() + Duration::from_millis(3)).into_std();
        poll_fn(|cx| alarm.poll(sooner, cx)).await;
        assert!(start.elapsed() < Duration::from_millis(1_010));
    }
}
