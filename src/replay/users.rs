//! Which user a request is sent for.

use std::borrow::Cow;

use super::random::{scramble, spread};

/// Users by number of the request.
#[derive(Clone, Debug, Default)]
pub struct Users {
    /// Their names: what a publisher calls them.
    names: Vec<String>,
    /// What people are called whom nobody logged in, with a number behind it.
    stranger: String,
    /// Of 1,000,000 requests, how many name a stranger.
    strangers: u64,
}

const MILLION: u64 = 1_000_000;

impl Users {
    /// `prefix1` … `prefixN`.
    pub fn numbered(prefix: &str, count: usize) -> Self {
        Self::named((1..=count).map(|number| format!("{prefix}{number}")).collect())
    }

    /// These.
    pub fn named(names: Vec<String>) -> Self {
        Self { names, stranger: String::new(), strangers: 0 }
    }

    /// Names somebody whom nobody logged in, a new one each time, in so many of 100 requests.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 … 1,000,000")]
    pub fn with_strangers(mut self, prefix: &str, percent: f64) -> Self {
        prefix.clone_into(&mut self.stranger);
        self.strangers = (percent.clamp(0.0, 100.0) * 10_000.0).round() as u64;
        self
    }

    /// The same with another name for strangers.
    #[must_use]
    pub fn with_other_strangers(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.stranger);
        self
    }

    /// All who can be logged in.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The user of the `number`-th request who was logged in, by place in [`Users::names`]; `None` for a stranger.
    pub fn known(&self, number: u64) -> Option<usize> {
        (!self.names.is_empty() && !self.is_stranger(number)).then(|| spread(number, self.names.len()))
    }

    /// Whom the `number`-th request names, if anybody.
    pub fn name(&self, number: u64) -> Option<Cow<'_, str>> {
        if self.is_stranger(number) {
            return Some(Cow::Owned(format!("{}{number}", self.stranger)));
        }
        self.known(number).and_then(|index| self.names.get(index)).map(|name| Cow::Borrowed(name.as_str()))
    }

    fn is_stranger(&self, number: u64) -> bool {
        // Scrambled, because users are spread by the number, too, and every user should have visits.
        self.strangers > 0 && scramble(number.wrapping_add(1)) % MILLION < self.strangers
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn users_are_numbered_from_one_and_all_have_their_turn() {
        let users = Users::numbered("u", 10);
        let named: BTreeSet<String> = (0..100).filter_map(|n| users.name(n)).map(Cow::into_owned).collect();
        assert_eq!(named.len(), 10);
        assert!(named.contains("u1") && named.contains("u10"));
        assert_eq!(Users::default().name(3), None);
    }

    #[test]
    fn so_many_requests_name_a_stranger() {
        let users = Users::numbered("u", 4).with_strangers("s", 80.0);
        let names: Vec<String> = (0..10_000).filter_map(|n| users.name(n)).map(Cow::into_owned).collect();
        let strangers: BTreeSet<&String> = names.iter().filter(|name| name.starts_with('s')).collect();
        assert!((7_800..8_200).contains(&strangers.len()), "{}", strangers.len());
        let known: BTreeSet<&String> = names.iter().filter(|name| name.starts_with('u')).collect();
        assert_eq!((names.len(), known.len()), (10_000, 4));
        assert!((0..10_000).all(|n| users.known(n).is_none() == users.name(n).unwrap().starts_with('s')));
        let others = users.with_other_strangers("o");
        assert!((0..10_000).filter_map(|n| others.name(n)).all(|name| !name.starts_with('s')));
        let all = Users::numbered("u", 4).with_strangers("s", 100.0);
        assert!((0..1_000).all(|n| all.known(n).is_none()));
    }
}
