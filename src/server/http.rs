//! The router of the data listener: a method and a path to a handler, and nothing else.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use ::http::{Method, Request};
use futures_util::FutureExt;
use hyper::body::Incoming;

use super::cors::Cors;
use super::drain::Stage;
use super::growing::{Answer, Content};
use super::live::Room;
use super::reply::{self, Reply};
use super::{auction, identity_api};
use crate::gateway::Peer;

/// Answers one request. A panic costs this request and nothing else.
pub(super) async fn answer(room: &Room, request: Request<Incoming>, peer: Peer, started: Instant) -> Answer {
    let peer = room.judged(peer);
    let cors = Cors::of(room, &request);
    if let Some(reply) = cors.preflight(&request) {
        return reply.map(Content::Whole);
    }
    if request.uri().path() == identity_api::BATCH && *request.method() == Method::POST {
        // No page may call it. In a box: rare, and larger than the way of an ad request.
        let routed =
            AssertUnwindSafe(Box::pin(identity_api::batch(room, request, peer))).catch_unwind().await;
        return routed.unwrap_or_else(|_| panicked().map(Content::Whole));
    }
    let routed = AssertUnwindSafe(route(room, request, peer, started)).catch_unwind().await;
    cors.tell(routed.unwrap_or_else(|_| panicked())).map(Content::Whole)
}

fn panicked() -> Reply {
    tracing::error!("a request panicked");
    reply::internal_error()
}

async fn route(room: &Room, request: Request<Incoming>, peer: Peer, started: Instant) -> Reply {
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::POST, "/openrtb2/auction") => auction::auction(room, request, peer, started).await,
        (_, "/openrtb2/auction") => {
            auction::count_method(room);
            reply::method_not_allowed("POST")
        }
        (&Method::GET | &Method::HEAD, "/healthz") => match room.seat().plane.drain.stage() {
            Stage::Running => reply::text("ok\n"),
            // Whoever balances load by this listener learns of the drain here.
            Stage::Draining | Stage::Closing => reply::not_ready("draining\n"),
        },
        (_, "/healthz") => reply::method_not_allowed("GET, HEAD"),
        _ if path == "/v1/identity" || path.starts_with("/v1/identity/") => {
            // In a box: rare, and larger than the way of an ad request, whose future is moved with each request.
            Box::pin(identity_api::call(room, request, peer)).await
        }
        _ => reply::no_such_path(),
    }
}
