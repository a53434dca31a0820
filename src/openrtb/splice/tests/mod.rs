//! Each rule of an edit, as bytes in and bytes out.

mod adding;
mod removing;

use super::super::{Limits, Place};
use super::*;

const DIALECTS: [Dialect; 4] = [Dialect::V25, Dialect::V26, Dialect::Both, Dialect::AsReceived];
const TOKEN: &str = "T/k+n==";
const OURS: &str = r#"{"source":"uidapi.com","uids":[{"id":"T/k+n==","atype":3}]}"#;
const OURS_26: &str =
    r#"{"source":"uidapi.com","uids":[{"id":"T/k+n==","atype":3}],"inserter":"pub.example","mm":3}"#;

fn add() -> NewEid<'static> {
    NewEid { source: "uidapi.com", id: TOKEN, inserter: None, rti_partner: None, replace: false }
}

fn adding(dialect: Dialect) -> Edit<'static> {
    Edit { dialect, strip: Strip::Nothing, add: Some(add()), remove_user_id: false, fill_gpc: false }
}

fn stripping(dialect: Dialect, strip: Strip<'_>) -> Edit<'_> {
    Edit { dialect, strip, add: None, remove_user_id: false, fill_gpc: false }
}

fn request(members: &str) -> BidRequest {
    let body = format!(r#"{{"id":"r","imp":[{{}}]{members}}}"#);
    BidRequest::parse(body.into(), &Limits::default()).unwrap()
}

/// Applies an edit to what follows `imp` in a request, and gives what follows it in the result.
fn edited(members: &str, edit: &Edit<'_>) -> String {
    let request = request(members);
    let out = plan(&request, edit).segments(&request, None).concat();
    let out = String::from_utf8(out).unwrap();
    serde_json::from_str::<serde_json::Value>(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    out.strip_prefix(r#"{"id":"r","imp":[{}]"#).unwrap().strip_suffix('}').unwrap().to_owned()
}

fn check(edit: &Edit<'_>, cases: &[(&str, &str)]) {
    for (before, after) in cases {
        assert_eq!(edited(before, edit), after.replace("OURS_26", OURS_26).replace("OURS", OURS), "{before}");
    }
}

#[test]
fn nothing_to_do_is_the_body_itself_whatever_the_dialect() {
    let members = r#","user":{"ext":{"eids":[{"source":"a"}],"x":1},"eids":[ ]}"#;
    for dialect in DIALECTS {
        for strip in [Strip::Nothing, Strip::Sources(&["b"]), Strip::Sources(&[])] {
            let request = request(members);
            let plan = plan(&request, &stripping(dialect, strip));
            assert!(plan.is_noop());
            assert_eq!(plan.segments(&request, Some(9)).as_slice(), std::slice::from_ref(request.body()));
        }
        assert!(plan(&request(""), &stripping(dialect, Strip::All)).is_noop());
        assert!(
            plan(&request(r#","user":{"eids":null,"ext":null}"#), &stripping(dialect, Strip::All)).is_noop()
        );
    }
}

#[test]
fn supply_chain_and_consent_strings_are_never_touched() {
    let chain = r#"{ "complete":1, "nodes":[ {"asi":"a.example","sid":"1","hp":1} ], "ver":"1.0" }"#;
    let before = format!(
        r#","source":{{"schain":{chain},"ext":{{"schain":{chain}}}}},"regs":{{"gpp":"DBA\u0041","ext":{{"gpp":"DBAA~"}}}},"user":{{"consent":"CP\u0063","ext":{{"consent":"CP=","uid2":1}}}},"ext":{{"schain":{chain}}}"#
    );
    for dialect in DIALECTS {
        for strip in [Strip::Nothing, Strip::Sources(&["a"]), Strip::All] {
            let out = edited(&before, &Edit { strip, remove_user_id: true, ..adding(dialect) });
            assert_eq!(out.matches(chain).count(), 3, "{out}");
            for kept in
                [r#""gpp":"DBA\u0041""#, r#""gpp":"DBAA~""#, r#""consent":"CP\u0063""#, r#""consent":"CP=""#]
            {
                assert!(out.contains(kept), "{kept}: {out}");
            }
        }
    }
}

#[test]
fn many_edits_of_one_object_compose() {
    let edit = Edit { remove_user_id: true, ..adding(Dialect::V25) };
    check(
        &edit,
        &[
            (
                r#","user":{"id":"u","eids":[1],"ext":{"uid2":1,"publisher_user_id":2}}"#,
                r#","user":{"ext":{"eids":[1,OURS]}}"#,
            ),
            (r#","user":{"id":"u","eids":[1]}"#, r#","user":{"ext":{"eids":[1,OURS]}}"#),
            (
                r#","user":{ "yob":1 , "id":"u" , "eids":[] , "ext":{ "uid2":1 , "k":0 , "publisher_user_id":2 } }"#,
                r#","user":{ "yob":1 , "ext":{ "k":0,"eids":[OURS] } }"#,
            ),
        ],
    );
    let edit = Edit { remove_user_id: true, ..stripping(Dialect::V26, Strip::All) };
    check(
        &edit,
        &[
            (r#","user":{"id":7,"eids":[1],"x":1}"#, r#","user":{"x":1}"#),
            (r#","user":{"id":7}"#, r#","user":{}"#),
        ],
    );
}

#[test]
fn a_wrong_type_forbids_additions_but_not_removals() {
    let edit = Edit { strip: Strip::Sources(&["x"]), ..adding(Dialect::V26) };
    check(
        &edit,
        &[
            (r#","user":[]"#, r#","user":[]"#),
            (r#","regs":5,"user":{"id":"u"}"#, r#","regs":5,"user":{"id":"u"}"#),
            (r#","user":{"ext":"e"}"#, r#","user":{"ext":"e"}"#),
            (
                r#","device":1,"user":{"eids":[{"source":"x"},{"source":"k"}],"ext":{"eids":[{"source":"x"},2],"uid2":1}}"#,
                r#","device":1,"user":{"eids":[{"source":"k"}],"ext":{}}"#,
            ),
            (r#","user":{"eids":{"source":"x"},"id":"u"}"#, r#","user":{"id":"u"}"#),
        ],
    );
    let nothing = adding(Dialect::V26);
    check(
        &nothing,
        &[(r#","user":{"eids":{"source":"x"},"id":"u"}"#, r#","user":{"eids":{"source":"x"},"id":"u"}"#)],
    );
}

/// The members of a request with so many entries of the source `x` in either place.
fn crowded(user: usize, ext: usize) -> String {
    let list = |count: usize| vec![r#"{"source":"x"}"#; count].join(",");
    format!(r#","user":{{"eids":[{}],"id":"u","ext":{{"eids":[{}],"uid2":1}}}}"#, list(user), list(ext))
}

#[test]
fn up_to_the_limit_lists_are_edited_and_past_it_they_are_not_added_to() {
    let edit = |dialect| Edit { strip: Strip::Sources(&["x"]), remove_user_id: true, ..adding(dialect) };
    for dialect in DIALECTS {
        let strip = stripping(dialect, Strip::Sources(&["y"]));
        for (user, ext) in [(256, 0), (0, 256), (200, 56)] {
            assert!(edited(&crowded(user, ext), &edit(dialect)).contains(TOKEN), "{dialect:?} {user} {ext}");
            assert!(edited(&crowded(user, ext), &strip).contains(r#"{"source":"x"}"#));
        }
        for (user, ext, after) in [
            (257, 0, r#","user":{"ext":{"eids":[]}}"#),
            (257, 1, r#","user":{"ext":{}}"#),
            (0, 257, r#","user":{"eids":[],"ext":{}}"#),
            (256, 1, r#","user":{"ext":{}}"#),
        ] {
            assert_eq!(edited(&crowded(user, ext), &edit(dialect)), after, "{dialect:?} {user} {ext}");
        }
        let past = edited(&crowded(256, 1), &strip);
        assert_eq!(past.matches("source").count(), 256, "the list that was read stays, the other goes");
        let past = edited(&crowded(257, 1), &adding(dialect));
        assert_eq!(past, crowded(257, 1).replace(r#","uid2":1"#, ""), "nothing to strip, nothing is added");
    }
}

/// With work for every pair of entries this would take minutes.
#[test]
fn lists_of_any_length_are_handled() {
    for members in
        [format!(r#","user":{{"ext":{{"eids":[{}0]}}}}"#, "0,".repeat(200_000)), crowded(100_000, 100_000)]
    {
        let request = request(&members);
        let entries: usize = Place::ALL.into_iter().map(|place| request.eids().of(place).count()).sum();
        assert_eq!(entries, 256);
        for dialect in DIALECTS {
            for strip in [Strip::Nothing, Strip::Sources(&["x"]), Strip::All] {
                let plan = plan(&request, &Edit { strip, ..adding(dialect) });
                assert!(plan.changes.as_slice().len() <= 3);
                let left = plan.segments(&request, None).concat();
                assert!(strip == Strip::Nothing || left.len() < 100, "{dialect:?} {strip:?}");
            }
        }
    }
}

#[test]
fn tmax_is_rewritten_only_where_it_is() {
    let out = |members: &str, tmax| {
        let request = request(members);
        let plan = plan(&request, &adding(Dialect::V26));
        String::from_utf8(plan.segments(&request, tmax).concat()).unwrap()
    };
    assert!(out(r#","tmax": 500 ,"user":{}"#, Some(120)).contains(r#","tmax": 120 ,"user":{"eids":["#));
    assert!(out(r#","user":{},"tmax":500"#, Some(120)).ends_with(r#"]},"tmax":120}"#));
    assert!(out(r#","tmax":500"#, None).contains(r#""tmax":500"#));
    assert!(out(r#","tmax":null"#, Some(120)).contains(r#""tmax":null"#));
    assert!(!out("", Some(120)).contains("tmax"));
    let request = request(r#","tmax":120"#);
    let unchanged = plan(&request, &stripping(Dialect::V26, Strip::Nothing)).segments(&request, Some(120));
    assert_eq!(unchanged.len(), 1);
}

#[test]
fn unedited_bytes_are_shared() {
    let request = request(r#","tmax":500,"user":{"id":"u"}"#);
    let segments = plan(&request, &adding(Dialect::V26)).segments(&request, Some(100));
    let inbound = request.body().as_ptr_range();
    let shared: Vec<_> = segments.iter().map(|s| inbound.contains(&s.as_ptr())).collect();
    assert_eq!(shared, [true, false, true, false, true]);
}

#[test]
fn tokens_never_show_in_debug_output() {
    let request = request(r#","user":{"id":"secret-user"}"#);
    let edit = adding(Dialect::V26);
    let shown = format!("{request:?} {:?} {:?}", plan(&request, &edit), edit.add);
    assert!(!shown.contains(TOKEN) && !shown.contains("secret-user"), "{shown}");
}
