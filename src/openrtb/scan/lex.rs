//! Strings, numbers and literals of RFC 8259, and the brackets of a value being skipped.

use super::super::error::{ScanError, ScanReason};
use super::Scanner;

impl Scanner<'_> {
    /// Consumes a string from its opening quote; whether it has escapes.
    pub(super) fn string(&mut self) -> Result<bool, ScanError> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.skip_plain();
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.fault(ScanReason::ControlCharacter)),
                None => return Err(self.fault(ScanReason::UnexpectedEnd)),
            }
        }
    }

    /// Advances to the next quote, backslash or control character, eight bytes at a time.
    #[inline]
    fn skip_plain(&mut self) {
        while let Some(eight) = self.text.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let stops = string_stops(u64::from_le_bytes(*eight));
            if stops != 0 {
                self.at += (stops.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        while self.text.get(self.at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        let length = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.fault(ScanReason::Escape));
                }
                6
            }
            Some(_) => return Err(self.fault(ScanReason::Escape)),
            None => return Err(self.fault(ScanReason::UnexpectedEnd)),
        };
        self.at += length;
        Ok(())
    }

    pub(super) fn number(&mut self) -> Result<bool, ScanError> {
        self.one_of(b"-");
        if !self.one_of(b"0") {
            self.digits()?;
        }
        if self.one_of(b".") {
            self.digits()?;
        }
        if self.one_of(b"eE") {
            self.one_of(b"+-");
            self.digits()?;
        }
        match self.text.get(self.at) {
            Some(b'0'..=b'9') => Err(self.fault(ScanReason::Number)),
            _ => Ok(false),
        }
    }

    /// Consumes the next byte if it is one of `bytes`.
    fn one_of(&mut self, bytes: &[u8]) -> bool {
        let found = self.text.get(self.at).is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(found);
        found
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault(ScanReason::Number)) } else { Ok(()) }
    }

    pub(super) fn literal(&mut self, word: &'static [u8]) -> Result<bool, ScanError> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.fault(ScanReason::UnexpectedByte));
        }
        self.at += word.len();
        Ok(false)
    }
}

/// The open containers of a value being skipped: one bit each, set for an object.
#[derive(Default)]
pub(super) struct Nest {
    objects: u128,
    pub(super) depth: usize,
}

impl Nest {
    pub(super) fn push(&mut self, object: bool) {
        self.objects = self.objects << 1 | u128::from(object);
        self.depth += 1;
    }

    pub(super) fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    pub(super) fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    pub(super) fn close(&self) -> u8 {
        if self.in_object() { b'}' } else { b']' }
    }
}

/// Marks, by its top bit, the first byte of the word that is a quote, a backslash or below 0x20. Bytes above a mark
/// may be marked wrongly (the subtraction borrows), so only the lowest mark counts.
#[inline]
fn string_stops(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5C);
    let marks = quote.wrapping_sub(ONES) & !quote
        | backslash.wrapping_sub(ONES) & !backslash
        | word.wrapping_sub(ONES * 0x20) & !word;
    marks & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_stops_marks_the_first_stop_only_where_there_is_one() {
        for byte in 0..=255_u8 {
            for place in 0..8 {
                let mut word = *b"abcdefgh";
                word[place] = byte;
                let stop = byte < 0x20 || byte == b'"' || byte == b'\\';
                let marks = string_stops(u64::from_le_bytes(word));
                assert_eq!(marks != 0, stop, "{byte:#x}");
                if stop {
                    assert_eq!((marks.trailing_zeros() / 8) as usize, place, "{byte:#x}");
                }
            }
        }
    }
}
