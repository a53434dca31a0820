//! Names of members and keywords under which a hash is the hash of an e-mail address or phone number.

use super::shape::{is_hash, is_sha256};
use super::sieve::may_name;

/// Subjects that mean a hash by themselves.
const HASHES: [&[u8]; 3] = [b"he", b"hem", b"hems"];

/// What is left of a name when the words for hashing are taken off its ends.
const SUBJECTS: [&str; 20] = [
    "email",
    "emails",
    "emailaddress",
    "emailid",
    "useremail",
    "mail",
    "he",
    "hem",
    "hems",
    "phone",
    "phones",
    "phonenumber",
    "phoneno",
    "userphone",
    "tel",
    "telephone",
    "msisdn",
    "mobile",
    "mobilephone",
    "mobilenumber",
];

/// The words for hashing. A word comes before those it begins or ends with.
const HASHING: [&str; 16] = [
    "sha256",
    "sha512",
    "sha1",
    "sha2",
    "sha",
    "md5",
    "hashed",
    "hashes",
    "hash",
    "hex",
    "base64",
    "b64",
    "lowercased",
    "lowercase",
    "lower",
    "normalized",
];

/// Longest name that is looked at, without `_` and `-`.
const LONGEST: usize = 48;

/// What a name says of a hash that stands under it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Named {
    /// Nothing of whose it is.
    Nothing,
    /// It is named after an e-mail address or phone number: `email`, `mobile`. Other ids are too, so that only what has
    /// the shape of SHA-256 is taken for a hash.
    Subject,
    /// It is the hash of one: `email_hash`, `hashed-email`, `hem`, `he`, `sha256_email`, `emailMD5` and their like.
    Hash,
}

impl Named {
    /// What a name says by itself. Case, `_` and `-` do not count.
    pub(super) fn of(name: &str) -> Self {
        let mut buffer = [0_u8; LONGEST];
        // Only names for which there is a closer look are known.
        let Some(mut rest) = plain(name, &mut buffer).filter(|_| may_name(name)) else {
            return Self::Nothing;
        };
        let mut whole = true;
        loop {
            if is_subject(rest) {
                return if whole && !HASHES.contains(&rest) { Self::Subject } else { Self::Hash };
            }
            let Some(shorter) = without_word(rest) else { return Self::Nothing };
            (rest, whole) = (shorter, false);
        }
    }

    /// What the name of a member says, which stands in an object of this name: in `"email":{"sha256":…}` both count.
    pub(super) fn inside(self, name: &str) -> Self {
        let own = Self::of(name);
        if own > Self::Nothing || self == Self::Nothing {
            return own;
        }
        let value = self == Self::Hash && matches!(name, "value" | "id");
        if value || is_hashing(name) { Self::Hash } else { Self::Nothing }
    }

    /// Whether a text under this name is the hash of an e-mail address or phone number.
    pub(super) fn takes(self, text: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Subject => is_sha256(text),
            Self::Hash => is_hash(text),
        }
    }
}

/// Whether a name is made of words for hashing alone.
fn is_hashing(name: &str) -> bool {
    let mut buffer = [0_u8; LONGEST];
    let Some(mut rest) = plain(name, &mut buffer).filter(|name| !name.is_empty()) else { return false };
    while let Some(shorter) = without_word(rest) {
        rest = shorter;
    }
    rest.is_empty()
}

/// A name in lower case, without `_` and `-`.
fn plain<'a>(name: &str, buffer: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
    let mut length = 0;
    for byte in name.bytes().filter(|byte| !matches!(byte, b'_' | b'-')) {
        *buffer.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    buffer.get(..length)
}

fn is_subject(name: &[u8]) -> bool {
    SUBJECTS.iter().any(|subject| subject.as_bytes() == name)
}

fn without_word(name: &[u8]) -> Option<&[u8]> {
    HASHING.iter().find_map(|word| name.strip_prefix(word.as_bytes()).or(name.strip_suffix(word.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_spelling() {
        let hashes = "email_hash emailHash EMAIL-HASH hashed_email hashedEmails hem HEM he he_sha256 hem_sha256 \
            phone_hash hashed_phone hashed_phone_number email_sha256 email_sha1 email_md5 sha256_email \
            sha256EmailAddress sha256_hashed_email md5-email email_sha256_hex lower_md5_email hash_e_mail \
            sha256email hemsha256 hashedMobile msisdn_hash tel_md5";
        let subjects = "email e_mail emails mail phone phones tel mobile mobileNumber msisdn user_email";
        let others = "id hash sha256 md5 key her the mailing emailable phonetic theme headline device_hash ip_sha1 \
            uid2 hemisphere email_consent ph-one_hash";
        for (names, named) in [(hashes, Named::Hash), (subjects, Named::Subject), (others, Named::Nothing)] {
            for name in names.split_whitespace() {
                assert_eq!(Named::of(name), named, "{name}");
            }
        }
        assert_eq!(Named::of(""), Named::Nothing);
        assert_eq!(Named::of(&"hash".repeat(100)), Named::Nothing);
        assert_eq!(Named::of(&format!("email{}", "_".repeat(1000))), Named::Subject);
    }

    #[test]
    fn a_name_counts_for_what_is_directly_inside() {
        assert_eq!(Named::Subject.inside("sha256"), Named::Hash);
        assert_eq!(Named::Hash.inside("value"), Named::Hash);
        for (outer, inner) in [
            (Named::Subject, "value"),
            (Named::Subject, "id"),
            (Named::Hash, "ids"),
            (Named::Hash, "consent"),
            (Named::Hash, ""),
            (Named::Nothing, "sha256"),
        ] {
            assert_eq!(outer.inside(inner), Named::Nothing, "{inner}");
        }
    }
}
