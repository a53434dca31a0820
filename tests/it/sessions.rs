//! Session tokens from end to end: whoever has one needs no key, and nobody else is helped by it.

use http::Method;
use serde_json::{Value, json};
use uid2_gateway::sandbox::operator::decrypt_as_dsp;
use uid2_gateway::time::Clock;
use uid2_gateway::uid2::{DiiHash, Email};

use crate::support::scripted_ssp::{Script, ScriptedSsp};
use crate::support::stack::{AUTH, Plan, STORE_KEY, Stack, digest};

const OTHER_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

struct Bench {
    stack: Stack,
    ssp: ScriptedSsp,
}

impl Bench {
    async fn start(store: &str) -> Self {
        let ssp = ScriptedSsp::start(Script::default()).await;
        let other = format!(
            "[[publisher]]\nid = \"other\"\napi_keys = [\"{}\"]\nssps = [\"alpha\"]\nmatch = {{ publisher_ids = [\"77\"] }}\n\
             operator_key = \"UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc=\"\n\
             operator_secret = \"NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM=\"\n",
            digest("key-of-other")
        );
        let plan = Plan {
            ssps: vec![("alpha".into(), ssp.address, String::new())],
            identity: "wait_ms = 1000".into(),
            publisher: "cookie = { mode = \"sdk\" }".into(),
            store: store.into(),
            extra: other,
            ..Plan::default()
        };
        Self { stack: Stack::start(&plan).await, ssp }
    }

