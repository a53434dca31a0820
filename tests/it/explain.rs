//! `explain`: one request in, the whole reasoning out; without network, without the store.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{binary, repository};

const WEB: &str = r#"{"id":"r1","imp":[{"id":"1"}],"site":{"domain":"www.example.com"},"device":{"geo":{"country":"USA"}},"user":{"eids":[{"source":"example.org","uids":[{"id":"x"}]}]},"tmax":300}"#;

/// Runs the command on a request that comes in on stdin.
fn explain(request: &str, args: &[&str], privacy: &str) -> Output {
    explain_with(request.as_bytes(), args, &format!("{}[privacy]\n{privacy}\n", minimal()))
}

fn minimal() -> String {
    std::fs::read_to_string(repository("fixtures/config/valid/minimal.toml")).unwrap()
}

fn explain_with(request: &[u8], args: &[&str], config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, config).unwrap();
    let mut child = Command::new(binary())
        .args(["explain", "--config"])
        .arg(&file)
        .args(args)
        .env("UID2GW_STORE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .env("ACME_UID2_KEY", "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc=")
        .env("ACME_UID2_SECRET", "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=")
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever cannot use the configuration does not read the request.
    child.stdin.take().unwrap().write_all(request).unwrap_or_default();
    let output = child.wait_with_output().unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["gateway.toml"], "no store is made");
    output
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

const USER: [&str; 4] = ["--publisher", "acme", "--header", "X-Publisher-User-Id=u1"];

#[test]
fn an_edit_is_marked_and_the_stand_in_named() {
    let output = explain(WEB, &USER, "");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for said in [
        "acme, found by its key",
        "header X-Publisher-User-Id  <- wins",
        "device.geo.country = \"USA\"",
        "uid2: row 17, may be added",
        "injected, reason fresh, hint user; STAND-IN-TOKEN",
        "alpha (2.6): injected; tmax ",
        r#"[{"source":"example.org","uids":[{"id":"x"}]}{+,{"source":"uidapi.com","uids":[{"id":"STAND-IN-TOKEN"#,
        r#"},"tmax":[-300-]{+"#,
    ] {
        assert!(text.contains(said), "{said} in {text}");
    }
}

