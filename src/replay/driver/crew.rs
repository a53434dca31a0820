//! The threads of a load: they open their connections, wait for each other, and begin at the same moment.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::dial::{Dial, Protocol};
use super::lane::Beginning;
use super::tally::Tally;
use super::worker::{self, Ready, Worker};
use super::{DriveError, Load};
use crate::replay::requests::Requests;
use crate::replay::schedule::Schedule;

/// Threads with open connections.
pub(super) struct Crew {
    threads: Vec<JoinHandle<io::Result<()>>>,
    starts: Vec<oneshot::Sender<Instant>>,
    tallies: Receiver<Tally>,
}

impl Crew {
    /// Starts the threads; an error when none of them can open a connection.
    pub(super) fn gather(
        load: &Load,
        requests: &Arc<Requests>,
        schedule: &Schedule,
    ) -> Result<Self, DriveError> {
        let size = load.threads.clamp(1, load.connections);
        let protocol = if load.http2 { Protocol::Http2 } else { Protocol::Http1 };
        let dial = Dial::new(requests.target(), protocol, load.ca.as_deref(), load.timeout);
        let dial = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(dial)?;
        let (tell_ready, ready) = channel();
        let (tell_tally, tallies) = channel();
        let mut crew = Self { threads: Vec::with_capacity(size), starts: Vec::with_capacity(size), tallies };
        for thread in 0..size {
            let (start, started) = oneshot::channel();
            let beginning = Beginning {
                requests: Arc::clone(requests),
                tickets: Box::new(schedule.share(thread, size)),
                due: Box::new(schedule.share(thread, size)),
                warmup: load.warmup,
                end: load.duration.map_or(Duration::MAX, |duration| load.warmup.saturating_add(duration)),
                timeout: load.timeout,
                grace: load.grace,
                answered: load.answered.clone(),
                tallies: tell_tally.clone(),
            };
            let worker = Worker {
                dial: dial.clone(),
                protocol,
                connections: load.connections / size + usize::from(thread < load.connections % size),
                beginning: Box::new(beginning),
                stop: Arc::clone(&load.stop),
                ready: tell_ready.clone(),
                start: started,
            };
            let named = thread::Builder::new().name(format!("replay-{thread}"));
            // Shared with the thread through its closure only: the iterators are not Send once they run.
            crew.threads.push(named.spawn(move || worker::run(worker))?);
            crew.starts.push(start);
        }
        drop(tell_ready);
        reached(ready).map(|()| crew)
    }

    pub(super) fn size(&self) -> usize {
        self.threads.len()
    }

    /// Runs the load from `start` to its end, with a call for each tally.
    pub(super) fn begin(self, start: Instant, mut take: impl FnMut(Tally)) -> Result<(), DriveError> {
        for tell in self.starts {
            if tell.send(start).is_err() {
                tracing::debug!("replay: a thread has failed before the start");
            }
        }
        while let Ok(tally) = self.tallies.recv() {
            take(tally);
        }
        for thread in self.threads {
            thread.join().map_err(|_| io::Error::other("it panicked"))??;
        }
        Ok(())
    }
}

/// Waits until every thread has tried; an error when nobody has a connection.
fn reached(ready: Receiver<Ready>) -> Result<(), DriveError> {
    let (mut open, mut reason) = (0, None);
    for told in ready {
        open += told.open;
        reason = reason.or(told.reason);
    }
    if open > 0 { Ok(()) } else { Err(DriveError::Unreachable(reason.unwrap_or_default())) }
}
