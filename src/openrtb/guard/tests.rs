//! Each place and rule of the guard, as bytes in and bytes out.

use super::*;
use crate::openrtb::{Limits, corpus};

const HEX: &str = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";
const RAW: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const WATCH: Watch<'_> = Watch { dii: true, own: &[], tokens_of: &["uidapi.com", "euid.eu"] };

fn request(user: &str) -> BidRequest {
    let body = format!(r#"{{"id":"r","user":{user},"imp":[{{}}]}}"#);
    BidRequest::parse(body.into(), &Limits::default()).unwrap()
}

/// What follows `id` in the cleaned request, up to `imp`; and where things were found.
fn cleaned(user: &str, watch: &Watch<'_>) -> (String, Vec<&'static str>) {
    let request = request(user);
    let Some(found) = inspect(&request, watch) else { return (user.to_owned(), Vec::new()) };
    let cleaned = found.cleaned(&request).unwrap();
    let out = std::str::from_utf8(cleaned.body()).unwrap();
    let out = out.strip_prefix(r#"{"id":"r","#).unwrap().strip_suffix(r#""imp":[{}]}"#).unwrap();
    let user = out.strip_prefix(r#""user":"#).and_then(|user| user.strip_suffix(',')).unwrap_or(out);
    (user.to_owned(), found.hits().iter().map(|hit| hit.spot.as_str()).collect())
}

fn check(cases: &[(&str, &str, &[&str])]) {
    for (before, after, spots) in cases {
        let (before, after) = (before.replace("HEX", HEX).replace("RAW", RAW), after.replace("HEX", HEX));
        let (out, hits) = cleaned(&before, &WATCH);
        assert_eq!((out.as_str(), hits.as_slice()), (after.as_str(), *spots), "{before}");
    }
}

fn stays(users: &[&str]) {
    for user in users {
        check(&[(user, user, &[])]);
    }
}

#[test]
fn the_smallest_thing_goes() {
    check(&[
        (r#"{"id":"joe@example.com","yob":1}"#, r#"{"yob":1}"#, &["id"]),
        (r#"{"yob":1,"id":"joe\u0040example.com"}"#, r#"{"yob":1}"#, &["id"]),
        (r#"{"buyeruid":"+15551234567"}"#, "{}", &["buyeruid"]),
        (r#"{"customdata":"a=joe%40example.com"}"#, "{}", &["customdata"]),
        (
            r#"{"customdata":"{\"e\":\"joe@example.com\"}","gender":"M"}"#,
            r#"{"gender":"M"}"#,
            &["customdata"],
        ),
        (r#"{"customdata":"{\"email_hash\":\"HEX\"}"}"#, "{}", &["customdata"]),
        (r#"{"customdata":"[{\"a\":\"{\\\"hem\\\":\\\"HEX\\\"}\"}]"}"#, "{}", &["customdata"]),
        (r#"{"kwarray":["a","joe@example.com","b"]}"#, r#"{"kwarray":["a","b"]}"#, &["kwarray"]),
        (r#"{"kwarray":["joe@example.com"]}"#, r#"{"kwarray":[]}"#, &["kwarray"]),
        (r#"{"kwarray":["a", "email_hash=HEX"]}"#, r#"{"kwarray":["a"]}"#, &["kwarray"]),
        (r#"{"x":{"y":[1,[["joe@example.com"],2]]}}"#, r#"{"x":{"y":[1,[[],2]]}}"#, &["user"]),
        (r#"{"geo":{"country":"USA","city":"joe@example.com"}}"#, r#"{"geo":{"country":"USA"}}"#, &["user"]),
        (r#"{"email_hash":"HEX","x":"HEX"}"#, r#"{"x":"HEX"}"#, &["user"]),
        (r#"{"ext":{"hem":{"sha256":"HEX","n":1},"x":2}}"#, r#"{"ext":{"hem":{"n":1},"x":2}}"#, &["ext"]),
        (
            r#"{"ext":{"a":"joe@example.com","b":["+15551234567",1]}}"#,
            r#"{"ext":{"b":[1]}}"#,
            &["ext", "ext"],
        ),
    ]);
}

#[test]
fn one_keyword_goes_and_the_others_stay() {
    check(&[
        (r#"{"keywords":"a,joe@example.com,b"}"#, r#"{"keywords":"a,b"}"#, &["keywords"]),
        (r#"{"keywords":" joe@example.com , b"}"#, r#"{"keywords":" b"}"#, &["keywords"]),
        (r#"{"keywords":"a, +15551234567"}"#, r#"{"keywords":"a"}"#, &["keywords"]),
        (r#"{"keywords":"\u00e9,x\u002cjoe@example.com,c"}"#, r#"{"keywords":"\u00e9,c"}"#, &["keywords"]),
        (r#"{"keywords":"a,,email_md5=HEX,hem:HEX"}"#, r#"{"keywords":"a,"}"#, &["keywords", "keywords"]),
        (r#"{"keywords":"joe@example.com,+15551234567"}"#, "{}", &["keywords", "keywords"]),
        (r#"{"keywords":"joe@example.com"}"#, "{}", &["keywords"]),
        (r#"{"ext":{"keywords":"a,joe@example.com"}}"#, r#"{"ext":{"keywords":"a"}}"#, &["ext"]),
        (r#"{"keywords":["a","joe@example.com"]}"#, r#"{"keywords":["a"]}"#, &["keywords"]),
    ]);
}

#[test]
fn names_lists_and_spellings_hide_nothing() {
    check(&[
        (r#"{"ext":{"data":{"joe@example.com":1,"a":2}}}"#, r#"{"ext":{"data":{"a":2}}}"#, &["ext"]),
        (r#"{"+15551234567":"x"}"#, "{}", &["user"]),
        (
            r#"{"ext":{"data":{"keywords":"a,+15551234567,hem=HEX,b"}}}"#,
            r#"{"ext":{"data":{"keywords":"a,b"}}}"#,
            &["ext", "ext"],
        ),
        (r#"{"ext":{"hem":"tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf_F5HVRQ"}}"#, r#"{"ext":{}}"#, &["ext"]),
        (r#"{"ext":{"hem":"HEXHEX"}}"#, r#"{"ext":{}}"#, &["ext"]),
        (r#"{"customdata":"x=1&email_hash=HEX"}"#, "{}", &["customdata"]),
        (r#"{"customdata":"%7B%22email_hash%22%3A%22HEX%22%7D"}"#, "{}", &["customdata"]),
        (r#"{"customdata":"{\"hem\":\"HEX\"};"}"#, "{}", &["customdata"]),
        (r#"{"keywords":"a,{\"hem\":\"HEX\"}"}"#, r#"{"keywords":"a"}"#, &["keywords"]),
        (
            r#"{"data":[{"name":"hem","segment":[{"id":"HEX"},{"value":"HEX"},{"id":"1"}]}]}"#,
            r#"{"data":[{"name":"hem","segment":[{},{},{"id":"1"}]}]}"#,
            &["data", "data"],
        ),
        (
            r#"{"eids":[{"source":"p","uids":[{"id":"HEX","ext":{"stype":"hemsha256"}},{"id":"HEX"}]}]}"#,
            r#"{"eids":[{"source":"p","uids":[{"id":"HEX"}]}]}"#,
            &["eids"],
        ),
    ]);
}

#[test]
fn segments_have_names_and_values() {
    check(&[
        (
            r#"{"data":[{"segment":[{"name":"joe@example.com","name":"email_hash","value":"HEX"}]}]}"#,
            r#"{"data":[{"segment":[{"name":"email_hash"}]}]}"#,
            &["data", "data"],
        ),
        (
            r#"{"data":[{"segment":[{"name":"email_hash","value":"HEX","id":"7"},{"value":"HEX"}]}]}"#,
            r#"{"data":[{"segment":[{"name":"email_hash","id":"7"},{"value":"HEX"}]}]}"#,
            &["data"],
        ),
        (
            r#"{"data":[{"name":"joe@example.com","segment":[{"value":"+15551234567"}]},"+15551234567"]}"#,
            r#"{"data":[{"segment":[{}]}]}"#,
            &["data", "data", "data"],
        ),
    ]);
}

#[test]
fn a_uid_goes_with_its_id_an_entry_with_its_last_uid_a_list_with_its_last_entry() {
    check(&[
        (
            r#"{"eids":[{"source":"a","uids":[{"id":"joe@example.com"},{"id":"x"}]}]}"#,
            r#"{"eids":[{"source":"a","uids":[{"id":"x"}]}]}"#,
            &["eids"],
        ),
        (
            r#"{"eids":[{"source":"a","uids":[{"id":"joe@example.com"}]},{"source":"b"}]}"#,
            r#"{"eids":[{"source":"b"}]}"#,
            &["eids"],
        ),
        (
            r#"{"eids":[{"source":"a","uids":[{"id":"joe@example.com"}]}],"id":"u"}"#,
            r#"{"id":"u"}"#,
            &["eids"],
        ),
        (
            r#"{"ext":{"eids":[{"uids":[{"ext":{"email":"joe@example.com"},"id":"x"}],"source":"a"}]}}"#,
            r#"{"ext":{"eids":[{"uids":[{"ext":{},"id":"x"}],"source":"a"}]}}"#,
            &["eids"],
        ),
        (
            r#"{"eids":[{"uids":[{"ext":{"e":"joe@example.com"},"id":"joe@example.com"}]},{"source":"b"}]}"#,
            r#"{"eids":[{"source":"b"}]}"#,
            &["eids", "eids"],
        ),
        (r#"{"eids":[{"source":"joe@example.com","uids":[{"id":"x"}]},1]}"#, r#"{"eids":[1]}"#, &["eids"]),
        (r#"{"eids":{"a":"joe@example.com","b":1}}"#, r#"{"eids":{"b":1}}"#, &["eids"]),
        (r#"{"eids":["joe@example.com",[],{}]}"#, r#"{"eids":[[],{}]}"#, &["eids"]),
    ]);
}

#[test]
fn a_raw_uid2_is_no_token_even_without_the_guard() {
    let off = Watch { dii: false, ..WATCH };
    let users = [
        (
            r#"{"eids":[{"source":"UIDapi.com","uids":[{"id":"RAW"},{"id":"tok"}]}]}"#,
            r#"{"eids":[{"source":"UIDapi.com","uids":[{"id":"tok"}]}]}"#,
        ),
        (r#"{"ext":{"eids":[{"uids":[{"id":"RAW"}],"source":"euid.eu"}]}}"#, r#"{"ext":{}}"#),
        (
            r#"{"eids":[{"source":"a","uids":[{"id":"RAW"}]}]}"#,
            r#"{"eids":[{"source":"a","uids":[{"id":"RAW"}]}]}"#,
        ),
    ];
    for (before, after) in users {
        let (before, after) = (before.replace("RAW", RAW), after.replace("RAW", RAW));
        for watch in [&WATCH, &off] {
            assert_eq!(cleaned(&before, watch).0, after);
        }
    }
    let request = request(&users[0].0.replace("RAW", RAW));
    assert!(inspect(&request, &off).unwrap().hits().iter().all(|hit| hit.raw));
    assert_eq!(cleaned(r#"{"id":"joe@example.com","eids":[{}]}"#, &off).1, [""; 0], "the guard is off");
}

#[test]
fn ids_that_merely_look_like_hashes_stay() {
    stays(&[
        "null",
        "{}",
        "7",
        r#""u""#,
        r#"{"id":"HEX","buyeruid":"HEX"}"#,
        r#"{"id":15551234567,"x":1.5e+10}"#,
        r#"{"id":"15551234567"}"#,
        r#"{"eids":[{"source":"pubcid.org","uids":[{"id":"6e5b2c52-9a5e-4f0b-9a0e-0d3a7c2d8c1f","atype":1}]}]}"#,
        r#"{"eids":[{"source":"pub.example","uids":[{"id":"HEX"},{"id":"tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf/F5HVRQ="}]}]}"#,
        r#"{"eids":[{"source":"id5-sync.com","uids":[{"id":"ID5*Zm9v+1555/==","ext":{"linkType":2}}]}]}"#,
        r#"{"ext":{"email_hash":7,"mobile":{"ids":{"android":"b4c9a289323b21a01c3e940f150eb9b8"}}}}"#,
        r#"{"ext":{"email":{"consent":"b4c9a289323b21a01c3e940f150eb9b8"}}}"#,
        r#"{"data":[{"segment":[{"id":"b4c9a289323b21a01c3e940f150eb9b8","name":"Mobile"}]}]}"#,
        r#"{"keywords":"a,b+15551234567,twitter @joe,lib@1.2.3,50%"}"#,
        r#"{"ext":{"uid2":{"email":"joe@example.com"},"publisher_user_id":"joe@example.com"}}"#,
        r#"{"ext":{"device_hash":"HEX","consent":"CPc7TgAPc7TgAAHABBENBECsAP_AAH_AAAAAIzNf_X_"}}"#,
    ]);
}

#[test]
fn the_hash_of_the_requests_own_hint_stands_nowhere() {
    let own = [[
        0xb4, 0xc9, 0xa2, 0x89, 0x32, 0x3b, 0x21, 0xa0, 0x1c, 0x3e, 0x94, 0x0f, 0x15, 0x0e, 0xb9, 0xb8, 0xc5,
        0x42, 0x58, 0x7f, 0x1a, 0xbf, 0xd8, 0xf0, 0xe1, 0xcc, 0x1f, 0xfc, 0x5e, 0x47, 0x55, 0x14,
    ]];
    let watch = Watch { own: &own, ..WATCH };
    let user = r#"{"id":"HEX","keywords":"a,HEX","buyeruid":"tMmiiTI7IaAcPpQPFQ65uMVCWH8av9jw4cwf\/F5HVRQ=","ext":{"x":"b4c9","uid2":{"email_hash":"HEX"}}}"#;
    let (out, hits) = cleaned(&user.replace("HEX", HEX), &watch);
    assert_eq!(hits, ["id", "keywords", "buyeruid"]);
    assert_eq!(out, r#"{"keywords":"a","ext":{"x":"b4c9","uid2":{"email_hash":"HEX"}}}"#.replace("HEX", HEX));
}

#[test]
fn a_user_of_a_wrong_type_goes_as_a_whole_and_is_still_of_a_wrong_type() {
    for user in [r#""joe@example.com""#, r#"["a",["joe@example.com"]]"#, r#"[{"id":"joe@example.com"}]"#] {
        assert_eq!(cleaned(user, &WATCH), (String::new(), vec!["user"]), "{user}");
        let request = request(user);
        let cleaned = inspect(&request, &WATCH).unwrap().cleaned(&request).unwrap();
        assert_eq!(cleaned.wrong_type(), Some("user"));
    }
    let last =
        BidRequest::parse(r#"{"id":"r","imp":[{}],"user":"joe@example.com"}"#.into(), &Limits::default());
    let last = last.unwrap();
    let cleaned = inspect(&last, &WATCH).unwrap().cleaned(&last).unwrap();
    assert_eq!(cleaned.body(), r#"{"id":"r","imp":[{}]}"#);
}

#[test]
fn a_consent_string_that_goes_leaves_a_malformed_signal() {
    for user in [
        r#"{"consent":"joe@example.com"}"#,
        r#"{"ext":{"consent":"joe@example.com"}}"#,
        r#"{"geo":{"country":"joe@example.com"}}"#,
    ] {
        let request = request(user);
        let cleaned = inspect(&request, &WATCH).unwrap().cleaned(&request).unwrap();
        assert!(cleaned.signals().malformed && !request.signals().malformed, "{user}");
    }
}

#[test]
fn hints_are_read_as_they_stand() {
    let user = r#"{"ext":{"uid2":{"em\u0061il":"a\u0040b.example","n":[1],"phone":"+1","phone":"+2"}}}"#;
    let request = request(user);
    let hints = request.dii_hints();
    let hints: Vec<_> = hints.iter().map(|(key, value)| (key.as_ref(), value.as_ref())).collect();
    assert_eq!(hints, [("email", "a@b.example"), ("phone", "+1"), ("phone", "+2")]);
    assert!(inspect(&request, &WATCH).is_none());
}

/// As deep as the scan lets anything be.
#[test]
fn depth_hides_nothing() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"[{"a":"#, "}]")] {
        let levels = 62 / open.matches(['[', '{']).count();
        let user = format!(r#"{{"x":{}"joe@example.com"{}}}"#, open.repeat(levels), close.repeat(levels));
        let (out, hits) = cleaned(&user, &WATCH);
        assert_eq!(hits, ["user"]);
        assert!(!out.contains("joe"), "{out}");
    }
}

#[test]
fn many_finds_are_one_pass() {
    let user = format!(
        r#"{{"kwarray":[{}"x"],"keywords":"{}y"}}"#,
        r#""joe@example.com","#.repeat(20_000),
        "a@b.co,".repeat(20_000)
    );
    let (out, hits) = cleaned(&user, &WATCH);
    assert_eq!((out.as_str(), hits.len()), (r#"{"kwarray":["x"],"keywords":"y"}"#, 40_000));
    let hostile = format!(r#"{{"x":"{}","y":"{}"}}"#, "@a.".repeat(60_000), r"\\%25".repeat(20_000));
    inspect(&request(&hostile), &WATCH);
}

#[test]
fn the_corpus_is_clean() {
    for (name, body) in corpus::corpus() {
        let request = BidRequest::parse(body, &Limits::default()).unwrap();
        let found = inspect(&request, &WATCH);
        assert!(found.is_none(), "{name}: {:?}", found.unwrap().hits());
    }
}
