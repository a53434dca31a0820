//! Stops calls that are known to fail: an operator that refuses an API key or our configuration refuses every call.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::fault::{Fault, OperatorError};
use crate::time::UnixMillis;

/// For so long a refused key is not used again. Short: someone may be mending it.
const OPEN_MS: i64 = 5_000;

/// A trouble that lasts is told again after so long.
const TELL_MS: i64 = 60_000;

/// The refused keys, by digest. Keys come from configuration, so there are few.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    /// A plain lock: nothing awaits under it.
    keys: Mutex<HashMap<[u8; 32], Standing>>,
}

/// How it stands with one key.
#[derive(Debug, Default)]
struct Standing {
    /// The refusal, and until when it is taken for granted.
    refused: Option<(OperatorError, UnixMillis)>,
    /// What a person was told last, and when.
    told: Option<(Fault, UnixMillis)>,
}

impl Circuit {
    /// The refusal again, while it is fresh.
    pub(super) fn check(&self, key: &str, now: UnixMillis) -> Result<(), OperatorError> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.get(&digest(key)).and_then(|standing| standing.refused.as_ref()) {
            Some((error, until)) if now < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Remembers how a call with `key` ended. `true`: a person must hear of it, and was not told just now.
    pub(super) fn note(&self, key: &str, error: Option<&OperatorError>, now: UnixMillis) -> bool {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error else {
            if let Some(standing) = keys.get_mut(&digest(key)) {
                standing.works();
            }
            return false;
        };
        // Says nothing about the key.
        if error.fault.is_transient() {
            return false;
        }
        let standing = keys.entry(digest(key)).or_default();
        let refused = matches!(error.fault, Fault::Unauthorized | Fault::Misconfigured);
        standing.refused = refused.then(|| (error.clone(), now.plus(OPEN_MS)));
        error.fault.is_configuration() && standing.tell(error.fault, now)
    }
}

impl Standing {
    /// The next refusal is news again. Not that of a clock at the edge: it works and fails by turns.
    fn works(&mut self) {
        self.refused = None;
        self.told.take_if(|(fault, _)| *fault != Fault::Clock);
    }

    fn tell(&mut self, fault: Fault, now: UnixMillis) -> bool {
        let told = self.told.is_some_and(|(last, at)| last == fault && now.since(at) < TELL_MS);
        if !told {
            self.told = Some((fault, now));
        }
        !told
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

    #[test]
    fn a_person_is_told_when_it_opens_and_once_a_minute_while_it_lasts() {
        let circuit = Circuit::default();
        let note = |fault: Option<Fault>, ms| {
            circuit.note("bad", fault.map(|fault| OperatorError::new(fault, "")).as_ref(), UnixMillis(ms))
        };
        assert!(note(Some(Fault::Unauthorized), 0));
        assert!(!note(Some(Fault::Unauthorized), 5_000), "told already");
        assert!(note(Some(Fault::Misconfigured), 10_000), "another trouble");
        assert!(!note(Some(Fault::Server), 11_000) && !note(Some(Fault::Misconfigured), 69_999));
        assert!(note(Some(Fault::Misconfigured), 70_000), "it lasts");
        assert!(!note(None, 71_000));
        assert!(note(Some(Fault::Misconfigured), 72_000), "it worked meanwhile");
        assert!(!note(Some(Fault::InvalidDii), 73_000));
    }

    #[test]
    fn a_clock_at_the_edge_is_told_once_a_minute() {
        let circuit = Circuit::default();
        let error = OperatorError::new(Fault::Clock, "");
        let mut told = 0;
        for second in 0..180 {
            told += u32::from(circuit.note("key", Some(&error), UnixMillis(second * 1_000)));
            assert!(circuit.check("key", UnixMillis(second * 1_000)).is_ok(), "a clock does not stop calls");
            circuit.note("key", None, UnixMillis(second * 1_000 + 1));
        }
        assert_eq!(told, 3);
    }
}
