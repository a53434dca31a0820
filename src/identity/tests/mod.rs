//! The identity floor against a scripted operator that speaks the real envelopes, with a clock that stands still until
//! it is told. Here stands the bench.

mod acting;
mod ahead;
mod browser;
mod claimed;
mod consent;
mod edges;
mod faults;
mod fleet;
mod leaving;
mod phases;
mod races;
mod renewals;
mod sessions;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::net::{Transport, TransportError};
use crate::operator::{OperatorClient, Operators};
use crate::privacy::{Consent, Gvl, Policy, Regime, Rules, Signals, judge_stored};
use crate::secret::Secret;
use crate::sso::{self, Providers};
use crate::store::{self, Draft, Expect, Fails, OpenError, State, Written};
use crate::telemetry::Registry;
use crate::time::{Deadline, UnixMillis};
use crate::uid2::envelope::{EnvelopeKey, Freshness, open_request, seal_bare, seal_response};
use crate::uid2::{DiiHash, Email};

const SECRET: [u8; 32] = [7; 32];
const RESPONSE_KEY: [u8; 32] = [9; 32];
const START: UnixMillis = UnixMillis(1_800_000_000_000);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// What the operator says next.
#[derive(Clone, Debug)]
enum Say {
    /// A token that names its number, with these lives from now: refresh from, identity, refresh.
    Success(i64, i64, i64),
    OptOut,
    Rejected,
    Down,
}

const HOURLY: Say = Say::Success(HOUR, 3 * HOUR, 24 * HOUR);

/// An operator that follows a script; the last line repeats. Each call takes a permit first, so that a test can hold
/// it up.
struct Operator {
    clock: Clock,
    script: Mutex<VecDeque<Say>>,
    calls: Mutex<Vec<String>>,
    /// Calls that came to the door.
    knocks: AtomicUsize,
    gate: Semaphore,
    /// A second door, which only refreshes go through.
    refreshes: Semaphore,
    /// Its tokens are as long as real ones.
    long: AtomicBool,
}

impl Operator {
    fn say(&self, path: &str) -> (usize, Say) {
        let mut calls = self.calls.lock().unwrap();
        calls.push(path.rsplit('/').next().unwrap().to_owned());
        let mut script = self.script.lock().unwrap();
        let say = if script.len() > 1 { script.pop_front() } else { script.front().cloned() };
        (calls.len(), say.unwrap())
    }

    fn body(&self, number: usize, say: &Say) -> Option<Value> {
        let now = self.clock.now();
        let padding = "-".repeat(if self.long.load(Ordering::Relaxed) { 200 } else { 0 });
        match say {
            Say::Success(refresh_from, identity, refresh) => Some(json!({"status": "success", "body": {
                "advertising_token": format!("A4AAAAtoken{number}{padding}"),
                "refresh_token": format!("{:R<388}", format!("R{number}x")),
                "refresh_response_key": STANDARD.encode(RESPONSE_KEY),
                "refresh_from": now.0 + refresh_from,
                "identity_expires": now.0 + identity,
                "refresh_expires": now.0 + refresh,
            }})),
            Say::OptOut => Some(json!({"status": "optout"})),
            Say::Rejected | Say::Down => None,
        }
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let path = request.uri().path().to_owned();
        let (number, say) = self.say(&path);
        let Some(body) = self.body(number, &say) else {
            return match say {
                Say::Down => Err(TransportError::Connect("down".into())),
                _ => {
                    Ok(Response::builder().status(400).body(r#"{"status":"expired_token"}"#.into()).unwrap())
                }
            };
        };
        let text = body.to_string();
        let sealed = if path.ends_with("refresh") {
            seal_bare(&EnvelopeKey::from_bytes(&RESPONSE_KEY), [1; 12], text.as_bytes())
        } else {
            let key = EnvelopeKey::from_bytes(&SECRET);
            let opened = open_request(&key, &STANDARD.decode(request.body()).unwrap()).unwrap();
            let fresh = Freshness { at: self.clock.now(), iv: [2; 12], nonce: opened.nonce };
            seal_response(&key, &fresh, text.as_bytes())
        };
        Ok(Response::new(STANDARD.encode(sealed).into()))
    }
}

impl Transport for Operator {
    fn send(
        &self,
        request: Request<Bytes>,
        _: Deadline,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            self.knocks.fetch_add(1, Ordering::Relaxed);
            self.gate.acquire().await.unwrap().forget();
            if request.uri().path().ends_with("refresh") {
                self.refreshes.acquire().await.unwrap().forget();
            }
            self.answer(&request)
        })
    }
}

/// Lets what runs beside the path come to rest.
async fn rest() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

struct Bench {
    identities: Identities,
    operator: Arc<Operator>,
    clock: Clock,
    store: Store,
    publisher: Publisher,
}

const OPEN: usize = 1_000_000;

/// Refreshes are due without jitter.
#[expect(clippy::needless_pass_by_value, reason = "written where it is called")]
fn bench_with(settings: Settings, gate: usize, script: &[Say]) -> Bench {
    bench_of(Settings { refresh_jitter_ms: 0, ..settings }, operator::Settings::default(), gate, script)
}

