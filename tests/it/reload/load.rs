//! A hundred reloads under load: no ad request fails, none waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::tools::{BODY, Edited};
use crate::support::http::Http;
use crate::support::scripted_ssp::Script;

const RELOADS: usize = 100;
const CALLERS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_reloads_under_load_fail_no_request() {
    let gateway = Edited::start("reload_poll_s = 0").await;
    let bid = r#"{"id":"r","seatbid":[{"bid":[{"id":"b","impid":"1","price":1}]}]}"#;
    gateway.alpha.set(Script { status: 200, body: bid.into(), ..Script::default() });
    gateway.log_in("u").await;
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (done, answered, at) = (Arc::clone(&done), Arc::clone(&answered), gateway.process.data);
            tokio::spawn(async move {
                let http = Http::default();
                let headers = [("authorization", "Bearer test-key-of-acme"), ("x-publisher-user-id", "u")];
                while !done.load(Ordering::Relaxed) {
                    let answer = http.post(at, "/openrtb2/auction", &headers, BODY).await;
                    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, bid.as_bytes()));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for turn in 0..RELOADS {
        let (mine, before) = (499 + turn % 2, 499 + (turn + 1) % 2);
        gateway.edit(|text| match turn {
            // Other settings of the SSP: its connections are made anew.
            0 => format!("{text}timeout_ms = {mine}\n"),
            _ => text.replace(&format!("timeout_ms = {before}\n"), &format!("timeout_ms = {mine}\n")),
        });
        let answer = gateway.reload().await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("every request was answered with the bid");
    }
    let answered = answered.load(Ordering::Relaxed);
    let counted = gateway.metric("uid2gw_requests_total{outcome=\"bid\",publisher=\"acme\"}").await;
    let counted = counted.to_string();
    println!("{RELOADS} reloads, {answered} ad requests meanwhile, 0 failed");
    assert!(answered > RELOADS as u64 && counted == answered.to_string(), "{answered} {counted}");
    let injected = String::from_utf8_lossy(&gateway.alpha.last().body).contains("uidapi.com");
    assert!(injected, "the user is still known");
}
