//! An identity as a publisher holds it: three opaque strings, three times, and the phase they put it in.

use super::scope::Scope;
use crate::secret::Secret;
use crate::time::UnixMillis;

/// Longest advertising token accepted (`ref-info/ref-tokens.md`: allow 500 characters).
pub const MAX_TOKEN_CHARS: usize = 500;

/// Shorter than any token an operator makes: legacy version 2 has 180 characters, versions 3 and 4 have 218 to 220
/// (uid2-protocol §4.4). Hashes, raw UIDs and whatever else may stand in a token's place are shorter still.
pub const MIN_TOKEN_CHARS: usize = 150;

/// A raw UID2 is 32 or 33 bytes, 44 characters of base64; it must never reach the bid stream.
const RAW_UID_CHARS: usize = 44;

/// An advertising token: opaque, case-sensitive, sent byte for byte. Safe to place in JSON without escaping.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AdvertisingToken(Box<str>);

/// Why a text is not an advertising token. Never holds the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TokenError {
    /// No characters.
    #[error("advertising token is empty")]
    Empty,
    /// More than [`MAX_TOKEN_CHARS`].
    #[error("advertising token is longer than 500 characters")]
    TooLong,
    /// A character outside base64 and base64url.
    #[error("advertising token holds a character outside base64 and base64url")]
    Alphabet,
    /// Shaped like a raw UID2.
    #[error("advertising token is shaped like a raw UID2")]
    RawUid,
}

impl AdvertisingToken {
    /// Checks alphabet and length; nothing is trimmed or re-encoded.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        match text.len() {
            0 => return Err(TokenError::Empty),
            RAW_UID_CHARS => return Err(TokenError::RawUid),
            n if n > MAX_TOKEN_CHARS => return Err(TokenError::TooLong),
            _ => {}
        }
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'/' | b'=');
        if !text.bytes().all(legal) {
            return Err(TokenError::Alphabet);
        }
        Ok(Self(text.into()))
    }

    /// Whether it looks like a token that an operator of this scope made: asked where a stranger brings it. The first
    /// six bits of a token are those of its scope and kind of identifier (uid2-protocol §4.4): `A` e-mail and `B` phone of
    /// UID2, `E` and `F` of EUID; a token of legacy version 2 begins with `A`, too.
    pub fn looks_made_for(&self, scope: Scope) -> bool {
        let first = match scope {
            Scope::Uid2 => ['A', 'B'],
            Scope::Euid => ['E', 'F'],
        };
        let hex = self.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.0.len() >= MIN_TOKEN_CHARS && self.0.starts_with(first) && !hex
    }

    /// The text, as it goes into `uids[].id`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for AdvertisingToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[token]")
    }
}

/// The three times of an identity (uid2-protocol §3.1), all absolute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// From here on the identity should be refreshed.
    pub refresh_from: UnixMillis,
    /// The advertising token is dead from here on.
    pub identity_expires: UnixMillis,
    /// The refresh token is dead from here on.
    pub refresh_expires: UnixMillis,
}

/// What the times say of an identity now; the table stands in the architecture section of `lib.rs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Use it.
    Fresh,
    /// Use it, and refresh it beside.
    Due,
    /// Not usable until refreshed.
    Lapsed,
    /// Neither usable nor refreshable.
    Dead,
}

impl Times {
    /// The phase at `now`; a token within `margin_ms` of its expiry counts as expired already (DSPs check late).
    pub fn phase(&self, now: UnixMillis, margin_ms: i64) -> Phase {
        if now >= self.refresh_expires && now.plus(margin_ms) >= self.identity_expires {
            Phase::Dead
        } else if now.plus(margin_ms) >= self.identity_expires {
            Phase::Lapsed
        } else if now >= self.refresh_from {
            Phase::Due
        } else {
            Phase::Fresh
        }
    }
}

/// One atomic unit: the token, what renews it, and when. Replaced whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// What goes into the bid stream.
    pub advertising_token: AdvertisingToken,
    /// Opaque; 388 characters today.
    pub refresh_token: Secret<String>,
    /// Base64 AES-256 key that opens the answer to a refresh with this refresh token.
    pub refresh_response_key: Secret<String>,
    /// When it must be refreshed, and when its parts die.
    pub times: Times,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        refresh_from: UnixMillis(1_000),
        identity_expires: UnixMillis(5_000),
        refresh_expires: UnixMillis(9_000),
    };

    #[test]
    fn phases_change_exactly_at_their_times() {
        let at = |ms| TIMES.phase(UnixMillis(ms), 100);
        assert_eq!(at(999), Phase::Fresh);
        assert_eq!(at(1_000), Phase::Due);
        assert_eq!(at(4_899), Phase::Due);
        assert_eq!(at(4_900), Phase::Lapsed);
        assert_eq!(at(8_999), Phase::Lapsed);
        assert_eq!(at(9_000), Phase::Dead);
    }

    #[test]
    fn tokens_are_checked_at_their_bounds() {
        let of = |n: usize| AdvertisingToken::parse(&"A".repeat(n));
        assert_eq!(of(0), Err(TokenError::Empty));
        assert!(of(43).is_ok() && of(45).is_ok() && of(500).is_ok());
        assert_eq!(of(44), Err(TokenError::RawUid));
        assert_eq!(of(501), Err(TokenError::TooLong));
        assert_eq!(AdvertisingToken::parse("a\"b"), Err(TokenError::Alphabet));
    }

    #[test]
    fn a_token_looks_like_one_of_its_scope() {
        let of = |first: &str, n: usize| {
            let text = format!("{first}{}", "-".repeat(n - first.len()));
            let token = AdvertisingToken::parse(&text).unwrap();
            [Scope::Uid2, Scope::Euid].map(|scope| token.looks_made_for(scope))
        };
        for first in ["A4", "A3", "B4", "Ag"] {
            assert_eq!(of(first, MIN_TOKEN_CHARS), [true, false], "{first}");
        }
        for first in ["E4", "E3", "F4"] {
            assert_eq!(of(first, MIN_TOKEN_CHARS), [false, true], "{first}");
        }
        for other in ["C4", "I4", "a4", "44", "-"] {
            assert_eq!(of(other, MIN_TOKEN_CHARS), [false, false], "{other}");
        }
        assert_eq!(of("A4", MIN_TOKEN_CHARS - 1), [false, false]);
        for hex in ["A".repeat(200), format!("{}f", "E0".repeat(100)), "1".repeat(200)] {
            let token = AdvertisingToken::parse(&hex).unwrap();
            assert!(!token.looks_made_for(Scope::Uid2) && !token.looks_made_for(Scope::Euid), "{hex}");
        }
    }
}
