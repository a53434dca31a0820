//! Tells whether the other side of a connection speaks HTTP/2: its first frame is its settings (RFC 9113 §3.4).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// A stream that tells when the other side's settings begin to come.
pub(super) struct Greeted<S> {
    stream: S,
    /// Bytes that have come, until it is told.
    came: usize,
    tell: Option<oneshot::Sender<()>>,
}

/// Where a frame says what it is (RFC 9113 §4.1) …
const TYPE: usize = 3;
/// … and what settings say.
const SETTINGS: u8 = 4;

impl<S> Greeted<S> {
    /// The stream, and what rings; it ends without ringing when something else comes.
    pub(super) fn new(stream: S) -> (Self, oneshot::Receiver<()>) {
        let (tell, told) = oneshot::channel();
        (Self { stream, came: 0, tell: Some(tell) }, told)
    }

    fn look(&mut self, bytes: &[u8]) {
        let kind = TYPE.checked_sub(self.came).and_then(|at| bytes.get(at));
        self.came += bytes.len();
        let Some(tell) = kind.and_then(|kind| self.tell.take().filter(|_| *kind == SETTINGS)) else { return };
        if tell.send(()).is_err() {
            tracing::debug!("replay: nobody waits for the greeting");
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.tell.is_some() {
            self.look(buffer.filled().get(before..).unwrap_or_default());
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What is told when these come one after the other.
    async fn told(parts: &[&[u8]]) -> bool {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let (mut ours, told) = Greeted::new(ours);
        for part in parts {
            theirs.write_all(part).await.unwrap();
            let mut room = vec![0; part.len()];
            ours.read_exact(&mut room).await.unwrap();
            assert_eq!(room, *part);
        }
        drop(ours);
        told.await.is_ok()
    }

    #[tokio::test]
    async fn settings_are_told_and_nothing_else() {
        let settings: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
        assert!(told(&[settings]).await);
        assert!(told(&[b"\0\0", b"\0\x04\0", b"\0"]).await);
        assert!(told(&[settings, b"more"]).await);
        assert!(!told(&[b"\0\0\0"]).await);
        assert!(!told(&[b"HTTP/1.1 400 Bad Request\r\n\r\n"]).await);
        assert!(!told(&[b"\0\0\x08\x06\0\0\0\0\0", settings]).await, "a ping comes first");
    }
}
