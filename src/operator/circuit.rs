//! Stops calls that are known to fail: an operator that refuses an API key or our configuration refuses every call.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::fault::{Fault, OperatorError};
use crate::time::UnixMillis;

/// For so long a refused key is not used again. Short: someone may be mending it.
const OPEN_MS: i64 = 5_000;

/// The refused keys, by digest. Keys come from configuration, so there are few.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// A plain lock: nothing awaits under it.
    refused: Mutex<HashMap<[u8; 32], (OperatorError, UnixMillis)>>,
}

impl Circuit {
    /// The refusal again, while it is fresh.
    pub(super) fn check(&self, key: &str, now: UnixMillis) -> Result<(), OperatorError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match refused.get(&digest(key)) {
            Some((error, until)) if now < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Remembers how a call with `key` ended.
    pub(super) fn note(&self, key: &str, error: Option<&OperatorError>, now: UnixMillis) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            Some(error) if matches!(error.fault, Fault::Unauthorized | Fault::Misconfigured) => {
                refused.insert(digest(key), (error.clone(), now.plus(OPEN_MS)));
            }
            // Says nothing about the key.
            Some(error) if error.fault.is_transient() => {}
            _ => {
                refused.remove(&digest(key));
            }
        }
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_rests_for_five_seconds_or_until_it_works() {
        let circuit = Circuit::default();
        let open = |key, ms| circuit.check(key, UnixMillis(ms)).err().map(|error| error.fault);
        let error = |fault| OperatorError::new(fault, "");
        circuit.note("bad", Some(&error(Fault::Unauthorized)), UnixMillis(0));
        assert_eq!(open("bad", 4_999), Some(Fault::Unauthorized));
        assert_eq!(open("bad", 5_000), None);
        assert_eq!(open("good", 0), None);
        circuit.note("bad", Some(&error(Fault::Server)), UnixMillis(0));
        assert_eq!(open("bad", 0), Some(Fault::Unauthorized), "a transient fault says nothing about a key");
        circuit.note("bad", None, UnixMillis(0));
        assert_eq!(open("bad", 0), None);
    }
}
