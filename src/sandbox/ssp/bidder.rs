//! The answer an endpoint gives to a request it understood, built with the `openrtb` crate's response types.

use openrtb::current::{Bid, BidResponse, Imp, SeatBid};
use serde_json::Value;

use super::inspect::Seen;
use super::settings::Settings;
use crate::sandbox::random::Random;

/// "Unknown Error" … "Unmatched User": an ordinary reason not to bid (OpenRTB 2.6, list of no-bid reason codes).
const UNMATCHED_USER: u32 = 8;

/// How an answer is bent on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Twist {
    /// A bid that is right, whatever the bid rate.
    Straight,
    /// Another request's id.
    WrongId,
    /// A currency that was not asked for.
    WrongCurrency,
}

/// What a bidder says.
#[derive(PartialEq, Debug)]
pub(super) enum Offer {
    /// 200 with at least one bid.
    Bid(Vec<u8>),
    /// 200 without a bid.
    Nothing(Vec<u8>),
    /// 204.
    Silence,
}

/// Answers by the settings' bid rate; a no-bid is 204 in three of five cases, else 200 with an empty `seatbid` or
/// with `nbr`.
pub(super) fn offer(settings: &Settings, seen: &Seen, random: &mut Random) -> Offer {
    let rate = settings.bid_rate * worth(settings, seen);
    if random.chance(rate) && !seen.imps.is_empty() {
        return Offer::Bid(bid(settings, seen, Twist::Straight, random));
    }
    let mut response = BidResponse::new(seen.id.clone());
    match random.unit() {
        form if form < 0.6 => Offer::Silence,
        form if form < 0.8 => Offer::Nothing(with_empty_seatbid(&response)),
        _ => {
            response.no_bidding_reason = Some(UNMATCHED_USER);
            Offer::Nothing(encode(&response))
        }
    }
}

/// A response with one bid per impression, bent by `twist`.
pub(super) fn bid(settings: &Settings, seen: &Seen, twist: Twist, random: &mut Random) -> Vec<u8> {
    let number = random.bits();
    let bids = seen.imps.iter().enumerate().map(|(i, imp)| {
        let price = price(settings, seen, imp, random);
        bid_on(imp, format!("{}-{number:016x}-{i}", settings.seat), price)
    });
    let mut seat_bid = SeatBid::new();
    seat_bid.bid = bids.collect();
    seat_bid.seat = Some(settings.seat.clone());
    let mut response = BidResponse::new(seen.id.clone());
    response.bid_id = Some(format!("{number:016x}"));
    response.currency = Some(seen.currency.clone());
    response.seat_bid = vec![seat_bid];
    match twist {
        Twist::Straight => {}
        Twist::WrongId => response.id.push_str("-of-another-request"),
        Twist::WrongCurrency => {
            let other = if seen.currency == "JPY" { "CHF" } else { "JPY" };
            response.currency = Some(other.to_owned());
        }
    }
    encode(&response)
}

/// How many times an ordinary user this one is worth.
fn worth(settings: &Settings, seen: &Seen) -> f64 {
    if seen.tokens.is_empty() { 1.0 } else { 1.0 + settings.uplift }
}

/// A draw from the price distribution, at least the floor, rounded up to a ten-thousandth.
fn price(settings: &Settings, seen: &Seen, imp: &Imp, random: &mut Random) -> f64 {
    const DEAREST: f64 = 1_000_000.0;
    let drawn =
        settings.price.median * (settings.price.spread * random.normal()).exp() * worth(settings, seen);
    let floor = imp.bid_floor.map_or(0.0, f64::from);
    let price = if floor.is_finite() { drawn.max(floor) } else { drawn };
    (price.clamp(0.0, DEAREST) * 10_000.0).ceil() / 10_000.0
}

fn bid_on(imp: &Imp, id: String, price: f64) -> Bid {
    let mut bid = Bid::new(id, imp.id.clone(), price);
    let (w, h) = size(imp);
    (bid.w, bid.h) = (w.map(u64::from), h.map(u64::from));
    bid.adm = Some(markup(imp, w.unwrap_or(1), h.unwrap_or(1)));
    bid.nurl = Some("https://ssp.example/win?p=${AUCTION_PRICE}&i=${AUCTION_IMP_ID}".to_owned());
    bid.adomain = vec!["advertiser.example".to_owned()];
    bid.cid = Some("campaign-1".to_owned());
    bid.cr_id = Some("creative-1".to_owned());
    bid
}

fn size(imp: &Imp) -> (Option<u32>, Option<u32>) {
    if let Some(banner) = &imp.banner {
        let format = banner.format.first();
        return (banner.w.or(format.and_then(|f| f.w)), banner.h.or(format.and_then(|f| f.h)));
    }
    imp.video.as_ref().map_or((None, None), |video| (video.w, video.h))
}

