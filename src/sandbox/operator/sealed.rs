//! The request envelope as an operator takes it, with the operator's order of complaints (uid2-protocol §1.3, §1.4).

use base64::Engine;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::encoding;
use super::faults::Reason;
use super::reply::{OCTETS, Refusal};
use crate::time::UnixMillis;
use crate::uid2::EnvelopeKey;
use crate::uid2::envelope::open_request;

/// Version, IV, time, nonce, tag.
const MIN_BYTES: usize = 45;

/// A JSON object, empty when the envelope held none.
pub(super) type Payload = Map<String, Value>;

/// An opened request.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) nonce: [u8; 8],
    pub(super) payload: Payload,
    /// The answer goes out as raw bytes.
    pub(super) binary: bool,
}

/// Whether a request's content type asks for raw bytes: exactly this, without parameters.
pub(super) fn is_binary(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.eq_ignore_ascii_case(OCTETS))
}

/// Opens a request. A binary one that does not open as such is tried as base64 text and then answered as text.
pub(super) fn open(body: &[u8], binary: bool, key: &EnvelopeKey, now: UnixMillis) -> Result<Opened, Refusal> {
    if body.is_empty() {
        return Err(Reason::MissingBody.into());
    }
    if binary {
        let opened = open_wire(body, key, now, true);
        return opened.or_else(|fault| open_text(body, key, now).map_err(|_| fault));
    }
    open_text(body, key, now)
}

fn open_text(body: &[u8], key: &EnvelopeKey, now: UnixMillis) -> Result<Opened, Refusal> {
    let fault = if is_json(body) { Reason::UnencryptedJson } else { Reason::NotBase64 };
    let wire = encoding::LENIENT.decode(body).map_err(|_| fault)?;
    open_wire(&wire, key, now, false)
}

fn open_wire(wire: &[u8], key: &EnvelopeKey, now: UnixMillis, binary: bool) -> Result<Opened, Refusal> {
    if is_json(wire) {
        return Err(Reason::UnencryptedJson.into());
    }
    if wire.len() < MIN_BYTES {
        return Err(Reason::TooShort.into());
    }
    if wire[0] != 1 {
        // Java's bytes are signed.
        let version = i8::from_be_bytes([wire[0]]);
        return Err(Refusal::client(&format!(
            "Invalid body: Invalid request envelope format version: received {version}, must be 1."
        )));
    }
    let opened = open_request(key, wire).map_err(|_| Reason::ClientSecret)?;
    if is_skewed(opened.at, now) {
        return Err(Reason::Timestamp.into());
    }
    Ok(Opened { nonce: opened.nonce, payload: payload(&opened.json)?, binary })
}

fn payload(json: &[u8]) -> Result<Payload, Refusal> {
    if json.is_empty() {
        return Ok(Payload::new());
    }
    serde_json::from_slice(json).map_err(|_| Reason::Payload.into())
}

fn is_json(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<Payload>(text).is_ok()
}

