//! The demo's users: logged in over HTTP, each named in ad requests by the publisher's own id.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;

use super::stack::Stack;
use crate::uid2::{DiiHash, Email};

/// One ad request in this many names a user whom nobody logged in, as in life.
const STRANGERS: u64 = 4;
const LOGINS_AT_ONCE: u32 = 32;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const PUBLISHER_USER_ID: HeaderName = HeaderName::from_static("x-publisher-user-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// All users, and how a request names one.
pub(super) struct Users {
    count: u32,
    authorization: HeaderValue,
}

/// Logs everybody in; fails on the first login that does.
pub(super) async fn log_in(stack: &Stack, count: u32) -> anyhow::Result<Users> {
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", stack.api_key))?;
    authorization.set_sensitive(true);
    let users = Users { count, authorization };
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    let next = AtomicU32::new(0);
    let lane = || async {
        loop {
            let user = next.fetch_add(1, Ordering::Relaxed);
            if user >= count {
                return anyhow::Ok(());
            }
            let body = json!({"user_id": user_id(user), "email": email(user)}).to_string();
            let request = Request::post(format!("http://{}/v1/identity", stack.data()))
                .header(AUTHORIZATION, &users.authorization)
                .header(CONTENT_TYPE, JSON)
                .body(Full::from(body))?;
            let response = client.request(request).await?;
            let status = response.status();
            let answer = response.into_body().collect().await?.to_bytes();
            let answer: serde_json::Value = serde_json::from_slice(&answer).context("login answer")?;
            ensure!(answer["status"] == "success", "login answered {status}: {answer}");
        }
    };
    futures_util::future::try_join_all((0..LOGINS_AT_ONCE).map(|_| lane())).await?;
    Ok(users)
}

impl Users {
    /// How many.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Headers of the `n`-th ad request. `traceparent` travels to the SSPs, so that what they received can be paired
    /// with the user it was sent for.
    pub(super) fn headers(&self, n: u64) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(4);
        let user = self.of(n);
        let named = user.map_or_else(|| format!("stranger-{n}"), user_id);
        let trace =
            format!("00-{:032x}-{:016x}-00", user.map_or(u128::MAX >> 1, |u| u128::from(u) + 1), n + 1);
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(PUBLISHER_USER_ID, HeaderValue::from_str(&named).unwrap_or(JSON));
        headers.insert(TRACEPARENT, HeaderValue::from_str(&trace).unwrap_or(JSON));
        headers
    }

    /// The user that a request an SSP received was sent for.
    pub(super) fn sent_for(&self, headers: &HeaderMap) -> Option<u32> {
        let trace = headers.get(TRACEPARENT)?.to_str().ok()?;
        let id = u128::from_str_radix(trace.split('-').nth(1)?, 16).ok()?;
        u32::try_from(id.checked_sub(1)?).ok().filter(|user| *user < self.count)
    }

    /// The hash of a user's e-mail address, made here from the address alone.
    pub(super) fn hash(user: u32) -> Option<DiiHash> {
        Email::parse(&email(user)).ok().map(|email| DiiHash::of_email(&email))
    }

    fn of(&self, n: u64) -> Option<u32> {
        if n % STRANGERS == STRANGERS - 1 {
            return None;
        }
        u32::try_from(n % u64::from(self.count)).ok()
    }
}

fn user_id(user: u32) -> String {
    format!("demo-user-{user}")
}

fn email(user: u32) -> String {
    format!("demo.user{user}@example.com")
}
