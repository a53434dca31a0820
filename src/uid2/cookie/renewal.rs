//! What renews the identity in a cookie, and what else stands there and is to stay.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::write::{MEMBERS, TICKET};
use super::{Held, text_of};
use crate::secret::Secret;
use crate::uid2::envelope::EnvelopeKey;
use crate::uid2::token::Identity;
use crate::uid2::wire::is_refresh_token;

/// All that a cookie holds besides its token and times.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renewal {
    /// Opaque; sent to the operator as it stands.
    pub refresh_token: Secret<String>,
    /// Opens the answer to a refresh.
    pub refresh_response_key: Secret<String>,
    /// What the gateway itself wrote there of whose it is.
    pub ticket: Option<Secret<String>>,
    /// The members that nobody here knows, as they stand, ready to be put behind others: `"private":{},"x":1.50`.
    pub others: Secret<String>,
}

impl Renewal {
    /// `None` when something is lacking, or is nothing that an operator gave.
    pub(super) fn of(members: &BTreeMap<String, Box<RawValue>>) -> Option<Self> {
        let text = |name| text_of(members, name).map(Secret::new);
        let refresh_token = text("refresh_token").filter(|token| is_refresh_token(token.expose()))?;
        let refresh_response_key = text("refresh_response_key")?;
        EnvelopeKey::from_base64(refresh_response_key.expose()).ok()?;
        let ticket = text(TICKET);
        let unknown = members.iter().filter(|(name, _)| *name != TICKET && !MEMBERS.contains(&name.as_str()));
        let written = unknown
            .map(|(name, value)| format!("{}:{}", serde_json::Value::from(name.as_str()), value.get()));
        let others = Secret::new(written.collect::<Vec<_>>().join(","));
        Some(Self { refresh_token, refresh_response_key, ticket, others })
    }
}

impl Held {
    /// The identity as an operator would renew it.
    pub fn identity(&self) -> Option<Identity> {
        let renewal = self.renewal.as_deref()?;
        Some(Identity {
            advertising_token: self.advertising_token.clone(),
            refresh_token: renewal.refresh_token.clone(),
            refresh_response_key: renewal.refresh_response_key.clone(),
            times: self.times,
        })
    }
}
