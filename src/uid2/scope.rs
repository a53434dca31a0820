//! The closed vocabulary of the protocol: scope, environment, kind of identifier.

/// UID2, or its European twin EUID. Tokens, keys and raw ids are never interchangeable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// UID2: where GDPR does not apply.
    Uid2,
    /// EUID: where it does.
    Euid,
}

impl Scope {
    /// The configuration and metric name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uid2 => "uid2",
            Self::Euid => "euid",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Uid2 => Self::Euid,
            Self::Euid => Self::Uid2,
        }
    }

    /// The EID `source` (lower case): `uidapi.com` or `euid.eu`.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Uid2 => "uidapi.com",
            Self::Euid => "euid.eu",
        }
    }

    /// The scope bit of the binary formats: UID2 0, EUID 1.
    pub const fn bit(self) -> u8 {
        match self {
            Self::Uid2 => 0,
            Self::Euid => 1,
        }
    }
}

/// The operator environment an API key belongs to; it is the letter in the key (`UID2-C-L-…`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Environment {
    /// `L`: local mock storage.
    Local,
    /// `T`: test.
    Test,
    /// `I`: integration.
    Integration,
    /// `P`: production.
    Production,
}

impl Environment {
    /// Reads the letter of an API key such as `UID2-C-L-124-…`; `None` when the text is not shaped so.
    pub fn of_api_key(key: &str) -> Option<Self> {
        let mut parts = key.split('-');
        let scope = parts.next()?;
        if !matches!(scope, "UID2" | "EUID") || parts.next()? != "C" {
            return None;
        }
        match parts.next()? {
            "L" => Some(Self::Local),
            "T" => Some(Self::Test),
            "I" => Some(Self::Integration),
            "P" => Some(Self::Production),
            _ => None,
        }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Test => "test",
            Self::Integration => "integration",
            Self::Production => "production",
        }
    }

    /// The letter.
    pub const fn letter(self) -> char {
        match self {
            Self::Local => 'L',
            Self::Test => 'T',
            Self::Integration => 'I',
            Self::Production => 'P',
        }
    }
}

/// What a hash was made from. The two are separate identities with separate opt-outs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DiiKind {
    /// An e-mail address.
    Email,
    /// A phone number, E.164.
    Phone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_the_letter_in_the_key() {
        let of = Environment::of_api_key;
        assert_eq!(of("UID2-C-L-124-H8VwqX.l2G4"), Some(Environment::Local));
        assert_eq!(of("EUID-C-P-7-abc"), Some(Environment::Production));
        assert_eq!(of("UID2-X-L-124-abc"), None);
        assert_eq!(of("UID2-C-Z-124-abc"), None);
        assert_eq!(of(""), None);
    }
}
