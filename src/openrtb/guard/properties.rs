//! Whatever stands where under `user`: the guard takes what it should and no more, and every edit works on what is left.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::super::generate::{Style, bid_request, value as any_json};
use super::super::properties::oracle;
use super::super::{Dialect, Edit, Limits, NewEid, Strip, plan};
use super::*;

const HEX: &str = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";
const RAW: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const PLANTED: [&str; 5] = [
    "joe@example.com",
    "mailto:joe@example.com?x=1",
    "+15551234567",
    "{\"e\":\"joe@example.com\"}",
    "joe%40example.com",
];

fn text() -> impl Strategy<Value = String> {
    let clean =
        ["", "a", "u-1", "50% @home", HEX, "6e5b2c52-9a5e-4f0b-9a0e-0d3a7c2d8c1f", "15551234567", "é\"\\\n"];
    prop_oneof![3 => select(clean.to_vec()), 1 => select(PLANTED.to_vec())].prop_map(str::to_owned)
}

fn value() -> BoxedStrategy<Value> {
    let scalar = select(vec![json!(null), json!(true), json!(7), json!([]), json!({})]);
    let leaf = prop_oneof![3 => text().prop_map(Value::String), 1 => scalar];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let key = select(vec!["a", "b", "value", "id", "hem", "joe@example.com"]);
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            vec((key, inner), 0..3)
                .prop_map(|members| object(members.into_iter().map(|(k, v)| (k, Some(v))))),
        ]
    })
    .boxed()
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, Option<Value>)>) -> Value {
    let there = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}

fn list(items: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec(items, 0..4).prop_map(Value::Array)
}

fn maybe(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    prop::option::of(value)
}

fn eids() -> impl Strategy<Value = Value> {
    let id = prop_oneof![4 => text(), 1 => Just(RAW.to_owned())].prop_map(Value::String);
    let uid = (id, maybe(value())).prop_map(|(id, ext)| object([("id", Some(id)), ("ext", ext)]));
    let source = select(vec![json!("uidapi.com"), json!("EUID.eu"), json!("b.example")]);
    list((source, list(uid)).prop_map(|(source, uids)| json!({"source": source, "uids": uids})))
}

fn data() -> impl Strategy<Value = Value> {
    let name = select(vec![json!("email_hash"), json!("interest"), json!(PLANTED[0])]);
    let hash = select(vec![json!(HEX), json!("x"), json!(PLANTED[2])]);
    let segment =
        (maybe(name), hash).prop_map(|(name, value)| object([("name", name), ("value", Some(value))]));
    list(list(segment).prop_map(|segments| json!({"segment": segments, "n": 1})))
}

fn keywords() -> impl Strategy<Value = Value> {
    let word = select(["a", "b c", "", PLANTED[0], PLANTED[2], "hem=7"].to_vec());
    vec(word, 1..4).prop_map(|words| Value::String(words.join(",")))
}

fn user() -> impl Strategy<Value = Value> {
    let ext = (maybe(eids()), maybe(value()), maybe(value()))
        .prop_map(|(eids, x, uid2)| object([("eids", eids), ("x", x), ("uid2", uid2)]));
    let leaf = || maybe(text().prop_map(Value::String));
    (
        (leaf(), leaf(), leaf()),
        (maybe(keywords()), maybe(list(value())), maybe(data()), maybe(eids()), maybe(ext), maybe(value())),
    )
        .prop_map(|((id, buyeruid, customdata), (keywords, kwarray, data, eids, ext, x))| {
            object([
                ("id", id),
                ("buyeruid", buyeruid),
                ("customdata", customdata),
                ("keywords", keywords),
                ("kwarray", kwarray),
                ("data", data),
                ("eids", eids),
                ("ext", ext),
                ("x", x),
            ])
        })
}

/// What the guard should leave, told by somebody who knows nothing of bytes.
mod expected {
    use super::*;

    fn is_dii(text: &str, known: bool) -> bool {
        PLANTED.contains(&text) || (known && text == HEX)
    }

    /// Whether a value goes; what goes inside of it is gone by then.
    fn any(value: &mut Value, known: bool) -> bool {
        match value {
            Value::String(text) => is_dii(text, known),
            Value::Array(items) => {
                items.retain_mut(|item| !any(item, known));
                false
            }
            Value::Object(members) => {
                members.retain(|key, value| {
                    let known = key == "hem" || (known && matches!(key.as_str(), "value" | "id"));
                    let named = is_dii(key, false);
                    !any(value, known) && !named
                });
                false
            }
            _ => false,
        }
    }

    fn keywords(value: &mut Value) -> bool {
        let words: Vec<&str> = value.as_str().unwrap().split(',').collect();
        let stay: Vec<&str> = words.iter().copied().filter(|word| !is_dii(word, false)).collect();
        let gone = stay.is_empty();
        *value = Value::String(stay.join(","));
        gone
    }