#[test]
fn a_denial_names_its_row_and_what_goes() {
    let request = WEB.replacen("\"imp\"", r#""regs":{"ext":{"coppa":1}},"imp""#, 1);
    let output = explain(&request, &[&USER[..], &["--json"]].concat(), "");
    let document = json(&output);
    assert_eq!(document["verdict"]["row"], 1);
    assert_eq!(document["identity"]["reason"], "coppa");
    assert_eq!(document["identity"]["stand_in"], Value::Null);
    assert_eq!(document["signals"][0]["place"], "regs.ext.coppa");
    let call = &document["ssps"][0]["call"];
    assert!(!call["body"].as_str().unwrap().contains("example.org"), "{call}");
    assert!(call["marked"].as_str().unwrap().contains(r#"[-"eids":[{"source":"example.org""#), "{call}");
    assert_eq!(call["headers"]["content-type"], "application/json");
}

#[test]
fn the_configuration_and_the_caller_count() {
    let without_country = WEB.replacen("USA", "", 1);
    let verdict = |privacy: &str| {
        json(&explain(&without_country, &[&USER[..], &["--json"]].concat(), privacy))["identity"]["reason"]
            .clone()
    };
    assert_eq!(verdict(""), "unknown_scope");
    assert_eq!(verdict("unknown_scope = \"inject\""), "fresh");
    let stranger = json(&explain(WEB, &["--header", "X-Publisher-User-Id=u1", "--json"], ""));
    assert_eq!(stranger["publisher"]["found_by"], "match");
    assert_eq!(stranger["identity"]["reason"], "no_hint");
    let nobody = json(&explain(WEB, &[&USER[..], &["--no-user", "--json"]].concat(), ""));
    assert_eq!(nobody["identity"]["reason"], "unknown_user");
    assert_eq!(nobody["ssps"][0]["result"], "absent");
}

#[test]
fn what_would_be_refused_is_refused_for_the_same_reason() {
    let output = explain(r#"{"id":"r1","imp":[]}"#, &USER, "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output),
        "refused    imp: empty at byte 17\nmember     imp\noffset     17\nreason     empty\n"
    );
    let document = json(&explain("{", &["--json"], ""));
    assert_eq!(document["offset"], 1, "{document}");
    let nobody = WEB.replacen("www.example.com", "elsewhere.example", 1);
    let output = explain(&nobody, &[], "");
    assert_eq!((output.status.code(), text(&output).contains("no publisher")), (Some(1), true));
    let unknown = explain(WEB, &["--publisher", "nobody"], "");
    assert_eq!((unknown.status.code(), text(&unknown).as_str()), (Some(1), ""));
}

#[test]
fn a_signal_is_shown_in_whatever_the_gateway_takes() {
    let request =
        r#"{"id":"1","imp":[{"id":"a","bidfloor":1e999}],"user":{"yob":"\ud800"},"regs":{"coppa":1}}"#;
    let said = text(&explain(request, &USER, ""));
    assert!(said.contains("signal     regs.coppa = 1\n") && said.contains("uid2: row 1, coppa"), "{said}");
}

#[test]
fn what_the_dii_guard_cuts_is_named_and_marked_and_nothing_else() {
    let request = WEB.replacen(r#""user":{"#, r#""user":{"keywords":"a,jane@example.com,b","#, 1);
    let config = minimal().replacen("[[publisher]]", "[[publisher]]\ndii_guard = \"strip\"", 1);
    let said = text(&explain_with(request.as_bytes(), &USER, &config));
    let offset = request.find("jane").unwrap();
    let named = format!("dii        user.keywords: cut, at byte {offset}");
    assert!(said.contains(&named), "{said}");
    let body = said.lines().find(|line| line.starts_with("  body")).unwrap();
    assert!(body.starts_with(r#"  body     {"id":"r1","imp":[{"id":"1"}],"site""#), "{body}");
    assert_eq!((body.matches("[-").count(), body.matches("{+").count()), (2, 2), "{body}");
    assert!(body.contains("jane@example.com") && body.contains("-],"), "{body}");
    let document = json(&explain_with(request.as_bytes(), &[&USER[..], &["--json"]].concat(), &config));
    assert_eq!(document["dii"][0]["member"], "user.keywords");
    assert!(!document["ssps"][0]["call"]["body"].as_str().unwrap().contains("jane"), "{document}");
}

#[test]
fn gzip_is_read_and_shown_as_serve_does() {
    let config = minimal().replacen("[[ssp]]", "[[ssp]]\ngzip = true", 1);
    let packed = uid2_gateway::net::gzip::Deflater::default().deflate(WEB.as_bytes()).unwrap();
    let args = [&USER[..], &["--header", "Content-Encoding=gzip"]].concat();
    let said = text(&explain_with(&packed, &args, &config));
    for line in
        ["  header   accept-encoding: gzip", "  header   content-encoding: gzip", "  unpacked {\"id\":\"r1\""]
    {
        assert!(said.contains(line), "{line} in {said}");
    }
    let plain = text(&explain(WEB, &USER, ""));
    assert!(!plain.contains("encoding"), "{plain}");
    let broken = explain_with(WEB.as_bytes(), &args, &config);
    assert_eq!((broken.status.code(), text(&broken).contains("gzip")), (Some(1), true), "{}", text(&broken));
}

#[test]
fn without_a_result_json_is_one_document_too() {
    let output = explain_with(WEB.as_bytes(), &["--json"], "[privacy]\nus_optout = \"perhaps\"\n");
    let document = json(&output);
    assert_eq!((output.status.code(), &document["ok"]), (Some(2), &Value::from(false)));
    assert!(
        document["faults"].as_array().unwrap().iter().any(|f| f["key"] == "privacy.us_optout"),
        "{document}"
    );
    let unknown = explain(WEB, &["--publisher", "nobody", "--json"], "");
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(json(&unknown)["error"], "no [[publisher]] has the id \"nobody\"");
}
