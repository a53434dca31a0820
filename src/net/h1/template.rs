//! Request heads: what is the same in each request to one endpoint is rendered once.

use std::fmt;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};

/// What frames the message or the connection is ours to say.
const FRAMING: [HeaderName; 5] = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, TE, UPGRADE];

/// The head of all `POST`s to one endpoint.
#[derive(Clone)]
pub struct Template {
    /// Request line and fixed headers, each line with its end.
    start: Vec<u8>,
    fixed: HeaderMap,
}

impl Template {
    /// `fixed` goes with each request and wins over headers of the same name; a `Host` among them wins over `host`.
    pub fn new(target: &PathAndQuery, host: &HeaderValue, mut fixed: HeaderMap) -> Self {
        for name in FRAMING {
            fixed.remove(name);
        }
        fixed.entry(HOST).or_insert_with(|| host.clone());
        let mut start = format!("POST {target} HTTP/1.1\r\n").into_bytes();
        for (name, value) in &fixed {
            line(&mut start, name, value);
        }
        Self { start, fixed }
    }

    /// Renders the head of a request with these headers and a body of so many bytes into `head`, which is emptied.
    pub fn render(&self, headers: &HeaderMap, length: usize, head: &mut Vec<u8>) {
        head.clear();
        head.extend_from_slice(&self.start);
        for (name, value) in self.let_through(headers) {
            line(head, name, value);
        }
        head.extend_from_slice(b"content-length: ");
        head.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
        head.extend_from_slice(b"\r\n\r\n");
    }

    /// The headers as they leave, but for the length. Not for the hot path.
    pub fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        let sent = self.let_through(headers).chain(&self.fixed);
        let mut map = HeaderMap::new();
        for (name, value) in sent {
            map.append(name, value.clone());
        }
        map
    }

    fn let_through<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
        headers.iter().filter(|(name, _)| !FRAMING.contains(name) && !self.fixed.contains_key(*name))
    }
}

/// Without the rendered bytes: they hold the values that were marked sensitive.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("fixed", &self.fixed).finish_non_exhaustive()
    }
}

fn line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        pairs.collect()
    }

    fn template(fixed: &[(&'static str, &'static str)]) -> Template {
        let target = PathAndQuery::from_static("/bid?src=1");
        Template::new(&target, &HeaderValue::from_static("ssp.example"), map(fixed))
    }

    fn rendered(template: &Template, headers: &[(&'static str, &'static str)], length: usize) -> String {
        let mut head = b"what was there before".to_vec();
        template.render(&map(headers), length, &mut head);
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn a_head_holds_what_is_fixed_what_is_handed_in_and_the_length() {
        let plain = "POST /bid?src=1 HTTP/1.1\r\nhost: ssp.example\r\n";
        assert_eq!(rendered(&template(&[]), &[], 0), format!("{plain}content-length: 0\r\n\r\n"));
        let headers = [("content-type", "application/json"), ("x-openrtb-version", "2.6")];
        let lines = "content-type: application/json\r\nx-openrtb-version: 2.6\r\n";
        assert_eq!(
            rendered(&template(&[]), &headers, 2_417),
            format!("{plain}{lines}content-length: 2417\r\n\r\n")
        );
    }

    #[test]
    fn fixed_headers_win_and_framing_is_nobody_elses() {
        let framing = [
            ("content-length", "1"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
        ];
        let mut fixed = map(&framing);
        fixed.insert(HOST, HeaderValue::from_static("other.example"));
        fixed.append("x-seat", HeaderValue::from_static("a"));
        fixed.append("x-seat", HeaderValue::from_static("b"));
        let host = HeaderValue::from_static("ssp.example");
        let template = Template::new(&PathAndQuery::from_static("/"), &host, fixed);
        let mut headers = framing.to_vec();
        headers.extend([("host", "page.example"), ("x-seat", "forged"), ("user-agent", "page")]);
        let head = rendered(&template, &headers, 7);
        let mut lines: Vec<_> = head.trim_end().split("\r\n").collect();
        assert_eq!((lines.remove(0), lines.pop()), ("POST / HTTP/1.1", Some("content-length: 7")));
        lines.sort_unstable();
        assert_eq!(lines, ["host: other.example", "user-agent: page", "x-seat: a", "x-seat: b"]);
        let told = template.headers(&map(&headers));
        let mut told: Vec<_> = told.iter().map(|(n, v)| format!("{n}: {}", v.to_str().unwrap())).collect();
        told.sort_unstable();
        assert_eq!(told, lines);
    }
}
