//! The body of a record as bytes. Numbers are little-endian, texts stand behind their length.
//!
//! ```text
//! publisher text | dii: 0, or 1 and 32 bytes | origin 1 | created 8 | written 8 | provider text, empty for none | what was
//! said of privacy | state 1
//!   alias: record key 32
//!   active: token packed | refresh token packed | response key packed | refresh_from 8 | identity_expires 8 | refresh_expires 8
//! text   = length 2, bytes
//! packed = form 1, length 2, bytes: as it is, or what its base64 stands for, where that gives back the same text
//! ```

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::privacy::Said;
use crate::secret::Secret;
use crate::time::UnixMillis;
use crate::uid2::{AdvertisingToken, Identity, Times, TokenError};

use super::codec_said as privacy;
use super::key::RecordKey;
use super::record::{Origin, Record, State};

const FORM_TEXT: u8 = 0;
const FORM_BASE64: u8 = 1;
const FORM_BASE64URL: u8 = 2;

const STATE_ACTIVE: u8 = 1;
const STATE_OPTED_OUT: u8 = 2;
const STATE_LOGGED_OUT: u8 = 3;
const STATE_ALIAS: u8 = 4;

const ORIGIN_LOGIN: u8 = 1;
const ORIGIN_IMPORT: u8 = 2;
const ORIGIN_ID_TOKEN: u8 = 3;
const ORIGIN_DII: u8 = 4;

