//! The chunked coding (RFC 9112 §7.1), read strictly: lines end in CRLF, sizes are hexadecimal digits, and what is
//! skipped (extensions, trailers) is bounded.

use bytes::{Buf as _, Bytes, BytesMut};

use super::Fault;
use crate::net::body::Collected;

/// Longest line: a chunk's size with its extensions, or a trailer.
const MAX_LINE_BYTES: usize = 4 * 1024;
/// Most bytes of extensions and trailers in one body.
const MAX_SKIPPED_BYTES: usize = 16 * 1024;
/// `u64` in hexadecimal.
const MAX_SIZE_DIGITS: usize = 16;

/// A body on its way.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Longest body, bytes.
    max: usize,
    read: Collected,
    skipped: usize,
    step: Step,
}

/// What is expected next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Size,
    /// So many bytes of a chunk.
    Data(usize),
    /// The line end after a chunk.
    DataEnd,
    Trailer,
}

impl Chunks {
    pub(super) fn new(max: usize) -> Self {
        Self { max, read: Collected::default(), skipped: 0, step: Step::Size }
    }

    /// Takes what it can from `buffer`; the body once it is complete. What follows the body is left there.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
        loop {
            self.step = match self.step {
                Step::Size => match line(buffer)? {
                    Some(length) => self.size(&buffer.split_to(length))?,
                    None => return Ok(None),
                },
                Step::Data(_) if buffer.is_empty() => return Ok(None),
                Step::Data(left) => {
                    let here = left.min(buffer.len());
                    self.read.push(buffer.split_to(here).freeze(), 0);
                    if here < left { Step::Data(left - here) } else { Step::DataEnd }
                }
                Step::DataEnd if buffer.len() < 2 => return Ok(None),
                Step::DataEnd if buffer.starts_with(b"\r\n") => {
                    buffer.advance(2);
                    Step::Size
                }
                Step::DataEnd => return Err(Fault::Invalid("a chunk is longer than its size")),
                Step::Trailer => match line(buffer)? {
                    Some(2) => {
                        buffer.advance(2);
                        return Ok(Some(std::mem::take(&mut self.read).into_bytes()));
                    }
                    Some(length) => {
                        self.skip(&buffer.split_to(length))?;
                        Step::Trailer
                    }
                    None => return Ok(None),
                },
            };
        }
    }

    /// `line` with its end.
    fn size(&mut self, line: &[u8]) -> Result<Step, Fault> {
        let invalid = Fault::Invalid("a chunk's size is none");
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, rest) = line.split_at(digits);
        let after = rest.trim_ascii_start();
        if !(after.is_empty() || after.starts_with(b";")) || digits == 0 || digits > MAX_SIZE_DIGITS {
            return Err(invalid);
        }
        self.skip(rest)?;
        let size = std::str::from_utf8(size).ok().and_then(|size| u64::from_str_radix(size, 16).ok());
        match usize::try_from(size.ok_or(invalid)?) {
            Ok(0) => Ok(Step::Trailer),
            Ok(size) if size <= self.max - self.read.len() => Ok(Step::Data(size)),
            _ => Err(Fault::TooLarge),
        }
    }

    fn skip(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.skipped += line.len() - 2;
        if self.skipped > MAX_SKIPPED_BYTES {
            return Err(Fault::Invalid("too many extensions or trailers"));
        }
        Ok(())
    }
}

/// How long the line at the start is, with its CRLF; `None` when it is not complete.
fn line(buffer: &[u8]) -> Result<Option<usize>, Fault> {
    let window = buffer.get(..MAX_LINE_BYTES).unwrap_or(buffer);
    match memchr::memchr2(b'\r', b'\n', window) {
        Some(at) if window.get(at..at + 2) == Some(b"\r\n") => Ok(Some(at + 2)),
        Some(at) if window.get(at) == Some(&b'\n') || window.len() > at + 1 => {
            Err(Fault::Invalid("a line of the chunked coding ends wrongly"))
        }
        _ if window.len() == MAX_LINE_BYTES => {
            Err(Fault::Invalid("a line of the chunked coding is too long"))
        }
        _ => Ok(None),
    }
}
