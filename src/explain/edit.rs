//! What an edit took out of a body and what it put in, told from the bytes themselves: a piece that is a slice of the
//! inbound body was left alone, whatever stands between two of them was changed.
//!
//! Where the DII guard made a body of its own in between, its slices are first led back to those of the inbound one.

use bytes::Bytes;

use crate::gateway::{ExplainedCall, Explanation, Guarded};

/// A stretch of an outgoing body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// As it came in.
    Same(Bytes),
    /// Stood there and does not leave.
    Removed(Bytes),
    /// Leaves and did not stand there.
    Added(Bytes),
}

/// The stretches of the body that leaves with a call.
pub(super) fn edits(explanation: &Explanation, call: &ExplainedCall) -> Vec<Mark> {
    let inbound = explanation.request.body();
    match &explanation.guarded {
        Some(guarded) => marks(inbound, &led_back(guarded, &call.body)),
        None => marks(inbound, &call.body),
    }
}

/// The same bytes, as slices of the body as it came wherever they are slices of the body as the guard left it.
fn led_back(guarded: &Guarded, pieces: &[Bytes]) -> Vec<Bytes> {
    let mut out = Vec::new();
    for piece in pieces {
        let Some(start) = offset_in(&guarded.body, piece) else {
            out.push(piece.clone());
            continue;
        };
        let mut at = 0;
        for kept in &guarded.pieces {
            let from = start.max(at);
            let to = (start + piece.len()).min(at + kept.len());
            if from < to {
                out.push(kept.slice(from - at..to - at));
            }
            at += kept.len();
        }
    }
    out
}

/// The stretches of the body that `pieces` make together, and of what is missing from `inbound`, in order.
pub(super) fn marks(inbound: &Bytes, pieces: &[Bytes]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut added = Vec::new();
    let mut at = 0;
    for piece in pieces {
        let Some(offset) = offset_in(inbound, piece).filter(|offset| *offset >= at) else {
            added.extend_from_slice(piece);
            continue;
        };
        changed(&mut marks, inbound.slice(at..offset), &mut added);
        marks.push(Mark::Same(piece.clone()));
        at = offset + piece.len();
    }
    changed(&mut marks, inbound.slice(at..), &mut added);
    marks
}

fn changed(marks: &mut Vec<Mark>, removed: Bytes, added: &mut Vec<u8>) {
    if !removed.is_empty() {
        marks.push(Mark::Removed(removed));
    }
    if !added.is_empty() {
        marks.push(Mark::Added(std::mem::take(added).into()));
    }
}

/// Where a piece stands in the body, if it shares its memory.
fn offset_in(body: &Bytes, piece: &Bytes) -> Option<usize> {
    let offset = piece.as_ptr().addr().checked_sub(body.as_ptr().addr())?;
    (offset + piece.len() <= body.len()).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(inbound: &Bytes, pieces: &[Bytes]) -> String {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let show = |mark: Mark| match mark {
            Mark::Same(bytes) => text(&bytes),
            Mark::Removed(bytes) => format!("[-{}-]", text(&bytes)),
            Mark::Added(bytes) => format!("{{+{}+}}", text(&bytes)),
        };
        marks(inbound, pieces).into_iter().map(show).collect()
    }

    #[test]
    fn slices_stay_and_the_rest_was_changed() {
        let body = Bytes::from_static(b"0123456789");
        let new = Bytes::from(String::from("new"));
        assert_eq!(shown(&body, std::slice::from_ref(&body)), "0123456789");
        assert_eq!(shown(&body, &[body.slice(..3), new.clone(), body.slice(5..)]), "012[-34-]{+new+}56789");
        assert_eq!(shown(&body, &[body.slice(2..4), new.clone()]), "[-01-]23[-456789-]{+new+}");
        assert_eq!(shown(&body, &[body.slice(..4), new.clone(), body.slice(4..)]), "0123{+new+}456789");
        assert_eq!(shown(&body, &[new]), "[-0123456789-]{+new+}");
        assert_eq!(shown(&body, &[]), "[-0123456789-]");
    }

    #[test]
    fn what_the_guard_cut_is_all_that_it_changed() {
        let body = Bytes::from_static(b"0123456789");
        let pieces = vec![body.slice(..2), body.slice(4..5), body.slice(7..)];
        let left = Bytes::from(pieces.concat());
        let guarded = Guarded { hits: Vec::new(), pieces, body: left.clone() };
        let shown = |outgoing: &[Bytes]| shown(&body, &led_back(&guarded, outgoing));
        let new = Bytes::from(String::from("new"));
        assert_eq!(shown(std::slice::from_ref(&left)), "01[-23-]4[-56-]789");
        assert_eq!(shown(&[left.slice(..1), new.clone(), left.slice(4..)]), "0[-1234567-]{+new+}89");
        assert_eq!(shown(&[left.slice(..2), new, left.slice(2..)]), "01[-23-]{+new+}4[-56-]789");
    }
}
