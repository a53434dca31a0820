//! Generated JSON for the property tests: odd white space, escapes, numbers, and members missing or standing twice.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

/// What a generated text may hold.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Lone surrogates and numbers beyond any machine type: valid grammar, but no tree holds them.
    pub exotic: bool,
}

fn space() -> impl Strategy<Value = String> {
    select(vec!["", "", "", " ", "\n  ", "\t", "\r\n"]).prop_map(str::to_owned)
}

fn number(style: Style) -> impl Strategy<Value = String> {
    let mut numbers =
        vec!["0", "-0", "7", "8.250", "1e3", "-12.5E-2", "12345678901234567890123", "0.10", "1.0E+2"];
    if style.exotic {
        numbers.extend(["1e999", "-1E+400"]);
    }
    select(numbers).prop_map(str::to_owned)
}

/// A JSON string, quotes included.
pub(super) fn string(style: Style) -> impl Strategy<Value = String> {
    let mut parts =
        vec!["a", "zz", "0", "é", "日本", "😀", r#"\""#, r"\\", r"\/", r"\n", r"\u00e9", r"\ud83d\ude00"];
    parts.extend(["uid", "{", "}", "[", "]", ",", ":", " ", "abcdefghijklmnop"]);
    if style.exotic {
        parts.extend([r"\ud800", r"\udc00\ud800"]);
    }
    vec(select(parts), 0..5).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// A string of this value, some of its ASCII letters escaped.
pub(super) fn spelled(value: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(0_u64), 1 => any::<u64>()].prop_map(move |escape| {
        let letters = value.chars().enumerate();
        let spelled = letters.map(|(i, c)| {
            if escape >> (i % 64) & 1 == 1 { format!("\\u{:04x}", c as u32) } else { c.to_string() }
        });
        format!("\"{}\"", spelled.collect::<String>())
    })
}

/// Any value.
pub(super) fn value(style: Style) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        number(style),
        string(style),
        select(vec!["true", "false", "null", "[]", "{}"]).prop_map(str::to_owned)
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![array(vec(inner.clone(), 0..4)), object(vec((string(style), inner), 0..4)),]
    })
    .boxed()
}

pub(super) fn array(elements: impl Strategy<Value = Vec<String>>) -> impl Strategy<Value = String> {
    (elements, space(), space()).prop_map(|(elements, before, after)| {
        format!("[{before}{}{after}]", elements.join(&format!("{after},{before}")))
    })
}

fn object(members: impl Strategy<Value = Vec<(String, String)>>) -> impl Strategy<Value = String> {
    (members, space(), space(), space()).prop_map(|(members, before, colon, after)| {
        let members = members.into_iter().map(|(key, value)| format!("{key}{colon}:{before}{value}"));
        let members: Vec<String> = members.collect();
        format!("{{{before}{}{after}}}", members.join(&format!("{after},{before}")))
    })
}

type Members = BoxedStrategy<Vec<(String, String)>>;

/// An object with these members, in any order, among others that nobody reads.
pub(super) fn object_of(
    style: Style,
    members: Vec<(&'static str, BoxedStrategy<String>, bool)>,
) -> BoxedStrategy<String> {
    let mut all: Members = vec((unknown_key(), value(style)), 0..3).boxed();
    for (name, value, required) in members {
        let there = (spelled(name), value).prop_map(Some);
        let member = if required { there.boxed() } else { prop_oneof![3 => there, 2 => Just(None)].boxed() };
        all = (all, member)
            .prop_map(|(mut all, member)| {
                all.extend(member);
                all
            })
            .boxed();
    }
    object(all.prop_shuffle()).boxed()
}

fn unknown_key() -> impl Strategy<Value = String> {
    select(vec![r#""x""#, r#""EIDS""#, r#""ex\u0074ra""#, r#""yé""#, r#""id2""#]).prop_map(str::to_owned)
}

fn eid(style: Style, sources: &[&'static str]) -> BoxedStrategy<String> {
    let source = Union::new(sources.iter().map(|source| spelled(source).boxed())).boxed();
    let ids = Union::new(["t1", "t2"].map(|id| spelled(id).boxed())).boxed();
    let uid = object_of(style, vec![("id", ids, true), ("atype", Just("3".to_owned()).boxed(), false)]);
    let provenance = select(vec!["3", "null", "\"m\""]).prop_map(str::to_owned).boxed();
    let entry = object_of(
        style,
        vec![
            ("source", source, true),
            ("uids", array(vec(uid, 0..3)).boxed(), true),
            ("mm", provenance, false),
        ],
    );
    prop_oneof![6 => entry, 1 => select(vec!["{}", "5", "null", r#"{"source":1}"#]).prop_map(str::to_owned)]
        .boxed()
}

fn or_null(value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    prop_oneof![8 => value, 1 => Just("null".to_owned())].boxed()
}

/// A bid request with lists of these sources in both places, in every shape we accept.
pub(super) fn bid_request(style: Style, sources: &'static [&'static str]) -> BoxedStrategy<String> {
    let eids = move || or_null(array(vec(eid(style, sources), 0..4)));
    let ext = object_of(
        style,
        vec![
            ("eids", eids(), false),
            ("uid2", value(style), false),
            ("publisher_user_id", value(style), false),
            ("consent", string(style).boxed(), false),
        ],
    );
    let user = object_of(
        style,
        vec![("id", string(style).boxed(), false), ("eids", eids(), false), ("ext", or_null(ext), false)],
    );
    let gpc = select(vec![r#""1""#, r#""0""#, "1", "null"]).prop_map(str::to_owned).boxed();
    let regs_ext = object_of(style, vec![("gpc", gpc, false)]);
    let regs = object_of(style, vec![("ext", or_null(regs_ext), false)]);
    let imp = move |id| object_of(style, vec![("id", spelled(id).boxed(), false)]);
    let imps = prop_oneof![
        imp("i1").prop_map(|imp| vec![imp]),
        (imp("i1"), imp("i2")).prop_map(|(a, b)| vec![a, b])
    ];
    let tmax = (0_u32..5000).prop_map(|tmax| tmax.to_string()).boxed();
    object_of(
        style,
        vec![
            ("id", spelled("r-1").boxed(), true),
            ("imp", array(imps).boxed(), true),
            ("user", or_null(user), false),
            ("regs", or_null(regs), false),
            ("tmax", tmax, false),
        ],
    )
}

/// A text broken, or not, by one byte that is put, taken or changed.
pub(super) fn mutated(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let bytes = select(b"{}[]\",:\\0.e-+tfn \n\x1f\x7f\xff\xc3u".to_vec());
    (text, any::<prop::sample::Index>(), bytes, 0..4_u8).prop_map(|(text, at, byte, how)| {
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        match how {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            2 => drop(text.remove(at)),
            _ => text.truncate(at),
        }
        text
    })
}
