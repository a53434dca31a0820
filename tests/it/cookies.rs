//! The publisher's own cookie from end to end: written at login, renewed in answers to ad requests, ended by a logout and by
//! an operator's opt-out; readable by the browser SDK, or sealed.

use http::Method;
use serde_json::{Value, json};
use uid2_gateway::sandbox::operator::decrypt_as_dsp;
use uid2_gateway::time::Clock;
use uid2_gateway::uid2::{DiiHash, Email};

use crate::support::http::Answer;
use crate::support::poll::until;
use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, Stack, digest};

const EMAIL: &str = "jane.doe@example.com";
const BID: &str = r#"{"id":"r","seatbid":[{"bid":[{"id":"b","impid":"1","price":1.50}]}]}"#;
const SDK: &str = r#"cookie = { mode = "sdk", domain = "example.com", same_site = "none" }"#;
const SEALED: &str = r#"cookie = { mode = "sealed" }"#;

/// Another publisher with a sealed cookie of the same name.
fn other_publisher() -> String {
    format!(
        "[[publisher]]\nid = \"other\"\napi_keys = [\"{}\"]\n{SEALED}\nssps = [\"alpha\"]\n\
         match = {{ publisher_ids = [\"77\"] }}\n\
         operator_key = \"UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc=\"\n\
         operator_secret = \"NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=\"\n",
        digest("key-of-other")
    )
}

/// A stack whose publisher keeps a cookie; the SSP bids, and sets a cookie of its own.
struct Kept {
    stack: Stack,
    ssp: ScriptedSsp,
}

impl Kept {
    async fn start(cookie: &str) -> Self {
        let script = Script {
            status: 200,
            headers: vec![("set-cookie".into(), "ssp=1".into())],
            body: BID.into(),
            ..Script::default()
        };
        let ssp = ScriptedSsp::start(script).await;
        let plan = Plan {
            publisher: cookie.into(),
            ssps: vec![("alpha".into(), ssp.address, String::new())],
            identity: "wait_ms = 1000".into(),
            server: r#"cors_origins = ["https://www.example.com"]"#.into(),
            extra: other_publisher(),
            ..Plan::default()
        };
        Self { stack: Stack::start(&plan).await, ssp }
    }

    /// A page without a key brings this cookie.
    async fn page(&self, cookie: &str, more: &[(&str, &str)]) -> Answer {
        self.request(cookie, more, "8953").await
    }

    async fn request(&self, cookie: &str, more: &[(&str, &str)], publisher: &str) -> Answer {
        let body = json!({"id": "r", "imp": [{"id": "1"}], "site": {"publisher": {"id": publisher}},
            "device": {"geo": {"country": "USA"}}});
        let headers: Vec<_> = [("cookie", cookie)].into_iter().chain(more.iter().copied()).collect();
        self.stack.http.post(self.stack.data, "/openrtb2/auction", &headers, body.to_string()).await
    }

    /// The token that the SSP received last, if any.
    fn token(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.ssp.last().body).unwrap();
        body["user"]["eids"][0]["uids"][0]["id"].as_str().map(str::to_owned)
    }

    /// The SSP received a token that a buyer can read, and it is the user's.
    fn sent_the_users(&self) -> bool {
        self.token().is_some_and(|token| {
            let opened = decrypt_as_dsp(&token, &self.stack.operator.keys(), Clock::System.now());
            opened.is_ok_and(|opened| opened.raw_uid.to_base64() == self.stack.operator.raw_uid_of(&hash()))
        })
    }

    async fn login(&self, more: Value) -> Answer {
        let mut login = json!({"user_id": "u1", "email": EMAIL});
        login.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.stack.login(&login.to_string()).await
    }

    /// What a page's own code would have put into the cookie: an identity that the gateway knows nothing of.
    async fn identity(&self) -> Value {
        let answer = self.login(json!({"user_id": "minted", "return_identity": true})).await;
        answer.json()["identity"].clone()
    }

    async fn operator(&self) -> Value {
        self.stack.http.get(self.stack.operator_address, "/sandbox/stats", &[]).await.json()
    }

    async fn refreshes(&self) -> u64 {
        let stats = self.operator().await;
        assert!(stats["refreshes_max"].as_u64().unwrap() <= 1, "no refresh token twice: {stats}");
        stats["refreshes"].as_object().map_or(0, serde_json::Map::len) as u64
    }
}

fn hash() -> DiiHash {
    DiiHash::of_email(&Email::parse(EMAIL).unwrap())
}

