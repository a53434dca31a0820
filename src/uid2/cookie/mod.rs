//! What a browser's cookies say of its user: the UID2 SDK's cookie and Prebid's (uid2-protocol §6.2, §6.3).
//!
//! ```text
//! __uid_2, __euid              percent-encoded JSON     the body of a generate or refresh answer, as the SDK v2–v4 writes it
//!                                                       two members: legacy, the SDK completes it with assumed times
//!                                                       {"status":"optout", …}: the SDK's opt-out marker
//! __uid2_advertising_token,    percent-encoded JSON     {"latestToken": the same body, or "optout", …}
//! __euid_advertising_token     a token by itself        Prebid, server-only mode
//! ```
//!
//! Anybody can send any cookie, so it is believed within bounds only, and what is beyond them counts as not sent: it is
//! never an error.

mod percent;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;

use super::scope::Scope;
use super::token::{AdvertisingToken, Times};
use super::wire::{is_refresh_token, times};
use crate::secret::Secret;
use crate::time::UnixMillis;

/// Bytes of `Cookie` headers that are looked at, all together.
pub const MAX_HEADER_BYTES: usize = 32_768;

/// Longest cookie value read: browsers keep no longer one.
pub const MAX_VALUE_BYTES: usize = 4_096;

/// A token that claims to live longer is not believed: operators issue 30 days at most. Milliseconds.
pub const MAX_LIFE_MS: i64 = 31 * DAY_MS;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What the cookies say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The user opted out; the SDK says so for 72 hours.
    OptedOut,
    /// This identity is theirs.
    Held(Held),
}

/// An identity that a browser holds.
#[derive(Clone)]
pub struct Held {
    /// What goes into the bid stream.
    pub advertising_token: AdvertisingToken,
    /// What would renew it, where that is told.
    pub refresh_token: Option<Secret<String>>,
    /// When it must be refreshed, and when its parts die; assumed as the SDK does where they are not told.
    pub times: Times,
    /// Members that we do not read, in the order of their names.
    others: BTreeMap<String, Box<RawValue>>,
}

/// Reads the `Cookie` headers of one request. An opt-out beats everything, the SDK's cookie beats Prebid's, and of two
/// with one name the first counts.
pub fn read<'a>(headers: impl Iterator<Item = &'a [u8]>, scope: Scope, now: UnixMillis) -> Option<Claim> {
    let mut left = MAX_HEADER_BYTES;
    let (mut sdk, mut prebid) = (None, None);
    for header in headers {
        let header = whole_cookies(header, left);
        left -= header.len();
        for (form, value) in header.split(|byte| *byte == b';').filter_map(|pair| named(pair, scope)) {
            match (form, form.claim(value, now)) {
                (_, Some(Claim::OptedOut)) => return Some(Claim::OptedOut),
                (Form::Sdk, Some(claim)) => sdk = sdk.or(Some(claim)),
                (Form::Prebid, Some(claim)) => prebid = prebid.or(Some(claim)),
                (_, None) => {}
            }
        }
    }
    sdk.or(prebid)
}

/// The cookies of a header that lie within so many bytes: half a token is none.
fn whole_cookies(header: &[u8], bytes: usize) -> &[u8] {
    match header.get(..bytes) {
        Some(cut) if cut.len() < header.len() => {
            let last = cut.iter().rposition(|byte| *byte == b';');
            cut.get(..last.unwrap_or(0)).unwrap_or_default()
        }
        _ => header,
    }
}

/// Who wrote a cookie.
#[derive(Clone, Copy)]
enum Form {
    Sdk,
    Prebid,
}

/// The form that the name of a cookie of this scope tells, and its value.
fn named(pair: &[u8], scope: Scope) -> Option<(Form, &[u8])> {
    let (name, value) =
        pair.trim_ascii().split_at_checked(pair.trim_ascii().iter().position(|b| *b == b'=')?)?;
    let form = match (scope, name) {
        (Scope::Uid2, b"__uid_2") | (Scope::Euid, b"__euid") => Form::Sdk,
        (Scope::Uid2, b"__uid2_advertising_token") | (Scope::Euid, b"__euid_advertising_token") => {
            Form::Prebid
        }
        _ => return None,
    };
    Some((form, value.get(1..)?))
}

