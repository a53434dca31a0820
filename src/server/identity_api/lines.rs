//! The lines of a batch, one after the other, each wiped when it is done with.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::Fault;
use super::login::MAX_LOGIN_BYTES;
use crate::secret::Secret;
use crate::server::Settings;

/// Bytes of a batch's body for each line it may have: an address, a user id and two consent strings fit.
const LINE_BYTES: usize = 4 * 1024;

/// How much a batch may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Lines that hold something.
    pub(super) lines: usize,
    /// Bytes of all lines.
    pub(super) bytes: usize,
    /// How long the next bytes may be on their way.
    pub(super) patience: Duration,
}

impl Limits {
    pub(super) fn of(settings: &Settings) -> Self {
        let lines = settings.max_batch_lines;
        Self { lines, bytes: lines.saturating_mul(LINE_BYTES), patience: settings.body_timeout }
    }
}

/// Lines that hold something.
pub(super) struct Lines<B = Incoming> {
    /// What is still to come; `None`: nothing.
    body: Option<B>,
    /// What came and is not yet a line.
    held: Zeroizing<Vec<u8>>,
    /// So much of it was given away.
    at: usize,
    /// The line that begins here is too long: it is left out to its end.
    too_long: bool,
    limits: Limits,
    given: usize,
    came: usize,
}

impl Lines {
    /// Those of a body that is there; one over the limit has none at all.
    pub(super) fn whole(body: &[u8], limits: Limits) -> Result<Self, Fault> {
        let count = body.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        if count > limits.lines {
            return Err(Fault::TooManyLines(limits.lines));
        }
        let held = Zeroizing::new(body.to_vec());
        Ok(Self { body: None, held, at: 0, too_long: false, limits, given: 0, came: body.len() })
    }
}

impl<B> Lines<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Those of a body as it comes.
    pub(super) fn of(body: B, limits: Limits) -> Self {
        let held = Zeroizing::default();
        Self { body: Some(body), held, at: 0, too_long: false, limits, given: 0, came: 0 }
    }

    /// The next line, or what is wrong with it; after a fault of the body there is none.
    pub(super) async fn next(&mut self) -> Option<Result<Secret<Vec<u8>>, Fault>> {
        loop {
            let ended = self.body.is_none();
            let left = self.held.get(self.at..).unwrap_or_default();
            let end = memchr::memchr(b'\n', left).or_else(|| ended.then_some(left.len()));
            if let Some(end) = end {
                if ended && left.is_empty() && !self.too_long {
                    return None;
                }
                if let Some(line) = self.take(end) {
                    return Some(line);
                }
                continue;
            }
            if left.len() > MAX_LOGIN_BYTES {
                self.too_long = true;
                self.at = self.held.len();
            }
            // What was given away makes room.
            self.held.drain(..self.at);
            self.at = 0;
            if let Err(fault) = self.read().await {
                self.end();
                return Some(Err(fault));
            }
        }
    }

    /// The line up to `end`, unless it holds nothing.
    fn take(&mut self, end: usize) -> Option<Result<Secret<Vec<u8>>, Fault>> {
        let left = self.held.get(self.at..).unwrap_or_default();
        let line = Secret::new(left.get(..end).unwrap_or_default().trim_ascii().to_vec());
        self.at = self.held.len().min(self.at + end + 1);
        let too_long = std::mem::take(&mut self.too_long) || line.expose().len() > MAX_LOGIN_BYTES;
        if line.expose().is_empty() && !too_long {
            return None;
        }
        self.given += 1;
        if self.given > self.limits.lines {
            self.end();
            return Some(Err(Fault::TooManyLines(self.limits.lines)));
        }
        Some(if too_long { Err(Fault::TooLarge(MAX_LOGIN_BYTES)) } else { Ok(line) })
    }

    /// What comes next of the body.
    async fn read(&mut self) -> Result<(), Fault> {
        let Some(body) = &mut self.body else { return Ok(()) };
        let mut frame = timeout(self.limits.patience, body.frame()).await;
        if frame.is_err() {
            // Its time also ran while nobody looked, because answers were not read.
            frame = timeout(self.limits.patience, body.frame()).await;
        }
        match frame.map_err(|_| Fault::BodyTimeout)? {
            None => self.body = None,
            Some(Err(_)) => return Err(Fault::bad("body", "ended early")),
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                self.came = self.came.saturating_add(data.len());
                if self.came > self.limits.bytes {
                    return Err(Fault::TooLarge(self.limits.bytes));
                }
                self.held.extend_from_slice(&data);
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        self.body = None;
        self.held = Zeroizing::default();
        self.at = 0;
        self.too_long = false;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::Full;

    use super::*;

    fn limits(lines: usize) -> Limits {
        Limits { lines, bytes: lines * LINE_BYTES, patience: Duration::from_secs(1) }
    }

    /// What there is of lines, by their lengths, or what is wrong.
    fn told(text: &str, lines: usize) -> Vec<String> {
        let mut lines = Lines::of(Full::new(Bytes::copy_from_slice(text.as_bytes())), limits(lines));
        let next = || lines.next().now_or_never().expect("everything is there");
        std::iter::from_fn(next)
            .map(|line| match line {
                Ok(line) => line.expose().len().to_string(),
                Err(fault) => fault.to_string(),
            })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_hold_something_come_up_to_the_limit() {
        assert_eq!(told("{}\r\n\r\n {} ", 2), ["2", "2"]);
        assert_eq!(told("\r\n \n", 2), [""; 0]);
        assert_eq!(told("", 2), [""; 0]);
        let over = "a batch has at most 2 lines; those from here on were not read";
        assert_eq!(told("1\n2\n3\n4\n", 2), ["1", "1", over]);
        for (text, whole) in [("1\n2\n", true), ("1\n\n2", true), ("1\n2\n3", false)] {
            assert_eq!(Lines::whole(text.as_bytes(), limits(2)).is_ok(), whole, "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_is_too_long_costs_itself_alone() {
        let line = |bytes| "x".repeat(bytes);
        let text = |bytes| format!("a\n{}\nbc\n", line(bytes));
        let most = MAX_LOGIN_BYTES.to_string();
        assert_eq!(told(&text(MAX_LOGIN_BYTES), 8), ["1", &most, "2"]);
        let over = format!("body is larger than {MAX_LOGIN_BYTES} bytes");
        assert_eq!(told(&text(MAX_LOGIN_BYTES + 1), 8), ["1", &over, "2"]);
        assert_eq!(told(&line(MAX_LOGIN_BYTES + 1), 8), [over.as_str()], "and has no end");
        assert_eq!(
            told(&format!("a\n{}", line(2 * LINE_BYTES)), 2).last().unwrap(),
            "body is larger than 8192 bytes"
        );
    }
}
