//! Keep-alive connections to one SSP for one data-plane thread.
//!
//! Belongs to its thread (`Rc`, no locks) and needs a runtime for local tasks around it. An exchange is driven by the task
//! that asks for it, on its connection, from the first byte to the last. It holds one of `max_connections` slots; a
//! connection is dialled only by a slot holder who finds none idle, so open connections never outnumber the slots. Idle
//! ones are used newest first: the old ones then age out, and what stays open is what the traffic needs.
//!
//! When the deadline passes, or the caller goes away, the connection of an exchange is in the middle of an answer. It is
//! drained for a while, to be used again, but only where there is room: who needs a slot gets that of the oldest drain,
//! which is closed. A request that did not get out whole by then is not finished: its connection is closed.
//!
//! Nothing is sent twice. An idle connection that turns out to be closed before the first byte is left, and the request
//! goes to the next one; from the first byte on there is one try.

mod drains;
mod idle;
mod slots;
mod under_way;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response};
use prometheus::IntGauge;
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::timeout_at;

use self::drains::{Drains, Waiting};
use self::idle::Idle;
use self::slots::{Slot, Slots};
use self::under_way::UnderWay;
use super::alarm::Alarm;
use super::body::Segments;
use super::dial::{Dialer, Origin, Stream};
use super::h1::{Answer, Fault, Limits, Line, Template};
use super::transport::TransportError;
use crate::time::{Clock, Deadline};

/// How a [`Pool`] behaves.
#[derive(Clone, Debug)]
pub struct PoolSettings {
    /// Where to connect.
    pub origin: Origin,
    /// The head of each request.
    pub template: Template,
    /// Headers of a response that are kept.
    pub keep: &'static [HeaderName],
    /// Most connections open at a time in this pool, idle ones and attempts included. Further exchanges wait.
    pub max_connections: usize,
    /// For name lookup, TCP and TLS together. An attempt goes on when its exchange has given up, and is kept.
    pub connect_timeout: Duration,
    /// An idle connection is closed after this long; stay below what peers allow (60 s is common).
    pub idle_timeout: Duration,
    /// Longest response body, in bytes.
    pub max_response_bytes: usize,
    /// How long past its deadline, or after its caller has gone, an answer is still read, for the sake of the connection, which is otherwise closed;
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

/// A request and its time.
#[derive(Debug)]
pub struct Call<'a> {
    /// Besides those of the template.
    pub headers: &'a HeaderMap,
    /// Sent with its length. Taken when it is on a connection.
    pub body: &'a mut Segments,
    /// The present time.
    pub now: Instant,
    /// When the last byte of the response must be there.
    pub deadline: Deadline,
}

/// The connections. Clones are handles to the same ones.
#[derive(Clone, Debug)]
pub struct Pool(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: PoolSettings,
    dialer: Dialer,
    slots: Slots,
    idle: Rc<Idle>,
    drains: Rc<Drains>,
    /// Exchanges without a slot.
    waiting: Cell<usize>,
    open: IntGauge,
}

/// An open connection; dropping it closes the socket, whatever is under way.
#[derive(Debug)]
struct Connection {
    line: Line<Stream>,
    alarm: Alarm,
    _counted: Counted,
}

/// A connection together with the right to use it. The box is what changes hands.
#[derive(Debug)]
struct Lease {
    connection: Box<Connection>,
    slot: Slot,
}

/// One in the gauge of open connections.
#[derive(Debug)]
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

impl Pool {
    /// An empty pool. `open` follows the open connections and may be shared with the pools of other threads.
    pub fn new(settings: PoolSettings, tls: &rustls::ClientConfig, open: IntGauge) -> Self {
        Self(Rc::new(Shared {
            dialer: Dialer::new(settings.origin.clone(), tls),
            slots: Slots::new(settings.max_connections),
            idle: Rc::default(),
            drains: Rc::default(),
            waiting: Cell::new(0),
            settings,
            open,
        }))
    }

    /// The head of each request.
    pub fn template(&self) -> &Template {
        &self.0.settings.template
    }

    /// Sends a request and reads the response to its last byte, all before the deadline.
    /// What comes too late is read and thrown away, so that the connection can be used again, unless others wait for
    /// one. So it is when the future is dropped.
    pub async fn exchange(&self, call: Call<'_>) -> Result<Response<Bytes>, PoolError> {
        let Call { headers, body, now, deadline } = call;
        if deadline.instant() <= now {
            return Err(TransportError::Timeout.into());
        }
        // What takes a while anyway is in a box, so that the usual way is short: the whole call moves with its caller.
        let mut slot = match self.0.slots.take() {
            Some(slot) => slot,
            None => Box::pin(self.slot_by(deadline)).await?,
        };
        while let Some(connection) = self.0.idle.take(now) {
            let mut under_way = UnderWay::begin(self, Lease { connection, slot }, headers, body);
            match (under_way.by(deadline).await, under_way.end()) {
                (Some(Err(Fault::Unsent)), lease) => (slot, *body) = lease.abandon(),
                (done, lease) => return self.settle(lease, done, self.0.until(now)),
            }
        }
        let lease = Box::pin(self.dial_by(deadline, slot)).await?;
        let mut under_way = UnderWay::begin(self, lease, headers, body);
        let done = under_way.by(deadline).await;
        self.settle(under_way.end(), done, self.0.until(now))
    }

