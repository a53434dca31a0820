//! Each form, each bound, and what is not believed.

use super::*;

const NOW: UnixMillis = UnixMillis(1_768_478_400_000);
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The realistic token of uid2-protocol §4.6.
const TOKEN: &str = "A4AAAABlICEiIyQlJicoKSoreoP5B3ANjhwAktwXfXw93eeM08N10ir73n5KlSf26ABuUtGTAxG1qLn3QpcB0V_TcekDTpTaT2b5R83fylJP-tZ8YdjTDXOaCyzj-zln6dO4BP_ZV7wGj_yCD-NjwUz4ohrfdajuf4155_9q8n2fQqePcgWDhu2X7BP1J08Jp1OaORD75XUsZ73mMAFht8TUSw";

fn of(header: &str) -> Option<Claim> {
    read([header.as_bytes()].into_iter(), (Scope::Uid2, None), NOW)
}

fn held(header: &str) -> Option<Held> {
    match of(header)? {
        Claim::Held(held) => Some(held),
        Claim::OptedOut => panic!("opted out: {header}"),
    }
}

fn sdk(json: &str) -> String {
    format!("__uid_2={}", encoded(json))
}

/// As `encodeURIComponent` does it with the ASCII of these tests.
fn encoded(text: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()".contains(c);
    text.chars().map(|c| if kept(c) { c.to_string() } else { format!("%{:02X}", u32::from(c)) }).collect()
}

/// Another token, that ends so.
fn token(end: &str) -> String {
    format!("A4{}{end}", "-".repeat(200))
}

/// The SDK's object; `expires` from now.
fn body(token: &str, expires: i64) -> String {
    let (from, expires, refresh) = (NOW.0 - 1, NOW.0 + expires, NOW.0 + 40 * DAY_MS);
    format!(
        r#"{{"advertising_token":"{token}","refresh_token":"R==","identity_expires":{expires},"refresh_from":{from},"refresh_expires":{refresh},"refresh_response_key":"k","private":{{"x":1.50}}}}"#
    )
}

#[test]
fn the_sdks_cookie_is_read() {
    let cookie = sdk(&body(TOKEN, HOUR_MS));
    let held = held(&format!("a=b; {cookie} ;c=d")).unwrap();
    assert_eq!(held.advertising_token.as_str(), TOKEN);
    assert_eq!(held.times.identity_expires, NOW.plus(HOUR_MS));
    assert_eq!(of(&format!("__uid_2={}", body(TOKEN, HOUR_MS))), of(&cookie), "not encoded at all");
    let shown = format!("{held:?}");
    assert!(!shown.contains(TOKEN) && !shown.contains("private") && !shown.contains("R=="), "{shown}");
}

