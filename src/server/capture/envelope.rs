//! A recorded request as a line of a corpus: the envelope that `replay` reads, with the body as it is.

use std::time::Instant;

use ::http::HeaderValue;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::gateway::Sample;
use crate::openrtb::Limits;
use crate::openrtb::mask::Mask;

/// Writes the lines of one capture, under its key.
pub(super) struct Scribe {
    keyed: Hmac<Sha256>,
    limits: Limits,
    /// First byte of the first request.
    began: Option<Instant>,
}

impl Scribe {
    pub(super) fn new(limits: Limits) -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let keyed = Hmac::new_from_slice(&key).expect("HMAC takes keys of any length");
        key.zeroize();
        Ok(Self { keyed, limits, began: None })
    }

    /// The line with its line break; `None` when the body is no bid request or could not be masked.
    pub(super) fn line(&mut self, sample: &Sample) -> Option<Bytes> {
        let keyed = self.keyed.clone();
        let key = |text: &[u8]| keyed.clone().chain_update(text).finalize().into_bytes().into();
        let mask = Mask::new(&key, self.limits);
        let user = sample.user.as_ref().and_then(|user| std::str::from_utf8(user.as_bytes()).ok());
        let body = mask.request(&sample.body, user.as_slice()).ok()?;
        let began = *self.began.get_or_insert(sample.started);
        let at = sample.started.saturating_duration_since(began).as_micros();
        let mut line = format!("{{\"uid2gw_replay\":1,\"at_us\":{at}").into_bytes();
        let mut member = |name: &str, value: Value| {
            line.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
        };
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            member("user", mask.pseudonym(user).into());
        }
        let headers = headers(sample);
        if !headers.is_empty() {
            member("headers", Value::Object(headers));
        }
        line.extend_from_slice(b",\"body\":");
        line.extend_from_slice(&body);
        line.extend_from_slice(b"}\n");
        Some(line.into())
    }
}

/// The headers that change what becomes of a request and say nothing of anybody, if they say what they should.
fn headers(sample: &Sample) -> Map<String, Value> {
    let told = |name: &str, value: &Option<HeaderValue>, is_plain: fn(&str) -> bool| {
        let text = value.as_ref()?.to_str().ok().filter(|text| is_plain(text))?;
        Some((name.to_owned(), Value::from(text)))
    };
    let version = told("x-openrtb-version", &sample.version, |text| {
        (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    let gpc = told("sec-gpc", &sample.gpc, |text| matches!(text, "0" | "1"));
    version.into_iter().chain(gpc).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::Clock;

    const BODY: &str = "{\"id\":\"r\",\n\"imp\":[{\"id\":\"1\"}],\"user\":{\"id\":\"user-4711\"},\"x\":1.0}";

    fn sample(started: Instant) -> Sample {
        let value = |text| Some(HeaderValue::from_static(text));
        Sample {
            started,
            user: value("user-4711"),
            version: value("2.6"),
            gpc: value("1"),
            body: BODY.into(),
        }
    }

    fn parsed(line: &[u8]) -> Value {
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        serde_json::from_slice(line).unwrap()
    }

    #[test]
    fn a_line_is_an_envelope_with_the_body_as_it_is() {
        let (mut scribe, now) = (Scribe::new(Limits::default()).unwrap(), Clock::monotonic());
        let first = scribe.line(&sample(now)).unwrap();
        let second = parsed(&scribe.line(&sample(now + Duration::from_micros(1_234_567))).unwrap());
        let text = String::from_utf8(first.to_vec()).unwrap();
        assert!(
            text.starts_with("{\"uid2gw_replay\":1,\"at_us\":0,\"user\":\"")
                && text.ends_with("\"x\":1.0}}\n"),
            "{text}"
        );
        assert!(!text.contains("4711"), "{text}");
        let first = parsed(text.as_bytes());
        assert_eq!((&first["at_us"], &second["at_us"]), (&0.into(), &1_234_567.into()));
        assert_eq!(first["headers"], serde_json::json!({"x-openrtb-version": "2.6", "sec-gpc": "1"}));
        assert_eq!(first["user"], first["body"]["user"]["id"]);
        assert_eq!(first["user"], second["user"], "the same user in one capture");
        let other = parsed(&Scribe::new(Limits::default()).unwrap().line(&sample(now)).unwrap());
        assert_ne!(first["user"], other["user"], "another one in the next");
    }

    #[test]
    fn only_plain_headers_and_bid_requests_are_told() {
        let mut scribe = Scribe::new(Limits::default()).unwrap();
        let now = Clock::monotonic();
        for (version, gpc) in [("2.6 jane", "yes"), ("jane@example", ""), ("", "1,1"), ("123456789", "2")] {
            let header = |text| Some(HeaderValue::from_static(text));
            let line = scribe.line(&Sample {
                version: header(version),
                gpc: header(gpc),
                user: header(""),
                ..sample(now)
            });
            let line = parsed(&line.unwrap());
            assert!(line.get("headers").is_none() && line.get("user").is_none(), "{line}");
        }
        let early = parsed(&scribe.line(&sample(now.checked_sub(Duration::from_secs(1)).unwrap())).unwrap());
        assert_eq!(early["at_us"], 0);
        assert!(scribe.line(&Sample { body: "{\"id\":7}".into(), ..sample(now) }).is_none());
    }
}
