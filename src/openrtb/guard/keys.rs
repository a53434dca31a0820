//! Names of members and keywords under which a hash is the hash of an e-mail address or phone number.

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

/// Whether a name is one of these: `email_hash`, `hashed-email`, `hem`, `he`, `phone_hash`, `sha256_email`, `emailMD5`
/// and their like. Case, `_` and `-` do not count.
pub(super) fn is_known(name: &str) -> bool {
    let mut buffer = [0_u8; LONGEST];
    let mut length = 0;
    for byte in name.bytes().filter(|byte| !matches!(byte, b'_' | b'-')) {
        let Some(slot) = buffer.get_mut(length) else { return false };
        *slot = byte.to_ascii_lowercase();
        length += 1;
    }
    let mut rest = buffer.get(..length).unwrap_or_default();
    while let Some(shorter) = without_word(rest) {
        if is_subject(rest) {
            return true;
        }
        rest = shorter;
    }
    is_subject(rest)
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
        for name in [
            "email_hash",
            "emailHash",
            "EMAIL-HASH",
            "hashed_email",
            "hashedEmails",
            "hem",
            "HEM",
            "he",
            "hem_sha256",
            "phone_hash",
            "hashed_phone",
            "hashed_phone_number",
            "email_sha256",
            "email_sha1",
            "email_md5",
            "sha256_email",
            "sha256EmailAddress",
            "sha256_hashed_email",
            "md5-email",
            "email_sha256_hex",
            "e_mail",
            "email",
            "phone",
            "lower_md5_email",
        ] {
            assert!(is_known(name), "{name}");
        }
        for name in [
            "",
            "id",
            "hash",
            "sha256",
            "md5",
            "key",
            "her",
            "the",
            "mailing",
            "emailable",
            "phonetic",
            "theme",
            "headline",
            "device_hash",
            "ip_sha1",
            "uid2",
            "hemisphere",
            "email_consent",
        ] {
            assert!(!is_known(name), "{name}");
        }
        assert!(!is_known(&"hash".repeat(100)));
        assert!(is_known(&format!("email{}", "_".repeat(1000))));
    }
}
