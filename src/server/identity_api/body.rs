//! A call's body: JSON by its media type, read whole within its time and up to its limit, wiped when it is done with.

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderMap, Request};
use hyper::body::Incoming;

use super::Fault;
use crate::net::body::{ReadError, read_capped};
use crate::secret::Secret;
use crate::server::live::Room;

/// Reads a body of one of these media types; one that is not named counts as the first.
pub(super) async fn read(
    room: &Room,
    request: Request<Incoming>,
    (media, most): (&[&str], usize),
) -> Result<Secret<Vec<u8>>, Fault> {
    check_media(request.headers(), media)?;
    let timeout = room.settings().body_timeout;
    let read = tokio::time::timeout(timeout, read_capped(request.into_body(), most)).await;
    match read.map_err(|_| Fault::BodyTimeout)? {
        // Wiped on drop. Usually no copy: the body is one frame that nobody else holds.
        Ok(bytes) => Ok(Secret::new(bytes.try_into_mut().map_or_else(|shared| shared.to_vec(), Vec::from))),
        Err(ReadError::TooLarge) => Err(Fault::TooLarge(most)),
        Err(ReadError::Broken) => Err(Fault::bad("body", "ended early")),
    }
}

/// Whether a body is of one of these media types; one that is not named counts as the first.
pub(super) fn check_media(headers: &HeaderMap, media: &[&str]) -> Result<(), Fault> {
    let fits = headers.get(CONTENT_TYPE).is_none_or(|value| {
        let named = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        media.iter().any(|media| named.eq_ignore_ascii_case(media.as_bytes()))
    });
    if fits { Ok(()) } else { Err(Fault::MediaType(media.first().copied().unwrap_or_default().to_owned())) }
}
