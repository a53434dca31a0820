//! What others keep for us: cookies and session tokens, sealed as records are, under the keys of the store.
//!
//! Bound to what it is for, to the publisher and, where that is given, to the scope: nothing opens as something else,
//! and nothing of one publisher opens for another. In cookies and headers it stands as base64url without padding.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Store;
use super::error::StoreError;
use crate::secret::Secret;
use crate::uid2::Scope;

const DOMAIN: &[u8; 14] = b"uid2gw/handed/";

/// What a sealed text is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A session token.
    Session,
    /// The value of a cookie.
    Cookie,
    /// Whose a cookie is, inside its value.
    Ticket,
}

/// What a sealed text is bound to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sealed<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// The publisher's id in the configuration.
    pub publisher: &'a str,
    /// `None`: any scope; the text itself tells.
    pub scope: Option<Scope>,
}

impl Sealed<'_> {
    fn bytes(&self) -> Vec<u8> {
        let purpose = match self.purpose {
            Purpose::Session => b's',
            Purpose::Cookie => b'c',
            Purpose::Ticket => b't',
        };
        let scope = match self.scope {
            None => b'*',
            Some(Scope::Uid2) => b'u',
            Some(Scope::Euid) => b'e',
        };
        let mut bytes = DOMAIN.to_vec();
        bytes.extend([purpose, scope]);
        bytes.extend_from_slice(self.publisher.as_bytes());
        bytes
    }
}

impl Store {
    /// Seals a text under the current key.
    pub fn seal_for(&self, place: &Sealed<'_>, plain: &[u8]) -> Result<String, StoreError> {
        let mut out = Vec::new();
        self.0.ring.seal(&place.bytes(), plain, &mut out)?;
        Ok(URL_SAFE_NO_PAD.encode(out))
    }

    /// Opens what was sealed for the same, under the current key or one before it; `None`: it was not, whoever made it.
    pub fn open_for(&self, place: &Sealed<'_>, sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let opened = self.0.ring.open(&place.bytes(), &bytes).ok()?;
        Some(Secret::new(opened.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Metrics, Settings};
    use super::*;
    use crate::telemetry::Registry;
    use crate::time::{Clock, UnixMillis};

    fn store(current: u8, previous: &[u8]) -> Store {
        let settings = Settings {
            kind: Kind::Memory,
            encryption_key: Secret::new([current; 32]),
            previous_keys: previous.iter().map(|byte| Secret::new([*byte; 32])).collect(),
            queue: 1,
        };
        let metrics = Metrics::register(&Registry::new()).unwrap();
        Store::open(settings, Clock::manual(UnixMillis(0)), metrics).unwrap()
    }

    const PLACE: Sealed<'_> =
        Sealed { purpose: Purpose::Session, publisher: "acme", scope: Some(Scope::Uid2) };

    #[test]
    fn what_is_sealed_opens_for_the_same_alone() {
        let store = store(1, &[]);
        let text = store.seal_for(&PLACE, b"secret").unwrap();
        assert_eq!(store.open_for(&PLACE, text.as_bytes()).unwrap().expose(), b"secret");
        assert_ne!(store.seal_for(&PLACE, b"secret").unwrap(), text, "never the same twice");
        for other in [
            Sealed { purpose: Purpose::Cookie, ..PLACE },
            Sealed { purpose: Purpose::Ticket, ..PLACE },
            Sealed { publisher: "acm", ..PLACE },
            Sealed { publisher: "", ..PLACE },
            Sealed { scope: Some(Scope::Euid), ..PLACE },
            Sealed { scope: None, ..PLACE },
        ] {
            assert!(store.open_for(&other, text.as_bytes()).is_none(), "{other:?}");
        }
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(store.open_for(&PLACE, &changed).is_none(), "byte {at}");
            assert!(store.open_for(&PLACE, &text.as_bytes()[..at]).is_none(), "{at} bytes");
        }
    }

    #[test]
    fn previous_keys_open_for_as_long_as_they_are_there() {
        let old = store(1, &[]).seal_for(&PLACE, b"secret").unwrap();
        assert!(store(2, &[1]).open_for(&PLACE, old.as_bytes()).is_some());
        assert!(store(2, &[]).open_for(&PLACE, old.as_bytes()).is_none());
    }
}
