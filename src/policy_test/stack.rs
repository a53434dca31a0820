//! The servers of a test: a sandbox operator, and per lane one gateway, one sandbox SSP a dialect, and a logged-in user
//! per publisher. All on free ports of loopback, with the store in memory.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::case::Setting;
use super::compare::Answer;
use super::table::Demand;
use crate::app::{App, Running};
use crate::config;
use crate::sandbox::operator::{self, Operator};
use crate::sandbox::ssp::{self, Received, Ssp};
use crate::time::Clock;
use crate::uid2::Scope;

/// The user whom every request names.
pub(super) const USER: &str = "policy-test-user";

/// A gateway and its SSPs. One request at a time: so what the SSPs show belongs to it.
pub(super) struct Lane {
    gateway: Running,
    ssps: Vec<Arc<Ssp>>,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Per publisher: its key, and the token of its user.
    publishers: Vec<Publisher>,
}

struct Publisher {
    authorization: HeaderValue,
    token: String,
}

/// The operator of each scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operators {
    uid2: SocketAddr,
    euid: SocketAddr,
}

impl Operators {
    /// Starts both; they serve until their runtime ends.
    pub(super) async fn start() -> anyhow::Result<Self> {
        Ok(Self { uid2: operator(Scope::Uid2).await?, euid: operator(Scope::Euid).await? })
    }

    /// Addresses for a configuration that is only read.
    pub(super) fn nobody() -> Self {
        let nobody = (std::net::Ipv4Addr::LOCALHOST, 1).into();
        Self { uid2: nobody, euid: nobody }
    }
}

async fn operator(scope: Scope) -> anyhow::Result<SocketAddr> {
    let (listener, address) = listen().await?;
    let operator = Operator::new(operator::Settings::mock(scope), Clock::System);
    tokio::spawn(operator::serve(operator, listener, std::future::pending::<()>()));
    Ok(address)
}

impl Lane {
    /// Starts a gateway with one publisher for each setting, and logs its user in.
    pub(super) fn start(
        outside: &Handle,
        operators: Operators,
        demand: &[Demand],
        settings: &[Setting],
    ) -> anyhow::Result<Self> {
        let mut ssps = Vec::new();
        let mut ssp_tables = String::new();
        for (index, Demand { openrtb, gvl_id }) in demand.iter().enumerate() {
            let ssp = Ssp::new(ssp::Settings { bid_rate: 0.0, ..ssp::Settings::default() });
            let (listener, address) = outside.block_on(listen())?;
            outside.spawn(ssp::serve(Arc::clone(&ssp), listener, std::future::pending::<()>()));
            // Nothing may end for lack of time: that is another test.
            writeln!(
                ssp_tables,
                "[[ssp]]\nid = \"ssp{index}\"\nurl = \"http://{address}/openrtb2/bid\"\nopenrtb = \"{openrtb}\"\n\
                 timeout_ms = {TIMEOUT_MS}\nmin_ms = 1\nmargin_ms = 1"
            )?;
            if let Some(id) = gvl_id {
                writeln!(ssp_tables, "gvl_id = {id}")?;
            }
            ssps.push(ssp);
        }
        let (text, keys) = configuration(operators, &ssp_tables, demand.len(), settings)?;
        let (mut config, _) = config::from_str(&text, Path::new("policy-test.toml"), &BTreeMap::new())?;
        for (publisher, setting) in config.publishers.iter_mut().zip(settings) {
            publisher.set_policy(&setting.policy);
        }
        let gateway = App::build(config)?.start()?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut lane = Self { gateway, ssps, client, publishers: Vec::new() };
        for (key, setting) in keys.iter().zip(settings) {
            lane.publishers.push(outside.block_on(lane.log_in(key, setting.scope))?);
        }
        Ok(lane)
    }

