//! `store`: what it prints, what it leaves, and how it ends; on a store that the real process filled.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use http::Method;
use serde_json::{Value, json};

use crate::support::http::Http;
use crate::support::process::{Place, Process, place};
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, STORE_KEY};
use crate::support::{binary, poll};

const USERS: usize = 20;

fn store(args: &[&str], config: &Path) -> Output {
    Command::new(binary()).arg("store").args(args).arg("--config").arg(config).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn document(args: &[&str], config: &Path) -> Value {
    let output = store(args, config);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", told(&output));
    serde_json::from_str(&text(&output)).unwrap()
}

/// Twenty users of `acme`, one of whom logged out, and one who opted out; nobody has the store open.
async fn filled() -> Place {
    let ssp = ScriptedSsp::start(Script::default()).await;
    let place = place(0, &ssp).await;
    let http = Http::default();
    let mut process = Process::start(&place.config);
    let gone = json!({"email": "gone@example.com"}).to_string();
    assert_eq!(http.post(place.operator, "/sandbox/optout", &[], gone).await.status, 200);
    let users = (0..USERS).map(|user| (format!("user-{user}"), format!("user{user}@example.com")));
    for (user, email) in users.chain([(String::from("gone"), String::from("gone@example.com"))]) {
        let body = json!({"user_id": user, "email": email}).to_string();
        let answer = http.post(process.data, "/v1/identity", &[AUTH], body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let logout = http.send(Method::DELETE, (process.data, "/v1/identity/user-0"), &[AUTH], "").await;
    assert_eq!(logout.status, 204);
    process.terminate();
    poll::until("the process to end", async || process.child.try_wait().unwrap()).await;
    place
}

/// The same configuration with the store elsewhere, and under another key.
fn elsewhere(place: &Place, name: &str) -> PathBuf {
    let text = std::fs::read_to_string(&place.config).unwrap();
    let other_key = STORE_KEY.replacen("AAEC", "BBEC", 1);
    let text = text.replace("/identities\"", &format!("/{name}\"")).replace(STORE_KEY, &other_key);
    let config = place.folder.path().join(format!("{name}.toml"));
    std::fs::write(&config, text).unwrap();
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stats_verify_and_the_opt_outs() {
    let place = filled().await;
    let stats = document(&["stats", "--json"], &place.config);
    let tenant = &stats["tenants"][0];
    assert_eq!(
        (&tenant["publisher"], &tenant["scope"], &tenant["environment"]),
        (&json!("acme"), &json!("uid2"), &json!("local"))
    );
    assert_eq!(
        [&tenant["fresh"], &tenant["logged_out"], &tenant["opted_out"], &tenant["alias"]],
        [&json!(19), &json!(2), &json!(1), &json!(19)],
        "a login and a logout are two records each: the user, and the alias of the address"
    );
    assert_eq!((&stats["records"], &stats["unreadable"]), (&json!(41), &json!(0)));
    assert_eq!(stats["opt_outs"], 2, "the user, and the e-mail address behind");
    assert!(stats["bytes"].as_u64().unwrap() > 0);
    let lines = text(&store(&["stats"], &place.config));
    assert!(
        lines.contains("acme uid2 local: 41 records: fresh 19, opted_out 1, logged_out 2, alias 19\n"),
        "{lines}"
    );
    assert!(lines.ends_with("41 records, 0 that do not open, 2 opt-outs in force\n"), "{lines}");

    let verified = store(&["verify"], &place.config);
    assert_eq!(text(&verified), "41 records open, 2 opt-outs in force: ok\n");
    assert_eq!(document(&["verify", "--json"], &place.config)["ok"], true);

    let exported = text(&store(&["export-optouts"], &place.config));
    let rows: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2, "{exported}");
    for row in &rows {
        let (at, until) = (row["at"].as_i64().unwrap(), row["until"].as_i64().unwrap());
        // The two moments are taken one after the other.
        assert!((0..60_000).contains(&(at + 365 * 86_400_000 - until)), "{row}");
        assert!(row["key"].as_str().unwrap().bytes().all(|b| b.is_ascii_hexdigit()));
    }
    let csv = text(&store(&["export-optouts", "--csv"], &place.config));
    let expected =
        rows.iter().map(|r| format!("{},operator,{},{}", r["key"].as_str().unwrap(), r["at"], r["until"]));
    assert_eq!(
        csv.lines().collect::<Vec<_>>(),
        std::iter::once("key,by,at,until".to_owned()).chain(expected).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_forgets_a_publisher_and_no_opt_out() {
    let place = filled().await;
    let none = document(&["purge", "--publisher", "nobody", "--json"], &place.config);
    assert_eq!(none["removed"], 0);
    let purged = store(&["purge", "--publisher", "acme"], &place.config);
    assert_eq!(text(&purged), "41 records of acme removed\n");
    let stats = document(&["stats", "--json"], &place.config);
    assert_eq!((&stats["records"], &stats["opt_outs"]), (&json!(0), &json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_serves_as_the_original_did() {
    let place = filled().await;
    let copy = elsewhere(&place, "copy");
    let to = copy.to_str().unwrap();
    let copied = store(&["copy", "--to", to], &place.config);
    assert!(
        text(&copied).starts_with("41 records and 2 opt-outs copied, 0 records"),
        "{} {}",
        text(&copied),
        told(&copied)
    );
    let again = document(&["copy", "--to", to, "--json"], &place.config);
    assert_eq!((&again["records"], &again["newer"]), (&json!(0), &json!(41)), "nothing is taken back");

    let http = Http::default();
    let process = Process::start(&copy);
    for user in 1..USERS {
        let answer = http.get(process.data, &format!("/v1/identity/user-{user}"), &[AUTH]).await;
        assert_eq!(answer.json()["phase"], "fresh", "{answer:?}");
    }
    let body = json!({"user_id": "another", "email": "gone@example.com"}).to_string();
    let back = json!({"email": "gone@example.com"}).to_string();
    http.send(Method::DELETE, (place.operator, "/sandbox/optout"), &[], back).await;
    let answer = http.post(process.data, "/v1/identity", &[AUTH], body).await;
    assert_eq!(answer.json()["status"], "optout", "known from the copy alone: {answer:?}");
    process.kill();

    let strange = elsewhere(&place, "strange");
    Process::start(&strange).kill();
    let refused = store(&["copy", "--to", strange.to_str().unwrap()], &place.config);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        told(&refused).contains("strange: the record keys of this store are its own"),
        "{}",
        told(&refused)
    );
    let same = store(&["copy", "--to", place.config.to_str().unwrap()], &place.config);
    assert!(told(&same).contains("the same store"), "{}", told(&same));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_opened_is_said_and_left_as_it_is() {
    let place = filled().await;
    // In use.
    let process = Process::start(&place.config);
    let busy = store(&["stats"], &place.config);
    assert_eq!(busy.status.code(), Some(1));
    assert!(told(&busy).contains("identities: in use by another process"), "{}", told(&busy));
    process.kill();
    // Not there.
    let nowhere = elsewhere(&place, "nowhere");
    let absent = store(&["verify"], &nowhere);
    assert_eq!(absent.status.code(), Some(1));
    assert!(told(&absent).contains("there is no identity store here"), "{}", told(&absent));
    assert!(!place.folder.path().join("nowhere").exists(), "and none is made");
    // A bad configuration.
    std::fs::write(&nowhere, "[store]\nkind = \"tape\"\n").unwrap();
    assert_eq!(store(&["stats", "--json"], &nowhere).status.code(), Some(2));
    // Damaged: said, and not set aside by a tool that only looks; the gateway does that, and starts.
    let version = place.folder.path().join("identities/db/version");
    std::fs::remove_file(&version).unwrap();
    let damaged = store(&["verify"], &place.config);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(told(&damaged).contains("db: damaged: its version file is missing"), "{}", told(&damaged));
    let aside = || {
        let folder = std::fs::read_dir(place.folder.path().join("identities")).unwrap();
        folder.flatten().filter(|it| it.file_name().to_string_lossy().starts_with("db.damaged-")).count()
    };
    assert_eq!(aside(), 0);
    Process::start(&place.config).kill();
    assert_eq!(aside(), 1);
    assert_eq!(text(&store(&["verify"], &place.config)), "0 records open, 2 opt-outs in force: ok\n");
}
