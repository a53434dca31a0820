//! Keep-alive connections to one SSP for one data-plane thread.
//!
//! Belongs to its thread (`Rc`, no locks) and needs a local task set around it: connections are driven by local tasks.
//! An exchange holds one of `max_connections` slots; a connection is dialled only by a slot holder who finds none idle,
//! so open connections never outnumber the slots. Idle ones are used newest first: the old ones then age out, and what
//! stays open is what the traffic needs.
//!
//! When the deadline passes, the connection of an exchange is in the middle of an answer. It is drained for a while, to
//! be used again, but only where there is room: who needs a slot gets that of the oldest drain, which is closed.
//!
//! Nothing is sent twice. The one repetition allowed is of a request that hyper gives back unsent because the idle
//! connection had been closed under it; it goes out once more, on a new connection.

mod drains;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::drains::{Drains, Waiting};
use super::body::{self, Segments};
use super::dial::{Dialer, Origin, Stream};
use super::transport::{TransportError, innermost};
use crate::time::Deadline;

/// How a [`Pool`] behaves.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Where to connect.
    pub origin: Origin,
    /// Most connections open at a time in this pool, idle ones and attempts included. Further exchanges wait.
    pub max_connections: usize,
    /// For name lookup, TCP and TLS together. An attempt goes on when its exchange has given up, and is kept.
    pub connect_timeout: Duration,
    /// An idle connection is closed after this long; stay below what peers allow (60 s is common).
    pub idle_timeout: Duration,
    /// Longest response body, in bytes.
    pub max_response_bytes: usize,
    /// How long past its deadline an answer is still read, for the sake of the connection, which is otherwise closed;
    /// less where an exchange needs its slot.
    pub late: Duration,
}

/// Why there is no response.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PoolError {
    /// All connections were in use until the deadline. Nothing was sent.
    #[error("all connections are in use")]
    Limit,
    /// As on the control plane.
    #[error(transparent)]
    Failed(#[from] TransportError),
}

/// The connections. Clones are handles to the same ones.
#[derive(Clone, Debug)]
pub struct Pool(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: PoolSettings,
    dialer: Dialer,
    slots: Arc<Semaphore>,
    /// Oldest first.
    idle: RefCell<Vec<Idle>>,
    reaping: Cell<bool>,
    drains: Rc<Drains>,
    /// Exchanges without a slot.
    waiting: Cell<usize>,
    open: IntGauge,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    until: Instant,
}

/// A connection together with the right to use it.
struct Lease {
    connection: Connection,
    slot: OwnedSemaphorePermit,
}

/// An open connection; dropping it closes the socket, whatever is under way.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Segments>,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// How far an exchange has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// For a slot.
    Waiting,
    Connecting,
    /// The request is on a connection.
    Sent,
    /// As `Sent`, but the deadline has passed.
    Late,
}

/// One in the gauge of open connections.
struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// More than any bid response's head; the body has its own cap.
const MAX_HEAD_BYTES: usize = 32 * 1024;

impl Pool {
    /// An empty pool. `open` follows the open connections and may be shared with the pools of other threads.
    pub fn new(settings: PoolSettings, tls: &rustls::ClientConfig, open: IntGauge) -> Self {
        Self(Rc::new(Shared {
            dialer: Dialer::new(settings.origin.clone(), tls),
            slots: Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS))),
            idle: RefCell::default(),
            reaping: Cell::new(false),
            drains: Rc::default(),
            waiting: Cell::new(0),
            settings,
            open,
        }))
    }

    /// Sends `request` (origin-form URI, with `Host`) and reads the response to its last byte, all before `deadline`.
    /// What comes too late is read and thrown away, so that the connection can be used again, unless others wait for
    /// one. Dropping the future cancels the request, which HTTP/1.1 has no other word for than closing the connection.
    pub async fn exchange(
        &self,
        request: Request<Segments>,
        deadline: Deadline,
    ) -> Result<Response<Bytes>, PoolError> {
        if deadline.remaining().is_zero() {
            return Err(TransportError::Timeout.into());
        }
        let stage = Rc::new(Cell::new(Stage::Waiting));
        let mut running = Box::pin(self.clone().run(request, Rc::clone(&stage)));
        if let Ok(done) = timeout_at(deadline.instant().into(), running.as_mut()).await {
            return done;
        }
        match stage.get() {
            Stage::Waiting => return Err(PoolError::Limit),
            Stage::Sent if self.0.may_drain() => {
                stage.set(Stage::Late);
                self.0.drains.begin(self.0.settings.late, async move { drop(running.await) });
            }
            _ => {}
        }
        Err(TransportError::Timeout.into())
    }

    async fn run(
        self,
        request: Request<Segments>,
        stage: Rc<Cell<Stage>>,
    ) -> Result<Response<Bytes>, PoolError> {
        let slot = self.0.slot().await;
        stage.set(Stage::Connecting);
        let (lease, response) = self.send(slot, request, &stage).await?;
        let (head, incoming) = response.into_parts();
        let bytes = body::read_capped(incoming, self.0.settings.max_response_bytes)
            .await
            .map_err(TransportError::from)?;
        self.0.check_in(lease);
        Ok(Response::from_parts(head, bytes))
    }

    /// Over an idle connection, or a new one.
    async fn send(
        &self,
        slot: OwnedSemaphorePermit,
        request: Request<Segments>,
        stage: &Cell<Stage>,
    ) -> Result<(Lease, Response<Incoming>), TransportError> {
        let Some(connection) = self.0.take_idle() else {
            return self.send_fresh(slot, request, stage).await;
        };
        let mut lease = Lease { connection, slot };
        stage.set(Stage::Sent);
        match lease.connection.sender.try_send_request(request).await {
            Ok(response) => Ok((lease, response)),
            Err(mut failure) => match failure.take_message() {
                // Nobody waits for the answer any more: it must not go out now.
                Some(_) if stage.get() == Stage::Late => Err(TransportError::Timeout),
                Some(unsent) => self.send_fresh(lease.slot, unsent, stage).await,
                None => Err(broken(failure.error())),
            },
        }
    }

    async fn send_fresh(
        &self,
        slot: OwnedSemaphorePermit,
        request: Request<Segments>,
        stage: &Cell<Stage>,
    ) -> Result<(Lease, Response<Incoming>), TransportError> {
        stage.set(Stage::Connecting);
        let mut lease = self.dial(slot).await?;
        stage.set(Stage::Sent);
        match lease.connection.sender.send_request(request).await {
            Ok(response) => Ok((lease, response)),
            Err(error) => Err(broken(&error)),
        }
    }

    /// Dials in a task of its own: when the deadline comes first the connection is finished all the same, for the
    /// next exchange. Otherwise an SSP further away than one deadline could never be reached.
    async fn dial(&self, slot: OwnedSemaphorePermit) -> Result<Lease, TransportError> {
        let (hand_over, arrival) = oneshot::channel();
        let shared = Rc::clone(&self.0);
        spawn_local(async move {
            let dialled = shared.connect().await.map(|connection| Lease { connection, slot });
            if let Err(Ok(unwanted)) = hand_over.send(dialled) {
                shared.check_in(unwanted);
            }
        });
        arrival
            .await
            .unwrap_or_else(|_| Err(TransportError::Connect(String::from("the attempt was dropped"))))
    }
}

