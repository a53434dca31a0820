//! The operator as its clients see it: sealed requests in, HTTP answers out. No sockets but in `sockets`.

mod client_generate;
mod control;
mod faults;
mod keys;
mod maps;
mod refresh;
mod sockets;
mod tokens;

use std::sync::Arc;

use ::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use ::http::{HeaderMap, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::clients::{DSP, PUBLISHER, SPECIAL};
use super::endpoint::Endpoint;
use super::faults::{Curve, Trouble};
use super::{Call, Operator, Reply, Settings, decrypt_as_dsp};
use crate::time::{Clock, UnixMillis};
use crate::uid2::envelope::{Freshness, open_bare, open_response, seal_request};
use crate::uid2::{DiiHash, Email, EnvelopeKey, Scope};

const NOW: UnixMillis = UnixMillis(1_768_478_400_000);
const NONCE: [u8; 8] = [9, 8, 7, 6, 5, 4, 3, 2];

type Credentials = (&'static str, &'static str);

/// An operator with a manual clock and a seed.
struct Bench {
    operator: Arc<Operator>,
    clock: Clock,
}

impl Bench {
    fn new() -> Self {
        Self::of(Settings::default())
    }

    fn of(settings: Settings) -> Self {
        let clock = Clock::manual(NOW);
        let operator = Operator::new(Settings { seed: Some(1), ..settings }, clock.clone());
        Self { operator, clock }
    }

    /// Sends a body as it stands.
    fn send(&self, method: &Method, path: &str, headers: &[(HeaderName, &str)], body: &[u8]) -> Reply {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let call = Call { method, path, headers: &headers, body };
        let route = super::Route::of(method, path);
        let trouble: Trouble = self.operator.strike(route);
        self.operator.answer(&call, trouble)
    }

    fn sealed(&self, credentials: Credentials, json: &str) -> String {
        let fresh = Freshness { at: self.clock.now(), iv: [5; 12], nonce: NONCE };
        STANDARD.encode(seal_request(&key(credentials), &fresh, json.as_bytes()))
    }

    /// Sends a sealed request and returns the reply as it stands.
    fn raw(&self, endpoint: Endpoint, credentials: Credentials, payload: &Value) -> Reply {
        let authorization = format!("Bearer {}", credentials.0);
        let json = if payload.is_null() { String::new() } else { payload.to_string() };
        let body = self.sealed(credentials, &json);
        self.send(&Method::POST, endpoint.path(), &[(AUTHORIZATION, &authorization)], body.as_bytes())
    }

    /// Sends a sealed request and opens the answer.
    fn ask(&self, endpoint: Endpoint, credentials: Credentials, payload: &Value) -> Answer {
        Answer::of(&self.raw(endpoint, credentials, payload), |wire| {
            open_response(&key(credentials), wire, NONCE).unwrap().json
        })
    }

    fn generate(&self, payload: &Value) -> Answer {
        self.ask(Endpoint::Generate, PUBLISHER, payload)
    }

    fn generate_email(&self, email: &str) -> Value {
        let answer = self.generate(&json!({ "email": email }));
        assert_eq!((answer.status, &answer.json["status"]), (200, &json!("success")));
        answer.json["body"].clone()
    }

    fn refresh_raw(&self, body: &str, authorization: Option<&str>) -> Reply {
        let header = authorization.map(|key| format!("Bearer {key}"));
        let headers: Vec<_> = header.iter().map(|value| (AUTHORIZATION, value.as_str())).collect();
        self.send(&Method::POST, Endpoint::Refresh.path(), &headers, body.as_bytes())
    }

    /// Refreshes an identity body with authorization and opens the answer.
    fn refresh(&self, identity: &Value) -> Answer {
        let reply = self.refresh_raw(identity["refresh_token"].as_str().unwrap(), Some(PUBLISHER.0));
        let response_key =
            EnvelopeKey::from_base64(identity["refresh_response_key"].as_str().unwrap()).unwrap();
        Answer::of(&reply, |wire| open_bare(&response_key, wire).unwrap())
    }

    fn control(&self, method: &Method, name: &str, body: &Value) -> Answer {
        let body = body.to_string();
        Answer::of(&self.send(method, &format!("/sandbox/{name}"), &[], body.as_bytes()), |_| unreachable!())
    }

    fn faults(&self, json: &Value) {
        self.operator.set_faults(Curve::from_json(json.to_string().as_bytes()).unwrap());
    }

    /// What a DSP makes of an identity body's token now.
    fn decrypted(&self, identity: &Value) -> super::Decrypted {
        let token = identity["advertising_token"].as_str().unwrap();
        decrypt_as_dsp(token, &self.operator.keys(), self.clock.now()).unwrap()
    }

    fn raw_uid_of(&self, email: &str) -> String {
        self.operator.raw_uid_of(&DiiHash::of_email(&Email::parse(email).unwrap()))
    }
}

/// A reply with its JSON, opened where it was sealed.
#[derive(Debug)]
struct Answer {
    status: u16,
    json: Value,
}

impl Answer {
    fn of(reply: &Reply, open: impl FnOnce(&[u8]) -> Vec<u8>) -> Self {
        let status = reply.status.as_u16();
        let json = match reply.content_type {
            Some("application/json") => reply.body.to_vec(),
            Some("text/plain") if status == 200 => open(&STANDARD.decode(&reply.body).unwrap()),
            Some("application/octet-stream") => open(&reply.body),
            other => panic!("{status} {other:?} {:?}", reply.body),
        };
        Self { status, json: serde_json::from_slice(&json).unwrap() }
    }

    fn told(&self) -> (u16, &str, &str) {
        let text = |name: &str| self.json[name].as_str().unwrap_or_default();
        (self.status, text("status"), text("message"))
    }
}

fn key(credentials: Credentials) -> EnvelopeKey {
    EnvelopeKey::from_base64(credentials.1).unwrap()
}
