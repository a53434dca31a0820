//! What is read, what is refused, and what is tolerated.

use super::super::ScanReason;
use super::*;

fn parse(text: &str) -> Result<BidRequest, ScanError> {
    BidRequest::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
}

fn with(members: &str) -> BidRequest {
    parse(&format!(r#"{{"id":"r","imp":[{{}}],{members}}}"#)).unwrap_or_else(|e| panic!("{members}: {e}"))
}

fn refused(text: &str) -> (&'static str, ScanReason) {
    let error = parse(text).expect_err(text);
    (error.member, error.reason)
}

#[test]
fn what_makes_a_bid_request() {
    use ScanReason::{Duplicate, Empty, Missing, NotCount, TrailingData, UnexpectedEnd, WrongType};
    for (text, expected) in [
        ("", ("", UnexpectedEnd)),
        ("[]", ("", WrongType)),
        ("null", ("", WrongType)),
        ("{}", ("id", Missing)),
        (r#"{"id":"r"}"#, ("imp", Missing)),
        (r#"{"id":"r","imp":null}"#, ("imp", Missing)),
        (r#"{"imp":[{}]}"#, ("id", Missing)),
        (r#"{"id":null,"imp":[{}]}"#, ("id", Missing)),
        (r#"{"id":"","imp":[{}]}"#, ("id", Empty)),
        (r#"{"id":5,"imp":[{}]}"#, ("id", WrongType)),
        (r#"{"id":"r","imp":[]}"#, ("imp", Empty)),
        (r#"{"id":"r","imp":{}}"#, ("imp", WrongType)),
        (r#"{"id":"r","imp":[{},1]}"#, ("imp", WrongType)),
        (r#"{"id":"r","imp":[{}]} x"#, ("", TrailingData)),
        (r#"{"id":"r","imp":[{}],"tmax":-1}"#, ("tmax", NotCount)),
        (r#"{"id":"r","imp":[{}],"tmax":-0}"#, ("tmax", NotCount)),
        (r#"{"id":"r","imp":[{}],"tmax":5.0}"#, ("tmax", NotCount)),
        (r#"{"id":"r","imp":[{}],"tmax":1e2}"#, ("tmax", NotCount)),
        (r#"{"id":"r","imp":[{}],"tmax":"5"}"#, ("tmax", NotCount)),
        (r#"{"id":"r","imp":[{}],"tmax":true}"#, ("tmax", NotCount)),
        (r#"{"id":"r","imp":[{}],"id":"r"}"#, ("id", Duplicate)),
        (r#"{"id":"r","imp":[{"id":"1","id":"2"}]}"#, ("imp.id", Duplicate)),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
    assert_eq!(refused(r#"{"id":"r","imp":[{}],"user":{"ext":{"eids":[tru]}}}"#).0, "user.ext.eids");
}

#[test]
fn a_member_we_read_may_stand_only_once_wherever_it_is() {
    for (object, member) in [
        (r#""user":{},"us\u0065r":{}"#, "user"),
        (r#""user":null,"user":{}"#, "user"),
        (r#""regs":{},"regs":{}"#, "regs"),
        (r#""device":{},"device":{}"#, "device"),
        (r#""user":{"id":"a","id":"b"}"#, "user.id"),
        (r#""user":{"eids":[],"eids":[]}"#, "user.eids"),
        (r#""user":{"ext":{},"ext":{}}"#, "user.ext"),
        (r#""user":{"consent":"","consent":""}"#, "user.consent"),
        (r#""user":{"ext":{"eids":[],"e\u0069ds":[]}}"#, "user.ext.eids"),
        (r#""user":{"ext":{"uid2":1,"uid2":2}}"#, "user.ext.uid2"),
        (r#""user":{"ext":{"publisher_user_id":1,"publisher_user_id":2}}"#, "user.ext.publisher_user_id"),
        (r#""user":{"eids":[{"source":"a","source":"b"}]}"#, "eids.source"),
        (r#""regs":{"gdpr":0,"gdpr":1}"#, "regs.gdpr"),
        (r#""regs":{"ext":{"gdpr":0,"gdpr":1}}"#, "regs.ext.gdpr"),
        (r#""regs":{"ext":{},"ext":{}}"#, "regs.ext"),
        (r#""device":{"geo":{"country":"USA","country":"DEU"}}"#, "device.geo.country"),
        (r#""tmax":1,"tmax":2"#, "tmax"),
    ] {
        let text = format!(r#"{{"id":"r","imp":[{{}}],{object}}}"#);
        assert_eq!(refused(&text), (member, ScanReason::Duplicate), "{object}");
    }
    with(r#""x":1,"x":2,"user":{"x":1,"x":2},"site":{"page":1,"page":2}"#);
}

#[test]
fn strings_are_decoded_when_asked_for() {
    let request = parse(
        r#"{"id":"r\/\u00e9","imp":[{"id":"1"},{"x":{"id":"no"}},{"id":2},{"\u0069d":"\u0033"}],"tmax":250,
        "cur":[null,"EUR","USD"],"test":1,"site":{"domain":"news.example","publisher":{"id":"8953"}},
        "user":{"id":"u","ext":{"publisher_user_id":"p","uid2":{"a":1}}}}"#,
    )
    .unwrap();
    assert_eq!(request.id(), "r/é");
    assert_eq!(request.id_raw(), br#""r\/\u00e9""#);
    assert_eq!(request.imp_ids(), ["1", "3"]);
    assert_eq!(request.tmax(), Some(250));
    assert_eq!(request.first_cur().unwrap(), "EUR");
    assert!(request.test());
    assert_eq!(request.publisher_id().unwrap(), "8953");
    assert_eq!(request.site_domain().unwrap(), "news.example");
    assert_eq!(request.app_bundle(), None);
    assert_eq!(request.user_id().unwrap(), "u");
    assert_eq!(request.publisher_user_id().unwrap(), "p");
    let numbered =
        parse(r#"{"id":"r","imp":[{}],"user":{"id": 123 ,"ext":{"publisher_user_id":-1.50e3}}}"#).unwrap();
    assert_eq!(numbered.user_id().unwrap(), "123");
    assert_eq!(numbered.publisher_user_id().unwrap(), "-1.50e3", "as it is written");
    assert_eq!(request.found.layout.ext_uid2.unwrap().value.of(request.body()), br#"{"a":1}"#);
    assert!(!request.signals().is_app);
}

#[test]
fn the_publisher_is_that_of_site_app_or_dooh() {
    let publisher = |members: &str| with(members).publisher_id().map(Cow::into_owned);
    assert_eq!(publisher(r#""app":{"bundle":"b","publisher":{"id":"a"}}"#).unwrap(), "a");
    assert_eq!(publisher(r#""dooh":{"publisher":{"name":"n","id":"d"}}"#).unwrap(), "d");
    assert_eq!(publisher(r#""dooh":null,"site":{"publisher":{"id":"s"}}"#).unwrap(), "s");
    assert_eq!(publisher(r#""site":{"publisher":{"id":5}}"#), None);
    assert_eq!(publisher(r#""site":7,"app":null"#), None);
    assert_eq!(with(r#""app":{"bundle":"b"}"#).app_bundle().unwrap(), "b");
}

#[test]
fn at_most_one_of_site_app_and_dooh() {
    for (members, expected) in [
        (r#""site":{},"app":{}"#, "app"),
        (r#""app":{},"site":{}"#, "site"),
        (r#""dooh":{},"x":1,"site":{"page":"p"}"#, "site"),
        (r#""site":{},"dooh":{},"app":{}"#, "dooh"),
        (r#""site":7,"app":{}"#, "app"),
    ] {
        let text = format!(r#"{{"id":"r","imp":[{{}}],{members}}}"#);
        let error = parse(&text).expect_err(members);
        assert_eq!((error.member, error.reason), (expected, ScanReason::Conflict), "{members}");
        assert_eq!(error.offset, text.find(&format!("\"{expected}\"")).unwrap(), "{members}");
    }
    for members in [r#""site":{},"app":null,"dooh":null"#, r#""site":null,"app":null"#, r#""dooh":{}"#] {
        with(members);
    }
}

#[test]
fn no_two_imps_have_the_same_id() {
    let request = |ids: &[&str]| {
        let imps: Vec<String> = ids.iter().map(|id| format!(r#"{{"x":1,"id":{id}}}"#)).collect();
        format!(r#"{{"id":"r","imp":[{}]}}"#, imps.join(","))
    };
    for ids in [
        &[r#""1""#, r#""1""#][..],
        &[r#""1""#, r#""2""#, r#""\u0031""#],
        &[r#""\/""#, r#""\u002f""#],
        &[r#""""#, r#""""#],
    ] {
        let text = request(ids);
        let error = parse(&text).expect_err(&text);
        assert_eq!((error.member, error.reason), ("imp.id", ScanReason::NotUnique), "{text}");
        assert_eq!(error.offset, text.rfind(ids[ids.len() - 1]).unwrap(), "{text}");
    }
    let kept = |ids: &[&str]| parse(&request(ids)).unwrap().imp_ids().len();
    assert_eq!(kept(&[r#""1""#, r#""10""#, "1", "1", "null"]), 2, "only strings are compared");
    for count in [2, 7, 8, 9, 10, 300] {
        let mut ids: Vec<String> = (0..count).map(|i| format!("\"{i}\"")).collect();
        assert_eq!(kept(&ids.iter().map(String::as_str).collect::<Vec<_>>()), count);
        for (at, twin) in [(count - 1, 0), (count / 2, 0)] {
            let before = std::mem::replace(&mut ids[at], format!("\"\\u003{twin}\""));
            let text = request(&ids.iter().map(String::as_str).collect::<Vec<_>>());
            let error = parse(&text).expect_err(&text);
            assert_eq!((error.reason, error.offset), (ScanReason::NotUnique, text.find(&ids[at]).unwrap()));
            ids[at] = before;
        }
    }
}

#[test]
fn very_many_imps_cost_no_more_than_their_bytes() {
    let imps: Vec<String> = (0..200_000).map(|i| format!(r#"{{"id":"{i}"}}"#)).collect();
    let request = parse(&format!(r#"{{"id":"r","imp":[{}]}}"#, imps.join(","))).unwrap();
    assert_eq!(request.imp_ids().len(), 200_000);
}

#[test]
fn a_wrong_type_is_noted_and_not_refused() {
    for (members, expected) in [
        (r#""user":[]"#, Some("user")),
        (r#""user":{"ext":1}"#, Some("user.ext")),
        (r#""user":{"eids":{}}"#, Some("user.eids")),
        (r#""user":{"ext":{"eids":"x"}}"#, Some("user.ext.eids")),
        (r#""regs":true"#, Some("regs")),
        (r#""regs":{"ext":[]}"#, Some("regs.ext")),
        (r#""device":"""#, Some("device")),
        (r#""user":null,"regs":null,"device":null"#, None),
        (r#""user":{"ext":null,"eids":null},"regs":{"ext":null}"#, None),
        (r#""site":5,"cur":"USD","test":[]"#, None),
    ] {
        assert_eq!(with(members).wrong_type(), expected, "{members}");
    }
}

#[test]
fn no_more_eids_are_kept_than_allowed() {
    let kept = |members: &str, max_eids| {
        let body = format!(r#"{{"id":"r","imp":[{{}}],{members}}}"#);
        let request = BidRequest::parse(body.into(), &Limits { max_eids, ..Limits::default() }).unwrap();
        let eids = request.eids();
        let counts = crate::openrtb::Place::ALL.map(|place| eids.of(place).count());
        (counts, request.wrong_type(), eids.any(), eids.has_source("absent.example"))
    };
    let three = r#""user":{"eids":[{"source":"a"},1],"ext":{"eids":[{"source":"b"}]}}"#;
    assert_eq!(kept(three, 3), ([2, 1], None, true, false), "at the limit");
    assert_eq!(kept(three, 2), ([2, 0], Some("user.ext.eids"), true, true), "one past it");
    assert_eq!(kept(three, 1), ([1, 0], Some("user.eids"), true, true));
    assert_eq!(kept(three, 0), ([0, 0], Some("user.eids"), true, true));
    let turned = r#""user":{"ext":{"eids":[1,2]},"eids":[3]}"#;
    assert_eq!(kept(turned, 2), ([0, 2], Some("user.eids"), true, true));
    assert_eq!(kept(r#""user":{"eids":[],"ext":{"eids":[]}}"#, 0), ([0, 0], None, false, false));
    assert_eq!(kept(&format!(r#""user":{{"eids":[{}0]}}"#, "0,".repeat(256)), 256).0, [256, 0]);
}

#[test]
fn what_is_past_the_limit_is_checked_all_the_same() {
    for (broken, reason) in
        [(r#"{"a":01}"#, ScanReason::Number), (r#"{"source":"a","source":"b"}"#, ScanReason::Duplicate)]
    {
        for max_eids in [1, 2] {
            let body = format!(r#"{{"id":"r","imp":[{{}}],"user":{{"eids":[1,{broken}]}}}}"#);
            let limits = Limits { max_eids, ..Limits::default() };
            assert_eq!(BidRequest::parse(body.into(), &limits).unwrap_err().reason, reason);
        }
    }
}

#[test]
fn signals_are_read_in_every_place() {
    let request = with(
        r#""regs":{"coppa":0,"gdpr":0,"us_privacy":"1YNN","gpp":"A","gpp_sid":[2,7],
            "ext":{"gdpr":1,"us_privacy":"1---","gpp":"B","gpp_sid":["6"],"gpc":"1","coppa":1}},
        "user":{"consent":"C1","ext":{"consent":"C2"},"geo":{"country":"DEU"}},
        "device":{"lmt":1,"dnt":true,"os":"IOS","geo":{"country":"USA"},"ext":{"atts":2}},"app":{}"#,
    );
    let signals = request.signals();
    assert!(signals.coppa && signals.gpc && signals.lmt && signals.dnt && signals.ios && signals.is_app);
    assert!(!signals.malformed);
    assert_eq!(signals.gdpr, [Some(false), Some(true)]);
    assert_eq!(signals.gpp_sid.each_ref().map(|ids| ids.to_vec()), [vec![2, 7], vec![6]]);
    assert_eq!(signals.atts, Some(2));
    let pair = |[a, b]: [Option<Cow<'_, str>>; 2]| format!("{} {}", a.unwrap(), b.unwrap());
    assert_eq!(pair(request.consents()), "C1 C2");
    assert_eq!(pair(request.us_privacies()), "1YNN 1---");
    assert_eq!(pair(request.gpps()), "A B");
    assert_eq!(pair(request.countries()), "USA DEU");
}

#[test]
fn section_ids_are_kept_once_and_up_to_a_limit() {
    let read = |ids: &str| {
        let request = with(&format!(r#""regs":{{"gpp_sid":[{ids}]}}"#));
        let signals = request.signals();
        (signals.gpp_sid[0].to_vec(), signals.malformed)
    };
    assert_eq!(read(r#"7,"7","\u0037",8,7"#), (vec![7, 8], false));
    assert_eq!(read(&("5,".repeat(100_000) + "5")), (vec![5], false));
    let many = |count: i32| (1..=count).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    let limit: Vec<i32> = (1..=64).collect();
    assert_eq!(read(&(many(64) + "," + &many(64))), (limit.clone(), false), "at the limit");
    assert_eq!(read(&many(65)), (limit, true), "one past it");
}

#[test]
fn nothing_said_is_nothing_read() {
    let request =
        with(r#""regs":{"gdpr":null,"gpp_sid":null,"gpp":null},"device":{"geo":null,"ext":null,"lmt":null}"#);
    let signals = request.signals();
    assert!(!signals.malformed && !signals.coppa && !signals.lmt);
    assert_eq!(signals.gdpr, [None, None]);
    assert_eq!(request.countries(), [None, None]);
}

#[test]
fn flags_are_tolerated_in_the_forms_found_in_the_wild() {
    for (value, expected) in [
        ("1", Some(true)),
        ("true", Some(true)),
        (r#""1""#, Some(true)),
        (r#""\u0031""#, Some(true)),
        (r#""true""#, Some(true)),
        (r#""t\u0072ue""#, Some(true)),
        ("1.0", Some(true)),
        ("10e-1", Some(true)),
        ("0", Some(false)),
        ("false", Some(false)),
        (r#""0""#, Some(false)),
        (r#""\u0030""#, Some(false)),
        (r#""false""#, Some(false)),
        ("-0.0", Some(false)),
        ("null", None),
    ] {
        let request =
            with(&format!(r#""regs":{{"gdpr":{value},"coppa":{value}}},"device":{{"lmt":{value}}}"#));
        let signals = request.signals();
        assert_eq!(signals.gdpr[0], expected, "{value}");
        assert_eq!(signals.coppa, expected == Some(true), "{value}");
        assert_eq!(signals.lmt, expected == Some(true), "{value}");
        assert!(!signals.malformed, "{value}");
    }
}

#[test]
fn a_signal_of_an_unusable_type_is_malformed() {
    for members in [
        r#""regs":{"gdpr":"yes"}"#,
        r#""regs":{"gdpr":2}"#,
        r#""regs":{"gdpr":"TRUE"}"#,
        r#""regs":{"gdpr":"\u0032"}"#,
        r#""regs":{"gdpr":"1.0"}"#,
        r#""regs":{"ext":{"gdpr":[]}}"#,
        r#""regs":{"coppa":"yes"}"#,
        r#""regs":{"us_privacy":1}"#,
        r#""regs":{"gpp":{}}"#,
        r#""regs":{"gpp_sid":7}"#,
        r#""regs":{"gpp_sid":[1.5]}"#,
        r#""regs":{"gpp_sid":[null]}"#,
        r#""regs":{"ext":{"gpc":"on"}}"#,
        r#""user":{"consent":5}"#,
        r#""user":{"ext":{"consent":[]}}"#,
        r#""user":{"geo":{"country":1}}"#,
        r#""device":{"lmt":{}}"#,
        r#""device":{"lmt":[1]}"#,
        r#""device":{"geo":"USA"}"#,
        r#""device":{"ext":1}"#,
        r#""device":{"ext":{"atts":256}}"#,
    ] {
        assert!(with(members).signals().malformed, "{members}");
    }
}

#[test]
fn tmax_of_any_size_is_an_integer() {
    assert_eq!(with(r#""tmax":0"#).tmax(), Some(0));
    assert_eq!(with(r#""tmax":null"#).tmax(), None);
    assert_eq!(with(r#""tmax":18446744073709551615"#).tmax(), Some(u64::MAX));
    assert_eq!(with(r#""tmax":99999999999999999999999"#).tmax(), Some(u64::MAX));
}

#[test]
fn depth_counts_from_the_root_whatever_the_member() {
    let at = |depth: usize, path: &str| {
        let open = path.matches(['{', '[']).count();
        let nested = format!("{}{}", "[".repeat(depth - open), "]".repeat(depth - open));
        let close: String =
            path.chars().rev().filter_map(|c| "{[".find(c).and_then(|i| "}]".chars().nth(i))).collect();
        parse(&format!("{path}{nested}{close}").replacen('{', r#"{"id":"r","imp":[{}],"#, 1))
    };
    for path in [r#"{"x":"#, r#"{"user":{"ext":{"eids":["#, r#"{"device":{"x":"#] {
        assert!(at(64, path).is_ok(), "{path}");
        assert_eq!(at(65, path).unwrap_err().reason, ScanReason::TooDeep, "{path}");
    }
}
