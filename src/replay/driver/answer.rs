//! Reads HTTP/1.1 answers as far as a load needs: status, size of the body, whether the connection stays. Bodies are
//! counted and thrown away.

use super::super::recorder::Fault;

/// Reads one answer after another from the bytes of a connection.
#[derive(Debug, Default)]
pub(super) struct Reader {
    state: State,
    /// A head that has not come whole.
    head: Vec<u8>,
    answer: Answer,
}

/// A whole answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Of its body, without framing.
    pub(super) bytes: u64,
    /// The connection takes another request.
    pub(super) keep: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of the body are missing.
    Sized(u64),
    Chunked(Chunk),
    /// The body ends with the connection.
    Rest,
}

/// Where in a chunked body (RFC 9112 §7.1) the reader is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chunk {
    /// In the size line, with the digits so far.
    Size(u64),
    /// Behind the size, up to the end of the line.
    Extension(u64),
    /// In the data, and the line end behind it.
    Data(u64),
    /// In a trailer line of so many bytes, the last being an empty one.
    Trailer(u64),
}

/// Longest head that is read.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;

impl Reader {
    /// Takes what came; says the answer when it is whole. Bytes behind an answer that nobody asked for are a fault.
    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<Option<Answer>, Fault> {
        while !input.is_empty() {
            let (used, whole) = match self.state {
                State::Head => self.begin(input)?,
                State::Sized(left) => self.sized(left, input.len()),
                State::Chunked(chunk) => self.chunked(chunk, input)?,
                State::Rest => {
                    self.count(input.len());
                    (input.len(), false)
                }
            };
            if whole {
                self.state = State::Head;
                return if used == input.len() { Ok(Some(self.answer)) } else { Err(Fault::Invalid) };
            }
            input = input.get(used..).unwrap_or_default();
        }
        Ok(None)
    }

    /// The connection ended: says the answer when it ends so.
    pub(super) fn end(&mut self) -> Option<Answer> {
        let whole = self.state == State::Rest;
        self.state = State::Head;
        self.head.clear();
        whole.then_some(self.answer)
    }

    fn count(&mut self, bytes: usize) {
        self.answer.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Reads a head; bytes used, and whether the answer is whole without a body.
    fn begin(&mut self, input: &[u8]) -> Result<(usize, bool), Fault> {
        if self.head.is_empty()
            && let Some((size, start)) = parse(input)?
        {
            return Ok((size, self.start(&start)));
        }
        let before = self.head.len();
        self.head.extend_from_slice(input);
        let Some((size, start)) = parse(&self.head)? else {
            return if self.head.len() > MAX_HEAD { Err(Fault::Invalid) } else { Ok((input.len(), false)) };
        };
        self.head.clear();
        Ok((size.saturating_sub(before), self.start(&start)))
    }

    fn start(&mut self, start: &Start) -> bool {
        self.answer = Answer { status: start.status, bytes: 0, keep: start.keep };
        match start.status {
            // Interim: the answer is still to come.
            100..=199 => return false,
            // RFC 9110 §6.4.1: no content, whatever the headers say.
            204 | 304 => return true,
            _ => {}
        }
        self.state = match start.length {
            Length::Known(0) => return true,
            Length::Known(length) => State::Sized(length),
            Length::Chunked => State::Chunked(Chunk::Size(0)),
            Length::Open => {
                self.answer.keep = false;
                State::Rest
            }
        };
        false
    }

    fn sized(&mut self, left: u64, available: usize) -> (usize, bool) {
        let used = usize::try_from(left).unwrap_or(usize::MAX).min(available);
        self.count(used);
        let left = left - u64::try_from(used).unwrap_or(left);
        self.state = State::Sized(left);
        (used, left == 0)
    }

    fn chunked(&mut self, mut chunk: Chunk, input: &[u8]) -> Result<(usize, bool), Fault> {
        let mut at = 0;
        while let Some(byte) = input.get(at) {
            at += 1;
            chunk = match chunk {
                Chunk::Size(size) => match char::from(*byte).to_digit(16) {
                    Some(digit) => {
                        let grown = size.checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
                        Chunk::Size(grown.ok_or(Fault::Invalid)?)
                    }
                    None if matches!(byte, b'\r' | b';' | b' ' | b'\t') => Chunk::Extension(size),
                    None => return Err(Fault::Invalid),
                },
                Chunk::Extension(0) if *byte == b'\n' => Chunk::Trailer(0),
                Chunk::Extension(size) if *byte == b'\n' => {
                    self.answer.bytes += size;
                    Chunk::Data(size.saturating_add(2))
                }
                Chunk::Extension(_) => chunk,
                Chunk::Data(left) => {
                    let rest = input.len() - at + 1;
                    let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(rest);
                    at += skipped - 1;
                    let left = left - u64::try_from(skipped).unwrap_or(left);
                    if left == 0 { Chunk::Size(0) } else { Chunk::Data(left) }
                }
                Chunk::Trailer(0) if *byte == b'\n' => return Ok((at, true)),
                Chunk::Trailer(_) if *byte == b'\n' => Chunk::Trailer(0),
                Chunk::Trailer(length) => Chunk::Trailer(length + u64::from(*byte != b'\r')),
            };
        }
        self.state = State::Chunked(chunk);
        Ok((at, false))
    }
}

struct Start {
    status: u16,
    length: Length,
    keep: bool,
}

enum Length {
    Known(u64),
    Chunked,
    Open,
}

/// A head and its size, when it has come whole.
fn parse(bytes: &[u8]) -> Result<Option<(usize, Start)>, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(size) = response.parse(bytes).map_err(|_| Fault::Invalid)? else {
        return Ok(None);
    };
    let mut start =
        Start { status: response.code.unwrap_or(0), length: Length::Open, keep: response.version == Some(1) };
    for header in response.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        // Lengths tell most names apart without looking at them.
        match header.name.len() {
            10 if is("connection") => start.keep = keeps(header.value, start.keep),
            14 if is("content-length") && !matches!(start.length, Length::Chunked) => {
                let length =
                    std::str::from_utf8(header.value).ok().and_then(|value| value.trim().parse().ok());
                start.length = Length::Known(length.ok_or(Fault::Invalid)?);
            }
            17 if is("transfer-encoding") => start.length = Length::Chunked,
            _ => {}
        }
    }
    Ok(Some((size, start)))
}