#[test]
fn a_token_without_its_times_is_not_used() {
    for legacy in [r#","refresh_token":"r""#, ""] {
        assert_eq!(of(&sdk(&format!(r#"{{"advertising_token":"{TOKEN}"{legacy}}}"#))), None, "{legacy}");
    }
    for time in ["refresh_from", "identity_expires", "refresh_expires"] {
        assert_eq!(of(&sdk(&body(TOKEN, 1).replace(time, "other"))), None, "without {time}");
        let text = body(TOKEN, 1).replace(&format!(r#""{time}":"#), &format!(r#""{time}":null,"x":"#));
        assert_eq!(of(&sdk(&text)), None, "{time} is no number");
    }
    assert_eq!(of(&format!("__uid2_advertising_token={TOKEN}")), None, "Prebid's by itself");
    assert_eq!(of(&format!("__uid_2={TOKEN}")), None);
}

#[test]
fn what_is_no_token_of_this_scope_is_not_used() {
    let hex = "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b";
    let euid = format!("E{}", TOKEN.get(1..).unwrap());
    let (hexes, digits) = ("A0".repeat(100), "1".repeat(200));
    let cut = |n: usize| TOKEN.get(..n).unwrap();
    for text in
        ["+15551234567", "15551234567", hex, &hexes, cut(43), cut(44), cut(149), euid.as_str(), &digits]
    {
        assert_eq!(of(&sdk(&body(text, 1))), None, "{text}");
        let chain = format!(r#"{{"latestToken":{}}}"#, body(text, 1));
        assert_eq!(of(&format!("__uid2_advertising_token={}", encoded(&chain))), None, "{text}");
        assert_eq!(of(&format!("__uid2_advertising_token={}", encoded(text))), None, "{text}");
    }
    assert!(held(&sdk(&body(cut(150), 1))).is_some());
    let of_euid = |cookie: &str| read([cookie.as_bytes()].into_iter(), (Scope::Euid, None), NOW);
    assert!(of_euid(&format!("__euid={}", encoded(&body(&euid, 1)))).is_some());
    assert_eq!(of_euid(&format!("__euid={}", encoded(&body(TOKEN, 1)))), None);
}

#[test]
fn prebids_chain() {
    let prebid = |value: &str| format!("__uid2_advertising_token={}", encoded(value));
    let chain = format!(r#"{{"originalToken":{},"latestToken":{}}}"#, body(&token("1"), 1), body(TOKEN, 2));
    assert_eq!(held(&prebid(&chain)).unwrap().advertising_token.as_str(), TOKEN);
    assert_eq!(of(&prebid(r#"{"latestToken":"optout"}"#)), Some(Claim::OptedOut));
    for nothing in [r#"{"latestToken":"x"}"#, "{}", r#"{"originalToken":{}}"#, r#"{"latestToken":5}"#, "a b"]
    {
        assert_eq!(of(&prebid(nothing)), None, "{nothing}");
    }
}

#[test]
fn the_word_optout_by_itself_is_an_opt_out() {
    for name in ["__uid_2", "__euid", "__uid2_advertising_token", "__euid_advertising_token"] {
        for value in ["optout", "%22optout%22", "\"optout\"", " optout "] {
            assert_eq!(of(&format!("{name}={value}")), Some(Claim::OptedOut), "{name}={value}");
        }
        for value in ["optout2", "\"optout", "%22optout", "OPTOUT", "[\"optout\"]"] {
            assert_eq!(of(&format!("{name}={value}")), None, "{name}={value}");
        }
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
    assert_eq!(read(two.into_iter(), (Scope::Uid2, None), NOW), Some(Claim::OptedOut));
    assert_eq!(read(two.into_iter(), (Scope::Euid, None), NOW), Some(Claim::OptedOut), "of either scope");
    assert_eq!(read([token.as_bytes()].into_iter(), (Scope::Euid, None), NOW), None, "another scope's token");
    assert!(of(&sdk(&body(TOKEN, 1).replace("1.50}", r#"1.50},"status":"x""#))).is_some(), "another status");
}

#[test]
fn the_first_of_a_name_counts_and_the_sdk_before_prebid() {
    let [one, two, prebid] = ["1", "2", "p"].map(|end| body(&token(end), 1));
    let (one, two) = (sdk(&one), sdk(&two));
    let prebid = format!("__uid2_advertising_token={}", encoded(&format!(r#"{{"latestToken":{prebid}}}"#)));
    let held_in = |header: String| held(&header).unwrap().advertising_token;
    assert_eq!(held_in(format!("{prebid};{one};{two}")).as_str(), token("1"));
    assert_eq!(held_in(format!("__uid_2=broken; {two}")).as_str(), token("2"));
    assert_eq!(held_in(format!("__uid_2={{}};{prebid}")).as_str(), token("p"));
}

#[test]
fn a_claim_is_believed_up_to_its_bounds() {
    let token = |n: usize| held(&sdk(&body(&format!("A{}", "-".repeat(n - 1)), 1))).is_some();
    assert!(token(150) && token(500));
    assert!(!token(149) && !token(501));
    for text in [" ", "\\u0022"] {
        assert!(held(&sdk(&body(&format!("{TOKEN}{text}"), 1))).is_none(), "{text}");
    }
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
    let word = "; __uid2_advertising_token=optout";
    let cut = format!("{}{word}ed; c=d", "x".repeat(MAX_HEADER_BYTES - word.len()));
    assert_eq!(of(&cut), None, "half a cookie is none");
    let filler = "x".repeat(MAX_HEADER_BYTES - cookie.len());
    let two =
        |filler: &str| read([filler.as_bytes(), cookie.as_bytes()].into_iter(), (Scope::Uid2, None), NOW);
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
        "__uid_2=opted-out",
        "__UID_2={\"status\":\"optout\"}",
        "x__uid_2={\"status\":\"optout\"}",
        "__uid_2={\"status\":\"optout\"",
    ] {
        assert_eq!(of(header), None, "{header}");
    }
}

const KEY: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";

fn own(header: &str, own: Own<'_>) -> Option<Held> {
    match read([header.as_bytes()].into_iter(), (Scope::Uid2, Some(own)), NOW)? {
        Claim::Held(held) => Some(held),
        Claim::OptedOut => panic!("opted out: {header}"),
    }
}

/// The SDK's object with a key that is one.
fn renewable() -> String {
    body(TOKEN, HOUR_MS).replace(r#":"k""#, &format!(r#":"{KEY}""#))
}

#[test]
fn of_the_own_cookie_alone_all_is_read_and_written_again() {
    let plain = Own { name: "__uid_2", open: None };
    let held = own(&sdk(&renewable()), plain).unwrap();
    let renewal = held.renewal.as_deref().unwrap();
    assert_eq!(
        (renewal.refresh_token.expose().as_str(), renewal.others.expose().as_str()),
        ("R==", r#""private":{"x":1.50}"#)
    );
    assert_eq!(own(&sdk(&renewable()), Own { name: "other", ..plain }).unwrap().renewal, None);

    let identity = held.identity().unwrap();
    let text = write::text(&identity, Some("ticket"), renewal.others.expose());
    let again = own(&format!("__uid_2={}", write::readable(text.expose())), plain).unwrap();
    assert_eq!(again.identity().as_ref(), Some(&identity));
    let kept = again.renewal.unwrap();
    assert_eq!((kept.ticket.unwrap().expose().as_str(), &kept.others), ("ticket", &renewal.others));
    let shown = format!("{held:?}");
    assert!(!shown.contains("R==") && !shown.contains(KEY) && !shown.contains("private"), "{shown}");
}

/// As the browser SDK reads `document.cookie` (uid2-protocol §6.2): it cuts at `; ` and takes what is between the first
/// and the second `=`.
#[test]
fn what_is_written_reads_as_the_sdk_reads_it() {
    let held = own(&sdk(&renewable()), Own { name: "__uid_2", open: None }).unwrap();
    let text = write::text(&held.identity().unwrap(), Some("ti-ck_et"), r#""private":{"a":"=; é"}"#);
    let document = format!("a=b; __uid_2={}; c=d", write::readable(text.expose()));
    let row = document.split("; ").find(|row| row.starts_with("__uid_2=")).unwrap();
    let value = row.split('=').nth(1).unwrap();
    assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*'()%".contains(&b)), "{value}");
    let json: serde_json::Value = serde_json::from_str(&percent::decode(value.as_bytes()).unwrap()).unwrap();
    for member in
        ["advertising_token", "identity_expires", "refresh_from", "refresh_token", "refresh_expires"]
    {
        assert!(json.get(member).is_some(), "{member}: the SDK needs it");
    }
    assert_eq!(json["private"]["a"], "=; é");
    let (marker, until) = write::opt_out(NOW);
    assert_eq!(until, NOW.plus(72 * HOUR_MS));
    assert_eq!(of(&format!("__uid_2={}", write::readable(&marker))), Some(Claim::OptedOut));
}

#[test]
fn what_cannot_be_renewed_is_used_all_the_same() {
    let plain = Own { name: "__uid_2", open: None };
    let long = "x".repeat(crate::uid2::wire::MAX_REFRESH_TOKEN_CHARS + 1);
    for (from, to) in [
        (r#""R==""#, r#""""#),
        (r#""R==""#, r#""a b""#),
        (r#""R==""#, "5"),
        (r#""refresh_token""#, r#""other""#),
        (r#""refresh_response_key""#, r#""other""#),
        (KEY, "AAAA"),
    ] {
        let held = own(&sdk(&renewable().replace(from, to)), plain).unwrap();
        assert_eq!((held.advertising_token.as_str(), held.renewal), (TOKEN, None), "{from} {to}");
    }
    assert!(
        own(&format!("__uid_2={}", renewable().replace("R==", &long)), plain).is_none(),
        "longer than a cookie"
    );
}

#[test]
fn a_sealed_cookie_is_read_by_whoever_can_open_it() {
    let open = |value: &[u8]| value.strip_prefix(b"sealed.").map(|text| Secret::new(text.to_vec()));
    let sealed = Own { name: "own", open: Some(&open) };
    let held = own(&format!("own=sealed.{}", renewable()), sealed).unwrap();
    assert!(held.renewal.is_some());
    for other in [format!("own={}", renewable()), "own=sealed.{}".into(), "own=optout".into()] {
        assert_eq!(own(&other, sealed), None, "{other}");
    }
    let header = format!("own=sealed.{}", write::opt_out(NOW).0);
    let claim = read([header.as_bytes()].into_iter(), (Scope::Uid2, Some(sealed)), NOW);
    assert_eq!(claim, Some(Claim::OptedOut));
    // Ours counts before the SDK's, and that before Prebid's.
    let other = body(&token("s"), HOUR_MS);
    let held = own(&format!("{}; own=sealed.{}", sdk(&other), renewable()), sealed).unwrap();
    assert_eq!(held.advertising_token.as_str(), TOKEN);
    let held = own(&format!("{}; own=lost", sdk(&other)), sealed).unwrap();
    assert_eq!(held.advertising_token.as_str(), token("s"));
}
