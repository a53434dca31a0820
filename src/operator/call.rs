//! One call as bytes: seals it anew for each try, and opens what comes back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};

use super::fault::{Fault, OperatorError};
use super::metrics::Op;
use super::{Credentials, Minted};
use crate::time::UnixMillis;
use crate::uid2::wire::{self, Answer};
use crate::uid2::{DiiHash, EnvelopeError, EnvelopeKey, Freshness, Identity, Scope, WireError, envelope};

const CLIENT_VERSION: HeaderName = HeaderName::from_static("x-uid2-client-version");

/// How the gateway names itself to operators.
pub(super) const CLIENT: &str = concat!("uid2-gateway-", env!("CARGO_PKG_VERSION"));

/// What an EUID operator says (HTTP 400) of a TCF string that it cannot read.
const BAD_CONSENT: &str = "User consent is invalid";

/// A generate or refresh, before it has become bytes.
pub(super) struct Call<'a> {
    credentials: &'a Credentials,
    body: Body<'a>,
}

enum Body<'a> {
    /// The JSON to seal under the client secret.
    Generate(Vec<u8>),
    /// The token to send as it is, and the key that came with it.
    Refresh(&'a str, EnvelopeKey),
}

/// What the answer to a try must repeat.
pub(super) type Nonce = [u8; 8];

/// What an answer of HTTP 200 held.
pub(super) struct Said {
    pub(super) minted: Minted,
    /// The operator's clock, where the answer has it.
    pub(super) at: Option<UnixMillis>,
}

impl<'a> Call<'a> {
    pub(super) fn generate(credentials: &'a Credentials, hash: &DiiHash, tcf: Option<&str>) -> Self {
        // UID2 operators ignore the string; what is not needed is not sent.
        let tcf = tcf.filter(|_| credentials.scope == Scope::Euid);
        Self { credentials, body: Body::Generate(wire::generate_body(hash, tcf)) }
    }

    /// Fails when the identity's response key is not one: its answer could never be opened.
    pub(super) fn refresh(
        credentials: &'a Credentials,
        identity: &'a Identity,
    ) -> Result<Self, OperatorError> {
        let key = EnvelopeKey::from_base64(identity.refresh_response_key.expose())
            .map_err(|error| OperatorError::new(Fault::RefreshRejected, error.to_string()))?;
        Ok(Self { credentials, body: Body::Refresh(identity.refresh_token.expose(), key) })
    }

    pub(super) const fn op(&self) -> Op {
        match self.body {
            Body::Generate(_) => Op::Generate,
            Body::Refresh(..) => Op::Refresh,
        }
    }

    pub(super) const fn credentials(&self) -> &'a Credentials {
        self.credentials
    }

    /// A new envelope, never sent before, for `base`.
    pub(super) fn seal(&self, base: &Uri, at: UnixMillis) -> Result<(Request<Bytes>, Nonce), OperatorError> {
        let fresh = Freshness { at, iv: random()?, nonce: random()? };
        let body = match &self.body {
            Body::Generate(json) => {
                STANDARD.encode(envelope::seal_request(&self.credentials.client_secret, &fresh, json))
            }
            // Exactly the token: one byte more, and the operator takes it for one of another age.
            Body::Refresh(token, _) => (*token).to_owned(),
        };
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", self.credentials.api_key.expose()))
                .map_err(|_| OperatorError::new(Fault::Misconfigured, "API key does not fit a header"))?;
        authorization.set_sensitive(true);
        let request = Request::post(endpoint(base, self.op()))
            .header(AUTHORIZATION, authorization)
            // Text, not octets: every operator version answers it, in base64.
            .header(CONTENT_TYPE, HeaderValue::from_static("text/plain"))
            .header(CLIENT_VERSION, HeaderValue::from_static(CLIENT))
            .body(Bytes::from(body))
            .map_err(|_| OperatorError::new(Fault::Misconfigured, "operator URL is not usable"))?;
        Ok((request, fresh.nonce))
    }

    /// Reads the answer to the request with `nonce`, which came at `now`.
    pub(super) fn open(
        &self,
        nonce: Nonce,
        answer: &Response<Bytes>,
        now: UnixMillis,
    ) -> Result<Said, OperatorError> {
        if answer.status() != StatusCode::OK {
            return self.refused(answer);
        }
        let wire = STANDARD
            .decode(answer.body().trim_ascii_end())
            .map_err(|_| OperatorError::new(Fault::Garbage, "answer is not base64"))?;
        let (json, at) = match &self.body {
            Body::Generate(_) => {
                let opened = envelope::open_response(&self.credentials.client_secret, &wire, nonce)?;
                (opened.json, Some(opened.at))
            }
            Body::Refresh(_, key) => (envelope::open_bare(key, &wire)?, None),
        };
        let minted = match wire::parse_answer(&json)? {
            Answer::Success(identity) if identity.times.identity_expires <= now => {
                return Err(OperatorError::new(Fault::Garbage, "answer's token has expired already"));
            }
            Answer::Success(identity) => Minted::Identity(identity),
            Answer::OptOut => Minted::OptedOut,
            Answer::InsufficientConsent => Minted::InsufficientConsent,
        };
        Ok(Said { minted, at })
    }

    fn refused(&self, answer: &Response<Bytes>) -> Result<Said, OperatorError> {
        let (status, body) = (answer.status(), answer.body());
        let bad_consent = || wire::parse_fault(body).message.starts_with(BAD_CONSENT);
        if self.op() == Op::Generate && status == StatusCode::BAD_REQUEST && bad_consent() {
            return Ok(Said { minted: Minted::InsufficientConsent, at: None });
        }
        Err(OperatorError::of_answer(self.op(), answer))
    }
}

impl From<EnvelopeError> for OperatorError {
    fn from(error: EnvelopeError) -> Self {
        Self::new(Fault::Garbage, error.to_string())
    }
}

impl From<WireError> for OperatorError {
    fn from(error: WireError) -> Self {
        Self::new(Fault::Garbage, error.to_string())
    }
}

/// The base URL may have a path of its own, with or without a slash at its end.
fn endpoint(base: &Uri, op: Op) -> String {
    let scheme = base.scheme_str().unwrap_or("http");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}{}{}", base.path().trim_end_matches('/'), op.path())
}

fn random<const N: usize>() -> Result<[u8; N], OperatorError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| OperatorError::new(Fault::Misconfigured, "the system gives no random bytes"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_keep_the_base_path() {
        let of = |base: &'static str| endpoint(&Uri::from_static(base), Op::Generate);
        assert_eq!(of("https://prod.uidapi.com"), "https://prod.uidapi.com/v2/token/generate");
        assert_eq!(of("http://127.0.0.1:8081/op/?x=1"), "http://127.0.0.1:8081/op/v2/token/generate");
    }
}
