//! What the store keeps of one user, and what a writer hands in and gets back.

use crate::privacy::Said;
use crate::time::UnixMillis;
use crate::uid2::{Environment, Identity, Scope};

use super::key::RecordKey;

/// What is known of the user: one atomic unit, replaced whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// An identity, usable or refreshable.
    Active(Identity),
    /// The operator said the user opted out.
    OptedOut,
    /// The user logged out; stays a while so that a late answer loses.
    LoggedOut,
    /// The identity of this e-mail address or phone number stands under the key of this user.
    Alias(RecordKey),
}

impl State {
    /// Marks that a user left.
    pub(super) fn is_left(&self) -> bool {
        matches!(self, Self::OptedOut | Self::LoggedOut)
    }
}

/// How the identity came to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// Login through the identity API.
    Login,
    /// An identity made elsewhere and handed to us.
    Import,
    /// A verified ID token of an identity provider.
    IdToken,
    /// A hash of an e-mail address or phone number that came with an ad request.
    Dii,
}

/// One record as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Grows with each write of this key; never 0.
    pub generation: u64,
    /// The publisher's id in the configuration.
    pub publisher: String,
    /// UID2 or EUID.
    pub scope: Scope,
    /// The operator environment the identity was made in.
    pub environment: Environment,
    /// The key of the hashed e-mail address or phone number behind it, where known (for its opt-out).
    pub dii: Option<RecordKey>,
    /// How it came to be.
    pub origin: Origin,
    /// The identity provider on whose word it was made, by its id in the configuration.
    pub provider: Option<String>,
    /// What was said of the user's privacy at login.
    pub said: Said,
    /// When the identity was first made.
    pub created: UnixMillis,
    /// When this generation was written.
    pub written: UnixMillis,
    /// From here on the record reads as absent.
    pub keep_until: UnixMillis,
    /// What is known of the user.
    pub state: State,
}

impl Record {
    /// Whether the record still counts at `now`.
    pub fn live(&self, now: UnixMillis) -> bool {
        self.keep_until > now
    }
}

/// A record to be written: what [`Record`] holds besides what the store itself decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// The publisher's id in the configuration; at most 65 535 bytes.
    pub publisher: String,
    /// UID2 or EUID.
    pub scope: Scope,
    /// The operator environment the identity was made in.
    pub environment: Environment,
    /// The key of the hashed e-mail address or phone number behind it, where known.
    pub dii: Option<RecordKey>,
    /// How it came to be.
    pub origin: Origin,
    /// The identity provider on whose word it was made, by its id in the configuration.
    pub provider: Option<String>,
    /// What was said of the user's privacy at login.
    pub said: Said,
    /// When the identity was first made.
    pub created: UnixMillis,
    /// From here on the record reads as absent; a time that has passed drops the record.
    pub keep_until: UnixMillis,
    /// What is known of the user.
    pub state: State,
}

impl Draft {
    /// The record that a stored draft has become.
    pub fn into_record(self, generation: u64, written: UnixMillis) -> Record {
        let Self { publisher, scope, environment, dii, origin, provider, said, created, keep_until, state } =
            self;
        Record {
            generation,
            publisher,
            scope,
            environment,
            dii,
            origin,
            provider,
            said,
            created,
            written,
            keep_until,
            state,
        }
    }
}

/// The draft that would write a record again; change what is to change.
impl From<Record> for Draft {
    fn from(record: Record) -> Self {
        let Record {
            publisher,
            scope,
            environment,
            dii,
            origin,
            provider,
            said,
            created,
            keep_until,
            state,
            ..
        } = record;
        Self { publisher, scope, environment, dii, origin, provider, said, created, keep_until, state }
    }
}

/// What a writer demands of what is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing: replace whatever is there.
    Any,
    /// The record is of this generation; 0: there is no live record.
    Generation(u64),
}

/// How a write ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// Durable, under this generation.
    Stored {
        /// The new generation.
        generation: u64,
    },
    /// Somebody else was first; nothing was written.
    Lost {
        /// The live record's generation, 0 when there is none.
        current: u64,
    },
}

/// What stands under a key now: the two facts compare-and-swap needs, known without opening the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    pub(super) generation: u64,
    pub(super) keep_until: UnixMillis,
}

/// Decides a write: the generation it gets, or why it lost. `floor` is the highest generation ever swept away.
///
/// An expired record that nobody has replaced still satisfies its own generation.
pub(super) fn decide(
    expect: Expect,
    standing: Option<Standing>,
    floor: u64,
    now: UnixMillis,
) -> Result<u64, Written> {
    let stored = standing.map_or(0, |it| it.generation);
    let current = standing.filter(|it| it.keep_until > now).map_or(0, |it| it.generation);
    match expect {
        Expect::Generation(wanted) if wanted != current && (wanted != stored || stored == 0) => {
            Err(Written::Lost { current })
        }
        _ => Ok(stored.max(floor).saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000);

    fn standing(generation: u64, keep_until: i64) -> Standing {
        Standing { generation, keep_until: UnixMillis(keep_until) }
    }

    fn over(expect: Expect, standing: Standing, floor: u64) -> Result<u64, Written> {
        decide(expect, Some(standing), floor, NOW)
    }

    #[test]
    fn generations_grow_past_everything_seen() {
        assert_eq!(decide(Expect::Any, None, 0, NOW), Ok(1));
        assert_eq!(decide(Expect::Any, None, 7, NOW), Ok(8));
        assert_eq!(over(Expect::Any, standing(3, 2_000), 0), Ok(4));
        assert_eq!(over(Expect::Any, standing(3, 10), 7), Ok(8));
    }

    #[test]
    fn a_stale_expectation_loses() {
        let lost = |current| Err(Written::Lost { current });
        assert_eq!(over(Expect::Generation(3), standing(3, 2_000), 0), Ok(4));
        assert_eq!(over(Expect::Generation(2), standing(3, 2_000), 0), lost(3));
        assert_eq!(over(Expect::Generation(0), standing(3, 2_000), 0), lost(3));
        assert_eq!(decide(Expect::Generation(0), None, 0, NOW), Ok(1));
        assert_eq!(decide(Expect::Generation(1), None, 0, NOW), lost(0));
    }

    #[test]
    fn an_expired_record_counts_as_absent_and_as_itself() {
        assert_eq!(over(Expect::Generation(0), standing(3, 1_000), 0), Ok(4));
        assert_eq!(over(Expect::Generation(3), standing(3, 1_000), 0), Ok(4));
        let lost = Err(Written::Lost { current: 0 });
        assert_eq!(over(Expect::Generation(2), standing(3, 1_000), 0), lost);
        assert_eq!(over(Expect::Generation(0), standing(3, 1_001), 0), Err(Written::Lost { current: 3 }));
    }
}
