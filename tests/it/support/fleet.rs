//! Several real gateways as processes of their own, on one Redis: a sandbox operator, one SSP that keeps what it received.

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use serde_json::{Value, json};
use uid2_gateway::sandbox::operator::faults::Curve;
use uid2_gateway::sandbox::operator::{Lifetimes, Operator, Settings as OperatorSettings, decrypt_as_dsp};
use uid2_gateway::time::Clock;
use uid2_gateway::uid2::{DiiHash, Email};

use super::binary;
use super::http::{Answer, Http};
use super::poll;
use super::process::Process;
use super::scripted_ssp::{Script, ScriptedSsp};
use super::stack::{AUTH, Plan, operator};

/// An ad request of this id.
fn body(id: usize) -> String {
    format!(r#"{{"id":"r-{id}-","imp":[{{"id":"1"}}],"device":{{"geo":{{"country":"USA"}}}}}}"#)
}

/// What the gateways share.
pub(crate) struct Fleet {
    pub(crate) operator: Arc<Operator>,
    operator_address: SocketAddr,
    pub(crate) ssp: ScriptedSsp,
    pub(crate) http: Http,
    auctions: AtomicUsize,
    config: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Fleet {
    /// Over these URLs, with these lines besides in `[store]`.
    pub(crate) async fn new(urls: &[String], lines: &str) -> Self {
        let (operator, operator_address) = operator(OperatorSettings::default()).await;
        let ssp = ScriptedSsp::start(Script::default()).await;
        let folder = tempfile::tempdir().unwrap();
        let mut store = String::from("kind = \"redis\"\ntimeout_ms = 300\nconnect_timeout_ms = 500\n");
        write!(store, "urls = {urls:?}\n{lines}").unwrap();
        let plan = Plan {
            store,
            ssps: vec![("alpha".into(), ssp.address, String::new())],
            // Not the time in which a thousand callers get their turn on two cores.
            identity: "wait_ms = 1000\nexpiry_margin_s = 1\nrefresh_jitter_s = 0".into(),
            ..Plan::default()
        };
        let config = folder.path().join("gateway.toml");
        std::fs::write(&config, plan.toml(&format!("http://{operator_address}"))).unwrap();
        Self {
            operator,
            operator_address,
            ssp,
            http: Http::default(),
            auctions: AtomicUsize::new(0),
            config,
            _folder: folder,
        }
    }

    /// One more gateway.
    pub(crate) fn gateway(&self) -> Process {
        Process::start(&self.config)
    }

    /// A gateway that ends at its start: its exit code and what it said.
    pub(crate) async fn refused(&self) -> (Option<i32>, String) {
        let mut command = Command::new(binary());
        command.args(["serve", "--config"]).arg(&self.config);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub(crate) async fn login(&self, at: &Process, user: &str, email: &str) -> Answer {
        let body = json!({"user_id": user, "email": email}).to_string();
        self.http.post(at.data, "/v1/identity", &[AUTH], body).await
    }

    pub(crate) async fn logged_in(&self, at: &Process, user: &str, email: &str) {
        let answer = self.login(at, user, email).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["status"]),
            (200, &json!("success")),
            "{answer:?}"
        );
    }

    pub(crate) async fn call(&self, method: Method, at: &Process, path: &str) -> Answer {
        self.http.send(method, (at.data, path), &[AUTH], "").await
    }

    /// An auction for `user`, which must not fail; the number in its id.
    pub(crate) async fn auction(&self, at: &Process, user: &str) -> usize {
        let id = self.auctions.fetch_add(1, Ordering::Relaxed);
        let headers = [AUTH, ("x-publisher-user-id", user)];
        let answer = self.http.post(at.data, "/openrtb2/auction", &headers, body(id)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        id
    }

    /// The same, and whether the SSP got a token.
    pub(crate) async fn is_injected(&self, at: &Process, user: &str) -> bool {
        let id = format!("\"r-{}-\"", self.auction(at, user).await);
        let received = self.ssp.received();
        let is_it = |body: &[u8]| body.windows(id.len()).any(|part| part == id.as_bytes());
        let request = received.iter().rev().find(|request| is_it(&request.body)).expect("it was forwarded");
        token(&request.body).is_some()
    }

    pub(crate) async fn until_injected(&self, at: &Process, user: &str) {
        poll::until("a token", async || self.is_injected(at, user).await.then_some(())).await;
    }

    /// Waits until a gateway knows the user, without asking for a token.
    pub(crate) async fn until_known(&self, at: &Process, user: &str) {
        let path = format!("/v1/identity/{user}");
        poll::until("the user to be known", async || {
            (self.call(Method::GET, at, &path).await.status == 200).then_some(())
        })
        .await;
    }

    /// Tokens that memory had and that were not due.
    pub(crate) async fn hits(&self, at: &Process) -> f64 {
        self.metric(at, r#"uid2gw_cache_total{result="hit"}"#).await
    }

    /// The raw UIDs of all tokens that the SSP received, decrypted as a DSP would, each with the number of its request.
    pub(crate) fn received(&self) -> Vec<(usize, String)> {
        let keys = self.operator.keys();
        let tokens = self.ssp.received().into_iter().map(|request| token(&request.body)).enumerate();
        let open =
            |token: String| decrypt_as_dsp(&token, &keys, Clock::System.now()).unwrap().raw_uid.to_base64();
        tokens.filter_map(|(number, token)| Some((number, open(token?)))).collect()
    }

    pub(crate) fn raw_uid(&self, email: &str) -> String {
        self.operator.raw_uid_of(&hash(email))
    }

    pub(crate) fn opt_out(&self, email: &str) {
        self.operator.opt_out(&hash(email));
    }

    /// What is made from now on is due after so many seconds.
    pub(crate) fn due_after(&self, seconds: u32) {
        let lifetimes = Lifetimes { refresh_from_seconds: seconds, ..Lifetimes::default() };
        self.operator.set_lifetimes(lifetimes);
    }

    /// So long the operator takes for a refresh from now on.
    pub(crate) fn slow_refreshes(&self, milliseconds: u32) {
        let slow = format!(r#"{{"latency": {{"refresh": "{milliseconds}ms"}}}}"#);
        self.operator.set_faults(Curve::from_json(slow.as_bytes()).unwrap());
    }

    /// Refreshes the operator was asked for, whatever came of them.
    pub(crate) async fn refreshes(&self) -> u64 {
        let stats = self.http.get(self.operator_address, "/sandbox/stats", &[]).await.json();
        let outcomes = stats["endpoints"]["refresh"].as_object().cloned().unwrap_or_default();
        outcomes.values().filter_map(Value::as_u64).sum()
    }

    async fn metric(&self, at: &Process, series: &str) -> f64 {
        let text = self.http.get(at.admin, "/metrics", &[]).await.text();
        let line =
            text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until the gateway says of its store that it is there, or that it is not.
    pub(crate) async fn until_store(&self, at: &Process, is_up: bool) {
        let holds = async || (self.is_store_up(at).await == is_up).then_some(());
        poll::until("the store's state", holds).await;
    }

    pub(crate) async fn is_store_up(&self, at: &Process) -> bool {
        self.metric(at, "uid2gw_store_up").await > 0.5
    }
}

fn hash(email: &str) -> DiiHash {
    DiiHash::of_email(&Email::parse(email).unwrap())
}

/// The UID2 token in a bid request.
fn token(body: &[u8]) -> Option<String> {
    let request: Value = serde_json::from_slice(body).unwrap();
    let places = [&request["user"]["eids"], &request["user"]["ext"]["eids"]];
    let lists = places.into_iter().filter_map(Value::as_array).flatten();
    let ours =
        lists.filter(|eid| eid["source"] == "uidapi.com").find_map(|eid| eid["uids"][0]["id"].as_str());
    ours.map(str::to_owned)
}
