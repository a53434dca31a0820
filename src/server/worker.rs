//! Data-plane threads: each a current-thread runtime with its own `Gateway` and its own connections to the SSPs, so
//! that a request never changes threads.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;

use super::connection::Hall;
use super::drain::Stage;
use super::live::{Door, Room};
use super::{Plane, listener};

/// After the door is closed, what is still in flight may take this long.
const FINISH: Duration = Duration::from_secs(10);

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
}

/// The acceptor's handle on one thread.
pub(super) struct Worker {
    queue: mpsc::UnboundedSender<Connection>,
    open: Arc<AtomicUsize>,
}

impl Worker {
    /// Open connections; `None` when the thread is gone and must not be given any.
    pub(super) fn connections(&self) -> Option<usize> {
        (!self.queue.is_closed()).then(|| self.open.load(Ordering::Relaxed))
    }

    /// Counted here, not when the thread gets to it, so that a burst is spread evenly.
    pub(super) fn give(&self, stream: TcpStream, peer: SocketAddr) {
        self.open.fetch_add(1, Ordering::Relaxed);
        if self.queue.send(Connection { stream, peer }).is_err() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// All data-plane threads and their acceptor.
pub struct DataPlane {
    address: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

impl DataPlane {
    /// Starts the threads and begins to accept on `listener`, which is already bound.
    pub fn start(plane: &Plane, listener: std::net::TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let count = plane.live.current().settings.workers;
        let (mut workers, mut threads) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let inflight = Arc::new(AtomicUsize::new(0));
        for index in 0..count {
            let (queue, incoming) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            let seat =
                Seat { plane: plane.clone(), open: Arc::clone(&open), inflight: Arc::clone(&inflight) };
            let thread = std::thread::Builder::new().name(format!("data-{index}"));
            threads.push(thread.spawn(move || run(seat, incoming))?);
            workers.push(Worker { queue, open });
        }
        let _entered = plane.control.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let live = plane.live.clone();
        plane.control.spawn(listener::accept(listener, workers.into(), live, plane.drain.clone()));
        Ok(Self { address, threads })
    }

    /// The bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the threads to finish what is in flight. Call after the drain has reached `Closing`.
    pub fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a data-plane thread panicked");
            }
        }
    }
}

/// What one thread owns besides its runtime.
pub(super) struct Seat {
    pub(super) plane: Plane,
    pub(super) open: Arc<AtomicUsize>,
    /// Ad requests in flight over all threads.
    pub(super) inflight: Arc<AtomicUsize>,
}

fn run(seat: Seat, incoming: mpsc::UnboundedReceiver<Connection>) {
    // Its local tasks stand in the runtime's own queue; a `LocalSet` would be a second scheduler inside the first.
    let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(fault) => {
            tracing::error!(error = %fault, "data-plane runtime did not start");
            return;
        }
    };
    runtime.block_on(serve(seat, incoming));
}

/// Serves until the acceptor is gone, then waits for what is in flight.
async fn serve(seat: Seat, mut incoming: mpsc::UnboundedReceiver<Connection>) {
    let (drain, live) = (seat.plane.drain.clone(), seat.plane.live.follow());
    let seat = Rc::new(seat);
    let first = live.borrow().clone();
    let door = match Room::new(Rc::clone(&seat), &first, None) {
        Ok(room) => Door::new(room),
        Err(fault) => {
            tracing::error!(error = %fault, "an SSP's URL is not usable");
            return;
        }
    };
    drop(first);
    tokio::task::spawn_local(door.clone().follow(live));
    let hall = Hall::new(seat, door);
    while let Some(Connection { stream, peer }) = incoming.recv().await {
        let served = hall.clone();
        tokio::task::spawn_local(async move { served.serve(stream, peer).await });
    }
    drain.reached(Stage::Closing).await;
    if tokio::time::timeout(FINISH, hall.emptied()).await.is_err() {
        tracing::warn!("connections were still open at the end of the drain");
    }
}
