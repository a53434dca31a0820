//! Fetches what the sandbox SSPs received, page by page while a load runs, and judges it.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::super::numbers::Answered;
use super::content::{Content, Example, Finding, Received};
use super::judge::{Message, Rules, differing, judge};
use super::lost::Arrivals;
use super::{Expect, Origin, Sent, Settings, TRACEPARENT, VerifyError};
use crate::time::Clock;

/// Requests on a page.
const PAGE: usize = 250;
/// Between two rounds without news.
const PAUSE: Duration = Duration::from_millis(20);
/// An answer must come within this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// After the end of the load, until nothing more is on its way.
const LAST: Duration = Duration::from_millis(60);
/// Longest time after the end of the load; [`PATIENCE`] when the load was stopped.
const LONGEST: Duration = Duration::from_mins(1);
/// Largest page, and largest body when it is unpacked.
const MOST_BYTES: usize = 64 << 20;

/// Asks the SSPs.
pub(super) struct Collector {
    runtime: Runtime,
    client: Client<HttpConnector, Empty<Bytes>>,
    ssps: Vec<Ssp>,
    rules: Rules,
    expect: Option<Expect>,
    origin: Arc<dyn Origin>,
    ended: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    answered: Answered,
    arrivals: Arrivals,
    content: Content,
}

/// What was collected.
pub(super) struct Outcome {
    content: Content,
    arrivals: Arrivals,
    origin: Arc<dyn Origin>,
    answered: Answered,
}

/// One SSP.
pub(super) struct Ssp {
    address: String,
    /// The number of the first request that has not been looked at.
    next: u64,
    /// The number of the first request after the end of the load, once it has ended.
    last: u64,
}

/// A page of `/sandbox/received`.
#[derive(Deserialize)]
struct Page {
    first: u64,
    next: u64,
    received: Vec<Arrived>,
}

#[derive(Deserialize)]
struct Arrived {
    headers: Vec<(String, String)>,
    body_base64: String,
}

impl Collector {
    pub(super) fn new(
        settings: Settings,
        origin: Arc<dyn Origin>,
        ended: Arc<AtomicBool>,
    ) -> Result<Self, VerifyError> {
        let Settings { ssps, one_in, expect, dialect, allow, known, answered, stop } = settings;
        let ssps: Vec<Ssp> = ssps.iter().map(address).collect::<Result<_, _>>()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let received = |ssp: &Ssp| Received { ssp: ssp.address.clone(), ..Received::default() };
        let content = Content {
            one_in: one_in.max(1),
            expected: expect.map_or("as the corpus says", Expect::as_str).to_owned(),
            received: ssps.iter().map(received).collect(),
            ..Content::default()
        };
        Ok(Self {
            runtime: runtime.map_err(|fault| VerifyError::System(fault.to_string()))?,
            client: Client::builder(TokioExecutor::new()).build_http(),
            ssps,
            rules: Rules { dialect, allow, known },
            expect,
            origin,
            ended,
            stop,
            answered,
            arrivals: Arrivals::at(content.received.len()),
            content,
        })
    }

    /// What came before is nobody's.
    pub(super) fn start(&mut self) -> Result<(), VerifyError> {
        for ssp in 0..self.ssps.len() {
            let newest = self.newest(ssp);
            self.ssps[ssp].next =
                newest.map_err(|fault| VerifyError::Ssp { ssp: self.ssps[ssp].address.clone(), fault })?;
        }
        Ok(())
    }

    /// Until the load has ended and everything that had come by then was looked at.
    pub(super) fn run(mut self) -> Outcome {
        while !self.ended.load(Ordering::Acquire) {
            let mut news = false;
            for ssp in 0..self.ssps.len() {
                news |= self.round(ssp);
            }
            if !news {
                std::thread::sleep(PAUSE);
            }
        }
        // What the target sent just before it answered may still be on its way.
        std::thread::sleep(LAST);
        let ended = Clock::monotonic();
        for ssp in 0..self.ssps.len() {
            self.rest(ssp, ended);
        }
        Outcome {
            content: self.content,
            arrivals: self.arrivals,
            origin: self.origin,
            answered: self.answered,
        }
    }

    /// Fetches what an SSP has received by now, and no more: others may use it without end.
    fn rest(&mut self, ssp: usize, ended: Instant) {
        match self.newest(ssp) {
            Ok(newest) => {
                let ssp = &mut self.ssps[ssp];
                if newest < ssp.next {
                    ssp.next = 0; // it was reset since it was asked last
                }
                ssp.last = newest;
            }
            Err(fault) => return self.content.received[ssp].fault = Some(fault),
        }
        while self.ssps[ssp].next < self.ssps[ssp].last {
            let patience = if self.stop.load(Ordering::Relaxed) { PATIENCE } else { LONGEST };
            if Clock::monotonic().saturating_duration_since(ended) > patience {
                self.content.received[ssp].fault = Some("has more than could be fetched in time".to_owned());
                return;
            }
            if !self.round(ssp) && self.content.received[ssp].fault.is_some() {
                return;
            }
        }
    }

    /// The number that the next request will have at this SSP.
    fn newest(&self, ssp: usize) -> Result<u64, String> {
        self.page(ssp, u64::MAX, 0).map(|page| page.next)
    }

