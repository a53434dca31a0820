//! What a merge must come to, told by another JSON reader and another reading of the rules: for the property tests here
//! and for the fuzz target, which includes this file.
//!
//! It knows nothing of spans or of the scanner: trees of raw values in, acceptance decided on them, and the merged body
//! taken apart again.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A request and the replies to it.
pub(crate) struct Case<'a> {
    /// The request's `id`, with its quotes.
    pub id_raw: &'a str,
    /// The ids of its imps.
    pub imps: &'a [&'a str],
    /// The first of its `cur`.
    pub cur: Option<&'a str>,
    /// Bodies, in the order their seatbids are to have.
    pub replies: &'a [&'a [u8]],
    /// Seatbids and bids that one of them may have.
    pub max_bids: usize,
}

/// What a reply is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Bids taken, and bids refused with what is no seatbid.
    Bid(usize, usize),
    /// Readable, without bids.
    NoBid,
    /// Of no use.
    Invalid,
    /// More than it may have.
    TooMany,
}

/// What must come out.
pub(crate) struct Expected {
    /// One per reply.
    pub verdicts: Vec<Verdict>,
    id_raw: String,
    bidding: Vec<Bidding>,
}

/// A reply with bids that are taken.
struct Bidding {
    bidid: Option<String>,
    customdata: Option<String>,
    seats: Vec<Seat>,
}

/// A seatbid as it must stand in the answer.
struct Seat {
    /// As it came.
    text: String,
    /// The bids taken, as they came; `None` when that is all of them, so that the seatbid stays as it is.
    kept: Option<Vec<String>>,
}

/// The deepest nesting that is read.
const DEEPEST: usize = 128;

/// What must come of a case.
pub(crate) fn expected(case: &Case<'_>) -> Expected {
    let mut bidding = Vec::new();
    let mut verdicts = Vec::new();
    for body in case.replies {
        let (verdict, taken) = reply(case, body).unwrap_or((Verdict::Invalid, None));
        verdicts.push(verdict);
        bidding.extend(taken);
    }
    Expected { verdicts, id_raw: case.id_raw.to_owned(), bidding }
}

impl Expected {
    /// Panics unless `body` is what must come out.
    pub(crate) fn holds(&self, body: Option<&[u8]>) {
        let Some(body) = body else { return assert!(self.bidding.is_empty(), "bids were lost") };
        assert!(!self.bidding.is_empty(), "an answer out of nothing");
        let root = Members::of(std::str::from_utf8(body).expect("UTF-8")).expect("the answer is an object");
        assert_eq!(root.text("id"), Some(self.id_raw.as_str()));
        let bidids: Vec<_> = self.bidding.iter().map(|reply| reply.bidid.as_deref()).collect();
        assert_eq!(root.text("bidid"), if let [only] = bidids[..] { only } else { None }, "bidid");
        let data: Vec<_> = self.bidding.iter().filter_map(|reply| reply.customdata.as_deref()).collect();
        assert_eq!(root.text("customdata"), if let [only] = data[..] { Some(only) } else { None });
        assert!(root.text("nbr").is_none() && root.text("ext").is_none());
        let seats = list(root.text("seatbid").expect("seatbid")).expect("a list");
        let wanted: Vec<&Seat> = self.bidding.iter().flat_map(|reply| &reply.seats).collect();
        assert_eq!(seats.len(), wanted.len(), "seatbids");
        for (seat, wanted) in seats.iter().zip(wanted) {
            wanted.holds(seat.get());
        }
    }
}

impl Seat {
    fn holds(&self, text: &str) {
        let Some(kept) = &self.kept else { return assert_eq!(text, self.text, "a seatbid was changed") };
        let (was, is) = (Members::of(&self.text).expect("object"), Members::of(text).expect("object"));
        assert_eq!(was.0.len(), is.0.len());
        for ((name, was), (same, is)) in was.0.iter().zip(&is.0) {
            assert_eq!(name, same);
            if name == b"bid" {
                let bids = list(is.get()).expect("a list");
                assert!(bids.iter().map(|bid| bid.get()).eq(kept.iter().map(String::as_str)), "{text}");
            } else {
                assert_eq!(was.get(), is.get());
            }
        }
    }
}

