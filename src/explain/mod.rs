//! `explain`: one bid request through the real path, without network and without the store: which hint won, what the
//! privacy table said and why, and what each SSP would get.
//!
//! ```text
//!  world   Config              → Gateway        the configured gateway over an empty store in memory; it dials nobody
//!  mod     Question            → Explained      a stand-in token where a stored record would be asked for
//!    signals  request, headers → Signal         where a privacy signal stands
//!    edit     body, pieces     → Mark           what was taken out and what was put in
//!  text    Explained           → text           for people
//!  json    Explained           → JSON           for programs
//! ```

mod edit;
mod json;
mod signals;
mod text;
mod world;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::HeaderMap;
use tokio::runtime::Builder;

pub use self::text::Style;
use self::world::World;
use crate::config::Config;
use crate::gateway::{Caller, Explanation, Inbound, Peer, Reject, RejectKind, Shared};
use crate::server;
use crate::time::Clock;

/// The token that stands for the user's own. No operator made it and no buyer can read it.
pub const STAND_IN: &str = "STAND-IN-TOKEN_explain-does-not-read-the-identity-store";

/// What is asked.
#[derive(Debug)]
pub struct Question {
    /// The publisher in whose name the request is sent; without one it is found as for any request.
    pub publisher: Option<String>,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The bid request, packed if the headers say so.
    pub body: Bytes,
    /// The user is one whom somebody logged in, with a fresh token.
    pub user_known: bool,
}

/// The answer.
#[derive(Debug)]
pub struct Explained {
    explanation: Explanation,
    signals: Vec<signals::Signal>,
    user_known: bool,
}

/// Why a request would be refused; what a caller would read.
#[derive(Debug)]
pub struct Problem(RejectKind);

/// Explains a request as the gateway of this configuration would treat it now. The outer error is ours.
pub fn explain(config: Config, question: Question) -> anyhow::Result<Result<Explained, Problem>> {
    let control = Builder::new_multi_thread().worker_threads(1).enable_all().build().context("runtime")?;
    let world = World::new(config, control.handle().clone())?;
    let answer = control.block_on(answer(&world, question))?;
    control.shutdown_background();
    Ok(answer.map_err(|reject| Problem(reject.kind)))
}

async fn answer(world: &World, question: Question) -> anyhow::Result<Result<Explained, Reject>> {
    let empty = world.gateway()?;
    let caller = match caller(empty.shared(), &question)? {
        Ok(caller) => caller,
        Err(reject) => return Ok(Err(reject)),
    };
    let body = match server::body_of(&question.headers, question.body, world.server()) {
        Ok(body) => body,
        Err(kind) => return Ok(Err(Reject { publisher: caller.publisher(), kind })),
    };
    let inbound = |started: Instant| Inbound {
        headers: question.headers.clone(),
        caller: caller.clone(),
        body: body.clone(),
        started,
        peer: Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), trusted: false, tls: false },
    };
    let now = Clock::monotonic();
    match empty.user_of(inbound(now)) {
        Ok((publisher, scope, Some(user))) if question.user_known => {
            world.remember(user, (&publisher.settings, scope)).await?;
        }
        Ok(_) => {}
        Err(reject) => return Ok(Err(reject)),
    }
    let gateway = world.gateway()?;
    // Once with all the time there is, so that the record is in the hot cache, as for any user seen before.
    drop(gateway.explain(inbound(now + WARM_UP)).await);
    let explained = gateway.explain(inbound(Clock::monotonic())).await;
    Ok(explained.map(|explanation| Explained {
        signals: signals::of(&explanation.request, &question.headers),
        explanation,
        user_known: question.user_known,
    }))
}

/// A request that is said to begin so much later has so much more time.
const WARM_UP: Duration = Duration::from_secs(10);

/// Whoever was named, else whoever a key names, else nobody yet.
fn caller(shared: &Shared, question: &Question) -> anyhow::Result<Result<Caller, Reject>> {
    let Some(id) = &question.publisher else { return Ok(Caller::of(shared, &question.headers, None)) };
    let known = shared.directory.publishers().iter().find(|publisher| publisher.settings.id == *id);
    let publisher = known.with_context(|| format!("no [[publisher]] has the id \"{id}\""))?;
    Ok(Ok(Caller::of_publisher(Arc::clone(publisher))))
}