    /// Fetches one page; whether there may be more.
    fn round(&mut self, ssp: usize) -> bool {
        let asked = self.ssps[ssp].next;
        let page = match self.page(ssp, asked, PAGE) {
            Ok(page) => page,
            Err(fault) => {
                self.content.received[ssp].fault = Some(fault);
                return false;
            }
        };
        let seen = &mut self.content.received[ssp];
        seen.fault = None;
        if page.next < asked {
            // It was reset and counts anew.
            (self.ssps[ssp].next, self.ssps[ssp].last) = (0, page.next);
            return true;
        }
        seen.gone += page.first.saturating_sub(asked);
        let news = page.next > asked;
        self.ssps[ssp].next = page.next;
        page.received.iter().for_each(|request| self.arrived(ssp, request));
        news
    }

    fn arrived(&mut self, ssp: usize, request: &Arrived) {
        let headers = headers(request);
        let Some(number) = headers.get(TRACEPARENT).and_then(|trace| self.origin.number(trace)) else {
            return;
        };
        let mut sent = self.origin.sent(number);
        self.content.received[ssp].compared += 1;
        self.content.checked += 1;
        let body = STANDARD.decode(&request.body_base64).unwrap_or_default();
        let (before, after) =
            (plain(&sent.headers, std::mem::take(&mut sent.body)), plain(&headers, body.into()));
        let later = plain(&sent.headers, std::mem::take(&mut sent.body_at_another_time));
        let mut with_time;
        let rules = if later == before {
            &self.rules
        } else {
            with_time = self.rules.clone();
            with_time.allow.extend(differing(&before, &later));
            &with_time
        };
        let judgement = judge(
            Message { headers: &sent.headers, body: &before },
            Message { headers: &headers, body: &after },
            expected(self.expect, &sent, &before),
            rules,
        );
        let new = self.arrivals.came(ssp, number);
        let content = &mut self.content;
        content.unchanged += u64::from(judgement.unchanged);
        content.with_token += u64::from(judgement.has_token);
        let twice = (!new).then(|| (Finding::Doubled, String::new()));
        judgement.changes.iter().for_each(|change| *content.changes.entry(*change).or_default() += 1);
        for (finding, member) in judgement.findings.into_iter().chain(twice) {
            let ssp = self.ssps[ssp].address.clone();
            content.note(finding, Example { entry: sent.entry.clone(), member, ssp });
        }
    }

    fn page(&self, ssp: usize, since: u64, most: usize) -> Result<Page, String> {
        let address = &self.ssps[ssp].address;
        let uri = format!("{address}/sandbox/received?since={since}&n={most}&one_in={}", self.content.one_in);
        let uri: Uri = uri.parse().map_err(|_| "no address".to_owned())?;
        let fetch = async {
            let response = self.client.get(uri).await.map_err(|_| "cannot be reached".to_owned())?;
            if !response.status().is_success() {
                let status = response.status().as_u16();
                return Err(format!("answered {status} to /sandbox/received; is it a `sandbox ssp`?"));
            }
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
            let body = body.map_err(|_| "broke off".to_owned())?.to_bytes();
            serde_json::from_slice(&body).map_err(|_| "sent no page; is it a `sandbox ssp`?".to_owned())
        };
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, fetch).await.map_err(|_| "does not answer".to_owned())?
        })
    }
}

impl Outcome {
    /// Sums up, after a load of so many requests.
    pub(super) fn conclude(self, sent: u64) -> Content {
        let Self { mut content, arrivals, origin, answered } = self;
        // The SSPs choose by the trace, so that the share is not exact for each.
        content.sent = sent;
        arrivals.conclude(&mut content, &*origin, &answered);
        content
    }
}

/// Whether a token should arrive. Nobody has one for a stranger, so that only one that was sent can be expected.
fn expected(of_all: Option<Expect>, sent: &Sent, body: &[u8]) -> Expect {
    let expect = of_all.or(sent.expect).unwrap_or_default();
    let message = Message { headers: &sent.headers, body };
    let brings = || judge(message, message, Expect::Any, &Rules::default()).has_token;
    if expect == Expect::Token && sent.stranger && !brings() { Expect::Any } else { expect }
}

pub(super) fn address(address: &Uri) -> Result<Ssp, VerifyError> {
    let authority = address.authority().filter(|authority| !authority.as_str().contains('@'));
    match (address.scheme_str(), authority) {
        (Some("http"), Some(authority)) => {
            Ok(Ssp { address: format!("http://{authority}"), next: 0, last: 0 })
        }
        _ => Err(VerifyError::Address(address.clone())),
    }
}

fn headers(request: &Arrived) -> HeaderMap {
    let pairs = request.headers.iter().filter_map(|(name, value)| {
        let name: HeaderName = name.parse().ok()?;
        Some((name, HeaderValue::from_str(value).ok()?))
    });
    let mut headers = HeaderMap::new();
    pairs.for_each(|(name, value)| {
        headers.append(name, value);
    });
    headers
}

/// A body without its gzip. What is none stays as it is, and is judged as it is.
fn plain(headers: &HeaderMap, body: Bytes) -> Bytes {
    if headers.get(http::header::CONTENT_ENCODING).is_none_or(|coding| coding != "gzip") {
        return body;
    }
    let mut plain = Vec::new();
    let limit = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    match GzDecoder::new(body.as_ref()).take(limit).read_to_end(&mut plain) {
        Ok(_) => plain.into(),
        Err(_) => body,
    }
}
