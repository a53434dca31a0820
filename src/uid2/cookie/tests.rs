//! Each form, each bound, and what is not believed.

use super::*;
use crate::uid2::Phase;

const NOW: UnixMillis = UnixMillis(1_768_478_400_000);
const TOKEN: &str = "A4AAABd-_+/=xyz";

fn of(header: &str) -> Option<Claim> {
    read([header.as_bytes()].into_iter(), Scope::Uid2, NOW)
}

fn held(header: &str) -> Option<Held> {
    match of(header)? {
        Claim::Held(held) => Some(held),
        Claim::OptedOut => panic!("opted out: {header}"),
    }
}

fn sdk(json: &str) -> String {
    format!("__uid_2={}", percent::encoded(json))
}

/// The SDK's object; `expires` from now.
fn body(token: &str, expires: i64) -> String {
    let (from, expires, refresh) = (NOW.0 - 1, NOW.0 + expires, NOW.0 + 40 * DAY_MS);
    format!(
        r#"{{"advertising_token":"{token}","refresh_token":"R==","identity_expires":{expires},"refresh_from":{from},"refresh_expires":{refresh},"refresh_response_key":"k","private":{{"x":1.50}}}}"#
    )
}

#[test]
fn the_sdks_cookie_is_read_and_repeated_with_what_is_not_ours() {
    let cookie = sdk(&body(TOKEN, HOUR_MS));
    let held = held(&format!("a=b; {cookie} ;c=d")).unwrap();
    assert_eq!(held.advertising_token.as_str(), TOKEN);
    assert_eq!(held.refresh_token.as_ref().unwrap().expose(), "R==");
    assert_eq!(held.times.identity_expires, NOW.plus(HOUR_MS));
    assert_eq!(
        format!("__uid_2={}", held.to_value()),
        sdk(&body(TOKEN, HOUR_MS).replace(
            r#""refresh_response_key":"k","private":{"x":1.50}"#,
            r#""private":{"x":1.50},"refresh_response_key":"k""#,
        ))
    );
    assert_eq!(of(&format!("__uid_2={}", body(TOKEN, HOUR_MS))), of(&cookie), "not encoded at all");
    let shown = format!("{held:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains("private") && !shown.contains("R=="), "{shown}");
}

#[test]
fn the_legacy_form_lives_as_long_as_the_sdk_assumes() {
    let legacy = held(&sdk(&format!(r#"{{"advertising_token":"{TOKEN}","refresh_token":"r"}}"#))).unwrap();
    assert_eq!(legacy.times, assumed(NOW));
    assert_eq!(legacy.times.phase(NOW, 60_000), Phase::Due);
    assert_eq!(held(&sdk(&format!(r#"{{"advertising_token":"{TOKEN}"}}"#))), None, "nothing would renew it");
    assert_eq!(
        held(&sdk(&body(TOKEN, 1).replace(r#""refresh_from""#, r#""from""#))),
        None,
        "half of the times"
    );
}

#[test]
fn prebids_forms() {
    let prebid = |value: &str| format!("__uid2_advertising_token={}", percent::encoded(value));
    let bare = held(&prebid(TOKEN)).unwrap();
    assert_eq!((bare.advertising_token.as_str(), bare.times), (TOKEN, assumed(NOW)));
    let chain = format!(r#"{{"originalToken":{},"latestToken":{}}}"#, body("AAAA", 1), body(TOKEN, 2));
    assert_eq!(held(&prebid(&chain)).unwrap().advertising_token.as_str(), TOKEN);
    assert_eq!(of(&prebid(r#"{"latestToken":"optout"}"#)), Some(Claim::OptedOut));
    for nothing in [r#"{"latestToken":"x"}"#, "{}", r#"{"originalToken":{}}"#, r#"{"latestToken":5}"#, "a b"]
    {
        assert_eq!(of(&prebid(nothing)), None, "{nothing}");
    }
}

#[test]
fn an_opt_out_beats_every_token_wherever_it_stands() {
    let optout = sdk(r#"{"refresh_expires":1,"identity_expires":1,"status":"optout"}"#);
    let token = sdk(&body(TOKEN, 1));
    for header in [format!("{token}; {optout}"), format!("{optout}; {token}"), optout.clone()] {
        assert_eq!(of(&header), Some(Claim::OptedOut));
    }
    let two = [token.as_bytes(), optout.as_bytes()];
    assert_eq!(read(two.into_iter(), Scope::Uid2, NOW), Some(Claim::OptedOut));
    assert_eq!(read(two.into_iter(), Scope::Euid, NOW), None, "another scope's cookies");
    assert!(of(&sdk(&body(TOKEN, 1).replace("1.50}", r#"1.50},"status":"x""#))).is_some(), "another status");
}

#[test]
fn the_first_of_a_name_counts_and_the_sdk_before_prebid() {
    let prebid = "__uid2_advertising_token=PPPP";
    let (one, two) = (sdk(&body("AAAA", 1)), sdk(&body("BBBB", 1)));
    let token = |header: String| held(&header).unwrap().advertising_token;
    assert_eq!(token(format!("{prebid};{one};{two}")).as_str(), "AAAA");
    assert_eq!(token(format!("__uid_2=broken; {two}")).as_str(), "BBBB");
    assert_eq!(token(format!("__uid_2={{}};{prebid}")).as_str(), "PPPP");
}

#[test]
fn a_claim_is_believed_up_to_its_bounds() {
    let token = |n: usize| held(&sdk(&body(&"A".repeat(n), 1))).is_some();
    assert!(token(1) && token(43) && token(45) && token(500));
    assert!(!token(0) && !token(44) && !token(501));
    assert!(held(&sdk(&body("a b", 1))).is_none() && held(&sdk(&body("a\\u0022b", 1))).is_none());
    assert!(held(&sdk(&body(TOKEN, MAX_LIFE_MS))).is_some());
    assert!(held(&sdk(&body(TOKEN, MAX_LIFE_MS + 1))).is_none());
    assert!(held(&sdk(&body(TOKEN, 41 * DAY_MS))).is_none(), "times out of order");
    assert!(held(&sdk(&body(TOKEN, -1))).is_some(), "expired is a matter of the phase");
}

#[test]
fn values_and_headers_are_read_up_to_their_caps() {
    let padded = |length: usize| {
        let plain = body(TOKEN, 1);
        let pad = length - plain.len() - r#","p":"""#.len();
        format!("__uid_2={}", plain.replacen("1.50}", &format!(r#"1.50}},"p":"{}""#, "x".repeat(pad)), 1))
    };
    assert_eq!(padded(MAX_VALUE_BYTES).len(), "__uid_2=".len() + MAX_VALUE_BYTES);
    assert!(held(&padded(MAX_VALUE_BYTES)).is_some());
    assert!(held(&padded(MAX_VALUE_BYTES + 1)).is_none());
    let cookie = sdk(&body(TOKEN, 1));
    let behind = |n: usize| format!("{};{cookie}", "x".repeat(n - cookie.len() - 1));
    assert!(held(&behind(MAX_HEADER_BYTES)).is_some());
    assert!(held(&behind(MAX_HEADER_BYTES + 1)).is_none());
    let bare = format!("{};__uid2_advertising_token={}", "x".repeat(MAX_HEADER_BYTES - 100), "A".repeat(99));
    assert_eq!(of(&bare), None, "half a token is none");
    let filler = "x".repeat(MAX_HEADER_BYTES - cookie.len());
    let two = |filler: &str| read([filler.as_bytes(), cookie.as_bytes()].into_iter(), Scope::Uid2, NOW);
    assert!(two(&filler).is_some() && two(&format!("{filler}x")).is_none(), "all headers together");
}

#[test]
fn anything_else_counts_as_not_sent() {
    for header in [
        "",
        "=",
        ";;",
        "__uid_2",
        "__uid_2=",
        "__uid_2=[]",
        "__uid_2=null",
        "__uid_2=%",
        "__uid_2=optout",
        "__UID_2={\"status\":\"optout\"}",
        "x__uid_2={\"status\":\"optout\"}",
        "__uid_2={\"status\":\"optout\"",
    ] {
        assert_eq!(of(header), None, "{header}");
    }
}
