//! Logs users in through the target's identity API, so that ad requests can name them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode, Uri};
use serde_json::{Value, json};

use crate::net::tls::{self, TlsError};
use crate::net::{HyperTransport, Transport, TransportError, TransportSettings};
use crate::time::Deadline;

/// Logins under way at the same time.
const AT_ONCE: usize = 32;
/// How often a login is sent before it counts as failed.
const TRIES: u32 = 3;
/// Between two tries; twice as long each time.
const PAUSE: Duration = Duration::from_millis(100);
/// For one login.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_ANSWER: usize = 64 * 1024;

/// Somebody to log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// What the publisher calls them.
    pub user: String,
    /// Made up.
    pub email: String,
}

impl Person {
    /// The made-up address of a user: a function of the name, in a domain that delivers nothing. Letters, digits and
    /// hyphens stay, every other byte becomes its hexadecimal digits.
    pub fn email_of(user: &str) -> String {
        let mut local = String::with_capacity(user.len());
        for byte in user.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' => local.push(char::from(byte)),
                _ => local.extend(
                    [byte >> 4, byte & 15].into_iter().filter_map(|n| char::from_digit(n.into(), 16)),
                ),
            }
        }
        format!("{local}@replay.example.com")
    }
}

/// Why users are not logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The target refused one, and would refuse the others.
    #[error("{uri} refused the login of {user}: {status}: {reason}")]
    Refused {
        /// The identity API.
        uri: String,
        /// Who.
        user: String,
        /// With this status.
        status: StatusCode,
        /// And these words.
        reason: String,
    },
    /// No answer, several times.
    #[error("{uri}: {fault}")]
    Exchange {
        /// The identity API.
        uri: String,
        /// Why.
        fault: TransportError,
    },
    /// The target has no host, or its CA cannot be used.
    #[error("the identity API cannot be addressed: {0}")]
    Address(String),
}

impl From<TlsError> for LoginError {
    fn from(fault: TlsError) -> Self {
        Self::Address(fault.to_string())
    }
}

/// The identity API of a target.
#[derive(Debug)]
pub struct Desk {
    transport: HyperTransport,
    uri: Uri,
    headers: HeaderMap,
}

impl Desk {
    /// At the origin of `target`, with the credentials among `headers`.
    pub fn new(target: &Uri, headers: &HeaderMap, ca: Option<&[u8]>) -> Result<Self, LoginError> {
        let mut parts = target.clone().into_parts();
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/v1/identity"));
        let uri = Uri::from_parts(parts).map_err(|fault| LoginError::Address(fault.to_string()))?;
        let transport = HyperTransport::new(TransportSettings {
            connect_timeout: PATIENCE,
            max_response_bytes: LONGEST_ANSWER,
            tls: tls::client_config(ca)?,
        });
        let mut own = HeaderMap::new();
        own.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        own.extend(headers.get(AUTHORIZATION).map(|value| (AUTHORIZATION, value.clone())));
        Ok(Self { transport, uri, headers: own })
    }

    /// Logs everybody in, several at once; the first refusal ends it. `done` hears how many are in.
    pub async fn admit(
        self: &Arc<Self>,
        people: impl ExactSizeIterator<Item = Person> + Send + 'static,
        done: impl Fn(usize),
    ) -> Result<(), LoginError> {
        let count = people.len();
        let (people, admitted) = (Arc::new(Mutex::new(people)), AtomicUsize::new(0));
        let lane = || async {
            loop {
                let person = people.lock().expect("nobody panics with it").next();
                let Some(person) = person else { return Ok(()) };
                self.log_in(&person).await?;
                done(admitted.fetch_add(1, Ordering::Relaxed) + 1);
            }
        };
        let lanes = (0..AT_ONCE.min(count)).map(|_| lane());
        futures_util::future::try_join_all(lanes).await.map(drop)
    }

    async fn log_in(&self, person: &Person) -> Result<(), LoginError> {
        let body: Bytes = json!({"user_id": person.user, "email": person.email}).to_string().into();
        let mut pause = PAUSE;
        for last in (1..=TRIES).map(|attempt| attempt == TRIES) {
            let answer = self.exchange(body.clone()).await;
            match answer {
                Ok((StatusCode::OK, answer)) if answer["status"] == "success" => return Ok(()),
                Ok((status, answer)) if last || !worth_another(status) => {
                    let (uri, user) = (self.uri.to_string(), person.user.clone());
                    return Err(LoginError::Refused { uri, user, status, reason: reason(&answer) });
                }
                Err(fault) if last => return Err(LoginError::Exchange { uri: self.uri.to_string(), fault }),
                Ok(_) | Err(_) => tokio::time::sleep(pause).await,
            }
            pause *= 2;
        }
        Ok(())
    }

    async fn exchange(&self, body: Bytes) -> Result<(StatusCode, Value), TransportError> {
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        let (head, body) = self.transport.send(request, Deadline::within(PATIENCE)).await?.into_parts();
        Ok((head.status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// Overload passes; a refusal stays one.
fn worth_another(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// What the target says about it: a problem's words, or the status of a login.
fn reason(answer: &Value) -> String {
    let said = ["detail", "title", "reason", "status"].into_iter().find_map(|name| answer[name].as_str());
    said.unwrap_or("no reason given").to_owned()
}

#[cfg(test)]
mod tests;