/// More than one whole minute apart, where seconds are rounded down and minutes towards zero: a request passes from
/// 119.999 s behind to 119.000 s ahead. (The documentation says 60 s.)
fn is_skewed(at: UnixMillis, now: UnixMillis) -> bool {
    let seconds = now.since(at).div_euclid(1_000);
    (seconds / 60).abs() > 1
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::uid2::envelope::{Freshness, seal_request};

    const NOW: UnixMillis = UnixMillis(1_768_478_400_000);

    fn key() -> EnvelopeKey {
        EnvelopeKey::from_bytes(&[7; 32])
    }

    fn wire(at: UnixMillis, json: &str) -> Vec<u8> {
        let fresh = Freshness { at, iv: [1; 12], nonce: [2; 8] };
        seal_request(&key(), &fresh, json.as_bytes())
    }

    fn fault(body: &[u8], binary: bool) -> String {
        open(body, binary, &key(), NOW).unwrap_err().message.unwrap()
    }

    #[test]
    fn both_body_forms_open_and_decide_the_answers_form() {
        let wire = wire(NOW, r#"{"email":"x"}"#);
        let text = STANDARD.encode(&wire);
        let form = |body: &[u8], binary| open(body, binary, &key(), NOW).map(|opened| opened.binary);
        assert_eq!(form(&wire, true), Ok(true));
        assert_eq!(form(text.as_bytes(), false), Ok(false));
        assert_eq!(form(text.as_bytes(), true), Ok(false));
        assert!(form(&wire, false).is_err());
        let opened = open(&wire, true, &key(), NOW).unwrap();
        assert_eq!((opened.nonce, &opened.payload["email"]), ([2; 8], &Value::from("x")));
    }

    #[test]
    fn only_the_exact_content_type_is_binary() {
        let of =
            |value: &'static str| is_binary(&[(CONTENT_TYPE, value.parse().unwrap())].into_iter().collect());
        assert!(of("application/octet-stream") && of("Application/Octet-Stream"));
        assert!(!of("application/octet-stream; charset=utf-8") && !of("text/plain"));
        assert!(!is_binary(&HeaderMap::new()));
    }

    #[test]
    fn every_row_of_the_envelope_error_table() {
        let with_version = |version: u8| {
            let mut wire = wire(NOW, "{}");
            wire[0] = version;
            STANDARD.encode(wire)
        };
        let other = EnvelopeKey::from_bytes(&[8; 32]);
        let fresh = Freshness { at: NOW, iv: [1; 12], nonce: [2; 8] };
        let foreign = STANDARD.encode(seal_request(&other, &fresh, b"{}"));
        let newline = format!("{}\n", STANDARD.encode(wire(NOW, "{}")));
        let rows = [
            (String::new(), "Invalid body: Body is missing."),
            ("!".to_owned(), "Invalid body: Body is not valid base64."),
            (newline, "Invalid body: Body is not valid base64."),
            (STANDARD.encode([1; 44]), "Invalid body: Body too short. Check encryption method."),
            (r#"{"email":"a@b.c"}"#.to_owned(), "Invalid body: The request body is unencrypted JSON."),
            (STANDARD.encode(r#"{"email":"a@b.c"}"#), "Invalid body: The request body is unencrypted JSON."),
            (
                with_version(2),
                "Invalid body: Invalid request envelope format version: received 2, must be 1.",
            ),
            (foreign, "Invalid body: Check encryption key (ClientSecret)."),
            (STANDARD.encode(wire(NOW.plus(-120_000), "{}")), "Invalid timestamp: Request too old"),
            (STANDARD.encode(wire(NOW, "[1]")), "Invalid payload in body: Data is not valid json string."),
            (STANDARD.encode(wire(NOW, "x")), "Invalid payload in body: Data is not valid json string."),
        ];
        for (body, message) in rows {
            let told = fault(body.as_bytes(), false);
            assert!(told.starts_with(message), "{told} / {message}");
        }
        assert!(fault(&[1; 44], true).contains("too short"));
        assert!(fault(&[0xff; 45], true).contains("received -1,"));
    }

    #[test]
    fn the_shortest_envelope_has_45_bytes_and_an_empty_payload() {
        let shortest = wire(NOW, "");
        assert_eq!(shortest.len(), MIN_BYTES);
        assert!(open(&shortest, true, &key(), NOW).unwrap().payload.is_empty());
    }

    #[test]
    fn skew_is_judged_in_whole_minutes() {
        for (offset, skewed) in [(-119_999, false), (-120_000, true), (119_000, false), (119_001, true)] {
            assert_eq!(is_skewed(NOW.plus(offset), NOW), skewed, "{offset}");
        }
        assert!(is_skewed(UnixMillis(i64::MAX), NOW) && is_skewed(UnixMillis(i64::MIN), NOW));
    }
}