    async fn log_in(&self, key: &str, scope: Scope) -> anyhow::Result<Publisher> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))?;
        authorization.set_sensitive(true);
        let mut login = json!({"user_id": USER, "email": "policy.test@example.com", "return_identity": true});
        if scope == Scope::Euid {
            login["privacy"] = json!({"gdpr": 1, "consent": CONSENT});
        }
        let request = Request::post(format!("http://{}/v1/identity", self.gateway.data_address()))
            .header(AUTHORIZATION, &authorization)
            .header(CONTENT_TYPE, JSON)
            .body(Full::from(login.to_string()))?;
        let answer = self.client.request(request).await?.into_body().collect().await?.to_bytes();
        let answer: Value = serde_json::from_slice(&answer).context("login answer")?;
        ensure!(answer["status"] == "success", "login answered {}", answer["status"]);
        let token = answer["identity"]["advertising_token"].as_str().context("login without a token")?;
        Ok(Publisher { authorization, token: token.to_owned() })
    }

    /// The token of a publisher's user.
    pub(super) fn token(&self, publisher: usize) -> &str {
        &self.publishers[publisher].token
    }

    /// Sends one ad request; its outcome as the gateway tells it to whom it may.
    pub(super) async fn auction(
        &self,
        publisher: usize,
        headers: &HeaderMap,
        body: String,
    ) -> anyhow::Result<Answer> {
        let uri = format!("http://{}/openrtb2/auction", self.gateway.data_address());
        let mut request = Request::post(uri)
            .header(AUTHORIZATION, &self.publishers[publisher].authorization)
            .header(CONTENT_TYPE, JSON)
            .header("x-publisher-user-id", USER)
            .body(Full::from(body))?;
        request.headers_mut().extend(headers.clone());
        let (head, body) = self.client.request(request).await?.into_parts();
        body.collect().await?;
        Ok(Answer::of(head.status.as_u16(), &head.headers))
    }

    /// What each SSP received since the last call.
    pub(super) fn received(&self) -> Vec<Vec<Received>> {
        let take = |ssp: &Arc<Ssp>| {
            let received = ssp.received();
            ssp.reset();
            received
        };
        self.ssps.iter().map(take).collect()
    }

    /// Stops the gateway.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.gateway.stop()
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TIMEOUT_MS: u64 = 5_000;

/// A published TC string with all that an EUID needs; an EUID is made on consent alone.
const CONSENT: &str = "CPehNtWPehNtWABAMBFRACBoALAAAEJAAIYgAKwAQAKgArABAAqAAA";

async fn listen() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The gateway's configuration, and a key for each publisher.
pub(super) fn configuration(
    operators: Operators,
    ssp_tables: &str,
    ssps: usize,
    settings: &[Setting],
) -> anyhow::Result<(String, Vec<String>)> {
    let routed = (0..ssps).map(|n| format!("\"ssp{n}\"")).collect::<Vec<_>>().join(", ");
    let (operator_key, operator_secret) = operator::clients::PUBLISHER;
    let Operators { uid2, euid } = operators;
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\ndrain_seconds = 0\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [operator]\nurls = [\"http://{uid2}\"]\neuid = {{ urls = [\"http://{euid}\"] }}\n[identity]\nwait_ms = 1000\n\
         [debug]\nallow = true\n[store]\nkind = \"memory\"\nencryption_key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n{ssp_tables}"
    );
    let mut keys = Vec::with_capacity(settings.len());
    for (index, setting) in settings.iter().enumerate() {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)?;
        let key = hex(&random);
        let prefix = if setting.scope == Scope::Euid { "EUID" } else { "UID2" };
        let operator_key = operator_key.replacen("UID2", prefix, 1);
        writeln!(
            text,
            "[[publisher]]\nid = \"p{index}\"\napi_keys = [\"sha256:{}\"]\nscope = \"{}\"\nssps = [{routed}]\n\
             operator_key = \"{operator_key}\"\noperator_secret = \"{operator_secret}\"",
            hex(&Sha256::digest(key.as_bytes())),
            setting.scope.as_str(),
        )?;
        keys.push(key);
    }
    Ok((text, keys))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}
