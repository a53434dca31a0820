//! The real process takes another configuration over while it serves, whole or not at all.

mod load;
mod renewed;
mod tools;

use std::process::Command;

use serde_json::json;

use self::tools::{Edited, key_line};
use crate::support::poll;
use crate::support::stack::{OPERATOR_KEY, OPERATOR_SECRET, STORE_KEY, another_publisher, digest};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_counts_within_moments_and_what_is_known_stays() {
    let gateway = Edited::start("reload_poll_s = 1").await;
    gateway.log_in("u").await;
    gateway.sent_to_alpha("u").await;
    let first = gateway.metric("uid2gw_requests_total{outcome=\"nobid\",publisher=\"acme\"}").await;

    gateway.edit(|text| text.replace(&gateway.alpha.address.to_string(), &gateway.beta.address.to_string()));
    poll::until("requests to go to the other SSP", async || {
        gateway.auction("u").await;
        (!gateway.beta.received().is_empty()).then_some(())
    })
    .await;
    let sent = String::from_utf8_lossy(&gateway.beta.last().body).into_owned();
    assert!(sent.contains("uidapi.com"), "the user is still known: {sent}");
    let hits = gateway.metric("uid2gw_cache_total{result=\"hit\"}").await;
    assert!(hits >= 1.0, "the hot cache is the same: {hits}");
    let now = gateway.metric("uid2gw_requests_total{outcome=\"nobid\",publisher=\"acme\"}").await;
    assert!(now > first, "counters go on: {first} to {now}");
    assert!((gateway.metric("uid2gw_config_last_reload_successful").await - 1.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_included_file_that_was_refused_counts_once_it_is_mended_in_place() {
    let gateway = Edited::start("reload_poll_s = 1").await;
    gateway.write("more.toml", "[[publisher]]\nid = \"more\"\nsspss = []\n");
    gateway.edit(|text| format!("include = [\"more.toml\"]\n{text}"));
    poll::until("the refusal", async || {
        (gateway.metric("uid2gw_config_last_reload_successful").await < 0.5).then_some(())
    })
    .await;
    gateway.write("more.toml", &another_publisher("more", &key_line(&["more-key"])));
    poll::until("the publisher of the mended file", async || {
        (gateway.auction_as("more-key", "u").await == 204).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hangup_reloads_where_files_are_not_watched() {
    let gateway = Edited::start("reload_poll_s = 0").await;
    gateway.edit(|text| text.replace("max_inflight = 4096", "max_inflight = 4095"));
    let signal = ["-HUP", &gateway.process.child.id().to_string()].map(str::to_owned);
    assert!(Command::new("kill").args(signal).status().unwrap().success());
    poll::until("the new limit in /config", async || {
        (gateway.config().await["server"]["max_inflight"] == 4095).then_some(())
    })
    .await;
    assert_eq!(gateway.auction("u").await, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_key_is_rotated_and_a_publisher_comes_and_goes() {
    let gateway = Edited::start("reload_poll_s = 0").await;
    let status = async |gateway: &Edited, key: &str| gateway.auction_as(key, "u").await;
    assert_eq!(status(&gateway, "next-key").await, 401);

    let both = key_line(&["test-key-of-acme", "next-key"]);
    gateway.edit(|text| text.replace(&key_line(&["test-key-of-acme"]), &both));
    let answer = gateway.reload().await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["changed"].clone()),
        (200, json!(["publisher.acme.api_keys"]))
    );
    assert_eq!((status(&gateway, "test-key-of-acme").await, status(&gateway, "next-key").await), (204, 204));

    gateway.edit(|text| text.replace(&both, &key_line(&["next-key"])));
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!((status(&gateway, "test-key-of-acme").await, status(&gateway, "next-key").await), (401, 204));

    let other = another_publisher("other", &key_line(&["other-key"]));
    gateway.edit(|text| format!("{text}{other}"));
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(status(&gateway, "other-key").await, 204);
    let counted = gateway.metric("uid2gw_requests_total{outcome=\"nobid\",publisher=\"other\"}").await;
    assert!((counted - 1.0).abs() < 0.1, "{counted}");

    gateway.edit(|text| text.replace(&other, ""));
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!((status(&gateway, "other-key").await, status(&gateway, "next-key").await), (401, 204));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_changes_nothing_and_is_named_with_its_line() {
    let gateway = Edited::start("reload_poll_s = 0").await;
    let before = gateway.config().await;
    gateway.edit(|text| text.replace("max_inflight = 4096", "max_inflight = 7\nmax_eids = \"many\""));
    let answer = gateway.reload().await;
    assert_eq!(answer.status, 422, "{answer:?}");
    let fault = answer.json()["faults"][0].as_str().unwrap().to_owned();
    assert!(fault.contains("gateway.toml:6:") && fault.contains("server.max_eids"), "{fault}");
    assert!(gateway.metric("uid2gw_config_last_reload_successful").await < 0.1);
    assert_eq!(gateway.config().await, before);
    assert_eq!(gateway.auction("u").await, 204);

    gateway.edit(|text| text.replace("\nmax_eids = \"many\"", ""));
    let answer = gateway.reload().await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["changed"].clone()),
        (200, json!(["server.max_inflight"]))
    );
    assert!((gateway.metric("uid2gw_config_last_reload_successful").await - 1.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_restart_is_refused_whole_with_its_keys() {
    let gateway = Edited::start("reload_poll_s = 0").await;
    gateway.edit(|text| {
        let text =
            text.replace("workers = 1", "workers = 2").replace("max_inflight = 4096", "max_inflight = 7");
        text.replace("kind = \"memory\"", "kind = \"disk\"\npath = \"elsewhere\"")
    });
    let answer = gateway.reload().await;
    let expected = json!(["server.workers", "store.kind", "store.path"]);
    assert_eq!((answer.status.as_u16(), answer.json()["keys"].clone()), (409, expected));
    let shown = gateway.config().await;
    assert_eq!(
        (shown["server"]["workers"].clone(), shown["server"]["max_inflight"].clone()),
        (json!(1), json!(4096))
    );
    assert!(gateway.metric("uid2gw_config_last_reload_successful").await < 0.1);
    assert_eq!(gateway.auction("u").await, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_is_shown_without_its_secrets_and_pages_of_elsewhere_cannot_reload() {
    let gateway = Edited::start("reload_poll_s = 0").await;
    let text = gateway.http.get(gateway.process.admin, "/config", &[]).await.text();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["publisher"]["acme"]["operator_secret"], "[secret]");
    assert_eq!(shown["server"]["keep_alive_s"], 60, "defaults are shown too");
    for secret in [OPERATOR_SECRET, OPERATOR_KEY, STORE_KEY, &digest("test-key-of-acme")[7..]] {
        assert!(!text.contains(secret), "{text}");
    }
    let at = gateway.process.admin;
    let own = format!("http://{at}");
    for (origin, status) in [(None, 401), (Some("http://evil.example"), 401), (Some(own.as_str()), 200)] {
        let headers: Vec<(&str, &str)> = origin.map(|origin| ("origin", origin)).into_iter().collect();
        let answer = gateway.http.post(at, "/reload", &headers, "").await;
        assert_eq!(answer.status, status, "{origin:?}");
    }
    assert_eq!(gateway.http.get(at, "/reload", &[]).await.status, 405);
}
