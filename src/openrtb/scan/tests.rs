//! The grammar, its limits, and the members that are known.

use super::*;

fn refused(text: &str) -> (ScanReason, usize) {
    let error = check(text.as_bytes(), 64).expect_err(text);
    (error.reason, error.offset)
}

#[test]
fn valid_grammar_is_accepted() {
    let long = format!("\"{}\"", "x".repeat(100));
    for text in [
        "{}",
        "[]",
        " [ ] ",
        "0",
        "-0",
        "1.50",
        "1e5",
        "1E+5",
        "-1.2e-3",
        "1e999",
        "12345678901234567890123",
        "true",
        "false",
        "null",
        r#""""#,
        r#""\ud800""#,
        r#""\"\\\/\b\f\n\r\t\u00eF""#,
        "\"\u{7f}é😀\"",
        r#"{"a":{"b":[1,{"c":[]},"x"]},"d":{}}"#,
        "[[],[[]],{}]",
        "\t\r\n[1 , 2]\n",
        &long,
    ] {
        assert_eq!(check(text.as_bytes(), 64), Ok(()), "{text}");
    }
}

#[test]
fn broken_grammar_is_refused_where_it_breaks() {
    use ScanReason::{ControlCharacter, Escape, Number, TrailingData, UnexpectedByte, UnexpectedEnd};
    for (text, expected) in [
        ("", (UnexpectedEnd, 0)),
        ("  ", (UnexpectedEnd, 2)),
        ("tru", (UnexpectedByte, 0)),
        ("truex", (TrailingData, 4)),
        ("{} x", (TrailingData, 3)),
        ("01", (Number, 1)),
        ("-", (Number, 1)),
        ("-a", (Number, 1)),
        ("1.", (Number, 2)),
        ("1.e3", (Number, 2)),
        ("1e", (Number, 2)),
        ("1e+", (Number, 3)),
        (".5", (UnexpectedByte, 0)),
        ("+1", (UnexpectedByte, 0)),
        ("[1,]", (UnexpectedByte, 3)),
        ("[,1]", (UnexpectedByte, 1)),
        ("[1 2]", (UnexpectedByte, 3)),
        ("[1}", (UnexpectedByte, 2)),
        ("{\"a\":1]", (UnexpectedByte, 6)),
        ("{\"a\"}", (UnexpectedByte, 4)),
        ("{\"a\":}", (UnexpectedByte, 5)),
        ("{\"a\":1,}", (UnexpectedByte, 7)),
        ("{,}", (UnexpectedByte, 1)),
        ("{a:1}", (UnexpectedByte, 1)),
        ("[1", (UnexpectedEnd, 2)),
        ("{\"a\"", (UnexpectedEnd, 4)),
        ("\"abc", (UnexpectedEnd, 4)),
        ("\"abcdefghijk", (UnexpectedEnd, 12)),
        ("\"\\", (UnexpectedEnd, 1)),
        (r#""\x""#, (Escape, 1)),
        (r#""\u12g4""#, (Escape, 1)),
        (r#""\u12""#, (Escape, 1)),
        ("\"a\nb\"", (ControlCharacter, 2)),
        ("\"abcdefghij\u{1f}\"", (ControlCharacter, 11)),
        ("\u{feff}{}", (UnexpectedByte, 0)),
    ] {
        assert_eq!(refused(text), expected, "{text:?}");
    }
}

#[test]
fn utf8_is_checked_once_for_all() {
    let error = check(b"{\"a\":\"\xff\"}", 64).unwrap_err();
    assert_eq!((error.reason, error.offset), (ScanReason::Utf8, 6));
    assert_eq!(check(b"\"\xed\xa0\x80\"", 64).unwrap_err().reason, ScanReason::Utf8);
}

#[test]
fn depth_is_accepted_at_the_limit_and_refused_past_it() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    for limit in [1, 2, 64, 128] {
        assert_eq!(check(nested(limit).as_bytes(), limit), Ok(()));
        let error = check(nested(limit + 1).as_bytes(), limit).unwrap_err();
        assert_eq!((error.reason, error.offset), (ScanReason::TooDeep, limit));
    }
    let error = check(nested(129).as_bytes(), 1000).unwrap_err();
    assert_eq!(error.reason, ScanReason::TooDeep, "128 is the most");
}

const KNOWN: Table<[Known; 2]> = table([known("user", "user"), known("id", "id")]);

#[test]
fn known_members_are_found_even_when_escaped() {
    let text = br#" { "x" : [1,{"id":2}] , "us\u0065r" : 5, "user2":1, "i\u0064": "v\n"}"#;
    let mut scanner = Scanner::new(text, Limits::default()).unwrap();
    assert_eq!(scanner.kind().unwrap(), Kind::Object);
    let mut object = scanner.object().unwrap();
    let user = scanner.next_member(&mut object, &KNOWN).unwrap().unwrap();
    assert_eq!((user.path, user.index), ("user", 1));
    assert_eq!(scanner.value().unwrap().kind, Kind::Number);
    let id = scanner.next_member(&mut object, &KNOWN).unwrap().unwrap();
    assert_eq!((id.path, id.index), ("id", 3));
    assert_eq!(scanner.value().unwrap().text().unwrap().decode(text), "v\n");
    assert!(scanner.next_member(&mut object, &KNOWN).unwrap().is_none());
    assert_eq!(object.count, 4);
    assert!(scanner.finish().is_ok());
}

#[test]
fn a_known_member_may_stand_only_once() {
    let text = br#"{"id":1,"a":2,"a":3,"\u0069d":4}"#;
    let mut scanner = Scanner::new(text, Limits::default()).unwrap();
    assert_eq!(scanner.kind().unwrap(), Kind::Object);
    let mut object = scanner.object().unwrap();
    scanner.next_member(&mut object, &KNOWN).unwrap();
    scanner.value().unwrap();
    let error = scanner.next_member(&mut object, &KNOWN).map(|_| ()).unwrap_err();
    assert_eq!(error, ScanError { member: "id", offset: 20, reason: ScanReason::Duplicate });
}
