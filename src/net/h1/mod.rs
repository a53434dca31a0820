//! HTTP/1.1 as the data plane speaks it to an SSP: one request, one response, then the next on the same connection.
//!
//! hyper's client is made for streams of either direction and any peer; it hands requests, responses and bodies to a task
//! of the connection's own and back. Here the whole request is known before its first byte leaves and the answer is
//! wanted as a whole, so the task that asks drives the connection itself: one vectored write out of the head's bytes and
//! the body's pieces, one read into a buffer that the connection keeps, one scan of it.
//!
//! * [`Template`] renders request heads;
//! * [`Reader`] makes a response of bytes, however they come: pure, fuzzed, and held against hyper's client;
//! * [`Line`] joins the two over any byte stream.
//!
//! Framing is read strictly (RFC 9112 §6.3, §7.1): what two readers could understand differently is refused, because the
//! next response on the connection would be taken for somebody else's.
//!
//! What is not looked at is what an answer says. One that is well framed but belongs to another request, because the SSP
//! or something before it has mixed up its own connections, is passed on: where one SSP is asked its answer goes to the
//! caller byte for byte, whatever `id` is in it, and it is the caller who compares.

mod chunks;
mod head;
mod line;
mod reader;
mod template;

pub use head::MAX_HEAD_BYTES;
pub use line::Line;
pub use reader::{Answer, Limits, Progress, Reader};
pub use template::Template;

use std::io;

/// Why there is no response.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// Not a byte of the request was written: the connection had been closed, or something was said on it unasked.
    #[error("the connection was closed before the request was sent")]
    Unsent,
    /// The body is longer than allowed, by its own announcement or as it came.
    #[error("the body is longer than allowed")]
    TooLarge,
    /// The peer closed the connection in the middle of its answer.
    #[error("the answer broke off")]
    BrokenOff,
    /// What came is not HTTP, or not in a way that has one meaning.
    #[error("{0}")]
    Invalid(&'static str),
    /// The connection failed.
    #[error("{0}")]
    Io(io::ErrorKind),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}
