//! Directly identifying information: an e-mail address or phone number, normalised as the operator does it.
//!
//! Parsing is normalising: a value of these types is what gets hashed. For clean input every UID2 implementation
//! agrees; where they differ on dirty input (white space or control characters inside, a domain without a dot) we
//! refuse, because a wrong hash yields a token that looks right and matches nobody (uid2-protocol §2.1).

use crate::secret::Secret;

/// Longest e-mail address accepted, in bytes after trimming (RFC 5321: 64 + `@` + 255).
pub const MAX_EMAIL_BYTES: usize = 320;

/// The one domain whose local part is shortened. `googlemail.com` and sub-domains are not Gmail.
const GMAIL: &str = "gmail.com";

/// A normalised e-mail address. Its `Debug` text does not show it; it is wiped on drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email(Secret<String>);

/// A phone number in E.164 form. Its `Debug` text does not show it; it is wiped on drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phone(Secret<String>);

/// Why a text is not usable as an identifier. Never holds the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DiiError {
    /// Nothing but white space.
    #[error("e-mail address is empty")]
    Empty,
    /// More than [`MAX_EMAIL_BYTES`].
    #[error("e-mail address is longer than 320 bytes")]
    TooLong,
    /// White space or a control character that is not at an end.
    #[error("e-mail address holds white space or a control character")]
    Character,
    /// Not exactly one `@`.
    #[error("e-mail address does not hold exactly one @")]
    AtSign,
    /// No local part, or none left by Gmail's rules.
    #[error("e-mail address has no local part")]
    LocalPart,
    /// No domain, or one without a dot.
    #[error("e-mail address has no domain with a dot")]
    Domain,
    /// Not `+` and 10 to 15 ASCII digits.
    #[error("phone number is not + and 10 to 15 digits (E.164)")]
    Phone,
    /// Neither 44 characters of canonical base64 for 32 bytes nor 64 hex digits.
    #[error("hash is neither base64 of 32 bytes nor 64 hex digits")]
    Hash,
}

impl Email {
    /// Trims, lower-cases ASCII, and for `gmail.com` drops dots and the `+` suffix of the local part.
    pub fn parse(text: &str) -> Result<Self, DiiError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(DiiError::Empty);
        }
        if text.len() > MAX_EMAIL_BYTES {
            return Err(DiiError::TooLong);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(DiiError::Character);
        }
        let lower = Secret::new(text.to_ascii_lowercase());
        let (local, domain) = lower.expose().split_once('@').ok_or(DiiError::AtSign)?;
        normalise(local, domain).map(|email| Self(Secret::new(email)))
    }

    /// The normalised text, the input of the hash.
    pub fn as_str(&self) -> &str {
        self.0.expose()
    }
}

/// Both parts are lower case already.
fn normalise(local: &str, domain: &str) -> Result<String, DiiError> {
    if domain.contains('@') {
        return Err(DiiError::AtSign);
    }
    if !domain.contains('.') {
        return Err(DiiError::Domain);
    }
    let mut email = String::with_capacity(local.len() + 1 + domain.len());
    if domain == GMAIL {
        email.extend(local.chars().take_while(|c| *c != '+').filter(|c| *c != '.'));
    } else {
        email.push_str(local);
    }
    if email.is_empty() {
        return Err(DiiError::LocalPart);
    }
    email.push('@');
    email.push_str(domain);
    Ok(email)
}

impl Phone {
    /// Takes `+` and 10 to 15 ASCII digits as they stand. Nobody normalises phone numbers (uid2-protocol §2.2).
    pub fn parse(text: &str) -> Result<Self, DiiError> {
        let digits = text.strip_prefix('+').ok_or(DiiError::Phone)?;
        if !(10..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DiiError::Phone);
        }
        Ok(Self(Secret::new(text.to_owned())))
    }

    /// The number with its `+`, the input of the hash.
    pub fn as_str(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn rows(fixture: &str) -> Vec<Value> {
        let mut whole: Value = serde_json::from_str(fixture).unwrap();
        whole["rows"].as_array_mut().map(std::mem::take).unwrap()
    }

    #[test]
    fn every_email_vector_normalises_or_is_refused() {
        let rows = rows(include_str!("../../fixtures/uid2/email.json"));
        assert!(rows.len() > 50);
        for row in rows {
            let parsed = Email::parse(row["input"].as_str().unwrap());
            if row["invalid"] == true || row["gateway"] == "reject" {
                assert!(parsed.is_err(), "{row}");
            } else {
                assert_eq!(parsed.unwrap().as_str(), row["normalized"], "{row}");
            }
        }
    }

    #[test]
    fn every_phone_vector_is_taken_as_it_stands_or_refused() {
        let rows = rows(include_str!("../../fixtures/uid2/phone.json"));
        assert!(rows.len() > 20);
        for row in rows {
            let input = row["input"].as_str().unwrap();
            match Phone::parse(input) {
                Ok(phone) => assert!(phone.as_str() == input && row["hash"].is_string(), "{row}"),
                Err(error) => assert!(error == DiiError::Phone && row["invalid"] == true, "{row}"),
            }
        }
    }

    #[test]
    fn unicode_white_space_is_trimmed_at_the_ends_and_refused_inside() {
        for input in ["\ttest@example.com", "test@example.com\u{a0}", "\u{2003}test@example.com\r\n"] {
            assert_eq!(Email::parse(input).unwrap().as_str(), "test@example.com");
        }
        for input in ["te\u{a0}st@example.com", "test@exam\u{2003}ple.com", "te\0st@example.com"] {
            assert_eq!(Email::parse(input), Err(DiiError::Character));
        }
    }

    #[test]
    fn an_email_may_have_320_bytes_after_trimming() {
        let of = |n: usize| Email::parse(&format!(" {}@example.com ", "a".repeat(n - "@example.com".len())));
        assert_eq!(of(320).unwrap().as_str().len(), 320);
        assert_eq!(of(321), Err(DiiError::TooLong));
    }

    #[test]
    fn each_fault_has_its_own_name() {
        let fault = |input| Email::parse(input).unwrap_err();
        assert_eq!(fault(" "), DiiError::Empty);
        assert_eq!(fault("example.com"), DiiError::AtSign);
        assert_eq!(fault("a@b@example.com"), DiiError::AtSign);
        assert_eq!(fault("@example.com"), DiiError::LocalPart);
        assert_eq!(fault(".+x@gmail.com"), DiiError::LocalPart);
        assert_eq!(fault("a@b"), DiiError::Domain);
    }

    #[test]
    fn debug_text_never_shows_the_identifier() {
        let text = format!("{:?} {:?}", Email::parse("test@example.com"), Phone::parse("+12345678901"));
        assert!(!text.contains("test") && !text.contains("123"), "{text}");
    }
}
