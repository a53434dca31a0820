//! Each rule of an edit, as bytes in and bytes out.

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
fn v26_adds_to_user_eids() {
    check(
        &adding(Dialect::V26),
        &[
            ("", r#","user":{"eids":[OURS]}"#),
            (r#","user":null"#, r#","user":{"eids":[OURS]}"#),
            (r#","user":{}"#, r#","user":{"eids":[OURS]}"#),
            (r#","user": { "id":"u" } "#, r#","user": { "id":"u","eids":[OURS] } "#),
            (r#","user":{"eids":null,"id":"u"}"#, r#","user":{"eids":[OURS],"id":"u"}"#),
            (r#","user":{"eids":[ ]}"#, r#","user":{"eids":[OURS ]}"#),
            (r#","user":{"eids":[{"source":"a"} ]}"#, r#","user":{"eids":[{"source":"a"},OURS ]}"#),
            (r#","user":{"eids":[7]}"#, r#","user":{"eids":[7,OURS]}"#),
        ],
    );
}

#[test]
fn v26_takes_over_the_entries_of_the_other_place_as_they_are() {
    check(
        &adding(Dialect::V26),
        &[
            (
                r#","user":{"ext":{"eids":[ {"source": "a", "n":1.0} ,5]}}"#,
                r#","user":{"ext":{},"eids":[{"source": "a", "n":1.0},5,OURS]}"#,
            ),
            (
                r#","user":{"eids":[{"source":"a"}],"ext":{"x":1,"eids":[{"source":"A"},{"source":"b"}],"y":2}}"#,
                r#","user":{"eids":[{"source":"a"},{"source":"b"},OURS],"ext":{"x":1,"y":2}}"#,
            ),
            (r#","user":{"eids":[],"ext":{"eids":[]}}"#, r#","user":{"eids":[OURS],"ext":{}}"#),
        ],
    );
}

#[test]
fn entries_of_one_source_and_provenance_become_one() {
    check(
        &adding(Dialect::V26),
        &[
            (
                r#","user":{"eids":[{"source":"a","mm":3,"uids":[{"id":"1"} ]},2],"ext":{"eids":[{"uids":[{"id":"\u0031"},{ "id":"2"},{"x":0}],"mm":"3","source":"A"}]}}"#,
                r#","user":{"eids":[{"source":"a","mm":3,"uids":[{"id":"1"},{ "id":"2"},{"x":0} ]},2,OURS],"ext":{}}"#,
            ),
            (
                r#","user":{"eids":[{"source":"a","uids":[]}],"ext":{"eids":[{"source":"a","uids":[{"id":"2"}]},{"source":"a","uids":[{"id":"2"},7]}]}}"#,
                r#","user":{"eids":[{"source":"a","uids":[{"id":"2"},7]},OURS],"ext":{}}"#,
            ),
            (
                r#","user":{"eids":[{"source":"a","uids":[{"id":"1"},{"id":"2"}]}],"ext":{"eids":[{"source":"a","uids":[{"id":"2"}]}]}}"#,
                r#","user":{"eids":[{"source":"a","uids":[{"id":"1"},{"id":"2"}]},OURS],"ext":{}}"#,
            ),
            // What is no uid has no id, not even that of the next one.
            (
                r#","user":{"eids":[{"source":"a","uids":[{"id":"1"}]}],"ext":{"eids":[{"source":"a","uids":[0,{"id":"1"},"x",[{"id":"1"}],{"id":"2"}]}]}}"#,
                r#","user":{"eids":[{"source":"a","uids":[{"id":"1"},0,"x",[{"id":"1"}],{"id":"2"}]},OURS],"ext":{}}"#,
            ),
            // Anything else said sets them apart.
            (
                r#","user":{"eids":[{"source":"a","uids":[{"id":"1"}]}],"ext":{"eids":[{"source":"a","uids":[{"id":"2"}],"ext":{}},{"source":"a","mm":1,"uids":[{"id":"2"}]}]}}"#,
                r#","user":{"eids":[{"source":"a","uids":[{"id":"1"}]},{"source":"a","uids":[{"id":"2"}],"ext":{}},{"source":"a","mm":1,"uids":[{"id":"2"}]},OURS],"ext":{}}"#,
            ),
        ],
    );
    let before = r#","user":{"ext":{"eids":[{"source":"a","uids":[{"id":"2"}]},1]},"eids":[{"source":"a","uids":[{"id":"1"}]}]}"#;
    let one = r#"{"source":"a","uids":[{"id":"1"},{"id":"2"}]}"#;
    check(&adding(Dialect::V25), &[(before, &format!(r#","user":{{"ext":{{"eids":[{one},1,OURS]}}}}"#))]);
    let both = format!(r#","user":{{"ext":{{"eids":[{one},1,OURS]}},"eids":[{one},1,OURS]}}"#);
    check(&adding(Dialect::Both), &[(before, &both)]);
    let replace = Edit { add: Some(NewEid { source: "a", replace: true, ..add() }), ..adding(Dialect::V26) };
    let after = r#","user":{"ext":{},"eids":[{"source":"a","uids":[{"id":"T/k+n=="}]},1]}"#;
    check(&replace, &[(before, after)]);
}

/// An entry that was in both places takes over no uids if it has no list of them in one, or says more there.
#[test]
fn no_uid_gets_lost_in_another_spelling_or_under_words_about_others() {
    let plain = r#"{"source":"a","uids":[]}"#;
    let more = r#"{"source":"a","uids":[{"id":"1"}]}"#;
    for spelling in [r#"{"source":"a","uids":null}"#, r#"{"source":"a","uids":[],"ext":{"x":1}}"#] {
        for ext in [format!("{spelling},{more}"), format!("{more},{spelling}")] {
            let before = format!(r#","user":{{"eids":[{plain}],"ext":{{"eids":[{ext}]}}}}"#);
            let v26 = format!(r#","user":{{"eids":[{plain},{more},OURS],"ext":{{}}}}"#);
            check(&adding(Dialect::V26), &[(&before, &v26)]);
            let v25 = format!(r#","user":{{"ext":{{"eids":[{spelling},{more},OURS]}}}}"#);
            check(&adding(Dialect::V25), &[(&before, &v25)]);
        }
        let second = format!(r#","user":{{"eids":[{plain},{plain}],"ext":{{"eids":[{spelling},{more}]}}}}"#);
        let v26 = format!(r#","user":{{"eids":[{plain},{more},OURS],"ext":{{}}}}"#);
        check(&adding(Dialect::V26), &[(&second, &v26)]);
    }
}

#[test]
fn v25_adds_to_user_ext_eids() {
    check(
        &adding(Dialect::V25),
        &[
            ("", r#","user":{"ext":{"eids":[OURS]}}"#),
            (r#","user":null"#, r#","user":{"ext":{"eids":[OURS]}}"#),
            (r#","user":{"ext":null}"#, r#","user":{"ext":{"eids":[OURS]}}"#),
            (r#","user":{"id":"u","ext":{}}"#, r#","user":{"id":"u","ext":{"eids":[OURS]}}"#),
            (r#","user":{"ext":{"eids":[1]}}"#, r#","user":{"ext":{"eids":[1,OURS]}}"#),
            (r#","user":{"eids":[1],"id":"u"}"#, r#","user":{"id":"u","ext":{"eids":[1,OURS]}}"#),
            (r#","user":{"eids":[1]}"#, r#","user":{"ext":{"eids":[1,OURS]}}"#),
            (r#","user":{"ext":{"eids":[2,1]},"eids":[1]}"#, r#","user":{"ext":{"eids":[1,2,OURS]}}"#),
        ],
    );
}

#[test]
fn both_get_the_same_list() {
    check(
        &adding(Dialect::Both),
        &[
            ("", r#","user":{"eids":[OURS],"ext":{"eids":[OURS]}}"#),
            (r#","user":{"eids":[1]}"#, r#","user":{"eids":[1,OURS],"ext":{"eids":[1,OURS]}}"#),
            (
                r#","user":{"eids":[1],"ext":{"eids":[ 1, 2 ]}}"#,
                r#","user":{"eids":[1,2,OURS],"ext":{"eids":[ 1, 2,OURS ]}}"#,
            ),
            (
                r#","user":{"ext":{"eids":[2],"x":0}}"#,
                r#","user":{"ext":{"eids":[2,OURS],"x":0},"eids":[2,OURS]}"#,
            ),
        ],
    );
}

#[test]
fn an_entry_in_both_places_keeps_its_spelling_in_each() {
    let (a, b) = (r#"{"source":"a","uids":[]}"#, r#"{ "uids":[], "source":"A" }"#);
    let before = format!(r#","user":{{"eids":[1,{a}],"ext":{{"eids":[{b}]}}}}"#);
    let after = format!(r#","user":{{"eids":[1,{a},OURS],"ext":{{"eids":[1,{b},OURS]}}}}"#);
    check(&adding(Dialect::Both), &[(&before, &after)]);
}

#[test]
fn as_received_writes_where_the_publisher_wrote() {
    check(
        &adding(Dialect::AsReceived),
        &[
            ("", r#","user":{"eids":[OURS]}"#),
            (r#","user":{"eids":[1],"ext":{"x":1}}"#, r#","user":{"eids":[1,OURS],"ext":{"x":1}}"#),
            (r#","user":{"ext":{"eids":[1]}}"#, r#","user":{"ext":{"eids":[1,OURS]}}"#),
            (r#","user":{"eids":null,"ext":{"eids":[]}}"#, r#","user":{"eids":null,"ext":{"eids":[OURS]}}"#),
            (
                r#","user":{"eids":[1],"ext":{"eids":[2]}}"#,
                r#","user":{"eids":[1,OURS],"ext":{"eids":[2,OURS]}}"#,
            ),
        ],
    );
}

#[test]
fn provenance_is_written_where_26_is_read() {
    let with =
        |dialect| Edit { add: Some(NewEid { inserter: Some("pub.example"), ..add() }), ..adding(dialect) };
    check(&with(Dialect::V26), &[("", r#","user":{"eids":[OURS_26]}"#)]);
    check(&with(Dialect::V25), &[("", r#","user":{"ext":{"eids":[OURS]}}"#)]);
    check(&with(Dialect::Both), &[("", r#","user":{"eids":[OURS_26],"ext":{"eids":[OURS_26]}}"#)]);
    check(
        &with(Dialect::AsReceived),
        &[
            ("", r#","user":{"eids":[OURS_26]}"#),
            (r#","user":{"ext":{"eids":[]}}"#, r#","user":{"ext":{"eids":[OURS]}}"#),
        ],
    );
    let odd = Edit { add: Some(NewEid { inserter: Some("a\"\n"), ..add() }), ..adding(Dialect::V26) };
    assert!(edited("", &odd).contains(r#""inserter":"a\"\u000a""#));
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
fn stripping_removes_by_source_in_both_places() {
    let uid = r#"{"source":"UIDAPI.com","uids":[{"id":"t"}]}"#;
    let escaped = r#"{"source":"uid\u0061pi.com"}"#;
    let edit = stripping(Dialect::AsReceived, Strip::Sources(&["uidapi.com", "euid.eu"]));
    for (before, after) in [
        (format!(r#","user":{{"eids":[{uid},{{"source":"k"}}]}}"#), r#","user":{"eids":[{"source":"k"}]}"#),
        (
            format!(r#","user":{{"eids":[ {{"source":"k"}} , {uid} ]}}"#),
            r#","user":{"eids":[ {"source":"k"} ]}"#,
        ),
        (format!(r#","user":{{"eids":[{escaped},{uid}],"id":"u"}}"#), r#","user":{"id":"u"}"#),
        (format!(r#","user":{{"id":"u","eids":[{uid}]}}"#), r#","user":{"id":"u"}"#),
        (format!(r#","user":{{"eids":[{uid}],"ext":{{"eids":[{escaped}]}}}}"#), r#","user":{"ext":{}}"#),
        (
            format!(r#","user":{{"ext":{{"a":1,"eids":[{{"source":"k"}},{escaped},{{"source":"l"}}]}}}}"#),
            r#","user":{"ext":{"a":1,"eids":[{"source":"k"},{"source":"l"}]}}"#,
        ),
        // What has no readable source can be of any; white space and a dot at the end of a name do not hide it.
        (
            r#","user":{"eids":[1,[{"source":"uidapi.com"}],{"source":["uidapi.com"]},{},{"source":" UIDAPI.com. "}]}"#.into(),
            r#","user":{}"#,
        ),
    ] {
        assert_eq!(edited(&before, &edit), after, "{before}");
    }
}

#[test]
fn stripping_moves_what_is_left_to_where_the_dialect_reads() {
    let before =
        r#","user":{"eids":[{"source":"x"},{"source":"k"}],"ext":{"eids":[{"source":"X"},{"source":"l"}]}}"#;
    let strip = |dialect| edited(before, &stripping(dialect, Strip::Sources(&["x"])));
    assert_eq!(strip(Dialect::V26), r#","user":{"eids":[{"source":"k"},{"source":"l"}],"ext":{}}"#);
    assert_eq!(strip(Dialect::V25), r#","user":{"ext":{"eids":[{"source":"k"},{"source":"l"}]}}"#);
    assert_eq!(
        strip(Dialect::Both),
        r#","user":{"eids":[{"source":"k"},{"source":"l"}],"ext":{"eids":[{"source":"k"},{"source":"l"}]}}"#
    );
    assert_eq!(
        strip(Dialect::AsReceived),
        r#","user":{"eids":[{"source":"k"}],"ext":{"eids":[{"source":"l"}]}}"#
    );
    for dialect in DIALECTS {
        assert_eq!(edited(before, &stripping(dialect, Strip::All)), r#","user":{"ext":{}}"#);
    }
}

#[test]
fn strip_and_add_compose() {
    let edit = Edit { strip: Strip::All, ..adding(Dialect::V26) };
    check(
        &edit,
        &[
            (r#","user":{"eids":[1, 2],"ext":{"eids":[3]}}"#, r#","user":{"eids":[OURS],"ext":{}}"#),
            (r#","user":{"ext":{"eids":[3]}}"#, r#","user":{"ext":{},"eids":[OURS]}"#),
        ],
    );
}

#[test]
fn an_entry_that_stays_is_not_joined_by_a_second_of_its_source() {
    let members = r#","user":{"ext":{"eids":[{"source":"UidApi.com"}]}}"#;
    let request = request(members);
    assert!(plan(&request, &adding(Dialect::V26)).is_noop());
    let edit = Edit { strip: Strip::Sources(&["uidapi.com"]), ..adding(Dialect::V26) };
    assert!(edited(members, &edit).contains(TOKEN), "unless it goes");
}

#[test]
fn replace_swaps_the_id_in_place() {
    let replacing = |dialect| Edit { add: Some(NewEid { replace: true, ..add() }), ..adding(dialect) };
    check(
        &replacing(Dialect::V26),
        &[
            (r#","user":{"eids":[1]}"#, r#","user":{"eids":[1,OURS]}"#),
            (
                r#","user":{"eids":[{"source":"UIDapi.com", "uids":[{"id" : "old","atype":1}],"mm":3},1]}"#,
                r#","user":{"eids":[{"source":"UIDapi.com", "uids":[{"id" : "T/k+n==","atype":1}],"mm":3},1]}"#,
            ),
            (
                r#","user":{"eids":[{"source":"uidapi.com","uids":[{"id":"a"},{"id":"b"}]},2]}"#,
                r#","user":{"eids":[OURS,2]}"#,
            ),
            (r#","user":{"eids":[{"source":"uidapi.com"}]}"#, r#","user":{"eids":[OURS]}"#),
            (
                r#","user":{"ext":{"eids":[2,{"uids":[{"id":"old"}],"source":"uidapi.com"}]}}"#,
                r#","user":{"ext":{},"eids":[2,{"uids":[{"id":"T/k+n=="}],"source":"uidapi.com"}]}"#,
            ),
            (
                r#","user":{"eids":[{"source":"uidapi.com","uids":[{"id":"a"}]},{"source":"uidapi.com","uids":[{"id":"b"}]}]}"#,
                r#","user":{"eids":[{"source":"uidapi.com","uids":[{"id":"T/k+n=="}]}]}"#,
            ),
        ],
    );
    check(
        &replacing(Dialect::AsReceived),
        &[(
            r#","user":{"eids":[{"source":"uidapi.com","uids":[{"id":"a"}]}],"ext":{"eids":[{"source":"uidapi.com","uids":[{"id":"b"}]}]}}"#,
            r#","user":{"eids":[{"source":"uidapi.com","uids":[{"id":"T/k+n=="}]}],"ext":{"eids":[{"source":"uidapi.com","uids":[{"id":"T/k+n=="}]}]}}"#,
        )],
    );
}

#[test]
fn rti_partner_is_written_where_the_ssp_looks() {
    let with = |place, dialect, replace| {
        let rti_partner = Some(RtiPartner { place, value: "UID2" });
        Edit { add: Some(NewEid { rti_partner, replace, inserter: Some("i"), ..add() }), ..adding(dialect) }
    };
    for (place, entry) in [
        (
            RtiPlace::UidExt,
            r#"{"source":"uidapi.com","uids":[{"id":"T/k+n==","atype":3,"ext":{"rtiPartner":"UID2"}}]}"#,
        ),
        (
            RtiPlace::UidFlat,
            r#"{"source":"uidapi.com","uids":[{"id":"T/k+n==","atype":3,"rtiPartner":"UID2"}]}"#,
        ),
        (
            RtiPlace::EidExt,
            r#"{"source":"uidapi.com","uids":[{"id":"T/k+n==","atype":3}],"ext":{"rtiPartner":"UID2"}}"#,
        ),
    ] {
        let edit = with(place, Dialect::V25, false);
        check(&edit, &[("", &format!(r#","user":{{"ext":{{"eids":[{entry}]}}}}"#))]);
    }
    let edit = with(RtiPlace::EidExt, Dialect::V26, false);
    assert!(edited("", &edit).contains(r#"}],"inserter":"i","mm":3,"ext":{"rtiPartner":"UID2"}}"#));
    // (place, their entry, the same with our id)
    for (place, theirs, swapped) in [
        (RtiPlace::UidExt, r#"{"id":"o"}"#, r#"{"id":"T/k+n==","ext":{"rtiPartner":"UID2"}}"#),
        (RtiPlace::UidExt, r#"{"ext": null ,"id":"o"}"#, r#"{"ext": {"rtiPartner":"UID2"} ,"id":"T/k+n=="}"#),
        (RtiPlace::UidExt, r#"{"id":"o","ext":{ }}"#, r#"{"id":"T/k+n==","ext":{"rtiPartner":"UID2" }}"#),
        (
            RtiPlace::UidExt,
            r#"{"id":"o","ext":{"a":1}}"#,
            r#"{"id":"T/k+n==","ext":{"a":1,"rtiPartner":"UID2"}}"#,
        ),
        (
            RtiPlace::UidExt,
            r#"{"id":"o","ext":{"rti\u0050artner":"x","a":1}}"#,
            r#"{"id":"T/k+n==","ext":{"rti\u0050artner":"UID2","a":1}}"#,
        ),
        (RtiPlace::UidExt, r#"{"id":"o","ext":"e"}"#, r#"{"id":"T/k+n==","ext":"e"}"#),
        (RtiPlace::UidFlat, r#"{"id":"o","atype":1}"#, r#"{"id":"T/k+n==","atype":1,"rtiPartner":"UID2"}"#),
        (RtiPlace::UidFlat, r#"{"rtiPartner":5,"id":"o"}"#, r#"{"rtiPartner":"UID2","id":"T/k+n=="}"#),
    ] {
        for (dialect, list) in [(Dialect::V26, r#""eids""#), (Dialect::V25, r#""ext":{"eids""#)] {
            let close = if dialect == Dialect::V25 { "}" } else { "" };
            let entry = |uid: &str| format!(r#"{{"source":"uidapi.com","uids":[{uid}]}}"#);
            let before = format!(r#","user":{{"eids":[{}]}}"#, entry(theirs));
            let after = format!(r#","user":{{{list}:[{}]{close}}}"#, entry(swapped));
            check(&with(place, dialect, true), &[(&before, &after)]);
        }
    }
    check(
        &with(RtiPlace::EidExt, Dialect::V26, true),
        &[(
            r#","user":{"eids":[{"uids":[{"id":"o"}],"source":"uidapi.com","ext":{"x":1}}]}"#,
            r#","user":{"eids":[{"uids":[{"id":"T/k+n=="}],"source":"uidapi.com","ext":{"x":1,"rtiPartner":"UID2"}}]}"#,
        )],
    );
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
fn our_hints_always_go() {
    let edit = stripping(Dialect::V25, Strip::Nothing);
    check(
        &edit,
        &[
            (r#","user":{"ext":{"uid2":{"email":"a@example.com"}}}"#, r#","user":{"ext":{}}"#),
            (r#","user":{"ext":{"publisher_user_id":7,"a":1}}"#, r#","user":{"ext":{"a":1}}"#),
            (
                r#","user":{"ext":{ "a":1 , "u\u0069d2":null , "publisher_user_id":"x" }}"#,
                r#","user":{"ext":{ "a":1 }}"#,
            ),
            (
                r#","user":{"ext":{"uid2":1,"publisher_user_id":"x"},"eids":[1]}"#,
                r#","user":{"ext":{},"eids":[1]}"#,
            ),
        ],
    );
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
