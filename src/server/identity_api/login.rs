//! `POST /v1/identity`: a user logs in. DII lives in this function's memory and leaves it only as a hash.

use std::sync::Arc;

use ::http::Request;
use hyper::body::Incoming;
use serde::Deserialize;

use super::caller::Caller;
use super::handed::Wanted;
use super::user_id::{UserId, Who};
use super::{Answer, Fault, body, consent, said};
use crate::identity::{self, Login, LoginAnswer, Origin};
use crate::privacy::{Said, judge_login};
use crate::secret::Secret;
use crate::server::live::Room;
use crate::sso::Verified;
use crate::uid2::{DiiError, DiiHash, DiiKind, Email, Phone};

/// Largest login body, bytes: an address, a user id and two consent strings fit with room to spare.
pub(super) const MAX_LOGIN_BYTES: usize = 16 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    user_id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    email_hash: Option<String>,
    phone_hash: Option<String>,
    id_token: Option<String>,
    #[serde(default)]
    privacy: Privacy,
    #[serde(default)]
    return_identity: bool,
    #[serde(default)]
    set_cookie: bool,
    #[serde(default)]
    session: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "the specification's names")]
struct Privacy {
    gdpr: Option<Flag>,
    consent: Option<String>,
    us_privacy: Option<String>,
    gpp: Option<String>,
    gpp_sid: Option<Vec<i32>>,
    coppa: Option<Flag>,
    gpc: Option<Flag>,
    notice: Option<Flag>,
}

/// 0/1 as OpenRTB writes it, or a JSON boolean.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Number(u8),
}

impl Flag {
    fn is_set(self) -> bool {
        match self {
            Self::Bool(set) => set,
            Self::Number(number) => number != 0,
        }
    }
}

pub(super) async fn login(
    room: &Room,
    caller: &Caller<'_>,
    request: Request<Incoming>,
) -> Result<Answer, Fault> {
    let bytes = body::read(room, request, (&["application/json"], MAX_LOGIN_BYTES)).await?;
    with(room, caller, parse(bytes.expose())?).await
}

/// One login, from wherever its body came.
pub(super) async fn with(room: &Room, caller: &Caller<'_>, body: Body) -> Result<Answer, Fault> {
    let told = Said::from(&body.privacy);
    if told.gpp_sid.as_ref().is_some_and(|ids| ids.len() > said::MAX_SECTIONS) {
        return Err(Fault::bad("privacy.gpp_sid", "must have at most 255 sections"));
    }
    let publisher = caller.publisher();
    let wanted = Wanted { cookie: body.set_cookie, session: body.session }.checked(publisher)?;
    let settings = &publisher.settings;
    let tenant = &*caller.acting(settings.tenant(settings.scope_for(|| told.signals())));
    let identities = &room.gateway().shared().identities;
    let proven = prove(room, caller, (&body, tenant)).await?;
    let Proven { who, dii, origin, provider } = proven;
    let opted_out = |other| identities.has_opted_out(other, (who.key(identities, other), &dii));
    if settings.others(tenant.scope()).any(opted_out) {
        return Ok(wanted.opted_out(room, tenant));
    }
    let granted = match consent(room, (publisher, tenant.scope()), &told, judge_login) {
        Ok(granted) => granted,
        Err(reason) => return said::refused(room, caller, (&who, &dii), (&told, reason)).await,
    };
    if said::lacks_notice(tenant, &told) {
        return said::refused(room, caller, (&who, &dii), (&told, "notice")).await;
    }
    let left = said::left(room, caller, &who, tenant.scope()).await?;
    let login = Login { key: who.key(identities, tenant), dii, said: told.clone(), origin, provider };
    match identities.login(tenant, login, granted).await? {
        LoginAnswer::Active(identity) => {
            said::beside(room, caller, (&who, &dii), (&told, tenant.scope(), left)).await?;
            let session = wanted.session(room, (publisher, tenant), &who).await?;
            let answer = Answer::LoggedIn {
                scope: tenant.scope(),
                identity: Box::new(identity.clone()),
                return_identity: body.return_identity,
                session,
            };
            Ok(wanted.kept(room, (publisher, tenant), (&who, &identity), answer))
        }
        LoginAnswer::OptedOut => Ok(wanted.opted_out(room, tenant)),
        LoginAnswer::OptedOutAtSite => Err(Fault::OptedOutAtSite),
        LoginAnswer::InsufficientConsent => {
            said::refused(room, caller, (&who, &dii), (&told, "tcf_purpose")).await
        }
        LoginAnswer::Denied(denial) => Ok(Answer::Denied(said::told(denial))),
    }
}

/// Who logs in, and on whose word.
struct Proven {
    who: Who,
    dii: DiiHash,
    origin: Origin,
    provider: Option<Arc<str>>,
}

async fn prove(
    room: &Room,
    caller: &Caller<'_>,
    (body, tenant): (&Body, &identity::Publisher),
) -> Result<Proven, Fault> {
    let user = user(caller, body)?;
    let proof = proof(body)?;
    if let Some(user) = &user {
        // Told at once; every write asks again for itself.
        room.gateway().shared().identities.may_ask(tenant, user.as_bytes(), true).await?;
    }
    let own = caller.provider().cloned();
    match (proof, user) {
        (Proof::Dii(dii), Some(user)) => {
            Ok(Proven { who: Who::User(user), dii, origin: Origin::Login, provider: own })
        }
        (Proof::Dii(_), None) => Err(Fault::bad("user_id", "is required")),
        (Proof::IdToken(token), user) => {
            let verified = room.gateway().shared().identities.verify(tenant, token).await?;
            let Verified { provider, issuer, subject, dii, .. } = verified;
            let (who, provider) = match user {
                // The publisher's own user: its provider may not touch what it did not make itself.
                Some(user) => (Who::User(user), own),
                None => (Who::Subject { issuer, subject }, own.or(Some(provider))),
            };
            Ok(Proven { who, dii, origin: Origin::IdToken, provider })
        }
    }
}

