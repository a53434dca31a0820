//! The requests of a load: the n-th one is a function of n, as bytes for HTTP/1.1 and as a message for HTTP/2.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use super::corpus::{Corpus, Entry};
use super::mix::Mix;
use super::template::{Fill, Template};
use super::trace::{TRACEPARENT, Trace};
use super::users::Users;
use crate::time::Clock;

/// The header that names the publisher's user.
pub const USER: HeaderName = HeaderName::from_static("x-publisher-user-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a load sends.
#[derive(Debug)]
pub struct Requests {
    corpus: Corpus,
    mix: Mix,
    prepared: Vec<Prepared>,
    users: Users,
    trace: Trace,
    target: Uri,
}

/// What of an entry is the same each time.
#[derive(Debug)]
struct Prepared {
    template: Template,
    /// Request line and headers up to the ones that change.
    head: Vec<u8>,
    headers: HeaderMap,
    /// The entry brings a `traceparent` of its own.
    traced: bool,
    /// Whom the entry or the headers of all name, as text and within JSON.
    named: Option<(String, String)>,
}

/// How the parts of a load come together.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where every request goes.
    pub target: Uri,
    /// Of every request; those of an entry go before them. `Content-Type` is JSON unless given.
    pub headers: HeaderMap,
    /// For entries that do not name one.
    pub users: Users,
    /// Tells this run's requests from another's.
    pub trace: Trace,
    /// Each entry in turn, whatever it weighs.
    pub in_turn: bool,
}

impl Requests {
    /// Everything that can be made before the load begins.
    pub fn new(corpus: Corpus, settings: &Settings) -> Arc<Self> {
        let prepared = corpus.entries().iter().map(|entry| Prepared::new(entry, settings)).collect();
        let mix = if settings.in_turn { Mix::in_turn(&corpus) } else { Mix::weighted(&corpus) };
        let Settings { users, trace, target, .. } = settings;
        Arc::new(Self { mix, corpus, prepared, users: users.clone(), trace: *trace, target: target.clone() })
    }

    /// What is sent.
    pub fn corpus(&self) -> &Corpus {
        &self.corpus
    }

    /// Where it goes.
    pub fn target(&self) -> &Uri {
        &self.target
    }

    /// How many users there are for entries that do not name one.
    pub fn users(&self) -> usize {
        self.users.names().len()
    }

    /// The entry of the `number`-th request.
    pub fn entry(&self, number: u64) -> &Entry {
        &self.corpus.entries()[self.mix.pick(number)]
    }

