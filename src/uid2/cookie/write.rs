//! A cookie as the gateway writes it: the SDK's object, percent-encoded or sealed, and the attributes of `Set-Cookie`
//! (uid2-protocol §6.2; RFC 6265 §4.1).

use std::time::{Duration, UNIX_EPOCH};

use super::percent;
use crate::secret::Secret;
use crate::time::UnixMillis;
use crate::uid2::token::Identity;
use crate::uid2::wire::identity_body;

/// The six members of an identity.
pub(super) const MEMBERS: [&str; 6] = [
    "advertising_token",
    "refresh_token",
    "identity_expires",
    "refresh_from",
    "refresh_expires",
    "refresh_response_key",
];

/// The member in which the gateway keeps whose cookie it is. SDKs pass over members that they do not know.
pub(super) const TICKET: &str = "uid2gw";

/// So long an opt-out stands in a cookie, milliseconds: as the SDK does it.
pub const OPT_OUT_MS: i64 = 72 * 3_600_000;

/// Browsers keep no cookie whose name and value are longer together.
const MAX_PAIR_BYTES: usize = 4_096;

/// 9999-12-31T23:59:59Z, the last date that can be written, seconds.
const LAST_DATE: u64 = 253_402_300_799;

/// `publisher.cookie`, for one scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// Its name.
    pub name: String,
    /// `Domain`; `None`: the host that answers, alone.
    pub domain: Option<String>,
    /// `Path`.
    pub path: String,
    /// `SameSite`.
    pub same_site: SameSite,
    /// The gateway alone can read it, so no script may: `HttpOnly`.
    pub sealed: bool,
}

/// When a browser sends a cookie with a call from another site's page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SameSite {
    /// Only when the user follows a link.
    #[default]
    Lax,
    /// Never.
    Strict,
    /// Always.
    None,
}

/// The text of an identity: what stands in a cookie before it is encoded or sealed. `others` are members, as
/// [`Renewal::others`](super::Renewal::others) holds them.
pub fn text(identity: &Identity, ticket: Option<&str>, others: &str) -> Secret<String> {
    let mut body = identity_body(identity);
    if let Some(ticket) = ticket {
        body[TICKET] = ticket.into();
    }
    let mut text = body.to_string();
    if !others.is_empty() {
        text.truncate(text.len() - 1);
        text.push(',');
        text.push_str(others);
        text.push('}');
    }
    Secret::new(text)
}

/// The SDK's opt-out marker, and when it ends.
pub fn opt_out(now: UnixMillis) -> (String, UnixMillis) {
    let until = now.plus(OPT_OUT_MS);
    let times = until.0;
    (format!(r#"{{"refresh_expires":{times},"identity_expires":{times},"status":"optout"}}"#), until)
}

/// The value of a cookie with this text that scripts may read.
pub fn readable(text: &str) -> String {
    percent::encode(text)
}

impl Attributes {
    /// Whether a browser would keep a value of this length.
    pub fn fits(&self, value: &str) -> bool {
        self.name.len() + 1 + value.len() <= MAX_PAIR_BYTES
    }

    /// The value of a `Set-Cookie` header.
    pub fn set(&self, value: &str, until: UnixMillis) -> String {
        let seconds = u64::try_from(until.0).unwrap_or_default() / 1_000;
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_DATE)));
        let mut text = format!("{}={value}; Path={}; Expires={date}", self.name, self.path);
        if let Some(domain) = &self.domain {
            text.push_str("; Domain=");
            text.push_str(domain);
        }
        text.push_str("; Secure; SameSite=");
        text.push_str(match self.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        });
        if self.sealed {
            text.push_str("; HttpOnly");
        }
        text
    }

    /// The value of a `Set-Cookie` header that takes the cookie away.
    pub fn removed(&self) -> String {
        self.set("", UnixMillis(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Attributes {
        Attributes {
            name: "__uid_2".into(),
            domain: None,
            path: "/".into(),
            same_site: SameSite::Lax,
            sealed: false,
        }
    }

    #[test]
    fn attributes_are_those_of_the_sdk_and_safer() {
        let at = UnixMillis(1_768_478_400_999);
        assert_eq!(
            plain().set("v", at),
            "__uid_2=v; Path=/; Expires=Thu, 15 Jan 2026 12:00:00 GMT; Secure; SameSite=Lax"
        );
        let all = Attributes {
            domain: Some("example.com".into()),
            path: "/ads".into(),
            same_site: SameSite::None,
            sealed: true,
            ..plain()
        };
        assert_eq!(
            all.set("v", UnixMillis(i64::MAX)),
            "__uid_2=v; Path=/ads; Expires=Fri, 31 Dec 9999 23:59:59 GMT; Domain=example.com; Secure; SameSite=None; HttpOnly"
        );
        assert_eq!(
            plain().removed(),
            "__uid_2=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; SameSite=Lax"
        );
        assert_eq!(plain().set("", UnixMillis(-5)), plain().removed());
    }

    #[test]
    fn a_pair_fits_up_to_what_browsers_keep() {
        let room = MAX_PAIR_BYTES - "__uid_2=".len();
        assert!(plain().fits(&"v".repeat(room)) && !plain().fits(&"v".repeat(room + 1)));
    }
}
