//! What a slot sends its requests through.

use super::super::requests::Requests;
use super::{http1, http2};

/// An open connection, or a stream of one.
pub(super) enum Link {
    Http1(http1::Link),
    Http2(http2::Link),
}

impl Link {
    pub(super) fn send(&mut self, requests: &Requests, number: u64) {
        match self {
            Self::Http1(link) => link.send(requests, number),
            Self::Http2(link) => link.send(requests, number),
        }
    }

    /// Waits no longer for the answer.
    pub(super) fn give_up(&self) {
        match self {
            Self::Http1(link) => link.shut(),
            // A stream keeps its own time, as the connection goes on without it.
            Self::Http2(_) => {}
        }
    }
}
