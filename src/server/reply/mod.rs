//! The only place with HTTP statuses: outcomes and refusals → responses, errors as `application/problem+json`
//! (RFC 9457).

use ::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL,
    CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, TRAILER, VARY, WWW_AUTHENTICATE,
};
use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Map, Value};

use super::capture::{self, CaptureFault, Lines};
use crate::gateway::{Outcome, OutcomeAnswer, Reject, RejectKind};

mod identity;
mod reload;

pub(super) use identity::{identity, identity_line, lines};
pub(super) use reload::reloaded;

/// A response of any listener.
pub(super) type Reply = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const X_OPENRTB_VERSION: HeaderName = HeaderName::from_static("x-openrtb-version");
const X_UID2GW_RESULT: HeaderName = HeaderName::from_static("x-uid2gw-result");
const VERSION: HeaderValue = HeaderValue::from_static("2.6");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");
const RETRY_SOON: HeaderValue = HeaderValue::from_static("1");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
/// What a preflight's answer depends on.
const VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
const PAGE_METHODS: HeaderValue = HeaderValue::from_static("POST");
/// What a page may set. Never `Authorization` or a user id: a page has no key, and its word of who the user is counts for nothing.
const PAGE_HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, content-encoding, x-openrtb-version, x-uid2-id-token, x-uid2-session, traceparent",
);
/// What a page may read besides what it always may.
const PAGE_READS: HeaderValue = HeaderValue::from_static("x-openrtb-version, x-uid2gw-result, retry-after");
/// Two hours, seconds: the longest that every browser takes.
const PREFLIGHT_LIFE: HeaderValue = HeaderValue::from_static("7200");

/// The answer to an ad request.
pub(super) fn auction(result: Result<Outcome, Reject>) -> Reply {
    match result {
        Ok(Outcome { answer, result, cookie, .. }) => {
            let mut reply = auction_answer(answer);
            if let Some(cookie) = cookie {
                set_cookie(&mut reply, cookie);
            }
            if let Some(result) = result {
                reply.headers_mut().insert(X_UID2GW_RESULT, result);
            }
            reply
        }
        Err(reject) => rejected(&reject.kind),
    }
}

/// A header's value that is shown nowhere.
fn header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The browser keeps this, and no cache does.
fn set_cookie(reply: &mut Reply, cookie: HeaderValue) {
    let headers = reply.headers_mut();
    headers.append(SET_COOKIE, cookie);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(VARY, VARY_ORIGIN);
}

fn auction_answer(answer: OutcomeAnswer) -> Reply {
    let (status, headers, body) = match answer {
        OutcomeAnswer::Passed { status, headers, body, .. } => {
            (StatusCode::from_u16(status).unwrap_or(StatusCode::OK), headers, body)
        }
        OutcomeAnswer::Written { headers, body, .. } => (StatusCode::OK, headers, body),
        OutcomeAnswer::NoBid => (StatusCode::NO_CONTENT, HeaderMap::new(), Bytes::new()),
    };
    let mut reply = new(status, None, body);
    *reply.headers_mut() = headers;
    reply.headers_mut().entry(X_OPENRTB_VERSION).or_insert(VERSION);
    reply
}

