//! A connection: one request and its response after the other over a byte stream, driven by whoever wants the response.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::{Answer, Fault, Limits, Progress, Reader, Template};
use crate::net::body::Segments;

/// Room for one read: more than nearly every bid response, head included.
const READ_BYTES: usize = 8 * 1024;
/// With less room than this there is no point in reading.
const MIN_READ_BYTES: usize = 1024;
/// A block of memory that had to be larger than this for one answer is not kept for the next.
const KEPT_BYTES: usize = 64 * 1024;
/// Pieces handed to one write.
const MAX_PIECES: usize = 16;

/// A connection with the buffers that it keeps, and the exchange that is under way on it. Large, so to be put in a box.
#[derive(Debug)]
pub struct Line<S> {
    stream: S,
    inbox: BytesMut,
    /// The largest that the inbox's block can be. Its own capacity does not tell: that is what is left of the block behind
    /// the answers that were cut off it.
    block: usize,
    /// What a write that failed has not counted has not left, see [`Self::exact`].
    exact: bool,
    /// The head of the request.
    outbox: Vec<u8>,
    body: Segments,
    /// Bytes of head and body that were written.
    sent: usize,
    flushed: bool,
    /// What is to be read at once, at least.
    room: usize,
    limits: Limits,
    reader: Reader,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Over a stream on which nothing was said yet.
    pub fn new(stream: S, limits: Limits) -> Self {
        Self {
            stream,
            inbox: BytesMut::new(),
            block: 0,
            exact: false,
            outbox: Vec::new(),
            body: Segments::new(),
            sent: 0,
            flushed: false,
            room: MIN_READ_BYTES,
            limits,
            reader: Reader::new(limits),
        }
    }

    /// For a stream that passes bytes on as they are and keeps none back, as a socket does and TLS does not: when its
    /// first write fails, nothing of the request has left.
    #[must_use]
    pub fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    /// Whether it is as its last exchange left it: open, and nothing came that nobody asked for. If so, the task of `cx`
    /// is woken when that changes.
    ///
    /// Costs no system call where nothing has changed: what the reactor knows of the socket is asked first.
    pub fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        self.read(cx, MIN_READ_BYTES).is_pending()
    }

    /// Begins an exchange: takes the body and renders the head. Nothing is sent before the first poll.
    pub fn begin(&mut self, template: &Template, headers: &HeaderMap, body: &mut Segments) {
        self.body = std::mem::take(body);
        template.render(headers, self.body.len(), &mut self.outbox);
        (self.sent, self.flushed, self.room) = (0, false, MIN_READ_BYTES);
        self.reader = Reader::new(self.limits);
    }

    /// The body of a request of which nothing was sent.
    pub fn take_body(&mut self) -> Segments {
        std::mem::take(&mut self.body)
    }

    /// Whether the peer has the whole request, as far as can be known here.
    pub fn is_sent(&self) -> bool {
        self.flushed
    }

    /// Readies it for the next exchange. `false` when it is not as an orderly answer leaves it.
    pub fn rest(&mut self) -> bool {
        self.body = Segments::new();
        let quiet = self.inbox.is_empty();
        if self.block > KEPT_BYTES {
            (self.inbox, self.block) = (BytesMut::new(), 0);
        }
        quiet
    }

    /// Writes and reads as far as the stream goes. To be polled until ready.
    ///
    /// The request is held back, as [`Fault::Unsent`], where the line is not quiet before the first byte, or takes not even
    /// that one. An answer that
    /// comes before all of the request was taken counts, but its connection is spent.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>> {
        if self.sent == 0 {
            if !self.is_quiet(cx) {
                return Poll::Ready(Err(Fault::Unsent));
            }
            // It was quiet just now, and the task has left word with it: no need to look again.
            return match self.send(cx) {
                Poll::Ready(Err(_)) if self.exact && self.sent == 0 => Poll::Ready(Err(Fault::Unsent)),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            };
        }
        let written = if self.flushed { Poll::Ready(Ok(())) } else { self.send(cx) };
        match (self.receive(cx), written) {
            (Poll::Ready(Ok(answer)), Poll::Ready(Ok(()))) => Poll::Ready(Ok(answer)),
            (Poll::Ready(Ok(answer)), _) => Poll::Ready(Ok(Answer { reusable: false, ..answer })),
            (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
            (other, _) => other,
        }
    }

    /// Ready when everything is on its way.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let length = self.outbox.len() + self.body.len();
        while self.sent < length {
            let mut slices = [IoSlice::new(&[]); MAX_PIECES];
            let used = unsent(&self.outbox, self.body.pieces(), self.sent, &mut slices);
            let stream = Pin::new(&mut self.stream);
            match ready!(stream.poll_write_vectored(cx, slices.get(..used).unwrap_or_default()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.flushed = true;
        Poll::Ready(Ok(()))
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>> {
        loop {
            let progress = match ready!(self.read(cx, self.room))? {
                0 => self.reader.end(&mut self.inbox)?,
                _ => self.reader.advance(&mut self.inbox)?,
            };
            match progress {
                Progress::Done(answer) => return Poll::Ready(Ok(answer)),
                // With room for one byte more than there is, one read shows that nothing follows.
                Progress::More(bytes) => self.room = MIN_READ_BYTES.max(bytes.saturating_add(1)),
            }
        }
    }

    /// How many bytes came; 0 at the end. `room`: how many are wanted at least.
    fn read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.inbox.capacity() - self.inbox.len() < room {
            self.inbox.reserve(room.max(READ_BYTES));
            self.block = self.block.max(self.inbox.capacity());
        }
        pin!(self.stream.read_buf(&mut self.inbox)).poll(cx)
    }
}

/// What is left of head and body after `sent` bytes, as far as there is place; how many slices that is.
fn unsent<'a>(head: &'a [u8], body: &'a [Bytes], sent: usize, slices: &mut [IoSlice<'a>]) -> usize {
    let mut skip = sent;
    let mut used = 0;
    for piece in std::iter::once(head).chain(body.iter().map(|piece| &**piece)) {
        let left = piece.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(piece.len());
        if left.is_empty() {
            continue;
        }
        let Some(slice) = slices.get_mut(used) else { break };
        *slice = IoSlice::new(left);
        used += 1;
    }
    used
}

#[cfg(test)]
mod tests;
