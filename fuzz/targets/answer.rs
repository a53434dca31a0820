//! Invariant: reading an SSP's response never panics, yields the same whatever the pieces in which its bytes come, never
//! more than the limit, and never a connection to be used again after bytes that belong to no answer.
#![cfg_attr(not(test), no_main)]

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use uid2_gateway::net::h1::{Answer, Fault, Limits, Progress, Reader};

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

static KEEP: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_ENCODING];
const LIMIT: usize = 64;

pub(crate) fn check(data: &[u8]) {
    // A byte that seeds the cuts, then what the peer sends before it closes.
    let Some((&seed, sent)) = data.split_first() else { return };
    let whole = read(&[sent], LIMIT);
    let mut at = 0;
    let mut state = u32::from(seed);
    let mut pieces = Vec::new();
    while at < sent.len() {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let length = (1 + (state >> 16) as usize % (1 + usize::from(seed))).min(sent.len() - at);
        pieces.push(&sent[at..at + length]);
        at += length;
    }
    assert_eq!(plain(&whole), plain(&read(&pieces, LIMIT)), "cut into {pieces:?}");
    let bytewise: Vec<&[u8]> = sent.chunks(1).collect();
    assert_eq!(plain(&whole), plain(&read(&bytewise, LIMIT)), "byte by byte");
    if let Ok((answer, _)) = whole {
        let body = answer.response.body();
        assert!(body.len() <= LIMIT);
        assert!(answer.response.headers().keys().all(|name| KEEP.contains(name)));
        // With the limit at its length it is the same; one less, and it is too long.
        assert!(read(&[sent], body.len()).is_ok());
        if let Some(less) = body.len().checked_sub(1) {
            assert!(matches!(read(&[sent], less), Err(Fault::TooLarge)));
        }
    }
}

/// The answer, and how many bytes were left that are not its own.
pub(crate) fn read(pieces: &[&[u8]], limit: usize) -> Result<(Answer, usize), Fault> {
    let mut reader = Reader::new(Limits { body: limit, keep: &KEEP });
    let mut buffer = BytesMut::new();
    let mut pieces = pieces.iter();
    loop {
        let progress = match pieces.next() {
            Some([]) => continue,
            Some(piece) => {
                buffer.extend_from_slice(piece);
                reader.advance(&mut buffer)?
            }
            None => reader.end(&mut buffer)?,
        };
        if let Progress::Done(mut answer) = progress {
            let left = buffer.len() + pieces.map(|piece| piece.len()).sum::<usize>();
            assert!(!answer.reusable || buffer.is_empty());
            answer.reusable &= left == 0;
            return Ok((answer, left));
        }
    }
}

type Plain<'a> = Result<(u16, &'a HeaderMap, &'a Bytes, bool, usize), bool>;

/// What can be compared. Of a fault, whether it is the limit: a head that breaks off in the middle may be found wrong
/// before, or not.
fn plain(read: &Result<(Answer, usize), Fault>) -> Plain<'_> {
    let (answer, left) = read.as_ref().map_err(|fault| *fault == Fault::TooLarge)?;
    let response = &answer.response;
    Ok((response.status().as_u16(), response.headers(), response.body(), answer.reusable, *left))
}
