//! The threads of a load: they open their connections, wait for each other, and begin at the same moment.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::dial::{Dial, Protocol};
use super::lane::{Beginning, Ending};
use super::tally::Tally;
use super::worker::{self, Ready, Worker};
use super::{DriveError, Load};
use crate::replay::pace::Pace;
use crate::replay::requests::Requests;
use crate::replay::schedule::Schedule;

/// Threads with open connections.
pub(super) struct Crew {
    threads: Vec<JoinHandle<io::Result<Ending>>>,
    starts: Vec<oneshot::Sender<Instant>>,
    tallies: Receiver<Tally>,
    /// Not all connections are open: how many, and why.
    pub(super) missing: Option<String>,
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
        let mut crew = Self {
            threads: Vec::with_capacity(size),
            starts: Vec::with_capacity(size),
            tallies,
            missing: None,
        };
        for thread in 0..size {
            let (start, started) = oneshot::channel();
            let beginning = Beginning {
                requests: Arc::clone(requests),
                tickets: Box::new(schedule.share(thread, size)),
                due: Box::new(schedule.share(thread, size)),
                warmup: load.warmup,
                end: end(load),
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
        crew.missing = reached(ready, load.connections)?;
        Ok(crew)
    }

    pub(super) fn size(&self) -> usize {
        self.threads.len()
    }

    /// Runs the load from `start` to its end, with a call for each tally.
    pub(super) fn begin(self, start: Instant, mut take: impl FnMut(Tally)) -> Result<Ending, DriveError> {
        for tell in self.starts {
            if tell.send(start).is_err() {
                tracing::debug!("replay: a thread has failed before the start");
            }
        }
        while let Ok(tally) = self.tallies.recv() {
            take(tally);
        }
        let mut last = Ending::default();
        for thread in self.threads {
            let ending = thread.join().map_err(|_| io::Error::other("it panicked"))??;
            last.stopped = last.stopped.into_iter().chain(ending.stopped).min();
            last.last_sent = last.last_sent.max(ending.last_sent);
        }
        Ok(last)
    }
}

/// Nothing is due after this, since the start.
fn end(load: &Load) -> Duration {
    let recorded = match &load.pace {
        Pace::Recorded(times) => times.last().copied(),
        _ => None,
    };
    let counted = load.duration.into_iter().chain(recorded).min();
    counted.map_or(Duration::MAX, |counted| load.warmup.saturating_add(counted))
}

/// Waits until every thread has tried. Says what is missing; an error when nobody has a connection.
fn reached(ready: Receiver<Ready>, wanted: usize) -> Result<Option<String>, DriveError> {
    let (mut open, mut reason) = (0, None);
    for told in ready {
        open += told.open;
        reason = reason.or(told.reason);
    }
    let reason = reason.unwrap_or_default();
    if open == 0 {
        return Err(DriveError::Unreachable(reason));
    }
    Ok((open < wanted)
        .then(|| format!("only {open} of {wanted} connections were open at the start: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_are_missing_are_told() {
        let told = |all: &[(usize, Option<&str>)]| {
            let (tell, ready) = channel();
            for (open, reason) in all {
                tell.send(Ready { open: *open, reason: reason.map(str::to_owned) }).unwrap();
            }
            drop(tell);
            reached(ready, 4)
        };
        assert_eq!(told(&[(2, None), (2, None)]).unwrap(), None);
        let missing = told(&[(2, None), (1, Some("no more files"))]).unwrap().unwrap();
        assert_eq!(missing, "only 3 of 4 connections were open at the start: no more files");
        assert!(matches!(told(&[(0, Some("gone")), (0, None)]), Err(DriveError::Unreachable(_))));
    }

    #[test]
    fn a_recording_ends_with_its_last_request() {
        let second = Duration::from_secs(1);
        let recorded = Load { warmup: second, ..Load::new(Pace::Recorded([second * 2, second * 5].into())) };
        assert_eq!(end(&recorded), second * 6);
        assert_eq!(end(&Load { duration: Some(second * 3), ..recorded }), second * 4);
        assert_eq!(end(&Load::new(Pace::Constant(1.0))), Duration::MAX);
    }
}
