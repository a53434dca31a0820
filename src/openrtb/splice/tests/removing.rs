//! What is taken out or exchanged.

use super::*;

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
