//! The head of a response: its status, the few headers somebody asked for, and how its body is framed.

use std::mem::MaybeUninit;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use httparse::{ParserConfig, Status};

use super::Fault;

/// More than any bid response's head; the body has its own limit.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Most header lines.
const MAX_HEADERS: usize = 100;
/// So that the caller's additions need no second table.
const TABLE: usize = 6;

/// What a complete head says.
#[derive(Debug)]
pub(super) struct Head {
    pub status: StatusCode,
    /// Those that were to be kept.
    pub headers: HeaderMap,
    /// The connection may be used again after the body.
    pub reusable: bool,
    pub framing: Framing,
}

/// Where the body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// Where the peer closes.
    UntilClose,
}

/// Parses the head at the start of `bytes`; `None` when it is not complete. Says how long it is, too.
pub(super) fn parse(bytes: &[u8], keep: &[HeaderName]) -> Result<Option<(Head, usize)>, Fault> {
    let mut lines = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parser = ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut response, bytes, &mut lines) {
        Ok(Status::Complete(length)) if length <= MAX_HEAD_BYTES => length,
        Ok(Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
        Ok(_) => return Err(Fault::Invalid("the head is longer than allowed")),
        Err(httparse::Error::TooManyHeaders) => return Err(Fault::Invalid("too many headers")),
        Err(_) => return Err(Fault::Invalid("the answer is not HTTP/1")),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Fault::Invalid("the status is none"))?;
    let mut lines = Lines::default();
    for line in &*response.headers {
        lines.note(line, keep)?;
    }
    lines.head(status, response.version == Some(1)).map(|head| Some((head, length)))
}

/// What the header lines have said so far.
#[derive(Default)]
struct Lines {
    kept: HeaderMap,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
}

impl Lines {
    fn note(&mut self, line: &httparse::Header<'_>, keep: &[HeaderName]) -> Result<(), Fault> {
        let is = |name: &str| line.name.eq_ignore_ascii_case(name);
        // By length first: of the few headers that matter nearly all others are told apart by it.
        match line.name.len() {
            14 if is("content-length") => {
                if self.length.replace(length(line.value)?).is_some() {
                    return Err(Fault::Invalid("content-length twice"));
                }
            }
            17 if is("transfer-encoding") => {
                let chunked = line.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                if !chunked || std::mem::replace(&mut self.chunked, true) {
                    return Err(Fault::Invalid("a transfer-encoding that is not just chunked"));
                }
            }
            10 if is("connection") => {
                for option in line.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
            _ => {
                if let Some(name) = keep.iter().find(|name| is(name.as_str())) {
                    if self.kept.is_empty() {
                        self.kept.reserve(TABLE);
                    }
                    self.kept.append(name, value(line.value)?);
                }
            }
        }
        Ok(())
    }

    fn head(self, status: StatusCode, version_1_1: bool) -> Result<Head, Fault> {
        let Self { kept: headers, length, chunked, close, keep_alive } = self;
        let mut reusable = !close && (version_1_1 || keep_alive);
        let framing = if has_no_body(status) {
            // Whoever announces a body all the same may send it, too.
            reusable &= !chunked && length.unwrap_or(0) == 0;
            Framing::Length(0)
        } else {
            match (chunked, length) {
                (true, Some(_)) => return Err(Fault::Invalid("both content-length and transfer-encoding")),
                (true, None) if version_1_1 => Framing::Chunked,
                (true, None) => return Err(Fault::Invalid("transfer-encoding in HTTP/1.0")),
                (false, Some(length)) => Framing::Length(length),
                (false, None) => Framing::UntilClose,
            }
        };
        // A switch of protocols that nobody asked for: whatever follows is not HTTP.
        reusable &= framing != Framing::UntilClose && status != StatusCode::SWITCHING_PROTOCOLS;
        Ok(Head { status, headers, reusable, framing })
    }
}

fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Digits only (RFC 9110 §8.6). More than fits is more than is allowed.
fn length(value: &[u8]) -> Result<u64, Fault> {
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Invalid("content-length is no number"));
    }
    let digit = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Ok(digits.iter().fold(0, digit))
}

/// The one value that nearly every answer has costs no allocation.
fn value(bytes: &[u8]) -> Result<HeaderValue, Fault> {
    match bytes {
        b"application/json" => Ok(HeaderValue::from_static("application/json")),
        _ => HeaderValue::from_bytes(bytes).map_err(|_| Fault::Invalid("a header value is none")),
    }
}
