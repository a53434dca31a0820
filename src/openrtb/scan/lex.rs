//! The tokens of RFC 8259: strings, numbers, literals, white space.
//!
//! Positions go in and come out, so that a walk keeps its own in a register; a fault says where and why.

use super::super::error::ScanReason;
use super::stops::Stops;

/// What is wrong, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub at: usize,
    pub reason: ScanReason,
}

/// Reads the tokens of a text whose UTF-8 has been checked.
#[derive(Clone, Copy)]
pub(super) struct Lexer<'a> {
    pub text: &'a [u8],
    pub stops: Stops,
}

/// A string or key that has been read.
#[derive(Clone, Copy)]
pub(super) struct Quoted {
    /// One past the closing quote.
    pub end: usize,
    /// It holds at least one escape.
    pub escaped: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, stops: Stops::new(text) }
    }

    /// The byte there; 0 past the end, which no token begins with either.
    #[inline(always)]
    pub(super) fn byte(self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// The first byte from `at` on that is not white space, and where it stands.
    #[inline(always)]
    pub(super) fn peek(&mut self, mut at: usize) -> (usize, u8) {
        let byte = self.byte(at);
        if byte > b' ' {
            return (at, byte);
        }
        (self.stops, at) = past_space(self.text, self.stops, at);
        (at, self.byte(at))
    }

    /// The byte here is none that can stand here.
    #[cold]
    pub(super) fn unexpected(self, at: usize) -> Fault {
        let ended = at >= self.text.len();
        Fault { at, reason: if ended { ScanReason::UnexpectedEnd } else { ScanReason::UnexpectedByte } }
    }

    /// Where this byte stands, after nothing but white space.
    #[inline(always)]
    pub(super) fn find(&mut self, byte: u8, mut at: usize) -> Result<usize, Fault> {
        if self.byte(at) != byte {
            (self.stops, at) = past_space(self.text, self.stops, at);
            if self.byte(at) != byte {
                return Err(self.unexpected(at));
            }
        }
        Ok(at)
    }

    /// The string whose opening quote stands here.
    #[inline(always)]
    pub(super) fn string(&mut self, open: usize) -> Result<Quoted, Fault> {
        debug_assert_eq!(self.stops.clone().take(self.text), open, "all stops before have been taken");
        self.stops.skip(self.text);
        let stop = self.stops.take(self.text);
        if self.byte(stop) == b'"' {
            return Ok(Quoted { end: stop + 1, escaped: false });
        }
        let end;
        (self.stops, end) = escaped_string(self.text, self.stops, stop)?;
        Ok(Quoted { end, escaped: true })
    }

    fn escape(self, at: usize) -> Result<(), Fault> {
        let fault = Fault { at, reason: ScanReason::Escape };
        match self.text.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                let digits = self.text.get(at + 2..at + 6).ok_or(fault)?;
                if digits.iter().all(u8::is_ascii_hexdigit) { Ok(()) } else { Err(fault) }
            }
            Some(_) => Err(fault),
            None => Err(Fault { reason: ScanReason::UnexpectedEnd, ..fault }),
        }
    }

    /// The number or literal that begins here; one past its end.
    #[inline(always)]
    pub(super) fn scalar(self, at: usize) -> Result<usize, Fault> {
        match self.byte(at) {
            b'-' | b'0'..=b'9' => self.number(at),
            b't' => self.literal(b"true", at),
            b'f' => self.literal(b"false", at),
            b'n' => self.literal(b"null", at),
            _ => Err(self.unexpected(at)),
        }
    }

    #[inline(always)]
    fn number(self, at: usize) -> Result<usize, Fault> {
        let at = at + usize::from(self.byte(at) == b'-');
        let end = if self.byte(at) == b'0' { at + 1 } else { self.digits(at)? };
        match self.byte(end) {
            b'.' | b'e' | b'E' => self.fraction(end),
            b'0'..=b'9' => Err(Fault { at: end, reason: ScanReason::Number }),
            _ => Ok(end),
        }
    }

    #[inline(never)]
    fn fraction(self, mut at: usize) -> Result<usize, Fault> {
        if self.byte(at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), b'e' | b'E') {
            at += 1;
            at = self.digits(at + usize::from(matches!(self.byte(at), b'+' | b'-')))?;
        }
        Ok(at)
    }

    /// At least one digit.
    #[inline(always)]
    fn digits(self, mut at: usize) -> Result<usize, Fault> {
        if !self.byte(at).is_ascii_digit() {
            return Err(Fault { at, reason: ScanReason::Number });
        }
        at += 1;
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        Ok(at)
    }

    #[inline(always)]
    fn literal(self, word: &'static [u8], at: usize) -> Result<usize, Fault> {
        let end = at + word.len();
        if self.text.get(at..end) == Some(word) {
            return Ok(end);
        }
        Err(Fault { at, reason: ScanReason::UnexpectedByte })
    }
}

/// The rest of a string, from something that is not its closing quote. One past the closing quote.
#[inline(never)]
fn escaped_string(text: &[u8], mut stops: Stops, mut at: usize) -> Result<(Stops, usize), Fault> {
    let lexer = Lexer { text, stops };
    loop {
        match text.get(at) {
            Some(b'"') => return Ok((stops, at + 1)),
            Some(b'\\') => {
                lexer.escape(at)?;
                if matches!(text.get(at + 1), Some(b'"' | b'\\')) {
                    stops.skip(text);
                }
            }
            Some(_) => return Err(Fault { at, reason: ScanReason::ControlCharacter }),
            None => return Err(lexer.unexpected(at)),
        }
        at = stops.take(text);
    }
}

/// Where the white space from `at` on ends; the control characters among it are stops. Indentation is passed eight
/// spaces at a time.
#[inline(never)]
fn past_space(text: &[u8], mut stops: Stops, mut at: usize) -> (Stops, usize) {
    const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
    loop {
        if let Some(eight) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let others = u64::from_le_bytes(*eight) ^ SPACES;
            at += others.trailing_zeros() as usize / 8;
            if others == 0 {
                continue;
            }
        }
        match text.get(at) {
            Some(b' ') => at += 1,
            Some(b'\n' | b'\r' | b'\t') => {
                stops.skip(text);
                at += 1;
            }
            _ => return (stops, at),
        }
    }
}