    /// `done`: how it ended, or nothing when its time was over first. `until`: how long its connection is kept.
    fn settle(
        &self,
        lease: Lease,
        done: Option<Result<Answer, Fault>>,
        until: Instant,
    ) -> Result<Response<Bytes>, PoolError> {
        match done {
            Some(Ok(answer)) => Ok(self.0.complete(lease, answer, until)),
            Some(Err(fault)) => Err(TransportError::from(fault).into()),
            None => {
                self.let_go(lease);
                Err(TransportError::Timeout.into())
            }
        }
    }

    /// Nobody waits for the answer any more. The connection is drained where that is possible, otherwise closed, which is
    /// the only word HTTP/1.1 has for it.
    fn let_go(&self, mut late: Lease) {
        if !(self.0.may_drain() && late.connection.line.is_sent()) {
            return;
        }
        let pool = Rc::clone(&self.0);
        self.0.drains.begin(self.0.settings.late, async move {
            if let Ok(answer) = poll_fn(|cx| late.connection.line.poll(cx)).await {
                drop(pool.complete(late, answer, pool.until(Clock::monotonic())));
            }
        });
    }

    /// A slot that becomes free in time.
    async fn slot_by(&self, deadline: Deadline) -> Result<Slot, PoolError> {
        let waited = timeout_at(deadline.instant().into(), self.0.slot()).await;
        // On a busy thread it may be past the deadline although the slot was free before.
        waited.ok().filter(|_| deadline.instant() > Clock::monotonic()).ok_or(PoolError::Limit)
    }

    /// A connection that is there in time. One that comes too late is kept for the next exchange.
    async fn dial_by(&self, deadline: Deadline, slot: Slot) -> Result<Lease, TransportError> {
        let dialled = timeout_at(deadline.instant().into(), self.dial(slot)).await;
        let lease = dialled.unwrap_or(Err(TransportError::Timeout))?;
        let now = Clock::monotonic();
        if deadline.instant() <= now {
            self.0.check_in(lease, self.0.until(now));
            return Err(TransportError::Timeout);
        }
        Ok(lease)
    }

    /// Dials in a task of its own: when the deadline comes first the connection is finished all the same, for the
    /// next exchange. Otherwise an SSP further away than one deadline could never be reached.
    async fn dial(&self, slot: Slot) -> Result<Lease, TransportError> {
        let (hand_over, arrival) = oneshot::channel();
        let shared = Rc::clone(&self.0);
        spawn_local(async move {
            let dialled = shared.connect().await.map(|connection| Lease { connection, slot });
            if let Err(Ok(unwanted)) = hand_over.send(dialled) {
                shared.check_in(unwanted, shared.until(Clock::monotonic()));
            }
        });
        arrival
            .await
            .unwrap_or_else(|_| Err(TransportError::Connect(String::from("the attempt was dropped"))))
    }
}

impl Shared {
    /// Waits for a slot; that of a drain is taken from it.
    async fn slot(&self) -> Slot {
        let _waiting = Waiting::new(&self.waiting);
        self.drains.end_oldest();
        self.slots.wait().await
    }

    /// Whether an answer may be waited for past its deadline: not while an exchange waits for the slot.
    fn may_drain(&self) -> bool {
        !self.settings.late.is_zero() && self.waiting.get() == 0
    }

    async fn connect(&self) -> Result<Box<Connection>, TransportError> {
        let stream =
            self.dialer.dial(self.settings.connect_timeout).await.map_err(TransportError::Connect)?;
        let limits = Limits { body: self.settings.max_response_bytes, keep: self.settings.keep };
        let exact = matches!(stream, Stream::Plain(_));
        let line = Line::new(stream, limits);
        let line = if exact { line.exact() } else { line };
        Ok(Box::new(Connection { line, alarm: Alarm::default(), _counted: Counted::new(&self.open) }))
    }

    fn until(&self, now: Instant) -> Instant {
        now + self.settings.idle_timeout
    }

    fn complete(&self, lease: Lease, answer: Answer, until: Instant) -> Response<Bytes> {
        if answer.reusable {
            self.check_in(lease, until);
        }
        answer.response
    }

    fn check_in(&self, Lease { mut connection, slot }: Lease, until: Instant) {
        if connection.line.rest() {
            self.idle.put(connection, until);
        }
        drop(slot); // last, so that whoever waits for it finds the connection
    }
}

impl Lease {
    /// How the exchange ends, or nothing when that is not by `deadline`.
    async fn by(&mut self, deadline: Deadline) -> Option<Result<Answer, Fault>> {
        let Connection { line, alarm, .. } = &mut *self.connection;
        poll_fn(|cx| match line.poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => alarm.poll(deadline.instant(), cx).map(|()| None),
        })
        .await
    }

    /// Closes the connection; the right to have one and the request that was not sent are left.
    fn abandon(mut self) -> (Slot, Segments) {
        let body = self.connection.line.take_body();
        (self.slot, body)
    }
}

impl From<Fault> for TransportError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLarge => Self::TooLarge,
            // Closed as soon as it was open: there was no connection.
            Fault::Unsent => Self::Connect(fault.to_string()),
            broken => Self::Broken(broken.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
