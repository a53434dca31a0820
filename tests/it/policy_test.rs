//! `policy-test`: it passes on the gateway as it is, and fails, naming the row, when the gateway and the table disagree
//! or an identifier leaks.

use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use uid2_gateway::policy_test::{self, BUILT_IN, Options, Report, Table, View};
use uid2_gateway::sandbox::ssp::Received;

use crate::support::{binary, repository};

fn command(args: &[&str]) -> Output {
    prepared(args).output().unwrap()
}

fn prepared(args: &[&str]) -> Command {
    let minimal = [
        ("UID2GW_STORE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("ACME_UID2_KEY", "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc="),
        ("ACME_UID2_SECRET", "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM="),
    ];
    let mut command = Command::new(binary());
    command.arg("policy-test").args(args).envs(minimal);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn tested(table: &str, only: &str, view: Option<View>) -> Report {
    let options = Options { only: only.into(), lanes: 1, view, ..Options::default() };
    policy_test::run(&Table::parse(table).unwrap(), &options).unwrap()
}

#[test]
fn rows_and_a_summary_are_printed() {
    let output = command(&["--only", "coppa"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let row = "ok | uid2 | defaults | coppa | regs.ext.coppa = \"1\" | UID2 in both | as-received gvl 76 | row 1 | denied coppa | removed all";
    assert!(text.lines().any(|line| line == row), "{text}");
    let rows = text.lines().filter(|line| line.starts_with("ok | ")).count();
    assert_eq!(text.lines().last().unwrap(), format!("rows {rows}, differences 0, leaks 0"));
    assert!(rows > 500, "{rows}");
}

#[test]
fn json_is_one_document() {
    let document: Value = serde_json::from_slice(&command(&["--only", "lmt", "--json"]).stdout).unwrap();
    assert_eq!((&document["passed"], &document["leaks"]), (&Value::from(true), &Value::from(0)));
    assert_eq!(document["rows"], document["table"].as_array().unwrap().len());
}

#[test]
fn what_there_is_nothing_to_test_with_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table.json");
    std::fs::write(&file, BUILT_IN.replacen("\"reason\": \"coppa\"", "\"resaon\": \"coppa\"", 1)).unwrap();
    for (args, said) in [
        (["--only", "nosuch"], "no signal's name holds \"nosuch\""),
        (["--table", file.to_str().unwrap()], "unknown field `resaon`"),
        (["--config", "/nonexistent/gateway.toml"], "cannot be read"),
    ] {
        let output = command(&args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.matches(said).count()), (Some(2), 1), "{stderr}");
        assert_eq!(output.stdout, b"");
        let output = command(&[&args[..], &["--json"]].concat());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &document["ok"]), (Some(2), &Value::from(false)));
        assert!(document.to_string().contains(&said.replace('"', "\\\"")), "{document}");
    }
}

/// The exit code is the result's, whether or not somebody reads to the end.
#[test]
fn a_reader_who_went_is_no_leak() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut gone = prepared(&["--only", "coppa"]);
    let output = gone.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn the_choices_of_a_configuration_are_tested() {
    let folder = tempfile::tempdir().unwrap();
    let minimal = std::fs::read_to_string(repository("fixtures/config/valid/minimal.toml")).unwrap();
    let file = folder.path().join("gateway.toml");
    let gvl = repository("fixtures/privacy/gvl.json");
    let gvl = gvl.to_str().unwrap();
    std::fs::write(&file, format!("{minimal}[privacy]\nus_optout = \"pass\"\ngvl = \"{gvl}\"\n")).unwrap();
    let output = command(&["--only", "us_privacy", "--config", file.to_str().unwrap()]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let row = "ok | uid2 | acme | us_privacy | regs.us_privacy = \"1YYN\" | nothing | 2.6 gvl 76 | row 9 | absent us_privacy | removed none";
    assert!(text.lines().any(|line| line == row), "{text}");
    let note = "uid2-gateway: privacy.gvl is not used: the table is about the vendors built in\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), note);
    std::fs::write(&file, "[privacy]\nus_optout = \"perhaps\"\n").unwrap();
    assert_eq!(command(&["--config", file.to_str().unwrap()]).status.code(), Some(2));
}

#[test]
fn a_gateway_that_differs_from_the_table_fails_and_the_row_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("table.json");
    let (right, wrong) = (
        r#""row": 3, "result": "denied", "reason": "lmt", "removed": "all""#,
        r#""row": 3, "result": "denied", "reason": "lmt", "removed": "uid2""#,
    );
    std::fs::write(&file, BUILT_IN.replacen(right, wrong, 1)).unwrap();
    let output = command(&["--only", "lmt", "--table", file.to_str().unwrap()]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = text.lines().find(|line| line.starts_with("DIFFERENCE")).unwrap();
    for named in ["lmt | device.lmt = 1", "row 3", "the body differs from byte"] {
        assert!(line.contains(named), "{line}");
    }
    assert!(text.lines().last().unwrap().ends_with("leaks 0"), "{text}");
}

/// A table that demands a token where the gateway withholds it, and one that forbids it where it is sent.
#[test]
fn a_token_must_come_where_it_must_and_nowhere_else() {
    let (withheld, injected) = (
        r#"{"row": 14, "result": "absent", "reason": "dnt", "removed": "none"}"#,
        r#"{"row": 17, "result": "injected", "reason": "fresh", "removed": "none"}"#,
    );
    let dnt = BUILT_IN.find(r#""signal": "dnt""#).unwrap();
    let (before, after) = BUILT_IN.split_at(dnt);
    let failed = |from: &str, to: &str| {
        let report = tested(&(before.to_owned() + &after.replacen(from, to, 1)), "dnt", None);
        assert!(!report.passed());
        (report.differences() > 0, report.leaks() > 0)
    };
    assert_eq!(failed(withheld, injected), (true, false));
    assert_eq!(failed(injected, withheld), (false, true));
}

#[test]
fn what_an_ssp_gets_to_see_is_searched() {
    let planted: View = Arc::new(|received: &Received| {
        let theirs = "TheirsUid2InEids%78".to_owned() + &"TheirsUid2InEidsx".repeat(11);
        let body =
            String::from_utf8_lossy(&received.body).replacen('{', &format!(r#"{{"page":"{theirs}","#), 1);
        Received { body: Bytes::from(body), ..received.clone() }
    });
    let report = tested(BUILT_IN, "coppa", Some(planted));
    assert!(report.leaks() > 0, "{}", report.lines());
    let lines = report.lines();
    let leak = lines.lines().find(|line| line.starts_with("LEAK")).unwrap();
    assert!(leak.contains("row 1") && leak.contains("UID2 in user.eids"), "{leak}");
}
