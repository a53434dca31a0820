//! Kinds of characters: what the pseudonym of an id is written with, so that it looks like one.
//!
//! The kind is that of a whole id, not of each place in it: which places of a UUID hold digits would nearly tell which
//! UUID it was.

const DIGITS: &[u8] = b"0123456789";
const HEX: &[u8] = b"0123456789abcdef";
const HEX_UPPER: &[u8] = b"0123456789ABCDEF";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const UPPER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER_DIGITS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const UPPER_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const MIXED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Shorter texts of letters, digits and dashes are words.
const SHORTEST_BASE64: usize = 16;

/// What the last characters of base64 may be when they stand for fewer bits than six.
const FOUR_BITS: &[u8] = b"AEIMQUYcgkosw048";
const TWO_BITS: &[u8] = b"AQgw";

/// What a text or a part of it is written with.
#[derive(Clone, Copy)]
pub(super) struct Alphabet {
    letters: &'static [u8],
    /// Of base64: what the last letter is one of.
    last: Option<&'static [u8]>,
}

impl Alphabet {
    /// Of a text without escapes; `None` when it is made of parts, each with an alphabet of its own.
    pub(super) fn of_whole(text: &[u8]) -> Option<Self> {
        let opaque = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
        text.iter().all(opaque).then(|| Self::of_opaque(text))
    }

    fn of_opaque(text: &[u8]) -> Self {
        let plain = Self::of_part(text);
        let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
        let length = text.len() - padding;
        let cased = plain.letters == MIXED || plain.letters == LETTERS;
        if !cased || length < SHORTEST_BASE64 {
            return plain;
        }
        let has = |bytes: &[u8]| text.iter().any(|byte| bytes.contains(byte));
        let letters = match (has(b"+/"), has(b"-_")) {
            (true, false) => BASE64,
            (false, true) => BASE64_URL,
            _ => MIXED,
        };
        // Without padding, 43 characters are the one length that hashes and raw ids have.
        let last = match length % 4 {
            3 if padding == 1 || length == 43 => Some(FOUR_BITS),
            2 if padding == 2 => Some(TWO_BITS),
            _ => None,
        };
        Self { letters, last }
    }

    /// Of letters and digits; whatever else is there does not count.
    pub(super) fn of_part(text: &[u8]) -> Self {
        let has = |is: fn(&u8) -> bool| text.iter().any(is);
        let digits = has(u8::is_ascii_digit);
        let (lower, upper) = (has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
        let hex = digits && !has(|byte| byte.is_ascii_alphabetic() && !byte.is_ascii_hexdigit());
        let letters = match (lower, upper) {
            (false, false) => DIGITS,
            (true, false) if hex => HEX,
            (false, true) if hex => HEX_UPPER,
            (true, false) if digits => LOWER_DIGITS,
            (false, true) if digits => UPPER_DIGITS,
            (true, false) => LOWER,
            (false, true) => UPPER,
            (true, true) if digits => MIXED,
            (true, true) => LETTERS,
        };
        Self { letters, last: None }
    }

    /// Whether a character is replaced; others are the frame in which an id is written.
    pub(super) fn replaces(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || self.letters.contains(&byte)
    }

    /// One of its letters by chance. A number does not begin with 0 that did not; `ends`: nothing but padding follows.
    pub(super) fn draw(self, chance: u16, first: Option<u8>, ends: bool) -> u8 {
        let letters = match first {
            Some(b'0') if self.letters == DIGITS => b"0",
            Some(_) if self.letters == DIGITS => DIGITS.get(1..).unwrap_or(DIGITS),
            _ => self.last.filter(|_| ends).unwrap_or(self.letters),
        };
        letters.get(usize::from(chance) % letters.len()).copied().unwrap_or(b'0')
    }
}
