//! The command line: exit codes, and what stands on stdout and stderr.

use std::process::{Command, Output};

use crate::support::{binary, repository};

fn run(args: &[&str]) -> Output {
    Command::new(binary()).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn hash_prints_the_normalised_form_and_the_hash() {
    let output = run(&["hash", "email", "JaneSaoirse+Work@gmail.com"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(text.contains("janesaoirse@gmail.com"), "{text}");
    assert!(text.contains("ku4mBX7Z3qJTXWyLFB1INzkyR2WZGW4ANSJUiW21iI8="), "{text}");
    let phone = run(&["hash", "phone", "+12345678901"]);
    assert!(stdout(&phone).contains("EObwtHBUqDNZR33LNSMdtt5cafsYFuGmuY4ZLenlue4="));
    let bad = run(&["hash", "phone", "555-1234"]);
    assert_eq!((bad.status.code(), stdout(&bad).as_str()), (Some(1), ""));
    assert!(!stderr(&bad).contains("555-1234"), "the value is not echoed: {}", stderr(&bad));
}

#[test]
fn keygen_makes_keys_that_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let store_key = stdout(&run(&["keygen", "store-key"]));
    let key = store_key.lines().find_map(|l| l.trim().strip_prefix("export UID2GW_STORE_KEY=")).unwrap();
    let api_key = stdout(&run(&["keygen", "api-key"]));
    let line = api_key.lines().find(|l| l.trim().starts_with("api_keys")).unwrap();
    let minimal = std::fs::read_to_string(repository("fixtures/config/valid/minimal.toml")).unwrap();
    let text: String = minimal
        .lines()
        .map(|l| if l.starts_with("api_keys") { line } else { l })
        .fold(String::new(), |t, l| t + l + "\n");
    let file = folder.path().join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(binary())
        .args(["check", "--config"])
        .arg(&file)
        .env("UID2GW_STORE_KEY", key)
        .env("ACME_UID2_KEY", "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc=")
        .env("ACME_UID2_SECRET", "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
}

#[test]
fn every_fault_is_reported_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "[server]\nlisten = \"nowhere\"\nlissten = 1\n[[ssp]]\nid = \"a\"\n").unwrap();
    let path = file.to_str().unwrap();
    let output = run(&["check", "--config", path]);
    assert_eq!(output.status.code(), Some(2));
    let text = stdout(&output);
    for expected in [":2:", "server.listen", ":3:", "lissten", "ssp"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let json = run(&["check", "--json", "--config", path]);
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(document["faults"].as_array().unwrap().len() >= 3, "{document}");
    let serve = run(&["serve", "--config", path]);
    assert_eq!(serve.status.code(), Some(2));
    assert!(stderr(&serve).contains("server.listen"), "{}", stderr(&serve));
}

#[test]
fn help_has_an_example_for_every_command() {
    for command in [
        &["serve"][..],
        &["demo"],
        &["sandbox", "operator"],
        &["sandbox", "ssp"],
        &["check"],
        &["hash"],
        &["keygen"],
        &["policy-test"],
        &["explain"],
    ] {
        let output = run(&[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("Example"), "{command:?}: {}", stdout(&output));
    }
    let version = stdout(&run(&["--version"]));
    assert!(
        version.starts_with(concat!("uid2-gateway ", env!("CARGO_PKG_VERSION"), " (commit ")),
        "{version}"
    );
}
