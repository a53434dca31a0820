//! `POST /v1/identity/batch`: many logins in one NDJSON body, each answered when it and those before it are done. A line that
//! is wrong, or a login that fails, costs itself alone.
//!
//! A body of announced length is read whole, and one with too many lines does nothing at all. Of another, each line is read
//! when it is its turn: its caller may wait for answers before it sends more.

use std::pin::pin;

use ::http::header::CONTENT_LENGTH;
use ::http::{HeaderMap, Request};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::caller::Caller;
use super::lines::{Limits, Lines};
use super::{Fault, body, login};
use crate::gateway::{Certified, Peer};
use crate::secret::Secret;
use crate::server::growing::Growing;
use crate::server::live::Room;
use crate::server::reply;

/// Logins at the operator at once, of one batch: the operator's own limit is shared with everybody else. No more lines than
/// these are read ahead of the answers.
const AT_ONCE: usize = 16;

const MEDIA: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/json"];

/// The answer to come; a fault before the first line is one of the call.
pub(super) async fn begin(room: &Room, request: Request<Incoming>, peer: Peer) -> Result<Growing, Fault> {
    let settings = room.settings();
    if !peer.is_private(settings.insecure_identity) {
        return Err(Fault::TlsRequired);
    }
    let certified = request.extensions().get().cloned();
    Caller::of(&room.gateway().shared().directory, (request.headers(), certified.as_ref()), false)?;
    let limits = Limits::of(settings);
    let headers = request.headers().clone();
    let mut lines = if headers.contains_key(CONTENT_LENGTH) {
        let whole = body::read(room, request, (&MEDIA, limits.bytes)).await?;
        Lines::whole(whole.expose(), limits)?
    } else {
        body::check_media(&headers, &MEDIA)?;
        Lines::of(request.into_body(), limits)
    };
    let first = lines.next().await.ok_or(Fault::bad("body", "holds no line"))??;
    let room = room.clone();
    Ok(Growing::new(
        |answers| async move { answer(&room, (&headers, certified), (first, lines), answers).await },
    ))
}

/// Logs in line by line, until the last, or until nobody reads the answers.
async fn answer(
    room: &Room,
    (headers, certified): (&HeaderMap, Option<Certified>),
    (first, lines): (Secret<Vec<u8>>, Lines),
    answers: mpsc::Sender<Bytes>,
) {
    let Ok(caller) = Caller::of(&room.gateway().shared().directory, (headers, certified.as_ref()), false)
    else {
        return;
    };
    let rest = stream::unfold(lines, |mut lines| async move { lines.next().await.map(|line| (line, lines)) });
    let lines = stream::once(std::future::ready(Ok(first))).chain(rest);
    let mut told = pin!(lines.map(|line| one(room, &caller, line)).buffered(AT_ONCE));
    let patience = room.settings().body_timeout;
    loop {
        let line = tokio::select! {
            biased;
            () = answers.closed() => return,
            line = told.next() => line,
        };
        let Some(line) = line else { return };
        match tokio::time::timeout(patience, answers.send(line)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => return tracing::debug!("the caller of a batch does not read its answers"),
        }
    }
}

async fn one(room: &Room, caller: &Caller<'_>, line: Result<Secret<Vec<u8>>, Fault>) -> Bytes {
    let answer = match line.and_then(|line| login::parse(line.expose())) {
        Ok(body) => login::with(room, caller, body).await,
        Err(fault) => Err(fault),
    };
    (reply::identity_line(answer) + "\n").into()
}
