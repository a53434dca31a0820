//! `/sandbox/*`: the switches of the sandbox, in clear JSON and without authorization.

use ::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::clients::{Client, Role};
use super::super::endpoint::Control;
use super::super::faults::Curve;
use super::super::opt_outs::Subject;
use super::super::raw_uid::FirstLevelHash;
use super::super::reply::{Refusal, Reply};
use super::super::sealed::Payload;
use super::super::settings::Lifetimes;
use super::super::stats::Stats;
use super::super::{Operator, held};
use super::one_identifier;
use crate::secret::Secret;
use crate::uid2::{Environment, Scope};

/// Sites up to this one are the operator's own.
const LAST_RESERVED_SITE: i32 = 2;

/// Turns one switch.
pub(super) fn answer(operator: &Operator, control: Control, body: &[u8]) -> Reply {
    let done = match control {
        Control::AddClient => parsed(body).and_then(|client| add_client(operator, client)),
        Control::OptOut => subject(operator, body).map(|subject| opt_out(operator, subject)),
        Control::OptIn => subject(operator, body).map(|subject| opt_in(operator, &subject)),
        Control::SetFaults => parsed(body).map(|curve| set_faults(operator, curve)),
        Control::ClearFaults => Ok(set_faults(operator, Curve::default())),
        Control::SetLifetimes => parsed(body).and_then(|lifetimes| set_lifetimes(operator, lifetimes)),
        Control::Stats => Ok(stats(operator)),
        Control::ClearStats => Ok(clear_stats(operator)),
    };
    done.map_or_else(Reply::from, |body| Reply::json(StatusCode::OK, &body))
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::client(&error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClient {
    site_id: i32,
    #[serde(default = "publisher_roles")]
    roles: Vec<Role>,
    #[serde(default)]
    name: String,
    /// `false`: the site has no keyset of its own and falls back on the shared one.
    #[serde(default = "yes")]
    own_keyset: bool,
}

fn publisher_roles() -> Vec<Role> {
    vec![Role::Generator]
}

const fn yes() -> bool {
    true
}

fn add_client(operator: &Operator, new: NewClient) -> Result<Value, Refusal> {
    if new.site_id <= LAST_RESERVED_SITE {
        return Err(Refusal::client("site_id is above 2"));
    }
    let mut random = operator.random.stream();
    let key = api_key(operator, new.site_id, &random.bytes::<32>());
    let secret = STANDARD.encode(random.bytes::<32>());
    let answer = json!({
        "name": new.name,
        "site_id": new.site_id,
        "roles": new.roles,
        "api_key": key,
        "client_secret": secret,
    });
    let client = Client {
        name: new.name,
        api_key: Secret::new(key),
        secret: Secret::new(secret),
        site: new.site_id,
        roles: new.roles,
        disabled: false,
    };
    if new.own_keyset {
        operator.add_client(&client);
    } else {
        held(&operator.clients).add(&client);
    }
    Ok(answer)
}

/// `UID2-C-L-<site>-<6 characters>.<38 characters>`
fn api_key(operator: &Operator, site: i32, random: &[u8; 32]) -> String {
    let scope = match operator.realm.scope {
        Scope::Uid2 => "UID2",
        Scope::Euid => "EUID",
    };
    let environment: Environment = operator.realm.environment;
    let text = STANDARD.encode(random);
    let (name, rest) = text.split_at(6);
    format!("{scope}-C-{}-{site}-{name}.{rest}", environment.letter())
}

fn subject(operator: &Operator, body: &[u8]) -> Result<Subject, Refusal> {
    let payload: Payload = parsed(body)?;
    if let Some(raw_uid) = payload.get("raw_uid").and_then(Value::as_str) {
        return Ok(Subject::RawUid(raw_uid.to_owned()));
    }
    let identifier = one_identifier(&payload)?;
    Ok(Subject::Identity(FirstLevelHash::of(&identifier, &operator.salts)))
}

fn opt_out(operator: &Operator, subject: Subject) -> Value {
    let now = operator.clock.now();
    let mut opt_outs = held(&operator.opt_outs);
    opt_outs.add(subject, now);
    json!({ "status": "success", "opted_out": opt_outs.len() })
}

fn opt_in(operator: &Operator, subject: &Subject) -> Value {
    let mut opt_outs = held(&operator.opt_outs);
    opt_outs.remove(subject);
    json!({ "status": "success", "opted_out": opt_outs.len() })
}

fn set_faults(operator: &Operator, curve: Curve) -> Value {
    operator.set_faults(curve);
    success()
}

fn set_lifetimes(operator: &Operator, lifetimes: Lifetimes) -> Result<Value, Refusal> {
    if !lifetimes.is_ordered() {
        return Err(Refusal::client("lifetimes are refresh_from <= identity <= refresh"));
    }
    operator.set_lifetimes(lifetimes);
    Ok(success())
}

fn stats(operator: &Operator) -> Value {
    let opted_out = held(&operator.opt_outs).len();
    let mut json = held(&operator.stats).to_json();
    json["opted_out"] = opted_out.into();
    json
}

fn clear_stats(operator: &Operator) -> Value {
    *held(&operator.stats) = Stats::default();
    success()
}

fn success() -> Value {
    json!({ "status": "success" })
}
