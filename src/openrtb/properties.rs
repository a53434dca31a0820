//! What must hold for any request: the grammar is that of RFC 8259, and an edit changes what it names and no more.

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::generate::{Style, bid_request, mutated, value};
use super::scan::{Kind, check};
use super::{BidRequest, Dialect, Edit, Limits, NewEid, Place, Strip, plan};

const PLAIN: Style = Style { exotic: false };
const EXOTIC: Style = Style { exotic: true };
const SOURCES: &[&str] = &["uidapi.com", "UidApi.COM", "euid.eu", "a.example", "b.example"];
const OTHERS: &[&str] = &["a.example", "A.EXAMPLE", "b.example"];
const TOKEN: &str = "NewToken+/=";

fn dialect() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::V25), Just(Dialect::V26), Just(Dialect::Both), Just(Dialect::AsReceived)]
}

fn parse(text: &str) -> BidRequest {
    let body = Bytes::copy_from_slice(text.as_bytes());
    BidRequest::parse(body, &Limits::default()).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn edited(text: &str, edit: &Edit<'_>, tmax: Option<u64>) -> String {
    let request = parse(text);
    String::from_utf8(plan(&request, edit).segments(&request, tmax).concat()).unwrap()
}

fn adding(dialect: Dialect) -> Edit<'static> {
    let add = NewEid { source: "uidapi.com", id: TOKEN, inserter: None, rti_partner: None, replace: false };
    Edit { dialect, strip: Strip::Nothing, add: Some(add), remove_user_id: false, fill_gpc: false }
}

/// `serde_json` as the judge of the grammar; it stops at 128 levels, which generated texts do not reach.
fn is_json(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// What differs between two texts: the bytes between their common prefix and their common suffix.
fn difference<'a>(a: &'a str, b: &'a str) -> (&'a [u8], &'a [u8]) {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let prefix = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[prefix..], &b[prefix..]);
    let suffix = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    (&a[..a.len() - suffix], &b[..b.len() - suffix])
}

/// `text` with something else instead of the `part` that stands at `at`.
fn with(text: &str, at: usize, part: &str, instead: &str) -> String {
    let (before, rest) = text.split_at(at);
    format!("{before}{instead}{}", rest.strip_prefix(part).unwrap())
}

