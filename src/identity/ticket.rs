//! Tickets: sealed words of whose something is, kept by browsers and apps for us.
//!
//! ```text
//! version 1 | scope 1 | has other 1 | key 32 | key under the other scope 32 | login 8 | until 8       then sealed
//! ```
//!
//! A session token is one, made at login for whoever has no key of ours: it names the user, and the login by its
//! moment. Once the user logged out or in again, it yields nothing; what it names is looked for among the markers all
//! the same. In a cookie that the gateway writes stands one without an end, sealed for that purpose, so that a logout
//! finds it; as a session token it is worth nothing.

use std::sync::Arc;
use std::time::Duration;

use super::{Absence, Identities, Inner, LoginError, Publisher, Resolution, Subject};
use crate::privacy::Consent;
use crate::secret::Secret;
use crate::store::{Purpose, RecordKey, Sealed, State, StoreError};
use crate::time::UnixMillis;
use crate::uid2::Scope;

const VERSION: u8 = 1;
const LENGTH: usize = 3 + 32 + 32 + 8 + 8;

/// No ticket is longer, bytes of text.
const MAX_TEXT: usize = 256;

/// Whose something is. Only a text that opened makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ticket {
    pub(super) scope: Scope,
    pub(super) key: RecordKey,
    /// The same user under the publisher's other scope, where it has both.
    pub(super) other: Option<RecordKey>,
    /// When the login was made that it came of.
    pub(super) login: UnixMillis,
    /// From here on it names its user and yields nothing.
    pub(super) until: UnixMillis,
}

impl Ticket {
    /// The user's key.
    pub fn key(&self) -> RecordKey {
        self.key
    }

    /// The user's key under the publisher's other scope, where it has both.
    pub fn other(&self) -> Option<RecordKey> {
        self.other
    }

    /// UID2 or EUID.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// When the login was made that it came of.
    pub fn login(&self) -> UnixMillis {
        self.login
    }

    fn bytes(&self) -> [u8; LENGTH] {
        let mut out = [0; LENGTH];
        let other = self.other.map_or([0; 32], |key| *key.as_bytes());
        let parts: [&[u8]; 5] = [
            &[VERSION, self.scope.bit(), u8::from(self.other.is_some())],
            self.key.as_bytes(),
            &other,
            &self.login.0.to_le_bytes(),
            &self.until.0.to_le_bytes(),
        ];
        out.iter_mut().zip(parts.concat()).for_each(|(to, from)| *to = from);
        out
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<3>()?;
        let (key, rest) = rest.split_first_chunk::<32>()?;
        let (other, rest) = rest.split_first_chunk::<32>()?;
        let (login, rest) = rest.split_first_chunk::<8>()?;
        let until: &[u8; 8] = rest.try_into().ok()?;
        let [VERSION, scope, has_other @ (0 | 1)] = *head else { return None };
        let time = |bytes: &[u8; 8]| UnixMillis(i64::from_le_bytes(*bytes));
        Some(Self {
            scope: [Scope::Uid2, Scope::Euid].into_iter().find(|known| known.bit() == scope)?,
            key: RecordKey::from_bytes(*key),
            other: (has_other == 1).then(|| RecordKey::from_bytes(*other)),
            login: time(login),
            until: time(until),
        })
    }
}

impl Identities {
    /// A session token for the user who logged in under this key; `None`: they are there no more.
    pub async fn session(
        &self,
        publisher: &Publisher,
        key: RecordKey,
        other: Option<RecordKey>,
    ) -> Result<Option<Secret<String>>, LoginError> {
        let (inner, publisher) = (Arc::clone(&self.0), publisher.clone());
        self.on_control(async move {
            let record = inner.store.read(key).await?;
            let Some(record) = record.filter(|record| matches!(record.state, State::Active(_))) else {
                return Ok(None);
            };
            publisher.may_touch(&record)?;
            let until = inner.clock.now().plus(inner.settings.session_ttl_ms);
            let ticket = Ticket { scope: publisher.scope(), key, other, login: record.created, until };
            Ok(Some(inner.sealed_ticket(&publisher, Purpose::Session, &ticket)?))
        })
        .await
    }

    /// Whose a session token is; `None`: it is none of this publisher's.
    pub fn session_of(&self, publisher: &Publisher, text: &[u8]) -> Option<Ticket> {
        self.0.opened_ticket(publisher, Purpose::Session, text)
    }

    /// What may be sent for the user of a session token that counts. Never fails and never waits longer than
    /// `patience` and `identity.wait_ms`.
    pub async fn of_session(
        &self,
        publisher: &Publisher,
        subject: &Subject,
        consent: Consent,
        patience: impl FnOnce() -> Duration,
    ) -> Resolution {
        let nothing = Resolution::Absent(Absence::NoHint);
        let Some(ticket) = subject.session.as_deref() else { return nothing };
        if ticket.scope != publisher.scope() || ticket.until <= self.0.clock.now() {
            return nothing;
        }
        match self.of_ticket(publisher, ticket, consent, patience).await {
            // Somebody logged in since: this session is over.
            Resolution::Token(token) if token.login != ticket.login => nothing,
            resolution => resolution,
        }
    }

    /// What may be sent for the user whom a ticket names.
    pub(super) async fn of_ticket(
        &self,
        publisher: &Publisher,
        ticket: &Ticket,
        consent: Consent,
        patience: impl FnOnce() -> Duration,
    ) -> Resolution {
        let user = Subject { user: Some(ticket.key), ..Subject::default() };
        let seen = self.see(&user);
        if let Some(denial) = seen.denial() {
            return Resolution::Denied(denial);
        }
        self.resolve(publisher, (&user, seen), consent, patience).await
    }
}

impl Inner {
    pub(super) fn sealed_ticket(
        &self,
        publisher: &Publisher,
        purpose: Purpose,
        ticket: &Ticket,
    ) -> Result<Secret<String>, StoreError> {
        let place = Sealed { purpose, publisher: &publisher.id, scope: None };
        self.store.seal_for(&place, &ticket.bytes()).map(Secret::new)
    }

    pub(super) fn opened_ticket(
        &self,
        publisher: &Publisher,
        purpose: Purpose,
        text: &[u8],
    ) -> Option<Ticket> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let place = Sealed { purpose, publisher: &publisher.id, scope: None };
        Ticket::read(self.store.open_for(&place, text)?.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_reads_back_and_nothing_else_does() {
        let key = |n| RecordKey::from_bytes([n; 32]);
        for (scope, other) in [(Scope::Uid2, None), (Scope::Euid, Some(key(2)))] {
            let ticket = Ticket { scope, key: key(1), other, login: UnixMillis(3), until: UnixMillis(-4) };
            let bytes = ticket.bytes();
            assert_eq!(Ticket::read(&bytes).as_ref(), Some(&ticket));
            for length in 0..LENGTH {
                assert_eq!(Ticket::read(&bytes[..length]), None, "{length} bytes");
            }
            assert_eq!(Ticket::read(&[&bytes[..], &[0]].concat()), None);
            for at in 0..3 {
                let mut changed = bytes;
                changed[at] = 9;
                assert_eq!(Ticket::read(&changed), None, "byte {at}");
            }
        }
    }
}
