//! The merge rules, one by one.

use super::*;

const REQUEST_ID: &[u8] = br#""r1""#;

fn imps() -> [Cow<'static, str>; 2] {
    [Cow::Borrowed("1"), Cow::Borrowed("2")]
}

fn merged(cur: Option<&str>, bodies: &[&str]) -> Merged {
    capped(cur, bodies, usize::MAX)
}

fn capped(cur: Option<&str>, bodies: &[&str], max_bids: usize) -> Merged {
    let context = MergeContext { id_raw: REQUEST_ID, imp_ids: &imps(), cur };
    let replies: Vec<_> = bodies.iter().map(|body| Candidate { body: body.as_bytes(), max_bids }).collect();
    merge(&context, &replies)
}

fn text(merged: &Merged) -> &str {
    std::str::from_utf8(merged.body.as_deref().unwrap()).unwrap()
}

fn bid(bids: usize, dropped: usize) -> ReplyVerdict {
    ReplyVerdict::Bid { bids, dropped, id_missing: false, typed_error: false }
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
        assert_eq!(
            verdict(members),
            ReplyVerdict::Bid { bids: 1, dropped: 0, id_missing: true, typed_error: true }
        );
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
    assert_eq!(
        out.verdicts,
        [ReplyVerdict::Bid { bids: 1, dropped: 0, id_missing: false, typed_error: true }]
    );
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

fn glanced(body: &str) -> Option<Glance<'_>> {
    glance(body.as_bytes())
}

