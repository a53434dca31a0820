//! The official Python SDK as a peer: a publisher's client and a buyer's client, both against the sandbox operator, the
//! buyer with tokens that went through the gateway.
//!
//! A virtual environment with the pinned `uid2-client` is made once, under cargo's folder for test data. Without
//! Python or a package index the tests say `skipped: …` and pass, unless `UID2GW_REQUIRE_PEERS=1`: then they fail.
//!
//! Not judged by it, because the SDK is wrong there: `is_due_for_refresh` and `is_refreshable` (they compare
//! milliseconds with seconds) and the flag for client-side generation (read from the wrong bit).

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, LazyLock};

use serde_json::Value;
use uid2_gateway::sandbox::operator::Settings as OperatorSettings;
use uid2_gateway::sandbox::ssp::{self, Ssp};
use uid2_gateway::uid2::{DiiHash, Email};

use crate::support::repository;
use crate::support::stack::{Plan, Stack, operator};

/// Publisher of the public mock storage: site 124, role GENERATOR.
const PUBLISHER: [&str; 2] = [
    "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc=",
    "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=",
];
/// DSP of the public mock storage: site 123, role ID_READER.
const BUYER: [&str; 2] = [
    "UID2-C-L-123-t32pCM.5NCX1E94UgOd2f8zhsKmxzCoyhXohHYSSWR8U=",
    "FsD4bvtjMkeTonx6HvQp6u0EiI1ApGH4pIZzZ5P7UcQ=",
];
const EMAIL: &str = "jane.doe@example.com";

#[tokio::test]
async fn the_official_publisher_client_works_against_the_sandbox_operator() {
    let (sandbox, address) = operator(OperatorSettings::default()).await;
    let Some(report) = blocking(move || publisher(address, EMAIL)).await else { return };
    let status = |call: &str| report[call]["status"].as_str().unwrap_or("none").to_owned();
    for call in ["generate", "refresh", "refresh_again", "unhashed", "phone", "before_optout"] {
        assert_eq!(status(call), "success", "{call}: {report:#}");
    }
    assert_eq!(
        (status("optout").as_str(), status("refresh_optout").as_str()),
        ("optout", "optout"),
        "{report:#}"
    );
    let refused = report["wrong_key"]["error"].as_str().unwrap_or_default();
    assert!(refused.starts_with("HTTP 401: "), "{refused}");

    let identity = |call: &str, field: &str| report[call]["identity"][field].clone();
    assert_ne!(identity("generate", "refresh_token"), identity("refresh", "refresh_token"));
    assert_eq!(identity("refresh", "refresh_token").as_str().unwrap().len(), 388);

    let calls = ["generate", "refresh", "refresh_again", "unhashed"];
    let tokens = calls.map(|call| identity(call, "advertising_token").as_str().unwrap().to_owned());
    let Some(decrypted) = blocking(move || decrypt(address, &tokens)).await else { return };
    let raw_uid = sandbox.raw_uid_of(&DiiHash::of_email(&Email::parse(EMAIL).unwrap()));
    for entry in &decrypted {
        assert_eq!(
            (&entry["status"], &entry["uid"]),
            (&"SUCCESS".into(), &raw_uid.as_str().into()),
            "{entry:#}"
        );
    }
    assert_eq!(
        decrypted[0]["established_ms"], decrypted[1]["established_ms"],
        "a refresh keeps the time of the login"
    );
}

