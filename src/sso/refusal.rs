//! Why an ID token is not believed: a closed list, each a metric label.

/// Why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// More than [`max_token_bytes`](super::Limits::max_token_bytes).
    #[error("is larger than identity_provider.max_token_bytes")]
    TooLarge,
    /// Not three parts of base64url JSON, a claim of the wrong type, or a critical extension.
    #[error("is not a well-formed ID token")]
    Malformed,
    /// Another kind of token, such as an access token.
    #[error("is of another type than an ID token")]
    Type,
    /// Signed with something else than RS256, ES256 or EdDSA.
    #[error("is signed with an algorithm that is not accepted")]
    Algorithm,
    /// Not from a provider that this publisher trusts.
    #[error("is not from an identity provider of this publisher")]
    Issuer,
    /// The provider has no such key.
    #[error("is signed with a key that the provider does not publish")]
    UnknownKey,
    /// The provider's keys cannot be had.
    #[error("cannot be verified: the provider's keys are not available")]
    Unavailable,
    /// The signature is not the key's.
    #[error("has a signature that does not verify")]
    Signature,
    /// For somebody else.
    #[error("is not for one of the configured audiences")]
    Audience,
    /// `exp` has passed.
    #[error("has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("is not valid yet")]
    NotYetValid,
    /// No address in it.
    #[error("holds no e-mail address or phone number")]
    NoAddress,
    /// The provider does not say that the address is the user's.
    #[error("holds an address that the provider has not verified")]
    Unverified,
    /// An address that nobody else knows the user by.
    #[error("holds a private relay address")]
    PrivateRelay,
    /// The address is none.
    #[error("holds an address that is not valid")]
    InvalidAddress,
}

impl Refusal {
    /// Every refusal, in metric order.
    pub const ALL: [Self; 15] = [
        Self::TooLarge,
        Self::Malformed,
        Self::Type,
        Self::Algorithm,
        Self::Issuer,
        Self::UnknownKey,
        Self::Unavailable,
        Self::Signature,
        Self::Audience,
        Self::Expired,
        Self::NotYetValid,
        Self::NoAddress,
        Self::Unverified,
        Self::PrivateRelay,
        Self::InvalidAddress,
    ];

    /// The metric label, and the code in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::Type => "type",
            Self::Algorithm => "algorithm",
            Self::Issuer => "issuer",
            Self::UnknownKey => "unknown_key",
            Self::Unavailable => "unavailable",
            Self::Signature => "signature",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NoAddress => "no_address",
            Self::Unverified => "unverified",
            Self::PrivateRelay => "private_relay",
            Self::InvalidAddress => "invalid_address",
        }
    }

    /// What the library's verdict means; times and audience are not asked of it.
    pub(super) fn of_signature(fault: &jsonwebtoken::errors::Error) -> Self {
        use jsonwebtoken::errors::ErrorKind;
        match fault.kind() {
            ErrorKind::Json(_) | ErrorKind::Utf8(_) | ErrorKind::Base64(_) | ErrorKind::InvalidToken => {
                Self::Malformed
            }
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            _ => Self::Signature,
        }
    }
}
