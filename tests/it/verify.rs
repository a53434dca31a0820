//! Content checks over real sockets: a sandbox SSP alone, behind a proxy that damages what passes, behind the gateway.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use uid2_gateway::replay::Corpus;
use uid2_gateway::replay::verify::{
    Change, Content, Dialect, Expect, Finding, Origin, Sent, Settings, Verifier, VerifyError,
};
use uid2_gateway::sandbox::ssp::{self, Ssp};

use crate::support::http::Http;
use crate::support::stack::{AUTH, Plan, Stack};
use crate::support::{binary, repository};

const EMAIL: &str = "user1@example.com";
const USER: &str = "x-publisher-user-id";

/// One request of a test.
#[derive(Clone)]
struct Case {
    name: String,
    body: Bytes,
    expect: Option<Expect>,
}

/// The requests of a test; the n-th has a `traceparent` with n.
struct Cases {
    headers: Vec<(&'static str, &'static str)>,
    all: Vec<Case>,
    /// For somebody whom nobody logged in.
    strangers: bool,
}

fn trace(number: u64) -> String {
    format!("00-{:032x}-{:016x}-00", (0xfeed_u128 << 64) + u128::from(number) + 1, number + 1)
}

impl Cases {
    /// The fixtures' requests, those that `expect` has something to say of.
    fn of_fixtures(expect: impl Fn(&str) -> Option<Expect>) -> Self {
        let corpus = Corpus::embedded().unwrap();
        let case = |entry: &uid2_gateway::replay::corpus::Entry| {
            let expect = expect(&entry.name)?;
            Some(Case { name: entry.name.clone(), body: entry.body.clone(), expect: Some(expect) })
        };
        let cases: Vec<Case> = corpus.entries().iter().filter_map(case).collect();
        assert!(!cases.is_empty());
        Self { headers: Vec::new(), all: cases, strangers: false }
    }

    fn one(body: &'static str) -> Self {
        let body = Bytes::from_static(body.as_bytes());
        let cases = vec![Case { name: "one.json".into(), body, expect: None }];
        Self { headers: Vec::new(), all: cases, strangers: false }
    }

    fn headers(&self, number: u64) -> Vec<(&'static str, String)> {
        let own = self.headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        own.chain([("content-type", "application/json".to_owned()), ("traceparent", trace(number))]).collect()
    }
}

impl Origin for Cases {
    fn number(&self, traceparent: &HeaderValue) -> Option<u64> {
        (0..self.all.len() as u64).find(|number| trace(*number) == traceparent.to_str().unwrap_or_default())
    }

    fn trace_id(&self, number: u64) -> Option<String> {
        trace(number).split('-').nth(1).map(str::to_owned)
    }

    fn sent(&self, number: u64) -> Sent {
        let case = self.all[usize::try_from(number).unwrap()].clone();
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers(number) {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        Sent {
            entry: case.name,
            headers,
            body_at_another_time: case.body.clone(),
            body: case.body,
            expect: case.expect,
            stranger: self.strangers,
        }
    }
}

async fn sandbox(settings: ssp::Settings) -> (Arc<Ssp>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ssp = Ssp::new(settings);
    tokio::spawn(ssp::serve(Arc::clone(&ssp), listener, std::future::pending::<()>()));
    (ssp, address)
}

fn settings(ssp: SocketAddr) -> Settings {
    let mut settings =
        Settings { ssps: vec![format!("http://{ssp}").parse().unwrap()], ..Settings::default() };
    settings.known.add_email(EMAIL);
    settings
}

/// Sends every case to `target` and checks what came to the SSPs of `settings`.
async fn checked(cases: Cases, target: (SocketAddr, &str), settings: Settings) -> Content {
    let cases = Arc::new(cases);
    let origin: Arc<dyn Origin> = Arc::clone(&cases) as Arc<dyn Origin>;
    let start = tokio::task::spawn_blocking(|| Verifier::start(settings, origin).unwrap());
    let verifier = start.await.unwrap();
    let http = Http::default();
    for (number, case) in (0..).zip(&cases.all) {
        let headers = cases.headers(number);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = http.post(target.0, target.1, &headers, case.body.clone()).await;
        assert!(answer.status.is_success(), "{}: {answer:?}", case.name);
    }
    let sent = cases.all.len() as u64;
    tokio::task::spawn_blocking(move || verifier.finish(sent)).await.unwrap()
}

/// What a proxy makes of a body.
type Damage = fn(&str) -> String;

/// A proxy that passes everything on to `ssp`, with the body as `damage` leaves it.
async fn proxy(ssp: SocketAddr, damage: Damage) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request| pass(request, ssp, damage));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn pass(
    request: Request<Incoming>,
    ssp: SocketAddr,
    damage: Damage,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = damage(std::str::from_utf8(&body).unwrap());
    let headers: Vec<(&str, &str)> = head
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length"))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let answer = Http::default().post(ssp, "/openrtb2/bid", &headers, body).await;
    Ok(Response::builder().status(answer.status).body(Full::new(answer.body)).unwrap())
}

