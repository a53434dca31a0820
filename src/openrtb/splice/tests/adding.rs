//! Where our entry goes, per dialect.

use super::*;

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
fn what_stands_twice_in_both_places_stays_as_each_spells_it() {
    let edit = Edit { strip: Strip::Sources(&["uidapi.com"]), ..adding(Dialect::Both) };
    check(
        &edit,
        &[
            (
                r#","user":{"eids":[{"source":"a"}, {"source":"a"}],"ext":{"eids":[{"source":"A"} ,{"source" :"a"} ]}}"#,
                r#","user":{"eids":[{"source":"a"}, {"source":"a"},OURS],"ext":{"eids":[{"source":"A"} ,{"source" :"a"},OURS ]}}"#,
            ),
            // A third that only one place has is written to the other once, and one too many in the other goes.
            (
                r#","user":{"eids":[{"source":"a"},{"source":"a"}],"ext":{"eids":[{"source":"A"}]}}"#,
                r#","user":{"eids":[{"source":"a"},{"source":"a"},OURS],"ext":{"eids":[{"source":"A"},{"source":"a"},OURS]}}"#,
            ),
            (
                r#","user":{"eids":[{"source":"a"}],"ext":{"eids":[{"source":"A"},{"source":"a"}]}}"#,
                r#","user":{"eids":[{"source":"a"},OURS],"ext":{"eids":[{"source":"A"},OURS]}}"#,
            ),
        ],
    );
}

#[test]
fn an_entry_that_the_other_place_says_more_of_takes_no_uids() {
    let edit = Edit { add: None, strip: Strip::Sources(&["b"]), ..adding(Dialect::V25) };
    check(
        &edit,
        &[(
            r#","user":{"eids":[{"source":"a","uids":[{"id":"1"}]}],"ext":{"eids":[{"source":"a","uids":[]},{"x":0,"source":"a","uids":[{"id":"1"}]},{"source":"b"}]}}"#,
            r#","user":{"ext":{"eids":[{"x":0,"source":"a","uids":[{"id":"1"}]},{"source":"a","uids":[]}]}}"#,
        )],
    );
}
