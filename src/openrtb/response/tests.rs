//! The merge rules, one by one.

use super::*;

const REQUEST_ID: &[u8] = br#""r1""#;

fn imps() -> [Cow<'static, str>; 2] {
    [Cow::Borrowed("1"), Cow::Borrowed("2")]
}

fn merged(cur: Option<&str>, bodies: &[&str]) -> Merged {
    let context = MergeContext { id_raw: REQUEST_ID, imp_ids: &imps(), cur };
    let replies: Vec<_> = bodies.iter().map(|body| body.as_bytes()).collect();
    merge(&context, &replies)
}

fn text(merged: &Merged) -> &str {
    std::str::from_utf8(merged.body.as_deref().unwrap()).unwrap()
}

fn bid(bids: usize, dropped: usize) -> ReplyVerdict {
    ReplyVerdict::Bid { bids, dropped, typed_error: false }
}

#[test]
fn seatbids_are_copied_byte_for_byte_in_the_given_order() {
    let a = r#"{ "seat" : "s1", "bid":[ {"id":"b","impid":"1","price":1.20,"ext":{"n":12345678901234567890123}} ] }"#;
    let b = r#"{"bid":[{"id":"b","impid":"1","price":0.0,"mtype":1},{"id":"c","impid":"2","price":3e0}],"seat":"s1"}"#;
    let first = format!(r#"{{"id":"r1","seatbid":[ {a} ]}}"#);
    let second = format!(r#"{{"seatbid":[{b}],"id":"r1","ext":{{"x":1}}}}"#);
    let both = merged(None, &[&first, &second]);
    assert_eq!(text(&both), format!(r#"{{"id":"r1","seatbid":[{a},{b}]}}"#));
    assert_eq!(both.verdicts, [bid(1, 0), bid(2, 0)]);
    let turned = merged(None, &[&second, &first]);
    assert_eq!(text(&turned), format!(r#"{{"id":"r1","seatbid":[{b},{a}]}}"#));
}

const SEAT: &str = r#"{"bid":[{"id":"b","impid":"1","price":1}]}"#;

fn reply(members: &str) -> String {
    format!(r#"{{{members}"seatbid":[{SEAT}]}}"#)
}

#[test]
fn another_id_is_invalid_and_a_missing_one_is_not() {
    let verdict = |members: &str| merged(None, &[&reply(members)]).verdicts[0];
    assert_eq!(verdict(r#""id":"r1","#), bid(1, 0));
    assert_eq!(verdict(r#""id":"\u00721","#), bid(1, 0));
    assert_eq!(verdict(r#""id":"r2","#), ReplyVerdict::Invalid("id"));
    assert_eq!(verdict(r#""id":1,"#), ReplyVerdict::Invalid("id"));
    for members in ["", r#""id":null,"#] {
        assert_eq!(verdict(members), ReplyVerdict::Bid { bids: 1, dropped: 0, typed_error: true });
    }
}

#[test]
fn one_currency_for_all() {
    for (cur, members, fits) in [
        (None, "", true),
        (None, r#""cur":"USD","#, true),
        (None, r#""cur":"EUR","#, false),
        (None, r#""cur":5,"#, false),
        (None, r#""cur":null,"#, true),
        (Some("EUR"), r#""cur":"EUR","#, true),
        (Some("EUR"), r#""cur":"USD","#, false),
        (Some("EUR"), "", false),
        (Some("USD"), "", true),
        (Some(""), "", true),
    ] {
        let verdict = merged(cur, &[&reply(&format!(r#""id":"r1",{members}"#))]).verdicts[0];
        assert_eq!(matches!(verdict, ReplyVerdict::Bid { .. }), fits, "{cur:?} {members}");
        assert!(fits || verdict == ReplyVerdict::Invalid("cur"), "{verdict:?}");
    }
}

#[test]
fn the_currency_is_written_only_when_said_or_unusual() {
    let plain = reply(r#""id":"r1","#);
    let says = reply(r#""id":"r1","cur":"USD","#);
    let euro = reply(r#""id":"r1","cur":"EUR","#);
    assert_eq!(text(&merged(None, &[&plain])), format!(r#"{{"id":"r1","seatbid":[{SEAT}]}}"#));
    let out = merged(None, &[&plain, &says]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","cur":"USD","seatbid":[{SEAT},{SEAT}]}}"#));
    let out = merged(Some("EUR"), &[&euro, &says]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","cur":"EUR","seatbid":[{SEAT}]}}"#));
}

#[test]
fn unusable_bids_are_cut_out_and_the_rest_stays() {
    let good = r#"{"id":"a","impid":"2","price":0}"#;
    let body = format!(
        r#"{{"id":"r1","seatbid":[{{"bid":[{{"id":"x","impid":"9","price":1}} , {good},
        {{"id":"y","impid":"1","price":-1}}],"seat":"s"}},{{"bid":[{{"id":"z","impid":"3","price":1}}]}}]}}"#
    );
    let out = merged(None, &[&body]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{{"bid":[{good}],"seat":"s"}}]}}"#));
    assert_eq!(out.verdicts, [bid(1, 3)]);
}

#[test]
fn a_bid_needs_id_impid_and_a_finite_price() {
    for broken in [
        r#"{"impid":"1","price":1}"#,
        r#"{"id":"","impid":"1","price":1}"#,
        r#"{"id":"a","price":1}"#,
        r#"{"id":"a","impid":"1"}"#,
        r#"{"id":"a","impid":"1","price":null}"#,
        r#"{"id":"a","impid":"1","price":"1"}"#,
        r#"{"id":"a","impid":"1","price":-0.01}"#,
        r#"{"id":"a","impid":"1","price":1e999}"#,
        r#"{"id":7,"impid":"1","price":1}"#,
    ] {
        let good = r#"{"id":"g","impid":"1","price":2}"#;
        let alone = format!(r#"{{"id":"r1","seatbid":[{{"bid":[{broken}]}}]}}"#);
        assert_eq!(merged(None, &[&alone]).verdicts, [ReplyVerdict::Invalid("bids")], "{broken}");
        let with = format!(r#"{{"id":"r1","seatbid":[{{"bid":[{broken},{good}]}}]}}"#);
        let out = merged(None, &[&with]);
        assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{{"bid":[{good}]}}]}}"#), "{broken}");
    }
}

#[test]
fn what_only_fails_the_types_is_passed_on_and_noted() {
    let seat = r#"{"bid":[{"id":"b","impid":"1","price":1,"w":-1,"cat":"IAB1"}]}"#;
    let out = merged(None, &[&format!(r#"{{"id":"r1","seatbid":[{seat}]}}"#)]);
    assert_eq!(out.verdicts, [ReplyVerdict::Bid { bids: 1, dropped: 0, typed_error: true }]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{seat}]}}"#));
}

#[test]
fn of_duplicates_in_one_reply_the_first_counts() {
    let one = r#"{"id":"b","impid":"1","price":1}"#;
    let same = r#"{"id":"\u0062","impid":"1","price":9}"#;
    let other = r#"{"id":"b","impid":"2","price":2}"#;
    let body = format!(r#"{{"id":"r1","seatbid":[{{"bid":[{one},{same}]}},{{"bid":[{other},{same}]}}]}}"#);
    let out = merged(None, &[&body, &body]);
    let kept = format!(r#"{{"bid":[{one}]}},{{"bid":[{other}]}}"#);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{kept},{kept}]}}"#), "across replies both stay");
    assert_eq!(out.verdicts, [bid(2, 2), bid(2, 2)]);
}

#[test]
fn a_group_is_taken_whole_or_not_at_all() {
    let broken = r#"{"group":1,"bid":[{"id":"b","impid":"1","price":1},{"id":"c","impid":"9","price":1}]}"#;
    let whole = r#"{"group":1,"bid":[{"id":"b","impid":"1","price":1},{"id":"c","impid":"2","price":1}]}"#;
    let out = merged(None, &[&format!(r#"{{"id":"r1","seatbid":[{broken},{whole}]}}"#)]);
    assert_eq!(
        text(&out),
        format!(r#"{{"id":"r1","seatbid":[{whole}]}}"#),
        "the dropped group blocks no ids"
    );
    assert_eq!(out.verdicts, [bid(2, 2)]);
}

#[test]
fn bidid_and_customdata_only_when_they_are_unambiguous() {
    let rich = reply(r#""id":"r1","bidid":"x\u002f","customdata":"c","#);
    let plain = reply(r#""id":"r1","#);
    let nobid = r#"{"id":"r1","customdata":"n"}"#;
    let out = merged(None, &[&rich, nobid]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","bidid":"x\u002f","customdata":"c","seatbid":[{SEAT}]}}"#));
    let out = merged(None, &[&plain, &rich]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","customdata":"c","seatbid":[{SEAT},{SEAT}]}}"#));
    let out = merged(None, &[&rich, &rich]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{SEAT},{SEAT}]}}"#));
}

#[test]
fn no_bid_shapes() {
    for body in [
        "{}",
        r#"{"id":"r1"}"#,
        r#"{"id":"r1","seatbid":[]}"#,
        r#"{"id":"other","seatbid":null,"nbr":5}"#,
        r#"{"id":"r1","seatbid":[{"bid":[]},{}]}"#,
    ] {
        assert_eq!(merged(None, &[body]).verdicts, [ReplyVerdict::NoBid], "{body}");
        assert_eq!(has_bids(body.as_bytes()), Some(false));
    }
    for body in ["", "[]", "{", "{} x", r#"{"seatbid":{}}"#, r#"{"seatbid":[1]}"#, r#"{"id":"a","id":"b"}"#] {
        assert_eq!(merged(None, &[body]).verdicts, [ReplyVerdict::Invalid("json")], "{body}");
        assert_eq!(has_bids(body.as_bytes()), None);
    }
    assert_eq!(has_bids(reply("").as_bytes()), Some(true));
    assert!(merged(None, &[]).body.is_none());
}
