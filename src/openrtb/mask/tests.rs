//! No identifier survives, whatever its form and wherever it stands; everything else does.
#![expect(clippy::string_slice, reason = "a slice inside a character is a failed test")]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::corpus::corpus;
use super::*;

/// A stand-in for a keyed function.
pub(super) fn key(input: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(b"a key").chain_update(input).finalize().into()
}

fn masked(body: &str, beside: &[&str]) -> String {
    let masked = Mask::new(&key, Limits::default()).request(&Bytes::from(body.to_owned()), beside).unwrap();
    assert_eq!(masked.len(), body.len(), "{body}");
    String::from_utf8(masked.to_vec()).unwrap()
}

fn request(members: &str) -> String {
    format!(r#"{{"id":"r","imp":[{{"id":"1"}}],"site":{{"domain":"www.example.com"}},{members}}}"#)
}

/// An id as it may be written.
fn forms(id: &str) -> Vec<String> {
    let hex = echo::hex(id);
    let upper = hex.to_ascii_uppercase();
    let percent = (0..upper.len()).step_by(2).fold(String::new(), |out, at| out + "%" + &upper[at..at + 2]);
    let plain = STANDARD.encode(id).trim_end_matches('=').to_owned();
    vec![id.to_owned(), plain, URL_SAFE_NO_PAD.encode(id), upper, hex, percent]
}

const IDS: [&str; 6] = [
    "jane.canary77@example.com",
    "+15557654321",
    "user-canary-4711",
    "6e5b2c52-9a5e-4f0b-9a0e-0d3a7c2d8c1f",
    "A4AAAACanary1zzzzzzzzzzzzzzzzzzzzz-_4242",
    "203.0.113.142",
];

/// Where an id may stand; `X` is it.
const PLACES: [&str; 22] = [
    r#""user":{"id":"X"}"#,
    r#""user":{"buyeruid":"X"}"#,
    r#""user":{"customdata":"a X b"}"#,
    r#""user":{"keywords":"cars,uid=X"}"#,
    r#""user":{"kwarray":["k=X"]}"#,
    r#""user":{"eids":[{"source":"s.example","uids":[{"id":"X","atype":1}]}]}"#,
    r#""user":{"ext":{"eids":[{"source":"s.example","uids":[{"id":"X","ext":{"x":"X"}}]}]}}"#,
    r#""user":{"ext":{"uid2":{"email":"X"},"publisher_user_id":"X"}}"#,
    r#""user":{"ext":{"whatever":{"deep":[["X"]]}}}"#,
    r#""user":{"data":[{"id":"X","name":"n","segment":[{"id":"X","name":"email_hash","value":"X"}]}]}"#,
    r#""user":{"geo":{"zip":"X"}}"#,
    r#""user":"X""#,
    r#""user":["X"]"#,
    r#""device":{"ifa":"X"}"#,
    r#""device":{"dpidsha1":"X","ext":{"vendor":"X"}}"#,
    r#""device":{"ip":"X"}"#,
    r#""device":{"geo":{"ext":{"x":"X"}}}"#,
    r#""source":{"tid":"X"}"#,
    r#""ext":{"deviceId":"X","userId":"X","hashed_email":"X"}"#,
    r#""app":{"ref":"x?u=X&v=1","page":"https://x.example/a?u=X#X"}"#,
    r#""regs":{"ext":{"link":"https://x.example/a?u=X"}}"#,
    r#""imp2":[{"ext":{"eids":[{"uids":[{"id":"X"}]}]}}]"#,
];

#[test]
fn no_form_of_an_id_survives_in_any_place() {
    for id in IDS {
        for form in forms(id) {
            for place in PLACES {
                let body = request(&place.replace('X', &form))
                    .replace(r#""site":{"domain":"www.example.com"},"#, "");
                let out = masked(&body, &[]);
                assert!(!out.contains(&form), "{form} in {out}");
            }
        }
    }
}

/// Where an address or number stands in plain text outside of everything.
#[test]
fn no_address_survives_in_text() {
    for id in &IDS[..2] {
        for form in forms(id) {
            for text in
                [r#""ext":{"x":"X"}"#, r#""ext":{"x":["a, X; b"]}"#, r#""ext":{"X":1}"#, r#""bcat":["X"]"#]
            {
                let out = masked(&request(&text.replace('X', &form)), &[]);
                assert!(!out.contains(&form), "{form} in {out}");
            }
        }
    }
}

#[test]
fn an_id_that_was_masked_goes_wherever_else_it_stands() {
    for id in IDS {
        for form in forms(id) {
            let members = format!(
                r#""user":{{"id":"{id}"}},"ext":{{"a":"x-{form}-y","b":["{form}"],"c":"\u0041 {form}","{form}":"%20{form}"}}"#
            );
            let out = masked(&request(&members), &[]);
            assert!(!out.contains(&form), "{form} in {out}");
            let beside = masked(&request(&format!(r#""ext":{{"a":"x-{form}-y"}}"#)), &[id]);
            assert!(!beside.contains(&form), "{form} in {beside}");
        }
    }
    let out = masked(&request(r#""user":{"id":"1234567890"},"ext":{"n":1234567890,"m":[12345678901]}"#), &[]);
    assert!(!out.contains("1234567890"), "{out}");
}

/// The same id is the same pseudonym in every place, another key makes another.
#[test]
fn pseudonyms_hold_within_one_key() {
    let mask = Mask::new(&key, Limits::default());
    let out = masked(&request(r#""user":{"id":"user-4711","ext":{"publisher_user_id":"user-4711"}}"#), &[]);
    let tree: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(tree["user"]["id"], mask.pseudonym("user-4711"));
    assert_eq!(tree["user"]["ext"]["publisher_user_id"], tree["user"]["id"]);
    let other = |input: &[u8]| key(&[b"another".as_slice(), input].concat());
    assert_ne!(Mask::new(&other, Limits::default()).pseudonym("user-4711"), mask.pseudonym("user-4711"));
}

#[test]
fn what_is_no_identifier_stays_byte_for_byte() {
    for members in [
        r#""regs":{"gpp":"DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA","us_privacy":"1YNN"}"#,
        r#""user":{"consent":"CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA","gender":"F","yob":1985}"#,
        r#""user":{"keywords":"sports,cars","eids":[{"source":"s.example","uids":[{"atype":3}]}]}"#,
        r#""device":{"ua":"Mozilla/5.0 (X11; Linux x86_64)","ifa":"00000000-0000-0000-0000-000000000000","lmt":1,"w":1080,"h":2400}"#,
        r#""device":{"geo":{"country":"USA","region":"CA","lat":37.8,"lon":-122},"os":"iOS","ext":{"atts":3}}"#,
        r#""x": 1.5e2 , "ext":{"x":1.0,"y":"\u00e9\n","z":{"a":"A","a":"B"}}"#,
        r#""imp2":[{"tagid":"80ce30c53c16e6ede735f123ef6e32361bfc7b22","secure":1}],"bcat":["IAB1-5"]"#,
    ] {
        let body = request(members).replace(r#"{"id":"r""#, r#"{"id":"-""#);
        assert_eq!(masked(&body, &[]), body);
    }
}

#[test]
fn positions_are_rounded_and_lines_become_one() {
    let out = masked(&request("\"device\":\r\n{\"geo\":{\"lat\":48.858370,\"lon\":\"2.294481\"}}"), &[]);
    assert!(out.contains(r#""device":  {"geo":{"lat":48.800000,"lon":"2.200000"}}"#), "{out}");
}

/// By what a publisher is found stays, even where the same text is an id of the user's.
#[test]
fn routing_survives() {
    let body = r#"{"id":"r","imp":[{"id":"1"}],"site":{"domain":"shop24.example","publisher":{"id":"pub-4711-x"}},"user":{"id":"pub-4711-x","ext":{"d":"shop24.example"}}}"#;
    let tree: Value = serde_json::from_str(&masked(body, &[])).unwrap();
    assert_eq!(
        (&tree["site"]["domain"], &tree["site"]["publisher"]["id"]),
        (&"shop24.example".into(), &"pub-4711-x".into())
    );
    assert_ne!(tree["user"]["id"], "pub-4711-x");
}

/// That an id is in a publisher's id, domain or bundle does not let it stand elsewhere.
#[test]
fn an_id_in_what_a_publisher_is_called_goes_elsewhere() {
    for publisher in [
        r#""site":{"domain":"u-4711-abc.example","publisher":{"id":"p-u-4711-abc"}}"#,
        r#""app":{"bundle":"com.u-4711-abc","publisher":{"id":"u-4711-abc"}}"#,
    ] {
        let ext = r#""ext":{"a":"u-4711-abc","b":"x%75-4711-abc","page":"https://x.example/u-4711-abc"}"#;
        let members = format!(r#"{publisher},"user":{{"id":"u-4711-abc"}},{ext}"#);
        let out = masked(&format!(r#"{{"id":"r","imp":[{{"id":"1"}}],{members}}}"#), &[]);
        assert!(out.contains(publisher), "{out}");
        assert!(!out.replace(publisher, "").contains("4711-abc"), "{out}");
    }
}

/// Names of members and of segments are no place to hide in.
#[test]
fn names_under_a_person_go_unless_known() {
    for members in [
        r#""user":{"ext":{"userIds":{"janedoe-9988":{}}}}"#,
        r#""user":{"ext":{"janedoe-9988":1}}"#,
        r#""user":{"ext":{"data":{"name":"janedoe-9988"}}}"#,
        r#""user":{"data":[{"ext":{"name":"janedoe-9988"}}]}"#,
        r#""user":{"data":[{"name":"janedoe-9988","segment":[{"name":"janedoe-9988"}]}]}"#,
        r#""user":{"geo":{"janedoe-9988":1}},"device":{"ext":{"janedoe-9988":[]}}"#,
        r#""user":{"ext":{"kwarray":{"crm":"janedoe-9988"},"source":{"x":"janedoe-9988"}}}"#,
        r#""ext":{"user_ids":{"janedoe-9988":1}},"device":{"ip":{"janedoe-9988":"janedoe-9988"}}"#,
        r#""user":{"ext":{"janed\u006fe-9988":1}}"#,
    ] {
        let out = masked(&request(members), &[]);
        assert!(!out.contains("9988") && !out.contains("janed"), "{out}");
    }
    let out = masked(&request(r#""user":{"ext":{"data":{"name":"Jane Doe"},"Jane":{"x":1}}}"#), &[]);
    assert!(!out.contains("Jane") && !out.contains("Doe"), "{out}");
}

/// Ids outside of `user` and `device`, by what they are called.
#[test]
fn ids_by_their_names_go_everywhere() {
    for name in [
        "client_id",
        "clientId",
        "oaid",
        "adid",
        "android_id",
        "gpsadid",
        "user_ids",
        "puid",
        "username",
        "transactionId",
        "auctionId",
        "requestid",
        "externalid",
        "account_id",
        "uuid",
        "guid",
        "ipv4",
        "userip",
        "xff",
        "rid",
    ] {
        let members = format!(r#""source":{{"ext":{{"schain":{{"nodes":[{{"{name}":"k9-canary"}}]}}}}}}"#);
        let out = masked(&request(&members), &[]);
        assert!(!out.contains("k9-canary") && out.contains(name), "{out}");
    }
    let out = masked(&request(r#""ext":{"lng":2.294481,"long":"48.858370","ipv4":"81.2.69.142"}"#), &[]);
    assert!(out.contains("2.200000") && out.contains("48.800000") && !out.contains("81.2.69"), "{out}");
}

/// Short numbers describe a person as well as long ones.
#[test]
fn numbers_of_a_person_go_whatever_their_length() {
    let out = masked(&request(r#""user":{"geo":{"zip":1010},"dob":7,"ext":{"age":34,"x":[2.5]}}"#), &[]);
    for number in ["1010", ":7", "34", "2.5"] {
        assert!(!out.contains(number), "{number} in {out}");
    }
    let listed = r#""user":{"yob":1985,"ext":{"impdepth":1,"age":0,"segtax":4}},"device":{"w":390,"h":844,"ppi":460,"pxratio":3.0,"devicetype":4,"connectiontype":2,"js":1,"lmt":1,"ext":{"atts":3}}"#;
    let out = masked(&request(listed), &[]);
    assert!(out.contains(listed), "{out}");
}

/// Every realistic request: as long, still a request, the same shape, and none of its ids.
#[test]
fn the_corpus_is_masked() {
    let mut compared = 0;
    for (name, body) in corpus() {
        let text = String::from_utf8(body.to_vec()).unwrap();
        let out = masked(&text, &[]);
        // Half of a surrogate pair, which one of them has, is none of serde's JSON.
        let Ok(before) = serde_json::from_str::<Value>(&text) else { continue };
        let after: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(shape(&before), shape(&after), "{name}");
        compared += 1;
        let mut ids = Vec::new();
        for pointer in [
            "/user/id",
            "/user/buyeruid",
            "/device/ifa",
            "/device/ip",
            "/device/ipv6",
            "/user/ext/eids",
            "/user/eids",
        ] {
            ids_in(before.pointer(pointer).unwrap_or(&Value::Null), "id", &mut ids);
        }
        for id in
            ids.iter().filter(|id| id.len() >= 6 && id.bytes().any(|byte| (b'1'..=b'9').contains(&byte)))
        {
            for form in forms(id) {
                assert!(!out.contains(&form), "{name}: {form} in {out}");
            }
        }
    }
    assert!(compared >= 24, "{compared}");
}

fn ids_in(value: &Value, name: &str, ids: &mut Vec<String>) {
    match value {
        Value::String(id) if matches!(name, "id") => ids.push(id.clone()),
        Value::Array(items) => items.iter().for_each(|item| ids_in(item, name, ids)),
        Value::Object(members) => members.iter().for_each(|(name, value)| ids_in(value, name, ids)),
        _ => {}
    }
}

/// Names and kinds, without what they hold.
fn shape(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::String(_) => "s".into(),
        Value::Number(_) => 0.into(),
        other => other.clone(),
    }
}

#[test]
fn what_is_no_request_has_no_mask() {
    let mask = Mask::new(&key, Limits::default());
    for body in ["", "{", "[]", r#"{"id":"r"}"#, "{\"id\":\"r\",\"imp\":[{\"id\":\"1\"}],\"x\":\"\u{1}\"}"] {
        assert!(
            matches!(mask.request(&Bytes::from(body.to_owned()), &[]), Err(Unmasked::Refused(_))),
            "{body}"
        );
    }
}

/// So many ids in so long a body are not searched for, and what is not searched is not handed on.
#[test]
fn work_is_bounded() {
    let mask = Mask::new(&key, Limits::default());
    let with = |count: usize| {
        let ids: Vec<String> = (0..count).map(|at| format!("\"id-{at:08}\"")).collect();
        request(&format!(r#""user":{{"ext":{{"x":[{}]}}}}"#, ids.join(",")))
    };
    assert!(mask.request(&Bytes::from(with(500)), &[]).is_ok());
    assert_eq!(mask.request(&Bytes::from(with(20_000)), &[]).unwrap_err(), Unmasked::TooMuch);
}

/// Long texts made of what is looked for take time in proportion to their length; in its square, each would take minutes.
#[test]
fn hostile_texts_are_masked_in_time() {
    let (most, begun) = (150_000, crate::time::Clock::monotonic());
    let repeated = |part: &str| part.repeat(most / part.len());
    for part in ["+", "+1 ", "@", "a@", "a@b.c ", "%", "%25", "a=b&", "12345678,", "\\u0040", "+1234567890"] {
        let members =
            format!(r#""ext":{{"x":"{}"}},"site2":{{"page":"{}"}}"#, repeated(part), repeated(part));
        masked(&request(&members), &["12345678"]);
    }
    let numbers = repeated("12345678,");
    let members = format!(r#""user":{{"id":12345678}},"ext":[{}]"#, numbers.trim_end_matches(','));
    assert!(!masked(&request(&members), &[]).contains("12345678"));
    let took = crate::time::Clock::monotonic().saturating_duration_since(begun);
    assert!(took.as_secs() < 60, "{took:?}");
}

fn json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~é日😀\\n]{0,24}",
        "[a-z]{1,8}@[a-z]{1,8}\\.[a-z]{2,3}",
        "\\+[1-9][0-9]{9,14}",
        "https://[a-z]{1,5}\\.example/\\?[a-z]=[a-z0-9]{1,9}(#[a-z]{1,4})?",
        "[0-9a-f]{8}-[0-9a-f]{4}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let name = prop_oneof![
        "[ -~é]{0,9}",
        proptest::sample::select(vec![
            "id", "user", "ext", "eids", "uids", "data", "segment", "device", "geo", "lat", "ip", "page",
            "email", "uid2", "keywords", "name", "ifa", "tid",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the request: as long, one line, the same shape but for names that are DII, and again the same when it is
    /// masked twice under one key.
    #[test]
    fn any_request_is_masked(user in json(), device in json(), ext in json()) {
        let members = format!(r#""user":{user:#},"device":{device},"ext":{ext}"#);
        let body = Bytes::from(request(&members));
        let mask = Mask::new(&key, Limits::default());
        if BidRequest::parse(body.clone(), &Limits::default()).is_ok() {
            let out = mask.request(&body, &[]).unwrap();
            prop_assert_eq!(out.len(), body.len());
            prop_assert!(!out.contains(&b'\n'));
            let tree: Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(&mask.request(&body, &[]).unwrap(), &out);
            prop_assert_eq!(&tree["site"]["domain"], "www.example.com");
        }
    }
}
