//! A text instead of another: as long, of the same kind, the same for the same text, and no way back without the key.

use std::borrow::Cow;

use super::Keyed;
use super::alphabet::Alphabet;
use crate::openrtb::text::unescape;

/// How often another draw is tried when an id comes out as itself; a single digit does so one time in nine.
const TRIES: u8 = 24;

/// Makes pseudonyms under one key.
#[derive(Clone, Copy)]
pub(super) struct Pseudonyms<'a>(Keyed<'a>);

impl<'a> Pseudonyms<'a> {
    pub(super) fn new(key: Keyed<'a>) -> Self {
        Self(key)
    }

    /// For the content of a JSON string as it stands, escapes included: escapes of characters become escapes of others,
    /// those of signs stay. Where `%41` stands, another letter does in per cent encoding.
    pub(super) fn of(self, raw: &str) -> String {
        if !says_anything(raw) {
            return raw.to_owned();
        }
        let value = if raw.contains('\\') { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) };
        let mut drawn = String::new();
        for attempt in 0..TRIES {
            drawn = Draw {
                chance: self.chance(value.as_bytes(), attempt),
                out: String::with_capacity(raw.len()),
            }
            .text(raw);
            if drawn != raw {
                break;
            }
        }
        drawn
    }

    /// For the text of a JSON number. Sign, point and exponent stay, and how many digits there are.
    pub(super) fn of_number(self, raw: &str) -> String {
        let digits = raw.find(['e', 'E']).unwrap_or(raw.len());
        let (mantissa, exponent) = raw.split_at_checked(digits).unwrap_or((raw, ""));
        let masked: Vec<String> = mantissa.split('.').map(|part| self.of(part)).collect();
        let masked = masked.join(".") + exponent;
        let is_finite = |number: &str| number.parse().is_ok_and(f64::is_finite);
        if is_finite(raw) && !is_finite(&masked) {
            // Near the end of what a reader can hold, 9 may be too much where 1 was not.
            let ones = mantissa.chars().map(|c| if c.is_ascii_digit() { '1' } else { c });
            return ones.collect::<String>() + exponent;
        }
        masked
    }

    /// What chance has for a text: without an end, and the same each time.
    pub(super) fn chance(self, value: &[u8], attempt: u8) -> Chance<'a> {
        let mut seed = (self.0)(value);
        for _ in 0..attempt {
            seed = (self.0)(&seed);
        }
        Chance { key: self.0, seed, block: seed, count: 0, at: 0 }
    }
}

/// Whether there is anything to be masked: a text of signs alone is no id, and one of zeros says that there is none.
fn says_anything(raw: &str) -> bool {
    raw.bytes().any(|byte| !byte.is_ascii() || (byte != b'0' && byte.is_ascii_alphanumeric()))
}

/// A stream of random-looking numbers.
pub(super) struct Chance<'a> {
    key: Keyed<'a>,
    seed: [u8; 32],
    block: [u8; 32],
    count: u32,
    at: usize,
}

impl Chance<'_> {
    /// The next 16 bits.
    pub(super) fn next(&mut self) -> u16 {
        let Some(&[high, low]) = self.block.get(self.at..).and_then(|rest| rest.first_chunk::<2>()) else {
            self.count += 1;
            let mut input = [0; 36];
            input
                .iter_mut()
                .zip(self.seed.iter().chain(&self.count.to_le_bytes()))
                .for_each(|(to, from)| *to = *from);
            self.block = (self.key)(&input);
            self.at = 0;
            return self.next();
        };
        self.at += 2;
        u16::from_be_bytes([high, low])
    }
}

/// One pseudonym in the making.
struct Draw<'a> {
    chance: Chance<'a>,
    out: String,
}

