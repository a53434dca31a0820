//! An answer that is made while it is sent: part by part, no faster than its caller reads, and no longer than there is one.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::http::Response;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

/// An answer of the data listener.
pub(super) type Answer = Response<Content>;

/// What such an answer holds.
pub(super) enum Content {
    /// All of it is there.
    Whole(Full<Bytes>),
    /// It is yet to be made. In a box: hardly any answer is one of these.
    Growing(Box<Growing>),
}

/// An answer that has not begun.
pub(super) struct Growing {
    work: Pin<Box<dyn Future<Output = ()>>>,
    parts: mpsc::Receiver<Bytes>,
}

impl Growing {
    /// `work` hands over part after part, and waits for each until there is room. It ends when nobody takes them.
    pub(super) fn new<W>(work: impl FnOnce(mpsc::Sender<Bytes>) -> W) -> Self
    where
        W: Future<Output = ()> + 'static,
    {
        let (sender, parts) = mpsc::channel(1);
        Self { work: Box::pin(work(sender)), parts }
    }

    /// Begins on this thread; `meanwhile` is kept until the last part is made. The work is a task of its own: its timers
    /// run on while the caller does not read.
    pub(super) fn start(self, meanwhile: impl Sized + 'static) -> Parts {
        let Self { work, parts } = self;
        spawn_local(async move {
            work.await;
            drop(meanwhile);
        });
        Parts(parts)
    }
}

/// The parts, as they come.
#[derive(Debug)]
pub(super) struct Parts(mpsc::Receiver<Bytes>);

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}
