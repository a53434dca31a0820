//! An answer without bids that says why, for a caller who may know: the reason of all SSPs, and a code for each.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;

use super::answer::Draft;
use super::debug::Story;
use super::fanout::Replied;
use crate::openrtb::response::ReplyVerdict;
use crate::ssp::SspOutcome;

/// A response without bids that says why (openrtb.md §4.3, `ext.seatnonbid` of the community extension).
pub(super) fn written(told: &str, story: &Story<'_>) -> Draft {
    let mut body = Vec::with_capacity(512);
    body.extend_from_slice(b"{\"id\":");
    body.extend_from_slice(story.admitted.request.id_raw());
    body.extend_from_slice(b",\"seatbid\":[]");
    if let Some(nbr) = common_reason(story.replies) {
        body.extend_from_slice(format!(",\"nbr\":{nbr}").as_bytes());
    }
    let imps = story.admitted.request.imp_ids();
    let seats = serde_json::to_string(&seats(story, &imps)).unwrap_or_default();
    body.extend_from_slice(format!(",\"ext\":{{\"seatnonbid\":{seats},\"uid2gw\":{told}}}}}").as_bytes());
    Draft::Written { body: Bytes::from(body), bid: false }
}

/// No-bid reasons of OpenRTB that we give ourselves.
const TECHNICAL_ERROR: i32 = 1;
const INVALID_REQUEST: i32 = 2;
const INSUFFICIENT_TIME: i32 = 15;

/// `nbr` for all SSPs together: theirs if they agree on one; 15 if all were late, 2 if all said that the request is
/// invalid (400), 1 if all failed one way or another; else none.
fn common_reason(replies: &[Replied]) -> Option<i32> {
    let (first, rest) = replies.split_first()?;
    let own = own_reason(first);
    if own.is_some() && rest.iter().all(|replied| own_reason(replied) == own) {
        return own;
    }
    let all = |is: fn(&Replied) -> bool| replies.iter().all(is);
    let failed = |replied: &Replied| !matches!(replied.reply.outcome, SspOutcome::Bid | SspOutcome::NoBid);
    match () {
        () if all(is_late) => Some(INSUFFICIENT_TIME),
        () if all(|replied| replied.reply.status == 400) => Some(INVALID_REQUEST),
        () if replies.iter().all(failed) => Some(TECHNICAL_ERROR),
        () => None,
    }
}

fn own_reason(replied: &Replied) -> Option<i32> {
    match replied.verdict {
        Some(ReplyVerdict::NoBid { nbr }) => nbr,
        _ => None,
    }
}

/// It had too little time, or none at all.
fn is_late(replied: &Replied) -> bool {
    replied.reply.outcome == SspOutcome::Timeout || !replied.called
}

#[derive(Serialize)]
struct SeatNonBid<'a> {
    seat: &'a str,
    nonbid: Vec<NonBid<'a>>,
}

#[derive(Serialize)]
struct NonBid<'a> {
    impid: &'a str,
    statuscode: i32,
}

fn seats<'a>(story: &'a Story<'_>, imps: &'a [Cow<'_, str>]) -> Vec<SeatNonBid<'a>> {
    let seat = |replied: &'a Replied| {
        let statuscode = status_code(replied);
        let nonbid = imps.iter().map(|impid| NonBid { impid, statuscode }).collect();
        Some(SeatNonBid { seat: &story.legs.get(replied.ssp)?.settings.id, nonbid })
    };
    story.replies.iter().filter_map(seat).collect()
}