    async fn session(&self, user: &str) -> String {
        let login = json!({"user_id": user, "email": format!("{user}@example.com"), "session": true});
        let answer = self.stack.login(&login.to_string()).await.json();
        answer["session"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Whose token the SSP receives, of the two who are logged in, for a request with these headers.
    async fn sends(&self, headers: &[(&str, &str)], publisher: &str) -> &'static str {
        let body = json!({"id": "r", "imp": [{"id": "1"}], "site": {"publisher": {"id": publisher}},
            "device": {"geo": {"country": "USA"}}});
        self.stack.http.post(self.stack.data, "/openrtb2/auction", headers, body.to_string()).await;
        let received = self.ssp.last();
        assert!(!received.headers.keys().any(|name| name.as_str().starts_with("x-uid2-")));
        let body: Value = serde_json::from_slice(&received.body).unwrap();
        let Some(token) = body["user"]["eids"][0]["uids"][0]["id"].as_str() else { return "nothing" };
        let opened = decrypt_as_dsp(token, &self.stack.operator.keys(), Clock::System.now()).unwrap();
        let is = |user: &str| {
            let hash = DiiHash::of_email(&Email::parse(&format!("{user}@example.com")).unwrap());
            opened.raw_uid.to_base64() == self.stack.operator.raw_uid_of(&hash)
        };
        if is("u1") {
            "u1"
        } else if is("u2") {
            "u2"
        } else {
            "somebody"
        }
    }

    async fn leave(&self, method: Method, path: &str) {
        let answer = self.stack.http.send(method, (self.stack.data, path), &[AUTH], "").await;
        assert_eq!(answer.status, 204);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_stands_for_its_user_with_a_key_or_without() {
    let bench = Bench::start("").await;
    let session = bench.session("u1").await;
    let brought = ("x-uid2-session", session.as_str());
    assert_eq!(bench.sends(&[brought], "8953").await, "u1");
    assert_eq!(bench.sends(&[brought, AUTH], "8953").await, "u1");
    let source = "uid2gw_identity_source_total{source=\"session\"}";
    assert!((bench.stack.metric(source).await - 2.0).abs() < f64::EPSILON);

    bench.session("u2").await;
    let named = ("x-publisher-user-id", "u2");
    assert_eq!(
        bench.sends(&[brought, AUTH, named], "8953").await,
        "u2",
        "a user id of a caller with a key comes first"
    );
    assert_eq!(
        bench.sends(&[brought, named], "8953").await,
        "u1",
        "a stranger's word of a user counts for nothing"
    );
    bench.leave(Method::PUT, "/v1/identity/u1/optout").await;
    assert_eq!(
        bench.sends(&[brought, AUTH, named], "8953").await,
        "nothing",
        "whom a session names is looked for, too"
    );
    bench.stack.stop().await;
}

/// Tokens, sessions and cookies that are not what they are brought as.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_a_session_token_of_this_publisher_is_one() {
    let bench = Bench::start("").await;
    let good = bench.session("u1").await;
    let second = bench.session("u2").await;
    let login = json!({"user_id": "u1c", "email": "u1@example.com", "set_cookie": true});
    let cookie =
        bench.stack.login(&login.to_string()).await.json()["set_cookie"].as_str().unwrap().to_owned();
    let ticket = cookie.split("uid2gw%22%3A%22").nth(1).unwrap().split('%').next().unwrap().to_owned();
    assert!(ticket.len() > 100, "{ticket}");
    let elsewhere = Bench::start("").await;
    let theirs = elsewhere.session("u1").await;
    let flipped = |at: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let (half, _) = good.split_at(good.len() / 2);
    let attacks: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("no token", "u1".into()),
        ("key id changed", flipped(0)),
        ("salt changed", flipped(20)),
        ("nonce changed", flipped(35)),
        ("text changed", flipped(60)),
        ("tag changed", flipped(good.len() - 3)),
        ("cut", half.into()),
        ("longer", format!("{good}A")),
        ("padded", format!("{good}==")),
        ("two halves", format!("{half}{}", &second[half.len()..])),
        ("standard alphabet", good.replace('-', "+").replace('_', "/") + "+"),
        ("the ticket in a cookie", ticket),
        ("a whole cookie", cookie.split(';').next().unwrap().into()),
        ("long", "A".repeat(8_000)),
        ("of another store", theirs),
    ];
    for (name, text) in &attacks {
        assert_eq!(bench.sends(&[("x-uid2-session", text)], "8953").await, "nothing", "{name}");
    }
    assert_eq!(bench.sends(&[("x-uid2-session", &good)], "77").await, "nothing", "another publisher");
    let two = [("x-uid2-session", good.as_str()), ("x-uid2-session", second.as_str())];
    assert_eq!(bench.sends(&two, "8953").await, "nothing", "two at once");
    assert_eq!(bench.sends(&two[..1], "8953").await, "u1", "the good one is still one");
    elsewhere.stack.stop().await;
    bench.stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_ends_with_its_login() {
    let bench = Bench::start("").await;
    let first = bench.session("u1").await;
    let second = bench.session("u1").await;
    assert_eq!(bench.sends(&[("x-uid2-session", &second)], "8953").await, "u1");
    assert_eq!(bench.sends(&[("x-uid2-session", &first)], "8953").await, "nothing", "a new login");
    bench.leave(Method::DELETE, "/v1/identity/u1").await;
    assert_eq!(bench.sends(&[("x-uid2-session", &second)], "8953").await, "nothing", "a logout");
    let logged_out = "uid2gw_identity_reason_total{reason=\"logged_out\",result=\"denied\",scope=\"uid2\"}";
    assert!((bench.stack.metric(logged_out).await - 1.0).abs() < f64::EPSILON);
    let third = bench.session("u1").await;
    assert_eq!(
        bench.sends(&[("x-uid2-session", &second)], "8953").await,
        "nothing",
        "and the login after it"
    );
    assert_eq!(bench.sends(&[("x-uid2-session", &third)], "8953").await, "u1");
    bench.stack.stop().await;
}

/// Disk keeps its record keys through a rotation; what was sealed before it opens while the old key is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_a_restart_and_a_new_encryption_key() {
    let dir = tempfile::tempdir().unwrap();
    let disk = format!("kind = \"disk\"\npath = {:?}\n", dir.path().join("store"));
    let bench = Bench::start(&disk).await;
    let session = bench.session("u1").await;
    bench.stack.stop().await;
    for (keys, expected) in [
        (format!("encryption_key = {OTHER_KEY:?}\nprevious_keys = [{STORE_KEY:?}]"), "u1"),
        (format!("encryption_key = {OTHER_KEY:?}"), "nothing"),
    ] {
        let bench = Bench::start(&format!("{disk}{keys}")).await;
        assert_eq!(bench.sends(&[("x-uid2-session", &session)], "8953").await, expected);
        bench.stack.stop().await;
    }
}
