//! One thread of the driver: a runtime of its own, a lane, connections.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;

use super::dial::{Dial, Protocol};
use super::http2::STREAMS;
use super::lane::{Beginning, Ending, Shared};
use super::timer::Timer;
use super::{http1, http2};

/// How often a lane looks for late answers and finished seconds.
const TICK: Duration = Duration::from_millis(10);

/// What a thread is given.
pub(super) struct Worker {
    pub(super) dial: Dial,
    pub(super) protocol: Protocol,
    pub(super) connections: usize,
    pub(super) beginning: Box<Beginning>,
    pub(super) stop: Arc<AtomicBool>,
    /// Told once: how many connections are open, and why the others are not.
    pub(super) ready: Sender<Ready>,
    /// When the first request is due; told when all threads are ready.
    pub(super) start: oneshot::Receiver<Instant>,
}

/// A thread has tried to open its connections.
pub(super) struct Ready {
    pub(super) open: usize,
    pub(super) reason: Option<String>,
}

/// Runs to the end of the load, or not at all when nobody says when to start.
pub(super) fn run(worker: Worker) -> io::Result<Ending> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, drive(worker))
}

async fn drive(worker: Worker) -> io::Result<Ending> {
    let slots = match worker.protocol {
        Protocol::Http1 => worker.connections,
        Protocol::Http2 => worker.connections * STREAMS,
    };
    let timeout = worker.beginning.timeout;
    let shared = Rc::new(Shared::new(*worker.beginning, slots, Timer::new()?));
    let open = |index| open(Rc::clone(&shared), worker.dial.clone(), (worker.protocol, index, timeout));
    let opened = join_all((0..worker.connections).map(open)).await;
    let reason = opened.iter().find_map(|opened| opened.fault.clone());
    let ready = Ready { open: opened.iter().filter(|opened| opened.fault.is_none()).count(), reason };
    // Who waits for all to be ready sees the end of the channel; nobody to hear it says no start either.
    worker.ready.send(ready).unwrap_or_default();
    drop(worker.ready);
    let Ok(start) = worker.start.await else { return Ok(Ending::default()) };
    for connection in opened {
        tokio::task::spawn_local(connection.run);
    }
    tokio::task::spawn_local(tick(Rc::clone(&shared), worker.stop));
    shared.begin(start);
    pace(&shared).await;
    Ok(shared.conclude())
}

/// A connection after the first attempt to open it.
struct Opened {
    /// Why it is not open.
    fault: Option<String>,
    /// Keeps it open.
    run: Pin<Box<dyn Future<Output = ()>>>,
}

async fn open(
    shared: Rc<Shared>,
    dial: Dial,
    (protocol, index, timeout): (Protocol, usize, Duration),
) -> Opened {
    match protocol {
        Protocol::Http1 => {
            let first = dial.open().await;
            let fault = first.as_ref().err().cloned();
            Opened { fault, run: Box::pin(http1::run(shared, dial, index, first.ok())) }
        }
        Protocol::Http2 => {
            let first = http2::open(&dial, timeout).await;
            let fault = first.as_ref().err().cloned();
            let slots = index * STREAMS..(index + 1) * STREAMS;
            Opened { fault, run: Box::pin(http2::run(shared, dial, slots, timeout, first.ok())) }
        }
    }
}

/// Sends what is due whenever the timer rings, until nothing is left.
async fn pace(shared: &Shared) {
    while !shared.is_over() {
        tokio::select! {
            biased;
            () = shared.timer.rung() => shared.dispatch(),
            () = shared.over.notified() => {}
        }
    }
}

async fn tick(shared: Rc<Shared>, stop: Arc<AtomicBool>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.tick(stop.load(Ordering::Relaxed));
    }
}
