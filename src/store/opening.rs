//! What a store is opened for, and what follows from it.

use crate::secret::Secret;

/// What a store is opened for.
pub(super) enum Opening {
    /// To serve: what is not there is made, and a damaged database is set aside.
    Serving,
    /// To look after what is there: nothing is made, nothing is set aside.
    Tending,
    /// To hold what another store holds, under its index key.
    Like(Secret<[u8; 32]>),
}

impl Opening {
    /// The index key that the store has to have.
    pub(super) fn index_key(&self) -> Option<Secret<[u8; 32]>> {
        match self {
            Self::Like(key) => Some(key.clone()),
            Self::Serving | Self::Tending => None,
        }
    }

    /// Only a store that is there will do.
    pub(super) fn is_of_what_is_there(&self) -> bool {
        matches!(self, Self::Tending)
    }
}