impl Form {
    fn claim(self, value: &[u8], now: UnixMillis) -> Option<Claim> {
        if value.len() > MAX_VALUE_BYTES {
            return None;
        }
        let text = percent::decode(value)?;
        match self {
            Self::Sdk => identity(&text, now),
            Self::Prebid if text.contains('{') => latest(&text, now),
            // Without any time it is as the SDK's legacy form: usable, and to be renewed.
            Self::Prebid => Some(Claim::Held(Held {
                advertising_token: AdvertisingToken::parse(&text).ok()?,
                refresh_token: None,
                times: assumed(now),
                others: BTreeMap::new(),
            })),
        }
    }
}

type Members = BTreeMap<String, Box<RawValue>>;

/// Prebid's chain of tokens: only the latest counts.
fn latest(text: &str, now: UnixMillis) -> Option<Claim> {
    let mut members: Members = serde_json::from_str(text).ok()?;
    let latest = members.remove("latestToken")?;
    match serde_json::from_str::<String>(latest.get()) {
        Ok(word) => (word == "optout").then_some(Claim::OptedOut),
        Err(_) => identity(latest.get(), now),
    }
}

/// The SDK's object.
fn identity(text: &str, now: UnixMillis) -> Option<Claim> {
    let mut members: Members = serde_json::from_str(text).ok()?;
    if taken::<String>(&mut members, "status").is_some_and(|status| status == "optout") {
        return Some(Claim::OptedOut);
    }
    let token: String = taken(&mut members, "advertising_token")?;
    let refresh_token = taken(&mut members, "refresh_token").filter(|token: &String| is_refresh_token(token));
    let told = ["refresh_from", "identity_expires", "refresh_expires"].map(|name| taken(&mut members, name));
    let times = match told {
        [None, None, None] if refresh_token.is_some() => assumed(now),
        [Some(from), Some(expires), Some(refresh_expires)] => times(from, expires, refresh_expires).ok()?,
        _ => return None,
    };
    let believed = times.identity_expires.since(now) <= MAX_LIFE_MS;
    believed.then_some(Claim::Held(Held {
        advertising_token: AdvertisingToken::parse(&token).ok()?,
        refresh_token: refresh_token.map(Secret::new),
        times,
        others: members,
    }))
}

/// A member of the type it should have; of another type it stays with those we do not read.
fn taken<T: serde::de::DeserializeOwned>(members: &mut Members, name: &str) -> Option<T> {
    let value = serde_json::from_str(members.get(name)?.get()).ok()?;
    members.remove(name);
    Some(value)
}

/// What the SDK assumes of a cookie without times.
fn assumed(now: UnixMillis) -> Times {
    Times {
        refresh_from: now,
        identity_expires: now.plus(4 * HOUR_MS),
        refresh_expires: now.plus(7 * DAY_MS),
    }
}

impl Held {
    /// The value of the SDK's cookie, as the SDK writes it; what we do not read is repeated as it was.
    pub fn to_value(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let times = &self.times;
        let mut members = vec![("advertising_token", quoted(self.advertising_token.as_str()))];
        members.extend(self.refresh_token.as_ref().map(|token| ("refresh_token", quoted(token.expose()))));
        members.extend([
            ("identity_expires", times.identity_expires.0.to_string()),
            ("refresh_from", times.refresh_from.0.to_string()),
            ("refresh_expires", times.refresh_expires.0.to_string()),
        ]);
        let read = members.iter().map(|(name, value)| (*name, value.as_str()));
        let others = self.others.iter().map(|(name, value)| (name.as_str(), value.get()));
        let json = read.chain(others).map(|(name, value)| format!("{}:{value}", quoted(name)));
        percent::encoded(&format!("{{{}}}", json.collect::<Vec<_>>().join(",")))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        let others = |held: &Self| {
            let texts = held.others.iter().map(|(name, value)| (name.clone(), value.get().to_owned()));
            texts.collect::<Vec<_>>()
        };
        self.advertising_token == other.advertising_token
            && self.refresh_token == other.refresh_token
            && self.times == other.times
            && others(self) == others(other)
    }
}

impl Eq for Held {}

/// Never shows what it holds.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("times", &self.times).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
