//! The endpoint over real sockets on loopback.

use std::net::SocketAddr;

use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use openrtb::current::BidResponse;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::body::PADDING;
use super::*;

const REQUEST: &str = r#"{"id":"r-1","imp":[{"id":"1","banner":{"w":300,"h":250}}],
 "user":{"eids":[{"source":"uidapi.com","uids":[{"id":"A4AA"}]}]}}"#;

struct Bench {
    ssp: Arc<Ssp>,
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<tokio::task::JoinHandle<()>>,
}

impl Bench {
    async fn new(settings: Settings) -> Self {
        let ssp = Ssp::new(settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served =
            tokio::spawn(serve(Arc::clone(&ssp), listener, async { stopped.await.unwrap_or_default() }));
        Self {
            ssp,
            address,
            client: Client::builder(TokioExecutor::new()).build_http(),
            stop: Some(stop),
            served: Some(served),
        }
    }

    async fn bidding(rules: Vec<Rule>) -> Self {
        Self::new(Settings { bid_rate: 1.0, faults: rules, ..Settings::default() }).await
    }

    async fn head(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(body.into())).unwrap();
        *request.headers_mut() = headers;
        self.client.request(request).await
    }

    async fn call(&self, method: Method, path: &str, body: impl Into<Bytes>) -> (u16, Bytes) {
        let response = self.head(method, path, HeaderMap::new(), body).await.unwrap();
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    async fn bid(&self) -> (u16, Bytes) {
        self.call(Method::POST, "/openrtb2/bid", REQUEST).await
    }
}

#[tokio::test]
async fn a_bid_comes_back_typed_and_the_request_is_kept_as_sent() {
    let bench = Bench::bidding(vec![]).await;
    let headers =
        HeaderMap::from_iter([(http::HeaderName::from_static("x-openrtb-version"), "2.6".parse().unwrap())]);
    let response = bench.head(Method::POST, "/any/path?x=1", headers, REQUEST).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["x-openrtb-version"], "2.6");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let bid: BidResponse = serde_json::from_slice(&body).unwrap();
    assert_eq!((bid.id.as_str(), bid.seat_bid[0].bid[0].imp_id.as_str()), ("r-1", "1"));

    let received = bench.ssp.received();
    assert_eq!((received.len(), received[0].path.as_str()), (1, "/any/path?x=1"));
    assert_eq!(received[0].body, REQUEST);
    assert_eq!(received[0].headers["x-openrtb-version"], "2.6");
    assert_eq!(bench.ssp.tokens(), [Token { source: Source::Uid2, id: "A4AA".into() }]);
    assert_eq!((bench.ssp.stats().bids, bench.ssp.stats().problems), (1, 0));
}

