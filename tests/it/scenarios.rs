//! Every file in `fixtures/gateway` through one `check`: a request in, what each SSP must receive and answers, what
//! comes out, what is counted. The files are the documentation of the path; see `fixtures/gateway/README.md`.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uid2_gateway::time::Clock;

use crate::support::json_files;
use crate::support::poll;
use crate::support::scripted_ssp::{Received, Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    about: String,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    before: Vec<Before>,
    inbound: Inbound,
    #[serde(default)]
    ssps: BTreeMap<String, Ssp>,
    outcome: Outcome,
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
}

/// Lines of TOML, per section.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    publisher: Vec<String>,
    ssp: BTreeMap<String, Vec<String>>,
    server: Vec<String>,
    identity: Vec<String>,
    extra: Vec<String>,
}

/// What happens before the request.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Before {
    Login(Value),
    Logout(String),
    OperatorLifetimes(Value),
    /// The same request again and again until `/metrics` holds this value: for what happens beside the path.
    AuctionUntil {
        inbound: Value,
        metric: String,
        value: f64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inbound {
    #[serde(default = "post")]
    method: String,
    #[serde(default = "auction")]
    path: String,
    #[serde(default = "yes")]
    key: bool,
    /// `${NOW+3600000}` and `${NOW-1}` stand for times in Unix milliseconds.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// The body as JSON (its text travels as it stands in the file) …
    json: Option<Box<RawValue>>,
    /// … or as text, exactly.
    text: Option<String>,
}

fn post() -> String {
    "POST".into()
}

fn auction() -> String {
    "/openrtb2/auction".into()
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ssp {
    #[serde(default)]
    reply: Reply,
    /// `null`: the SSP must not be called.
    expect: Option<Expect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Reply {
    status: u16,
    headers: BTreeMap<String, String>,
    json: Option<Box<RawValue>>,
    text: Option<String>,
    /// The body goes out as gzip.
    gzip: bool,
    delay_ms: u64,
}

impl Default for Reply {
    fn default() -> Self {
        Self { status: 204, headers: BTreeMap::new(), json: None, text: None, gzip: false, delay_ms: 0 }
    }
}

/// `${TOKEN}` stands for an advertising token, `${TMAX}` for a whole number, `${NUMBER}` for any; everything else must be
/// equal byte for byte.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    json: Option<Box<RawValue>>,
    text: Option<String>,
    /// The body must come as gzip.
    #[serde(default)]
    gzip: bool,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    json: Option<Box<RawValue>>,
    text: Option<String>,
    /// The body must come as gzip.
    #[serde(default)]
    gzip: bool,
    /// Members that a problem or status body must hold.
    #[serde(default)]
    members: BTreeMap<String, Value>,
}

fn bytes_of(json: Option<&RawValue>, text: Option<&String>) -> Option<String> {
    text.cloned().or_else(|| json.map(|j| j.get().to_owned()))
}

async fn check(path: &Path) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let file = std::fs::read_to_string(path).unwrap();
    let scenario: Scenario = serde_json::from_str(&file).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(!scenario.about.is_empty(), "{name}: says nothing about itself");
    let mut ssps = BTreeMap::new();
    let mut plan = Plan {
        publisher: scenario.config.publisher.join("\n"),
        server: scenario.config.server.join("\n"),
        identity: scenario.config.identity.join("\n"),
        extra: scenario.config.extra.join("\n"),
        ..Plan::default()
    };
    for (id, ssp) in &scenario.ssps {
        let started = ScriptedSsp::start(script(&ssp.reply)).await;
        let lines = scenario.config.ssp.get(id).map(|lines| lines.join("\n")).unwrap_or_default();
        plan.ssps.push((id.clone(), started.address, lines));
        ssps.insert(id.clone(), started);
    }
    let stack = Stack::start(&plan).await;
    for step in &scenario.before {
        prepare(&stack, step, &name).await;
    }
    let calls_before: BTreeMap<&String, usize> =
        ssps.iter().map(|(id, s)| (id, s.received().len())).collect();
    let answer = send(&stack, &scenario.inbound).await;
    check_outcome(&name, &scenario.outcome, &answer);
    for (id, ssp) in &scenario.ssps {
        let received = ssps[id].received().split_off(calls_before[id]);
        check_received(&format!("{name}: {id}"), ssp.expect.as_ref(), &received);
    }
    for (series, value) in &scenario.metrics {
        poll::until(&format!("{name}: {series} = {value}"), async || {
            let now = stack.metric(series).await;
            ((now - value).abs() < f64::EPSILON).then_some(())
        })
        .await;
    }
    stack.stop().await;
}

fn script(reply: &Reply) -> Script {
    let body = bytes_of(reply.json.as_deref(), reply.text.as_ref()).unwrap_or_default();
    let mut headers: Vec<_> = reply.headers.clone().into_iter().collect();
    if !body.is_empty() && !reply.headers.contains_key("content-type") {
        headers.push(("content-type".into(), "application/json".into()));
    }
    let mut body = Bytes::from(body);
    if reply.gzip {
        headers.push(("content-encoding".into(), "gzip".into()));
        body = zipped(&body);
    }
    let delay = Duration::from_millis(reply.delay_ms);
    Script { status: reply.status, headers, body, delay, turn: None }
}

async fn prepare(stack: &Stack, step: &Before, name: &str) {
    match step {
        Before::Login(body) => {
            let answer = stack.login(&body.to_string()).await;
            assert_eq!(answer.status, 200, "{name}: login: {answer:?}");
        }
        Before::Logout(user) => {
            let path = format!("/v1/identity/{user}");
            let answer = stack.http.send(Method::DELETE, (stack.data, &path), &[AUTH], Bytes::new()).await;
            assert_eq!(answer.status, 204, "{name}: logout: {answer:?}");
        }
        Before::OperatorLifetimes(body) => {
            let at = stack.operator_address;
            let answer = stack.http.post(at, "/sandbox/lifetimes", &[], body.to_string()).await;
            assert!(answer.status.is_success(), "{name}: {answer:?}");
        }
        Before::AuctionUntil { inbound, metric, value } => {
            let inbound: Inbound = serde_json::from_value(inbound.clone()).unwrap();
            poll::until(&format!("{name}: {metric} = {value}"), async || {
                send(stack, &inbound).await;
                (stack.metric(metric).await >= *value).then_some(())
            })
            .await;
        }
    }
}

async fn send(stack: &Stack, inbound: &Inbound) -> crate::support::http::Answer {
    let timed: Vec<(&str, String)> = inbound.headers.iter().map(|(n, v)| (n.as_str(), timed(v))).collect();
    let mut headers: Vec<(&str, &str)> = timed.iter().map(|(n, v)| (*n, v.as_str())).collect();
    if inbound.key && !inbound.headers.contains_key("authorization") {
        headers.push(AUTH);
    }
    if !inbound.headers.contains_key("content-type") {
        headers.push(("content-type", "application/json"));
    }
    let body = bytes_of(inbound.json.as_deref(), inbound.text.as_ref()).unwrap_or_default();
    let method = Method::from_bytes(inbound.method.as_bytes()).unwrap();
    stack.http.send(method, (stack.data, &inbound.path), &headers, body).await
}

/// The body, inflated where it must be gzip.
fn plain(name: &str, gzip: bool, headers: &http::HeaderMap, body: &Bytes) -> String {
    let coding = headers.get("content-encoding").map(|value| value.to_str().unwrap());
    if !gzip {
        assert_eq!(coding, None, "{name}: content coding");
        return String::from_utf8(body.to_vec()).unwrap();
    }
    assert_eq!(coding, Some("gzip"), "{name}: content coding");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(body.as_ref()), &mut text).unwrap();
    text
}

