//! Who has opted out, and the identities that behave specially everywhere (uid2-protocol §3.4, §3.5).

use std::collections::HashMap;

use super::identifier::Identifier;
use super::raw_uid::FirstLevelHash;
use super::salts::Salts;
use crate::time::UnixMillis;

/// Opt-outs by salted identity, or by raw UID where nothing else is known. E-mail and phone count separately.
#[derive(Debug, Default)]
pub(super) struct OptOuts {
    identities: HashMap<FirstLevelHash, UnixMillis>,
    raw_uids: HashMap<String, UnixMillis>,
}

/// Whom an opt-out is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    Identity(FirstLevelHash),
    RawUid(String),
}

impl OptOuts {
    pub(super) fn add(&mut self, subject: Subject, at: UnixMillis) {
        match subject {
            Subject::Identity(hash) => self.identities.entry(hash).or_insert(at),
            Subject::RawUid(raw) => self.raw_uids.entry(raw).or_insert(at),
        };
    }

    pub(super) fn remove(&mut self, subject: &Subject) {
        match subject {
            Subject::Identity(hash) => self.identities.remove(hash),
            Subject::RawUid(raw) => self.raw_uids.remove(raw),
        };
    }

    /// When they opted out, under either name.
    pub(super) fn since(&self, hash: &FirstLevelHash, raw_uid: &str) -> Option<UnixMillis> {
        self.identities.get(hash).or_else(|| self.raw_uids.get(raw_uid)).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.identities.len() + self.raw_uids.len()
    }
}

/// How a test identity behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TestIdentity {
    /// Opted out, always.
    OptOut,
    /// Gets a token, but refreshing it says opted out.
    RefreshOptOut,
    /// Never opted out.
    Validate,
}

/// The test identities under this operator's salts.
#[derive(Debug)]
pub(super) struct TestIdentities(Vec<(FirstLevelHash, TestIdentity)>);

impl TestIdentities {
    pub(super) fn new(salts: &Salts) -> Self {
        let named = [
            ("optout@example.com", "+00000000000", TestIdentity::OptOut),
            ("refresh-optout@example.com", "+00000000002", TestIdentity::RefreshOptOut),
            ("validate@example.com", "+12345678901", TestIdentity::Validate),
        ];
        let hashes = named.into_iter().flat_map(|(email, phone, identity)| {
            let both = [Identifier::of_email(email), Identifier::of_phone(phone)];
            both.into_iter().flatten().map(move |id| (FirstLevelHash::of(&id, salts), identity))
        });
        Self(hashes.collect())
    }

    pub(super) fn of(&self, hash: &FirstLevelHash) -> Option<TestIdentity> {
        self.0.iter().find(|(known, _)| known == hash).map(|(_, identity)| *identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_equivalent_input_is_the_test_identity() {
        let salts = Salts::default();
        let known = TestIdentities::new(&salts);
        let of = |id: Option<Identifier>| known.of(&FirstLevelHash::of(&id.unwrap(), &salts));
        assert_eq!(of(Identifier::of_email("OptOut@Example.com")), Some(TestIdentity::OptOut));
        assert_eq!(of(Identifier::of_phone("+00000000002")), Some(TestIdentity::RefreshOptOut));
        assert_eq!(of(Identifier::of_phone("+12345678901")), Some(TestIdentity::Validate));
        assert_eq!(of(Identifier::of_phone("+00000000001")), None);
    }

    #[test]
    fn an_opt_out_keeps_its_first_time_and_can_be_taken_back() {
        let mut opt_outs = OptOuts::default();
        let hash = FirstLevelHash([1; 32]);
        opt_outs.add(Subject::Identity(hash), UnixMillis(5));
        opt_outs.add(Subject::Identity(hash), UnixMillis(9));
        assert_eq!(opt_outs.since(&hash, "raw"), Some(UnixMillis(5)));
        opt_outs.remove(&Subject::Identity(hash));
        assert_eq!(opt_outs.since(&hash, "raw"), None);
        opt_outs.add(Subject::RawUid("raw".to_owned()), UnixMillis(7));
        assert_eq!((opt_outs.since(&hash, "raw"), opt_outs.len()), (Some(UnixMillis(7)), 1));
    }
}