/// The one finding of a check, with its place.
fn only(content: &Content) -> (Finding, &str, u64) {
    assert_eq!(content.findings.len(), 1, "{:?}", content.findings);
    let (finding, found) = content.findings.iter().next().unwrap();
    (*finding, found.examples[0].member.as_str(), found.count)
}

const PLAIN: &str = r#"{"id":"r1","imp":[{"id":"1","banner":{"w":300,"h":250},"bidfloor":0.50}],"user":{"id":"u","eids":[{"source":"pub.example","uids":[{"id":"p-1"}]},{"source":"id5-sync.com","uids":[{"id":"ID5*x"}]}]},"tmax":300}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_ssp_without_a_gateway_gets_what_was_sent() {
    let (_, address) = sandbox(ssp::Settings::default()).await;
    // Those that bring a token of the publisher's own are no case of "none".
    let without = |name: &str| {
        let theirs = ["web-banner-own-uid2.json", "app-banner-lmt.json", "web-banner-gdpr-deu.json"];
        (!theirs.contains(&name)).then_some(Expect::Any)
    };
    let cases = Cases::of_fixtures(without);
    let count = cases.all.len() as u64;
    let content = checked(cases, (address, "/openrtb2/bid"), settings(address)).await;
    assert!(content.passed(), "{:?}", content.findings);
    assert_eq!((content.checked, content.unchanged, content.sent), (count, count, count));

    let none = Settings { expect: Some(Expect::NoToken), ..settings(address) };
    let content = checked(Cases::one(PLAIN), (address, "/openrtb2/bid"), none).await;
    assert!(content.passed(), "{:?}", content.findings);
    let token = Settings { expect: Some(Expect::Token), ..settings(address) };
    let content = checked(Cases::one(PLAIN), (address, "/openrtb2/bid"), token).await;
    assert_eq!(only(&content), (Finding::TokenMissing, "user", 1));
    assert!(!content.passed());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_damaged_on_the_way_is_found() {
    let (_, address) = sandbox(ssp::Settings::default()).await;
    let damages: [(Damage, Finding, &str); 5] = [
        (|body| body.replace("0.50", "0.5"), Finding::Changed, "imp[0].bidfloor"),
        (|body| body.replacen("\"h\":250", "\"h\": 250", 1), Finding::Spacing, "imp[0].banner.h"),
        (
            |body| body.replace(r#",{"source":"id5-sync.com","uids":[{"id":"ID5*x"}]}"#, ""),
            Finding::EidLost,
            "user.eids[1]",
        ),
        (|body| body.replace("\"tmax\":300", "\"tmax\":301"), Finding::TmaxRaised, "tmax"),
        (|body| body.replace("ID5*x", "ID5*y"), Finding::EidChanged, "user.eids[1]"),
    ];
    for (damage, finding, place) in damages {
        let through = proxy(address, damage).await;
        let content = checked(Cases::one(PLAIN), (through, "/openrtb2/bid"), settings(address)).await;
        let all: Vec<Finding> = content.findings.keys().copied().collect();
        let found = content.findings.get(&finding).unwrap_or_else(|| panic!("{finding:?}: {all:?}"));
        assert_eq!(
            (found.examples[0].member.as_str(), found.examples[0].entry.as_str()),
            (place, "one.json")
        );
        assert!(!content.passed());
    }
    let leak = proxy(address, |body| body.replace("\"id\":\"u\"", "\"id\":\"user1@example.com\"")).await;
    let content = checked(Cases::one(PLAIN), (leak, "/openrtb2/bid"), settings(address)).await;
    let found: Vec<(Finding, &str)> = content
        .findings
        .iter()
        .map(|(finding, found)| (*finding, found.examples[0].member.as_str()))
        .collect();
    assert_eq!(found, [(Finding::Dii, "user.id"), (Finding::Changed, "user.id")]);
    assert!(!content.json().to_string().contains("user1"), "a report never holds a value");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_changes_what_it_should_and_nothing_else() {
    let settled = ssp::Settings::default();
    let (_, alpha) = sandbox(settled.clone()).await;
    let (_, beta) = sandbox(settled).await;
    let plan = Plan {
        ssps: vec![
            ("alpha".to_owned(), alpha, "openrtb = \"2.6\"\ntimeout_ms = 5000".to_owned()),
            ("beta".to_owned(), beta, "openrtb = \"2.5\"\ntimeout_ms = 5000\ngzip = true".to_owned()),
        ],
        ..Plan::default()
    };
    let stack = Stack::start(&plan).await;
    stack.logged_in("u1", EMAIL).await;
    let expect = |name: &str| {
        let stem = name.trim_end_matches(".json");
        match stem {
            "web-banner-coppa"
            | "app-banner-lmt"
            | "web-banner-us-optout"
            | "web-banner-gpc"
            | "web-banner-gdpr-deu" => Some(Expect::NoToken),
            "web-banner-2k"
            | "web-banner-1k5"
            | "app-banner"
            | "ctv-video-pretty"
            | "web-banner-own-uid2" => Some(Expect::Token),
            _ => Some(Expect::Any),
        }
    };
    for (ssp, dialect) in [(alpha, Dialect::V26), (beta, Dialect::V25)] {
        let mut cases = Cases::of_fixtures(expect);
        cases.headers = vec![AUTH, (USER, "u1")];
        let count = cases.all.len() as u64;
        let settings = Settings { dialect: Some(dialect), ..settings(ssp) };
        let content = checked(cases, (stack.data, "/openrtb2/auction"), settings).await;
        assert!(content.passed(), "{:#?}", content.findings);
        assert_eq!((content.checked, content.received[0].gone), (count, 0));
        assert!(content.changes[&Change::TokenAdded] > 10, "{:?}", content.changes);
        assert!(content.changes[&Change::EidsStripped] >= 2, "{:?}", content.changes);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_sees_nothing_is_none() {
    let (_, target) = sandbox(ssp::Settings::default()).await;
    let (_, other) = sandbox(ssp::Settings::default()).await;
    let content = checked(Cases::one(PLAIN), (target, "/openrtb2/bid"), settings(other)).await;
    assert_eq!((content.checked, content.passed()), (0, false));

    let start = |uri: &str| {
        let settings = Settings { ssps: vec![uri.parse().unwrap()], ..Settings::default() };
        tokio::task::spawn_blocking(|| Verifier::start(settings, Arc::new(Cases::one(PLAIN))).map(drop))
    };
    let (listener, no_sandbox) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), proxy(target, str::to_owned).await);
    let closed = listener.local_addr().unwrap();
    drop(listener);
    assert!(matches!(start(&format!("http://{closed}")).await.unwrap(), Err(VerifyError::Ssp { .. })));
    assert!(matches!(start(&format!("http://{no_sandbox}/x")).await.unwrap(), Err(VerifyError::Ssp { .. })));
    assert!(matches!(start("https://ssp.example").await.unwrap(), Err(VerifyError::Address(_))));
    let none = tokio::task::spawn_blocking(|| {
        Verifier::start(Settings::default(), Arc::new(Cases::one(PLAIN))).map(drop)
    });
    assert!(matches!(none.await.unwrap(), Err(VerifyError::NoSsp)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_ssp_had_to_throw_away_is_told() {
    let (ssp, address) = sandbox(ssp::Settings { keep_requests: 2, ..ssp::Settings::default() }).await;
    let http = Http::default();
    // Before the check: nobody's business.
    for _ in 0..5 {
        http.post(address, "/openrtb2/bid", &[], PLAIN).await;
    }
    let content = checked(Cases::one(PLAIN), (address, "/openrtb2/bid"), settings(address)).await;
    assert_eq!((content.checked, content.received[0].gone), (1, 0));
    let origin = Arc::new(Cases::one(PLAIN));
    let verifier = tokio::task::spawn_blocking(move || Verifier::start(settings(address), origin).unwrap());
    let verifier = verifier.await.unwrap();
    // A reset in between is noticed, and what comes after is seen.
    ssp.reset();
    let headers = [("traceparent", trace(0))];
    http.post(address, "/openrtb2/bid", &headers.each_ref().map(|(n, v)| (*n, v.as_str())), PLAIN).await;
    let content = tokio::task::spawn_blocking(|| verifier.finish(1)).await.unwrap();
    assert_eq!(content.checked, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_a_stranger_is_expected_only_if_it_was_sent() {
    const OWN: &str = r#"{"id":"r","imp":[{"id":"1","banner":{"w":1,"h":1}}],"user":{"eids":[{"source":"uidapi.com","uids":[{"id":"AdvertisingTokenOfThePublisher","atype":3}]}]}}"#;
    let (_, address) = sandbox(ssp::Settings::default()).await;
    let through = proxy(address, |body| body.replace("uidapi.com", "pub.example")).await;
    let strangers = |body| Cases { strangers: true, ..Cases::one(body) };
    let token = || Settings { expect: Some(Expect::Token), ..settings(address) };
    for body in [PLAIN, OWN] {
        let content = checked(strangers(body), (address, "/openrtb2/bid"), token()).await;
        assert!(content.passed(), "{body}\n{content}");
    }
    let content = checked(strangers(OWN), (through, "/openrtb2/bid"), token()).await;
    assert!(content.findings.contains_key(&Finding::TokenMissing), "{content}");
}

/// Checks what `send` makes of two requests, of which both were answered with `status`.
async fn of_two<S: Future<Output = ()>>(
    (settings, status): (Settings, u16),
    send: impl FnOnce(Http) -> S,
) -> Content {
    let case = Cases::one(PLAIN).all.remove(0);
    let origin = Arc::new(Cases { headers: Vec::new(), all: vec![case.clone(), case], strangers: false });
    settings.answered.take(&mut vec![(0, status), (1, status)]);
    let start = tokio::task::spawn_blocking(move || Verifier::start(settings, origin).unwrap());
    let verifier = start.await.unwrap();
    send(Http::default()).await;
    tokio::task::spawn_blocking(move || verifier.finish(2)).await.unwrap()
}

async fn post(http: &Http, ssp: SocketAddr, number: u64) {
    http.post(ssp, "/openrtb2/bid", &[("traceparent", &trace(number))], PLAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_lost_or_come_twice_are_found() {
    let (_, one) = sandbox(ssp::Settings::default()).await;
    let (_, other) = sandbox(ssp::Settings::default()).await;
    let both = || {
        let mut settings = settings(one);
        settings.ssps.push(format!("http://{other}").parse().unwrap());
        (settings, 200)
    };
    // Each at one of the two is enough: an SSP may be passed over for want of time.
    let content = of_two(both(), |http| async move {
        post(&http, one, 0).await;
        post(&http, other, 1).await;
    })
    .await;
    assert!(content.passed(), "{content}");
    let content = of_two(both(), |http| async move {
        post(&http, one, 0).await;
        post(&http, other, 0).await;
    })
    .await;
    assert_eq!(only(&content), (Finding::Lost, "", 1));
    assert!(!content.passed());
    let content = of_two((settings(one), 204), |http| async move { post(&http, one, 0).await }).await;
    assert!(content.passed() && content.verdict().contains("1 answered without a bid"), "{content}");
    let content = of_two((settings(one), 200), |http| async move {
        post(&http, one, 0).await;
        post(&http, one, 1).await;
        post(&http, one, 0).await;
    })
    .await;
    assert_eq!(only(&content), (Finding::Doubled, "", 1));
    // Sampled, only what was chosen can be missed.
    for one_in in [1, 1_000] {
        let sampled = Settings { one_in, ..settings(one) };
        let content = of_two((sampled, 200), |_| async {}).await;
        assert_eq!((content.findings.len(), content.passed()), (usize::from(one_in == 1), false));
        assert_eq!(content.mark(), if one_in == 1 { "WRONG" } else { "NOT CHECKED" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_thrown_away_unseen_is_no_pass() {
    let (_, ssp) = sandbox(ssp::Settings { keep_requests: 1, ..ssp::Settings::default() }).await;
    let mut checked = of_two((settings(ssp), 200), |http| async move {
        for number in [0, 1, 7, 8] {
            post(&http, ssp, number).await;
        }
        // The checker may have seen some of them in between; of these it sees one at most.
        let all = (0..200).map(|number| {
            let http = &http;
            async move { post(http, ssp, number + 100).await }
        });
        futures_util::future::join_all(all).await;
    })
    .await;
    assert!(checked.received[0].gone > 0 && !checked.passed());
    assert!(!checked.findings.contains_key(&Finding::Lost), "what is gone may be what is missing");
    checked.received[0].compared = 1;
    assert!(!checked.passed() && checked.mark() == "NOT CHECKED", "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_ends_while_others_go_on() {
    let (_, ssp) = sandbox(ssp::Settings::default()).await;
    let others: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(async move {
                let http = Http::default();
                loop {
                    http.post(ssp, "/openrtb2/bid", &[], "{}").await;
                }
            })
        })
        .collect();
    let check = of_two((settings(ssp), 200), |http| async move {
        post(&http, ssp, 0).await;
        post(&http, ssp, 1).await;
    });
    let content = tokio::time::timeout(std::time::Duration::from_secs(30), check).await.unwrap();
    assert_eq!((content.checked, content.findings.len()), (2, 0));
    others.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Runs the command against a gateway with one SSP; its exit code, its document and its page.
async fn replayed(stack: &Stack, ssp: SocketAddr, more: &[&str]) -> (Option<i32>, serde_json::Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let mut command = std::process::Command::new(binary());
    command
        .args(["replay", "--target", &format!("http://{}/openrtb2/auction", stack.data), "--json"])
        .args(["--corpus", repository("fixtures/openrtb").to_str().unwrap(), "--users", "5"])
        .args(["--rate", "200", "--duration", "1", "--connections", "4", "--header"])
        .args(["Authorization=Bearer test-key-of-acme", "--verify", &format!("http://{ssp}")])
        .args(["--verify-openrtb", "2.6", "--report", page.to_str().unwrap()])
        .args(more);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let document = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), document, std::fs::read_to_string(page).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_checks_and_reports() {
    let (_, ssp) = sandbox(ssp::Settings::default()).await;
    let lines = "openrtb = \"2.6\"\ntimeout_ms = 5000".to_owned();
    let stack = Stack::start(&Plan { ssps: vec![("alpha".to_owned(), ssp, lines)], ..Plan::default() }).await;
    let (exit, document, page) = replayed(&stack, ssp, &[]).await;
    let content = &document["content"];
    assert_eq!(
        (exit, &document["ok"], &content["passed"]),
        (Some(0), &true.into(), &true.into()),
        "{content:#}"
    );
    assert_eq!((&content["checked"], &content["sent"]), (&200.into(), &200.into()));
    assert!(content["changes"]["token_added"].as_u64() > Some(100), "{content:#}");
    assert!(page.contains("200 bodies compared, nothing wrong") && page.contains("<svg"));
    for secret in ["test-key-of-acme", "replay-user-1", "uidapi.com"] {
        assert!(!page.contains(secret), "{secret}");
    }
    let (exit, document, page) = replayed(&stack, ssp, &["--expect", "none", "--verify-sample", "4"]).await;
    let content = &document["content"];
    assert_eq!((exit, &document["ok"]), (Some(1), &false.into()));
    assert_eq!(content["findings"][0]["finding"], "token_unexpected");
    let checked = content["checked"].as_u64().unwrap();
    assert!((15..95).contains(&checked), "{checked}");
    assert!(page.contains("wrong content") && page.contains("one request in 4"));
    stack.stop().await;
}
