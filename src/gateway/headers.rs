//! Which headers go on to SSPs: a short list, everything else stays here (contract §2.1).

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::outcome::RejectKind;
use crate::uid2::DiiKind;

const ID_TOKEN: HeaderName = HeaderName::from_static("x-uid2-id-token");
const SESSION: HeaderName = HeaderName::from_static("x-uid2-session");
const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");
pub(super) const PUBLISHER_USER_ID: HeaderName = HeaderName::from_static("x-publisher-user-id");

/// What goes on as it came. Of several values the first.
const TRAVELS: [&str; 4] = ["x-openrtb-version", "user-agent", "accept-language", "traceparent"];

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The API key of `Authorization: Bearer`. A header that is there but is no Bearer credential is an unknown key.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, RejectKind> {
    let Some(value) = headers.get(http::header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| RejectKind::UnknownKey)?.trim();
    match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(key.trim())),
        _ => Err(RejectKind::UnknownKey),
    }
}

/// The host the caller asked for.
pub(super) fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST).and_then(|value| value.to_str().ok())
}

/// `Sec-GPC: 1`; any other value means nothing.
pub(super) fn sec_gpc(headers: &HeaderMap) -> bool {
    headers.get_all(SEC_GPC).iter().any(|value| value.as_bytes() == b"1")
}

/// The publisher's own user ids, as header bytes. There should be one; who sends more names more users.
pub(super) fn publisher_user_ids(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(PUBLISHER_USER_ID).iter().map(HeaderValue::as_bytes).filter(|id| !id.is_empty())
}

/// Whether any ID token came with a request.
pub(super) fn has_id_token(headers: &HeaderMap) -> bool {
    headers.contains_key(ID_TOKEN)
}

/// The ID token that came with a request. Of several none: nobody could say whose it is.
pub(super) fn id_token(headers: &HeaderMap) -> Option<&str> {
    let mut tokens = headers.get_all(ID_TOKEN).iter();
    let token = tokens.next().filter(|_| tokens.next().is_none())?;
    token.to_str().ok().map(str::trim).filter(|token| !token.is_empty())
}

/// The session tokens that came with a request, as header bytes. There should be one; who sends more names more users.
pub(super) fn sessions(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers.get_all(SESSION).iter().map(|value| value.as_bytes().trim_ascii())
}

/// Every hash of an e-mail address or phone number that the caller gives as a hint, as text. One walk over what is there
/// costs less than looking for names that hardly ever are.
pub(super) fn dii_hashes(headers: &HeaderMap) -> impl Iterator<Item = (DiiKind, &str)> {
    headers.iter().filter_map(|(name, value)| {
        let kind = match name.as_str() {
            "x-uid2-email-hash" => DiiKind::Email,
            "x-uid2-phone-hash" => DiiKind::Phone,
            _ => return None,
        };
        Some((kind, value.to_str().ok()?.trim()))
    })
}

/// What every SSP gets, before its own additions. One walk, as above.
pub(super) fn forwarded(inbound: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(12);
    out.insert(CONTENT_TYPE, content_type(inbound));
    for (name, value) in inbound {
        if TRAVELS.contains(&name.as_str()) && !out.contains_key(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    if let Some(value) = gpc_to_forward(inbound) {
        out.insert(SEC_GPC, value);
    }
    out
}

/// `1` wherever one of several is `1`: what was decided by is what the SSP is told.
fn gpc_to_forward(inbound: &HeaderMap) -> Option<HeaderValue> {
    if sec_gpc(inbound) { Some(HeaderValue::from_static("1")) } else { inbound.get(SEC_GPC).cloned() }
}

/// JSON parameters travel as they came; `text/plain` is how browsers avoid a preflight and says nothing.
fn content_type(inbound: &HeaderMap) -> HeaderValue {
    match inbound.get(CONTENT_TYPE) {
        Some(value) if is_json(value) => value.clone(),
        _ => JSON,
    }
}

fn is_json(value: &HeaderValue) -> bool {
    let media = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default();
    media.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair =
            |(n, v): &(&'static str, &'static str)| (HeaderName::from_static(n), HeaderValue::from_static(v));
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_listed_headers_travel() {
        let out = forwarded(&map(&[
            ("content-type", "application/json; charset=utf-8"),
            ("x-openrtb-version", "2.6"),
            ("cookie", "a=b"),
            ("authorization", "Bearer k"),
            ("x-uid2-email-hash", "h"),
            ("x-publisher-user-id", "u"),
            ("x-ads-cert-auth", "s"),
            ("sec-gpc", "1"),
        ]));
        let mut names: Vec<_> = out.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "sec-gpc", "x-openrtb-version"]);
        assert_eq!(out[CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(forwarded(&map(&[("content-type", "text/plain")]))[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn sec_gpc_travels_as_it_was_understood() {
        let told = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SEC_GPC, HeaderValue::from_static(value));
            }
            let out = forwarded(&headers);
            let texts = out.get_all(SEC_GPC).iter().map(|value| value.to_str().unwrap().to_owned());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(told(&[]), [""; 0]);
        assert_eq!(told(&["0"]), ["0"]);
        for values in [&["1"][..], &["0", "1"], &["1", "0"], &["1", "1"], &["", "0", "1"]] {
            assert_eq!(told(values), ["1"], "{values:?}");
        }
    }

    #[test]
    fn every_header_that_names_a_user_counts() {
        let mut headers = map(&[("x-publisher-user-id", "")]);
        headers.append("x-publisher-user-id", HeaderValue::from_static("u1"));
        headers.append("x-publisher-user-id", HeaderValue::from_static("u2"));
        assert_eq!(publisher_user_ids(&headers).collect::<Vec<_>>(), [b"u1", b"u2"]);
    }

    #[test]
    fn a_credential_that_is_no_bearer_key_is_unknown_not_absent() {
        assert!(matches!(bearer(&map(&[])), Ok(None)));
        assert!(matches!(bearer(&map(&[("authorization", "bearer  abc ")])), Ok(Some("abc"))));
        assert!(matches!(bearer(&map(&[("authorization", "Basic abc")])), Err(RejectKind::UnknownKey)));
        assert!(matches!(bearer(&map(&[("authorization", "Bearer")])), Err(RejectKind::UnknownKey)));
    }
}
