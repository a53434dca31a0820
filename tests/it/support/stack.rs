//! A whole stack in one process: sandbox operator, SSPs, gateway; each on a free port of loopback.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use uid2_gateway::app::{App, Running};
use uid2_gateway::config;
use uid2_gateway::sandbox::operator::{Operator, Settings as OperatorSettings};
use uid2_gateway::time::Clock;
use uid2_gateway::uid2::Scope;

use super::http::{Answer, Http};

/// The key of publisher `acme`; the configuration holds its SHA-256.
pub(crate) const KEY: &str = "test-key-of-acme";
pub(crate) const AUTH: (&str, &str) = ("authorization", "Bearer test-key-of-acme");

/// The publisher of the public mock storage, site 124.
pub(crate) const OPERATOR_KEY: &str = "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc=";
pub(crate) const OPERATOR_SECRET: &str = "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=";
pub(crate) const STORE_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What differs from the plain case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Lines inside `[[publisher]]`; a key given here replaces the default line.
    pub(crate) publisher: String,
    /// Per SSP: id, address, extra lines inside `[[ssp]]`.
    pub(crate) ssps: Vec<(String, SocketAddr, String)>,
    /// Other sections, whole.
    pub(crate) extra: String,
    /// `[admin]` lines; a free port of loopback when empty.
    pub(crate) admin: String,
    /// `[store]` lines; memory when empty. A key given here replaces the default line.
    pub(crate) store: String,
    /// `[identity]` lines.
    pub(crate) identity: String,
    /// `[server]` lines.
    pub(crate) server: String,
    /// Operator base URL; the stack's own when empty.
    pub(crate) operator: String,
    /// `[operator]` lines besides `urls`.
    pub(crate) operator_lines: String,
}

impl Plan {
    /// The configuration as a file would hold it.
    pub(crate) fn toml(&self, operator: &str) -> String {
        let ids: Vec<String> = self.ssps.iter().map(|(id, ..)| format!("{id:?}")).collect();
        let store = if self.store.is_empty() { "kind = \"memory\"" } else { &self.store };
        let own_key = store.contains("encryption_key = ");
        let store_key = if own_key { String::new() } else { format!("encryption_key = {STORE_KEY:?}") };
        let mut publisher: Vec<String> = self.publisher.lines().map(str::to_owned).collect();
        let key_digest = digest(KEY);
        for (key, line) in [
            ("api_keys", format!("api_keys = [\"{key_digest}\"]")),
            ("match", "match = { publisher_ids = [\"8953\"], domains = [\"www.example.com\"] }".into()),
            ("scope", "scope = \"uid2\"".into()),
            ("operator_key", format!("operator_key = {:?}", self.operator_key())),
            ("operator_secret", format!("operator_secret = {OPERATOR_SECRET:?}")),
            ("ssps", format!("ssps = [{}]", ids.join(", "))),
        ] {
            if !publisher.iter().any(|l| l.starts_with(&format!("{key} ="))) {
                publisher.push(line);
            }
        }
        let admin = if self.admin.is_empty() { "listen = \"127.0.0.1:0\"" } else { &self.admin };
        let euid =
            if self.is_euid() { format!("euid = {{ urls = [\"{operator}\"] }}") } else { String::new() };
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\ndrain_seconds = 0\n{}\n[admin]\n{admin}\n\
             [operator]\nurls = [\"{operator}\"]\n{euid}\n{}\n[identity]\n{}\n[store]\n{store}\n{store_key}\n{}\n\
             [[publisher]]\nid = \"acme\"\n{}\n",
            self.server,
            self.operator_lines,
            self.identity,
            self.extra,
            publisher.join("\n"),
        );
        for (id, address, lines) in &self.ssps {
            writeln!(text, "[[ssp]]\nid = {id:?}\nurl = \"http://{address}/openrtb2/bid\"\n{lines}").unwrap();
        }
        text
    }
}