/// Why a record's bytes do not read, or cannot be written. Never holds a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("ends inside {0}")]
    Short(&'static str),
    /// Bytes are left over.
    #[error("{0} bytes too many")]
    Trailing(usize),
    /// Written by a version of the gateway this one does not know.
    #[error("record version {0} is not known")]
    Version(u8),
    /// A byte that stands for one of a list stands for none.
    #[error("{field} {value} is not known")]
    Unknown {
        /// Which list.
        field: &'static str,
        /// The byte.
        value: u8,
    },
    /// Bytes that should be text are not UTF-8.
    #[error("{0} is not text")]
    Text(&'static str),
    /// The advertising token is none.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// A text of more than 65 535 bytes cannot be written.
    #[error("{0} is too long to be stored")]
    TooLong(&'static str),
}

/// What the body holds; the rest of a record stands in the header.
pub(super) struct Body {
    pub(super) publisher: String,
    pub(super) dii: Option<RecordKey>,
    pub(super) origin: Origin,
    pub(super) provider: Option<String>,
    pub(super) said: Said,
    pub(super) created: UnixMillis,
    pub(super) written: UnixMillis,
    pub(super) state: State,
}

/// The body of a record.
pub(super) fn encode(record: &Record) -> Result<Zeroizing<Vec<u8>>, CodecError> {
    let mut out = Zeroizing::new(Vec::with_capacity(1024));
    text(&mut out, "publisher", record.publisher.as_bytes())?;
    match &record.dii {
        None => out.push(0),
        Some(key) => {
            out.push(1);
            out.extend_from_slice(key.as_bytes());
        }
    }
    out.push(match record.origin {
        Origin::Login => ORIGIN_LOGIN,
        Origin::Import => ORIGIN_IMPORT,
        Origin::IdToken => ORIGIN_ID_TOKEN,
        Origin::Dii => ORIGIN_DII,
    });
    time(&mut out, record.created);
    time(&mut out, record.written);
    text(&mut out, "provider", record.provider.as_deref().unwrap_or_default().as_bytes())?;
    privacy::encode(&mut out, &record.said)?;
    match &record.state {
        State::Active(identity) => active(&mut out, identity)?,
        State::OptedOut => out.push(STATE_OPTED_OUT),
        State::LoggedOut => out.push(STATE_LOGGED_OUT),
        State::Alias(user) => {
            out.push(STATE_ALIAS);
            out.extend_from_slice(user.as_bytes());
        }
    }
    Ok(out)
}

fn active(out: &mut Vec<u8>, identity: &Identity) -> Result<(), CodecError> {
    out.push(STATE_ACTIVE);
    packed(out, "advertising token", identity.advertising_token.as_str())?;
    packed(out, "refresh token", identity.refresh_token.expose())?;
    packed(out, "response key", identity.refresh_response_key.expose())?;
    time(out, identity.times.refresh_from);
    time(out, identity.times.identity_expires);
    time(out, identity.times.refresh_expires);
    Ok(())
}

pub(super) fn text(out: &mut Vec<u8>, field: &'static str, bytes: &[u8]) -> Result<(), CodecError> {
    let length = u16::try_from(bytes.len()).map_err(|_| CodecError::TooLong(field))?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Tokens are base64 today, but a token is opaque: only what comes back letter for letter is stored decoded.
fn packed(out: &mut Vec<u8>, field: &'static str, value: &str) -> Result<(), CodecError> {
    for (form, engine) in [(FORM_BASE64, &STANDARD), (FORM_BASE64URL, &URL_SAFE_NO_PAD)] {
        if let Some(bytes) = unbase64(engine, value) {
            out.push(form);
            return text(out, field, &bytes);
        }
    }
    out.push(FORM_TEXT);
    text(out, field, value.as_bytes())
}

fn unbase64(engine: &GeneralPurpose, value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = Zeroizing::new(engine.decode(value).ok()?);
    let back = Zeroizing::new(engine.encode(bytes.as_slice()));
    (back.as_str() == value).then_some(bytes)
}

fn time(out: &mut Vec<u8>, at: UnixMillis) {
    out.extend_from_slice(&at.0.to_le_bytes());
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Result<Body, CodecError> {
    let mut from = Cursor(bytes);
    let body = Body {
        publisher: from.utf8("publisher")?,
        dii: match from.byte("dii")? {
            0 => None,
            1 => Some(RecordKey::from_bytes(from.array("dii")?)),
            value => return Err(CodecError::Unknown { field: "dii", value }),
        },
        origin: match from.byte("origin")? {
            ORIGIN_LOGIN => Origin::Login,
            ORIGIN_IMPORT => Origin::Import,
            ORIGIN_ID_TOKEN => Origin::IdToken,
            ORIGIN_DII => Origin::Dii,
            value => return Err(CodecError::Unknown { field: "origin", value }),
        },
        created: from.time("created")?,
        written: from.time("written")?,
        provider: Some(from.utf8("provider")?).filter(|id| !id.is_empty()),
        said: privacy::decode(&mut from)?,
        state: match from.byte("state")? {
            STATE_ACTIVE => State::Active(from.identity()?),
            STATE_OPTED_OUT => State::OptedOut,
            STATE_LOGGED_OUT => State::LoggedOut,
            STATE_ALIAS => State::Alias(RecordKey::from_bytes(from.array("alias")?)),
            value => return Err(CodecError::Unknown { field: "state", value }),
        },
    };
    match from.0.len() {
        0 => Ok(body),
        left => Err(CodecError::Trailing(left)),
    }
}

/// What is left to read.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, field: &'static str, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CodecError::Short(field))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CodecError::Short(field))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, CodecError> {
        self.array(field).map(|[byte]| byte)
    }

    pub(super) fn time(&mut self, field: &'static str) -> Result<UnixMillis, CodecError> {
        self.array(field).map(|bytes| UnixMillis(i64::from_le_bytes(bytes)))
    }

    fn text(&mut self, field: &'static str) -> Result<&'a [u8], CodecError> {
        let length = u16::from_le_bytes(self.array(field)?);
        self.take(field, usize::from(length))
    }

    pub(super) fn utf8(&mut self, field: &'static str) -> Result<String, CodecError> {
        let bytes = self.text(field)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| CodecError::Text(field))
    }

    fn packed(&mut self, field: &'static str) -> Result<String, CodecError> {
        match self.byte(field)? {
            FORM_TEXT => self.utf8(field),
            FORM_BASE64 => self.text(field).map(|bytes| STANDARD.encode(bytes)),
            FORM_BASE64URL => self.text(field).map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
            value => Err(CodecError::Unknown { field: "form", value }),
        }
    }

    fn identity(&mut self) -> Result<Identity, CodecError> {
        Ok(Identity {
            advertising_token: AdvertisingToken::parse(&self.packed("advertising token")?)?,
            refresh_token: Secret::new(self.packed("refresh token")?),
            refresh_response_key: Secret::new(self.packed("response key")?),
            times: Times {
                refresh_from: self.time("refresh_from")?,
                identity_expires: self.time("identity_expires")?,
                refresh_expires: self.time("refresh_expires")?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples;
    use super::*;

    fn round_trip(record: &Record) {
        let bytes = encode(record).unwrap();
        let body = decode(&bytes).unwrap();
        assert_eq!(body.publisher, record.publisher);
        assert_eq!(body.dii, record.dii);
        assert_eq!(body.origin, record.origin);
        assert_eq!((&body.provider, &body.said), (&record.provider, &record.said));
        assert_eq!((body.created, body.written), (record.created, record.written));
        assert_eq!(body.state, record.state);
    }

    #[test]
    fn every_state_and_origin_comes_back() {
        let active = samples::record(1);
        for state in [active.state.clone(), State::OptedOut, State::LoggedOut, State::Alias(samples::key(9))]
        {
            for origin in [Origin::Login, Origin::Import, Origin::IdToken, Origin::Dii] {
                round_trip(&Record { state: state.clone(), origin, dii: None, ..active.clone() });
            }
        }
    }

    #[test]
    fn base64_is_stored_decoded() {
        let bytes = encode(&samples::record(1)).unwrap();
        let texts = samples::TOKEN.len() + samples::REFRESH.len() + samples::RESPONSE_KEY.len();
        assert!(bytes.len() < texts * 3 / 4 + 120, "{} bytes for {texts} of text", bytes.len());
    }

    #[test]
    fn the_longest_text_is_65535_bytes() {
        let of = |length| Record { publisher: "p".repeat(length), ..samples::record(1) };
        round_trip(&of(65_535));
        assert_eq!(encode(&of(65_536)).unwrap_err(), CodecError::TooLong("publisher"));
    }

    #[test]
    fn cut_and_padded_bytes_are_typed_errors() {
        let bytes = encode(&samples::record(1)).unwrap();
        for length in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..length]), Err(CodecError::Short(_))), "{length} bytes");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(matches!(decode(&longer), Err(CodecError::Trailing(1))));
    }

    proptest! {
        #[test]
        fn any_text_comes_back_letter_for_letter(value in "[A-Za-z0-9+/=_-]{0,60}|\\PC{0,40}") {
            let mut out = Vec::new();
            packed(&mut out, "text", &value).unwrap();
            let mut from = Cursor(&out);
            prop_assert_eq!(from.packed("text").unwrap(), value);
            prop_assert!(from.0.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&bytes));
        }
    }
}