    fn eids(value: &mut Value) -> bool {
        let entries = value.as_array_mut().unwrap();
        let were = entries.len();
        entries.retain_mut(|entry| {
            let tokens = entry["source"] != "b.example";
            let uids = entry["uids"].as_array_mut().unwrap();
            let were = uids.len();
            uids.retain_mut(|uid| {
                let id = uid["id"].as_str().unwrap();
                let goes = is_dii(id, false) || (tokens && id == RAW);
                any(uid, false);
                !goes
            });
            were == 0 || !uids.is_empty()
        });
        were > 0 && entries.is_empty()
    }

    fn data(value: &mut Value) {
        for segment in
            value.as_array_mut().unwrap().iter_mut().flat_map(|d| d["segment"].as_array_mut().unwrap())
        {
            let known = segment.get("name") == Some(&json!("email_hash"));
            segment.as_object_mut().unwrap().retain(|_, value| !any(value, known));
        }
    }

    pub(super) fn user(user: &mut Value) {
        user.as_object_mut().unwrap().retain(|key, value| match key.as_str() {
            "keywords" => !keywords(value),
            "eids" => !eids(value),
            "data" => {
                data(value);
                true
            }
            "ext" => {
                value.as_object_mut().unwrap().retain(|key, value| match key.as_str() {
                    "eids" => !eids(value),
                    "uid2" => true,
                    _ => !any(value, false),
                });
                true
            }
            _ => !any(value, false),
        });
    }
}

/// Some characters as escapes, as a publisher's serializer might have it.
fn respelled(tree: &Value, how: u8) -> String {
    let json = if how & 4 == 4 { format!("{tree:#}") } else { tree.to_string() };
    let json = if how & 1 == 1 { json.replace('@', r"\u0040") } else { json };
    if how & 2 == 2 { json.replace("joe", r"j\u006Fe") } else { json }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Whatever JSON stands under `user`, one look is enough, and what is left is a request.
    #[test]
    fn one_look_is_enough(
        user in any_json(Style { exotic: true }),
        whole in bid_request(Style { exotic: true }, &["uidapi.com", "a.example"]),
        planted in select(PLANTED[..3].to_vec()),
        alone: bool,
    ) {
        let plant = |text: &str| text.replace("abcdefghijklmnop", planted).replace("\"zz\"", &format!("\"{planted}\""));
        let text = if alone { format!(r#"{{"id":"r","imp":[{{}}],"user":{}}}"#, plant(&user)) } else { plant(&whole) };
        let watch = Watch { dii: true, own: &[], tokens_of: &["uidapi.com"] };
        // With DII in a name of ours twice it is no request.
        let Ok(request) = BidRequest::parse(text.clone().into(), &Limits::default()) else { return Ok(()) };
        if let Some(found) = inspect(&request, &watch) {
            let cleaned = found.cleaned(&request).unwrap();
            prop_assert!(inspect(&cleaned, &watch).is_none(), "{}", text);
            prop_assert!(cleaned.body().len() < request.body().len());
        }
    }

    #[test]
    fn the_guard_and_every_edit_after_it_change_what_they_should(
        user in user(),
        how in 0..8_u8,
        dialect in select(vec![Dialect::V25, Dialect::V26, Dialect::Both, Dialect::AsReceived]),
        strip in 0..3_usize,
        with_add: bool,
    ) {
        let tree = json!({"id": "r", "imp": [{"id": "1", "x": PLANTED[0]}], "user": user, "site": {"p": PLANTED[0]}});
        let text = respelled(&tree, how);
        let request = BidRequest::parse(text.clone().into(), &Limits::default()).unwrap();
        let watch = Watch { dii: true, own: &[], tokens_of: &["uidapi.com", "euid.eu"] };
        let found = inspect(&request, &watch);
        // A hint that stands nowhere makes the guard look closer without a first look; it finds nothing more.
        let closer = inspect(&request, &Watch { own: &[[7; 32]], ..watch });
        let hits = |found: Option<&Found>| found.map(|found| found.hits().to_vec());
        prop_assert_eq!(hits(found.as_ref()), hits(closer.as_ref()), "{}", text);
        let cleaned = found.map_or_else(|| request.clone(), |found| found.cleaned(&request).unwrap());

        let mut expected = serde_json::from_str::<Value>(&text).unwrap();
        expected::user(&mut expected["user"]);
        let tree: Value = serde_json::from_slice(cleaned.body()).unwrap();
        prop_assert_eq!(&tree, &expected, "{}", text);
        prop_assert!(inspect(&cleaned, &watch).is_none(), "a second look finds nothing: {}", text);

        let strip = [Strip::Nothing, Strip::Sources(&["euid.eu"]), Strip::All][strip];
        let add = NewEid { source: "uidapi.com", id: "TOKEN", inserter: None, rti_partner: None, replace: false };
        let edit = Edit { dialect, strip, add: Some(add).filter(|_| with_add), remove_user_id: false, fill_gpc: false };
        let out = plan(&cleaned, &edit).segments(&cleaned, None).concat();
        let tree: Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(&tree, &oracle::edited(expected, &edit), "{}", text);
        let user = tree["user"].to_string();
        let hints = tree["user"]["ext"].get("uid2");
        prop_assert!(hints.is_none());
        prop_assert!(!user.contains("joe"), "{}", user);
    }
}
