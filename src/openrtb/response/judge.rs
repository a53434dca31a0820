//! Which bids of a reply are taken.

use std::borrow::Cow;
use std::collections::HashSet;

use openrtb::current::BidResponse;

use super::super::changes::{Change, Changes};
use super::reply::{Currency, RawBid, Reply, Seat};
use super::{DEFAULT_CURRENCY, MergeContext, ReplyVerdict, target_currency};

/// The bids of a reply that are taken: per seatbid, which.
#[derive(Default)]
pub(super) struct Accepted {
    seats: Vec<Vec<bool>>,
}

impl Accepted {
    fn taken(&self) -> usize {
        self.seats.iter().flatten().filter(|taken| **taken).count()
    }

    /// The seatbids as they are merged: as they came, or without the bids that were refused.
    pub(super) fn seats<'a>(&'a self, reply: &'a Reply<'_>) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let seats = reply.seats.iter().zip(&self.seats);
        seats.filter(|(_, taken)| taken.contains(&true)).map(|(seat, taken)| {
            if taken.contains(&false) {
                Cow::Owned(without_refused(reply.body, seat, taken))
            } else {
                Cow::Borrowed(seat.span.of(reply.body))
            }
        })
    }
}

fn without_refused(body: &[u8], seat: &Seat, taken: &[bool]) -> Vec<u8> {
    let mut changes = Changes::default();
    let bids = (0..).zip(&seat.bids).zip(taken);
    changes.remove(body, bids.filter(|(_, taken)| !**taken).map(|((index, bid), _)| (bid.span, index)));
    changes.sort();
    let span = seat.span.range();
    let mut out = Vec::with_capacity(span.len());
    let mut from = span.start;
    for Change { span, .. } in changes.as_slice() {
        out.extend_from_slice(body.get(from..span.start as usize).unwrap_or_default());
        from = span.end as usize;
    }
    out.extend_from_slice(body.get(from..span.end).unwrap_or_default());
    out
}

/// Longest response that OpenRTB's types are held against, in bytes; the verdicts are the same without. An `ext` read into
/// a tree can take a hundred times its length.
pub(super) const TYPED_UP_TO: usize = 64 * 1024;

/// Judges replies to one request.
pub(super) struct Judge<'a> {
    context: &'a MergeContext<'a>,
    /// [`MergeContext::imp_ids`], to be asked for every bid.
    imps: HashSet<&'a str>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(context: &'a MergeContext<'a>) -> Self {
        Self { context, imps: context.imp_ids.iter().map(AsRef::as_ref).collect() }
    }

    /// Judges a reply and each of its bids.
    pub(super) fn judge(&self, reply: &Reply<'_>) -> (ReplyVerdict, Accepted) {
        let refused = |why| (ReplyVerdict::Invalid(why), Accepted::default());
        if reply.too_many {
            return (ReplyVerdict::TooLarge, Accepted::default());
        }
        if reply.bids + reply.odd == 0 {
            return (ReplyVerdict::NoBid { nbr: reply.nbr() }, Accepted::default());
        }
        if reply.id().is_some_and(|id| !same_string(id, self.context.id_raw)) {
            return refused("id");
        }
        if !currency_fits(self.context, reply) {
            return refused("cur");
        }
        // serde reads a struct from an array too: an odd seatbid may look like one to it.
        let may_be_typed = reply.body.len() <= TYPED_UP_TO && reply.odd == 0;
        let typed: Option<BidResponse> =
            may_be_typed.then(|| serde_json::from_slice(reply.body).ok()).flatten();
        let accepted = self.accept(reply, typed.as_ref());
        match accepted.taken() {
            0 => refused("bids"),
            bids => {
                let dropped = reply.bids + reply.odd - bids;
                let typed_error = typed.is_none() && reply.body.len() <= TYPED_UP_TO;
                let id_missing = reply.id().is_none();
                (ReplyVerdict::Bid { bids, dropped, id_missing, typed_error }, accepted)
            }
        }
    }

    fn accept(&self, reply: &Reply<'_>, typed: Option<&BidResponse>) -> Accepted {
        let mut seen = HashSet::new();
        let mut accepted = Accepted::default();
        for (nth, seat) in reply.seats.iter().enumerate() {
            let typed = typed.and_then(|response| response.seat_bid.get(nth));
            let offers = seat.bids.iter().enumerate().map(|(nth, bid)| match typed {
                // The same of a bid.
                _ if !bid.is_bid => None,
                Some(typed) => typed.bid.get(nth).map(Offer::of_typed),
                None => Offer::of_raw(reply, bid),
            });
            let offers: Vec<_> = offers.map(|offer| offer.filter(|o| o.answers(&self.imps))).collect();
            accepted.seats.push(take(seat, offers, &mut seen));
        }
        accepted
    }
}

/// Equal as JSON strings, whatever their escapes.
fn same_string(a: &[u8], b: &[u8]) -> bool {
    let read = |raw| serde_json::from_slice::<String>(raw).ok();
    a == b || read(a).is_some_and(|a| read(b) == Some(a))
}

fn currency_fits(context: &MergeContext<'_>, reply: &Reply<'_>) -> bool {
    let target = target_currency(context);
    match reply.cur() {
        Currency::Said(cur) if !cur.is_empty() => cur.eq_ignore_ascii_case(target),
        Currency::Said(_) | Currency::Unsaid => target.eq_ignore_ascii_case(DEFAULT_CURRENCY),
        Currency::Unreadable => false,
    }
}

/// Takes what is offered, the first of duplicates; a group only as a whole.
fn take<'o>(
    seat: &Seat,
    offers: Vec<Option<Offer<'o>>>,
    seen: &mut HashSet<(Cow<'o, str>, Cow<'o, str>)>,
) -> Vec<bool> {
    let mut keys = HashSet::new();
    let mut taken = Vec::with_capacity(offers.len());
    for offer in offers {
        let key = offer.map(|offer| (offer.id, offer.impid)).filter(|key| !seen.contains(key));
        taken.push(key.is_some_and(|key| keys.insert(key)));
    }
    if seat.group && taken.contains(&false) {
        return vec![false; taken.len()];
    }
    seen.extend(keys);
    taken
}

/// What makes a bid a bid.
struct Offer<'a> {
    id: Cow<'a, str>,
    impid: Cow<'a, str>,
    price: f64,
}

impl<'a> Offer<'a> {
    fn of_typed(bid: &'a openrtb::current::Bid) -> Self {
        let (id, impid) = (Cow::Borrowed(bid.id.as_str()), Cow::Borrowed(bid.imp_id.as_str()));
        Self { id, impid, price: bid.price }
    }

    fn of_raw(reply: &Reply<'a>, bid: &RawBid) -> Option<Self> {
        let price = reply.number(bid.price?)?;
        Some(Self { id: reply.exact(bid.id?)?, impid: reply.exact(bid.impid?)?, price })
    }

    /// It has an id, an imp of the request, and a finite price of 0 or more. `crid` and a price above 0 are not
    /// asked for: deals and house bids do without.
    fn answers(&self, imps: &HashSet<&str>) -> bool {
        !self.id.is_empty()
            && self.price.is_finite()
            && self.price >= 0.0
            && imps.contains(self.impid.as_ref())
    }
}