fn keeps(value: &[u8], otherwise: bool) -> bool {
    let mut tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    tokens
        .find_map(|token| {
            let is = |name: &[u8]| token.eq_ignore_ascii_case(name);
            is(b"close").then_some(false).or_else(|| is(b"keep-alive").then_some(true))
        })
        .unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers in `bytes`, whether they come at once or byte by byte.
    fn read(bytes: &str) -> Result<Option<Answer>, Fault> {
        let whole = Reader::default().feed(bytes.as_bytes());
        let mut reader = Reader::default();
        let mut last = Ok(None);
        for byte in bytes.as_bytes() {
            last = reader.feed(&[*byte]);
            if last != Ok(None) {
                break;
            }
        }
        if whole != Err(Fault::Invalid) {
            assert_eq!(whole, last, "{bytes:?}");
        }
        whole
    }

    #[expect(clippy::unnecessary_wraps, reason = "as what it is compared with")]
    const fn answer(status: u16, bytes: u64, keep: bool) -> Result<Option<Answer>, Fault> {
        Ok(Some(Answer { status, bytes, keep }))
    }

    #[test]
    fn answers_of_every_framing_are_read() {
        for (bytes, expected) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", answer(204, 0, true)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", answer(200, 0, true)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", answer(200, 5, true)),
            ("HTTP/1.1 503 \r\nConnection: x, Close\r\ncontent-length:1\r\n\r\nx", answer(503, 1, false)),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", answer(200, 1, false)),
            ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\nx", answer(200, 1, true)),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", answer(304, 0, true)),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                answer(200, 2, true),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
                answer(200, 15, true),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\n",
                answer(200, 0, true),
            ),
        ] {
            assert_eq!(read(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn one_answer_follows_the_other() {
        let mut reader = Reader::default();
        let body = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for _ in 0..3 {
            assert_eq!(reader.feed(body.as_bytes()), answer(200, 3, true));
        }
        assert_eq!(reader.feed(b"HTTP/1.1 204 \r\n\r\n"), answer(204, 0, true));
    }

    #[test]
    fn a_body_without_a_length_ends_with_the_connection() {
        let mut reader = Reader::default();
        assert_eq!(reader.feed(b"HTTP/1.1 200 OK\r\n\r\nabc"), Ok(None));
        assert_eq!(reader.feed(b"de"), Ok(None));
        assert_eq!(Ok(reader.end()), answer(200, 5, false));
        assert_eq!(reader.end(), None);
        for cut in ["HTTP/1.1 20", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell"] {
            assert_eq!(reader.feed(cut.as_bytes()), Ok(None));
            assert_eq!(reader.end(), None, "{cut:?}");
        }
    }

    #[test]
    fn what_is_not_http_is_a_fault() {
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(MAX_HEAD));
        assert_eq!(Reader::default().feed(long.as_bytes()), Err(Fault::Invalid));
        assert_eq!(Reader::default().feed(&long.as_bytes()[..MAX_HEAD]), Ok(None));
        for bytes in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            "HTTP/1.1 204 \r\n\r\nHTTP/1.1 204 \r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxy",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nG\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        ] {
            assert_eq!(read(bytes), Err(Fault::Invalid), "{bytes:.60?}");
        }
    }
}
