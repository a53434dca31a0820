//! A response out of bytes, however they are cut: no socket, no clock.

use bytes::{Bytes, BytesMut};
use http::{HeaderName, Response, StatusCode};

use super::Fault;
use super::chunks::Chunks;
use super::head::{self, Framing, Head};

/// Most heads that only say that an answer is to come (1xx, RFC 9110 §15.2).
const MAX_INTERIM: usize = 8;

/// Whoever reads on after the end has made a mistake.
const OVER: Fault = Fault::Invalid("the answer is over");

/// What is read of a response.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest body, bytes.
    pub body: usize,
    /// Headers that are kept; of the others only what frames the message is looked at.
    pub keep: &'static [HeaderName],
}

/// Reads one response. To be fed until it is done or has failed, and not after that.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    /// Bytes of an incomplete head that were looked at.
    seen: usize,
    interim: usize,
    at: At,
}

#[derive(Debug)]
enum At {
    Head,
    Body(Head, Body),
    Done,
}

#[derive(Debug)]
enum Body {
    Sized(usize),
    Chunked(Chunks),
    UntilClose,
}

/// How far a response has come.
#[derive(Debug)]
pub enum Progress {
    /// Not all of it; at least so many bytes are to come, as far as that is known.
    More(usize),
    /// All of it.
    Done(Answer),
}

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    /// With the kept headers and nothing else.
    pub response: Response<Bytes>,
    /// Nothing speaks against another request on the same connection.
    pub reusable: bool,
}

impl Reader {
    /// For a response to a `POST`.
    pub fn new(limits: Limits) -> Self {
        Self { limits, seen: 0, interim: 0, at: At::Head }
    }

    /// Looks at what has come since; `buffer` holds all that was not taken from it yet.
    pub fn advance(&mut self, buffer: &mut BytesMut) -> Result<Progress, Fault> {
        if matches!(self.at, At::Head) {
            match self.head(buffer)? {
                Some(head) => self.at = self.enter(head)?,
                None => return Ok(Progress::More(1)),
            }
        }
        let At::Body(_, body) = &mut self.at else { return Err(OVER) };
        let body = match body {
            Body::Sized(0) => Bytes::new(),
            Body::Sized(length) if *length <= buffer.len() => buffer.split_to(*length).freeze(),
            Body::Sized(length) => return Ok(Progress::More(*length - buffer.len())),
            Body::Chunked(chunks) => match chunks.take(buffer)? {
                Some(body) => body,
                None => return Ok(Progress::More(1)),
            },
            Body::UntilClose if buffer.len() > self.limits.body => return Err(Fault::TooLarge),
            Body::UntilClose => return Ok(Progress::More(1)),
        };
        self.finish(body, buffer.is_empty())
    }

    /// The peer has closed.
    pub fn end(&mut self, buffer: &mut BytesMut) -> Result<Progress, Fault> {
        match &self.at {
            At::Body(_, Body::UntilClose) => self.finish(buffer.split().freeze(), true),
            _ => Err(Fault::BrokenOff),
        }
    }

    /// The head of the answer itself, once it is complete.
    fn head(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, Fault> {
        while self.may_be_complete(buffer) {
            let Some((head, length)) = head::parse(buffer, self.limits.keep)? else { break };
            drop(buffer.split_to(length));
            self.seen = 0;
            if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(Some(head));
            }
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(Fault::Invalid("too many informational answers"));
            }
        }
        self.seen = buffer.len();
        Ok(None)
    }

    /// A head that comes in small pieces is not parsed at each: only when a blank line may have come, and when its length
    /// is no longer allowed. The first piece is always looked at: what is not HTTP at all is found out at once.
    fn may_be_complete(&self, buffer: &[u8]) -> bool {
        let new = buffer.get(self.seen.saturating_sub(3)..).unwrap_or_default();
        let blank = || memchr::memmem::find(new, b"\n\n").or_else(|| memchr::memmem::find(new, b"\n\r\n"));
        !buffer.is_empty() && (self.seen == 0 || buffer.len() >= head::MAX_HEAD_BYTES || blank().is_some())
    }

    fn enter(&self, head: Head) -> Result<At, Fault> {
        let body = match head.framing {
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= self.limits.body => Body::Sized(length),
                _ => return Err(Fault::TooLarge),
            },
            Framing::Chunked => Body::Chunked(Chunks::new(self.limits.body)),
            Framing::UntilClose => Body::UntilClose,
        };
        Ok(At::Body(head, body))
    }

    fn finish(&mut self, body: Bytes, nothing_follows: bool) -> Result<Progress, Fault> {
        let At::Body(head, _) = std::mem::replace(&mut self.at, At::Done) else { return Err(OVER) };
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        Ok(Progress::Done(Answer { response, reusable: head.reusable && nothing_follows }))
    }
}
