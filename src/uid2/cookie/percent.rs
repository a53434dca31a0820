//! `encodeURIComponent` and its inverse: so the browser SDK and Prebid write and read a cookie's value.

/// Percent-encodes a text as `encodeURIComponent` does (ECMA-262 §19.2.6.4).
pub(super) fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| char::from(HEX.get(usize::from(value)).copied().unwrap_or_default());
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// Undoes percent-encoding; `None` where an escape is not complete or the bytes are no UTF-8.
pub(super) fn decode(value: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        out.push(digit(*high)? << 4 | digit(*low)?);
        rest = tail;
    }
    String::from_utf8(out).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_texts_decode() {
        for (encoded, text) in [
            (&b""[..], ""),
            (b"%7B%22%C3%A9%3D%22%3A%5B1%2C%202%5D%7D", "{\"é=\":[1, 2]}"),
            (b"a%3Db%3Bc%2C%20d%25", "a=b;c, d%"),
            (b"%E6%97%A5%E6%9C%AC%00", "日本\0"),
            (b"-_.!~*'()", "-_.!~*'()"),
        ] {
            assert_eq!(decode(encoded).as_deref(), Some(text));
            assert_eq!(encode(text).as_bytes(), encoded);
        }
    }

    #[test]
    fn what_is_not_encoded_stays_and_what_is_broken_is_refused() {
        assert_eq!(decode(b"{\"a+b\":1}").as_deref(), Some("{\"a+b\":1}"));
        assert_eq!(decode(b"%7b%7D").as_deref(), Some("{}"));
        for broken in [&b"%"[..], b"%7", b"%zz", b"a%", b"%ff", b"\xff"] {
            assert_eq!(decode(broken), None, "{}", broken.escape_ascii());
        }
    }
}
