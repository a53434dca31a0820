//! Answer bodies that behave badly on the wire.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

/// Any body this endpoint sends.
pub(super) type AnswerBody = UnsyncBoxBody<Bytes, io::Error>;

/// White space after the bid of a huge answer: far above any sensible limit for a bid response.
pub(super) const PADDING: usize = 16 * 1024 * 1024;

/// Time between two bytes of a slow answer.
const DRIP: Duration = Duration::from_millis(20);

/// A body sent at once.
pub(super) fn whole(bytes: Bytes) -> AnswerBody {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The first half of `bytes`, then an error, upon which the connection ends.
pub(super) fn half(bytes: &Bytes) -> AnswerBody {
    let first = bytes.slice(..bytes.len() / 2);
    let frames = stream::once(async { Ok(Frame::data(first)) }).chain(stream::once(async {
        // Pending once, so that the head and the first half are written before the error ends the connection.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }));
    StreamBody::new(frames).boxed_unsync()
}

/// `bytes`, then [`PADDING`] bytes of white space.
pub(super) fn padded(bytes: Bytes) -> AnswerBody {
    const CHUNK: usize = 64 * 1024;
    let blank = Bytes::from(vec![b' '; CHUNK]);
    let padding = stream::repeat(blank).take(PADDING / CHUNK);
    let frames = stream::once(async { bytes }).chain(padding).map(|chunk| Ok(Frame::data(chunk)));
    StreamBody::new(frames).boxed_unsync()
}

/// `bytes`, one every [`DRIP`].
pub(super) fn dripped(bytes: Bytes) -> AnswerBody {
    let frames = stream::unfold(bytes, |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(DRIP).await;
        let next = rest.split_to(1);
        Some((Ok(Frame::data(next)), rest))
    });
    StreamBody::new(frames).boxed_unsync()
}
