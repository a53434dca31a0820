//! The demo's users: logged in over HTTP, each named in ad requests by the publisher's own id.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Uri};

use super::stack::Stack;
use crate::replay::login::{Desk, Person};
use crate::replay::trace::TRACEPARENT;
use crate::replay::{self, Trace};
use crate::uid2::{DiiHash, Email};

/// Of 100 ad requests, so many name a user whom nobody logged in, as in life.
const STRANGERS: f64 = 25.0;

/// All users, and how a request names one.
pub(super) struct Users {
    count: u32,
    headers: HeaderMap,
    names: replay::Users,
    trace: Trace,
}

/// Logs everybody in; fails on the first login that does.
pub(super) async fn log_in(stack: &Stack, count: u32) -> anyhow::Result<Users> {
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", stack.api_key))?;
    authorization.set_sensitive(true);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
    let target: Uri = format!("http://{}", stack.data()).parse()?;
    let people = (0..count).map(|user| Person { user: user_id(user), email: email(user) });
    let people: Vec<Person> = people.collect();
    Arc::new(Desk::new(&target, &headers, None)?).admit(people.into_iter(), |_| {}).await?;
    let mut run = [0; 8];
    getrandom::fill(&mut run)?;
    let names =
        replay::Users::named((0..count).map(user_id).collect()).with_strangers("stranger-", STRANGERS);
    Ok(Users { count, headers, names, trace: Trace::of(u64::from_le_bytes(run)) })
}

impl Users {
    /// How many.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Of every ad request: the publisher's key.
    pub(super) fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    /// Who is named in which ad request.
    pub(super) fn names(&self) -> replay::Users {
        self.names.clone()
    }

    /// The trace that travels to the SSPs, so that what they received can be paired with the user it was sent for.
    pub(super) fn trace(&self) -> Trace {
        self.trace
    }

    /// The user that a request an SSP received was sent for.
    pub(super) fn sent_for(&self, headers: &HeaderMap) -> Option<u32> {
        let number = self.trace.number(headers.get(TRACEPARENT)?)?;
        u32::try_from(self.names.known(number)?).ok()
    }

    /// The hash of a user's e-mail address, made here from the address alone.
    pub(super) fn hash(user: u32) -> Option<DiiHash> {
        Email::parse(&email(user)).ok().map(|email| DiiHash::of_email(&email))
    }
}

fn user_id(user: u32) -> String {
    format!("demo-user-{user}")
}

fn email(user: u32) -> String {
    format!("demo.user{user}@example.com")
}