fn zipped(body: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, body).unwrap();
    encoder.finish().unwrap().into()
}

/// A text with its times, counted from now.
fn timed(text: &str) -> String {
    let Some((before, rest)) = text.split_once("${NOW") else { return text.to_owned() };
    let (distance, after) = rest.split_once('}').expect("a hole is closed");
    let time = Clock::System.now().plus(distance.parse().expect("milliseconds with a sign")).0;
    format!("{before}{time}{}", timed(after))
}

fn check_outcome(name: &str, expected: &Outcome, answer: &crate::support::http::Answer) {
    assert_eq!(answer.status, expected.status, "{name}: {answer:?}");
    let text = plain(name, expected.gzip, &answer.headers, &answer.body);
    for (header, value) in &expected.headers {
        let got = answer.headers.get(header).map(|v| v.to_str().unwrap());
        assert_eq!(got, value.as_deref(), "{name}: header {header}");
    }
    if let Some(body) = bytes_of(expected.json.as_deref(), expected.text.as_ref()) {
        assert!(fits(&body, &text), "{name}:\nexpected {body}\nanswered {text}");
    }
    for (member, value) in &expected.members {
        assert_eq!(
            answer.json().get(member).unwrap_or(&json!(null)),
            value,
            "{name}: {member} of {}",
            answer.text()
        );
    }
}

