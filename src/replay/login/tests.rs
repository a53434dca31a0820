//! Logins against a small identity API on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

/// What came: path, credentials, body.
type Log = Arc<Mutex<Vec<(Uri, HeaderMap, Value)>>>;

/// An identity API whose n-th answer is the n-th of `answers`, the last one for ever.
async fn api(answers: &'static [(u16, &'static str)]) -> (SocketAddr, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let log = Log::default();
    let shared = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let log = Arc::clone(&shared);
            let service = service_fn(move |request: Request<Incoming>| {
                let log = Arc::clone(&log);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let mut log = log.lock().unwrap();
                    let (status, answer) = answers[log.len().min(answers.len() - 1)];
                    log.push((head.uri, head.headers, serde_json::from_slice(&body).unwrap()));
                    let answer = Response::builder()
                        .status(status)
                        .body(Full::new(Bytes::from_static(answer.as_bytes())));
                    Ok::<_, Infallible>(answer.unwrap())
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, log)
}

fn people(count: usize) -> impl ExactSizeIterator<Item = Person> + Send + 'static {
    (0..count).map(|n| Person { user: format!("u{n}"), email: format!("u{n}@example.com") })
}

async fn admit(address: SocketAddr, count: usize) -> (Result<(), LoginError>, usize) {
    let headers = HeaderMap::from_iter([
        (AUTHORIZATION, http::HeaderValue::from_static("Bearer k")),
        (http::header::USER_AGENT, http::HeaderValue::from_static("not for this")),
    ]);
    let target = format!("http://{address}/openrtb2/auction?x").parse().unwrap();
    let desk = Arc::new(Desk::new(&target, &headers, None).unwrap());
    let most = AtomicUsize::new(0);
    let result = desk.admit(people(count), |done| most.store(done, Ordering::Relaxed)).await;
    (result, most.into_inner())
}

const SUCCESS: (u16, &str) = (200, "{\"status\":\"success\"}");

#[tokio::test]
async fn everybody_is_logged_in_once() {
    let (address, log) = api(&[SUCCESS]).await;
    let (result, done) = admit(address, 100).await;
    assert!(result.is_ok() && done == 100, "{result:?} {done}");
    let log = log.lock().unwrap();
    let mut users: Vec<&str> = log.iter().map(|(.., body)| body["user_id"].as_str().unwrap()).collect();
    users.sort_unstable();
    users.dedup();
    assert_eq!((log.len(), users.len()), (100, 100));
    let (uri, headers, body) = &log[0];
    assert_eq!((uri.path(), uri.query()), ("/v1/identity", None));
    assert_eq!(
        (&headers["authorization"], headers.get("user-agent")),
        (&http::HeaderValue::from_static("Bearer k"), None)
    );
    assert_eq!(body["email"], format!("{}@example.com", body["user_id"].as_str().unwrap()));
}

#[tokio::test]
async fn a_refusal_ends_it_with_its_reason() {
    let (address, log) =
        api(&[SUCCESS, (401, "{\"title\":\"Unauthorized\",\"detail\":\"unknown key\"}")]).await;
    let (result, done) = admit(address, 1_000).await;
    let told = result.unwrap_err().to_string();
    assert!(
        told.contains("/v1/identity refused the login of u")
            && told.ends_with("401 Unauthorized: unknown key"),
        "{told}"
    );
    assert!(done <= 1 && log.lock().unwrap().len() <= 1 + AT_ONCE);
    let (address, _) = api(&[(200, "{\"status\":\"optout\"}")]).await;
    assert!(admit(address, 1).await.0.unwrap_err().to_string().ends_with("200 OK: optout"));
}

#[tokio::test(start_paused = true)]
async fn overload_is_tried_again_and_not_for_ever() {
    let (address, log) = api(&[(503, ""), (429, ""), SUCCESS]).await;
    assert!(admit(address, 1).await.0.is_ok());
    assert_eq!(log.lock().unwrap().len(), 3);
    let (address, log) = api(&[(503, "")]).await;
    let told = admit(address, 1).await.0.unwrap_err().to_string();
    assert!(told.ends_with("503 Service Unavailable: no reason given"), "{told}");
    assert_eq!(log.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_target_that_is_not_there_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let told = admit(address, 1).await.0.unwrap_err().to_string();
    assert!(told.contains("refused"), "{told}");
}

#[test]
fn addresses_are_made_of_names() {
    assert_eq!(Person::email_of("replay-user-7"), "replay-user-7@replay.example.com");
    assert_eq!(Person::email_of("A b"), "4120b@replay.example.com");
    assert!(crate::uid2::Email::parse(&Person::email_of("Zo\u{eb}@x")).is_ok());
}