fn bench_of(settings: Settings, limits: operator::Settings, gate: usize, script: &[Say]) -> Bench {
    bench_on((store::Kind::Memory, Clock::manual(START)), settings, limits, gate, script)
}

#[expect(clippy::needless_pass_by_value, reason = "written where it is called")]
fn bench_on(
    (kind, clock): (store::Kind, Clock),
    settings: Settings,
    limits: operator::Settings,
    gate: usize,
    script: &[Say],
) -> Bench {
    let registry = Registry::new();
    let operator = Arc::new(Operator {
        clock: clock.clone(),
        script: Mutex::new(script.iter().cloned().collect()),
        calls: Mutex::default(),
        knocks: AtomicUsize::new(0),
        gate: Semaphore::new(gate),
        refreshes: Semaphore::new(OPEN),
        long: AtomicBool::new(false),
    });
    let store_settings =
        store::Settings { kind, encryption_key: Secret::new([1; 32]), previous_keys: Vec::new(), queue: 64 };
    let store =
        Store::open(store_settings, clock.clone(), store::Metrics::register(&registry).unwrap()).unwrap();
    let transport: Arc<dyn Transport> = Arc::clone(&operator) as Arc<dyn Transport>;
    let metrics = operator::Metrics::register(&registry).unwrap();
    let client = || {
        let urls = vec!["http://127.0.0.1:1".parse().unwrap()];
        let settings = operator::Settings { urls, ..limits.clone() };
        OperatorClient::new(settings, Arc::clone(&transport), clock.clone(), metrics.clone())
    };
    let parts = Parts {
        store: store.clone(),
        operators: Operators { uid2: client(), euid: client() },
        vendors: Arc::new(Arc::default),
        providers: Providers::none(sso::Metrics::register(&registry).unwrap()),
        clock: clock.clone(),
        metrics: Metrics::register(&registry).unwrap(),
    };
    let identities = Identities::new(settings, parts, Handle::current()).unwrap();
    let publisher = publisher(Environment::Local);
    Bench { identities, operator, clock, store, publisher }
}

fn bench(script: &[Say]) -> Bench {
    bench_with(Settings::default(), OPEN, script)
}

fn publisher(environment: Environment) -> Publisher {
    let credentials = Credentials {
        scope: Scope::Uid2,
        environment,
        api_key: Secret::new("UID2-C-L-124-x".into()),
        client_secret: EnvelopeKey::from_bytes(&SECRET),
        urls: Vec::new(),
    };
    Publisher::new("acme".into(), Arc::new(credentials))
}

fn of_user(key: RecordKey) -> Subject {
    Subject { user: Some(key), ..Subject::default() }
}

fn consent() -> Consent {
    let (policy, gvl) = (Policy::default(), Gvl::default());
    judge_stored(&Signals::default(), Rules { policy: &policy, gvl: &gvl }, Regime::Uid2).unwrap()
}

fn login_of(key: RecordKey, address: &str) -> Login {
    let (origin, said) = (Origin::Login, Said::default());
    Login { key, dii: dii(address), origin, provider: None, said }
}

fn dii(address: &str) -> DiiHash {
    DiiHash::of_email(&Email::parse(address).unwrap())
}

impl Bench {
    async fn login_as(&self, address: &str) -> Result<LoginAnswer, LoginError> {
        let login = login_of(self.identities.user_key(&self.publisher, b"u1"), address);
        self.identities.login(&self.publisher, login, consent()).await
    }

    async fn login(&self) {
        assert!(matches!(self.login_as("u1@example.com").await, Ok(LoginAnswer::Active(_))));
    }

    fn subject(&self) -> Subject {
        of_user(self.identities.user_key(&self.publisher, b"u1"))
    }

    async fn resolve(&self) -> String {
        self.resolve_as(&self.publisher).await
    }

    /// As the data path does it: a look into memory, then the question.
    async fn resolve_of(&self, publisher: &Publisher, subject: &Subject, patience: Duration) -> Resolution {
        let seen = self.identities.see(subject);
        self.identities.resolve(publisher, (subject, seen), consent(), || patience).await
    }

    async fn resolve_as(&self, publisher: &Publisher) -> String {
        match self.resolve_of(publisher, &self.subject(), Duration::MAX).await {
            Resolution::Token(token) => {
                format!("{:?} {}", token.how, token.as_str().replace("A4AAAAtoken", "#"))
            }
            Resolution::Absent(absence) => format!("{absence:?}"),
            Resolution::Denied(denial) => format!("{denial:?}"),
        }
    }

    /// Resolves until the answer is `expected`: what happens beside the path needs a few turns.
    async fn becomes(&self, expected: &str) {
        let mut last = String::new();
        for _ in 0..2_000 {
            last = self.resolve().await;
            if last == expected {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("expected {expected}, still {last}");
    }

    fn calls(&self) -> Vec<String> {
        self.operator.calls.lock().unwrap().clone()
    }

    fn key(&self) -> RecordKey {
        self.subject().user.unwrap()
    }

    /// What another node would find: the same store, an empty cache.
    fn forget_cache(&self) {
        self.identities.0.cache.forget(&self.key());
    }
}
