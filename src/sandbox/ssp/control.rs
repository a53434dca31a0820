//! The calls that look at and steer the endpoint: `/sandbox/last`, `/sandbox/received`, `/sandbox/stats`,
//! `/sandbox/faults`, `/sandbox/latency`, `/sandbox/reset`.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::body::{AnswerBody, whole};
use super::wire::bare;
use super::{Latency, Received, Ssp, faults, received};

/// What `/sandbox/last` shows when it is not told how many.
const LAST: usize = 1;

/// Answers a control call.
pub(super) fn answer(ssp: &Ssp, head: &Parts, body: &Bytes) -> Response<AnswerBody> {
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/sandbox/last") => last(ssp, head.uri.query().unwrap_or_default()),
        (&Method::GET, "/sandbox/received") => {
            match received::page(ssp, head.uri.query().unwrap_or_default()) {
                Ok(page) => document(StatusCode::OK, &page),
                Err(what) => complaint(what),
            }
        }
        (&Method::GET, "/sandbox/stats") => document(StatusCode::OK, &ssp.stats()),
        (&Method::GET, "/sandbox/faults") => document(StatusCode::OK, &ssp.faults()),
        (&Method::POST, "/sandbox/faults") => set_faults(ssp, body),
        (&Method::POST, "/sandbox/latency") => set_latency(ssp, body),
        (&Method::POST, "/sandbox/reset") => {
            ssp.reset();
            bare(StatusCode::NO_CONTENT)
        }
        (
            _,
            "/sandbox/last" | "/sandbox/received" | "/sandbox/stats" | "/sandbox/faults" | "/sandbox/latency"
            | "/sandbox/reset",
        ) => bare(StatusCode::METHOD_NOT_ALLOWED),
        _ => bare(StatusCode::NOT_FOUND),
    }
}

/// A kept request as JSON: the body as text, exactly as it came where it is UTF-8.
#[derive(Serialize)]
struct Shown {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl From<Received> for Shown {
    fn from(received: Received) -> Self {
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in &received.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let line = headers.entry(name.to_string()).or_default();
            line.push_str(if line.is_empty() { "" } else { ", " });
            line.push_str(&value);
        }
        Self { path: received.path, headers, body: String::from_utf8_lossy(&received.body).into_owned() }
    }
}

fn last(ssp: &Ssp, query: &str) -> Response<AnswerBody> {
    let asked = query.split('&').find_map(|pair| pair.strip_prefix("n="));
    match asked.map_or(Ok(LAST), str::parse) {
        Ok(count) => {
            let shown: Vec<Shown> = ssp.last(count).into_iter().map(Shown::from).collect();
            document(StatusCode::OK, &shown)
        }
        Err(_) => complaint("n must be a whole number"),
    }
}

fn set_faults(ssp: &Ssp, body: &Bytes) -> Response<AnswerBody> {
    match faults::parse(body) {
        Ok(rules) => {
            ssp.set_faults(rules);
            document(StatusCode::OK, &ssp.faults())
        }
        Err(fault) => complaint(&fault.to_string()),
    }
}

fn set_latency(ssp: &Ssp, body: &Bytes) -> Response<AnswerBody> {
    match String::from_utf8_lossy(body).parse::<Latency>() {
        Ok(latency) => {
            ssp.set_latency(latency);
            bare(StatusCode::NO_CONTENT)
        }
        Err(fault) => complaint(&fault.to_string()),
    }
}

fn complaint(what: &str) -> Response<AnswerBody> {
    document(StatusCode::BAD_REQUEST, &json!({ "error": what }))
}

fn document(status: StatusCode, value: &impl Serialize) -> Response<AnswerBody> {
    let text = serde_json::to_vec(value).expect("control documents hold text keys and plain values only");
    let mut response = Response::new(whole(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
