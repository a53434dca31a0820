//! The first look: one pass over raw bytes that says whether a closer look is needed at all.
//!
//! Nearly every request has no DII, so this is what the guard costs. It may call for a closer look in vain, but never
//! misses: every e-mail address has an `@`, or hides it behind an escape or a per cent sign; a phone number is a `+`
//! before a digit, at the beginning of a string or keyword; a hash that goes has a certain length and stands under a name
//! that holds one of a few [groups of three letters](is_sign), or is the request's own, which is looked for without a
//! first look.

use super::shape::is_digit;

/// Bytes looked at together; the compiler turns a window into a few vector instructions.
const WINDOW: usize = 16;

/// Whether a JSON text may hold DII. Its first and last byte are taken to be a bracket or quote.
pub(super) fn suspicious(text: &[u8]) -> bool {
    let mut named = false;
    let mut at = 1;
    while let Some((before, here, after)) = windows(text, at) {
        let seen = window(before, here, after);
        if seen.plain {
            return true;
        }
        named |= seen.name;
        at += WINDOW;
    }
    let mut last = [b' '; WINDOW + 2];
    for (to, from) in last.iter_mut().zip(text.get(at - 1..).unwrap_or_default()) {
        *to = *from;
    }
    let Some((before, here, after)) = windows(&last, 1) else { return true };
    let seen = window(before, here, after);
    seen.plain || ((named || seen.name) && has_hash(text))
}

/// Whether a name may be one of those under which hashes go.
pub(super) fn may_name(name: &str) -> bool {
    let name = name.as_bytes();
    (0..name.len()).any(|at| {
        let byte = |at: usize| name.get(at).copied().unwrap_or(b'"');
        is_sign(at.checked_sub(1).map_or(b'"', byte), byte(at), byte(at + 1))
    })
}

type Window = [u8; WINDOW];

/// What was seen in a window.
struct Seen {
    /// A sign of an address, a phone number or an encoding.
    plain: bool,
    /// A part of a name.
    name: bool,
}

/// The window at an offset, and those one byte before and after it.
fn windows(text: &[u8], at: usize) -> Option<(&Window, &Window, &Window)> {
    let part = |from: usize| text.get(from..)?.first_chunk::<WINDOW>();
    Some((part(at - 1)?, part(at)?, part(at + 1)?))
}

#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a branch per byte would keep it from being vectorised")]
fn window(before: &Window, here: &Window, after: &Window) -> Seen {
    let (mut plain, mut name) = (false, false);
    for ((before, byte), after) in before.iter().zip(here).zip(after) {
        let (before, byte, after) = (*before, *byte, *after);
        plain |= (byte == b'@') | (byte == b'%') | (byte == b'\\');
        // Beside a quote, a comma or white space of any kind.
        plain |= (byte == b'+') & (after.wrapping_sub(b'0') < 10) & (before.wrapping_sub(b',' + 1) > 0x52);
        name |= is_sign(before, byte, after);
    }
    Seen { plain, name }
}

/// Letters of `mail`, `phone`, `mobile`, `msisdn`, `hem`, `tel`, and `he` before what is no letter, in any case.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a branch per byte would keep it from being vectorised")]
fn is_sign(before: u8, here: u8, after: u8) -> bool {
    let (before, here, after) = (before | 0x20, here | 0x20, after | 0x20);
    let no_letter = after.wrapping_sub(b'a') >= 26;
    let with_e = ((before == b'h') & ((after == b'm') | no_letter)) | ((before == b't') & (after == b'l'));
    ((here == b'e') & with_e)
        | ((before == b'a') & (here == b'i') & (after == b'l'))
        | ((before == b'h') & (here == b'o') & (after == b'n'))
        | ((before == b'o') & (here == b'b') & (after == b'i'))
        | ((before == b's') & (here == b'd') & (after == b'n'))
}

/// Whether anything in a text is as long as a hash.
fn has_hash(text: &[u8]) -> bool {
    text.split(|byte| !is_digit(*byte)).any(|part| matches!(part.len(), 32 | 40 | 43 | 64 | 86 | 128))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wherever a sign of DII stands, it is seen.
    #[test]
    fn no_position_hides_anything() {
        let hash = format!("hem\":\"{}\"", "0123456789abcdefABCDEF0123456789");
        let he = format!("\"HE\":\"{}=\"", "a-b_".repeat(10) + "xyz");
        for sign in ["a@b.example", "%40", r"\u0040", "\"+1555", ",+1555", "\u{a0}+1555", &hash, &he] {
            for at in 0..40 {
                for rest in 0..40 {
                    let text = format!("{{\"{}{sign}{}\"}}", "x".repeat(at), "y".repeat(rest));
                    assert!(suspicious(text.as_bytes()), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_looks_like_other_ids_is_let_through() {
        for clean in [
            "{}",
            "[]",
            "\"\"",
            r#"{"id":"6e5b2c52-9a5e-4f0b-9a0e-0d3a7c2d8c1f","x":[1,2.5e+10]}"#,
            r#"{"keywords":"a,b+1,c","id":"A4AAAABlIC+7EiMyQl/Jico"}"#,
            r#"{"x":"0123456789abcde 0123456789abcde 012345","hem":"7"}"#,
            r#"{"x":"0123456789abcdef0123456789abcdef","y":"tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf/F5HVRQ="}"#,
        ] {
            assert!(!suspicious(clean.as_bytes()), "{clean}");
        }
    }
}
