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

    /// Waits no longer for the answer; whether another request can go out after this one.
    pub(super) fn give_up(&self) -> bool {
        match self {
            Self::Http1(link) => {
                link.shut();
                false
            }
            // A stream keeps its own time, as the connection goes on without it.
            Self::Http2(_) => true,
        }
    }
}
