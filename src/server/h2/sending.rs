//! An answer on its way out, in pieces: it is known how far it has got, and it counts as under way until its caller has
//! room for the last piece. A caller makes room by reading, and who does not read is found out.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use ::http::response::Parts;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};

use super::super::reply::Reply;
use super::streams::Streams;

/// Bytes handed over at once: those of a frame.
const PIECE: usize = 16 * 1024;

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Sending {
    left: Bytes,
    /// Of all of it, bytes.
    length: usize,
    number: u64,
    streams: Rc<Streams>,
}

impl Sending {
    pub(super) fn new(body: Bytes, streams: &Rc<Streams>) -> Self {
        let (length, number) = (body.len(), streams.begin(body.len()));
        Self { left: body, length, number, streams: Rc::clone(streams) }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.streams.end(self.number, self.length);
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    /// Asked for a piece when the one before was taken.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        self.streams.moved(self.number);
        let piece = self.left.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}

/// Head and body of a reply, whose body is always there.
pub(super) fn taken_apart(reply: Reply) -> (Parts, Bytes) {
    let (head, mut body) = reply.into_parts();
    let frame = body.frame().now_or_never().flatten().and_then(Result::ok);
    (head, frame.and_then(|frame| frame.into_data().ok()).unwrap_or_default())
}