/// Codes of the seat-non-bid list.
fn status_code(replied: &Replied) -> i32 {
    const NO_BID: i32 = 0;
    const ERROR: i32 = 100;
    const TIMEOUT: i32 = 101;
    const INVALID_RESPONSE: i32 = 102;
    const UNREACHABLE: i32 = 103;
    const BLOCKED: i32 = 200;
    const REJECTED: i32 = 300;
    match (replied.reply.outcome, replied.verdict) {
        _ if is_late(replied) => TIMEOUT,
        (SspOutcome::NoBid | SspOutcome::Bid, _) => own_reason(replied).unwrap_or(NO_BID),
        (SspOutcome::Connect, _) => UNREACHABLE,
        // Readable, but not for this request, or without a bid that could be taken.
        (SspOutcome::Invalid, Some(ReplyVerdict::Invalid("id" | "cur" | "bids"))) => REJECTED,
        (SspOutcome::Invalid | SspOutcome::TooLarge, _) => INVALID_RESPONSE,
        (SspOutcome::Open, _) => BLOCKED,
        (SspOutcome::Limit | SspOutcome::Http4xx | SspOutcome::Http5xx | SspOutcome::Timeout, _) => ERROR,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::reason::ResultLabel;
    use super::*;
    use crate::ssp::SspReply;

    fn ended(outcome: SspOutcome, status: u16) -> Replied {
        let reply = SspReply { status, ..SspReply::without_answer(outcome, Duration::ZERO) };
        Replied { ssp: 0, result: ResultLabel::Absent, called: true, reply, asked: None, verdict: None }
    }

    fn said(verdict: ReplyVerdict) -> Replied {
        let mut replied = ended(SspOutcome::Bid, 200);
        replied.judged(verdict);
        replied
    }

    fn nbr(nbr: Option<i32>) -> Replied {
        said(ReplyVerdict::NoBid { nbr })
    }

    fn uncalled() -> Replied {
        Replied { called: false, ..ended(SspOutcome::Limit, 0) }
    }

    #[test]
    fn the_reason_of_all_is_given_only_where_there_is_one() {
        use SspOutcome::{Connect, Http4xx, Http5xx, Invalid, NoBid, Timeout};
        let late = || ended(Timeout, 0);
        let refused = || ended(Http4xx, 400);
        for (replies, expected) in [
            (vec![], None),
            (vec![nbr(Some(8))], Some(8)),
            (vec![nbr(Some(8)), nbr(Some(8))], Some(8)),
            (vec![nbr(Some(8)), nbr(Some(9))], None),
            (vec![nbr(Some(8)), nbr(None)], None),
            (vec![nbr(None)], None),
            (vec![nbr(Some(8)), ended(NoBid, 204)], None),
            (vec![nbr(Some(8)), late()], None),
            (vec![late()], Some(15)),
            (vec![late(), uncalled()], Some(15)),
            (vec![late(), ended(NoBid, 204)], None),
            (vec![refused(), refused()], Some(2)),
            (vec![refused(), ended(Http4xx, 429)], Some(1)),
            (vec![late(), refused(), ended(Connect, 0)], Some(1)),
            (vec![ended(Http5xx, 503), said(ReplyVerdict::Invalid("json")), ended(Invalid, 0)], Some(1)),
        ] {
            assert_eq!(common_reason(&replies), expected, "{replies:?}");
        }
    }

    #[test]
    fn every_end_has_its_code() {
        for (replied, code) in [
            (ended(SspOutcome::NoBid, 204), 0),
            (nbr(None), 0),
            (nbr(Some(2)), 2),
            (ended(SspOutcome::Timeout, 0), 101),
            (uncalled(), 101),
            (ended(SspOutcome::Limit, 0), 100),
            (ended(SspOutcome::Connect, 0), 103),
            (ended(SspOutcome::Http4xx, 400), 100),
            (ended(SspOutcome::Http5xx, 500), 100),
            (ended(SspOutcome::Invalid, 302), 102),
            (ended(SspOutcome::TooLarge, 0), 102),
            (ended(SspOutcome::Open, 0), 200),
            (said(ReplyVerdict::Invalid("json")), 102),
            (said(ReplyVerdict::Invalid("id")), 300),
            (said(ReplyVerdict::Invalid("cur")), 300),
            (said(ReplyVerdict::Invalid("bids")), 300),
        ] {
            assert_eq!(status_code(&replied), code, "{replied:?}");
        }
    }
}
