//! `store` on a shared store, while a gateway serves from it.

use std::path::Path;
use std::process::Command;

use http::Method;
use serde_json::{Value, json};

use crate::support::http::Http;
use crate::support::process::{Process, place};
use crate::support::redis::{Server, is_there};
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::AUTH;
use crate::support::{binary, poll};

fn store(args: &[&str], config: &Path) -> Value {
    let mut command = Command::new(binary());
    let output = command.arg("store").args(args).arg("--json").arg("--config").arg(config).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {told}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{args:?}: {fault}"))
}

async fn log_in(http: &Http, at: &Process, user: &str) {
    let body = json!({"user_id": user, "email": format!("{user}@example.com")}).to_string();
    let answer = http.post(at.data, "/v1/identity", &[AUTH], body).await;
    assert_eq!(answer.json()["status"], "success", "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_store_moves_to_redis_and_is_looked_after_there() {
    if !is_there() {
        return;
    }
    let server = Server::start(&[]);
    let ssp = ScriptedSsp::start(Script::default()).await;
    let disk = place(0, &ssp).await;
    let http = Http::default();
    let mut process = Process::start(&disk.config);
    for user in ["ann", "bob", "joe"] {
        log_in(&http, &process, user).await;
    }
    let opt_out = http.send(Method::PUT, (process.data, "/v1/identity/joe/optout"), &[AUTH], "").await;
    assert_eq!(opt_out.status, 204);
    process.terminate();
    poll::until("the process to end", async || process.child.try_wait().unwrap()).await;

    let text = std::fs::read_to_string(&disk.config).unwrap();
    let lines = format!("kind = \"redis\"\nurls = [{:?}]", server.url());
    let shared = disk.folder.path().join("shared.toml");
    std::fs::write(&shared, text.replace("kind = \"disk\"", &lines)).unwrap();
    let copied = store(&["copy", "--to", shared.to_str().unwrap()], &disk.config);
    assert_eq!((&copied["unreadable"], &copied["opt_outs"]), (&json!(0), &json!(1)), "{copied}");

    // Found under the same keys, by a gateway that never saw the disk.
    let process = Process::start(&shared);
    let phase = async |user: &str| {
        let answer = http.get(process.data, &format!("/v1/identity/{user}"), &[AUTH]).await;
        if answer.status == 404 { Value::Null } else { answer.json()["phase"].clone() }
    };
    assert_eq!((phase("ann").await, phase("joe").await), (json!("fresh"), json!("opted_out")));
    log_in(&http, &process, "jim").await;

    // Unlike a directory, it has no owner.
    let stats = store(&["stats"], &shared);
    assert_eq!((&stats["path"], &stats["opt_outs"]), (&json!("redis"), &json!(1)), "{stats}");
    assert_eq!(stats["records"].as_u64().unwrap(), copied["records"].as_u64().unwrap() + 2, "{stats}");
    assert_eq!(store(&["verify"], &shared)["ok"], true);
    let purged = store(&["purge", "--publisher", "acme"], &shared);
    assert_eq!(purged["removed"], stats["records"], "{purged}");
    for user in ["ann", "jim"] {
        poll::until("the gateway to forget", async || phase(user).await.is_null().then_some(())).await;
        let headers = [AUTH, ("x-publisher-user-id", user)];
        let body = r#"{"id":"r","imp":[{"id":"1"}],"device":{"geo":{"country":"USA"}}}"#;
        poll::until("no token to be sent", async || {
            http.post(process.data, "/openrtb2/auction", &headers, body).await;
            (!String::from_utf8_lossy(&ssp.last().body).contains("uidapi.com")).then_some(())
        })
        .await;
    }
    assert_eq!(store(&["stats"], &shared)["opt_outs"], 1, "opt-outs stay");
}
