//! The client against a scripted operator that speaks in real envelopes; time stands still unless awaited.

mod limits;
mod outcomes;
mod tries;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use http::{HeaderMap, Request, Response, Uri};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::call::CLIENT;
use super::*;
use crate::net::{Transport, TransportError};
use crate::telemetry::Registry;
use crate::time::{Clock, Deadline, UnixMillis};
use crate::uid2::wire::{self, Answer};
use crate::uid2::{DiiHash, Email, Freshness, envelope};

const NOW: UnixMillis = UnixMillis(1_768_478_400_000);
/// The operator's clock runs so far ahead.
const AHEAD_MS: i64 = 1_500;

fn secret() -> EnvelopeKey {
    EnvelopeKey::from_bytes(&[1; 32])
}

/// The response key of the identity that is refreshed.
fn old_key() -> EnvelopeKey {
    EnvelopeKey::from_bytes(&[2; 32])
}

/// What the operator does with one request.
#[derive(Clone)]
enum Step {
    /// HTTP 200 with this JSON, sealed as it should be.
    Say(Value),
    /// The same, repeating another request's nonce.
    WrongNonce,
    /// The same, under another key.
    WrongKey,
    /// Another status, and a clear body.
    Clear(u16, &'static str),
    /// A status with `Retry-After`, seconds.
    Later(u16, u32),
    Fail(fn() -> TransportError),
    Hang,
}

/// One request as the operator got it.
struct Seen {
    host: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    at: Instant,
    deadline: Deadline,
}

impl Seen {
    fn wire(&self) -> Vec<u8> {
        STANDARD.decode(&self.body).unwrap()
    }

    fn opened(&self) -> crate::uid2::Opened {
        envelope::open_request(&secret(), &self.wire()).unwrap()
    }
}

struct Script {
    steps: Mutex<VecDeque<Step>>,
    seen: Mutex<Vec<Seen>>,
}

impl Transport for Script {
    fn send(
        &self,
        request: Request<Bytes>,
        deadline: Deadline,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let (parts, body) = request.into_parts();
        let seen = Seen {
            host: parts.uri.host().unwrap().to_owned(),
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            body,
            at: Instant::now(),
            deadline,
        };
        let step = self.steps.lock().unwrap().pop_front().expect("a request beyond the script");
        let reply = perform(&step, &seen);
        self.seen.lock().unwrap().push(seen);
        async move {
            match reply {
                Some(reply) => reply,
                None => pending().await,
            }
        }
        .boxed()
    }
}

fn perform(step: &Step, seen: &Seen) -> Option<Result<Response<Bytes>, TransportError>> {
    let (status, body) = match step {
        Step::Hang => return None,
        Step::Fail(why) => return Some(Err(why())),
        Step::Later(status, seconds) => {
            let answer = Response::builder().status(*status).header("retry-after", *seconds);
            return Some(Ok(answer.body(Bytes::new()).unwrap()));
        }
        Step::Clear(status, body) => (*status, Bytes::from_static(body.as_bytes())),
        Step::Say(json) => (200, sealed(seen, json, &secret(), &old_key(), 0)),
        Step::WrongNonce => (200, sealed(seen, &success(), &secret(), &old_key(), 1)),
        Step::WrongKey => (200, sealed(seen, &success(), &old_key(), &secret(), 0)),
    };
    Some(Ok(Response::builder().status(status).body(body).unwrap()))
}

/// A generate answer under `key`, or a refresh answer under `refresh_key`.
fn sealed(seen: &Seen, json: &Value, key: &EnvelopeKey, refresh_key: &EnvelopeKey, flip: u8) -> Bytes {
    let json = json.to_string();
    let wire = if seen.path.ends_with("/refresh") {
        envelope::seal_bare(refresh_key, [7; 12], json.as_bytes())
    } else {
        let mut nonce = seen.opened().nonce;
        nonce[0] ^= flip;
        let fresh = Freshness { at: NOW.plus(AHEAD_MS), iv: [7; 12], nonce };
        envelope::seal_response(key, &fresh, json.as_bytes())
    };
    STANDARD.encode(wire).into()
}

fn success() -> Value {
    json!({"status": "success", "body": {
        "advertising_token": "A4AAAABnew",
        "refresh_token": "AAAAAGnew",
        "refresh_response_key": STANDARD.encode([3; 32]),
        "refresh_from": NOW.0 + 1_000,
        "identity_expires": NOW.0 + 2_000,
        "refresh_expires": NOW.0 + 3_000,
    }})
}

fn refusal(status: &str) -> Value {
    json!({ "status": status })
}

fn identity(json: &Value) -> Identity {
    match wire::parse_answer(json.to_string().as_bytes()).unwrap() {
        Answer::Success(identity) => identity,
        other => panic!("{other:?}"),
    }
}

/// What a successful call returns.
fn minted() -> Minted {
    Minted::Identity(identity(&success()))
}

/// A client, its script and its publisher.
struct Bench {
    client: OperatorClient,
    script: Arc<Script>,
    clock: Clock,
    credentials: Credentials,
    registry: Registry,
}

impl Bench {
    fn new(hosts: &[&str], steps: Vec<Step>) -> Self {
        Self::with(hosts, steps, |_| {})
    }

    fn with(hosts: &[&str], steps: Vec<Step>, adjust: impl FnOnce(&mut Settings)) -> Self {
        let script = Arc::new(Script { steps: Mutex::new(steps.into()), seen: Mutex::default() });
        let uri = |host: &&str| format!("http://{host}").parse::<Uri>().unwrap();
        let mut settings = Settings { urls: hosts.iter().map(uri).collect(), ..Settings::default() };
        adjust(&mut settings);
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let transport: Arc<dyn Transport> = Arc::<Script>::clone(&script);
        let clock = Clock::manual(NOW);
        let client = OperatorClient::new(settings, transport, clock.clone(), metrics);
        let credentials = Credentials {
            scope: Scope::Uid2,
            environment: Environment::Local,
            api_key: Secret::new("UID2-C-L-124-key".to_owned()),
            client_secret: secret(),
            urls: Vec::new(),
        };
        Self { client, script, clock, credentials, registry }
    }

    async fn generate(&self) -> Result<Minted, Fault> {
        let hash = DiiHash::of_email(&Email::parse("test@example.com").unwrap());
        let result = self.client.generate(&self.credentials, &hash, Some("CPtcf")).await;
        result.map_err(|error| error.fault)
    }

    async fn refresh(&self) -> Result<Minted, Fault> {
        let mut old = identity(&success());
        old.refresh_token = Secret::new("AAAAAGold".to_owned());
        old.refresh_response_key = Secret::new(STANDARD.encode([2; 32]));
        self.client.refresh(&self.credentials, &old).await.map_err(|error| error.fault)
    }

    fn hosts(&self) -> Vec<String> {
        self.seen(|seen| seen.host.clone())
    }

    fn seen<T>(&self, of: impl Fn(&Seen) -> T) -> Vec<T> {
        self.script.seen.lock().unwrap().iter().map(of).collect()
    }

    fn metric(&self, line: &str) -> bool {
        let text = String::from_utf8(self.registry.text().unwrap()).unwrap();
        text.lines().any(|found| found == line)
    }
}
