//! Answers of the identity API and their statuses.

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use ::http::{Response, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    BEARER, NDJSON, NO_STORE, RETRY_SOON, Reply, header, json_reply, members, method_not_allowed, new,
    no_such_path, problem, set_cookie,
};
use crate::identity::{LoginError, Origin, Phase, Status};
use crate::operator;
use crate::server::growing::{Answer, Content, Growing};
use crate::server::identity_api::{Answer as ApiAnswer, Fault, Handed};
use crate::sso::Refusal;
use crate::uid2::wire;

/// The answer to an identity call.
pub(in crate::server) fn identity(result: Result<ApiAnswer, Fault>) -> Reply {
    let mut reply = match result {
        Ok(answer) => identity_answer(answer),
        Err(fault) => identity_fault(&fault),
    };
    reply.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    reply
}

/// The answers of a batch, as they come.
pub(in crate::server) fn lines(answers: Growing) -> Answer {
    let mut reply = Response::new(Content::Growing(Box::new(answers)));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, NDJSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    reply
}

fn identity_answer(answer: ApiAnswer) -> Reply {
    match answer {
        ApiAnswer::Done => new(StatusCode::NO_CONTENT, None, Bytes::new()),
        ApiAnswer::Handed(handed) => handed_out(*handed),
        told => json_reply(&body(told)),
    }
}

/// An answer with its cookies: for a browser in the head, and for a server that relays one to its page in the body.
fn handed_out(handed: Handed) -> Reply {
    let cookies: Vec<_> = handed.cookies.iter().filter_map(|cookie| header(cookie.expose())).collect();
    let mut reply = match handed.answer {
        ApiAnswer::Done => identity_answer(ApiAnswer::Done),
        _ => json_reply(&body(ApiAnswer::Handed(Box::new(handed)))),
    };
    for cookie in cookies {
        set_cookie(&mut reply, cookie);
    }
    reply
}

/// The JSON of an answer that has some.
fn body(answer: ApiAnswer) -> Value {
    match answer {
        ApiAnswer::Handed(handed) => {
            let mut told = body(handed.answer);
            if let (Some(members), Some(cookie)) = (told.as_object_mut(), handed.cookies.first()) {
                members.insert("set_cookie".into(), cookie.expose().as_str().into());
            }
            told
        }
        ApiAnswer::LoggedIn { scope, identity, return_identity, session } => {
            let times = identity.times;
            let mut body = json!({
                "status": "success",
                "scope": scope.as_str(),
                "identity_expires": times.identity_expires.0,
                "refresh_from": times.refresh_from.0,
                "refresh_expires": times.refresh_expires.0,
            });
            if return_identity {
                body["identity"] = wire::identity_body(&identity);
            }
            if let Some(session) = session {
                body["session"] = session.expose().as_str().into();
            }
            body
        }
        ApiAnswer::OptedOut => json!({"status": "optout"}),
        ApiAnswer::Denied(reason) => json!({"status": "denied", "reason": reason}),
        ApiAnswer::Status { status: told, other } => {
            let mut body = status(&told);
            if let Some(other) = other {
                body["other"] = status(&other);
            }
            body
        }
        ApiAnswer::Token { token, identity_expires } => {
            json!({"advertising_token": token.as_str(), "identity_expires": identity_expires.0})
        }
        ApiAnswer::Done => Value::Null,
    }
}

/// One line of a batch: what the call alone would answer; its status stands in a problem only.
pub(in crate::server) fn identity_line(result: Result<ApiAnswer, Fault>) -> String {
    match result {
        Ok(answer) => body(answer).to_string(),
        Err(fault) => {
            let (status, extra) = fault_parts(&fault);
            Value::Object(members(status, &fault.to_string(), extra)).to_string()
        }
    }
}

fn status(status: &Status) -> Value {
    json!({
        "phase": phase(status.phase),
        "scope": status.scope.as_str(),
        "origin": match status.origin { Origin::Login => "login", Origin::Import => "import", Origin::IdToken => "id_token", Origin::Dii => "dii" },
        "identity_expires": status.times.map(|t| t.identity_expires.0),
        "refresh_from": status.times.map(|t| t.refresh_from.0),
        "refresh_expires": status.times.map(|t| t.refresh_expires.0),
    })
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Fresh => "fresh",
        Phase::Due => "due",
        Phase::Lapsed => "lapsed",
        Phase::Dead => "dead",
        Phase::OptedOut => "opted_out",
        Phase::LoggedOut => "logged_out",
    }
}

fn identity_fault(fault: &Fault) -> Reply {
    match fault {
        Fault::NoPath => return no_such_path(),
        Fault::Method(allow) => return method_not_allowed(allow),
        _ => {}
    }
    let (status, extra) = fault_parts(fault);
    let mut reply = problem(status, &fault.to_string(), extra);
    match status {
        StatusCode::SERVICE_UNAVAILABLE => drop(reply.headers_mut().insert(RETRY_AFTER, RETRY_SOON)),
        StatusCode::UNAUTHORIZED => drop(reply.headers_mut().insert(WWW_AUTHENTICATE, BEARER)),
        _ => {}
    }
    reply
}

fn fault_parts(fault: &Fault) -> (StatusCode, Map<String, Value>) {
    let status = match fault {
        Fault::Unauthorized => StatusCode::UNAUTHORIZED,
        Fault::TlsRequired | Fault::NotAuthorised => StatusCode::FORBIDDEN,
        Fault::BadRequest { .. } => StatusCode::BAD_REQUEST,
        Fault::Unprocessable { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Fault::NotFound | Fault::NoPath => StatusCode::NOT_FOUND,
        Fault::OptedOut => StatusCode::GONE,
        Fault::OptedOutAtSite | Fault::OptedOutBefore => StatusCode::CONFLICT,
        Fault::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
        Fault::TooLarge(_) | Fault::TooManyLines(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Fault::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Fault::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Fault::Login(fault) => login_status(fault),
    };
    let mut extra = Map::new();
    if let Some(code) = fault.code() {
        extra.insert("code".into(), code.into());
    }
    if let Some(member) = fault.member() {
        extra.insert("member".into(), member.into());
    }
    (status, extra)
}

/// 503 when a retry can help soon, 504 when the operator was too slow, 502 when what it said is no use.
fn login_status(fault: &LoginError) -> StatusCode {
    match fault {
        LoginError::NotTheirs => StatusCode::FORBIDDEN,
        LoginError::Overtaken => StatusCode::CONFLICT,
        LoginError::Store(_) | LoginError::Stopped | LoginError::IdToken(Refusal::Unavailable) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        LoginError::InvalidDii | LoginError::IdToken(_) => StatusCode::UNPROCESSABLE_ENTITY,
        LoginError::Operator(fault) => match fault {
            operator::Fault::Timeout => StatusCode::GATEWAY_TIMEOUT,
            operator::Fault::Throttled | operator::Fault::Connect => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        },
    }
}