/// The publisher's own id of the user. Who has no key names none: the ID token says who it is.
fn user(caller: &Caller<'_>, body: &Body) -> Result<Option<UserId>, Fault> {
    match (&body.user_id, caller) {
        (Some(_), Caller::Nobody(_)) => Err(Fault::bad("user_id", "needs an API key")),
        (Some(user_id), _) => UserId::from_body(user_id).map(Some),
        (None, Caller::Nobody(_)) if body.id_token.is_none() => Err(Fault::Unauthorized),
        (None, _) if body.id_token.is_none() => Err(Fault::bad("user_id", "is required")),
        (None, _) => Ok(None),
    }
}

/// By what the login says whose it is.
enum Proof {
    Dii(DiiHash),
    IdToken(Secret<String>),
}

/// serde's message names the member and what was expected of it; where it quotes a value, only the place is told.
pub(super) fn parse(bytes: &[u8]) -> Result<Body, Fault> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let body: Body = serde_path_to_error::deserialize(&mut deserializer).map_err(|fault| {
        let member = fault.path().to_string();
        let inner = fault.inner();
        let text = inner.to_string();
        let told = if text.starts_with("unknown field") {
            String::from("unknown member")
        } else if text.starts_with("missing field") {
            text
        } else {
            format!("not as expected at line {} column {}", inner.line(), inner.column())
        };
        // A name that is not one of ours is the caller's text, and could be anything.
        let is_name =
            !member.is_empty() && member.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'.'));
        let member = if is_name && member != "." { member.into() } else { "body".into() };
        Fault::BadRequest { member, reason: told.into() }
    })?;
    deserializer.end().map_err(|_| Fault::bad("body", "has text after the object"))?;
    Ok(body)
}

/// Exactly one of the five identifiers.
fn proof(body: &Body) -> Result<Proof, Fault> {
    let given = [&body.email, &body.phone, &body.email_hash, &body.phone_hash, &body.id_token];
    if given.iter().filter(|value| value.is_some()).count() != 1 {
        return Err(Fault::bad(
            "body",
            "needs exactly one of email, phone, email_hash, phone_hash, id_token",
        ));
    }
    match &body.id_token {
        Some(token) => Ok(Proof::IdToken(Secret::new(token.clone()))),
        None => dii(body).map(Proof::Dii),
    }
}

/// The one of the four addresses that is there, as a hash.
fn dii(body: &Body) -> Result<DiiHash, Fault> {
    let invalid = |member: &'static str| {
        move |fault: DiiError| Fault::Unprocessable {
            member,
            code: "dii_invalid",
            reason: fault.to_string().into(),
        }
    };
    if let Some(email) = &body.email {
        return Email::parse(email).map(|e| DiiHash::of_email(&e)).map_err(invalid("email"));
    }
    if let Some(phone) = &body.phone {
        return Phone::parse(phone).map(|p| DiiHash::of_phone(&p)).map_err(invalid("phone"));
    }
    if let Some(hash) = &body.email_hash {
        return DiiHash::parse(DiiKind::Email, hash).map_err(invalid("email_hash"));
    }
    let hash = body.phone_hash.as_deref().unwrap_or_default();
    DiiHash::parse(DiiKind::Phone, hash).map_err(invalid("phone_hash"))
}

impl Drop for Body {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.email.zeroize();
        self.phone.zeroize();
        self.email_hash.zeroize();
        self.phone_hash.zeroize();
        self.id_token.zeroize();
    }
}

impl From<&Privacy> for Said {
    fn from(said: &Privacy) -> Self {
        Self {
            gdpr: said.gdpr.map(Flag::is_set),
            consent: said.consent.clone(),
            us_privacy: said.us_privacy.clone(),
            gpp: said.gpp.clone(),
            gpp_sid: said.gpp_sid.clone(),
            coppa: said.coppa.is_some_and(Flag::is_set),
            gpc: said.gpc.is_some_and(Flag::is_set),
            notice: said.notice.map(Flag::is_set),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(json: &str) -> String {
        match parse(json.as_bytes()).and_then(|body| proof(&body).map(|_| ())) {
            Ok(()) => "ok".into(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn exactly_one_identifier() {
        assert_eq!(reason(r#"{"user_id":"u","email":"a@example.com"}"#), "ok");
        assert_eq!(reason(r#"{"user_id":"u","email":"a@example.com","phone":null}"#), "ok");
        let one = "body: needs exactly one of email, phone, email_hash, phone_hash, id_token";
        assert_eq!(reason(r#"{"user_id":"u"}"#), one);
        assert_eq!(reason(r#"{"user_id":"u","email":"a@example.com","phone":"+12345678901"}"#), one);
    }

    #[test]
    fn faults_name_the_member_and_never_the_value() {
        assert_eq!(reason(r#"{"user_id":"u","mail":"a@example.com"}"#), "mail: unknown member");
        for json in [
            r#"{"user_id":"u","email":{"secret@example.com":1}}"#,
            r#"{"user_id":"u","secret@example.com":1}"#,
            r#"{"user_id":"u","email":"secret example.com"}"#,
            r#"{"user_id":"u","email_hash":"c2VjcmV0"}"#,
            r#"{"user_id":"u","privacy":{"gdpr":"secret"}}"#,
            r#"{"user_id":"u","email":"a@example.com"} secret"#,
        ] {
            let told = reason(json);
            assert!(told != "ok" && !told.contains("secret") && !told.contains("c2Vj"), "{json}: {told}");
        }
    }
}
