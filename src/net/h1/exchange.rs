//! One request and its response over a byte stream, driven by whoever wants the response.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::{Answer, Fault, Limits, Progress, Reader, Template};
use crate::net::body::Segments;
use http::HeaderMap;

/// Room for one read: more than nearly every bid response, head included.
const READ_BYTES: usize = 8 * 1024;
/// With less room than this there is no point in reading.
const MIN_READ_BYTES: usize = 1024;
/// A buffer that had to grow beyond this for one answer is not kept for the next.
const KEPT_BYTES: usize = 64 * 1024;
/// Pieces handed to one write.
const MAX_PIECES: usize = 16;

/// A connection between exchanges, with the buffers that it keeps.
#[derive(Debug)]
pub struct Line<S> {
    stream: S,
    inbox: BytesMut,
    outbox: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    /// Over a stream on which nothing was said yet.
    pub fn new(stream: S) -> Self {
        Self { stream, inbox: BytesMut::new(), outbox: Vec::new() }
    }

    /// Whether it is as its last exchange left it: open, and nothing came that nobody asked for. If so, the task of `cx`
    /// is woken when that changes.
    ///
    /// Costs no system call where nothing has changed: what the reactor knows of the socket is asked first.
    pub fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        self.read(cx, MIN_READ_BYTES).is_pending()
    }

    /// Readies the buffers for the next exchange. `false` when they are not as an orderly answer leaves them.
    pub fn rest(&mut self) -> bool {
        if self.inbox.capacity() > KEPT_BYTES {
            self.inbox = BytesMut::new();
        }
        self.inbox.is_empty()
    }

    /// How many bytes came; 0 at the end. `room`: how many are wanted at least.
    fn read(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.inbox.capacity() - self.inbox.len() < room {
            self.inbox.reserve(room.max(READ_BYTES));
        }
        pin!(self.stream.read_buf(&mut self.inbox)).poll(cx)
    }
}

/// A request under way on a [`Line`].
#[derive(Debug)]
pub struct Exchange {
    body: Segments,
    /// Bytes of head and body that were written.
    sent: usize,
    flushed: bool,
    /// What the answer wants to be read at once, at least.
    room: usize,
    reader: Reader,
}

impl Exchange {
    /// Renders the head; nothing is sent before the first poll.
    pub fn begin<S>(
        line: &mut Line<S>,
        (template, headers): (&Template, &HeaderMap),
        body: Segments,
        limits: Limits,
    ) -> Self {
        template.render(headers, body.len(), &mut line.outbox);
        Self { body, sent: 0, flushed: false, room: MIN_READ_BYTES, reader: Reader::new(limits) }
    }

    /// Gives back the body of a request that was not sent.
    pub fn into_body(self) -> Segments {
        self.body
    }

    /// Writes and reads as far as the connection goes. To be polled on the same line until ready.
    ///
    /// The request is held back, as [`Fault::Unsent`], where the line is not quiet before the first byte. An answer that
    /// comes before all of the request was taken counts, but its connection is spent.
    pub fn poll<S>(&mut self, line: &mut Line<S>, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if self.sent == 0 {
            if !line.is_quiet(cx) {
                return Poll::Ready(Err(Fault::Unsent));
            }
            // It was quiet just now, and the task has left word with it: no need to look again.
            return match self.send(line, cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            };
        }
        let written = if self.flushed { Poll::Ready(Ok(())) } else { self.send(line, cx) };
        match (self.receive(line, cx), written) {
            (Poll::Ready(Ok(answer)), Poll::Ready(Ok(()))) => Poll::Ready(Ok(answer)),
            (Poll::Ready(Ok(answer)), _) => Poll::Ready(Ok(Answer { reusable: false, ..answer })),
            (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error.into())),
            (other, _) => other,
        }
    }

    /// Ready when everything is on its way.
    fn send<S>(&mut self, line: &mut Line<S>, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        let length = line.outbox.len() + self.body.len();
        while self.sent < length {
            let mut slices = [IoSlice::new(&[]); MAX_PIECES];
            let used = unsent(&line.outbox, self.body.pieces(), self.sent, &mut slices);
            let stream = Pin::new(&mut line.stream);
            match ready!(stream.poll_write_vectored(cx, slices.get(..used).unwrap_or_default()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        ready!(Pin::new(&mut line.stream).poll_flush(cx))?;
        self.flushed = true;
        Poll::Ready(Ok(()))
    }

    fn receive<S>(&mut self, line: &mut Line<S>, cx: &mut Context<'_>) -> Poll<Result<Answer, Fault>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let progress = match ready!(line.read(cx, self.room))? {
                0 => self.reader.end(&mut line.inbox)?,
                _ => self.reader.advance(&mut line.inbox)?,
            };
            match progress {
                Progress::Done(answer) => return Poll::Ready(Ok(answer)),
                // With room for one byte more than there is, one read shows that nothing follows.
                Progress::More(bytes) => self.room = MIN_READ_BYTES.max(bytes.saturating_add(1)),
            }
        }
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