impl Shared {
    /// Waits for a slot; that of a drain is taken from it.
    async fn slot(&self) -> OwnedSemaphorePermit {
        let slots = || Arc::clone(&self.slots);
        if let Ok(slot) = slots().try_acquire_owned() {
            return slot;
        }
        let _waiting = Waiting::new(&self.waiting);
        self.drains.end_oldest();
        slots().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Whether an answer may be waited for past its deadline: not while an exchange waits for the slot.
    fn may_drain(&self) -> bool {
        !self.settings.late.is_zero() && self.waiting.get() == 0
    }

    async fn connect(&self) -> Result<Connection, TransportError> {
        let stream =
            self.dialer.dial(self.settings.connect_timeout).await.map_err(TransportError::Connect)?;
        let mut connection = self.open(stream).await.map_err(|e| TransportError::Connect(innermost(&e)))?;
        connection.sender.ready().await.map_err(|e| TransportError::Connect(innermost(&e)))?;
        Ok(connection)
    }

    async fn open(&self, stream: Stream) -> hyper::Result<Connection> {
        let counted = Counted::new(&self.open);
        let (sender, driver) = http1::Builder::new()
            .max_header_size(MAX_HEAD_BYTES)
            .handshake::<_, Segments>(TokioIo::new(stream))
            .await?;
        let driver = spawn_local(async move {
            // What goes wrong here is told to the exchange that is on the connection, if there is one.
            drop(driver.await);
            drop(counted);
        });
        Ok(Connection { sender, driver: driver.abort_handle() })
    }

    /// The newest idle connection that still lives.
    fn take_idle(&self) -> Option<Connection> {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { connection, until }) = idle.pop() {
            if connection.sender.is_ready() && until > now {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose exchange is complete. One that is not ready at this point is closing, or the peer has
    /// answered without reading all of the request; it is let go.
    fn check_in(self: &Rc<Self>, Lease { connection, slot }: Lease) {
        if connection.sender.is_ready() {
            let until = Instant::now() + self.settings.idle_timeout;
            self.idle.borrow_mut().push(Idle { connection, until });
            self.reap_later();
        }
        drop(slot); // last, so that whoever waits for it finds the connection
    }

    /// Closes idle connections as they fall due, as long as there are any.
    fn reap_later(self: &Rc<Self>) {
        if self.reaping.replace(true) {
            return;
        }
        let pool = Rc::downgrade(self);
        spawn_local(async move {
            while let Some(next) = pool.upgrade().and_then(|pool| pool.reap()) {
                sleep_until(next).await;
            }
        });
    }

    /// Drops what is due or dead; says when to come again.
    fn reap(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        idle.retain(|kept| kept.until > now && !kept.connection.sender.is_closed());
        let next = idle.first().map(|oldest| oldest.until);
        self.reaping.set(next.is_some());
        next
    }
}

fn broken(error: &hyper::Error) -> TransportError {
    TransportError::Broken(innermost(error))
}

#[cfg(test)]
mod tests;