/// `None`: not a response.
fn reply(case: &Case<'_>, body: &[u8]) -> Option<(Verdict, Option<Bidding>)> {
    let body = std::str::from_utf8(body).ok().filter(|text| depth(text) <= DEEPEST)?;
    // A key read as bytes may hold anything; the grammar is checked on the whole.
    serde_json::from_str::<&RawValue>(body).ok()?;
    let root = Members::of(body)?;
    root.once(&["id", "seatbid", "cur", "bidid", "customdata", "nbr"])?;
    let elements = root.list_or_none("seatbid")?;
    let seats: Vec<_> = elements.iter().filter_map(|text| Some((text, seatbid(text.get())?))).collect();
    let bids = seats.iter().map(|(_, (_, bids))| bids.len()).sum::<usize>();
    if elements.len() + bids > case.max_bids {
        return Some((Verdict::TooMany, None));
    }
    let all = bids + elements.len() - seats.len();
    if all == 0 {
        return Some((Verdict::NoBid, None));
    }
    if root.said("id").is_some_and(|id| string(id).is_none() || string(id) != string(case.id_raw)) {
        return None;
    }
    let target = case.cur.filter(|cur| !cur.is_empty()).unwrap_or("USD");
    let cur = root.said("cur").map_or(Some(String::new()), string)?;
    let cur = if cur.is_empty() { "USD" } else { &cur };
    if !cur.eq_ignore_ascii_case(target) {
        return None;
    }
    let mut seen = HashSet::new();
    let mut kept = Vec::new();
    let mut taken = 0;
    for (text, (seat, bids)) in &seats {
        let good = seat_bids(case, seat, bids, &mut seen);
        taken += good.len();
        if !good.is_empty() {
            let kept_bids = (good.len() < bids.len()).then_some(good);
            kept.push(Seat { text: text.get().to_owned(), kept: kept_bids });
        }
    }
    if taken == 0 {
        return None;
    }
    let quoted = |name| root.text(name).filter(|text| text.starts_with('"')).map(str::to_owned);
    let bidding = Bidding { bidid: quoted("bidid"), customdata: quoted("customdata"), seats: kept };
    Some((Verdict::Bid(taken, all - taken), Some(bidding)))
}

/// An element of `seatbid` and its bids; `None` if it is none, or leaves open which bids are its own.
fn seatbid(text: &str) -> Option<(Members, Vec<Box<RawValue>>)> {
    let seat = Members::of(text)?;
    seat.once(&["bid", "group"])?;
    let bids = seat.list_or_none("bid")?;
    Some((seat, bids))
}

/// The bids of a seat that are taken, as they came.
fn seat_bids(
    case: &Case<'_>,
    seat: &Members,
    bids: &[Box<RawValue>],
    seen: &mut HashSet<(String, String)>,
) -> Vec<String> {
    let mut here = seen.clone();
    let mut good = Vec::new();
    for bid in bids {
        let key = Members::of(bid.get()).and_then(|bid| offer(case, &bid));
        if key.is_some_and(|key| here.insert(key)) {
            good.push(bid.get().to_owned());
        }
    }
    let group = seat.text("group").and_then(|group| group.parse::<f64>().ok());
    if group.is_some_and(|group| (group - 1.0).abs() < f64::EPSILON) && good.len() < bids.len() {
        return Vec::new();
    }
    *seen = here;
    good
}

/// Id and impid of a bid that may be taken.
fn offer(case: &Case<'_>, bid: &Members) -> Option<(String, String)> {
    bid.once(&["id", "impid", "price"])?;
    let price: f64 = bid.text("price").filter(|text| !text.starts_with(['"', 'n']))?.parse().ok()?;
    let (id, impid) = (string_or_spelling(bid.text("id")?)?, string_or_spelling(bid.text("impid")?)?);
    let fits = price.is_finite() && price >= 0.0 && !id.is_empty() && case.imps.contains(&impid.as_str());
    fits.then_some((id, impid))
}

fn string(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

/// A string with half a surrogate pair has no value; it is told apart by how it is written.
fn string_or_spelling(raw: &str) -> Option<String> {
    raw.starts_with('"').then(|| string(raw).unwrap_or_else(|| raw.to_owned()))
}

fn list(raw: &str) -> Option<Vec<Box<RawValue>>> {
    serde_json::from_str(raw).ok().filter(|_| raw.starts_with('['))
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The members of an object in their order, those that stand twice included.
struct Members(Vec<(Vec<u8>, Box<RawValue>)>);

impl Members {
    fn of(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name.as_bytes()).map(|(_, value)| value.get())
    }

    fn said(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| *text != "null")
    }

    fn once(&self, names: &[&str]) -> Option<()> {
        let times = |name: &&str| self.0.iter().filter(|(key, _)| key == name.as_bytes()).count();
        names.iter().all(|name| times(name) < 2).then_some(())
    }

    fn list_or_none(&self, name: &str) -> Option<Vec<Box<RawValue>>> {
        self.said(name).map_or(Some(Vec::new()), list)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Collect)
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

/// A key as bytes: half a surrogate pair is no string.
struct Name(Vec<u8>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Name, E> {
                Ok(Name(bytes.to_vec()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name, E> {
                Ok(Name(text.as_bytes().to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}