#[tokio::test]
async fn the_official_bidstream_client_decrypts_what_went_through_the_gateway() {
    let demand = Ssp::new(ssp::Settings::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(ssp::serve(Arc::clone(&demand), listener, std::future::pending()));
    let plan = Plan { ssps: vec![("alpha".into(), address, "openrtb = \"2.6\"".into())], ..Plan::default() };
    let stack = Stack::start(&plan).await;
    stack.logged_in("jane", EMAIL).await;
    let request = r#"{"id":"r","imp":[{"id":"1","banner":{"w":300,"h":250}}],"site":{"publisher":{"id":"8953"}},"regs":{"gdpr":0}}"#;
    assert!(stack.auction("jane", request).await.status.is_success());

    let tokens: Vec<String> = demand.tokens().into_iter().map(|token| token.id).collect();
    assert_eq!(tokens.len(), 1, "{:?}", demand.stats());
    let operator = stack.operator_address;
    let raw_uid = stack.operator.raw_uid_of(&DiiHash::of_email(&Email::parse(EMAIL).unwrap()));
    if let Some(decrypted) = blocking(move || decrypt(operator, &tokens)).await {
        let [entry] = decrypted.as_slice() else { panic!("{decrypted:?}") };
        assert_eq!(
            (&entry["status"], &entry["uid"]),
            (&"SUCCESS".into(), &raw_uid.as_str().into()),
            "{entry:#}"
        );
        assert_eq!((&entry["scope"], &entry["identity_type"]), (&"UID2".into(), &"Email".into()));
        assert_eq!((&entry["site_id"], &entry["version"]), (&124.into(), &"ADVERTISING_TOKEN_V4".into()));
    }
    stack.stop().await;
}

/// `Uid2PublisherClient` against `operator`: each call of `sdk/publisher.py` with its answer. `None`: skipped.
pub(crate) fn publisher(operator: SocketAddr, email: &str) -> Option<Value> {
    run("publisher.py", operator, &[PUBLISHER[0], PUBLISHER[1], email])
}

/// `BidstreamClient` against `operator`: status, uid and more for each token. `None`: skipped.
pub(crate) fn decrypt(operator: SocketAddr, tokens: &[String]) -> Option<Vec<Value>> {
    let mut arguments = vec![BUYER[0], BUYER[1], "www.example.com"];
    arguments.extend(tokens.iter().map(String::as_str));
    let answer = run("bidstream.py", operator, &arguments)?;
    Some(answer.as_array().expect("the script prints a list").clone())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the peer's assertions hold")
}

/// Runs one of the scripts and reads what it prints. `None`: skipped.
fn run(script: &str, operator: SocketAddr, arguments: &[&str]) -> Option<Value> {
    static PYTHON: LazyLock<Result<PathBuf, String>> = LazyLock::new(install);
    let python = match &*PYTHON {
        Ok(python) => python,
        Err(why) => {
            let required = std::env::var_os("UID2GW_REQUIRE_PEERS").is_some_and(|value| value == "1");
            assert!(!required, "the Python SDK is required: {why}");
            // Not print!, which the test harness hides.
            writeln!(io::stderr(), "skipped: no Python SDK: {why}").unwrap_or_default();
            return None;
        }
    };
    let mut command = Command::new(python);
    command.arg(repository("tests/it/sdk").join(script)).arg(format!("http://{operator}")).args(arguments);
    // Neither byte code in the source tree nor a proxy on the way to loopback.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = command.output().expect("the interpreter that was just installed starts");
    assert!(output.status.success(), "{script}: {}", said(&output));
    Some(
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{script}: {e}: {}", said(&output))),
    )
}

/// The interpreter of a virtual environment with the SDK in it, made when it is not there yet.
fn install() -> Result<PathBuf, String> {
    let requirements = repository("tests/it/sdk/requirements.txt");
    let wanted = fs::read_to_string(&requirements).map_err(|e| e.to_string())?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    let (venv, ready) = (folder.join("uid2-sdk"), folder.join("uid2-sdk.ready"));
    let python = venv.join("bin/python");
    // Two test processes at once must not build the same folder.
    let lock = File::create(folder.join("uid2-sdk.lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|e| e.to_string())?;
    if fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) && python.exists() {
        return Ok(python);
    }
    call(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    call(Command::new(&python).args(quiet).arg(&requirements))?;
    fs::write(&ready, wanted).map_err(|e| e.to_string())?;
    Ok(python)
}

fn call(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", said(&output))) }
}

fn said(output: &Output) -> String {
    format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
}
