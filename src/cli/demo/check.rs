//! Decrypts the tokens that reached the SSPs, as a buyer would, and compares each with the raw UID2 computed from the
//! e-mail address of the user that the request was sent for.

use std::collections::{HashMap, HashSet};

use super::stack::Stack;
use super::users::Users;
use crate::replay::Corpus;
use crate::sandbox::operator::decrypt_as_dsp;
use crate::sandbox::ssp::{Token, tokens_in};
use crate::time::Clock;

/// What decrypting came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked {
    /// Tokens found in requests, without those that the publisher had put there itself.
    pub(super) found: u64,
    /// Put there by the publisher and kept: not ours to decrypt.
    pub(super) theirs: u64,
    /// Decrypted to the right user.
    pub(super) right: u64,
    /// Did not decrypt, or to somebody else.
    pub(super) wrong: u64,
    /// Requests that must not carry a token (nobody logged in) and did.
    pub(super) leaked: u64,
    /// One token, for the curious.
    pub(super) sample: Option<Sample>,
}

/// One decrypted token.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// As it stood in the bid request.
    pub(super) token: String,
    /// The raw UID2 in it.
    pub(super) raw_uid: String,
}

/// Checks every request that the SSPs kept.
pub(super) fn tokens(stack: &Stack, users: &Users, corpus: &Corpus) -> Checked {
    let now = Clock::System.now();
    let keys = stack.operator.keys();
    let mut checked = Checked::default();
    let theirs: HashSet<Token> = corpus.entries().iter().flat_map(|entry| tokens_in(&entry.body)).collect();
    let mut expected: HashMap<u32, Option<String>> = HashMap::new();
    for (_, ssp) in &stack.ssps {
        for received in ssp.received() {
            let user = users.sent_for(&received.headers);
            for token in tokens_in(&received.body) {
                if theirs.contains(&token) {
                    checked.theirs += 1;
                    continue;
                }
                let raw_uid = user.and_then(|user| {
                    let made = || Users::hash(user).map(|hash| stack.operator.raw_uid_of(&hash));
                    expected.entry(user).or_insert_with(made).clone()
                });
                let read = || decrypt_as_dsp(&token.id, &keys, now).ok().map(|d| d.raw_uid.to_base64());
                note(&mut checked, &token.id, raw_uid, read);
            }
        }
    }
    checked
}

fn note(checked: &mut Checked, token: &str, expected: Option<String>, read: impl FnOnce() -> Option<String>) {
    checked.found += 1;
    let Some(expected) = expected else {
        checked.leaked += 1;
        return;
    };
    if read().as_ref() == Some(&expected) {
        checked.right += 1;
        checked.sample.get_or_insert_with(|| Sample { token: token.to_owned(), raw_uid: expected });
    } else {
        checked.wrong += 1;
    }
}
