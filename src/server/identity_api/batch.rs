//! `POST /v1/identity/batch`: many logins in one NDJSON body, answered line by line in their order. A line that is wrong,
//! or a login that fails, costs itself alone.

use std::sync::Arc;

use ::http::Request;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use hyper::body::Incoming;

use super::caller::Caller;
use super::{Answer, Fault, body, login};
use crate::server::live::Room;
use crate::server::reply;

/// Logins at the operator at once, of one batch: the operator's own limit is shared with everybody else.
const AT_ONCE: usize = 16;

/// Bytes of a batch's body for each line it may have: an address, a user id and two consent strings fit.
const LINE_BYTES: usize = 4 * 1024;

pub(super) async fn batch(
    room: &Room,
    caller: &Caller<'_>,
    request: Request<Incoming>,
) -> Result<Answer, Fault> {
    let media = ["application/x-ndjson", "application/ndjson", "application/json"];
    let most = room.settings().max_batch_lines;
    let bytes = body::read(room, request, (&media, most.saturating_mul(LINE_BYTES))).await?;
    let lines = lines(bytes.expose(), most)?;
    let answers = stream::iter(lines).map(|line| one(room, caller, line)).buffered(AT_ONCE);
    let written = answers.fold(Vec::new(), |mut out, line| async move {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
        out
    });
    Ok(Answer::Lines(Bytes::from(written.await)))
}

/// Lines that hold something; a batch over the limit does nothing at all.
fn lines(bytes: &[u8], most: usize) -> Result<Vec<&[u8]>, Fault> {
    let lines: Vec<&[u8]> =
        bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
    match lines.len() {
        0 => Err(Fault::bad("body", "holds no line")),
        n if n > most => Err(Fault::TooManyLines(most)),
        _ => Ok(lines),
    }
}

async fn one(room: &Room, caller: &Caller<'_>, line: &[u8]) -> Arc<str> {
    let answer = match login::parse(line) {
        Ok(body) => login::with(room, caller, body).await,
        Err(fault) => Err(fault),
    };
    reply::identity_line(answer).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_hold_something_count_up_to_the_limit() {
        let of = |count: usize| "{}\n".repeat(count);
        assert_eq!(lines(of(7).as_bytes(), 7).unwrap().len(), 7);
        assert!(matches!(lines(of(8).as_bytes(), 7), Err(Fault::TooManyLines(7))));
        assert!(lines(b"\r\n \n", 7).is_err());
        assert_eq!(lines(b"{}\r\n\r\n {} ", 2).unwrap(), [b"{}", b"{}"]);
    }
}
