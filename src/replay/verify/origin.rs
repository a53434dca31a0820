//! What was sent, made again: the n-th request of a load is a function of n.

use http::HeaderValue;

use super::super::corpus;
use super::super::requests::Requests;
use super::{Expect, Origin, Sent};

impl Origin for Requests {
    fn number(&self, traceparent: &HeaderValue) -> Option<u64> {
        self.trace().number(traceparent)
    }

    fn trace_id(&self, number: u64) -> Option<String> {
        (!self.brings_trace(number)).then(|| self.trace().id(number))
    }

    fn sent(&self, number: u64) -> Sent {
        // Two times that differ in every digit but the first of today's.
        let [body, body_at_another_time] =
            ["1000000000000", "1999999999999"].map(|now_ms| self.body_at(number, now_ms));
        let entry = self.entry(number);
        Sent {
            entry: entry.name.clone(),
            headers: self.message(number).headers().clone(),
            body,
            body_at_another_time,
            expect: entry.expect.map(Expect::from),
            stranger: self.is_for_stranger(number),
        }
    }
}

impl From<corpus::Expect> for Expect {
    fn from(expect: corpus::Expect) -> Self {
        match expect {
            corpus::Expect::Token => Self::Token,
            corpus::Expect::NoToken => Self::NoToken,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::super::super::{Corpus, Entry, Trace, Users, requests};
    use super::*;

    #[test]
    fn a_request_is_made_again_from_its_trace() {
        let body = r#"{"id":"{{id}}","user":{"id":"{{user}}"},"ext":{"at":{{now_ms}}}}"#;
        let timed = Entry {
            expect: Some(corpus::Expect::NoToken),
            ..Entry::plain("timed.json".into(), Bytes::from_static(body.as_bytes()))
        };
        let plain = Entry::plain("plain.json".into(), Bytes::from_static(b"{\"id\": 1.0}"));
        let settings = requests::Settings {
            target: "http://localhost/".parse().unwrap(),
            headers: HeaderMap::new(),
            users: Users::numbered("u", 1),
            trace: Trace::of(7),
            in_turn: true,
        };
        let requests = Requests::new(Corpus::of(vec![timed, plain]).unwrap(), &settings);
        let number = Origin::number(&*requests, &Trace::of(7).header(0)).unwrap();
        let sent = requests.sent(number);
        assert_eq!((sent.entry.as_str(), sent.expect), ("timed.json", Some(Expect::NoToken)));
        assert_eq!(sent.headers["x-publisher-user-id"], "u1");
        assert_ne!(sent.body, sent.body_at_another_time);
        let differing = super::super::judge::differing(&sent.body, &sent.body_at_another_time);
        assert_eq!(differing, ["ext.at"]);
        let plain = requests.sent(1);
        assert_eq!((&plain.body, plain.expect), (&plain.body_at_another_time, None));
        assert_eq!(Origin::number(&*requests, &Trace::of(8).header(0)), None);
        assert_eq!(requests.trace_id(3), Some(Trace::of(7).id(3)));
    }

    #[test]
    fn strangers_and_traces_of_their_own_are_told() {
        let own = Entry {
            headers: HeaderMap::from_iter([(
                super::super::TRACEPARENT,
                HeaderValue::from_static("00-1-1-00"),
            )]),
            ..Entry::plain("own.json".into(), Bytes::from_static(b"{}"))
        };
        let named =
            Entry { user: Some("x".into()), ..Entry::plain("x.json".into(), Bytes::from_static(b"{}")) };
        let plain = Entry::plain("plain.json".into(), Bytes::from_static(b"{}"));
        let settings = |strangers| requests::Settings {
            target: "http://localhost/".parse().unwrap(),
            headers: HeaderMap::new(),
            users: Users::numbered("u", 1).with_strangers("s", strangers),
            trace: Trace::of(7),
            in_turn: true,
        };
        let corpus = || Corpus::of(vec![own.clone(), named.clone(), plain.clone()]).unwrap();
        let all = Requests::new(corpus(), &settings(100.0));
        assert_eq!([0, 1, 2].map(|n| all.trace_id(n).is_some()), [false, true, true]);
        assert_eq!([1, 2].map(|n| all.sent(n).stranger), [false, true]);
        assert!(!Requests::new(corpus(), &settings(0.0)).sent(2).stranger);
    }
}
