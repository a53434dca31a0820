//! The driver against small servers on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;

use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::super::corpus::Entry;
use super::super::recorder::at;
use super::*;

/// What a server got, in order, and how many connections were made to it.
#[derive(Default)]
struct Log {
    requests: Mutex<Vec<(HeaderMap, Uri, Bytes)>>,
    connections: AtomicU64,
}

/// A server whose `stalled`-th request (counted from 0) is answered after `stall`; all others at once with 204.
async fn server(stalled: usize, stall: Duration) -> (SocketAddr, Arc<Log>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let log = Arc::new(Log::default());
    let shared = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Ordering::Relaxed);
            let log = Arc::clone(&shared);
            let service = service_fn(move |request| {
                let log = Arc::clone(&log);
                async move { Ok::<_, Infallible>(answer(&log, request, stalled, stall).await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, log)
}

async fn answer(
    log: &Log,
    request: Request<Incoming>,
    stalled: usize,
    stall: Duration,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let number = {
        let mut requests = log.requests.lock().unwrap();
        requests.push((head.headers, head.uri, body));
        requests.len() - 1
    };
    if number == stalled {
        drop(tokio::time::timeout(stall, std::future::pending::<()>()).await);
    }
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = http::StatusCode::NO_CONTENT;
    response
}

const NEVER: usize = usize::MAX;

fn corpus() -> Corpus {
    let entry =
        |body: &'static str| Entry { name: body.to_owned(), body: Bytes::from_static(body.as_bytes()) };
    Corpus::of(vec![entry("{\"id\":1 }"), entry("{\"id\":2}\n")]).unwrap()
}

fn load(address: SocketAddr) -> Load {
    Load { requests: Some(4), ..Load::new(format!("http://{address}/openrtb2/auction?x=1").parse().unwrap()) }
}

async fn run(load: &Load) -> Report {
    let progress = Arc::default();
    let report = drive(load, &corpus(), &progress).await.unwrap();
    assert_eq!((progress.done(), progress.failed()), (report.sent, report.failed()));
    report
}

#[tokio::test]
async fn bodies_go_out_as_they_are_with_headers_and_users() {
    let (address, log) = server(NEVER, Duration::ZERO).await;
    let authorization =
        HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer k"))]);
    let users = ["u1", "u2", "u3"].map(HeaderValue::from_static).to_vec();
    let load = Load { headers: Headers::of_users(authorization, users), ..load(address) };
    let report = run(&load).await;
    assert_eq!((report.sent, report.answers(204), report.failed()), (4, 4, 0));

    let requests = log.requests.lock().unwrap();
    let bodies: Vec<&Bytes> = requests.iter().map(|(.., body)| body).collect();
    assert_eq!(bodies, ["{\"id\":1 }", "{\"id\":2}\n", "{\"id\":1 }", "{\"id\":2}\n"]);
    let (headers, uri, _) = &requests[0];
    assert_eq!(uri, "/openrtb2/auction?x=1");
    assert_eq!(headers["host"], address.to_string());
    assert_eq!(headers["authorization"], "Bearer k");
    assert_eq!(headers["content-type"], "application/json");
    assert!(requests.iter().all(|(headers, ..)| headers.contains_key("x-publisher-user-id")));
    assert_eq!(log.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn connections_are_kept_and_shared() {
    let (address, log) = server(NEVER, Duration::ZERO).await;
    let report = run(&Load { connections: 3, requests: Some(60), ..load(address) }).await;
    assert_eq!(report.answers(204), 60);
    assert_eq!(log.connections.load(Ordering::Relaxed), 3);
}

/// One stalled answer delays all that were due behind it, and the report says so, although the target saw them only
/// after the stall.
#[tokio::test]
async fn latency_counts_from_when_a_request_was_due() {
    let stall = Duration::from_millis(200);
    let (address, _log) = server(10, stall).await;
    let load = Load { pace: Pace::PerSecond(500.0), requests: Some(100), ..load(address) };
    let report = run(&load).await;
    assert_eq!(report.answers(204), 100);
    assert!(at(&report.latency, 100.0) >= stall);
    // Some 90 requests were due during the stall, from 200 ms to 20 ms before its end.
    assert!(at(&report.latency, 50.0) >= Duration::from_millis(50), "{report}");
    assert!(at(&report.service, 90.0) < Duration::from_millis(50), "{report}");
    assert!(at(&report.lateness, 50.0) >= Duration::from_millis(50), "{report}");
}

#[tokio::test]
async fn an_answer_that_is_late_is_a_fault_and_the_next_request_is_clean() {
    let (address, log) = server(0, Duration::from_hours(1)).await;
    let report = run(&Load { timeout: Duration::from_millis(200), requests: Some(2), ..load(address) }).await;
    assert_eq!((report.errors[&Fault::Timeout], report.answers(204)), (1, 1));
    assert_eq!(log.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_target_that_is_not_there_is_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let report = run(&Load { requests: Some(2), ..load(address) }).await;
    assert_eq!((report.sent, report.errors[&Fault::Connect]), (2, 2));
}

#[tokio::test]
async fn what_cannot_be_driven_is_refused() {
    let good = load(SocketAddr::from(([127, 0, 0, 1], 1)));
    for bad in [
        Load { target: "https://localhost/".parse().unwrap(), ..good.clone() },
        Load { target: "/only/a/path".parse().unwrap(), ..good.clone() },
        Load { connections: 0, ..good.clone() },
        Load { pace: Pace::PerSecond(0.0), ..good.clone() },
        Load { pace: Pace::PerSecond(f64::NAN), ..good },
    ] {
        assert!(drive(&bad, &corpus(), &Arc::default()).await.is_err(), "{bad:?}");
    }
}
