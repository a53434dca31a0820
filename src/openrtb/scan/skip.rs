//! Values that nobody reads: checked to the last byte, and passed over.

use super::super::error::ScanReason;
use super::lex::{Fault, Lexer, Quoted};
use super::stops::Stops;

impl Lexer<'_> {
    /// The value that begins here, with at most `depth` nested containers.
    #[inline(always)]
    pub(super) fn value(&mut self, at: usize, depth: usize) -> Result<Quoted, Fault> {
        let plain = |end| Quoted { end, escaped: false };
        match self.byte(at) {
            b'"' => self.string(at),
            b'{' | b'[' => {
                let end;
                (self.stops, end) = container(self.text, self.stops, at, depth)?;
                Ok(plain(end))
            }
            _ => self.scalar(at).map(plain),
        }
    }

    /// A key and its colon; where its value begins, and with which byte.
    #[inline(always)]
    fn key(&mut self, at: usize) -> Result<(usize, u8), Fault> {
        let open = self.find(b'"', at)?;
        let key = self.string(open)?;
        let colon = self.find(b':', key.end)?;
        Ok(self.peek(colon + 1))
    }
}

/// A container and all that is in it; one past its closing bracket.
#[inline(never)]
fn container(text: &[u8], stops: Stops, mut at: usize, depth: usize) -> Result<(Stops, usize), Fault> {
    let mut lexer = Lexer { text, stops };
    let mut nest = Nest { objects: 0, depth: 0 };
    let mut byte = lexer.byte(at);
    loop {
        at = match byte {
            b'"' => lexer.string(at)?.end,
            b'{' | b'[' => {
                if nest.depth >= depth {
                    return Err(Fault { at, reason: ScanReason::TooDeep });
                }
                nest.push(byte == b'{');
                (at, byte) = lexer.peek(at + 1);
                if byte != nest.close() {
                    if nest.in_object() {
                        (at, byte) = lexer.key(at)?;
                    }
                    continue;
                }
                at
            }
            _ => lexer.scalar(at)?,
        };
        // After a value, or before the closing bracket of an empty container.
        loop {
            (at, byte) = lexer.peek(at);
            if byte == b',' {
                (at, byte) = if nest.in_object() { lexer.key(at + 1)? } else { lexer.peek(at + 1) };
                break;
            }
            if byte != nest.close() {
                return Err(lexer.unexpected(at));
            }
            at += 1;
            nest.pop();
            if nest.depth == 0 {
                return Ok((lexer.stops, at));
            }
        }
    }
}

/// The open containers of a value: one bit each, set for an object.
struct Nest {
    objects: u128,
    depth: usize,
}

impl Nest {
    #[inline(always)]
    fn push(&mut self, object: bool) {
        self.objects = self.objects << 1 | u128::from(object);
        self.depth += 1;
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    #[inline(always)]
    fn close(&self) -> u8 {
        if self.in_object() { b'}' } else { b']' }
    }
}