fn markup(imp: &Imp, w: u32, h: u32) -> String {
    if imp.banner.is_some() {
        format!(
            r#"<a href="https://advertiser.example"><img src="https://cdn.example/ad.png" width="{w}" height="{h}"></a>"#
        )
    } else if imp.native.is_some() {
        let url = "https://advertiser.example";
        format!(
            r#"{{"native":{{"ver":"1.2","assets":[{{"id":1,"title":{{"text":"Ad"}}}}],"link":{{"url":"{url}"}}}}}}"#
        )
    } else {
        let system = "<AdSystem>sandbox</AdSystem><AdTitle>Ad</AdTitle>";
        format!(r#"<VAST version="3.0"><Ad id="1"><InLine>{system}<Creatives/></InLine></Ad></VAST>"#)
    }
}

fn encode(response: &BidResponse) -> Vec<u8> {
    serde_json::to_vec(response).expect("the response types hold text keys and finite numbers only")
}

/// The type leaves an empty `seatbid` out; bidders that send one must be understood too.
fn with_empty_seatbid(response: &BidResponse) -> Vec<u8> {
    let mut value =
        serde_json::to_value(response).expect("the response types hold text keys and finite numbers only");
    value["seatbid"] = Value::Array(Vec::new());
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::inspect::inspect;
    use super::super::settings::Price;
    use super::*;

    const REQUEST: &str = r#"{"id":"r-1","cur":["EUR"],"imp":[{"id":"b","banner":{"format":[{"w":320,"h":50}]},"bidfloor":3.21},
        {"id":"v","video":{"mimes":["video/mp4"],"w":640,"h":360}},{"id":"n","native":{"request":"{}"}},{"id":"a","audio":{}}]}"#;

    fn response(body: &[u8]) -> BidResponse {
        serde_json::from_slice(body).unwrap()
    }

    fn offers(settings: &Settings, request: &str, count: u64) -> Vec<Offer> {
        let seen = inspect(request.as_bytes()).unwrap();
        (0..count).map(|n| offer(settings, &seen, &mut Random::stream(settings.seed, n))).collect()
    }

    fn bids(offers: &[Offer]) -> usize {
        offers.iter().filter(|o| matches!(o, Offer::Bid(_))).count()
    }

    #[test]
    fn a_bid_names_every_impression_and_honours_the_floor() {
        let settings =
            Settings { bid_rate: 1.0, price: Price { median: 1.0, spread: 0.0 }, ..Settings::default() };
        let offers = offers(&settings, REQUEST, 1);
        let [Offer::Bid(body)] = offers.as_slice() else { panic!("no bid") };
        let response = response(body);
        assert_eq!((response.id.as_str(), response.currency.as_deref()), ("r-1", Some("EUR")));
        let bids = &response.seat_bid[0].bid;
        let ids: Vec<&str> = bids.iter().map(|b| b.imp_id.as_str()).collect();
        assert_eq!(ids, ["b", "v", "n", "a"]);
        assert!((3.21..3.2102).contains(&bids[0].price), "{}", bids[0].price);
        assert_eq!((bids[0].w, bids[0].h), (Some(320), Some(50)));
        assert_eq!(bids[1].price.to_bits(), 1.0_f64.to_bits());
        assert!(bids[1].adm.as_ref().unwrap().starts_with("<VAST"));
        let native: Value = serde_json::from_str(bids[2].adm.as_ref().unwrap()).unwrap();
        assert_eq!(native["native"]["link"]["url"], "https://advertiser.example");
    }

    #[test]
    fn no_bids_come_in_three_forms() {
        let offers = offers(&Settings { bid_rate: 0.0, ..Settings::default() }, REQUEST, 500);
        let bodies: Vec<&str> = offers
            .iter()
            .filter_map(|o| if let Offer::Nothing(body) = o { std::str::from_utf8(body).ok() } else { None })
            .collect();
        let silent = offers.iter().filter(|o| **o == Offer::Silence).count();
        assert!((250..350).contains(&silent), "{silent}");
        assert!(bodies.contains(&r#"{"id":"r-1","seatbid":[]}"#));
        assert!(bodies.contains(&r#"{"id":"r-1","nbr":8}"#));
        assert_eq!(silent + bodies.len(), 500);
    }

    #[test]
    fn uplift_pays_only_for_users_with_a_token() {
        let known =
            REQUEST.replacen('{', r#"{"user":{"eids":[{"source":"uidapi.com","uids":[{"id":"A"}]}]},"#, 1);
        let plain = Settings { bid_rate: 0.4, ..Settings::default() };
        let keen = Settings { uplift: 0.5, ..plain.clone() };
        assert_eq!(offers(&plain, &known, 400), offers(&plain, REQUEST, 400));
        assert_eq!(offers(&keen, REQUEST, 400), offers(&plain, REQUEST, 400));
        let (with, without) = (bids(&offers(&keen, &known, 1_000)), bids(&offers(&keen, REQUEST, 1_000)));
        assert!((370..430).contains(&without) && (560..640).contains(&with), "{without} {with}");
    }

    #[test]
    fn the_same_seed_gives_the_same_answers() {
        let settings = Settings { seed: 9, ..Settings::default() };
        assert_eq!(offers(&settings, REQUEST, 50), offers(&settings, REQUEST, 50));
        assert_ne!(
            offers(&settings, REQUEST, 50),
            offers(&Settings { seed: 10, ..settings.clone() }, REQUEST, 50)
        );
    }

    #[test]
    fn twisted_bids_are_wrong_in_one_thing_only() {
        let seen = inspect(REQUEST.as_bytes()).unwrap();
        let bent = |twist| response(&bid(&Settings::default(), &seen, twist, &mut Random::new(1)));
        let straight = bent(Twist::Straight);
        assert_eq!(BidResponse { id: "r-1".into(), ..bent(Twist::WrongId) }, straight);
        assert_ne!(bent(Twist::WrongId).id, "r-1");
        assert_eq!(bent(Twist::WrongCurrency).currency.as_deref(), Some("JPY"));
        assert_eq!(bent(Twist::WrongCurrency).seat_bid, straight.seat_bid);
    }
}