/// As the SDK writes it; a refresh is due, and the token over where that is said.
fn sdk_cookie(identity: &Value, lapsed: bool) -> String {
    let (mut identity, now) = (identity.clone(), Clock::System.now().0);
    identity["refresh_from"] = json!(now - 2_000);
    if lapsed {
        identity["identity_expires"] = json!(now - 1_000);
    }
    identity["private"] = json!({"x": "kept"});
    format!("a=b; __uid_2={}", encoded(&identity.to_string()))
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// The one `Set-Cookie` of an answer.
fn set_cookie(answer: &Answer) -> Option<String> {
    let mut set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned());
    let one = set.next();
    assert_eq!(set.next(), None, "more than one");
    one
}

/// What a browser would bring of it.
fn pair(set: &str) -> &str {
    set.split(';').next().unwrap()
}

/// The JSON of a cookie that scripts can read.
fn json_of(set: &str) -> Value {
    let value = pair(set).split('=').nth(1).unwrap();
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
            rest = &rest[2..];
        } else {
            bytes.push(*byte);
        }
    }
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_sets_the_sdks_cookie_and_a_logout_ends_it() {
    let kept = Kept::start(SDK).await;
    let answer = kept.login(json!({"set_cookie": true, "return_identity": true})).await;
    let set = set_cookie(&answer).unwrap();
    let body = answer.json();
    assert_eq!(body["set_cookie"], json!(set));
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(set.starts_with("__uid_2=%7B") && set.contains("; Path=/; Expires="), "{set}");
    assert!(set.ends_with("; Domain=example.com; Secure; SameSite=None"), "{set}");
    let held = json_of(&set);
    for (member, value) in body["identity"].as_object().unwrap() {
        assert_eq!(held[member], *value, "{member}");
    }
    let answer = kept.page(pair(&set), &[]).await;
    assert_eq!((answer.text().as_str(), set_cookie(&answer)), (BID, None), "an SSP's cookie stays here");
    assert!(kept.sent_the_users());
    assert!(!kept.ssp.last().headers.contains_key("cookie"));

    let out = kept.stack.http.send(Method::DELETE, (kept.stack.data, "/v1/identity/u1"), &[AUTH], "").await;
    assert_eq!(out.status, 204);
    let removal = set_cookie(&out).unwrap();
    assert!(removal.starts_with("__uid_2=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), "{removal}");
    let answer = kept.page(pair(&set), &[]).await;
    assert_eq!((kept.token(), set_cookie(&answer)), (None, Some(removal)));
    kept.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_cookie_of_the_sdk_comes_back_renewed() {
    let kept = Kept::start(SDK).await;
    let identity = kept.identity().await;
    let old = sdk_cookie(&identity, false);
    let answer = kept.page(&old, &[]).await;
    assert!(kept.sent_the_users() && kept.token().as_deref() == identity["advertising_token"].as_str());
    assert_eq!(set_cookie(&answer), None, "nothing new yet");
    let renewed = until("a renewed cookie", async || {
        let answer = kept.page(&old, &[]).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, BID));
        let set = set_cookie(&answer)?;
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["vary"], "Origin");
        Some(set)
    })
    .await;
    let new = json_of(&renewed);
    assert_eq!(new["private"], json!({"x": "kept"}));
    assert_ne!(new["refresh_token"], identity["refresh_token"]);
    assert!(kept.sent_the_users() && kept.token().as_deref() == new["advertising_token"].as_str());

    // A page of ours, and an answer without a bid.
    kept.ssp.set(Script::default());
    let answer = kept.page(&old, &[("origin", "https://www.example.com")]).await;
    assert_eq!(
        (answer.status.as_u16(), set_cookie(&answer).map(|set| json_of(&set))),
        (204, Some(new.clone()))
    );
    assert_eq!(answer.headers.get_all("vary").iter().count(), 1);
    // The new one is as it should be.
    assert_eq!(set_cookie(&kept.page(pair(&renewed), &[]).await), None);
    assert_eq!(kept.token().as_deref(), new["advertising_token"].as_str());
    assert_eq!(kept.refreshes().await, 1);
    kept.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_requests_with_a_lapsed_cookie_are_one_refresh_and_get_its_token_at_once() {
    let kept = Kept::start(SDK).await;
    let old = sdk_cookie(&kept.identity().await, true);
    let answers = futures_util::future::join_all((0..200).map(|_| kept.page(&old, &[]))).await;
    let tokens: std::collections::HashSet<String> = answers
        .iter()
        .map(|answer| json_of(&set_cookie(answer).unwrap())["advertising_token"].to_string())
        .collect();
    assert_eq!(tokens.len(), 1);
    assert!(kept.sent_the_users());
    let sent: std::collections::HashSet<_> = kept.ssp.received().iter().map(|it| it.body.clone()).collect();
    assert!(
        !sent.is_empty() && kept.token().map(|token| json!(token).to_string()) == tokens.into_iter().next()
    );
    assert_eq!(kept.refreshes().await, 1);
    kept.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operators_opt_out_at_the_refresh_ends_it_for_good() {
    let kept = Kept::start(SDK).await;
    let old = sdk_cookie(&kept.identity().await, false);
    kept.stack.operator.opt_out(&hash());
    let marker = until("the opt-out marker", async || set_cookie(&kept.page(&old, &[]).await)).await;
    assert_eq!(json_of(&marker)["status"], json!("optout"));
    let asked = kept.refreshes().await;
    for brought in [old.as_str(), pair(&marker), old.as_str()] {
        kept.page(brought, &[]).await;
        assert_eq!(kept.token(), None);
    }
    assert_eq!((asked, kept.refreshes().await), (1, 1));
    let optout = "uid2gw_identity_reason_total{reason=\"optout\",result=\"denied\",scope=\"uid2\"}";
    assert!(kept.stack.metric(optout).await >= 3.0);
    let login = kept.login(json!({"set_cookie": true})).await;
    assert_eq!(login.json()["status"], "optout");
    assert_eq!(json_of(&set_cookie(&login).unwrap())["status"], "optout");
    kept.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_cookie_counts_here_alone_and_unchanged() {
    let kept = Kept::start(SEALED).await;
    let answer = kept.login(json!({"set_cookie": true, "return_identity": true})).await;
    let (set, body) = (set_cookie(&answer).unwrap(), answer.json());
    assert!(set.starts_with("__uid2_gw=") && set.ends_with("; Secure; SameSite=Lax; HttpOnly"), "{set}");
    for member in ["advertising_token", "refresh_token", "refresh_response_key"] {
        assert!(!set.contains(body["identity"][member].as_str().unwrap()), "{member} can be read");
    }
    kept.page(pair(&set), &[]).await;
    assert!(kept.sent_the_users());

    let cookie = pair(&set);
    let last = if cookie.ends_with('A') { "B" } else { "A" };
    let (name, value) = cookie.split_once('=').unwrap();
    for tampered in [
        format!("{}{last}", &cookie[..cookie.len() - 1]),
        cookie[..cookie.len() - 1].to_owned(),
        format!("{cookie}A"),
        format!("__uid_2={value}"),
        format!("{name}={}", encoded(&body["identity"].to_string())),
    ] {
        kept.page(&tampered, &[]).await;
        assert_eq!(kept.token(), None, "{tampered}");
    }
    kept.request(cookie, &[], "77").await;
    assert_eq!(kept.token(), None, "another publisher");
    let out = kept.stack.http.send(Method::DELETE, (kept.stack.data, "/v1/identity/u1"), &[AUTH], "").await;
    assert!(set_cookie(&out).unwrap().starts_with("__uid2_gw=;"));
    kept.page(cookie, &[]).await;
    assert_eq!(kept.token(), None);
    kept.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_site_neither_uses_nor_changes_the_cookie() {
    let kept = Kept::start(SDK).await;
    let old = sdk_cookie(&kept.identity().await, true);
    let foreign = [("origin", "https://evil.example")];
    for _ in 0..3 {
        let answer = kept.page(&old, &foreign).await;
        assert_eq!((kept.token(), set_cookie(&answer)), (None, None));
    }
    assert_eq!(kept.refreshes().await, 0);
    let login = json!({"user_id": "u1", "email": EMAIL, "set_cookie": true}).to_string();
    let headers = [AUTH, foreign[0]];
    let answer = kept.stack.http.post(kept.stack.data, "/v1/identity", &headers, login).await;
    assert_eq!((answer.status.as_u16(), set_cookie(&answer)), (200, None));
    assert_eq!(answer.json().get("set_cookie"), None);
    kept.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn privacy_forbids_the_refresh_too() {
    let kept = Kept::start(SDK).await;
    let old = sdk_cookie(&kept.identity().await, true);
    let answer = kept.page(&old, &[("sec-gpc", "1")]).await;
    assert_eq!((kept.token(), set_cookie(&answer)), (None, None));
    assert_eq!(kept.refreshes().await, 0);
    kept.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_no_cookie_sets_none() {
    let kept = Kept::start("").await;
    let answer = kept.login(json!({"set_cookie": true})).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["member"]), (400, &json!("set_cookie")), "{answer:?}");
    assert_eq!(kept.operator().await["endpoints"]["generate"], Value::Null, "nobody was logged in");
    let out = kept.stack.http.send(Method::DELETE, (kept.stack.data, "/v1/identity/u1"), &[AUTH], "").await;
    assert_eq!((out.status.as_u16(), set_cookie(&out)), (204, None));
    let old = sdk_cookie(&kept.identity().await, false);
    let answer = kept.page(&old, &[]).await;
    assert!(kept.sent_the_users() && set_cookie(&answer).is_none());
    assert_eq!(kept.refreshes().await, 0);
    kept.stack.stop().await;
}