#[tokio::test]
async fn only_no_object_and_no_impression_are_refused() {
    let bench = Bench::bidding(vec![]).await;
    for (request, status) in [
        ("[]", 400),
        (r#"{"id":"r"}"#, 400),
        (r#"{"id":"r","imp":[{"id":"1","banner":{}}],"user":7}"#, 200),
        (r#"{"imp":[{"id":"1","banner":{}}]}"#, 200),
    ] {
        assert_eq!(bench.call(Method::POST, "/", request).await.0, status, "{request}");
    }
    assert_eq!(bench.call(Method::GET, "/", "").await.0, 405);
    let stats = bench.ssp.stats();
    assert_eq!((stats.requests, stats.refused, stats.problems), (4, 2, 4));
}

#[tokio::test]
async fn the_body_limit_holds_at_the_limit_and_one_past_it() {
    let limit = REQUEST.len();
    let bench = Bench::new(Settings { max_body_bytes: limit, bid_rate: 1.0, ..Settings::default() }).await;
    assert_eq!(bench.bid().await.0, 200);
    assert_eq!(bench.call(Method::POST, "/", format!("{REQUEST} ")).await.0, 413);
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let headers = || HeaderMap::from_iter([(http::header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
    for (body, status) in
        [(gzip(REQUEST), 200), (gzip(&" ".repeat(limit + 1)), 413), (b"no gzip".to_vec(), 400)]
    {
        let response = bench.head(Method::POST, "/", headers(), body).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
    }
}

#[tokio::test]
async fn faults_that_answer() {
    let of = |fault| Rule::next(fault, 1);
    let rules = [
        Fault::ServerError,
        Fault::BadRequest,
        Fault::Redirect,
        Fault::InvalidJson,
        Fault::WrongId,
        Fault::WrongCurrency,
        Fault::HugeBody,
    ];
    let bench = Bench::bidding(rules.into_iter().map(of).collect()).await;
    assert_eq!(bench.bid().await.0, 500);
    assert_eq!(bench.bid().await.0, 400);
    let redirect = bench.head(Method::POST, "/", HeaderMap::new(), REQUEST).await.unwrap();
    assert_eq!((redirect.status().as_u16(), redirect.headers().contains_key("location")), (302, true));
    drop(redirect);
    let (status, torn) = bench.bid().await;
    assert!(status == 200 && serde_json::from_slice::<Value>(&torn).is_err());
    let typed = |body: &Bytes| serde_json::from_slice::<BidResponse>(body).unwrap();
    assert_ne!(typed(&bench.bid().await.1).id, "r-1");
    assert_eq!(typed(&bench.bid().await.1).currency.as_deref(), Some("JPY"));
    let (_, huge) = bench.bid().await;
    assert!(huge.len() > PADDING && typed(&huge).id == "r-1");
    let (_, sound) = bench.bid().await;
    assert_eq!(typed(&sound).currency.as_deref(), Some("USD"));
    assert_eq!(bench.ssp.stats().faults.values().sum::<u64>(), 7);
}

#[tokio::test]
async fn faults_that_break_the_connection() {
    let bench = Bench::bidding(vec![Rule::next(Fault::Reset, 1), Rule::next(Fault::ResetBody, 1)]).await;
    let fault = bench.head(Method::POST, "/", HeaderMap::new(), REQUEST).await.unwrap_err();
    assert!(is_reset(&fault), "{fault:?}");

    let response = bench.head(Method::POST, "/", HeaderMap::new(), REQUEST).await.unwrap();
    let promised: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let mut body = response.into_body();
    let mut got = 0;
    let fault = loop {
        match body.frame().await.expect("the body must not end in peace") {
            Ok(frame) => got += frame.into_data().unwrap().len(),
            Err(fault) => break fault,
        }
    };
    assert_eq!(got, promised / 2);
    assert!(is_reset(&fault), "{fault:?}");
    assert_eq!(bench.bid().await.0, 200);
}

fn is_reset(fault: &(dyn std::error::Error + 'static)) -> bool {
    let mut fault = Some(fault);
    while let Some(this) = fault {
        if this
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
        {
            return true;
        }
        fault = this.source();
    }
    false
}

#[tokio::test]
async fn a_slow_body_drips() {
    let bench = Bench::bidding(vec![Rule::next(Fault::Slow, 1)]).await;
    let mut body = bench.head(Method::POST, "/", HeaderMap::new(), REQUEST).await.unwrap().into_body();
    for _ in 0..3 {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_hanging_request_ends_with_the_endpoint() {
    let mut bench = Bench::bidding(vec![Rule::next(Fault::Hang, 1)]).await;
    let (stop, served) = (bench.stop.take().unwrap(), bench.served.take().unwrap());
    let end = async {
        while bench.ssp.stats().requests == 0 {
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
        served.await.unwrap();
    };
    let (answer, ()) = tokio::join!(bench.head(Method::POST, "/", HeaderMap::new(), REQUEST), end);
    assert!(answer.is_err());
}

#[tokio::test]
async fn control_calls_steer_and_show() {
    let bench = Bench::bidding(vec![]).await;
    let rules = r#"[{"fault":"500","next":1}]"#;
    assert_eq!(bench.call(Method::POST, "/sandbox/faults", rules).await.0, 200);
    assert_eq!(bench.bid().await.0, 500);
    assert_eq!(bench.bid().await.0, 200);
    assert_eq!(bench.call(Method::POST, "/sandbox/faults", r#"[{"fault":"x"}]"#).await.0, 400);
    assert_eq!(bench.call(Method::POST, "/sandbox/latency", "1ms").await.0, 204);
    assert_eq!(bench.call(Method::POST, "/sandbox/latency", "soon").await.0, 400);

    let (_, last) = bench.call(Method::GET, "/sandbox/last?n=2", "").await;
    let last: Value = serde_json::from_slice(&last).unwrap();
    assert_eq!((last.as_array().unwrap().len(), &last[1]["body"]), (2, &Value::from(REQUEST)));
    assert_eq!(last[0]["path"], "/openrtb2/bid");
    assert_eq!(bench.call(Method::GET, "/sandbox/last?n=many", "").await.0, 400);

    let (_, stats) = bench.call(Method::GET, "/sandbox/stats", "").await;
    let stats: Value = serde_json::from_slice(&stats).unwrap();
    assert_eq!(
        (&stats["requests"], &stats["bids"], &stats["faults"]["500"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(stats["tokens"]["uidapi.com"]["user.eids"], 2);
    assert_eq!(stats["distinct_tokens"], 1);

    assert_eq!(bench.call(Method::POST, "/sandbox/reset", "").await.0, 204);
    assert_eq!(bench.ssp.stats(), Stats::default());
    assert!(bench.ssp.received().is_empty() && bench.ssp.tokens().is_empty());
    assert_eq!(bench.call(Method::GET, "/sandbox/other", "").await.0, 404);
    assert_eq!(bench.call(Method::PUT, "/sandbox/stats", "").await.0, 405);
}

#[tokio::test]
async fn the_same_seed_answers_the_same_over_the_wire() {
    let settings = Settings { seed: 5, ..Settings::default() };
    let (one, other) = (Bench::new(settings.clone()).await, Bench::new(settings).await);
    for _ in 0..20 {
        assert_eq!(one.bid().await, other.bid().await);
    }
}
