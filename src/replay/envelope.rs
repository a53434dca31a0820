//! A line of a corpus that says more than the bid request itself:
//! `{"uid2gw_replay":1,"at_us":123,"weight":3,"user":"u17","expect":"token","headers":{…},"body":{…}}`.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::corpus::{Entry, Expect};

/// The member that tells an envelope from a bid request.
const MARK: &str = "\"uid2gw_replay\"";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    uid2gw_replay: u64,
    at_us: Option<u64>,
    weight: Option<u32>,
    user: Option<String>,
    expect: Option<Expect>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Looks for the mark among the members.
#[derive(Deserialize)]
struct Marked {
    uid2gw_replay: Option<IgnoredAny>,
}

/// An entry called `name`, from an envelope or a plain bid request. The error says which member and why.
pub(super) fn entry(name: String, line: &Bytes) -> Result<Entry, String> {
    if memmem::find(line, MARK.as_bytes()).is_none() {
        return Ok(Entry::plain(name, line.clone()));
    }
    let marked: Marked = serde_json::from_slice(line).map_err(|fault| fault.to_string())?;
    if marked.uid2gw_replay.is_none() {
        return Ok(Entry::plain(name, line.clone()));
    }
    let envelope: Envelope<'_> = serde_json::from_slice(line).map_err(|fault| fault.to_string())?;
    if envelope.uid2gw_replay != 1 {
        return Err(format!("uid2gw_replay: version {} is not known, only 1", envelope.uid2gw_replay));
    }
    if envelope.weight == Some(0) {
        return Err("weight: must be 1 or more".to_owned());
    }
    if let Some(user) = &envelope.user {
        HeaderValue::from_str(user).map_err(|_| "user: cannot be sent as a header".to_owned())?;
    }
    Ok(Entry {
        name,
        body: line.slice_ref(envelope.body.get().as_bytes()),
        weight: envelope.weight.unwrap_or(1),
        at: envelope.at_us.map(Duration::from_micros),
        user: envelope.user,
        expect: envelope.expect,
        headers: headers(envelope.headers)?,
    })
}

fn headers(given: BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let wrong = |what| format!("headers: {name:?} is no header {what}");
        let parsed: HeaderName = name.parse().map_err(|_| wrong("name"))?;
        headers.insert(
            parsed,
            HeaderValue::from_str(&value).map_err(|_| wrong("with a value that can be sent"))?,
        );
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &'static str) -> Result<Entry, String> {
        entry("f:1".to_owned(), &Bytes::from_static(line.as_bytes()))
    }

    #[test]
    fn an_envelope_is_opened_and_its_body_kept_byte_for_byte() {
        let whole = read(
            "{\"uid2gw_replay\":1,\"at_us\":1500,\"weight\":3,\"user\":\"u17\",\"expect\":\"no_token\",\
             \"headers\":{\"X-OpenRTB-Version\":\"2.6\"},\"body\":{ \"id\" :\"a\\u0062\", \"n\":1.10 }}",
        )
        .unwrap();
        assert_eq!(whole.body, "{ \"id\" :\"a\\u0062\", \"n\":1.10 }");
        assert_eq!((whole.weight, whole.at), (3, Some(Duration::from_micros(1_500))));
        assert_eq!((whole.user.as_deref(), whole.expect), (Some("u17"), Some(Expect::NoToken)));
        assert_eq!(whole.headers["x-openrtb-version"], "2.6");
        let least = read("{\"body\":{},\"uid2gw_replay\":1}").unwrap();
        assert_eq!(least, Entry::plain("f:1".to_owned(), Bytes::from_static(b"{}")));
    }

    #[test]
    fn a_line_without_the_mark_is_a_body_whatever_it_holds() {
        for line in ["{\"id\":\"1\",\"body\":{}}", "not json", "{\"id\":\"uid2gw_replay\"}"] {
            assert_eq!(
                read(line).unwrap(),
                Entry::plain("f:1".to_owned(), Bytes::from_static(line.as_bytes()))
            );
        }
    }

    #[test]
    fn a_faulty_envelope_is_refused_with_its_member() {
        for (line, told) in [
            ("{\"uid2gw_replay\":2,\"body\":{}}", "version 2"),
            ("{\"uid2gw_replay\":1}", "body"),
            ("{\"uid2gw_replay\":1,\"body\":{},\"weight\":0}", "weight"),
            ("{\"uid2gw_replay\":1,\"body\":{},\"weigth\":1}", "weigth"),
            ("{\"uid2gw_replay\":1,\"body\":{},\"expect\":\"tokens\"}", "no_token"),
            ("{\"uid2gw_replay\":1,\"body\":{},\"at_us\":-1}", "-1"),
            ("{\"uid2gw_replay\":1,\"body\":{},\"user\":\"a\\n\"}", "user"),
            ("{\"uid2gw_replay\":1,\"body\":{},\"headers\":{\"a b\":\"\"}}", "a b"),
            ("{\"uid2gw_replay\":1,\"body\":{},\"headers\":{\"a\":\"\\u0000\"}}", "\"a\""),
            ("{\"uid2gw_replay\":1,\"body\":{}", "EOF"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(told), "{line}: {error}");
        }
    }
}
