//! One member more in a response's `ext`; every other byte stays.

use bytes::Bytes;

use super::super::changes::{Change, Changes};
use super::super::error::{ScanError, ScanReason};
use super::super::request::Container;
use super::super::scan::{Kind, Known, Scanner, Table, known, table};
use super::super::text::Span;
use super::LIMITS;

/// The response with `"name":value` in its `ext`, which is made if it is absent or null. `None` leaves the response
/// alone: it is not readable, its `ext` is something else than an object, or holds a `name` already.
///
/// `value` has to be JSON, `name` a name without anything to escape.
pub fn with_ext_member(body: &[u8], (name, value): (&'static str, &str)) -> Option<Bytes> {
    let place = find(body, name).ok()?;
    let member = format!("\"{name}\":{value}");
    let mut changes = Changes::default();
    match place {
        Place::Object(ext) => changes.append(body, ext, ext.items, &member),
        Place::Null(null) => changes.replace(null, format!("{{{member}}}")),
        Place::Nowhere(root) => changes.append(body, root, root.items, &format!("\"ext\":{{{member}}}")),
    }
    let [Change { span, with }] = changes.as_slice() else { return None };
    let (before, after) = (body.get(..span.start as usize)?, body.get(span.end as usize..)?);
    Some([before, with, after].concat().into())
}

/// Where the member goes.
enum Place {
    Object(Container),
    Null(Span),
    /// There is no `ext`: into the root.
    Nowhere(Container),
}

const ROOT: Table<[Known; 1]> = table([known("ext", "ext")]);

fn find(body: &[u8], name: &'static str) -> Result<Place, ScanError> {
    let mut scanner = Scanner::new(body, LIMITS)?;
    if scanner.kind()? != Kind::Object {
        return Err(scanner.fault(ScanReason::WrongType));
    }
    let start = scanner.position();
    let mut root = scanner.object()?;
    let mut place = None;
    while scanner.next_member(&mut root, &ROOT)?.is_some() {
        place = Some(match scanner.kind()? {
            Kind::Object => Place::Object(ext(&mut scanner, name)?),
            Kind::Null => Place::Null(scanner.value()?.span),
            _ => return Err(scanner.fault(ScanReason::WrongType)),
        });
    }
    let root = Container { span: Span { start, end: scanner.position() }, items: root.count };
    scanner.finish()?;
    Ok(place.unwrap_or(Place::Nowhere(root)))
}

fn ext(scanner: &mut Scanner<'_>, name: &'static str) -> Result<Container, ScanError> {
    let start = scanner.position();
    let mut object = scanner.object()?;
    match scanner.next_member(&mut object, &table([known(name, "ext")]))? {
        Some(_) => Err(scanner.fault(ScanReason::Duplicate)),
        None => Ok(Container { span: Span { start, end: scanner.position() }, items: object.count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&str>) {
        let out = with_ext_member(body.as_bytes(), ("uid2gw", "{\"a\":1}"));
        assert_eq!(out.as_deref().map(|out| std::str::from_utf8(out).unwrap()), expected, "{body}");
        if let Some(out) = out {
            let tree: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(tree["ext"]["uid2gw"]["a"], 1, "{body}");
        }
    }

    #[test]
    fn an_ext_gets_one_member_more_and_is_made_where_there_is_none() {
        check("{}", Some(r#"{"ext":{"uid2gw":{"a":1}}}"#));
        check(r#" {"id":"1" } "#, Some(r#" {"id":"1","ext":{"uid2gw":{"a":1}} } "#));
        check(r#"{"ext":{},"id":"1"}"#, Some(r#"{"ext":{"uid2gw":{"a":1}},"id":"1"}"#));
        check(r#"{"e\u0078t":{ "x":[1,2] }}"#, Some(r#"{"e\u0078t":{ "x":[1,2],"uid2gw":{"a":1} }}"#));
        check(r#"{"a":[{"ext":5}],"ext": null}"#, Some(r#"{"a":[{"ext":5}],"ext": {"uid2gw":{"a":1}}}"#));
    }

    #[test]
    fn what_has_no_place_for_it_is_left_alone() {
        for body in [
            "",
            "[]",
            "{} x",
            "\u{feff}{}",
            r#"{"ext":5}"#,
            r#"{"ext":[]}"#,
            r#"{"ext":"{}"}"#,
            r#"{"ext":{},"ext":{}}"#,
            r#"{"ext":{"uid2gw":null}}"#,
            r#"{"ext":{"uid2\u0067w":{}}}"#,
        ] {
            check(body, None);
        }
    }

    #[test]
    fn every_table_finds_its_names_and_no_others() {
        let tables: [&Table; 1] = [&ROOT];
        tables.into_iter().for_each(Table::assert_finds_its_own);
    }
}
