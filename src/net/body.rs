//! Bodies: many segments sent as one without copying, and foreign bodies read whole up to a cap.

use std::convert::Infallible;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use smallvec::SmallVec;

/// A body made of several pieces, each shared with whoever else holds the bytes.
///
/// hyper queues the pieces behind the request's head and hands all of them to one vectored write where the socket
/// supports it, as plain TCP and rustls streams do.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    pieces: SmallVec<[Bytes; 8]>,
    next: usize,
    left: usize,
}

impl Segments {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a piece at the end. An empty piece is left out.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.left += piece.len();
            self.pieces.push(piece);
        }
    }

    /// Bytes still to be sent; of a body that has not been sent, its length.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// What is left, piece by piece.
    pub fn pieces(&self) -> &[Bytes] {
        self.pieces.get(self.next..).unwrap_or_default()
    }

    /// What is left, in one piece. Copies unless there is only one.
    pub fn to_bytes(&self) -> Bytes {
        match self.pieces() {
            [] => Bytes::new(),
            [only] => only.clone(),
            many => many.concat().into(),
        }
    }
}

impl From<SmallVec<[Bytes; 8]>> for Segments {
    fn from(mut pieces: SmallVec<[Bytes; 8]>) -> Self {
        pieces.retain(|piece| !piece.is_empty());
        let left = pieces.iter().map(Bytes::len).sum();
        Self { pieces, next: 0, left }
    }
}

impl From<Bytes> for Segments {
    fn from(piece: Bytes) -> Self {
        let mut segments = Self::new();
        segments.push(piece);
        segments
    }
}

impl FromIterator<Bytes> for Segments {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        pieces.into_iter().collect::<SmallVec<[Bytes; 8]>>().into()
    }
}

impl Body for Segments {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let at = self.next;
        let Some(piece) = self.pieces.get_mut(at).map(mem::take) else {
            return Poll::Ready(None);
        };
        self.next += 1;
        self.left -= piece.len();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

/// Why a body could not be read whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    /// It is longer than the cap, by its own announcement or as it came.
    #[error("the body is longer than allowed")]
    TooLarge,
    /// The peer stopped in the middle, or sent something that is not HTTP.
    #[error("the body broke off")]
    Broken,
}

/// Reads a body to its end, at most `max` bytes. A body that announces more is refused before a byte is read.
///
/// A body that comes as one piece is not copied.
pub async fn read_capped<B>(body: B, max: usize) -> Result<Bytes, ReadError>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let announced = body.size_hint().lower();
    if announced > max as u64 {
        return Err(ReadError::TooLarge);
    }
    let mut read = Collected::default();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| ReadError::Broken)?.into_data() else {
            continue; // trailers: nobody asked for any
        };
        if piece.len() > max - read.len() {
            return Err(ReadError::TooLarge);
        }
        read.push(piece, announced);
    }
    Ok(read.into_bytes())
}

/// What has come of a body so far: nothing or the first piece as it came, or several pieces copied together.
#[derive(Debug)]
pub(super) enum Collected {
    One(Bytes),
    Many(BytesMut),
}

impl Default for Collected {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl Collected {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(piece) => piece.len(),
            Self::Many(pieces) => pieces.len(),
        }
    }

    /// `announced`: the length the whole body has at least, already held against the cap.
    pub(super) fn push(&mut self, piece: Bytes, announced: u64) {
        match self {
            Self::One(first) if first.is_empty() => *first = piece,
            Self::One(first) => {
                let at_least = first.len() + piece.len();
                let room = usize::try_from(announced).unwrap_or(at_least).max(at_least);
                let mut pieces = BytesMut::with_capacity(room);
                pieces.extend_from_slice(first);
                pieces.extend_from_slice(&piece);
                *self = Self::Many(pieces);
            }
            Self::Many(pieces) => pieces.extend_from_slice(&piece),
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::One(piece) => piece,
            Self::Many(pieces) => pieces.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use http_body_util::StreamBody;

    use super::*;

    fn segments(pieces: &[&'static str]) -> Segments {
        pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect()
    }

    /// A body that does not know its length, in the pieces given; `Err` breaks it off.
    fn chunked(
        pieces: Vec<Result<&'static str, std::io::Error>>,
    ) -> impl Body<Data = Bytes, Error = std::io::Error> {
        let frames = pieces
            .into_iter()
            .map(|piece| piece.map(|text| Frame::data(Bytes::from_static(text.as_bytes()))));
        StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>()))
    }

    fn read<B: Body<Data = Bytes>>(body: B, max: usize) -> Result<Bytes, ReadError> {
        read_capped(body, max).now_or_never().expect("nothing to wait for")
    }

    #[test]
    fn segments_keep_order_and_count_their_bytes() {
        let mut body = segments(&["{\"id\":", "", "\"1\"", "}"]);
        assert_eq!(body.len(), 10);
        assert_eq!(body.size_hint().exact(), Some(10));
        assert_eq!(body.to_bytes(), "{\"id\":\"1\"}");
        body.push(Bytes::from_static(b"\n"));
        assert_eq!(body.size_hint().exact(), Some(11));
        assert_eq!(read(body, 11).unwrap(), "{\"id\":\"1\"}\n");
    }

    #[test]
    fn segments_hand_out_the_same_memory() {
        let piece = Bytes::from(vec![b'x'; 64]);
        let mut body = Segments::from(piece.clone());
        assert_eq!(body.to_bytes().as_ptr(), piece.as_ptr());
        let frame = body.frame().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap().as_ptr(), piece.as_ptr());
        assert!(body.is_end_stream() && body.is_empty());
        assert_eq!((body.size_hint().exact(), body.to_bytes().len()), (Some(0), 0));
    }

    #[test]
    fn an_empty_body_has_no_frame() {
        let mut body = segments(&["", ""]);
        assert!(body.is_end_stream());
        assert!(body.frame().now_or_never().unwrap().is_none());
    }

    #[test]
    fn the_length_after_a_frame_is_what_is_left() {
        let mut body = segments(&["abc", "de"]);
        body.frame().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!((body.len(), body.to_bytes()), (2, Bytes::from_static(b"de")));
    }

    #[test]
    fn a_body_is_read_up_to_the_cap_and_not_past_it() {
        for pieces in [vec!["12345678"], vec!["1234", "5678"], vec!["1", "234", "567", "8"]] {
            let body = || chunked(pieces.iter().copied().map(Ok).collect());
            assert_eq!(read(body(), 8).unwrap(), "12345678");
            assert_eq!(read(body(), 7), Err(ReadError::TooLarge));
        }
    }

    #[test]
    fn an_announced_length_is_refused_before_reading() {
        struct Unread;
        impl Body for Unread {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                panic!("read although it announced too much");
            }
            fn size_hint(&self) -> SizeHint {
                SizeHint::with_exact(9)
            }
        }
        assert_eq!(read(Unread, 8), Err(ReadError::TooLarge));
    }

    #[test]
    fn a_body_that_breaks_off_is_broken() {
        let body = chunked(vec![Ok("12"), Err(std::io::ErrorKind::ConnectionReset.into())]);
        assert_eq!(read(body, 8), Err(ReadError::Broken));
    }

    #[test]
    fn one_piece_is_not_copied() {
        let piece = Bytes::from(vec![b'x'; 64]);
        assert_eq!(read(Segments::from(piece.clone()), 64).unwrap().as_ptr(), piece.as_ptr());
    }
}
