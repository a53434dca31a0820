//! `regs.ext.gpc`: written where the caller's `Sec-GPC` header says it and the body does not.
//!
//! Whoever sees the header passes it on in the body. It only tightens what a receiver may do, and it is the one privacy
//! signal that is ever written: a `gpc` that is there stays, whatever it says.

use super::super::changes::Changes;
use super::super::request::{BidRequest, Member};
use super::super::scan::Kind;

const MEMBER: &str = r#""gpc":"1""#;

/// Writes it, making `regs` and `ext` where they are absent or null. To a request with a member of a wrong type nothing is
/// added.
pub(super) fn fill(request: &BidRequest, changes: &mut Changes) {
    let (body, regs, root) = (request.body(), &request.found.layout.regs, request.found.layout.root);
    if request.wrong_type().is_some() || regs.gpc.is_some_and(|gpc| gpc.kind != Kind::Null) {
        return;
    }
    let null = |member: Option<Member>| member.map(|member| member.value);
    if let Some(gpc) = regs.gpc {
        changes.replace(gpc.value, r#""1""#.to_owned());
    } else if let Some(ext) = regs.ext_object {
        changes.append(body, ext, ext.items, MEMBER);
    } else if let Some(null) = null(regs.ext) {
        changes.replace(null, format!("{{{MEMBER}}}"));
    } else if let Some(object) = regs.object {
        changes.append(body, object, object.items, &format!(r#""ext":{{{MEMBER}}}"#));
    } else if let Some(null) = null(regs.member) {
        changes.replace(null, format!(r#"{{"ext":{{{MEMBER}}}}}"#));
    } else {
        changes.append(body, root, root.items, &format!(r#""regs":{{"ext":{{{MEMBER}}}}}"#));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{Dialect, Edit, NewEid, Strip, plan};
    use super::*;
    use crate::openrtb::Limits;

    const EDIT: Edit<'_> = Edit {
        dialect: Dialect::V26,
        strip: Strip::Nothing,
        add: None,
        remove_user_id: false,
        fill_gpc: true,
    };

    /// The request with these members behind `id` and `imp`, edited.
    fn edited(members: &str, edit: &Edit<'_>) -> String {
        let text = format!(r#"{{"id":"r","imp":[{{}}]{members}}}"#);
        let request = BidRequest::parse(Bytes::from(text), &Limits::default()).unwrap();
        let out = plan(&request, edit).segments(&request, None).concat();
        let out = String::from_utf8(out).unwrap();
        out.strip_prefix(r#"{"id":"r","imp":[{}]"#).and_then(|t| t.strip_suffix('}')).unwrap().to_owned()
    }

    #[test]
    fn it_is_written_where_it_is_absent() {
        for (before, after) in [
            ("", r#","regs":{"ext":{"gpc":"1"}}"#),
            (r#","regs":null"#, r#","regs":{"ext":{"gpc":"1"}}"#),
            (r#","regs":{}"#, r#","regs":{"ext":{"gpc":"1"}}"#),
            (r#","regs": { "gdpr": 0 } "#, r#","regs": { "gdpr": 0,"ext":{"gpc":"1"} } "#),
            (r#","regs":{"ext": null,"coppa":0}"#, r#","regs":{"ext": {"gpc":"1"},"coppa":0}"#),
            (r#","regs":{"ext":{ }}"#, r#","regs":{"ext":{"gpc":"1" }}"#),
            (r#","regs":{"\u0065xt":{"a":1}}"#, r#","regs":{"\u0065xt":{"a":1,"gpc":"1"}}"#),
            (r#","regs":{"ext":{"gpc":null,"a":1}}"#, r#","regs":{"ext":{"gpc":"1","a":1}}"#),
        ] {
            assert_eq!(edited(before, &EDIT), after, "{before}");
            assert_eq!(edited(after, &EDIT), after, "a second time there is nothing to do");
            assert_eq!(edited(before, &Edit { fill_gpc: false, ..EDIT }), before, "not asked for");
        }
    }

    #[test]
    fn what_is_there_stays_and_a_wrong_type_is_left_alone() {
        for members in [
            r#","regs":{"ext":{"gpc":"0"}}"#,
            r#","regs":{"ext":{"gpc":1}}"#,
            r#","regs":{"ext":{"gpc":""}}"#,
            r#","regs":{"ext":{"gpc":{}}}"#,
            r#","regs":[]"#,
            r#","regs":{"ext":"x"}"#,
            r#","regs":{},"user":7"#,
        ] {
            assert_eq!(edited(members, &EDIT), members);
        }
    }

    #[test]
    fn it_stands_beside_edits_of_the_user() {
        let add =
            Some(NewEid { source: "uidapi.com", id: "T", inserter: None, rti_partner: None, replace: false });
        let eid = r#"{"source":"uidapi.com","uids":[{"id":"T","atype":3}]}"#;
        let both = Edit { add, remove_user_id: true, ..EDIT };
        let made = format!(r#","user":{{"eids":[{eid}]}},"regs":{{"ext":{{"gpc":"1"}}}}"#);
        assert_eq!(edited("", &both), made);
        let regs_first = r#","regs":null,"user":{"id":"u"}"#;
        let made = format!(r#","regs":{{"ext":{{"gpc":"1"}}}},"user":{{"eids":[{eid}]}}"#);
        assert_eq!(edited(regs_first, &both), made);
        let strip = Edit { strip: Strip::All, ..EDIT };
        let made = r#","user":{},"regs":{"ext":{"gpc":"1"}}"#;
        assert_eq!(edited(r#","user":{"eids":[{}]}"#, &strip), made);
    }
}
