//! Text forms as the operator reads them: Java's lenient base64, base64url, hex.

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Standard alphabet; padding may lack and spare bits may be set, but no white space.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);

/// base64url without padding, the form of a v4 advertising token.
pub(super) const URL: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG.with_encode_padding(false));

/// Either alphabet, as the readers of advertising tokens take them.
pub(super) fn from_any_base64(text: &str) -> Option<Vec<u8>> {
    let url = text.bytes().any(|b| matches!(b, b'-' | b'_'));
    if url { URL.decode(text).ok() } else { LENIENT.decode(text).ok() }
}

/// Hex digits of either case.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Lower-case hex.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|d| char::from_digit(u32::from(d), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_both_ways() {
        assert_eq!(from_hex("00ffA7"), Some(vec![0, 255, 0xa7]));
        assert_eq!(to_hex(&[0, 255, 0xa7]), "00ffa7");
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("0x"), None);
    }

    #[test]
    fn base64_is_as_lenient_as_java() {
        assert_eq!(LENIENT.decode("AQ==").ok(), Some(vec![1]));
        assert_eq!(LENIENT.decode("AQ").ok(), Some(vec![1]));
        assert!(LENIENT.decode("AQ==\n").is_err());
        assert_eq!(from_any_base64("-_-_"), from_any_base64("+/+/"));
        assert_eq!(from_any_base64("+/-_"), None);
    }
}
