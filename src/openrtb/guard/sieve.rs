//! The first look: one pass over raw bytes that says whether a closer look is needed at all.
//!
//! Nearly every request has no DII, so this is what the guard costs. It may call for a closer look in vain, but never
//! misses: every e-mail address has an `@`, or hides it behind an escape or a per cent sign; a phone number is a `+`
//! before a digit, at the beginning of a string or keyword; 32 hex digits or more hold 16 that stand aligned; the
//! base64 of 32 bytes ends in `=`.

/// Bytes looked at together; the compiler turns a window into a few vector instructions.
const WINDOW: usize = 16;

/// Whether a JSON text may hold DII. Its first and last byte are taken to be a bracket or quote.
pub(super) fn suspicious(text: &[u8]) -> bool {
    let mut at = 1;
    while let Some((before, here, after)) = windows(text, at) {
        if window(before, here, after) {
            return true;
        }
        at += WINDOW;
    }
    let mut last = [b' '; WINDOW + 2];
    for (to, from) in last.iter_mut().zip(text.get(at - 1..).unwrap_or_default()) {
        *to = *from;
    }
    windows(&last, 1).is_none_or(|(before, here, after)| window(before, here, after))
}

type Window = [u8; WINDOW];

/// The window at an offset, and those one byte before and after it.
fn windows(text: &[u8], at: usize) -> Option<(&Window, &Window, &Window)> {
    let part = |from: usize| text.get(from..)?.first_chunk::<WINDOW>();
    Some((part(at - 1)?, part(at)?, part(at + 1)?))
}

#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a branch per byte would keep it from being vectorised")]
fn window(before: &Window, here: &Window, after: &Window) -> bool {
    let (mut found, mut all_hex) = (false, true);
    for ((before, byte), after) in before.iter().zip(here).zip(after) {
        let (before, byte, after) = (*before, *byte, *after);
        let digit = byte.wrapping_sub(b'0') < 10;
        all_hex &= digit | ((byte | 0x20).wrapping_sub(b'a') < 6);
        found |= (byte == b'@') | (byte == b'%') | (byte == b'\\');
        // Beside a quote, a comma or white space of any kind.
        found |= (byte == b'+') & (after.wrapping_sub(b'0') < 10) & (before.wrapping_sub(b',' + 1) > 0x52);
        found |= (byte == b'=') & (after.wrapping_sub(b',' + 1) > 0x52);
    }
    found | all_hex
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wherever a sign of DII stands, it is seen.
    #[test]
    fn no_position_hides_anything() {
        let hex = "0123456789abcdefABCDEF0123456789";
        for sign in
            ["a@b.example", "%40", r"\u0040", "\"+1555", ",+1555", "\u{a0}+1555", "=\"", "=,", "= ", hex]
        {
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
            r#"{"x":"0123456789abcde 0123456789abcde 012345"}"#,
        ] {
            assert!(!suspicious(clean.as_bytes()), "{clean}");
        }
    }
}
