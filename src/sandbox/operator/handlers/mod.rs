//! Routes a request to its handler, with authorization, envelope, answer and faults around it.

mod client_generate;
mod consent;
mod control;
mod generate;
mod key;
mod map;
mod refresh;
mod validate;

use ::http::header::AUTHORIZATION;
use ::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::clients::{Admitted, Role};
use super::endpoint::{Endpoint, Route};
use super::faults::Fault;
use super::identifier::Identifier;
use super::mint::{Chain, Mint};
use super::opt_outs::{Subject, TestIdentity};
use super::random::Random;
use super::raw_uid::FirstLevelHash;
use super::reply::{INVALID_IDENTIFIER, REQUIRED, Refusal, Reply};
use super::sealed::{self, Payload};
use super::settings::Lifetimes;
use super::{Call, Operator, held};
use crate::time::UnixMillis;
use crate::uid2::envelope::{Freshness, seal_response};
use crate::uid2::{DiiKind, EnvelopeKey};

/// Characters a truncated answer lacks.
const TRUNCATED: usize = 7;

/// One request being answered: what the handlers may use.
struct Exchange<'a> {
    operator: &'a Operator,
    headers: &'a HeaderMap,
    body: &'a [u8],
    /// The operator's clock, with the fault's offset.
    now: UnixMillis,
    random: Random,
    fault: Option<Fault>,
}

/// Answers one request.
pub(super) fn answer(operator: &Operator, call: &Call<'_>, fault: Option<Fault>) -> Reply {
    let endpoint = match Route::of(call.method, call.path) {
        Route::Api(endpoint) => endpoint,
        Route::Control(control) => return control::answer(operator, control, call.body),
        Route::WrongMethod => return Reply::empty(StatusCode::METHOD_NOT_ALLOWED, "wrong_method"),
        Route::Unknown => return Reply::text(StatusCode::NOT_FOUND, "Resource not found", "not_found"),
    };
    if endpoint == Endpoint::Refresh {
        held(&operator.stats).count_refresh(call.body);
    }
    let reply = struck(fault).unwrap_or_else(|| respond(operator, endpoint, call, fault));
    operator.count(endpoint, reply.outcome);
    reply
}

/// The faults that need no handler. Hanging and resetting are the socket's business.
fn struck(fault: Option<Fault>) -> Option<Reply> {
    match fault? {
        Fault::Unauthorized => Some(Refusal::unauthorized().into()),
        Fault::TooManyRequests => Some(Reply::empty(StatusCode::TOO_MANY_REQUESTS, "too_many_requests")),
        Fault::InternalError => Some(Reply::internal_error()),
        Fault::BadRequest(reason) => Some(Refusal::from(reason).into()),
        Fault::Garbage => Some(Reply::text(StatusCode::OK, "<html>This is not an answer</html>", "garbage")),
        _ => None,
    }
}

fn respond(operator: &Operator, endpoint: Endpoint, call: &Call<'_>, fault: Option<Fault>) -> Reply {
    let offset = if let Some(Fault::ClockOffset(ms)) = fault { ms } else { 0 };
    let mut exchange = Exchange {
        operator,
        headers: call.headers,
        body: call.body,
        now: operator.clock.now().plus(offset),
        random: operator.random.stream(),
        fault,
    };
    let reply = match endpoint {
        Endpoint::Generate => exchange.enveloped(&[Role::Generator], generate::answer),
        Endpoint::Validate => exchange.enveloped(&[Role::Generator], validate::answer),
        Endpoint::Bidstream => exchange.enveloped(&[Role::IdReader], key::bidstream),
        Endpoint::Sharing => exchange.enveloped(&[Role::Sharer, Role::IdReader], key::sharing),
        Endpoint::MapV2 => exchange.enveloped(&[Role::Mapper], map::v2),
        Endpoint::MapV3 => exchange.enveloped(&[Role::Mapper], map::v3),
        Endpoint::Refresh => refresh::answer(&mut exchange),
        Endpoint::ClientGenerate => client_generate::answer(&mut exchange),
        Endpoint::Healthcheck => Ok(Reply::text(StatusCode::OK, "OK", "success")),
    };
    let reply = reply.unwrap_or_else(Reply::from);
    if fault == Some(Fault::Truncated) { truncated(reply) } else { reply }
}

fn truncated(mut reply: Reply) -> Reply {
    reply.body.truncate(reply.body.len().saturating_sub(TRUNCATED));
    reply
}

