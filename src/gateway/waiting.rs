//! How long something was waited for. What is there at once, as nearly every identity, costs no look at the clock.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::time::Clock;

/// The output of a future, and the time from its first "not yet" to its end.
pub(super) async fn timed<F: Future>(mut future: Pin<&mut F>) -> (F::Output, Duration) {
    let mut since = None;
    std::future::poll_fn(|context| {
        let polled = future.as_mut().poll(context);
        match (polled, since) {
            (Poll::Ready(output), None) => Poll::Ready((output, Duration::ZERO)),
            (Poll::Ready(output), Some(since)) => {
                Poll::Ready((output, Clock::monotonic().saturating_duration_since(since)))
            }
            (Poll::Pending, _) => {
                since.get_or_insert_with(Clock::monotonic);
                Poll::Pending
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_there_at_once_was_not_waited_for() {
        assert_eq!(timed(pin!(async { 7 })).now_or_never(), Some((7, Duration::ZERO)));
    }

    #[tokio::test]
    async fn the_wait_is_counted_from_the_first_poll_to_the_last() {
        let (told, receive) = tokio::sync::oneshot::channel();
        let sleep = std::thread::spawn(move || {
            std::thread::park_timeout(Duration::from_millis(5));
            told.send(Clock::monotonic()).ok();
        });
        let before = Clock::monotonic();
        let (sent, waited) = timed(pin!(receive)).await;
        let all = before.elapsed();
        sleep.join().unwrap();
        assert!(sent.unwrap() >= before && waited <= all && waited > Duration::ZERO);
    }
}