impl Plan {
    /// `scope = "euid"` among the publisher's lines: the stack's operator is one of EUID.
    fn is_euid(&self) -> bool {
        self.publisher.lines().any(|line| line == "scope = \"euid\"")
    }

    /// An EUID operator knows the test clients under keys that start with EUID.
    fn operator_key(&self) -> String {
        if self.is_euid() { OPERATOR_KEY.replacen("UID2", "EUID", 1) } else { OPERATOR_KEY.to_owned() }
    }
}

/// A further publisher on the same operator account, with `lines` of its own and the SSP `alpha`.
pub(crate) fn another_publisher(id: &str, lines: &str) -> String {
    format!(
        "[[publisher]]\nid = {id:?}\n{lines}\nscope = \"uid2\"\noperator_key = {OPERATOR_KEY:?}\noperator_secret = {OPERATOR_SECRET:?}\nssps = [\"alpha\"]\n"
    )
}

/// `sha256:<hex>` of a key's text.
pub(crate) fn digest(key: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(key.as_bytes()).iter().fold(String::from("sha256:"), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A sandbox operator that serves.
pub(crate) async fn operator(settings: OperatorSettings) -> (Arc<Operator>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let operator = Operator::new(settings, Clock::System);
    let serving = Arc::clone(&operator);
    tokio::spawn(uid2_gateway::sandbox::operator::serve(serving, listener, std::future::pending::<()>()));
    (operator, address)
}

/// The stack.
pub(crate) struct Stack {
    pub(crate) operator: Arc<Operator>,
    pub(crate) operator_address: SocketAddr,
    pub(crate) http: Http,
    pub(crate) data: SocketAddr,
    pub(crate) admin: SocketAddr,
    gateway: Option<Running>,
}

impl Stack {
    pub(crate) async fn start(plan: &Plan) -> Self {
        let scope = if plan.is_euid() { Scope::Euid } else { Scope::Uid2 };
        let (operator, operator_address) = operator(OperatorSettings::mock(scope)).await;
        let url = if plan.operator.is_empty() {
            format!("http://{operator_address}")
        } else {
            plan.operator.clone()
        };
        let text = plan.toml(&url);
        let loaded = config::from_str(&text, Path::new("test.toml"), &BTreeMap::new());
        let (config, _) = loaded.unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        // The gateway brings its own runtimes, which must not be built or dropped inside the test's.
        let gateway =
            tokio::task::spawn_blocking(|| App::build(config).unwrap().start().unwrap()).await.unwrap();
        let (data, admin) = (gateway.data_address(), gateway.admin_address());
        Self { operator, operator_address, http: Http::default(), data, admin, gateway: Some(gateway) }
    }

    pub(crate) async fn login(&self, body: &str) -> Answer {
        let headers = [AUTH, ("content-type", "application/json")];
        self.http.post(self.data, "/v1/identity", &headers, body.to_owned()).await
    }

    /// Logs `user` in with an e-mail address and insists that it worked.
    pub(crate) async fn logged_in(&self, user: &str, email: &str) {
        let answer = self.login(&format!(r#"{{"user_id":"{user}","email":"{email}"}}"#)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["status"], "success", "{answer:?}");
    }

    pub(crate) async fn auction(&self, user: &str, body: impl Into<bytes::Bytes>) -> Answer {
        let headers = [AUTH, ("content-type", "application/json"), ("x-publisher-user-id", user)];
        self.http.post(self.data, "/openrtb2/auction", &headers, body).await
    }

    /// The value of one series, 0 when it is not there.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.http.get(self.admin, "/metrics", &[]).await.text();
        let line =
            text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }

    pub(crate) async fn stop(mut self) {
        let gateway = self.gateway.take().unwrap();
        tokio::task::spawn_blocking(|| gateway.stop().unwrap()).await.unwrap();
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            std::thread::spawn(move || gateway.stop()).join().ok();
        }
    }
}