fn check_received(name: &str, expected: Option<&Expect>, received: &[Received]) {
    let Some(expected) = expected else {
        assert!(received.is_empty(), "{name}: was called, and must not be");
        return;
    };
    assert_eq!(received.len(), 1, "{name}: calls");
    let body = plain(name, expected.gzip, &received[0].headers, &received[0].body);
    if let Some(template) = bytes_of(expected.json.as_deref(), expected.text.as_ref()) {
        assert!(fits(&template, &body), "{name}:\nexpected {template}\nreceived {body}");
    }
    for (header, value) in &expected.headers {
        let got = received[0].headers.get(header).map(|v| v.to_str().unwrap());
        assert_eq!(got, value.as_deref(), "{name}: header {header}");
    }
}

/// Byte equality with three kinds of holes.
fn fits(template: &str, text: &str) -> bool {
    let next = ["${TOKEN}", "${TMAX}", "${NUMBER}"]
        .iter()
        .filter_map(|hole| Some((template.find(hole)?, *hole)))
        .min();
    let Some((at, hole)) = next else { return template == text };
    let Some(rest) = text.strip_prefix(&template[..at]) else { return false };
    let filling = |c: char| match hole {
        "${TOKEN}" => c.is_ascii_alphanumeric() || matches!(c, '-' | '_'),
        "${NUMBER}" => c.is_ascii_digit() || c == '.',
        _ => c.is_ascii_digit(),
    };
    let length = rest.find(|c| !filling(c)).unwrap_or(rest.len());
    let enough = if hole == "${TOKEN}" { length > 200 } else { length > 0 };
    enough && fits(&template[at + hole.len()..], &rest[length..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exemplary() {
    let files = json_files("fixtures/gateway/exemplary");
    assert!(files.len() >= 25, "only {} exemplary scenarios", files.len());
    check_all(files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supplemental() {
    check_all(json_files("fixtures/gateway/supplemental")).await;
}

/// All of them, so that one run shows every scenario that does not hold.
async fn check_all(files: Vec<PathBuf>) {
    let mut failed = Vec::new();
    for file in files {
        if AssertUnwindSafe(check(&file)).catch_unwind().await.is_err() {
            failed.push(file.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn templates_fit_only_what_they_say() {
    let token = "A".repeat(218);
    assert!(fits(r#"{"id":"${TOKEN}","t":${TMAX}}"#, &format!(r#"{{"id":"{token}","t":12}}"#)));
    assert!(!fits(r#"{"id":"${TOKEN}"}"#, r#"{"id":"short"}"#));
    assert!(!fits("{\"t\":${TMAX}}", "{\"t\":x}"));
    assert!(!fits("{\"t\":${TMAX}}", "{\"t\":1.5}"));
    assert!(fits("{\"t\":${NUMBER}}", "{\"t\":1.5}"));
    assert!(!fits("{}", "{} "));
}
