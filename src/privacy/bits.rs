//! Reads bit fields straight out of base64url text, six bits a character, without decoding it into a buffer.
//!
//! TCF and GPP strings are bit streams, most significant bit first, in base64url without padding. Senders pad them to
//! six or to eight bits, so the text's own length is the only end there is.

/// Longest privacy string that is looked at, in bytes. Real ones stay far below; the limit bounds the work a stranger can ask for.
pub const MAX_TEXT: usize = 4096;

/// A cursor over the bits of a base64url text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// `None` when a character is outside the base64url alphabet; padding is outside too.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        let text = text.as_bytes();
        text.iter().all(|&c| SEXTETS[usize::from(c)] != NONE).then_some(Self { text, at: 0 })
    }

    /// The text up to the first character outside the alphabet, and whether that is all of it.
    pub(super) fn prefix(text: &'a str) -> (Self, bool) {
        let text = text.as_bytes();
        let whole = text.iter().take_while(|&&c| SEXTETS[usize::from(c)] != NONE).count();
        (Self { text: text.get(..whole).unwrap_or_default(), at: 0 }, whole == text.len())
    }

    /// Position of the cursor, in bits from the start.
    pub(super) const fn position(self) -> usize {
        self.at
    }

    /// The same text with the cursor at bit `at`.
    pub(super) const fn at(self, at: usize) -> Self {
        Self { text: self.text, at }
    }

    /// The next `count` bits (at most 54) as a number; `None` past the end.
    pub(super) fn take(&mut self, count: usize) -> Option<u64> {
        let end = self.at.checked_add(count)?;
        let last = end.div_ceil(6);
        // Ten characters at most: 60 bits.
        let window = self.text.get(self.at / 6..last)?.iter().fold(0, |bits, &c| {
            let sextet = SEXTETS[usize::from(c)];
            bits << 6 | u64::from(sextet & 63)
        });
        self.at = end;
        Some(window >> (last * 6 - end) & ((1 << count) - 1))
    }

    /// The next `count` bits, at most 16.
    pub(super) fn take_u16(&mut self, count: usize) -> Option<u16> {
        self.take(count).and_then(|value| u16::try_from(value).ok())
    }

    /// The next bit.
    pub(super) fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// Moves on by `count` bits; `None` when they are not there.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        let end = self.at.checked_add(count)?;
        (end <= self.text.len() * 6).then(|| self.at = end)
    }

    /// The `count` bits at bit `at` as a number; the cursor stays.
    pub(super) fn peek(self, at: usize, count: usize) -> Option<u64> {
        self.at(at).take(count)
    }

    /// Whether only zeros follow.
    pub(super) fn rest_is_zero(mut self) -> bool {
        while let Some(bit) = self.flag() {
            if bit {
                return false;
            }
        }
        true
    }
}

/// The six bits of each character; [`NONE`] outside the alphabet. No text of a `Bits` holds one.
static SEXTETS: [u8; 256] = sextets();
const NONE: u8 = u8::MAX;

const fn sextets() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut table = [NONE; 256];
    let mut value = 0;
    while value < 64 {
        table[alphabet[value as usize] as usize] = value;
        value += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cross_character_borders() {
        // D B A B M = 000011 000001 000000 000001 001100
        let mut bits = Bits::new("DBABM").unwrap();
        assert_eq!(bits.take(6), Some(3));
        assert_eq!(bits.take(8), Some(0b0000_0100));
        assert_eq!(bits.peek(18, 12), Some(0b0000_0100_1100));
        assert_eq!(bits.position(), 14);
        // The longest field at the worst place: ten characters.
        let text = "_AAAAAAAA_";
        assert_eq!(Bits::new(text).unwrap().peek(5, 54), Some((1 << 53) | 0b1_1111));
        assert_eq!(Bits::new(text).unwrap().peek(6, 54), Some(0b11_1111));
    }

    #[test]
    fn the_end_is_the_end() {
        let mut bits = Bits::new("__").unwrap();
        assert_eq!(bits.peek(0, 12), Some(0xfff));
        assert_eq!(bits.peek(0, 13), None);
        assert_eq!(bits.skip(12), Some(()));
        assert_eq!(bits.skip(1), None);
        assert_eq!(bits.flag(), None);
        assert_eq!(bits.skip(usize::MAX), None);
    }

    #[test]
    fn only_the_url_alphabet_counts() {
        for text in ["AA=", "A+", "A/", "A A", "A\u{e9}"] {
            assert!(Bits::new(text).is_none(), "{text}");
        }
        let (mut bits, whole) = Bits::prefix("_A=_");
        assert_eq!((bits.take(12), bits.flag(), whole), (Some(0xfc0), None, false));
        assert!(Bits::prefix("_A").1);
        assert!(Bits::new("").is_some_and(Bits::rest_is_zero));
        assert!(!Bits::new("AAB").unwrap().rest_is_zero());
    }
}