/// `text` with `part` cut out, wherever that gives `expected`.
fn gives_when_cut(text: &str, part: &str, expected: &str) -> bool {
    text.match_indices(part).any(|(at, _)| with(text, at, part, "") == expected)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn generated_values_are_accepted_as_serde_json_does(text in value(EXOTIC)) {
        prop_assert!(is_json(text.as_bytes()));
        prop_assert_eq!(check(text.as_bytes(), 64), Ok(()));
    }

    #[test]
    fn broken_values_are_judged_as_serde_json_does(text in mutated(value(EXOTIC))) {
        prop_assert_eq!(check(&text, 64).is_ok(), is_json(&text), "{}", text.escape_ascii());
    }

    /// A request we refuse is no JSON, or breaks a rule of ours: it then names that rule.
    #[test]
    fn broken_requests_are_refused_for_grammar_or_by_name(text in mutated(bid_request(EXOTIC, SOURCES))) {
        use super::ScanReason::{Duplicate, Empty, Missing, NotCount, NotUnique, WrongType};
        let body = Bytes::from(text.clone());
        match BidRequest::parse(body, &Limits::default()) {
            Ok(_) => prop_assert!(is_json(&text)),
            Err(e) if matches!(e.reason, Duplicate | Empty | Missing | NotCount | NotUnique | WrongType) => {}
            Err(e) => prop_assert!(!is_json(&text), "{}: {}", e, text.escape_ascii()),
        }
    }

    /// Where no list has to move and no hint to go, an injection is one insertion.
    #[test]
    fn an_injection_changes_nothing_else(
        text in bid_request(EXOTIC, OTHERS),
        dialect in prop_oneof![Just(Dialect::V25), Just(Dialect::V26), Just(Dialect::AsReceived)],
    ) {
        let request = parse(&text);
        let is_list = |member: Option<super::request::Member>| member.is_some_and(|m| m.kind == Kind::Array);
        let lists = [request.found.layout.user_eids, request.found.layout.ext_eids].map(is_list);
        let moves = match dialect {
            Dialect::V25 => lists[0],
            Dialect::V26 => lists[1],
            Dialect::Both | Dialect::AsReceived => lists == [true, true],
        };
        let hints = request.found.layout.ext_uid2.or(request.found.layout.ext_publisher_user_id);
        prop_assume!(!moves && hints.is_none());
        let out = edited(&text, &adding(dialect), None);
        let eid = r#"{"source":"uidapi.com","uids":[{"id":"NewToken+/=","atype":3}]}"#;
        let list = format!(r#""eids":[{eid}]"#);
        let insertions = [
            format!(",{eid}"), eid.to_owned(),
            list.clone(), format!(",{list}"),
            format!(r#""ext":{{{list}}}"#), format!(r#","ext":{{{list}}}"#),
            format!(r#","user":{{{list}}}"#), format!(r#","user":{{"ext":{{{list}}}}}"#),
        ];
        let nulls = [format!("[{eid}]"), format!("{{{list}}}"), format!(r#"{{"ext":{{{list}}}}}"#)];
        let inserted = insertions.iter().any(|part| gives_when_cut(&out, part, &text));
        let over_null = nulls.iter().any(|part| {
            out.match_indices(part.as_str()).any(|(at, _)| {
                with(&out, at, part, "null") == text
            })
        });
        prop_assert!(inserted || over_null, "{text}\n→ {out}");
    }

    /// Only the digits of `tmax` differ.
    #[test]
    fn a_rewritten_tmax_changes_nothing_else(text in bid_request(EXOTIC, OTHERS), tmax in 0_u64..5000) {
        let request = parse(&text);
        prop_assume!(request.found.layout.ext_uid2.or(request.found.layout.ext_publisher_user_id).is_none());
        let edit = Edit { add: None, ..adding(Dialect::V26) };
        prop_assert!(plan(&request, &edit).is_noop());
        let out = edited(&text, &edit, Some(tmax));
        let (before, after) = difference(&text, &out);
        prop_assert!(before.iter().chain(after).all(u8::is_ascii_digit), "{text}\n→ {out}");
        prop_assert_eq!(parse(&out).tmax(), request.tmax().map(|_| tmax));
    }

    /// The bytes give the tree that the same edit of the tree gives.
    #[test]
    fn the_result_is_the_edited_tree(
        text in bid_request(PLAIN, SOURCES),
        dialect in dialect(),
        remove_user_id: bool,
        how in 0..4_usize,
        with_add: bool,
        fill_gpc: bool,
    ) {
        let family: &[&str] = &["UIDAPI.com", "euid.eu"];
        let strip = [Strip::Nothing, Strip::Sources(family), Strip::All, Strip::Sources(&["b.example"])][how];
        let edit = Edit { strip, remove_user_id, add: adding(dialect).add.filter(|_| with_add), dialect, fill_gpc };
        let out = edited(&text, &edit, None);
        let tree = oracle::edited(serde_json::from_str(&text).unwrap(), &edit);
        prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), tree, "{} \n→ {}", text, out);
        let again = edited(&out, &edit, None);
        prop_assert_eq!(again, out, "a second edit finds nothing to do");
    }

    #[test]
    fn a_strip_leaves_nothing_behind(text in bid_request(EXOTIC, SOURCES), dialect in dialect()) {
        let edit = Edit { strip: Strip::Sources(&["uidapi.com"]), add: None, ..adding(dialect) };
        let out = parse(&edited(&text, &edit, None));
        prop_assert!(!out.eids().has_source("uidapi.com"));
        let before = parse(&text);
        for source in ["euid.eu", "a.example", "b.example"] {
            prop_assert_eq!(out.eids().has_source(source), before.eids().has_source(source));
        }
        let edit = Edit { strip: Strip::All, ..edit };
        prop_assert!(!parse(&edited(&text, &edit, None)).eids().any());
    }
}

/// The same edit, done to a tree by somebody who knows nothing of bytes.
pub(super) mod oracle {
    use super::*;

    pub(in super::super) fn edited(mut tree: Value, edit: &Edit<'_>) -> Value {
        let mut lists = [list(&tree, "/user/eids"), list(&tree, "/user/ext/eids")];
        let strips = |entry: &Value| match edit.strip {
            Strip::Nothing => false,
            Strip::All => true,
            // What has no readable source can be of any.
            Strip::Sources(sources) => {
                !entry.get("source").is_some_and(Value::is_string) || sources.iter().any(|s| is_of(entry, s))
            }
        };
        let stripped = lists.iter().flatten().flatten().any(strips);
        for list in lists.iter_mut().flatten() {
            list.retain(|entry| !strips(entry));
        }
        let kept = lists.iter().flatten().flatten().any(|entry| is_of(entry, "uidapi.com"));
        let new = edit
            .add
            .filter(|_| !kept)
            .map(|add| json!({"source": add.source, "uids": [{"id": add.id, "atype": 3}]}));
        if stripped || new.is_some() {
            write(&mut tree, edit.dialect, lists, new);
        }
        clean(&mut tree, edit.remove_user_id);
        if edit.fill_gpc {
            or_object(&mut or_object(&mut tree["regs"])["ext"])
                .as_object_mut()
                .filter(|ext| ext.get("gpc").is_none_or(Value::is_null))
                .map(|ext| ext.insert("gpc".to_owned(), json!("1")));
        }
        tree
    }

    fn list(tree: &Value, pointer: &str) -> Option<Vec<Value>> {
        tree.pointer(pointer).and_then(Value::as_array).cloned()
    }

    fn is_of(entry: &Value, source: &str) -> bool {
        entry.get("source").and_then(Value::as_str).is_some_and(|s| s.eq_ignore_ascii_case(source))
    }

    fn write(tree: &mut Value, dialect: Dialect, lists: [Option<Vec<Value>>; 2], new: Option<Value>) {
        let [user, ext] = lists;
        if dialect == Dialect::AsReceived {
            let nowhere = user.is_none() && ext.is_none();
            let own = |list: Option<Vec<Value>>| list.map(|l| l.into_iter().chain(new.clone()).collect());
            let (user, ext): (Option<Vec<Value>>, Option<Vec<Value>>) = (own(user), own(ext));
            let user = user.or_else(|| nowhere.then(|| new.clone().into_iter().collect()));
            put(tree, Place::User, user, false);
            put(tree, Place::Ext, ext, false);
            return;
        }
        // Each entry as it is spelled in either place.
        let mut entries: Vec<[Value; 2]> =
            user.iter().flatten().map(|entry| [entry.clone(), entry.clone()]).collect();
        let theirs = entries.len();
        let mut paired = vec![false; theirs];
        let mut others = Vec::new();
        for entry in ext.iter().flatten() {
            let mut twins = (0..theirs).filter(|at| same(&entries[*at][0], entry)).peekable();
            if twins.peek().is_none() {
                others.push(entry);
            } else if let Some(at) = twins.find(|at| !paired[*at]) {
                paired[at] = true;
                entries[at][1] = entry.clone();
            }
        }
        let user: Vec<Value> = user.into_iter().flatten().collect();
        let spelled: Vec<Value> = entries.iter().map(|[_, ext]| ext.clone()).collect();
        for entry in others {
            match (0..theirs).find(|at| akin(&user[*at], entry) && bare(&spelled[*at])) {
                Some(into) => take_over(&mut entries[..theirs], into, entry),
                None => entries.push([entry.clone(), entry.clone()]),
            }
        }
        let mut joined: Vec<Value> = entries.iter().map(|[user, _]| user.clone()).collect();
        let mut in_ext: Vec<Value> = entries.into_iter().map(|[_, ext]| ext).collect();
        joined.extend(new.clone());
        in_ext.extend(new);
        let at = |here: bool, list: &Vec<Value>| here.then(|| list.clone());
        put(tree, Place::User, at(dialect != Dialect::V25, &joined), dialect == Dialect::V25);
        put(tree, Place::Ext, at(dialect != Dialect::V26, &in_ext), dialect == Dialect::V26);
    }

    fn uids(entry: &Value) -> &[Value] {
        entry.get("uids").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Has a list of uids, and says no more than whose they are and how they came to be.
    fn bare(entry: &Value) -> bool {
        let known = ["source", "uids", "inserter", "matcher", "mm"];
        let members =
            entry.as_object().is_some_and(|entry| entry.keys().all(|key| known.contains(&key.as_str())));
        members && entry["uids"].is_array() && entry["source"].is_string()
    }

    /// Two entries that differ in their uids alone.
    fn akin(a: &Value, b: &Value) -> bool {
        let without = |entry: &Value| json!({"source": entry["source"], "mm": entry.get("mm"), "uids": []});
        bare(a) && bare(b) && same(&without(a), &without(b))
    }

    /// Adds the uids of an entry whose ids no akin one of `user.eids` has.
    fn take_over(entries: &mut [[Value; 2]], into: usize, from: &Value) {
        for uid in uids(from) {
            let held = entries.iter().filter(|[user, _]| akin(user, from)).flat_map(|[user, _]| uids(user));
            let known =
                uid.get("id").is_some() && held.into_iter().any(|held| held.get("id") == uid.get("id"));
            if !known {
                for spelling in &mut entries[into] {
                    spelling["uids"].as_array_mut().unwrap().push(uid.clone());
                }
            }
        }
    }

    fn same(a: &Value, b: &Value) -> bool {
        let ids = |entry: &Value| {
            let uids = entry.get("uids").and_then(Value::as_array).cloned().unwrap_or_default();
            uids.iter().map(|uid| uid.get("id").cloned()).collect::<Vec<_>>()
        };
        let mm = |entry: &Value| entry.get("mm").filter(|mm| !mm.is_null()).cloned();
        let readable = |entry: &Value| ids(entry).iter().all(|id| id.as_ref().is_some_and(Value::is_string));
        let uids = if readable(a) && readable(b) { ids(a) == ids(b) } else { a.get("uids") == b.get("uids") };
        match (a.get("source").and_then(Value::as_str), b.get("source").and_then(Value::as_str)) {
            (Some(x), Some(y)) => x.eq_ignore_ascii_case(y) && uids && mm(a) == mm(b),
            (None, None) => a == b,
            _ => false,
        }
    }

    /// Writes a list; an emptied one goes, and so does one that has moved.
    fn put(tree: &mut Value, place: Place, list: Option<Vec<Value>>, move_away: bool) {
        let list = match list {
            None if !move_away => return,
            list => list.unwrap_or_default(),
        };
        let pointer = if place == Place::User { "/user" } else { "/user/ext" };
        if list.is_empty() {
            let holder = tree.pointer_mut(pointer).and_then(Value::as_object_mut);
            let Some(holder) = holder else { return };
            let gone = |eids: &Vec<Value>| move_away || !eids.is_empty();
            if holder.get("eids").and_then(Value::as_array).is_some_and(gone) {
                holder.remove("eids");
            }
            return;
        }
        let user = or_object(&mut tree["user"]);
        let holder = if place == Place::User { user } else { or_object(&mut user["ext"]) };
        holder["eids"] = Value::Array(list);
    }

    fn or_object(value: &mut Value) -> &mut Value {
        if value.is_null() {
            *value = json!({});
        }
        value
    }

    fn clean(tree: &mut Value, remove_user_id: bool) {
        let Some(user) = tree.get_mut("user").and_then(Value::as_object_mut) else { return };
        if remove_user_id {
            user.remove("id");
        }
        if let Some(ext) = user.get_mut("ext").and_then(Value::as_object_mut) {
            ext.remove("uid2");
            ext.remove("publisher_user_id");
        }
    }
}
