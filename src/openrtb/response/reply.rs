//! One SSP's response: where its seatbids and bids stand.

use std::borrow::Cow;

use super::super::error::{ScanError, ScanReason};
use super::super::request::Container;
use super::super::scan::{Kind, Known, Scanner, Table, Value, known, table};
use super::super::text::Span;
use super::LIMITS;

/// A response whose grammar has been checked.
#[derive(Default)]
pub(super) struct Reply<'a> {
    pub body: &'a [u8],
    id: Option<Value>,
    cur: Option<Value>,
    bidid: Option<Value>,
    customdata: Option<Value>,
    nbr: Option<Value>,
    /// Those that are kept; none of them if there are too many.
    pub seats: Vec<Seat>,
    /// Elements of `seatbid` that are no seatbid.
    pub odd: usize,
    /// Elements of `bid` in the others.
    pub bids: usize,
    /// There are more seatbids and bids than are kept.
    pub too_many: bool,
}

/// What a response says of its currency.
#[derive(PartialEq, Eq)]
pub(super) enum Currency<'a> {
    /// Nothing.
    Unsaid,
    /// This code.
    Said(Cow<'a, str>),
    /// Something that is no string.
    Unreadable,
}

/// A seatbid.
pub(super) struct Seat {
    pub span: Span,
    /// `group` is 1, however that is written: its imps are won or lost together.
    pub group: bool,
    /// The array `bid`; without it there are no bids.
    pub list: Container,
    pub bids: Vec<RawBid>,
}

/// An element of `bid`, with what we need of it; of one that is no bid, nothing.
#[derive(Default)]
pub(super) struct RawBid {
    pub span: Span,
    /// It is an object, and what we read of it stands there once.
    pub is_bid: bool,
    pub id: Option<Value>,
    pub impid: Option<Value>,
    pub price: Option<Value>,
}

const ROOT: Table<[Known; 6]> = table([
    known("id", "id"),
    known("seatbid", "seatbid"),
    known("cur", "cur"),
    known("bidid", "bidid"),
    known("customdata", "customdata"),
    known("nbr", "nbr"),
]);
const SEAT: Table<[Known; 2]> = table([known("bid", "seatbid.bid"), known("group", "seatbid.group")]);
const BID: Table<[Known; 3]> = table([
    known("id", "seatbid.bid.id"),
    known("impid", "seatbid.bid.impid"),
    known("price", "seatbid.bid.price"),
]);

impl<'a> Reply<'a> {
    /// Reads a response. Where it is odd, or a member that we read stands twice (which of the two would count?), the
    /// smallest of bid, seatbid and response around it is of no use.
    ///
    /// At most `most` seatbids and bids are kept; of a response with more, only how many there are.
    pub(super) fn read(body: &'a [u8], most: usize) -> Result<Self, ScanError> {
        let mut scanner = Scanner::new(body, LIMITS)?;
        let mut reply = Self { body, ..Self::default() };
        open(&mut scanner, Kind::Object)?;
        let mut root = scanner.object()?;
        while let Some(key) = scanner.next_member(&mut root, &ROOT)? {
            if key.path == "seatbid" {
                reply.seats(&mut scanner, most)?;
                continue;
            }
            let value = Some(scanner.value()?).filter(|value| value.kind != Kind::Null);
            match key.path {
                "id" => reply.id = value,
                "cur" => reply.cur = value,
                "bidid" => reply.bidid = value,
                "nbr" => reply.nbr = value,
                _ => reply.customdata = value,
            }
        }
        scanner.finish()?;
        Ok(reply)
    }

    fn seats(&mut self, scanner: &mut Scanner<'_>, most: usize) -> Result<(), ScanError> {
        if scanner.kind()? == Kind::Null {
            return scanner.value().map(|_| ());
        }
        open(scanner, Kind::Array)?;
        let mut array = scanner.array()?;
        let mut room = most;
        while scanner.next_element(&mut array)? {
            let (_, seat) = or_skipped(scanner, |scanner| seat(scanner, room.saturating_sub(1)))?;
            self.odd += usize::from(seat.is_none());
            let bids = seat.as_ref().map_or(0, |seat| seat.list.items as usize);
            self.bids += bids;
            self.too_many |= 1 + bids > room;
            room = room.saturating_sub(1 + bids);
            if self.too_many {
                self.seats = Vec::new();
            } else {
                self.seats.extend(seat);
            }
        }
        Ok(())
    }

