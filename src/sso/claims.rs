//! What a token with a good signature says, and whether it may be believed here and now.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{Refusal, Settings};
use crate::time::UnixMillis;
use crate::uid2::{DiiHash, Email, Phone};

/// Longest subject, bytes (OpenID Connect Core §2: 255 ASCII characters).
const MAX_SUBJECT_BYTES: usize = 255;

/// The claims that count. A member that stands twice is refused: one reader would check the first, another use the last.
#[derive(Deserialize)]
#[serde(try_from = "Once")]
pub(super) struct Claims(Parts);

impl TryFrom<Once> for Claims {
    type Error = serde_json::Error;

    fn try_from(Once(all): Once) -> Result<Self, serde_json::Error> {
        serde_json::from_value(Value::Object(all)).map(Self)
    }
}

/// An object whose members each stand once.
struct Once(Map<String, Value>);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut all = Map::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if all.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim stands twice"));
            }
        }
        Ok(Once(all))
    }
}

#[derive(Deserialize)]
struct Parts {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: Value,
    nbf: Option<Value>,
    iat: Value,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// One text, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// Whether it names one of ours.
    pub(super) fn has_one_of(&self, ours: &[String]) -> bool {
        match self {
            Self::One(one) => ours.contains(one),
            Self::Many(many) => many.iter().any(|one| ours.contains(one)),
        }
    }
}

/// What a token that may be believed says.
pub(super) struct Checked {
    pub(super) subject: String,
    pub(super) dii: DiiHash,
    /// Until when it may be.
    pub(super) until: UnixMillis,
}

impl Claims {
    /// Whether it may be believed now, and what it says.
    pub(super) fn check(self, settings: &Settings, now: UnixMillis) -> Result<Checked, Refusal> {
        if self.0.iss != settings.issuer {
            return Err(Refusal::Issuer);
        }
        self.audience(&settings.audience)?;
        let until = self.times(settings.limits.skew_ms, now)?;
        let dii = self.address(settings)?;
        if self.0.sub.is_empty() || self.0.sub.len() > MAX_SUBJECT_BYTES {
            return Err(Refusal::Malformed);
        }
        Ok(Checked { subject: self.0.sub, dii, until })
    }

    /// One of ours. Of several, `azp` must say that it was made for ours; where it is there, it must be ours in any case
    /// (OpenID Connect Core 1.0 §3.1.3.7, rules 3 to 5). Of one, it need not be there.
    fn audience(&self, ours: &[String]) -> Result<(), Refusal> {
        let fits = match &self.0.aud {
            Audience::One(one) => ours.contains(one),
            Audience::Many(many) => {
                let named = self.0.azp.is_some() || many.len() == 1;
                named && many.iter().any(|one| ours.contains(one))
            }
        };
        let party = self.0.azp.as_ref().is_none_or(|azp| ours.contains(azp));
        if fits && party { Ok(()) } else { Err(Refusal::Audience) }
    }

    /// Until when it counts. `exp` and `iat` are required (OpenID Connect Core 1.0 §2), `nbf` is not.
    fn times(&self, skew_ms: i64, now: UnixMillis) -> Result<UnixMillis, Refusal> {
        let until = millis(&self.0.exp)?.plus(skew_ms);
        if now >= until {
            return Err(Refusal::Expired);
        }
        for from in [Some(&self.0.iat), self.0.nbf.as_ref()].into_iter().flatten() {
            if millis(from)? > now.plus(skew_ms) {
                return Err(Refusal::NotYetValid);
            }
        }
        Ok(until)
    }

    fn address(&self, settings: &Settings) -> Result<DiiHash, Refusal> {
        let claim = settings.email_claim.as_str();
        let text = self.0.others.get(claim).and_then(Value::as_str).map(str::trim);
        let text = text.filter(|text| !text.is_empty()).ok_or(Refusal::NoAddress)?;
        if claim == "phone_number" {
            self.verified("phone_number_verified", settings)?;
            let phone = Phone::parse(text).map_err(|_| Refusal::InvalidAddress)?;
            return Ok(DiiHash::of_phone(&phone));
        }
        self.verified("email_verified", settings)?;
        if !settings.allow_private_relay && settings.is_relay(text) {
            return Err(Refusal::PrivateRelay);
        }
        let email = Email::parse(text).map_err(|_| Refusal::InvalidAddress)?;
        Ok(DiiHash::of_email(&email))
    }

    /// Some providers write the flag as text.
    fn verified(&self, flag: &str, settings: &Settings) -> Result<(), Refusal> {
        let verified = match self.0.others.get(flag) {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        };
        if verified || !settings.require_verified { Ok(()) } else { Err(Refusal::Unverified) }
    }
}

/// Seconds since 1970, whole or not (RFC 7519 §2, `NumericDate`).
fn millis(date: &Value) -> Result<UnixMillis, Refusal> {
    let whole = date.as_i64().map(|seconds| seconds.saturating_mul(1_000));
    #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest time there is")]
    let broken = || date.as_f64().map(|seconds| (seconds * 1_000.0) as i64);
    whole.or_else(broken).map(UnixMillis).ok_or(Refusal::Malformed)
}
