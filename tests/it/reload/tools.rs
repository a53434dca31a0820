//! A process whose configuration file is edited while it serves.

use serde_json::json;

use crate::support::http::{Answer, Http};
use crate::support::process::Process;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{Plan, digest, operator};
use uid2_gateway::sandbox::operator::Settings as OperatorSettings;

pub(super) const BODY: &str = r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}}}"#;

/// The line of a publisher's keys.
pub(super) fn key_line(keys: &[&str]) -> String {
    let digests: Vec<String> = keys.iter().map(|key| format!("\"{}\"", digest(key))).collect();
    format!("api_keys = [{}]", digests.join(", "))
}

pub(super) struct Edited {
    pub(super) process: Process,
    pub(super) alpha: ScriptedSsp,
    pub(super) beta: ScriptedSsp,
    pub(super) http: Http,
    file: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Edited {
    /// A gateway with one SSP, and another SSP beside it that nobody knows yet.
    pub(super) async fn start(server: &str) -> Self {
        let (alpha, beta) =
            (ScriptedSsp::start(Script::default()).await, ScriptedSsp::start(Script::default()).await);
        let (_, operator_address) = operator(OperatorSettings::default()).await;
        let plan = Plan {
            server: format!("max_inflight = 4096\n{server}"),
            ssps: vec![("alpha".into(), alpha.address, String::new())],
            ..Plan::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, plan.toml(&format!("http://{operator_address}"))).unwrap();
        let process = Process::start(&file);
        Self { process, alpha, beta, http: Http::default(), file, _folder: folder }
    }

    /// Replaces the file as editors do: another one is renamed over it.
    pub(super) fn edit(&self, change: impl FnOnce(&str) -> String) {
        let before = std::fs::read_to_string(&self.file).unwrap();
        let after = change(&before);
        assert_ne!(before, after, "the edit changes something");
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, after).unwrap();
        std::fs::rename(&beside, &self.file).unwrap();
    }

    /// Writes a file beside the configuration, in place.
    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file.with_file_name(name), text).unwrap();
    }

    pub(super) async fn reload(&self) -> Answer {
        let own = format!("http://{}", self.process.admin);
        self.http.post(self.process.admin, "/reload", &[("origin", &own)], "").await
    }

    pub(super) async fn config(&self) -> serde_json::Value {
        self.http.get(self.process.admin, "/config", &[]).await.json()
    }

    pub(super) async fn log_in(&self, user: &str) {
        let body = json!({ "user_id": user, "email": format!("{user}@example.com") });
        let headers = [("authorization", "Bearer test-key-of-acme")];
        let answer = self.http.post(self.process.data, "/v1/identity", &headers, body.to_string()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["status"]),
            (200, &json!("success")),
            "{answer:?}"
        );
    }

    /// The status of an auction for `user`.
    pub(super) async fn auction(&self, user: &str) -> u16 {
        self.auction_as("test-key-of-acme", user).await
    }

    pub(super) async fn auction_as(&self, key: &str, user: &str) -> u16 {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("x-publisher-user-id", user)];
        self.http.post(self.process.data, "/openrtb2/auction", &headers, BODY).await.status.as_u16()
    }

    /// An auction for `user` brings their token to the first SSP.
    pub(super) async fn sent_to_alpha(&self, user: &str) {
        assert_eq!(self.auction(user).await, 204);
        let sent = String::from_utf8_lossy(&self.alpha.last().body).into_owned();
        assert!(sent.contains("uidapi.com"), "{sent}");
    }

    pub(super) async fn metric(&self, series: &str) -> f64 {
        let text = self.http.get(self.process.admin, "/metrics", &[]).await.text();
        let line =
            text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }
}