type Handler = fn(&mut Exchange<'_>, &Admitted, &Payload) -> Result<Value, Refusal>;

impl Exchange<'_> {
    /// Lets the client in, opens its request, and seals what the handler says.
    fn enveloped(&mut self, roles: &[Role], handler: Handler) -> Result<Reply, Refusal> {
        let client =
            self.client().filter(|client| client.has_any(roles)).ok_or_else(Refusal::unauthorized)?;
        let binary = sealed::is_binary(self.headers);
        let request = sealed::open(self.body, binary, &client.envelope, self.now)?;
        let answer = handler(self, &client, &request.payload)?;
        let nonce = match self.fault {
            Some(Fault::WrongNonce) => request.nonce.map(|byte| !byte),
            _ => request.nonce,
        };
        let fresh = Freshness { at: self.now, iv: self.random.bytes(), nonce };
        let key = self.sealing(&client.envelope);
        let wire = seal_response(&key, &fresh, answer.to_string().as_bytes());
        Ok(transported(wire, request.binary, outcome(&answer)))
    }

    fn client(&self) -> Option<std::sync::Arc<Admitted>> {
        let header = self.headers.get(AUTHORIZATION)?.to_str().ok()?;
        held(&self.operator.clients).admit(header)
    }

    /// The key an answer is sealed under: the right one, unless a fault says otherwise.
    fn sealing(&mut self, right: &EnvelopeKey) -> EnvelopeKey {
        match self.fault {
            Some(Fault::WrongKey) => EnvelopeKey::from_bytes(&self.random.bytes()),
            _ => right.clone(),
        }
    }

    /// When what is made now counts as made, and how long it lives.
    fn issue(&self) -> (UnixMillis, Lifetimes) {
        let lifetimes = match self.fault {
            Some(Fault::Lifetimes(lifetimes)) => lifetimes,
            _ => *held(&self.operator.lifetimes),
        };
        let whole_life = (i64::from(lifetimes.refresh_seconds) + 1) * 1_000;
        let past = if self.fault == Some(Fault::Expired) { whole_life } else { 0 };
        (self.now.plus(-past), lifetimes)
    }

    /// The answer with a fresh identity. `legacy`: with the inner refresh token and no response key.
    fn success(&mut self, chain: &Chain, legacy: bool) -> Result<Value, Refusal> {
        let (now, lifetimes) = self.issue();
        let (operator, keys) = (self.operator, self.operator.key_ring());
        let mint = Mint { realm: operator.realm, salts: &operator.salts, keys: &keys, lifetimes, now };
        let body = if legacy {
            mint.legacy_identity(chain, &mut self.random)?
        } else {
            mint.identity(chain, &mut self.random)?
        };
        if self.fault == Some(Fault::OptOut) {
            held(&operator.opt_outs).add(Subject::Identity(chain.first_level_hash), self.now);
        }
        Ok(json!({ "status": "success", "body": body }))
    }

    fn first_level_hash(&self, identifier: &Identifier) -> FirstLevelHash {
        FirstLevelHash::of(identifier, &self.operator.salts)
    }

    fn raw_uid(&self, hash: &FirstLevelHash, kind: DiiKind) -> String {
        hash.raw_uid(kind, self.operator.realm, &self.operator.salts).to_base64()
    }

    /// Opted out as generate and map see it: two test identities are never, one is always.
    fn is_opted_out(&self, hash: &FirstLevelHash, kind: DiiKind) -> bool {
        match self.operator.test_identities.of(hash) {
            Some(TestIdentity::OptOut) => true,
            Some(TestIdentity::RefreshOptOut | TestIdentity::Validate) => false,
            None => self.has_opt_out(hash, kind),
        }
    }

    /// Opted out as refresh sees it.
    fn is_opted_out_at_refresh(&self, hash: &FirstLevelHash, kind: DiiKind) -> bool {
        match self.operator.test_identities.of(hash) {
            Some(TestIdentity::RefreshOptOut) => true,
            Some(TestIdentity::Validate) => false,
            _ => self.has_opt_out(hash, kind),
        }
    }

    fn has_opt_out(&self, hash: &FirstLevelHash, kind: DiiKind) -> bool {
        let raw_uid = self.raw_uid(hash, kind);
        held(&self.operator.opt_outs).since(hash, &raw_uid).is_some()
    }
}

/// Base64 text, or raw bytes where the request was such.
fn transported(wire: Vec<u8>, binary: bool, outcome: &'static str) -> Reply {
    if binary {
        return Reply::octets(wire, outcome);
    }
    Reply::text(StatusCode::OK, STANDARD.encode(wire), outcome)
}

/// The statistics' word for a sealed answer.
fn outcome(answer: &Value) -> &'static str {
    match answer["status"].as_str() {
        Some("optout") => "optout",
        Some("insufficient_user_consent") => "insufficient_user_consent",
        _ => "success",
    }
}

fn opted_out() -> Value {
    json!({ "status": "optout" })
}

/// Members by which a request names somebody.
const IDENTIFIERS: [&str; 4] = ["email", "email_hash", "phone", "phone_hash"];

/// Reads one identifier of the given member; `None` when the operator would call it invalid.
fn identifier(member: &str, text: &str) -> Option<Identifier> {
    match member {
        "email" => Identifier::of_email(text),
        "phone" => Identifier::of_phone(text),
        "email_hash" => Identifier::of_hash(DiiKind::Email, text),
        _ => Identifier::of_hash(DiiKind::Phone, text),
    }
}

/// The member that is there, with its value, when exactly one is. `null` counts as absent.
fn exactly_one(payload: &Payload) -> Result<(&'static str, &Value), Refusal> {
    let present = |name| payload.get(name).filter(|value| !value.is_null()).map(|value| (name, value));
    let mut found = IDENTIFIERS.into_iter().filter_map(present);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Refusal::client(REQUIRED)),
    }
}

/// The one identifier of a request about one person.
fn one_identifier(payload: &Payload) -> Result<Identifier, Refusal> {
    let (member, value) = exactly_one(payload)?;
    let parsed = value.as_str().and_then(|text| identifier(member, text));
    parsed.ok_or_else(|| Refusal::client(INVALID_IDENTIFIER))
}
