//! The vendor list is a file that may change while the gateway runs; what it says of an SSP decides from then on.

use std::fs;
use std::path::Path;

use uid2_gateway::uid2::Scope;

use crate::support::poll;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{Plan, Stack};

const LIST: &str = include_str!("../../fixtures/privacy/gvl.json");
/// Consent and legitimate interest for vendors 21 and 76; purpose 2 by interest alone.
const TC: &str = "CQoifkAQoifkAEsACBENCgFgALAAAEJAAAYgAmAAACAAAAAAAABAEwAAAQAAAAAAAAIAA.IAmAAACAAAABAAAB";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_vendor_list_counts_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vendor-list.json");
    fs::write(&file, LIST).unwrap();
    let ssp = ScriptedSsp::start(Script::default()).await;
    let plan = Plan {
        publisher: "scope = \"euid\"".into(),
        ssps: vec![("alpha".into(), ssp.address, "gvl_id = 76\ntimeout_ms = 2000".into())],
        extra: format!("[privacy]\ngvl = {:?}\ngvl_poll_s = 1", file.display().to_string()),
        ..Plan::default()
    };
    let stack = Stack::start(&plan).await;
    let login = format!(r#"{{"user_id":"u1","email":"u1@example.com","privacy":{{"consent":"{TC}"}}}}"#);
    assert_eq!(stack.login(&login).await.json()["status"], "success");
    assert!(gets_euid(&stack, &ssp).await, "purpose 2 by legitimate interest, as declared");

    // From now on it declares purpose 2 on consent alone, which the user did not give.
    let on_consent = LIST.replace(
        "\"legIntPurposes\": [2, 7, 10],\n      \"flexiblePurposes\": []",
        "\"legIntPurposes\": [7, 10]",
    );
    assert_ne!(on_consent, LIST);
    put(&file, &on_consent);
    poll::until("the new list counts", async || (!gets_euid(&stack, &ssp).await).then_some(())).await;

    put(&file, LIST);
    poll::until("the old list counts again", async || gets_euid(&stack, &ssp).await.then_some(())).await;
    stack.stop().await;
}

/// As an editor does it: whole, or not at all.
fn put(file: &Path, content: &str) {
    let new = file.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, file).unwrap();
}

async fn gets_euid(stack: &Stack, ssp: &ScriptedSsp) -> bool {
    let body = format!(
        r#"{{"id":"r","imp":[{{"id":"1"}}],"site":{{"publisher":{{"id":"8953"}}}},"regs":{{"gdpr":1}},"user":{{"consent":"{TC}"}}}}"#
    );
    assert_eq!(stack.auction("u1", body).await.status, 204);
    String::from_utf8(ssp.last().body.to_vec()).unwrap().contains(Scope::Euid.source())
}
