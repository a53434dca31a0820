//! A connection's stream that remembers when the first byte of a request was read, and since when it is idle.
//!
//! hyper's own header timer is allocated per request and also runs while a connection is idle; this needs one
//! clock reading per request and lets one timer per connection do both jobs.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::time::Clock;

/// What a connection is doing.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Waiting for a request since then.
    Idle(Instant),
    /// The first byte of a head came then; the rest has not.
    Head(Instant),
    /// A request is being answered.
    Busy,
}

/// Shared between the stream, the handler and the watchdog of one connection.
#[derive(Clone, Debug)]
pub(super) struct Activity(Rc<Cell<State>>);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Rc::new(Cell::new(State::Idle(Clock::monotonic()))))
    }

    /// A head is complete: when its first byte was read (now, when it was already buffered behind another request).
    pub(super) fn begin(&self) -> Instant {
        match self.0.replace(State::Busy) {
            State::Head(first_byte) => first_byte,
            State::Idle(_) | State::Busy => Clock::monotonic(),
        }
    }

    /// The answer is on its way.
    pub(super) fn end(&self) {
        self.0.set(State::Idle(Clock::monotonic()));
    }

    /// When this connection is to be looked at again, or `None` when it has outstayed its time.
    pub(super) fn next_look(&self, head: Duration, idle: Duration) -> Option<Instant> {
        let now = Clock::monotonic();
        let due = match self.0.get() {
            State::Idle(since) => since + idle,
            State::Head(since) => since + head,
            State::Busy => now + head.min(idle),
        };
        // A head that starts right now must still be seen in time, hence no look further away than `head`.
        (due > now).then(|| due.min(now + head))
    }

    fn read_some(&self) {
        if matches!(self.0.get(), State::Idle(_)) {
            self.0.set(State::Head(Clock::monotonic()));
        }
    }
}

/// A stream, plain or TLS, that tells its [`Activity`].
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    activity: Activity,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Activity) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.read_some();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
