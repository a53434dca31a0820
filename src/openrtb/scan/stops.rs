//! Where strings end. The text is looked at 64 bytes at a time, and all quotes, backslashes and control characters
//! among them are marked, one bit each; the walk then takes the marks one after the other. That a string is long costs
//! nothing per byte, and that it is short costs no start-up, which matters: a bid request is made of short ones.
//!
//! Outside of strings the only such bytes are line breaks and tabs. Whoever passes one takes its mark, so that the next
//! mark is always the next one of the walk.

/// The stops of a text that have not been taken yet.
#[derive(Clone, Copy)]
pub(super) struct Stops {
    /// Where the current block begins.
    block: usize,
    /// Its stops that are left; the lowest bit is its first byte.
    marks: u64,
}

const BLOCK: usize = 64;

impl Stops {
    pub(super) fn new(text: &[u8]) -> Self {
        next(text, 0)
    }

    /// Takes the next stop. The end of the text is the last one, however often it is asked for.
    #[inline(always)]
    pub(super) fn take(&mut self, text: &[u8]) -> usize {
        self.turn(text);
        let stop = self.block + self.marks.trailing_zeros() as usize;
        self.marks &= self.marks.wrapping_sub(1);
        stop
    }

    /// Takes the next stop, of which is known where it is.
    #[inline(always)]
    pub(super) fn skip(&mut self, text: &[u8]) {
        self.turn(text);
        self.marks &= self.marks.wrapping_sub(1);
    }

    /// Goes on to the next block with a stop, once there is none left in this one.
    #[inline(always)]
    fn turn(&mut self, text: &[u8]) {
        while self.marks == 0 {
            *self = next(text, self.block + BLOCK);
        }
    }
}

/// The block that begins at `start`.
#[inline(never)]
fn next(text: &[u8], start: usize) -> Stops {
    match text.get(start..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        Some(bytes) => Stops { block: start, marks: marks(bytes) },
        None => last(text, start),
    }
}

/// As [`next`], with less than a block left.
#[cold]
#[inline(never)]
fn last(text: &[u8], start: usize) -> Stops {
    match text.get(start..) {
        Some(rest @ [_, ..]) => {
            let mut bytes = [b' '; BLOCK];
            for (to, from) in bytes.iter_mut().zip(rest) {
                *to = *from;
            }
            Stops { block: start, marks: marks(&bytes) }
        }
        _ => Stops { block: text.len(), marks: 1 },
    }
}

/// One bit for each byte. Written for the compiler's vectoriser: bytes become 0 or 1, and a multiplication gathers eight
/// of those in the top byte of a word.
#[inline(always)]
fn marks(bytes: &[u8; BLOCK]) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let stops = bytes.map(|byte| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20));
    let mut marks = 0;
    for (nth, eight) in stops.as_chunks::<8>().0.iter().enumerate() {
        marks |= u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56 << (8 * nth);
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_stop(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }

    #[test]
    fn every_byte_is_marked_in_every_place_if_it_is_a_stop() {
        for byte in 0..=255_u8 {
            for place in 0..BLOCK {
                let mut bytes = [b'x'; BLOCK];
                bytes[place] = byte;
                assert_eq!(marks(&bytes), u64::from(is_stop(byte)) << place, "{byte:#x} at {place}");
            }
        }
        assert_eq!(marks(&[b'"'; BLOCK]), u64::MAX);
    }

    #[test]
    fn all_stops_are_taken_in_order_and_then_the_end() {
        for length in [0, 1, 63, 64, 65, 127, 128, 129, 200, 1000] {
            for step in [1, 2, 7, 63, 64, 65, 130] {
                let byte = |i: usize| if i % step == step / 2 { b"\"\\\n"[i % 3] } else { b'{' };
                taken(&(0..length).map(byte).collect::<Vec<u8>>());
            }
        }
    }

    /// Every third stop is skipped.
    fn taken(text: &[u8]) {
        let mut stops = Stops::new(text);
        let expected = (0..text.len()).filter(|at| is_stop(text[*at])).chain([text.len(); 2]);
        for (nth, stop) in expected.enumerate() {
            if nth % 3 == 2 {
                stops.skip(text);
                continue;
            }
            assert_eq!(stops.take(text), stop, "{}", text.escape_ascii());
        }
    }
}