fn rejected(kind: &RejectKind) -> Reply {
    let status = match kind {
        RejectKind::BadRequest(_) | RejectKind::BadGzip | RejectKind::BodyBroken | RejectKind::Dii { .. } => {
            StatusCode::BAD_REQUEST
        }
        RejectKind::UnknownKey | RejectKind::UnknownCertificate | RejectKind::KeyRequired => {
            StatusCode::UNAUTHORIZED
        }
        RejectKind::TlsRequired => StatusCode::FORBIDDEN,
        RejectKind::NoPublisher => StatusCode::NOT_FOUND,
        RejectKind::MediaType | RejectKind::ContentCoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RejectKind::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        RejectKind::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
        RejectKind::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        RejectKind::Overload => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut extra = Map::new();
    let place = match kind {
        RejectKind::BadRequest(fault) => Some((fault.member, fault.offset)),
        RejectKind::Dii { member, offset } => Some((*member, *offset)),
        _ => None,
    };
    if let Some((member, offset)) = place {
        extra.insert("member".into(), member.into());
        extra.insert("offset".into(), offset.into());
    }
    if let RejectKind::TlsRequired = kind {
        extra.insert("code".into(), "tls_required".into());
    }
    let mut reply = problem(status, &kind.to_string(), extra);
    if let RejectKind::RateLimited { retry_after_s } = kind {
        reply.headers_mut().insert(RETRY_AFTER, (*retry_after_s).into());
    }
    match status {
        StatusCode::SERVICE_UNAVAILABLE => drop(reply.headers_mut().insert(RETRY_AFTER, RETRY_SOON)),
        StatusCode::UNAUTHORIZED => drop(reply.headers_mut().insert(WWW_AUTHENTICATE, BEARER)),
        _ => {}
    }
    reply
}

/// Plain text, 200.
pub(super) fn text(body: &'static str) -> Reply {
    new(StatusCode::OK, Some(TEXT), Bytes::from_static(body.as_bytes()))
}

/// Plain text, 503.
pub(super) fn not_ready(why: impl Into<Bytes>) -> Reply {
    new(StatusCode::SERVICE_UNAVAILABLE, Some(TEXT), why.into())
}

/// Any 200 body with its type.
pub(super) fn content(content_type: HeaderValue, body: Vec<u8>) -> Reply {
    new(StatusCode::OK, Some(content_type), body.into())
}

/// JSON, 200.
pub(super) fn json_reply(body: &Value) -> Reply {
    new(StatusCode::OK, Some(JSON), body.to_string().into())
}

/// The lines of a capture, as they come.
pub(super) fn capture(lines: Lines) -> Response<Lines> {
    let mut reply = Response::new(lines);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, NDJSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(TRAILER, capture::TALLY.into());
    reply
}

/// A capture that does not begin.
pub(super) fn no_capture(fault: &CaptureFault) -> Reply {
    let status = match fault {
        CaptureFault::Busy => StatusCode::CONFLICT,
        CaptureFault::Query(_) => StatusCode::BAD_REQUEST,
        CaptureFault::NoKey => StatusCode::INTERNAL_SERVER_ERROR,
    };
    problem(status, &fault.to_string(), Map::new())
}

/// 401 of the admin listener.
pub(super) fn token_required() -> Reply {
    let mut reply = problem(StatusCode::UNAUTHORIZED, "the admin token is required", Map::new());
    reply.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
    reply
}

/// 404 of a path.
pub(super) fn no_such_path() -> Reply {
    problem(StatusCode::NOT_FOUND, "no such path", Map::new())
}

/// 405 with what is allowed.
pub(super) fn method_not_allowed(allow: &'static str) -> Reply {
    let mut reply = problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", Map::new());
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    reply
}

/// What a page of `origin` may do; without an origin nothing is said, so the browser does not call. 204.
pub(super) fn preflight(origin: Option<HeaderValue>) -> Reply {
    let mut reply = new(StatusCode::NO_CONTENT, None, Bytes::new());
    let headers = reply.headers_mut();
    headers.insert(VARY, VARY_PREFLIGHT);
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, PAGE_METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, PAGE_HEADERS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_LIFE);
    }
    reply
}

/// A page of `origin` may read this answer; without an origin no other site's page may.
pub(super) fn readable_by(reply: &mut Reply, origin: Option<HeaderValue>) {
    let headers = reply.headers_mut();
    if !headers.get_all(VARY).iter().any(|vary| *vary == VARY_ORIGIN) {
        headers.append(VARY, VARY_ORIGIN);
    }
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, PAGE_READS);
    }
}

/// 500: our own failure; says nothing of the cause, which is logged.
pub(super) fn internal_error() -> Reply {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "internal error", Map::new())
}

fn problem(status: StatusCode, detail: &str, extra: Map<String, Value>) -> Reply {
    new(status, Some(PROBLEM), Value::Object(members(status, detail, extra)).to_string().into())
}

/// The members of a problem.
fn members(status: StatusCode, detail: &str, mut extra: Map<String, Value>) -> Map<String, Value> {
    extra.insert("title".into(), status.canonical_reason().unwrap_or("Error").into());
    extra.insert("status".into(), status.as_u16().into());
    extra.insert("detail".into(), detail.into());
    extra
}

fn new(status: StatusCode, content_type: Option<HeaderValue>, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    if let Some(content_type) = content_type {
        reply.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    reply
}
