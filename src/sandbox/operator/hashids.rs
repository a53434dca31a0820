//! Bucket ids as the outside sees them: the public Hashids scheme, encoding one number, with the default alphabet.

/// The default alphabet without the letters that separate several numbers (`cfhistu` in either case).
const ALPHABET: &[u8] = b"abdegjklmnopqrvwxyzABDEGJKLMNOPQRVWXYZ1234567890";
/// Letters per guard.
const GUARD_RATIO: usize = 12;

/// Encodes numbers under a salt, padded to a least length.
pub(super) struct Hashids {
    alphabet: Vec<u8>,
    guards: Vec<u8>,
    salt: Vec<u8>,
    min_length: usize,
}

impl Hashids {
    pub(super) fn new(salt: &str, min_length: usize) -> Self {
        let salt = salt.as_bytes().to_vec();
        let mut alphabet = ALPHABET.to_vec();
        shuffle(&mut alphabet, &salt);
        let guards = alphabet.drain(..ALPHABET.len().div_ceil(GUARD_RATIO)).collect();
        Self { alphabet, guards, salt, min_length }
    }

    /// The text of one number.
    pub(super) fn encode(&self, number: u64) -> String {
        let mut alphabet = self.alphabet.clone();
        let seed = number % 100;
        let lottery = pick(&alphabet, seed);
        let key: Vec<u8> =
            [lottery].iter().chain(&self.salt).chain(&alphabet).copied().take(alphabet.len()).collect();
        shuffle(&mut alphabet, &key);
        let mut text = vec![lottery];
        text.extend(digits(number, &alphabet));
        self.pad(&mut text, seed, &mut alphabet);
        text.into_iter().map(char::from).collect()
    }

    fn pad(&self, text: &mut Vec<u8>, seed: u64, alphabet: &mut [u8]) {
        if text.len() < self.min_length {
            let guard = pick(&self.guards, seed + u64::from(text[0]));
            text.insert(0, guard);
        }
        if text.len() < self.min_length {
            let guard = pick(&self.guards, seed + u64::from(text[2]));
            text.push(guard);
        }
        let half = alphabet.len() / 2;
        while text.len() < self.min_length {
            let key = alphabet.to_owned();
            shuffle(alphabet, &key);
            let (front, back) = alphabet.split_at(half);
            *text = [back, text.as_slice(), front].concat();
            let excess = text.len().saturating_sub(self.min_length);
            *text = text.iter().copied().skip(excess / 2).take(self.min_length).collect();
        }
    }
}

fn pick(letters: &[u8], index: u64) -> u8 {
    let count = letters.len() as u64;
    let at = usize::try_from(index % count).expect("a remainder below a slice's length");
    letters[at]
}

fn digits(mut number: u64, alphabet: &[u8]) -> Vec<u8> {
    let base = alphabet.len() as u64;
    let mut text = Vec::new();
    loop {
        text.push(pick(alphabet, number));
        number /= base;
        if number == 0 {
            text.reverse();
            return text;
        }
    }
}

/// The scheme's deterministic shuffle.
fn shuffle(letters: &mut [u8], salt: &[u8]) {
    if salt.is_empty() {
        return;
    }
    let mut sum = 0_usize;
    for (turn, last) in (1..letters.len()).rev().enumerate() {
        let at = turn % salt.len();
        let code = usize::from(salt[at]);
        sum += code;
        letters.swap(last, (code + at + sum) % last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mock_buckets_have_their_public_ids() {
        let hashids = Hashids::new("HF6Qz42HBbVHINxhh191dB09BCuTWyBkNtrNicO4ZCw=", 9);
        let ids = ["KaoveQoPR", "1aZVGl7aB", "v3WM92zaA", "l5yy6kr58", "e58Mjz13q"];
        for (number, id) in (1_000_000..).zip(ids) {
            assert_eq!(hashids.encode(number), id);
        }
    }

    #[test]
    fn small_and_large_numbers_keep_the_least_length() {
        let hashids = Hashids::new("salt", 9);
        assert_eq!(hashids.encode(0).len(), 9);
        assert!(hashids.encode(u64::MAX).len() >= 9);
        assert_ne!(hashids.encode(0), hashids.encode(1));
    }
}
