//! A bounded queue with its own threads: work that blocks on the disk, asked for from anywhere.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use super::error::StoreError;

/// Where an operation's answer goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// How many threads, how long a queue, how much at once.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) threads: usize,
    /// At least 1.
    pub(super) queue: usize,
    /// Commands handed to the worker in one go, at most.
    pub(super) batch: usize,
}

/// The queue and its threads. Dropping it does what is queued, then ends the threads.
pub(super) struct Lane<C> {
    /// `None` once stopped.
    sender: Mutex<Option<mpsc::Sender<C>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<C: Send + 'static> Lane<C> {
    /// Starts the threads. A panic in `work` costs the batch it was given, whose answers are dropped unsent.
    pub(super) fn start<W>(name: &str, shape: Shape, work: W) -> io::Result<Self>
    where
        W: Fn(Vec<C>) + Send + Sync + 'static,
    {
        let (sender, receiver) = mpsc::channel(shape.queue.max(1));
        let receiver = Arc::new(Mutex::new(receiver));
        let work = Arc::new(work);
        let spawn = |_| {
            let (receiver, work) = (Arc::clone(&receiver), Arc::clone(&work));
            Builder::new().name(name.to_owned()).spawn(move || run(&receiver, shape.batch, &*work))
        };
        let threads = (0..shape.threads).map(spawn).collect::<io::Result<_>>()?;
        Ok(Self { sender: Mutex::new(Some(sender)), threads: Mutex::new(threads) })
    }

    /// Queues a command, or says at once that the queue is full.
    pub(super) fn offer(&self, command: C) -> Result<(), StoreError> {
        self.sender()?.try_send(command).map_err(|fault| match fault {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// The queue itself, for a caller that rather waits for room.
    pub(super) fn sender(&self) -> Result<mpsc::Sender<C>, StoreError> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.clone().ok_or(StoreError::Closed)
    }
}

impl<C> Lane<C> {
    /// Takes no more, does what is queued, and returns when the threads have ended.
    pub(super) fn stop(&self) {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a store thread panicked");
            }
        }
    }
}

impl<C> Drop for Lane<C> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run<C>(receiver: &Mutex<mpsc::Receiver<C>>, batch: usize, work: &impl Fn(Vec<C>)) {
    loop {
        let mut commands = Vec::new();
        let taken =
            receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv_many(&mut commands, batch);
        if taken == 0 {
            return;
        }
        if catch_unwind(AssertUnwindSafe(|| work(commands))).is_err() {
            tracing::error!("store work panicked; its callers get an error");
        }
    }
}

/// Waits for an answer; one that was dropped unsent means that the work panicked.
pub(super) async fn answer<T>(from: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
    from.await.unwrap_or(Err(StoreError::Broken("its thread failed")))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc as std_mpsc;

    use super::*;

    #[test]
    fn a_full_queue_says_so_and_everything_queued_is_done() {
        let (go, wait) = std_mpsc::channel::<()>();
        let (started, starts) = std_mpsc::channel();
        let (done, results) = std_mpsc::channel();
        let wait = Mutex::new(wait);
        let shape = Shape { threads: 1, queue: 2, batch: 8 };
        let lane = Lane::start("test", shape, move |commands: Vec<u32>| {
            started.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
            done.send(commands).unwrap();
        })
        .unwrap();
        lane.offer(1).unwrap();
        starts.recv().unwrap();
        assert_eq!((lane.offer(2), lane.offer(3)), (Ok(()), Ok(())));
        assert_eq!(lane.offer(4), Err(StoreError::Busy));
        go.send(()).unwrap();
        go.send(()).unwrap();
        lane.stop();
        assert_eq!(lane.offer(5), Err(StoreError::Closed));
        assert_eq!(results.iter().collect::<Vec<_>>(), [vec![1], vec![2, 3]]);
    }

    #[tokio::test]
    async fn a_panic_costs_one_batch() {
        let shape = Shape { threads: 1, queue: 8, batch: 1 };
        let lane = Lane::start("test", shape, |commands: Vec<Option<Answer<u32>>>| {
            for command in commands {
                let answer = command.expect("None panics: that is this test's doing");
                assert!(answer.send(Ok(7)).is_ok());
            }
        })
        .unwrap();
        lane.offer(None).unwrap();
        let (sender, receiver) = oneshot::channel();
        lane.offer(Some(sender)).unwrap();
        assert_eq!(answer(receiver).await, Ok(7));
        let (sender, receiver) = oneshot::channel();
        drop::<Answer<u32>>(sender);
        assert_eq!(answer(receiver).await, Err(StoreError::Broken("its thread failed")));
    }
}