    /// `id`, with its quotes if it is a string.
    pub(super) fn id(&self) -> Option<&'a [u8]> {
        self.id.map(|id| id.span.of(self.body))
    }

    /// `cur`.
    pub(super) fn cur(&self) -> Currency<'a> {
        match self.cur {
            None => Currency::Unsaid,
            Some(cur) => self.string(cur).map_or(Currency::Unreadable, Currency::Said),
        }
    }

    /// `bidid` as written, if it is a string.
    pub(super) fn bidid(&self) -> Option<&'a [u8]> {
        self.bidid.filter(|value| value.kind == Kind::String).map(|value| value.span.of(self.body))
    }

    /// `customdata` as written, if it is a string.
    pub(super) fn customdata(&self) -> Option<&'a [u8]> {
        self.customdata.filter(|value| value.kind == Kind::String).map(|value| value.span.of(self.body))
    }

    /// `nbr`, if it is an integer.
    pub(super) fn nbr(&self) -> Option<i32> {
        let nbr = self.nbr.filter(|value| value.kind == Kind::Number)?;
        std::str::from_utf8(nbr.span.of(self.body)).ok()?.parse().ok()
    }

    /// The value as a number; huge ones are infinite.
    pub(super) fn number(&self, value: Value) -> Option<f64> {
        number(value, self.body)
    }

    /// The value as a string, to be told apart from others: one with half a surrogate pair, which reads like any other
    /// such half, is its own spelling.
    pub(super) fn exact(&self, value: Value) -> Option<Cow<'a, str>> {
        let text = value.text()?;
        if !text.escaped {
            return Some(text.decode(self.body));
        }
        let quoted = text.quoted(self.body);
        let spelling = || std::str::from_utf8(quoted).ok().map(Cow::Borrowed);
        serde_json::from_slice(quoted).ok().map(Cow::Owned).or_else(spelling)
    }

    /// The value as a string.
    pub(super) fn string(&self, value: Value) -> Option<Cow<'a, str>> {
        value.text().map(|text| text.decode(self.body))
    }
}

fn number(value: Value, body: &[u8]) -> Option<f64> {
    let text = Some(value.span.of(body)).filter(|_| value.kind == Kind::Number)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The next value has to be of this kind.
fn open(scanner: &mut Scanner<'_>, kind: Kind) -> Result<(), ScanError> {
    if scanner.kind()? == kind { Ok(()) } else { Err(scanner.fault(ScanReason::WrongType)) }
}

/// Where the next value stands, and what `read` makes of it; nothing, if it is of the wrong type or holds a member twice.
/// The value is then skipped, its grammar checked.
fn or_skipped<T>(
    scanner: &mut Scanner<'_>,
    read: impl FnOnce(&mut Scanner<'_>) -> Result<T, ScanError>,
) -> Result<(Span, Option<T>), ScanError> {
    scanner.kind()?;
    let before = scanner.clone();
    match read(scanner) {
        Ok(read) => Ok((Span { start: before.position(), end: scanner.position() }, Some(read))),
        Err(ScanError { reason: ScanReason::WrongType | ScanReason::Duplicate, .. }) => {
            *scanner = before;
            Ok((scanner.value()?.span, None))
        }
        Err(fault) => Err(fault),
    }
}

/// A seatbid, with at most `room` of its bids.
fn seat(scanner: &mut Scanner<'_>, room: usize) -> Result<Seat, ScanError> {
    open(scanner, Kind::Object)?;
    let start = scanner.position();
    let mut seat = Seat { span: Span::default(), group: false, list: Container::default(), bids: Vec::new() };
    let mut object = scanner.object()?;
    while let Some(key) = scanner.next_member(&mut object, &SEAT)? {
        if key.path == "seatbid.group" {
            let value = scanner.value()?;
            seat.group = number(value, scanner.text()) == Some(1.0);
        } else if scanner.kind()? == Kind::Null {
            scanner.value()?;
        } else {
            bids(scanner, &mut seat, room)?;
        }
    }
    seat.span = Span { start, end: scanner.position() };
    Ok(seat)
}

fn bids(scanner: &mut Scanner<'_>, seat: &mut Seat, room: usize) -> Result<(), ScanError> {
    open(scanner, Kind::Array)?;
    let start = scanner.position();
    let mut array = scanner.array()?;
    while scanner.next_element(&mut array)? {
        let (span, bid) = or_skipped(scanner, bid)?;
        if seat.bids.len() < room {
            seat.bids.push(RawBid { span, ..bid.unwrap_or_default() });
        }
    }
    seat.list = Container { span: Span { start, end: scanner.position() }, items: array.count };
    Ok(())
}

fn bid(scanner: &mut Scanner<'_>) -> Result<RawBid, ScanError> {
    open(scanner, Kind::Object)?;
    let mut bid = RawBid { is_bid: true, ..RawBid::default() };
    let mut object = scanner.object()?;
    while let Some(key) = scanner.next_member(&mut object, &BID)? {
        let value = Some(scanner.value()?);
        match key.path {
            "seatbid.bid.id" => bid.id = value,
            "seatbid.bid.impid" => bid.impid = value,
            _ => bid.price = value,
        }
    }
    Ok(bid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_finds_its_names_and_no_others() {
        let tables: [&Table; 3] = [&ROOT, &SEAT, &BID];
        tables.into_iter().for_each(Table::assert_finds_its_own);
    }
}
