//! Why an identity call failed. Texts name the member and the reason, never a value.

use std::borrow::Cow;

use crate::identity::LoginError;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// No key, or an unknown one. The same text for both: it tells nothing of other tenants.
    #[error("a valid publisher API key is required")]
    Unauthorized,
    /// A provider asks for what no publisher authorised it to.
    #[error("the identity provider is not authorised for this")]
    NotAuthorised,
    /// Plain HTTP from a stranger.
    #[error("identity calls need TLS, a trusted proxy or loopback")]
    TlsRequired,
    /// The request is malformed.
    #[error("{member}: {reason}")]
    BadRequest {
        /// The JSON member, parameter or path part.
        member: Cow<'static, str>,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// Well-formed, but not usable.
    #[error("{member}: {reason}")]
    Unprocessable {
        /// The JSON member or path part.
        member: &'static str,
        /// A short code for programs.
        code: &'static str,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// No such user with this publisher.
    #[error("no identity for this user")]
    NotFound,
    /// The user opted out.
    #[error("the user opted out")]
    OptedOut,
    /// The publisher opted the user out itself.
    #[error("the user opted out at this publisher; DELETE the opt-out first")]
    OptedOutAtSite,
    /// The user opted out, so that an identity made elsewhere is not taken.
    #[error("the user opted out")]
    OptedOutBefore,
    /// No such path.
    #[error("no such path")]
    NoPath,
    /// Wrong method; what is allowed.
    #[error("method not allowed")]
    Method(&'static str),
    /// Body over the limit.
    #[error("body is larger than {0} bytes")]
    TooLarge(usize),
    /// More lines than a batch may have.
    #[error("a batch has at most {0} lines; those from here on were not read")]
    TooManyLines(usize),
    /// Another media type than this one.
    #[error("content type must be {0}")]
    MediaType(String),
    /// The body did not arrive in time.
    #[error("body did not arrive in time")]
    BodyTimeout,
    /// Operator or store.
    #[error(transparent)]
    Login(LoginError),
}

impl From<LoginError> for Fault {
    fn from(fault: LoginError) -> Self {
        match fault {
            LoginError::NotTheirs => Self::NotAuthorised,
            fault => Self::Login(fault),
        }
    }
}

impl Fault {
    /// A malformed member.
    pub(crate) fn bad(member: &'static str, reason: &'static str) -> Self {
        Self::BadRequest { member: member.into(), reason: reason.into() }
    }

    /// A short code for programs, where there is one.
    pub(crate) fn code(&self) -> Option<&'static str> {
        match self {
            Self::TlsRequired => Some("tls_required"),
            Self::OptedOutAtSite => Some("opted_out_at_site"),
            Self::OptedOutBefore => Some("opted_out"),
            Self::NotAuthorised => Some("not_authorised"),
            Self::Login(LoginError::IdToken(refusal)) => Some(refusal.as_str()),
            Self::Unprocessable { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The member at fault, where there is one.
    pub(crate) fn member(&self) -> Option<&str> {
        match self {
            Self::BadRequest { member, .. } => Some(member),
            Self::Unprocessable { member, .. } => Some(member),
            Self::Login(LoginError::IdToken(_)) => Some("id_token"),
            _ => None,
        }
    }
}