#[test]
fn no_bid_shapes() {
    for (body, nbr) in [
        ("{}", None),
        (r#"{"id":"r1"}"#, None),
        (r#"{"id":"r1","seatbid":[]}"#, None),
        (r#"{"id":"other","seatbid":null,"nbr":5}"#, Some(5)),
        (r#"{"nbr":"5"}"#, None),
        (r#"{"nbr":1e9}"#, None),
        (r#"{"nbr":-1}"#, Some(-1)),
        (r#"{"id":"r1","seatbid":[{"bid":[]},{},{"bid":null}]}"#, None),
    ] {
        assert_eq!(merged(None, &[body]).verdicts, [ReplyVerdict::NoBid { nbr }], "{body}");
        assert_eq!(glanced(body), Some(Glance { bids: 0, nbr, bidid: None }));
    }
    for body in ["", "[]", "{", "{} x", r#"{"seatbid":{}}"#, r#"{"seatbid":[1}"#, r#"{"id":"a","id":"b"}"#] {
        assert_eq!(merged(None, &[body]).verdicts, [ReplyVerdict::Invalid("json")], "{body}");
        assert_eq!(glanced(body), None);
    }
    let rich = reply(r#""nbr":2,"bidid":"x","#);
    assert_eq!(glanced(&rich), Some(Glance { bids: 1, nbr: Some(2), bidid: Some(br#""x""#) }));
    assert!(merged(None, &[]).body.is_none());
}

#[test]
fn a_reason_for_not_bidding_does_not_outlive_a_bid() {
    let out = merged(None, &[&reply(r#""id":"r1","nbr":2,"#), r#"{"nbr":3}"#]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{SEAT}]}}"#));
}

#[test]
fn a_bid_that_is_no_object_costs_only_itself() {
    let good = r#"{"id":"g","impid":"1","price":2}"#;
    for odd in ["5", "null", "[]", r#""x""#, r#"["a","1",1.0]"#, "{}"] {
        let out = merged(None, &[&format!(r#"{{"id":"r1","seatbid":[{{"bid":[{odd},{good}]}}]}}"#)]);
        assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{{"bid":[{good}]}}]}}"#), "{odd}");
    }
}

#[test]
fn a_bid_that_says_something_twice_costs_only_itself() {
    let good = r#"{"id":"g","impid":"1","price":2}"#;
    for odd in [
        r#"{"id":"b","impid":"1","price":1,"id":"b"}"#,
        r#"{"id":"b","impid":"1","impid":"2","price":1}"#,
        r#"{"price":1,"id":"b","impid":"1","pric\u0065":[{"x":1}]}"#,
    ] {
        let body = format!(r#"{{"id":"r1","seatbid":[{{"bid":[{odd} ,{good}]}}]}}"#);
        let out = merged(None, &[&body]);
        assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{{"bid":[{good}]}}]}}"#), "{odd}");
        let cut = body.replacen("\"bid\":[{", "\"bid\":[{nonsense", 1);
        assert_eq!(merged(None, &[&cut]).verdicts, [ReplyVerdict::Invalid("json")]);
    }
    // What we do not read may stand there twice: it is passed on.
    let twice = r#"{"id":"b","impid":"1","price":1,"w":1,"w":2}"#;
    let out = merged(None, &[&format!(r#"{{"id":"r1","seatbid":[{{"bid":[{twice}]}}]}}"#)]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{{"bid":[{twice}]}}]}}"#));
}

#[test]
fn a_seatbid_that_is_none_costs_only_itself() {
    for odd in [
        "null",
        "5",
        r#"[[{"id":"o","impid":"1","price":1}]]"#,
        r#"{"bid":{"id":"o","impid":"1","price":1}}"#,
        r#"{"bid":[{"id":"o","impid":"1","price":1}],"bid":[]}"#,
        r#"{"group":0,"bid":[{"id":"o","impid":"1","price":1}],"group":0}"#,
    ] {
        let (before, after) = (format!("{odd},{SEAT}"), format!("{SEAT} , {odd}"));
        for seats in [before, after] {
            let out = merged(None, &[&format!(r#"{{"id":"r1","seatbid":[{seats}]}}"#)]);
            assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{SEAT}]}}"#), "{odd}");
            let ReplyVerdict::Bid { bids: 1, dropped: 1, .. } = out.verdicts[0] else { panic!("{odd}") };
        }
        let alone = format!(r#"{{"id":"r1","seatbid":[{odd}]}}"#);
        assert_eq!(merged(None, &[&alone]).verdicts, [ReplyVerdict::Invalid("bids")], "{odd}");
        assert_eq!(glanced(&alone), None, "{odd}");
    }
}

#[test]
fn as_many_seatbids_and_bids_as_allowed_and_no_more() {
    let good = r#"{"id":"b","impid":"1","price":1}"#;
    let of = |seats: &[usize]| {
        let seat = |bids: &usize| format!(r#"{{"bid":[{}]}}"#, vec![good; *bids].join(","));
        let seats: Vec<_> = seats.iter().map(seat).collect();
        format!(r#"{{"id":"r1","seatbid":[{}]}}"#, seats.join(","))
    };
    for (seats, fits) in [
        (&[3][..], true),
        (&[4], false),
        (&[1, 1], true),
        (&[1, 2], false),
        (&[2, 0, 0], false),
        (&[1, 0, 0], true),
        (&[9, 1], false),
    ] {
        let out = capped(None, &[&of(seats), &reply("")], 4);
        let is_large = out.verdicts[0] == ReplyVerdict::TooLarge;
        assert_eq!((is_large, out.verdicts.len()), (!fits, 2), "{seats:?}");
        assert!(out.body.is_some(), "the other is not held to account for it");
        let bids = seats.iter().sum();
        assert_eq!(glanced(&of(seats)), Some(Glance { bids, nbr: None, bidid: None }), "counted in any case");
    }
    let odd = r#"{"id":"r1","seatbid":[1,null,{"bid":5},{"bid":[5]}]}"#;
    assert_eq!(capped(None, &[odd], 5).verdicts, [ReplyVerdict::Invalid("bids")]);
    assert_eq!(capped(None, &[odd], 4).verdicts, [ReplyVerdict::TooLarge]);
    let none = r#"{"id":"r1","seatbid":[]}"#;
    assert_eq!(capped(None, &[none], 0).verdicts, [ReplyVerdict::NoBid { nbr: None }]);
}

/// What is kept of a bid is small, and there are at most so many.
#[test]
fn a_bid_costs_little_memory() {
    assert!(size_of::<reply::RawBid>() <= 64, "{}", size_of::<reply::RawBid>());
    let tiny = format!(r#"{{"id":"r1","seatbid":[{{"bid":[{}]}}]}}"#, vec!["5"; 500_000].join(","));
    let kept = |most| Reply::read(tiny.as_bytes(), most).unwrap().seats.iter().map(|s| s.bids.len()).sum();
    assert_eq!((kept(1_000), kept(0)), (0_usize, 0_usize), "of too many none is kept");
    assert_eq!(kept(500_001), 500_000);
}

#[test]
fn a_long_response_is_judged_without_its_types() {
    let body = |fill: usize| {
        format!(
            r#"{{"id":"r1","seatbid":[{{"bid":[{{"id":"b","impid":"1","price":1,"w":-1}}],"x":"{}"}}]}}"#,
            "x".repeat(fill)
        )
    };
    let fill = judge::TYPED_UP_TO - body(0).len();
    let typed_error = |fill| match merged(None, &[&body(fill)]).verdicts[0] {
        ReplyVerdict::Bid { bids: 1, dropped: 0, typed_error, .. } => typed_error,
        verdict => panic!("{verdict:?}"),
    };
    assert_eq!((typed_error(fill), typed_error(fill + 1)), (true, false));
}

#[test]
fn a_group_is_one_however_its_number_is_written() {
    for (group, whole) in
        [("1", true), ("1.0", true), ("10e-1", true), ("0", false), ("2", false), ("\"1\"", false)]
    {
        let body = format!(
            r#"{{"id":"r1","seatbid":[{{"group":{group},"bid":[{{"id":"b","impid":"1","price":1}},{{}}]}}]}}"#
        );
        assert_eq!(merged(None, &[&body]).body.is_none(), whole, "{group}");
    }
}

#[test]
fn ids_with_half_a_surrogate_pair_are_not_all_the_same() {
    let bids = r#"{"id":"\ud800","impid":"1","price":1},{"id":"\ud801","impid":"1","price":1}"#;
    let out = merged(None, &[&format!(r#"{{"id":"r1","seatbid":[{{"bid":[{bids}]}}]}}"#)]);
    assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{{"bid":[{bids}]}}]}}"#));
}

#[test]
fn hostile_replies_are_refused_and_cost_nobody_else() {
    let good = reply(r#""id":"r1","#);
    let deep = format!(r#"{{"id":"r1","seatbid":[{SEAT}],"ext":{}{}}}"#, "[".repeat(128), "]".repeat(128));
    let hostile = [
        deep.as_str(),
        &"[".repeat(100_000),
        &format!("\u{feff}{good}"),
        r#"{"id":"r1","seatbid":[],"seatbid":[{"bid":[{"id":"b","impid":"1","price":1}]}]}"#,
        r#"{"id":"r1","\u0069d":"r1","seatbid":[{"bid":[{"id":"b","impid":"1","price":1}]}]}"#,
        r#"{"id":"r1","seatbid":[{"bid":[{"id":"b","impid":"1","price":NaN}]}]}"#,
        r#"{"id":"r1","seatbid":[{"bid":[{"id":"b","impid":"1","price":1}]}]}{}"#,
        r#"{"id":"r1","seatbid":[{"bid":[{"id":"b","impid":"1","price":01}]}]}"#,
    ];
    for body in hostile {
        let out = merged(None, &[body, &good]);
        assert_eq!(out.verdicts, [ReplyVerdict::Invalid("json"), bid(1, 0)], "{body:.80}");
        assert_eq!(text(&out), format!(r#"{{"id":"r1","seatbid":[{SEAT}]}}"#));
    }
    let not_utf8 = b"{\"id\":\"r1\",\"ext\":\"\xff\"}";
    assert!(glance(not_utf8).is_none());
}

#[test]
fn depth_is_read_up_to_the_scanners_limit() {
    let at = |depth: usize| {
        let ext = ["[".repeat(depth - 6), "]".repeat(depth - 6)].concat();
        let bid = format!(r#"{{"id":"b","impid":"1","price":1,"ext":{{"x":{ext}}}}}"#);
        let body = format!(r#"{{"id":"r1","seatbid":[{{"bid":[{bid}]}}]}}"#);
        (glanced(&body).is_some(), merged(None, &[&body]).body.is_some())
    };
    assert_eq!((at(70), at(128), at(129)), ((true, true), (true, true), (false, false)));
}

/// A quadratic rule would need minutes for these.
#[test]
fn a_mebibyte_of_anything_is_read_in_one_go() {
    const SIZE: usize = 1024 * 1024;
    let filled = |unit: &str| vec![unit; SIZE / (unit.len() + 1)].join(",");
    let bids = |list: &str| format!(r#"{{"id":"r1","seatbid":[{{"bid":[{list}]}}]}}"#);
    let same = r#"{"id":"b","impid":"1","price":1}"#;
    let numbered: Vec<_> =
        (0..SIZE / 40).map(|n| format!(r#"{{"id":"{n}","impid":"{}","price":1}}"#, n % 3)).collect();
    let gap = " ".repeat(SIZE / 2);
    for (body, bids) in [
        (bids(&filled("{}")), 0),
        (bids(&filled("5")), 0),
        (bids(&filled(same)), 1),
        (bids(&numbered.join(",")), (SIZE / 40) / 3 * 2),
        (bids(&format!("{{}}{gap},{gap}{same}")), 1),
        (format!(r#"{{"id":"r1","seatbid":[{}]}}"#, filled(r#"{"bid":[]}"#)), 0),
        (format!(r#"{{"id":"r1","seatbid":[{}]}}"#, filled(&format!(r#"{{"bid":[{same},5]}}"#))), 1),
    ] {
        let out = merged(None, &[&body]);
        let taken = if let ReplyVerdict::Bid { bids, .. } = out.verdicts[0] { bids } else { 0 };
        assert!(taken.abs_diff(bids) <= 1, "{taken} of {bids}");
        assert_eq!(out.body.is_some(), taken > 0);
    }
}
