//! What a browser's cookies say of its user: the UID2 SDK's cookie and Prebid's (uid2-protocol §6.2, §6.3).
//!
//! ```text
//! __uid_2, __euid              percent-encoded JSON     the body of a generate or refresh answer, as the SDK v2–v4 writes it
//!                                                       {"status":"optout", …}: the SDK's opt-out marker
//! __uid2_advertising_token,    percent-encoded JSON     {"latestToken": the same body, or "optout", …}
//! __euid_advertising_token
//! any name                     the SDK's object sealed, where the gateway alone shall read it
//! ```
//!
//! Of one cookie, the publisher's own, what renews it is read too, and what it takes to [write](self::write) it again.
//!
//! A token without its times (the SDK's legacy form of two members, Prebid's token by itself) is not used: nobody could
//! say when it ends, and it would outlive an opt-out. Either may be the word `optout` instead.
//!
//! Anybody can send any cookie, so it is believed within bounds only, and what is beyond them counts as not sent: it is
//! never an error. An opt-out is believed of either scope: it only tightens.

mod percent;
mod renewal;
pub mod write;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::scope::Scope;
use super::token::{AdvertisingToken, Times};
use super::wire::times;
use crate::secret::Secret;
use crate::time::UnixMillis;

pub use renewal::Renewal;

/// Bytes of `Cookie` headers that are looked at, all together.
pub const MAX_HEADER_BYTES: usize = 32_768;

/// Longest cookie value read: browsers keep no longer one.
pub const MAX_VALUE_BYTES: usize = 4_096;

/// A token that claims to live longer is not believed: operators issue 30 days at most. Milliseconds.
pub const MAX_LIFE_MS: i64 = 31 * 24 * 3_600_000;

/// What stands in the place of a token when the user opted out.
const OPT_OUT: &str = "optout";

/// What the cookies say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The user opted out; the SDK says so for 72 hours.
    OptedOut,
    /// This identity is theirs.
    Held(Held),
}

/// An identity that a browser holds. Its `Debug` text shows only the times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// What goes into the bid stream.
    pub advertising_token: AdvertisingToken,
    /// When it must be refreshed, and when its parts die.
    pub times: Times,
    /// What renews it; only of the publisher's own cookie, and only when all of it is there.
    pub renewal: Option<Box<Renewal>>,
}

/// The cookie that a publisher keeps for its users, in the scope that is read.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    /// Its name.
    pub name: &'a str,
    /// What opens its value, where that is sealed.
    pub open: Option<&'a Opens<'a>>,
}

/// Opens a sealed value; `None`: it is none of ours.
pub type Opens<'a> = dyn Fn(&[u8]) -> Option<Secret<Vec<u8>>> + 'a;

/// Reads the `Cookie` headers of one request. An opt-out, of either scope, beats everything; of what is held in this
/// scope the publisher's own cookie beats the SDK's and that Prebid's, and of two with one name the first counts.
pub fn read<'a>(
    headers: impl Iterator<Item = &'a [u8]>,
    (scope, own): (Scope, Option<Own<'_>>),
    now: UnixMillis,
) -> Option<Claim> {
    let mut left = MAX_HEADER_BYTES;
    let mut held = [None, None, None];
    for header in headers {
        let header = whole_cookies(header, left);
        left -= header.len();
        for (kind, value) in header.split(|byte| *byte == b';').filter_map(|pair| named(pair, (scope, own))) {
            match kind.claim(value, now) {
                Some(Claim::OptedOut) => return Some(Claim::OptedOut),
                Some(claim) if kind.scope == scope => {
                    if let Some(first @ None) = held.get_mut(kind.form.rank()) {
                        *first = Some(claim);
                    }
                }
                _ => {}
            }
        }
    }
    held.into_iter().flatten().next()
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
enum Form<'a> {
    Own(Own<'a>),
    Sdk,
    Prebid,
}

impl Form<'_> {
    /// The least counts first.
    const fn rank(self) -> usize {
        match self {
            Self::Own(_) => 0,
            Self::Sdk => 1,
            Self::Prebid => 2,
        }
    }
}

/// What the name of a cookie tells.
#[derive(Clone, Copy)]
struct Kind<'a> {
    form: Form<'a>,
    scope: Scope,
}

/// What the name of one of our cookies tells, and its value.
fn named<'a, 'o>(pair: &'a [u8], (scope, own): (Scope, Option<Own<'o>>)) -> Option<(Kind<'o>, &'a [u8])> {
    let (name, value) =
        pair.trim_ascii().split_at_checked(pair.trim_ascii().iter().position(|b| *b == b'=')?)?;
    let value = value.get(1..)?;
    if let Some(own) = own.filter(|own| own.name.as_bytes() == name) {
        return Some((Kind { form: Form::Own(own), scope }, value));
    }
    let (form, scope) = match name {
        b"__uid_2" => (Form::Sdk, Scope::Uid2),
        b"__euid" => (Form::Sdk, Scope::Euid),
        b"__uid2_advertising_token" => (Form::Prebid, Scope::Uid2),
        b"__euid_advertising_token" => (Form::Prebid, Scope::Euid),
        _ => return None,
    };
    Some((Kind { form, scope }, value))
}

impl Kind<'_> {
    fn claim(self, value: &[u8], now: UnixMillis) -> Option<Claim> {
        if value.len() > MAX_VALUE_BYTES {
            return None;
        }
        if let Form::Own(Own { open: Some(open), .. }) = self.form {
            let opened = open(value)?;
            return identity(std::str::from_utf8(opened.expose()).ok()?, self, now);
        }
        let text = percent::decode(value)?;
        let bare = text.trim();
        if bare.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(bare) == OPT_OUT {
            return Some(Claim::OptedOut);
        }
        match self.form {
            Form::Own(_) | Form::Sdk => identity(&text, self, now),
            Form::Prebid => latest(&text, self, now),
        }
    }
}

type Members = BTreeMap<String, Box<RawValue>>;

/// Prebid's chain of tokens: only the latest counts.
fn latest(text: &str, kind: Kind<'_>, now: UnixMillis) -> Option<Claim> {
    let members: Members = serde_json::from_str(text).ok()?;
    let latest = members.get("latestToken")?;
    match serde_json::from_str::<String>(latest.get()) {
        Ok(word) => (word == OPT_OUT).then_some(Claim::OptedOut),
        Err(_) => identity(latest.get(), kind, now),
    }
}

/// The SDK's object.
fn identity(text: &str, kind: Kind<'_>, now: UnixMillis) -> Option<Claim> {
    let members: Members = serde_json::from_str(text).ok()?;
    if text_of(&members, "status").is_some_and(|status| status == OPT_OUT) {
        return Some(Claim::OptedOut);
    }
    let token = AdvertisingToken::parse(&text_of(&members, "advertising_token")?).ok()?;
    let time = |name| serde_json::from_str(members.get(name)?.get()).ok();
    let times = times(time("refresh_from")?, time("identity_expires")?, time("refresh_expires")?).ok()?;
    let believed = token.looks_made_for(kind.scope) && times.identity_expires.since(now) <= MAX_LIFE_MS;
    if !believed {
        return None;
    }
    let renewal = match kind.form {
        Form::Own(_) => Renewal::of(&members).map(Box::new),
        Form::Sdk | Form::Prebid => None,
    };
    Some(Claim::Held(Held { advertising_token: token, times, renewal }))
}

fn text_of(members: &Members, name: &str) -> Option<String> {
    serde_json::from_str(members.get(name)?.get()).ok()
}

#[cfg(test)]
mod tests;