impl Draw<'_> {
    fn text(mut self, raw: &str) -> String {
        if let Some(whole) = Alphabet::of_whole(raw.as_bytes()) {
            self.part(raw, whole);
            return self.out;
        }
        let mut rest = raw;
        while let Some(first) = rest.chars().next() {
            let run = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let (part, after) = rest.split_at_checked(run).unwrap_or((rest, ""));
            if !part.is_empty() {
                self.part(part, Alphabet::of_part(part.as_bytes()));
                rest = after;
                continue;
            }
            rest = match first {
                '\\' => self.escape(rest),
                '%' => self.percent(rest),
                _ => {
                    self.sign(first);
                    rest.strip_prefix(first).unwrap_or_default()
                }
            };
        }
        self.out
    }

    /// A run of ASCII in one alphabet.
    fn part(&mut self, part: &str, alphabet: Alphabet) {
        let end = part.trim_end_matches('=').len();
        let first = part.bytes().position(|byte| alphabet.replaces(byte));
        for (at, byte) in part.bytes().enumerate() {
            if alphabet.replaces(byte) {
                let chance = self.chance.next();
                let leading = (first == Some(at)).then_some(byte);
                self.out.push(char::from(alphabet.draw(chance, leading, at + 1 == end)));
            } else {
                self.out.push(char::from(byte));
            }
        }
    }

    /// `\n` stays; `\u00e9` becomes a letter written so.
    fn escape<'r>(&mut self, rest: &'r str) -> &'r str {
        let length = if rest.as_bytes().get(1) == Some(&b'u') { 6 } else { 2 };
        let (escape, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if escape.len() == 6 {
            self.out.push_str("\\u00");
            self.letter_in_hex();
        } else {
            self.out.push_str(escape);
        }
        after
    }

    /// `%41` becomes another letter written so; a lone `%` stays.
    fn percent<'r>(&mut self, rest: &'r str) -> &'r str {
        self.out.push('%');
        let rest = rest.strip_prefix('%').unwrap_or_default();
        match rest.split_at_checked(2) {
            Some((code, after)) if code.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                self.letter_in_hex();
                after
            }
            _ => rest,
        }
    }

    /// A letter from `a` to `o`, as two hex digits.
    fn letter_in_hex(&mut self) {
        self.out.push('6');
        self.out.push(char::from_digit(u32::from(self.chance.next() % 15) + 1, 16).unwrap_or('1'));
    }

    /// A sign stays; a letter of any other script becomes one that takes as many bytes.
    fn sign(&mut self, sign: char) {
        let chance = u32::from(self.chance.next());
        let other = match sign.len_utf8() {
            2 => char::from_u32(0xe0 + chance % 0x17),
            3 => char::from_u32(0x4e00 + chance % 0x1000),
            4 => char::from_u32(0x1_f600 + chance % 0x40),
            _ => None,
        };
        self.out.push(other.unwrap_or(sign));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::key;
    use super::*;

    fn masked(raw: &str) -> String {
        Pseudonyms::new(&key).of(raw)
    }

    #[test]
    fn a_pseudonym_has_the_length_and_the_kind_and_is_another() {
        let kind = |text: &str, is: fn(&u8) -> bool| text.bytes().all(|byte| is(&byte));
        for id in
            ["7", "u1", "user-17", "00012", "jane.doe@example.com", "+15551234567", "ünïcödé", "日本", "😀"]
        {
            let other = masked(id);
            assert!(other != id && other.len() == id.len(), "{id} → {other}");
            assert_eq!(other, masked(id));
        }
        let uuid = masked("6e5b2c52-9a5e-4f0b-9a0e-0d3a7c2d8c1f");
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(kind(&uuid.replace('-', ""), u8::is_ascii_hexdigit) && !uuid.contains('A'), "{uuid}");
        assert!(kind(&masked("3F2504E0"), |byte| byte.is_ascii_hexdigit() && !byte.is_ascii_lowercase()));
        assert!(kind(&masked("1234567890123"), u8::is_ascii_digit));
        assert!(kind(&masked("janedoe"), u8::is_ascii_lowercase));
        let mail = masked("jane77@mail.example.com");
        assert!(super::super::super::guard::holds_dii(&mail), "{mail} is an address still");
    }

    /// Which places hold digits must not tell the id.
    #[test]
    fn places_of_digits_are_not_kept() {
        let shape = |text: &str| text.bytes().map(|byte| byte.is_ascii_digit()).collect::<Vec<_>>();
        let ids = (0..64).map(|number| format!("{:032x}", 0x6e5b_2c52_9a5e_4f0b_u128 * (number + 3)));
        let kept = ids.filter(|id| shape(id) == shape(&masked(id))).count();
        assert!(kept < 4, "{kept}");
    }

    #[test]
    fn base64_stays_base64() {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        for length in [12_u8, 13, 14, 16, 32, 33, 64] {
            for seed in 0..32_u8 {
                let bytes: Vec<u8> =
                    (0..length).map(|at| seed.wrapping_mul(37).wrapping_add(at.wrapping_mul(91))).collect();
                let id = masked(&STANDARD.encode(&bytes));
                assert_eq!(STANDARD.decode(&id).map(|bytes| bytes.len()), Ok(bytes.len()), "{id}");
            }
        }
        let hash = masked(&URL_SAFE_NO_PAD.encode([0xa7; 32]));
        assert_eq!(URL_SAFE_NO_PAD.decode(&hash).map(|bytes| bytes.len()), Ok(32), "{hash}");
    }

    #[test]
    fn escapes_and_encodings_stay_such() {
        let raw = r#"a\u00e9\n\"b\/%4a%zz\ud83d\ude00"#;
        let other = masked(raw);
        assert_eq!(other.len(), raw.len());
        assert!(serde_json::from_str::<String>(&format!("\"{other}\"")).is_ok(), "{other}");
        assert!(other.contains(r#"\n\""#) && other.contains(r"\/%6"), "{other}");
        assert!(!other.contains("4a") && !other.contains("e9") && !other.contains("ud83d"), "{other}");
    }

    #[test]
    fn numbers_stay_numbers() {
        let of = |raw: &str| Pseudonyms::new(&key).of_number(raw);
        for raw in ["7", "-12", "1234567890", "0.5", "-1.25e-7", "100E5", "0"] {
            let other = of(raw);
            assert_eq!(other.len(), raw.len());
            assert!(serde_json::from_str::<serde_json::Number>(&other).is_ok(), "{raw} → {other}");
            assert!(raw == "0" || other != raw, "{raw}");
        }
        for raw in ["1.6252855035677072e+308", "-17e307", "1.7976931348623157E308"] {
            let masked = of(raw);
            assert!(masked != raw && masked.len() == raw.len(), "{masked}");
            assert!(masked.parse::<f64>().unwrap().is_finite(), "{masked}");
        }
    }

    #[test]
    fn what_says_nothing_stays() {
        for raw in ["", "-", "0", "00000000-0000-0000-0000-000000000000", ":://"] {
            assert_eq!(masked(raw), raw);
        }
    }

    /// Long texts do not repeat what they are made of.
    #[test]
    fn chance_goes_on() {
        let long = masked(&"a".repeat(4096));
        let (first, second) = long.split_at(2048);
        assert_ne!(first, second);
        assert_eq!(masked(&"a".repeat(4095)).len(), 4095);
    }
}