    /// The user of the `number`-th request, if any.
    pub fn user(&self, number: u64) -> Option<Cow<'_, str>> {
        match &self.prepared[self.mix.pick(number)].named {
            Some((user, _)) => Some(Cow::Borrowed(user)),
            None => self.users.name(number),
        }
    }

    /// Whether the `number`-th request has a `traceparent` of its own.
    pub(super) fn brings_trace(&self, number: u64) -> bool {
        self.prepared[self.mix.pick(number)].traced
    }

    /// Whether the `number`-th request names somebody whom nobody logged in.
    pub(super) fn is_for_stranger(&self, number: u64) -> bool {
        let own = self.prepared[self.mix.pick(number)].named.is_some();
        !own && self.users.known(number).is_none() && self.users.name(number).is_some()
    }

    /// How the `number`-th request can be told from the others, wherever it arrives.
    pub fn trace(&self) -> Trace {
        self.trace
    }

    /// Appends the `number`-th request as HTTP/1.1.
    pub(super) fn write(&self, number: u64, out: &mut Vec<u8>) {
        let index = self.mix.pick(number);
        let prepared = &self.prepared[index];
        let user = if prepared.named.is_some() { None } else { self.users.name(number) };
        out.extend_from_slice(&prepared.head);
        if !prepared.traced {
            out.extend_from_slice(b"traceparent: ");
            self.trace.write(number, out);
            out.extend_from_slice(b"\r\n");
        }
        if let Some(user) = &user {
            out.extend_from_slice(b"x-publisher-user-id: ");
            out.extend_from_slice(user.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        match prepared.template.constant() {
            Some(body) => {
                end_head(body.len(), out);
                out.extend_from_slice(body);
            }
            None => self.filled(number, &now_ms(), |fill| {
                end_head(prepared.template.size(fill), out);
                prepared.template.write(fill, out);
            }),
        }
    }

    /// The `number`-th request as a message; over HTTP/2 its address is whole.
    pub(super) fn message(&self, number: u64) -> Request<Full<Bytes>> {
        let prepared = &self.prepared[self.mix.pick(number)];
        let mut request = Request::new(Full::new(self.body(number)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        let headers = request.headers_mut();
        headers.clone_from(&prepared.headers);
        if !prepared.traced {
            headers.insert(TRACEPARENT, self.trace.header(number));
        }
        let user = if prepared.named.is_some() { None } else { self.users.name(number) };
        if let Some(user) = user.and_then(|user| HeaderValue::from_str(&user).ok()) {
            headers.insert(USER, user);
        }
        request
    }

    /// The body of the `number`-th request; a marker for the time is filled with the time of the call.
    pub fn body(&self, number: u64) -> Bytes {
        self.body_at(number, &now_ms())
    }

    /// The same at another time, in milliseconds since the Unix epoch.
    pub(super) fn body_at(&self, number: u64, now_ms: &str) -> Bytes {
        let template = &self.prepared[self.mix.pick(number)].template;
        template.constant().cloned().unwrap_or_else(|| {
            let mut body = Vec::new();
            self.filled(number, now_ms, |fill| template.write(fill, &mut body));
            body.into()
        })
    }

    fn filled<R>(&self, number: u64, now_ms: &str, write: impl FnOnce(&Fill<'_>) -> R) -> R {
        let user = match &self.prepared[self.mix.pick(number)].named {
            Some((_, user)) => Cow::Borrowed(user.as_str()),
            None => self.users.name(number).unwrap_or_default(),
        };
        write(&Fill { id: &self.trace.id(number), user: &user, now_ms })
    }
}

fn now_ms() -> String {
    Clock::System.now().0.to_string()
}

impl Prepared {
    fn new(entry: &Entry, settings: &Settings) -> Self {
        let mut headers = settings.headers.clone();
        for name in entry.headers.keys() {
            headers.remove(name);
        }
        headers.extend(entry.headers.clone());
        if let Some(user) = entry.user.as_deref().and_then(|user| HeaderValue::from_str(user).ok()) {
            headers.insert(USER, user);
        }
        headers.entry(CONTENT_TYPE).or_insert(JSON);
        // Ours to say: they are about the connection and the length.
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let head = head(&settings.target, &headers);
        headers.remove(HOST);
        Self {
            template: Template::new(entry.body.clone()),
            head,
            traced: headers.contains_key(TRACEPARENT),
            named: headers.get(USER).map(|user| {
                let user = String::from_utf8_lossy(user.as_bytes()).into_owned();
                let within = within_json(&user);
                (user, within)
            }),
            headers,
        }
    }
}

/// As it stands between the quotes of a JSON string.
fn within_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

fn end_head(length: usize, out: &mut Vec<u8>) {
    write!(out, "content-length: {length}\r\n\r\n").expect("a Vec takes all bytes");
}

fn head(target: &Uri, headers: &HeaderMap) -> Vec<u8> {
    let path = target.path_and_query().map_or("/", |path| path.as_str());
    let mut head = format!("POST {path} HTTP/1.1\r\n").into_bytes();
    if !headers.contains_key(HOST) {
        let authority = target.authority().map_or("", |authority| authority.as_str());
        head.extend_from_slice(format!("host: {authority}\r\n").as_bytes());
    }
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use http_body_util::BodyExt;

    use super::*;

    fn settings() -> Settings {
        Settings {
            target: "http://localhost:8080/openrtb2/auction?x=1".parse().unwrap(),
            headers: HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer k"))]),
            users: Users::numbered("u", 1),
            trace: Trace::of(0xab),
            in_turn: false,
        }
    }

    fn entry(body: &'static str) -> Entry {
        Entry::plain("e".to_owned(), Bytes::from_static(body.as_bytes()))
    }

    fn text(requests: &Requests, number: u64) -> String {
        let mut out = Vec::new();
        requests.write(number, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_is_its_entry_with_trace_and_user() {
        let corpus =
            Corpus::of(vec![entry("{ \"id\": 1 }"), entry("{\"id\":\"{{id}}\",\"u\":\"{{user}}\"}")])
                .unwrap();
        let requests = Requests::new(corpus, &settings());
        assert_eq!(
            text(&requests, 0),
            "POST /openrtb2/auction?x=1 HTTP/1.1\r\nhost: localhost:8080\r\nauthorization: Bearer k\r\n\
             content-type: application/json\r\n\
             traceparent: 00-00000000000000ab0000000000000001-0000000000000001-00\r\n\
             x-publisher-user-id: u1\r\ncontent-length: 11\r\n\r\n{ \"id\": 1 }"
        );
        let body = "{\"id\":\"00000000000000ab0000000000000002\",\"u\":\"u1\"}";
        assert!(text(&requests, 1).ends_with(&format!("content-length: {}\r\n\r\n{body}", body.len())));
        assert_eq!(requests.body(1), body);
        assert_eq!(requests.user(1).as_deref(), Some("u1"));
    }

    #[test]
    fn an_entry_goes_before_what_all_have() {
        let own = Entry {
            user: Some("theirs".to_owned()),
            headers: HeaderMap::from_iter([
                (AUTHORIZATION, HeaderValue::from_static("Bearer own")),
                (HOST, HeaderValue::from_static("pub.example")),
                (TRACEPARENT, HeaderValue::from_static("00-1-1-00")),
                (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
                (CONTENT_LENGTH, HeaderValue::from_static("999")),
            ]),
            ..entry("{{user}}")
        };
        let requests = Requests::new(Corpus::of(vec![own]).unwrap(), &settings());
        let sent = text(&requests, 0);
        for line in [
            "authorization: Bearer own",
            "host: pub.example",
            "traceparent: 00-1-1-00",
            "content-type: text/plain",
        ] {
            assert!(sent.contains(&format!("\r\n{line}\r\n")), "{sent}");
        }
        assert!(sent.ends_with("x-publisher-user-id: theirs\r\ncontent-length: 6\r\n\r\ntheirs"), "{sent}");
        assert_eq!(sent.lines().count(), 9, "{sent}");
    }

    #[test]
    fn header_and_marker_name_the_same_user() {
        let quoted = Entry { user: Some("a\"b\\c".to_owned()), ..entry("{\"u\":\"{{user}}\"}") };
        let requests = Requests::new(Corpus::of(vec![quoted]).unwrap(), &settings());
        let body: serde_json::Value = serde_json::from_slice(&requests.body(0)).unwrap();
        assert_eq!(body["u"], "a\"b\\c");
        let mut settings = settings();
        settings.headers.insert(USER, HeaderValue::from_static("x"));
        let requests = Requests::new(Corpus::of(vec![entry("{{user}}")]).unwrap(), &settings);
        assert!(text(&requests, 0).contains("\r\nx-publisher-user-id: x\r\n"));
        assert_eq!((requests.body(0), requests.user(0).as_deref()), ("x".into(), Some("x")));
    }

    #[tokio::test]
    async fn a_message_says_the_same_as_the_bytes() {
        let requests = Requests::new(Corpus::of(vec![entry("{\"id\":\"{{id}}\"}")]).unwrap(), &settings());
        let (head, body) = requests.message(7).into_parts();
        assert_eq!((head.method, head.uri), (Method::POST, settings().target));
        let mut lines: Vec<String> =
            head.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        let sent = text(&requests, 7);
        let (top, bytes) = sent.split_once("\r\n\r\n").unwrap();
        let mut told: Vec<&str> =
            top.lines().skip(2).filter(|line| !line.starts_with("content-length")).collect();
        lines.sort();
        told.sort_unstable();
        assert_eq!(lines, told);
        assert_eq!(body.collect().await.unwrap().to_bytes(), bytes);
    }
}
